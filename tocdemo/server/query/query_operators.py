"""The query operators that hold no other condition: equality, order, `$in`, `$regex`, `$type`, bits and such.

Each is a function of its operand that returns a condition. It must not know how a filter is put together, nor
documents: a condition sees only the values that a path reached.

Source: "Query and Projection Operators" in MongoDB's manual.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bson import Decimal128, MaxKey, MinKey, Regex

from ..errors import CommandError
from .numbers import to_decimal, to_double, to_whole
from .values import MISSING, Predicate, is_number, is_text, order_key, type_name

# A condition is tested against the list of all values that its path reaches.
Condition = Callable[[list[Any]], bool]


def is_operators(value: Any) -> bool:
    """Whether a field's condition is a document of operators, not a value to be equal to."""
    return isinstance(value, dict) and next(iter(value), "").startswith("$") and "$ref" not in value


def any_item(test: Predicate) -> Condition:
    """True when a value, or an item of a value that is an array, passes."""

    def found_any(found: list[Any]) -> bool:
        for value in found:
            if test(value):
                return True
            if isinstance(value, list) and any(map(test, value)):
                return True
        return False

    return found_any


def negate(test: Condition) -> Condition:
    """True when the condition is not."""
    return lambda found: not test(found)


def equals(operand: Any) -> Condition:
    """True when a value, or an item of one, equals the operand or, if that is a regex, fits it."""
    if isinstance(operand, Regex | re.Pattern):
        return any_item(regex(operand, ""))
    return any_item(_equality(operand))


def _equality(operand: Any) -> Predicate:
    if operand is None:
        return lambda value: value is None or value is MISSING
    key = order_key(operand)
    return lambda value: value is not MISSING and order_key(value) == key


def _no_regex(operand: Any) -> Any:
    if isinstance(operand, Regex | re.Pattern):
        raise CommandError(2, "Can't have regex as arg to a comparison, but to $eq, $in and $not")
    return operand


def _comparison(accept: Callable[[Any, Any], bool], *, equal: bool) -> Callable[[Any], Condition]:
    def make(operand: Any) -> Condition:
        key = order_key(_no_regex(operand))
        everything = isinstance(operand, MinKey | MaxKey)

        def test(value: Any) -> bool:
            if value is MISSING:
                return operand is None and equal
            other = order_key(value)
            return (other[0] == key[0] or everything) and accept(other, key)

        return any_item(test)

    return make


def _in(operand: Any) -> Condition:
    if not isinstance(operand, list):
        raise CommandError(2, "$in needs an array")
    for item in operand:
        if is_operators(item):
            raise CommandError(2, f"cannot nest $ under $in: {next(iter(item))}")
    patterns = [regex(item, "") for item in operand if isinstance(item, Regex | re.Pattern)]
    keys = {order_key(item) for item in operand}
    null = None in operand

    def test(value: Any) -> bool:
        if value is MISSING:
            return null
        return order_key(value) in keys or any(pattern(value) for pattern in patterns)

    return any_item(test)


def _exists(operand: Any) -> Condition:
    if operand:
        return lambda found: any(value is not MISSING for value in found)
    return lambda found: all(value is MISSING for value in found)


def regex_flags(options: str) -> int:
    """Python's flags for `$options`, letters of "imsxu". CommandError 51108 for another letter."""
    flags = 0
    for option in options:
        if option not in "imsxu":
            raise CommandError(51108, f"invalid flag in regex options: {option}")
        flags |= {"i": re.I, "m": re.M, "s": re.S, "x": re.X, "u": 0}[option]
    return flags


def regex(pattern: Any, options: str) -> Predicate:
    """Whether a string fits a pattern (a string or a compiled one) with `$options`, letters of "imsxu"."""
    flags = 0
    if isinstance(pattern, Regex | re.Pattern):
        flags, pattern = int(pattern.flags) & ~re.UNICODE, pattern.pattern
    if not is_text(pattern) or not is_text(options):
        raise CommandError(2, "$regex and $options have to be strings")
    if "\0" in pattern:
        raise CommandError(51109, "Regular expression cannot contain an embedded null byte")
    flags |= regex_flags(options)
    try:
        compiled = re.compile(pattern, flags & ~re.LOCALE)
    except (re.error, RecursionError, OverflowError) as error:
        raise CommandError(51091, f"Regular expression is invalid: {error}") from None
    own = (50, pattern, flags)

    def test(value: Any) -> bool:
        if is_text(value):
            return compiled.search(value) is not None
        return isinstance(value, Regex | re.Pattern) and order_key(value) == own

    return test


