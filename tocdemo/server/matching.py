"""Queries: a filter document becomes a function that says whether a document matches.

Storage and the pipelines call `compile_query`. It is ours rather than mongomock's because there `1` matches
`True`, half of BSON's types do not compare, and every document is searched afresh; `$expr` alone goes to
mongomock.

Source: "Query and Projection Operators" in MongoDB's manual.
"""

from __future__ import annotations

import datetime
import operator
import re
from collections.abc import Callable
from typing import Any

from bson import Code, DatetimeMS, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from mongomock import aggregate, filtering

from .errors import CommandError, not_implemented
from .values import MISSING, Document, is_number, leaves, order_key

Predicate = Callable[[Any], bool]

_UNSUPPORTED_TOP = frozenset({"$where", "$text", "$jsonSchema", "$sampleRate", "$rand"})
_UNSUPPORTED = frozenset(
    {"$near", "$nearSphere", "$geoWithin", "$geoIntersects", "$maxDistance", "$minDistance", "$within"}
)


def compile_query(query: Document) -> Predicate:
    """Make a predicate of a filter document.

    Args:
        query: the filter, as a client sent it.

    Returns:
        A function that takes a document and returns whether it matches.

    Raises:
        CommandError: 2 for a filter that MongoDB refuses too, 238 for an operator that this server does not
        have.
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
        return _expression(condition)
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


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": operator.eq,
    "$ne": operator.ne,
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def _expression(expression: Any) -> Predicate:
    """`$expr`. Comparisons are ours, because mongomock's fail on a missing field and take 1 for True."""
    if isinstance(expression, dict) and len(expression) == 1:
        ((name, operands),) = expression.items()
        if name in _COMPARISONS and isinstance(operands, list) and len(operands) == 2:
            compare, (left, right) = _COMPARISONS[name], operands
            return lambda document: compare(_operand_key(left, document), _operand_key(right, document))
        if name in ("$and", "$or") and isinstance(operands, list):
            tests = [_expression(operand) for operand in operands]
            combine = all if name == "$and" else any
            return lambda document: combine(test(document) for test in tests)
    return lambda document: bool(filtering.filter_applies({"$expr": expression}, document))


def _operand_key(expression: Any, document: Document) -> tuple[Any, ...]:
    value = evaluate(expression, document)
    return (0.5,) if value is MISSING else order_key(value)  # a missing field comes before null here


def evaluate(expression: Any, document: Document) -> Any:
    """The value of an aggregation expression for a document, by mongomock; MISSING when there is none."""
    if isinstance(expression, dict) and list(expression) == ["$literal"]:
        return expression["$literal"]
    if isinstance(expression, dict) and list(expression) == ["$setField"]:
        return _set_field(expression["$setField"], document)
    (result,) = aggregate.process_pipeline([document], None, [{"$addFields": {_RESULT: expression}}], None)
    return result.get(_RESULT, MISSING)


_RESULT = "tocdemo result"


def _set_field(options: Document, document: Document) -> Any:
    """`$setField`, which alone can name a field with a dot or a dollar; mongomock has it not."""
    name = evaluate(options["field"], document)
    holder = evaluate(options["input"], document)
    if not isinstance(name, str) or not isinstance(holder, dict):
        raise CommandError(4161107, "$setField needs 'field', a constant string, and 'input', an object")
    return {**holder, name: evaluate(options["value"], document)}


# A condition is tested against the list of all values that its path reaches.
Condition = Callable[[list[Any]], bool]


def _is_operators(value: Any) -> bool:
    return isinstance(value, dict) and next(iter(value), "").startswith("$") and "$ref" not in value


def _condition(value: Any) -> Condition:
    if not _is_operators(value):
        return _equals(value)
    tests = [_operator(name, operand, value) for name, operand in value.items()]
    if len(tests) == 1:
        return tests[0]
    return lambda found: all(test(found) for test in tests)


def _operator(name: str, operand: Any, siblings: Document) -> Condition:
    make = _OPERATORS.get(name)
    if make is not None:
        return make(operand)
    if name == "$regex":
        return _any_item(_regex(operand, siblings.get("$options", "")))
    if name == "$options":
        if "$regex" not in siblings:
            raise CommandError(2, "$options needs a $regex")
        return lambda _: True
    if name in _UNSUPPORTED:
        raise not_implemented(f"the query operator {name}")
    raise CommandError(2, f"unknown operator: {name}")


def _any_item(test: Predicate) -> Condition:
    """True when a value, or an item of a value that is an array, passes."""

    def found_any(found: list[Any]) -> bool:
        for value in found:
            if test(value):
                return True
            if isinstance(value, list) and any(map(test, value)):
                return True
        return False

    return found_any


def _negate(test: Condition) -> Condition:
    return lambda found: not test(found)


def _equals(operand: Any) -> Condition:
    if isinstance(operand, Regex | re.Pattern):
        return _any_item(_regex(operand, ""))
    return _any_item(_equality(operand))


