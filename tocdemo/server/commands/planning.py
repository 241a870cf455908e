"""Plans: by which index, and in which order, a query finds its documents.

They must not know commands. An index is walked only when a hint says so, for MongoDB promises no order
without one; otherwise a plan is what `explain` tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..errors import CommandError, not_implemented
from ..query.matching import compile_query
from ..query.ordering import sort_documents
from ..query.values import Document
from ..storage import Collection, Index

_COMPARISONS = frozenset({"$eq", "$lt", "$lte", "$gt", "$gte"})


@dataclass(frozen=True)
class Plan:
    """A way to a query's documents: along an index, or with None through the collection; forward (1) or
    backward (-1); `sorts` says whether they are sorted after that.
    """

    index: Index | None
    direction: int
    sorts: bool

    def walk(self, documents: Iterable[Document], query: Document) -> list[Document]:
        """The documents, which match the query, in the plan's order, without those that its index lacks."""
        found = list(documents)
        if self.index is not None:
            keys = [self.index.keys(document) for document in found]
            if any(len(key) > 1 for key in keys) and _conditions(query).keys() & self.index.pattern.keys():
                raise not_implemented("a hint at an index over arrays, with a condition on its fields,")
            found = [document for document, key in zip(found, keys, strict=True) if key]
            found = sort_documents(found, _directions(self.index.pattern))
        return found[:: self.direction]


def choose(collection: Collection | None, query: Document, sort: Document | None, hint: Any) -> Plan:
    """The plan of a query. CommandError 2 for a hint at an index that is not there, 238 for one at a partial
    index whose filter the query does not imply.
    """
    if isinstance(hint, dict) and "$natural" in hint:
        return Plan(None, 1 if hint["$natural"] > 0 else -1, bool(sort))
    if collection is None:
        return Plan(None, 1, bool(sort))
    if hint:
        return _along(_hinted(collection, query, hint), sort)
    conditions = _conditions(query)
    usable = [index for index in collection.indexes.values() if _covers(index, query)]
    useful = [index for index in usable if _narrows(index, conditions)]
    if useful:
        return _along(max(useful, key=lambda index: _prefix(index, conditions)), sort)
    for index in usable:
        if sort and not _along(index, sort).sorts and not index.specification.get("sparse"):
            return _along(index, sort)
    return Plan(None, 1, bool(sort))


def _hinted(collection: Collection, query: Document, hint: Any) -> Index:
    for index in collection.indexes.values():
        if index.name == hint or (isinstance(hint, dict) and [*index.pattern.items()] == [*hint.items()]):
            if not _covers(index, query):
                raise not_implemented("a hint at a partial index whose filter the query does not imply")
            return index
    message = "hint provided does not correspond to an existing index"
    raise CommandError(2, f"error processing query: planner returned error :: caused by :: {message}")


def _along(index: Index, sort: Document | None) -> Plan:
    pattern, wanted = list(_directions(index.pattern).items()), list((sort or {}).items())
    if wanted == pattern[: len(wanted)]:
        return Plan(index, 1, False)
    if [(path, -direction) for path, direction in pattern[: len(wanted)]] == wanted:
        return Plan(index, -1, False)
    return Plan(index, 1, True)


def _directions(pattern: Document) -> Document:
    return {path: 1 if direction > 0 else -1 for path, direction in pattern.items()}


def _conditions(query: Document) -> Document:
    """The query's conditions by field, those of $and too; of several on one field the last."""
    found: Document = {}
    for name, condition in query.items():
        if name == "$and":
            for part in condition:
                found |= _conditions(part)
        elif not name.startswith("$"):
            found[name] = condition
    return found


def names_one(query: Document) -> bool:
    """Whether the query asks for one `_id`, and nothing else."""
    wanted = query.get("_id")
    operators = isinstance(wanted, dict) and next(iter(wanted), "").startswith("$")
    return query.keys() == {"_id"} and not operators


def _narrows(index: Index, conditions: Document) -> bool:
    """Whether the index has less to look at than the collection; a sparse one has not what is missing."""
    path = next(iter(index.pattern))
    sparse = index.specification.get("sparse")
    return path in conditions and not (sparse and compile_query({path: conditions[path]})({}))


def _prefix(index: Index, conditions: Document) -> int:
    return next((n for n, path in enumerate(index.pattern) if path not in conditions), len(index.pattern))


def _covers(index: Index, query: Document) -> bool:
    """Whether every document that matches is in the index, as far as its filter goes."""
    conditions = _conditions(query)
    partial = index.specification.get("partialFilterExpression") or {}
    return all(_implies(path, conditions.get(path), wanted) for path, wanted in partial.items())


def _implies(path: str, condition: Any, wanted: Any) -> bool:
    accepts: Callable[[Document], bool] = compile_query({path: wanted})
    if condition == wanted or condition is None:
        return condition is not None
    operators = condition if isinstance(condition, dict) else {"$eq": condition}
    if len(operators) != 1 or not operators.keys() <= _COMPARISONS:
        return False
    ((operator, value),) = operators.items()
    same = operator == "$eq" or (isinstance(wanted, dict) and wanted.keys() == {operator})
    return same and accepts({path: value})
