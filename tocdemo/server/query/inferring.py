"""What a filter says of the document that it found, or did not: the fields of an upsert, the index of `$`.

It must not know what is done with them.

Source: "$ (update)" and "Upsert Behavior" in MongoDB's manual; `path_support.cpp`, `expression.h` and
`canonical_query.cpp` of MongoDB.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

from bson import Regex

from ..errors import expect
from .matching import compile_query
from .query_operators import is_operators
from .values import Document


def equality_fields(query: Document, *, only_id: bool) -> Document:
    """The fields that a filter (one that compiled) fixes to one value, dotted path to value: an upsert starts
    from them, a replacement (`only_id`) from the `_id`. CommandError 54 when it fixes one twice, 55 when it
    fixes a part of a replacement's `_id`.
    """
    found = list(_equalities(query))
    if only_id:
        found = [pair for pair in found if pair[0].partition(".")[0] == "_id"]
        for path, _ in found:
            exactly = f"field at '_id' must be exactly specified, field at sub-path '{path}' found"
            expect(path == "_id", 55, exactly)
    paths = sorted((path for path, _ in found), key=lambda path: path.split("."))
    for one, other in itertools.pairwise(paths):
        begin = "cannot infer query fields to set"
        expect(one != other, 54, f"{begin}, path '{one}' is matched twice")
        expect(not other.startswith(f"{one}."), 54, f"{begin}, both paths '{one}' and '{other}' are matched")
    return dict(found)


def _equalities(query: Document) -> Iterator[tuple[str, Any]]:
    for name, condition in query.items():
        if name == "$and" or (name == "$or" and len(condition) == 1):
            for part in condition:
                yield from _equalities(part)
        elif name.startswith("$"):
            continue
        elif not is_operators(condition):
            yield from _plain(name, [condition])
        elif "$eq" in condition:
            yield name, condition["$eq"]
        elif isinstance(condition.get("$in"), list) and len(condition["$in"]) == 1:
            yield from _plain(name, condition["$in"])
        elif isinstance(condition.get("$all"), list):
            yield from _plain(name, condition["$all"])


def _plain(name: str, values: list[Any]) -> Iterator[tuple[str, Any]]:
    for value in values:
        if not isinstance(value, Regex | re.Pattern) and not is_operators(value):
            yield name, value


# The order in which MongoDB tries the clauses of a filter: MatchType in expression.h. Others record no index.
_ORDER = [
    "$elemMatch", "$eq", "$lte", "$lt", "$gt", "$gte", "$regex", "$mod", "$in",
    "$bitsAllSet", "$bitsAllClear", "$bitsAnySet", "$bitsAnyClear", "$type",
]  # fmt: skip
_Clause = tuple[int, str, Any]  # place in the order, path, condition


def positional_index(query: Document, document: Document) -> int | None:
    """The index that `$` stands for in a document that the filter found: of the first item that fits the last
    of the filter's clauses about an array. None if there is none.
    """
    index = None
    for _, path, condition in sorted(_clauses(query, document), key=lambda clause: clause[:2]):
        found = _first_item(path, {path: condition}, document)
        index = index if found is None else found
    return index


def _clauses(query: Document, document: Document) -> Iterator[_Clause]:
    for name, condition in query.items():
        if name == "$and":
            for part in condition:
                yield from _clauses(part, document)
        elif name == "$or":
            yield from _alternative(condition, document)
        elif name.startswith("$"):
            continue
        elif not is_operators(condition):
            yield _ORDER.index("$eq"), name, condition
        else:
            yield from _of_operators(name, condition, document)


def _of_operators(path: str, condition: Document, document: Document) -> Iterator[_Clause]:
    for operator, operand in condition.items():
        if operator == "$all":
            yield from itertools.chain(*(_clauses({path: one}, document) for one in operand))
        elif operator in _ORDER:
            options = {"$options": condition.get("$options", "")} if operator == "$regex" else {}
            yield _ORDER.index(operator), path, {operator: operand, **options}


def _alternative(parts: list[Document], document: Document) -> Iterator[_Clause]:
    """The first part that fits; equalities of one field are one `$in`."""
    pairs = [pair for part in parts for pair in part.items()]
    paths, values = {path for path, _ in pairs}, [value for _, value in pairs]
    if len(paths) == 1 and not any(map(is_operators, values)) and not next(iter(paths)).startswith("$"):
        yield _ORDER.index("$in"), paths.pop(), {"$in": values}
        return
    for part in parts:
        if compile_query(part)(document):
            yield from _clauses(part, document)
            return


def _first_item(path: str, clause: Document, document: Document) -> int | None:
    """The index of the first item that fits, of the first array on the path."""
    value: Any = document
    walked: list[str] = []
    for part in path.split("."):
        if isinstance(value, list):
            break
        value = value.get(part) if isinstance(value, dict) else None
        walked.append(part)
    if not isinstance(value, list):
        return None
    test = compile_query(clause)
    for index, item in enumerate(value):
        single: Any = [item]
        for part in reversed(walked):
            single = {part: single}
        if test(single):
            return index
    return None