def _equality(operand: Any) -> Predicate:
    if operand is None:
        return lambda value: value is None or value is MISSING
    key = order_key(operand)
    return lambda value: value is not MISSING and order_key(value) == key


def _comparison(accept: Callable[[Any, Any], bool], *, equal: bool) -> Callable[[Any], Condition]:
    def make(operand: Any) -> Condition:
        key = order_key(operand)
        everything = isinstance(operand, MinKey | MaxKey)

        def test(value: Any) -> bool:
            if value is MISSING:
                return operand is None and equal
            other = order_key(value)
            return (other[0] == key[0] or everything) and accept(other, key)

        return _any_item(test)

    return make


def _in(operand: Any) -> Condition:
    if not isinstance(operand, list):
        raise CommandError(2, "$in needs an array")
    for item in operand:
        if _is_operators(item):
            raise CommandError(2, f"cannot nest $ under $in: {next(iter(item))}")
    patterns = [_regex(item, "") for item in operand if isinstance(item, Regex | re.Pattern)]
    keys = {order_key(item) for item in operand}
    null = None in operand

    def test(value: Any) -> bool:
        if value is MISSING:
            return null
        return order_key(value) in keys or any(pattern(value) for pattern in patterns)

    return _any_item(test)


def _not(operand: Any) -> Condition:
    if isinstance(operand, Regex | re.Pattern):
        return _negate(_equals(operand))
    if not _is_operators(operand):
        raise CommandError(2, "$not needs a regex or a document of operators")
    return _negate(_condition(operand))


def _exists(operand: Any) -> Condition:
    if operand:
        return lambda found: any(value is not MISSING for value in found)
    return lambda found: all(value is MISSING for value in found)


def _regex(pattern: Any, options: str) -> Predicate:
    flags = 0
    if isinstance(pattern, Regex | re.Pattern):
        flags, pattern = int(pattern.flags) & ~re.UNICODE, pattern.pattern
    if not isinstance(pattern, str) or not isinstance(options, str):
        raise CommandError(2, "$regex and $options have to be strings")
    for option in options:
        if option not in "imsxu":
            raise CommandError(51108, f"invalid flag in regex options: {option}")
        flags |= {"i": re.I, "m": re.M, "s": re.S, "x": re.X, "u": 0}[option]
    try:
        compiled = re.compile(pattern, flags & ~re.LOCALE)
    except (re.error, RecursionError, OverflowError) as error:
        raise CommandError(51091, f"Regular expression is invalid: {error}") from None
    own = (50, pattern, flags)

    def test(value: Any) -> bool:
        if isinstance(value, str):
            return compiled.search(value) is not None
        return isinstance(value, Regex | re.Pattern) and order_key(value) == own

    return test


def _size(operand: Any) -> Condition:
    if not is_number(operand) or operand != int(operand) or operand < 0:
        raise CommandError(2, f"Failed to parse $size. Expected a non-negative whole number: {operand}")
    return lambda found: any(isinstance(value, list) and len(value) == operand for value in found)


def _all(operand: Any) -> Condition:
    if not isinstance(operand, list):
        raise CommandError(2, "$all needs an array")
    tests = [_condition(item) if _is_operators(item) else _equals(item) for item in operand]
    return lambda found: bool(tests) and all(test(found) for test in tests)


def _element_match(operand: Any) -> Condition:
    if not isinstance(operand, dict):
        raise CommandError(2, "$elemMatch needs an Object")
    if _is_operators(operand) and next(iter(operand)) not in ("$and", "$or", "$nor", "$expr"):
        condition = _condition(operand)

        def test(item: Any) -> bool:
            return condition([item])
    else:
        query = compile_query(operand)

        def test(item: Any) -> bool:
            return isinstance(item, dict | list) and query(item)

    return lambda found: any(isinstance(value, list) and any(map(test, value)) for value in found)


def _modulo(operand: Any) -> Condition:
    if not isinstance(operand, list) or len(operand) != 2 or not all(map(is_number, operand)):
        raise CommandError(2, "malformed mod, needs to be an array of two numbers")
    divisor, remainder = (int(_float(number)) for number in operand)
    if divisor == 0:
        raise CommandError(2, "divisor cannot be 0")

    def test(value: Any) -> bool:
        if not is_number(value) or _float(value) - _float(value) != 0:  # NaN and the infinities
            return False
        whole = int(_float(value))
        return abs(whole) % abs(divisor) * (1 if whole >= 0 else -1) == remainder

    return _any_item(test)


def _float(number: Any) -> Any:
    return number.to_decimal() if isinstance(number, Decimal128) else number