def _size(operand: Any) -> Condition:
    size = to_whole(operand, 64) if is_number(operand) else None
    if size is None or size < 0:
        raise CommandError(2, f"Failed to parse $size. Expected a non-negative whole number: {operand}")
    return lambda found: any(isinstance(value, list) and len(value) == size for value in found)


def _cut(number: Any) -> int | None:
    """A number without its fraction; None for what no long can hold, and for what is no number."""
    if not is_number(number) or not abs(to_double(number)) < 2**63:
        return None
    return int(to_decimal(number) if isinstance(number, Decimal128) else number)


def _modulo(operand: Any) -> Condition:
    divisor, remainder = (
        map(_cut, operand) if isinstance(operand, list) and len(operand) == 2 else (None, None)
    )
    if divisor is None or remainder is None:
        raise CommandError(2, "malformed mod, needs to be an array of two numbers")
    if divisor == 0:
        raise CommandError(2, "divisor cannot be 0")

    def test(value: Any) -> bool:
        whole = _cut(value)
        return whole is not None and abs(whole) % abs(divisor) * (1 if whole >= 0 else -1) == remainder

    return any_item(test)


TYPE_CODES = {
    "double": 1, "string": 2, "object": 3, "array": 4, "binData": 5, "undefined": 6, "objectId": 7,
    "bool": 8, "date": 9, "null": 10, "regex": 11, "dbPointer": 12, "javascript": 13, "symbol": 14,
    "javascriptWithScope": 15, "int": 16, "timestamp": 17, "long": 18, "decimal": 19, "minKey": -1,
    "maxKey": 127,
}  # fmt: skip
_NUMBERS = frozenset({"double", "int", "long", "decimal"})


def _type(operand: Any) -> Condition:
    wanted: set[str] = set()
    for name in operand if isinstance(operand, list) else [operand]:
        found = {key for key, code in TYPE_CODES.items() if name in (key, code)}
        if not found and name != "number":
            raise CommandError(2, f"Unknown type name alias or code: {name}")
        wanted |= found or _NUMBERS
    return any_item(lambda value: type_name(value) in wanted)


def _bits(wanted: Callable[[int, int], bool]) -> Callable[[Any], Condition]:
    def make(operand: Any) -> Condition:
        mask = _bit_mask(operand)

        def test(value: Any) -> bool:
            if isinstance(value, bytes):
                return wanted(int.from_bytes(value, "little"), mask)
            whole = to_whole(value, 64) if is_number(value) and not isinstance(value, Decimal128) else None
            return whole is not None and wanted(whole, mask)

        return any_item(test)

    return make


def _bit_mask(operand: Any) -> int:
    if isinstance(operand, list) and all(isinstance(bit, int) and 0 <= bit < 1 << 20 for bit in operand):
        return sum({1 << bit for bit in operand})
    if isinstance(operand, bytes):
        return int.from_bytes(operand, "little")
    mask = to_whole(operand, 64) if is_number(operand) else None
    if mask is not None and mask >= 0:
        return mask
    raise CommandError(9, "a bit mask must be a number, bit positions or binary data")


OPERATORS: dict[str, Callable[[Any], Condition]] = {
    "$eq": lambda operand: any_item(_equality(operand)),  # a regex equals itself here, and is no pattern
    "$ne": lambda operand: negate(any_item(_equality(_no_regex(operand)))),
    "$gt": _comparison(lambda a, b: a > b, equal=False),
    "$gte": _comparison(lambda a, b: a >= b, equal=True),
    "$lt": _comparison(lambda a, b: a < b, equal=False),
    "$lte": _comparison(lambda a, b: a <= b, equal=True),
    "$in": _in,
    "$nin": lambda operand: negate(_in(operand)),
    "$exists": _exists,
    "$type": _type,
    "$size": _size,
    "$mod": _modulo,
    "$bitsAllSet": _bits(lambda value, mask: value & mask == mask),
    "$bitsAnySet": _bits(lambda value, mask: value & mask != 0),
    "$bitsAllClear": _bits(lambda value, mask: value & mask == 0),
    "$bitsAnyClear": _bits(lambda value, mask: value & mask != mask),
    "$comment": lambda operand: lambda found: True,
}
