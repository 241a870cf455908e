"""The keys by which documents sort and stand in indexes: of an array, one for each item.

It must not know collections.

Source: "Multikey Indexes" and "Sort Consistency" in MongoDB's manual; `btree_key_generator.cpp` and
`sort_key_generator.cpp` of MongoDB.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import Any, NamedTuple

from ..errors import CommandError, not_implemented
from .values import MISSING, Document, Key, order_key

Row = list[Any]  # of keys, None where a document has nothing
NULL_KEY: Key = (5,)
_EMPTY: Key = (1,)  # an empty array comes before null


def key_rows(document: Document, paths: Iterable[list[str]]) -> list[Row]:
    """The keys of what stands at these paths, each split at its dots: one row, or one for each item of the
    array on their way. CommandError 171 when they lead through two arrays side by side.
    """
    return _rows([_walk(document, path) for path in paths])


class _Array(NamedTuple):
    """An array on the way, and the path that is left below it."""

    items: list[Any]
    rest: list[str]


def _walk(value: Any, parts: list[str]) -> Key | _Array | None:
    for place, part in enumerate(parts):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return _Array(value, parts[place:]) if isinstance(value, list) else None
    return _Array(value, []) if isinstance(value, list) else order_key(value)


def _rows(columns: list[Key | _Array | None]) -> list[Row]:
    arrays = {id(each.items): each.items for each in columns if isinstance(each, _Array)}
    if not arrays:
        return [columns]
    if len(arrays) > 1:
        raise CommandError(171, "cannot index parallel arrays")
    (items,) = arrays.values()
    found: list[Row] = []
    for item in items or [MISSING]:
        found += _rows([_below(item, each.rest) if isinstance(each, _Array) else each for each in columns])
    return found


def _below(item: Any, rest: list[str]) -> Key | _Array | None:
    """An item's key, or what a path leads to from it: an array right in an array is a plain value."""
    if rest:
        return _walk(item, rest) if isinstance(item, dict) else None
    return _EMPTY if item is MISSING else order_key(item)


def sort_documents(documents: list[Document], order: Document) -> list[Document]:
    """The documents sorted as `sort` says: field to 1 or -1; one with an array by the first of its rows.
    CommandError 2 for two arrays side by side, 15975 and 238 as `check_sort`.
    """
    check_sort(order)
    if not order:
        return documents
    if "$natural" in order:
        return documents[:: order["$natural"]]
    paths, directions = [path.split(".") for path in order], list(order.values())
    try:
        placed = [(_first_row(document, paths, directions), document) for document in documents]
    except CommandError as error:
        raise CommandError(2, "cannot sort with keys that are parallel arrays") from error
    for column, direction in reversed(list(enumerate(directions))):
        placed.sort(key=lambda pair: pair[0][column], reverse=direction < 0)
    return [document for _, document in placed]


def _first_row(document: Document, paths: list[list[str]], directions: list[int]) -> Row:
    rows = [[key or NULL_KEY for key in row] for row in key_rows(document, paths)]
    if len(rows) > 1:
        for column, direction in reversed(list(enumerate(directions))):
            rows.sort(key=itemgetter(column), reverse=direction < 0)
    return rows[0]


def check_sort(order: Document) -> None:
    """Refuse (15975, 238) an order that is none, or by an expression."""
    for path, direction in order.items():
        if isinstance(direction, dict):
            raise not_implemented(f"sorting by an expression ({path})")
        if isinstance(direction, bool) or direction not in (1, -1):
            raise CommandError(
                15975, f"$sort key ordering must be 1 (for ascending) or -1 (for descending): {path}"
            )
