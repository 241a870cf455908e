"""The operators of arrays, sets and objects that need no expression of their own.

It must not know documents: an operator gets the values of its arguments.

Source: "Array", "Set" and "Object Expression Operators" in MongoDB's manual; codes from `expression.cpp` of
MongoDB 6.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from ...errors import expect
from ..values import MISSING, Document, order_key, type_name
from .converting import truthy
from .strings import bounds
from .table import Check, Plain, is_null, over


def _element(items: list[Any], place: int) -> Any:
    return items[place] if -len(items) <= place < len(items) else MISSING


def _to_object(pairs: list[Any]) -> Document:
    result: Document = {}
    for pair in pairs:
        first = type_name(pairs[0])
        expect(first in ("array", "object"), 40398, f"Unrecognised input for $arrayToObject: {first}")
        lists = first == "array"
        expect(type_name(pair) == first, 40396 if lists else 40391, "$arrayToObject needs consistent pairs")
        expect(len(pair) == 2, 40397 if lists else 40392, "$arrayToObject needs pairs of key and value")
        expect(lists or set(pair) == {"k", "v"}, 40393, "$arrayToObject requires the keys 'k' and 'v'")
        key, value = pair if lists else (pair["k"], pair["v"])
        expect(isinstance(key, str), 40395 if lists else 40394, f"{type_name(key)} is no type of a key")
        result[key] = value
    return result


def _index_of(items: list[Any], wanted: Any, *limits: int) -> int:
    start, end = bounds("$indexOfArray", len(items), limits)
    keys = [order_key(item) for item in items[:end]]
    found = (at for at in range(start, end) if wanted is not MISSING and keys[at] == order_key(wanted))
    return next(found, -1)


def merge_objects(values: Iterable[Any]) -> Document:
    """One document of several, nulls left out; a later field replaces an earlier one."""
    result: Document = {}
    for value in values:
        valid = is_null(value) or isinstance(value, dict)
        expect(valid, 40400, f"$mergeObjects requires object inputs, but input is of type {type_name(value)}")
        result.update({} if is_null(value) else value)
    return result


def _range(start: int, end: int, step: int = 1) -> list[int]:
    expect(step != 0, 34449, "$range requires a non-zero step value")
    numbers = range(start, end, step)
    expect(len(numbers) <= 1_000_000, 146, "$range would use too much memory")
    return list(numbers)


def _slice(items: list[Any], start: int, count: int | None = None) -> list[Any]:
    if count is None:
        return items[:start] if start >= 0 else items[start:]
    expect(count > 0, 28729, f"Third argument to $slice must be positive: {count}")
    low = start if start >= 0 else max(0, len(items) + start)
    return items[low : low + count]


def distinct(values: Iterable[Any]) -> dict[Any, Any]:
    """The different values by their keys, the first of equal ones."""
    found: dict[Any, Any] = {}
    for value in values:
        found.setdefault(order_key(value), value)
    return found


def _union(*lists: list[Any]) -> list[Any]:
    found = distinct(itertools.chain(*lists))
    return [found[key] for key in sorted(found)]


def _intersection(*lists: list[Any]) -> list[Any]:
    sets = [distinct(items) for items in lists]
    return [sets[0][key] for key in sorted(set.intersection(*map(set, sets)))] if sets else []


def _difference(one: list[Any], other: list[Any]) -> list[Any]:
    unwanted = distinct(other)
    return [value for key, value in distinct(one).items() if key not in unwanted]


def _equal_sets(first: list[Any], *others: list[Any]) -> bool:
    return all(distinct(items).keys() == distinct(first).keys() for items in others)


def _array(code: int, *more: Check) -> tuple[Check, ...]:
    return (Check("array", code), *more)


_ANY = Check("any", 0)
_INDEX = Check("int32", 28690, 28691)
_OBJECT = (Check("object", 40390),)
_SUBSET = _array(17046, Check("array", 17042))
_RANGE = (Check("int32", 34443, 34444), Check("int32", 34445, 34446), Check("int32", 34447, 34448))
_SLICE = _array(28724, Check("int32", 28725, 28726), Check("int32", 28727, 28728))

OPERATORS: dict[str, Plain] = {
    "$allElementsTrue": Plain(lambda items: all(map(truthy, items)), _array(17040), nulls="none"),
    "$anyElementTrue": Plain(lambda items: any(map(truthy, items)), _array(17041), nulls="none"),
    "$arrayElemAt": Plain(_element, _array(28689, _INDEX), 2, 2),
    "$arrayToObject": Plain(_to_object, _array(40386)),
    "$concatArrays": Plain(lambda *lists: [*itertools.chain(*lists)], _array(28664), 0, None, "in order"),
    "$first": Plain(lambda items: _element(items, 0), _array(28689)),
    "$in": Plain(lambda value, items: value is not MISSING and order_key(value) in distinct(items),
                 (_ANY, Check("array", 40081)), 2, 2, "none"),
    "$indexOfArray": Plain(_index_of, _array(40090, _ANY, Check("int32", 40096, 40096)), 2, 4, "first"),
    "$isArray": Plain(lambda value: isinstance(value, list), nulls="none"),
    "$last": Plain(lambda items: _element(items, -1), _array(28689)),
    "$mergeObjects": over(merge_objects),
    "$objectToArray": Plain(lambda value: [{"k": k, "v": v} for k, v in value.items()], _OBJECT),
    "$range": Plain(_range, _RANGE, 2, 3, "none"),
    "$reverseArray": Plain(lambda items: items[::-1], _array(34435)),
    "$setDifference": Plain(_difference, _array(17048, Check("array", 17049)), 2, 2),
    "$setEquals": Plain(_equal_sets, _array(17044), 2, None, "none", 17045),
    "$setIntersection": Plain(_intersection, _array(17047), 0, None, "in order"),
    "$setIsSubset": Plain(lambda a, b: distinct(a).keys() <= distinct(b).keys(), _SUBSET, 2, 2, "none"),
    "$setUnion": Plain(_union, _array(17043), 0, None, "in order"),
    "$size": Plain(len, _array(17124), nulls="none"),
    "$slice": Plain(_slice, _SLICE, 2, 3),
}  # fmt: skip
