"""Queries: a filter document becomes a function that says whether a document matches.

It must not know where the documents come from.

Source: "Query and Projection Operators" in MongoDB's manual.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bson import Regex

from ..errors import CommandError, not_implemented
from .expressions import compile_condition
from .query_operators import OPERATORS, Condition, any_item, equals, is_operators, negate, regex
from .values import MISSING, Document, Predicate, leaves

_UNSUPPORTED_TOP = frozenset({"$where", "$text", "$jsonSchema", "$sampleRate", "$rand"})
_UNSUPPORTED = frozenset(
    {"$near", "$nearSphere", "$geoWithin", "$geoIntersects", "$maxDistance", "$minDistance", "$within"}
)


def compile_query(query: Document) -> Predicate:
    """Make a predicate of a filter document, as a client sent it: a function that says whether a document
    matches. CommandError 2 for a filter that MongoDB refuses too, 238 for an operator that this server does
    not have.
    """
    if not isinstance(query, dict):
        raise CommandError(14, f"a filter must be a document, not {type(query).__name__}")
    tests = [_clause(name, condition) for name, condition in query.items() if name != "$comment"]
    if len(tests) == 1:
        return tests[0]
    return lambda document: all(test(document) for test in tests)


def _clause(name: str, condition: Any) -> Predicate:
    if name in ("$and", "$or", "$nor"):
        return _logical(name, condition)
    if name == "$expr":
        return compile_condition(condition)
    if name in ("$alwaysTrue", "$alwaysFalse"):
        return lambda _: name == "$alwaysTrue"
    if name in _UNSUPPORTED_TOP:
        raise not_implemented(f"the query operator {name}")
    if name.startswith("$"):
        raise CommandError(2, f"unknown top level operator: {name}")
    parts = name.split(".")
    test = _condition(condition)
    if len(parts) == 1:
        return lambda document: test([document.get(name, MISSING)] if isinstance(document, dict) else [])
    return lambda document: test(list(leaves(document, parts)))


def _logical(name: str, conditions: Any) -> Predicate:
    if not isinstance(conditions, list) or not conditions:
        raise CommandError(2, f"{name} argument must be a nonempty array")
    tests = [compile_query(condition) for condition in conditions]
    if name == "$and":
        return lambda document: all(test(document) for test in tests)
    if name == "$or":
        return lambda document: any(test(document) for test in tests)
    return lambda document: not any(test(document) for test in tests)


def _condition(value: Any) -> Condition:
    if not is_operators(value):
        return equals(value)
    tests = [_operator(name, operand, value) for name, operand in value.items()]
    if len(tests) == 1:
        return tests[0]
    return lambda found: all(test(found) for test in tests)


def _operator(name: str, operand: Any, siblings: Document) -> Condition:
    make = _OPERATORS.get(name)
    if make is not None:
        return make(operand)
    if name == "$regex":
        if isinstance(operand, Regex) and operand.flags and "$options" in siblings:
            first = next(each for each in siblings if each in ("$regex", "$options"))
            raise CommandError(
                51075 if first == "$regex" else 51074, "options set in both $regex and $options"
            )
        return any_item(regex(operand, siblings.get("$options", "")))
    if name == "$options":
        if "$regex" not in siblings:
            raise CommandError(2, "$options needs a $regex")
        return lambda _: True
    if name in _UNSUPPORTED:
        raise not_implemented(f"the query operator {name}")
    raise CommandError(2, f"unknown operator: {name}")


def _not(operand: Any) -> Condition:
    if isinstance(operand, Regex | re.Pattern):
        return negate(equals(operand))
    if not is_operators(operand):
        raise CommandError(2, "$not needs a regex or a document of operators")
    return negate(_condition(operand))


def _all(operand: Any) -> Condition:
    if not isinstance(operand, list):
        raise CommandError(2, "$all needs an array")
    tests = [_condition(item) if is_operators(item) else equals(item) for item in operand]
    return lambda found: bool(tests) and all(test(found) for test in tests)


def _element_match(operand: Any) -> Condition:
    if not isinstance(operand, dict):
        raise CommandError(2, "$elemMatch needs an Object")
    if "$expr" in operand:
        raise CommandError(2, "$expr can only be applied to the top-level document")
    if is_operators(operand) and next(iter(operand)) not in ("$and", "$or", "$nor"):
        condition = _condition(operand)

        def test(item: Any) -> bool:
            return condition([item])
    else:
        query = compile_query(operand)

        def test(item: Any) -> bool:
            if isinstance(item, list):  # a document whose fields are numbers
                item = {str(place): value for place, value in enumerate(item)}
            return isinstance(item, dict) and query(item)

    return lambda found: any(isinstance(value, list) and any(map(test, value)) for value in found)


_OPERATORS: dict[str, Callable[[Any], Condition]] = {
    **OPERATORS,
    "$not": _not,
    "$all": _all,
    "$elemMatch": _element_match,
}
