"""Updates: a document and an update in, a new document out; the old one is never touched.

It must not know where documents are stored.

Source: "Update Operators" in MongoDB's manual.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from bson import ObjectId

from ..errors import CommandError
from .inferring import equality_fields, positional_index
from .matching import compile_query
from .paths import child, set_path
from .pipelines import compile_update_pipeline
from .update_operators import CHECKS, OPERATORS, TOP_ONLY
from .values import Document, Predicate, copy_document, order_key


class Update:
    """One update, checked and ready to be applied to many documents.

    It is made of operators, a replacement document or a pipeline (a list of stages), of the filter that it
    came with, which `$` and upserts need, and of the statement's `arrayFilters`. CommandError for an update
    that MongoDB refuses before it looks at any document.
    """

    def __init__(self, update: Any, query: Document, array_filters: list[Document] | None = None) -> None:
        self.update: Any = update
        self.query = query
        self.is_pipeline = isinstance(update, list)
        if not isinstance(update, dict | list):
            raise CommandError(9, "Update argument must be either an object or an array")
        self.is_replacement = isinstance(update, dict) and not next(iter(update), "").startswith("$")
        self._filters = _compile_array_filters(array_filters) if array_filters else {}
        if array_filters and (self.is_pipeline or self.is_replacement):
            raise CommandError(9, "arrayFilters may only be specified for an update with operators")
        if isinstance(update, list):
            self._run_pipeline = compile_update_pipeline(update)
            return
        if self.is_replacement:
            _check_replacement(update)
            return
        paths = "\n".join(_check_operators(update))
        self._top_only = "." not in paths and update.keys() <= TOP_ONLY
        if array_filters or "$[" in paths:
            self._check_filters_used()

    def apply(self, document: Document) -> Document:
        """The document after the update. CommandError (2, 14, 28, 66 …) when it does not fit the document."""
        result = self._changed(document, inserting=False)
        if "_id" not in result or order_key(result["_id"]) != order_key(document["_id"]):
            message = "Performing an update on the path '_id' would modify the immutable field '_id'"
            raise CommandError(66, message)
        return result

    def insert(self) -> Document:
        """The document that an upsert inserts when nothing matched."""
        seed: Document = {}
        for path, value in equality_fields(self.query, only_id=self.is_replacement).items():
            set_path(seed, path, value)
        result = self._changed(seed, inserting=True)
        if "_id" in seed and order_key(result.get("_id")) != order_key(seed["_id"]):
            raise CommandError(
                66, "Performing an update on the path '_id' would modify the immutable field '_id'"
            )
        return {"_id": result.pop("_id", None) if "_id" in result else ObjectId(), **result}

    def _changed(self, document: Document, *, inserting: bool) -> Document:
        if self.is_replacement:
            identity = {"_id": document["_id"]} if "_id" in document else {}
            return {**identity, **copy_document(self.update)}
        if self.is_pipeline:
            changed = self._run_pipeline(document)
            identity = {"_id": document["_id"]} if "_id" in document else {}
            return {**identity, **changed}  # a pipeline may leave the _id out, which keeps it
        changed = dict(document) if self._top_only else copy_document(document)
        for operator, fields in self.update.items():
            if operator == "$setOnInsert" and not inserting:
                continue
            change = OPERATORS[operator]
            for path, operand in fields.items():
                for exact in self._targets(changed, document, path, inserting):
                    change(changed, exact, operand)
        return changed

    def _targets(self, changed: Document, original: Document, path: str, inserting: bool) -> list[str]:
        """The exact paths that a path with `$`, `$[]` or `$[name]` stands for."""
        if "$" not in path:
            return [path]
        parts = path.split(".")
        if "$" in parts:
            position = parts.index("$")
            index = None if inserting else positional_index(self.query, original)
            if index is None:
                raise CommandError(2, "The positional operator did not find the match needed from the query.")
            parts[position] = str(index)
        return [".".join(exact) for exact in self._expand(changed, parts, 0)]

    def _expand(self, value: Any, parts: list[str], position: int) -> Iterator[list[str]]:
        if position == len(parts):
            yield parts
            return
        part = parts[position]
        if not part.startswith("$["):
            yield from self._expand(child(value, part), parts, position + 1)
            return
        if not isinstance(value, list):
            path = ".".join(parts[:position])
            raise CommandError(
                2, f"The path '{path}' must exist in the document in order to apply array updates."
            )
        test = self._filters.get(part[2:-1], lambda item: True)
        for index, item in enumerate(value):
            if test(item):
                exact = [*parts[:position], str(index), *parts[position + 1 :]]
                yield from self._expand(item, exact, position + 1)

    def _check_filters_used(self) -> None:
        used = set()
        for fields in self.update.values():
            for path in fields:
                used |= {part[2:-1] for part in path.split(".") if part.startswith("$[") and part != "$[]"}
        for name in used - set(self._filters):
            raise CommandError(2, f"No array filter found for identifier '{name}'")
        for name in set(self._filters) - used:
            raise CommandError(9, f"The array filter for identifier '{name}' was not used in the update")


def _compile_array_filters(filters: list[Document]) -> dict[str, Predicate]:
    compiled: dict[str, Predicate] = {}
    for condition in filters:
        names = {name.partition(".")[0] for name in _field_names(condition)}
        if "$expr" in names:
            raise CommandError(224, "$expr is not allowed in this context")
        names = {name for name in names if not name.startswith("$")}
        if not names:
            message = "Cannot use an expression without a top-level field name in arrayFilters"
            raise CommandError(9, message)
        if len(names) > 1:
            message = f"Expected a single top-level field name, found {' and '.join(sorted(names))}"
            raise CommandError(9, f"Error parsing array filter: {message}")
        (name,) = names
        if name in compiled:
            raise CommandError(9, f"Found multiple array filters with the same top-level field name {name}")
        compiled[name] = _of_item(name, compile_query(condition))
    return compiled


def _of_item(name: str, test: Predicate) -> Predicate:
    return lambda item: test({name: item})


def _field_names(condition: Document) -> Iterator[str]:
    for name, value in condition.items():
        if name in ("$and", "$or", "$nor"):
            for part in value:
                yield from _field_names(part)
        else:
            yield name


def _check_replacement(replacement: Document) -> None:
    for name in replacement:
        if name.startswith("$"):
            message = (
                f"The dollar ($) prefixed field '{name}' is not allowed in an update's replacement document"
            )
            raise CommandError(52, message)


def _check_operators(update: Document) -> list[str]:
    """Refuse operators and paths that cannot be; the paths that are left."""
    paths: list[str] = []
    for operator, fields in update.items():
        if operator not in OPERATORS:
            known = "$set, $unset, $inc, $push …"
            raise CommandError(9, f"Unknown modifier: {operator}. Expected a valid update modifier ({known})")
        if not isinstance(fields, dict):
            message = f"Modifiers operate on fields but we found type {type(fields).__name__} instead"
            raise CommandError(9, f"{message}. For example: {{$mod: {{<field>: ...}}}}")
        for path, operand in fields.items():
            renamed = operator == "$rename" and isinstance(operand, str)
            for place in (path, operand) if renamed else (path,):
                if "" in place.split("."):
                    message = f"The update path '{place}' contains an empty field name, which is not allowed."
                    raise CommandError(56, message)
            if path.startswith("$"):
                raise CommandError(
                    52, f"The dollar ($) prefixed field '{path}' in '{path}' is not valid for storage."
                )
            if operator in CHECKS:
                CHECKS[operator](path, operand)
            paths += [path, operand] if renamed else [path]
    if len(paths) > 1:
        paths.sort(key=lambda path: path.split("."))
    for one, other in itertools.pairwise(paths):
        if one == other or other.startswith(one + "."):
            message = f"Updating the path '{other}' would create a conflict at '{one}'"
            raise CommandError(40, message)
    return paths
