"""The operators of types: `$convert` with its short forms, and `$type`.

It must not know documents: an operator gets the values of its arguments.

Source: "Type Expression Operators" in MongoDB's manual; codes from `expression.cpp` of MongoDB 6 and 7.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from bson import DatetimeMS, Decimal128, ObjectId, Timestamp
from bson.errors import InvalidId

from ...errors import CommandError, expect, not_implemented
from ..numbers import CONTEXT, decimal_of, fits, integer, to_decimal, to_double
from ..query_operators import TYPE_CODES
from ..values import from_millis, is_number, is_text, to_millis, type_name
from .table import Named, Plain, is_null

_FAILED = 241  # ConversionFailure
_DATE = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)(?:[T ](\d\d?)(?::(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?)?"
    r"\s*(Z|[+-]\d\d(?::?\d\d)?)?",
    re.I,
)


def truthy(value: Any) -> bool:
    """What a condition takes for true: everything but false, null, a missing field and zero."""
    if is_null(value) or isinstance(value, bool):
        return value is True
    return not is_number(value) or to_double(value) != 0


def to_date(value: Any) -> Any:
    """The date of what holds one: a date, an ObjectId, a timestamp; CommandError 16006 for all else."""
    if isinstance(value, ObjectId):
        return value.generation_time.replace(tzinfo=None)
    if isinstance(value, Timestamp):
        return from_millis(value.time * 1000)
    expect(type_name(value) == "date", 16006, f"can't convert from BSON type {type_name(value)} to Date")
    return value


def _require(condition: bool, message: str) -> None:
    expect(condition, _FAILED, f"{message} in $convert with no onError value")


def to_text(value: Any) -> str:
    """A value, written out as `$toString` does."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        names = {math.inf: "Infinity", -math.inf: "-Infinity"}
        return "NaN" if value != value else names.get(value, f"{value:.16g}")
    if isinstance(value, DatetimeMS):
        raise not_implemented("the text of a date outside of the years 1 to 9999")
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="milliseconds") + "Z"
    return str(value)


def date_from_text(text: str, zone: datetime.tzinfo | None = None) -> Any:
    """The date that an ISO 8601 text means; without an offset of its own in the zone (None: UTC)."""
    match = _DATE.fullmatch(text.strip())
    if match is None:
        raise CommandError(_FAILED, f"Error parsing date string '{text}'")
    *numbers, fraction, offset = match.groups()
    try:
        local = datetime.datetime(*(int(number or 0) for number in numbers))  # type: ignore[arg-type]
    except ValueError as error:
        raise CommandError(_FAILED, f"Error parsing date string '{text}': {error}") from None
    local += datetime.timedelta(milliseconds=int(f"{fraction or 0:0<3}"[:3]))
    expect(not offset or zone is None, _FAILED, f"a date string with an offset and a time zone: '{text}'")
    if offset and offset not in "Zz":
        digits = offset[1:].replace(":", "").ljust(4, "0")
        shift = datetime.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        return local - shift if offset[0] == "+" else local + shift
    return local if zone is None else local.replace(tzinfo=zone).astimezone(datetime.UTC).replace(tzinfo=None)


def _unsupported(value: Any, target: str) -> str:
    return f"Unsupported conversion from {type_name(value)} to {target}"


def _number(value: Any, target: str) -> Any:
    """The number that a value is already, or that a bool or a date counts as."""
    if type_name(value) == "date" and target != "int":
        return to_millis(value)
    _require(isinstance(value, bool) or is_number(value), _unsupported(value, target))
    return int(value) if isinstance(value, bool) else value


def _whole(bits: int, value: Any) -> int:
    if is_text(value):
        _require(re.fullmatch(r"[+-]?\d{1,40}", value) is not None, f"Failed to parse number '{value}'")
        number = int(value)
    else:
        exact = _number(value, "int" if bits == 32 else "long")
        _require(math.isfinite(to_double(exact)), "Attempt to convert NaN or infinity value to integer type")
        number = int(to_decimal(exact) if isinstance(exact, Decimal128) else exact)
    _require(fits(number, bits), f"Conversion would overflow target type: {value}")
    return integer(number, long=bits == 64)


def _float(value: Any) -> float:
    if is_text(value):
        try:
            _require(re.search(r"[_\s]|0x", value, re.I) is None, f"Failed to parse number '{value}'")
            return float(value)
        except ValueError:
            raise CommandError(_FAILED, f"Failed to parse number '{value}' in $convert") from None
    number = to_double(_number(value, "double"))
    overflow = math.isinf(number) and isinstance(value, Decimal128) and value.to_decimal().is_finite()
    _require(not overflow, f"Conversion would overflow target type: {value}")
    return number


def _decimal(value: Any) -> Decimal128:
    if is_text(value):
        number = CONTEXT.create_decimal(value)
        _require(not number.is_nan() or value.lower() == "nan", f"Failed to parse number '{value}'")
        return Decimal128(number)
    return decimal_of(to_decimal(_number(value, "decimal")))


def _date(value: Any) -> Any:
    if is_text(value):
        return date_from_text(value)
    if type_name(value) in ("long", "double", "decimal"):
        return from_millis(_whole(64, value))
    _require(type_name(value) in ("date", "objectId", "timestamp"), _unsupported(value, "date"))
    return to_date(value)


def _object_id(value: Any) -> ObjectId:
    _require(is_text(value) or isinstance(value, ObjectId), _unsupported(value, "objectId"))
    try:
        return ObjectId(value)
    except InvalidId as error:
        raise CommandError(_FAILED, f"Failed to parse objectId '{value}' in $convert: {error}") from None


def _string(value: Any) -> str:
    known = type_name(value) in ("bool", "date", "objectId", "string") or is_number(value)
    _require(known, _unsupported(value, "string"))
    return to_text(value)


_TARGETS: dict[str, Callable[[Any], Any]] = {
    "bool": truthy,
    "date": _date,
    "decimal": _decimal,
    "double": _float,
    "int": partial(_whole, 32),
    "long": partial(_whole, 64),
    "objectId": _object_id,
    "string": _string,
}


def _convert(*, input: Any, to: Any, **otherwise: Any) -> Any:
    if is_text(to) or is_number(to):
        names = [name for name, code in TYPE_CODES.items() if to in (name, code)]
        expect(bool(names), 2 if is_text(to) else 9, f"Unknown type name or code in $convert: {to}")
        target = names[0]
    else:
        expect(is_null(to), 9, f"$convert's 'to' argument must be a string or number, but is {type_name(to)}")
    if is_null(input):
        return otherwise.get("onNull")
    if is_null(to):
        return None
    try:
        _require(target in _TARGETS, _unsupported(input, target))
        return _TARGETS[target](input)
    except CommandError as error:
        if error.code != _FAILED or "onError" not in otherwise:
            raise
        return otherwise["onError"]


OPERATORS: dict[str, Plain | Named] = {
    "$convert": Named(_convert, {"input": 9, "to": 9}, ("onError", "onNull"), 9, 9, nulls="none"),
    "$type": Plain(type_name, nulls="none"),
    **{
        f"$to{name[0].upper()}{name[1:]}": Plain(function, count_code=50723)
        for name, function in _TARGETS.items()
    },
}
