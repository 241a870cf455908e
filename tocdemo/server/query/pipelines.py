"""Pipelines: every stage is compiled before the first one runs, so that a wrong one fails without documents.

It must not know storage: it reads other collections only by the function that it is handed. Documents that
come in are never changed.

Source: "Aggregation Stages" in MongoDB's manual; codes from `document_source_*.cpp` of MongoDB.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from bson import Int64

from ..errors import CommandError, expect, not_implemented
from .expressions import bind_pipeline, compile_operand
from .grouping import Stage, compile_count, compile_group, compile_sort_by_count
from .matching import compile_query
from .numbers import to_whole
from .ordering import check_sort, sort_documents
from .shaping import Shape, compile_fields, compile_root, compile_shape, compile_unset
from .values import MISSING, Document, Key, copy_document, is_number, leaves, order_key

ReadCollection = Callable[[str], list[Document]]

_UNSUPPORTED_STAGES = frozenset({
    "$bucket", "$bucketAuto", "$changeStream", "$changeStreamSplitLargeEvent", "$collStats", "$currentOp",
    "$densify", "$documents", "$fill", "$geoNear", "$graphLookup", "$indexStats", "$listLocalSessions",
    "$listSampledQueries", "$listSearchIndexes", "$listSessions", "$merge", "$out", "$planCacheStats",
    "$redact", "$search", "$searchMeta", "$setWindowFields", "$shardedDataDistribution", "$vectorSearch",
})  # fmt: skip


def run_pipeline(documents: list[Document], stages: Any, read: ReadCollection) -> list[Document]:
    """Run the stages (all but a last `$out` or `$merge`) over documents, which are never changed.

    `read` gives the documents of another collection of the same database. CommandError 40324 for a stage that
    MongoDB has not, 238 for one that this server has not.
    """
    return compile_pipeline(stages, read)(documents)


def compile_pipeline(stages: Any, read: ReadCollection) -> Stage:
    """Make one function of stages."""
    expect(isinstance(stages, list), 14, "'pipeline' option must be specified as an array")
    compiled = [_compile_stage(stage, read) for stage in stages]

    def run(documents: list[Document]) -> list[Document]:
        for stage in compiled:
            documents = stage(documents)
        return documents

    return run


def _compile_stage(stage: Any, read: ReadCollection) -> Stage:
    valid = isinstance(stage, dict) and len(stage) == 1
    expect(valid, 40323, "A pipeline stage specification object must contain exactly one field.")
    ((name, options),) = stage.items()
    if name in _SHAPES:
        shape = _SHAPES[name](options)
        return lambda documents: [shape(document) for document in documents]
    if name in _STAGES:
        return _STAGES[name](options)
    if name in _READING_STAGES:
        return _READING_STAGES[name](options, read)
    if name in _UNSUPPORTED_STAGES:
        raise not_implemented(f"the pipeline stage {name}")
    raise CommandError(40324, f"Unrecognized pipeline stage name: '{name}'")


def _project(options: Any) -> Shape:
    expect(isinstance(options, dict), 15969, "$project specification must be an object")
    expect(bool(options), 51272, "Invalid $project: it must have at least one field")
    positional = any("$" in path.split(".") for path in options)
    expect(not positional, 31324, "Cannot use positional projection in aggregation projection")
    return compile_shape(options)


def _replace_root(options: Any) -> Shape:
    expect(isinstance(options, dict), 40229, "expected an object as specification for $replaceRoot stage")
    expect(not set(options) - {"newRoot"}, 40230, "unrecognized option to $replaceRoot stage")
    expect("newRoot" in options, 40231, "no newRoot specified for the $replaceRoot stage")
    return compile_root(options["newRoot"])


_SHAPES: dict[str, Callable[[Any], Shape]] = {
    "$addFields": lambda options: compile_fields(options, "$addFields"),
    "$project": _project,
    "$replaceRoot": _replace_root,
    "$replaceWith": compile_root,
    "$set": lambda options: compile_fields(options, "$set"),
    "$unset": compile_unset,
}


def _whole(options: Any) -> int | None:
    return to_whole(options, 64) if is_number(options) else None


def _limit(options: Any) -> Stage:
    count = _whole(options)
    if count is None:
        raise CommandError(2107201, f"invalid argument to $limit stage: {options!r}")
    expect(count > 0, 15958, "the limit must be positive")
    return lambda documents: documents[:count]


def _skip(options: Any) -> Stage:
    count = _whole(options)
    if count is None or count < 0:
        raise CommandError(5107200, f"invalid argument to $skip stage: {options!r}")
    return lambda documents: documents[count:]


def _match(options: Any) -> Stage:
    expect(isinstance(options, dict), 15959, "the match filter must be an expression in an object")
    accepts = compile_query(options)
    return lambda documents: list(filter(accepts, documents))


def _sort(options: Any) -> Stage:
    expect(isinstance(options, dict), 15973, "the $sort key specification must be an object")
    expect(bool(options), 15976, "$sort stage must have at least one sort key")
    check_sort(options)
    return lambda documents: sort_documents(documents, options)


def _sample(options: Any) -> Stage:
    expect(isinstance(options, dict), 28745, "the $sample stage specification must be an object")
    expect(not set(options) - {"size"}, 28748, "unrecognized option to $sample")
    expect("size" in options, 28749, "$sample stage must specify a size")
    size = _whole(options["size"])
    if size is None:
        raise CommandError(28746, "size argument to $sample must be a number")
    expect(size > 0, 28747, "size argument to $sample must be positive")
    return lambda documents: random.sample(documents, min(size, len(documents)))


_UNWIND_CODES = {"path": 28808, "preserveNullAndEmptyArrays": 28809, "includeArrayIndex": 28810}


def _unwind(options: Any) -> Stage:
    expect(isinstance(options, dict | str), 15981, "$unwind takes a string or an object")
    given: Document = {"path": options} if isinstance(options, str) else options
    for name, value in given.items():
        expect(name in _UNWIND_CODES, 28811, f"unrecognized option to $unwind stage: {name}")
        valid = isinstance(value, bool) if name == "preserveNullAndEmptyArrays" else isinstance(value, str)
        expect(
            valid and value != "", _UNWIND_CODES[name], f"the option {name} of $unwind is wrong: {value!r}"
        )
    expect("path" in given, 28812, "no path specified to $unwind stage")
    path, index = given["path"], given.get("includeArrayIndex")
    expect(path.startswith("$"), 28818, f"path option to $unwind stage needs a '$' before it: {path}")
    expect(index is None or not index.startswith("$"), 28822, f"includeArrayIndex may have no '$': {index}")
    keep = given.get("preserveNullAndEmptyArrays", False)
    return lambda documents: [one for all_of in documents for one in _unwound(all_of, path[1:], keep, index)]


def _unwound(document: Document, path: str, keep: bool, index: str | None) -> list[Document]:
    value: Any = document
    for part in path.split("."):
        value = value.get(part, MISSING) if isinstance(value, dict) else MISSING
    if isinstance(value, list) and value:
        rows: list[tuple[Any, int | None]] = [(item, Int64(at)) for at, item in enumerate(value)]
    elif value is None or value is MISSING or value == []:
        rows = [(MISSING if value == [] else value, None)] if keep else []
    else:
        rows = [(value, None)]
    results = [
        document if item is MISSING and value is MISSING else _put(document, path, item) for item, _ in rows
    ]
    if index is None:
        return results
    return [_put(result, index, position) for result, (_, position) in zip(results, rows, strict=True)]


def _put(document: Document, path: str, value: Any) -> Document:
    name, _, rest = path.partition(".")
    if rest:
        inner = document.get(name)
        return {**document, name: _put(inner if isinstance(inner, dict) else {}, rest, value)}
    if value is MISSING:
        return {key: item for key, item in document.items() if key != name}
    return {**document, name: value}


_STAGES: dict[str, Callable[[Any], Stage]] = {
    "$count": compile_count,
    "$group": compile_group,
    "$limit": _limit,
    "$match": _match,
    "$sample": _sample,
    "$skip": _skip,
    "$sort": _sort,
    "$sortByCount": compile_sort_by_count,
    "$unwind": _unwind,
}


def _lookup(options: Any, read: ReadCollection) -> Stage:
    known = {"from": str, "as": str, "localField": str, "foreignField": str, "let": dict, "pipeline": list}
    expect(isinstance(options, dict), 9, "the $lookup specification must be an Object")
    for name, value in options.items():
        valid = name in known and isinstance(value, known[name])
        expect(valid, 9, f"unknown or wrong argument to $lookup: {name}: {value!r}")
    local, foreign, stages = (
        options.get("localField"),
        options.get("foreignField"),
        options.get("pipeline", []),
    )
    expect("from" in options and "as" in options, 9, "$lookup needs 'from' and 'as'")
    expect(
        (local is None) == (foreign is None), 9, "$lookup needs both localField and foreignField or neither"
    )
    expect(local is not None or "pipeline" in options, 9, "$lookup needs 'pipeline' or fields to join by")
    variables = {name: compile_operand(value) for name, value in options.get("let", {}).items()}
    if not variables:
        compile_pipeline(stages, read)

    def joined(document: Document) -> Document:
        found = read(options["from"])
        if local is not None and foreign is not None:
            wanted = _join_keys(document, local)
            found = [other for other in found if wanted & _join_keys(other, foreign, whole=True)]
        constants = {name: {"$literal": of(document, {})} for name, of in variables.items()}
        return _put(document, options["as"], run_pipeline(found, bind_pipeline(stages, constants), read))

    return lambda documents: [joined(document) for document in documents]


def _join_keys(document: Document, path: str, *, whole: bool = False) -> set[Key]:
    """What a document is joined by: an array by each of its items, and (`whole`) as what it is; a missing
    field is null.
    """
    keys: set[Key] = set()
    for leaf in leaves(document, path.split(".")):
        if isinstance(leaf, list):
            keys.update(map(order_key, leaf))
        if whole or not isinstance(leaf, list):
            keys.add(order_key(leaf))
    return keys


def _union_with(options: Any, read: ReadCollection) -> Stage:
    source = (
        options if isinstance(options, str) else options.get("coll") if isinstance(options, dict) else None
    )
    if not isinstance(source, str):
        raise CommandError(9, "the $unionWith stage specification must be an object or string")
    inner = compile_pipeline(options.get("pipeline", []) if isinstance(options, dict) else [], read)
    return lambda documents: documents + inner(read(source))


def _facet(options: Any, read: ReadCollection) -> Stage:
    valid = isinstance(options, dict) and bool(options)
    expect(valid, 40169, "the $facet specification must be a non-empty object")
    facets = {name: compile_pipeline(stages, read) for name, stages in options.items()}
    return lambda documents: [{name: run(documents) for name, run in facets.items()}]


_READING_STAGES: dict[str, Callable[[Any, ReadCollection], Stage]] = {
    "$facet": _facet,
    "$lookup": _lookup,
    "$unionWith": _union_with,
}


_NOT_IN_UPDATES = frozenset({*_STAGES, *_READING_STAGES, *_UNSUPPORTED_STAGES})


def check_stage_names(stages: list[Any]) -> None:
    """Refuse (error 40324) a stage that MongoDB has not."""
    for stage in stages:
        name = next(iter(stage)) if isinstance(stage, dict) and len(stage) == 1 else "$set"
        if name not in _SHAPES and name not in _NOT_IN_UPDATES:
            raise CommandError(40324, f"Unrecognized pipeline stage name: '{name}'")


def compile_update_pipeline(stages: list[Any]) -> Shape:
    """Make a function of an update by pipeline, which may use six stages only."""
    for stage in stages:
        for name in _NOT_IN_UPDATES.intersection(stage if isinstance(stage, dict) else ()):
            raise CommandError(72, f"{name} is not allowed to be used within an update")
    run = compile_pipeline(stages, lambda _: [])
    return lambda document: copy_document(run([document])[0])
