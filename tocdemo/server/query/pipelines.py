"""Pipelines, run stage by stage: groups and the like are mongomock's, matching and sorting are our own.

It works on copies, because mongomock's stages change what they are given. It must not know storage: it reads
other collections only by the function that it is handed.

Source: "Aggregation Stages" in MongoDB's manual.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mongomock
from mongomock import aggregate

from ..errors import CommandError, not_implemented
from .expressions import evaluate
from .matching import compile_query
from .values import MISSING, Document, copy_document, encode, sort_documents

ReadCollection = Callable[[str], list[Document]]

_UPDATE_STAGES = frozenset({"$addFields", "$set", "$project", "$unset", "$replaceRoot", "$replaceWith"})
_OWN_COLLECTION_STAGES = frozenset({"$lookup", "$graphLookup"})
_ENGINE_STAGES = frozenset(
    {"$addFields", "$set", "$bucket", "$count", "$group", "$project", "$replaceRoot", "$sample", "$unwind"}
    | _OWN_COLLECTION_STAGES
)
_UNSUPPORTED_STAGES = frozenset({
    "$bucketAuto", "$changeStream", "$collStats", "$currentOp", "$densify", "$documents", "$fill",
    "$geoNear", "$indexStats", "$listLocalSessions", "$listSessions", "$merge", "$planCacheStats",
    "$redact", "$search", "$setWindowFields", "$vectorSearch",
})  # fmt: skip


def run_pipeline(documents: list[Document], stages: list[Document], read: ReadCollection) -> list[Document]:
    """Run the stages (all but a last `$out` or `$merge`) over documents, which are never changed.

    `read` gives the documents of another collection of the same database. CommandError 40324 for a stage that
    MongoDB has not, 238 for one that this server has not.
    """
    for stage in stages:
        if not isinstance(stage, dict) or len(stage) != 1:
            raise CommandError(40323, "A pipeline stage specification object must contain exactly one field.")
        ((name, options),) = stage.items()
        documents = _run_stage(documents, name, options, read)
    return documents


def _run_stage(documents: list[Document], name: str, options: Any, read: ReadCollection) -> list[Document]:
    own = _OWN_STAGES.get(name)
    if own is not None:
        return own(documents, options)
    if name == "$unionWith":
        source = options if isinstance(options, str) else options.get("coll")
        return documents + run_pipeline(read(source), _inner_pipeline(options), read)
    if name == "$facet":
        return [{key: run_pipeline(documents, inner, read) for key, inner in options.items()}]
    if name == "$sortByCount":
        counted = _engine(documents, "$group", {"_id": options, "count": {"$sum": 1}}, read)
        return sort_documents(counted, {"count": -1})
    if name == "$replaceWith":
        name, options = "$replaceRoot", {"newRoot": options}
    if name == "$replaceRoot" and _sets_a_field(options.get("newRoot")):
        return [evaluate(options["newRoot"], document) for document in documents]
    if name in ("$set", "$addFields") and any(map(_sets_a_field, options.values())):
        return [{**document, **_evaluate_all(options, document)} for document in documents]
    if name in _ENGINE_STAGES:
        return _engine(documents, name, options, read)
    if name in _UNSUPPORTED_STAGES:
        raise not_implemented(f"the pipeline stage {name}")
    raise CommandError(40324, f"Unrecognized pipeline stage name: '{name}'")


def _sets_a_field(expression: Any) -> bool:
    return isinstance(expression, dict) and "$setField" in expression


def _evaluate_all(fields: Document, document: Document) -> Document:
    values = {name: evaluate(expression, document) for name, expression in fields.items()}
    return {name: value for name, value in values.items() if value is not MISSING}


def _inner_pipeline(options: Any) -> list[Document]:
    return options.get("pipeline", []) if isinstance(options, dict) else []


def _engine(documents: list[Document], name: str, options: Any, read: ReadCollection) -> list[Document]:
    database: Any = mongomock.MongoClient().pipeline
    if name in _OWN_COLLECTION_STAGES and isinstance(options, dict):
        foreign = options.get("from")
        if not isinstance(foreign, str):
            raise CommandError(9, f"{name} needs 'from', the name of a collection")
        copies = [copy_document(document) for document in read(foreign)]
        if copies:
            database[foreign].insert_many(copies)
    if name == "$count" and not documents:
        return []
    copies = [copy_document(document) for document in documents]
    return list(aggregate.process_pipeline(copies, database, [{name: options}], None))


def _limit(documents: list[Document], options: Any) -> list[Document]:
    if not isinstance(options, int | float) or isinstance(options, bool) or options <= 0:
        raise CommandError(15958, "the limit must be positive")
    return documents[: int(options)]


def _skip(documents: list[Document], options: Any) -> list[Document]:
    if not isinstance(options, int | float) or isinstance(options, bool) or options < 0:
        raise CommandError(15956, f"invalid argument to $skip stage: {options}")
    return documents[int(options) :]


def _match(documents: list[Document], options: Any) -> list[Document]:
    return list(filter(compile_query(options), documents))


def _sort(documents: list[Document], options: Any) -> list[Document]:
    if not isinstance(options, dict) or not options:
        raise CommandError(15976, "$sort stage must have at least one sort key")
    return sort_documents(documents, options)


def _unset(documents: list[Document], options: Any) -> list[Document]:
    paths = options if isinstance(options, list) else [options]
    copies = [copy_document(document) for document in documents]
    for copy in copies:
        for path in paths:
            _remove(copy, path.split("."))
    return copies


def _remove(value: Any, parts: list[str]) -> None:
    if isinstance(value, list):
        for item in value:
            _remove(item, parts)
    elif isinstance(value, dict):
        if len(parts) == 1:
            value.pop(parts[0], None)
        elif parts[0] in value:
            _remove(value[parts[0]], parts[1:])


_OWN_STAGES: dict[str, Callable[[list[Document], Any], list[Document]]] = {
    "$match": _match,
    "$sort": _sort,
    "$limit": _limit,
    "$skip": _skip,
    "$unset": _unset,
}


def run_update_pipeline(document: Document, stages: list[Document]) -> Document:
    """The document after an update by pipeline, which may use six stages only."""
    for stage in stages:
        for name in stage:
            if name not in _UPDATE_STAGES:
                raise CommandError(72, f"{name} is not allowed to be used within an update")
    (changed,) = run_pipeline([document], stages, lambda _: [])
    encode(changed)
    return changed


def add_fields(document: Document, fields: Document) -> Document:
    """Only the computed fields, for a document."""
    (changed,) = _engine([document], "$addFields", fields, lambda _: [])
    return {path: changed[path] for path in fields if path in changed}