_TYPES: dict[str, tuple[int, Predicate]] = {
    "double": (1, lambda v: isinstance(v, float)),
    "string": (2, lambda v: isinstance(v, str) and not isinstance(v, Code)),
    "object": (3, lambda v: isinstance(v, dict | DBRef)),
    "array": (4, lambda v: isinstance(v, list)),
    "binData": (5, lambda v: isinstance(v, bytes)),
    "undefined": (6, lambda v: False),
    "objectId": (7, lambda v: isinstance(v, ObjectId)),
    "bool": (8, lambda v: isinstance(v, bool)),
    "date": (9, lambda v: isinstance(v, datetime.datetime | DatetimeMS)),
    "null": (10, lambda v: v is None),
    "regex": (11, lambda v: isinstance(v, Regex | re.Pattern)),
    "javascript": (13, lambda v: isinstance(v, Code)),
    "int": (16, lambda v: isinstance(v, int) and not isinstance(v, bool | Int64) and -(2**31) <= v < 2**31),
    "timestamp": (17, lambda v: isinstance(v, Timestamp)),
    "long": (18, lambda v: isinstance(v, Int64) or (isinstance(v, int) and not -(2**31) <= v < 2**31)),
    "decimal": (19, lambda v: isinstance(v, Decimal128)),
    "minKey": (-1, lambda v: isinstance(v, MinKey)),
    "maxKey": (127, lambda v: isinstance(v, MaxKey)),
    "number": (0, is_number),
}


def _type(operand: Any) -> Condition:
    names = operand if isinstance(operand, list) else [operand]
    tests = []
    for name in names:
        found = [test for key, (code, test) in _TYPES.items() if name == key or (name == code and code)]
        if not found:
            raise CommandError(2, f"Unknown type name alias or code: {name}")
        tests += found
    return _any_item(lambda value: value is not MISSING and any(test(value) for test in tests))


def _bits(wanted: Callable[[int, int], bool]) -> Callable[[Any], Condition]:
    def make(operand: Any) -> Condition:
        mask = _bit_mask(operand)

        def test(value: Any) -> bool:
            if isinstance(value, bytes):
                value = int.from_bytes(value, "little")
            whole = is_number(value) and not isinstance(value, Decimal128) and value == value // 1
            return whole and wanted(int(value), mask)

        return _any_item(test)

    return make


def _bit_mask(operand: Any) -> int:
    if isinstance(operand, list) and all(isinstance(bit, int) and 0 <= bit < 1 << 20 for bit in operand):
        return sum({1 << bit for bit in operand})
    if isinstance(operand, bytes):
        return int.from_bytes(operand, "little")
    if is_number(operand) and operand >= 0:
        return int(operand)
    raise CommandError(9, "a bit mask must be a number, bit positions or binary data")


_OPERATORS: dict[str, Callable[[Any], Condition]] = {
    "$eq": _equals,
    "$ne": lambda operand: _negate(_equals(operand)),
    "$gt": _comparison(lambda a, b: a > b, equal=False),
    "$gte": _comparison(lambda a, b: a >= b, equal=True),
    "$lt": _comparison(lambda a, b: a < b, equal=False),
    "$lte": _comparison(lambda a, b: a <= b, equal=True),
    "$in": _in,
    "$nin": lambda operand: _negate(_in(operand)),
    "$not": _not,
    "$exists": _exists,
    "$type": _type,
    "$size": _size,
    "$all": _all,
    "$elemMatch": _element_match,
    "$mod": _modulo,
    "$bitsAllSet": _bits(lambda value, mask: value & mask == mask),
    "$bitsAnySet": _bits(lambda value, mask: value & mask != 0),
    "$bitsAllClear": _bits(lambda value, mask: value & mask == 0),
    "$bitsAnyClear": _bits(lambda value, mask: value & mask != mask),
    "$comment": lambda operand: lambda found: True,
}


def equality_fields(query: Document) -> Document:
    """The fields that a filter fixes to one value: an upsert starts from them.

    Args:
        query: a filter that compiled.

    Returns:
        Dotted path to value.
    """
    fields: Document = {}
    for name, condition in query.items():
        if name == "$and":
            for part in condition:
                fields.update(equality_fields(part))
        elif name.startswith("$"):
            continue
        elif not _is_operators(condition):
            if not isinstance(condition, Regex | re.Pattern):
                fields[name] = condition
        elif "$eq" in condition:
            fields[name] = condition["$eq"]
        elif isinstance(condition.get("$in"), list) and len(condition["$in"]) == 1:
            fields[name] = condition["$in"][0]
    return fields


def positional_index(query: Document, document: Document, path: list[str]) -> int | None:
    """The index that `$` stands for: the first item of the array at `path` that the query's own clauses
    match.

    Args:
        query: the update's filter.
        document: the document that it matched.
        path: the path of the array, split at its dots.
    """
    prefix = ".".join(path)
    clauses = _clauses_below(query, prefix)
    array: Any = document
    for part in path:
        array = array.get(part) if isinstance(array, dict) else None
    if not clauses or not isinstance(array, list):
        return None
    test = compile_query({"$and": clauses})
    for index, item in enumerate(array):
        single: Any = [item]
        for part in reversed(path):
            single = {part: single}
        if test(single):
            return index
    return None


def _clauses_below(query: Document, prefix: str) -> list[Document]:
    clauses = []
    for name, condition in query.items():
        if name == "$and":
            clauses += [clause for part in condition for clause in _clauses_below(part, prefix)]
        elif name == prefix or name.startswith(prefix + "."):
            clauses.append({name: condition})
    return clauses
