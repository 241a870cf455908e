"""Values as BSON orders them: one key that compares, equals and hashes as MongoDB does.

It must not know queries or collections. Python alone is not enough: there `True == 1`, and a datetime and a
string do not compare at all.

Source: "Comparison/Sort Order" in MongoDB's manual.
"""

from __future__ import annotations

import datetime
import decimal
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import bson
from bson import (
    Binary,
    Code,
    DatetimeMS,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)

from ..errors import CommandError
from ..framing import CODEC, MAX_DOCUMENT_BYTES

Document = dict[str, Any]
Predicate = Callable[[Any], bool]
Key = tuple[Any, ...]


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
_EPOCH = datetime.datetime(1970, 1, 1)
_MILLISECOND = datetime.timedelta(milliseconds=1)
_MAX_DEPTH = 180  # MongoDB stores 180 levels and takes 200 in a command

_NAN = 9
_NUMBER = 10
# For Python's own types the rank, where the value is its own key.
_PLAIN_RANKS = {int: _NUMBER, Int64: _NUMBER, str: 15, ObjectId: 35, bool: 40}


def order_key(value: Any) -> Key:
    """A key by which values compare, equal and hash as in MongoDB: a tuple that starts with the rank of the
    type; equal ranks are what a query may compare. The value is any that `bson.decode` returns, or MISSING,
    which orders as null.
    """
    rank = _PLAIN_RANKS.get(type(value))
    if rank is not None:
        return (rank, value)
    if value is None or value is MISSING:
        return (5,)
    if isinstance(value, float):
        return (_NAN,) if math.isnan(value) else (_NUMBER, value)
    if isinstance(value, dict):
        return (20, *((order_key(item)[0], name, order_key(item)) for name, item in value.items()))
    if isinstance(value, list | tuple):
        return (25, *map(order_key, value))
    if isinstance(value, datetime.datetime):
        return (45, to_millis(value))
    return _rare_key(value)


def _rare_key(value: Any) -> Key:
    match value:
        case Decimal128():
            number = value.to_decimal()
            return (_NAN,) if number.is_nan() else (_NUMBER, number)
        case Binary():
            return (30, len(value), value.subtype, bytes(value))
        case bytes():
            return (30, len(value), 0, value)
        case DBRef():
            return order_key(dict(value.as_doc()))
        case DatetimeMS():
            return (45, int(value))
        case Timestamp():
            return (47, value.time, value.inc)
        case Regex():
            return (50, value.pattern, value.flags)
        case re.Pattern():
            return (50, value.pattern, int(value.flags) & ~re.UNICODE)
        case Code():
            return (60, str(value), order_key(value.scope or {}))
        case MinKey():
            return (0,)
        case MaxKey():
            return (127,)
        case str():
            return (15, str(value))
    raise CommandError(2, f"cannot compare a value of type {type(value).__name__}")


_TYPE_NAMES: dict[type, str] = {
    float: "double", str: "string", dict: "object", list: "array", bytes: "binData", ObjectId: "objectId",
    bool: "bool", datetime.datetime: "date", DatetimeMS: "date", type(None): "null", Regex: "regex",
    re.Pattern: "regex", DBRef: "object", Int64: "long", Timestamp: "timestamp", Decimal128: "decimal",
    MinKey: "minKey", MaxKey: "maxKey", _Missing: "missing",
}  # fmt: skip


def type_name(value: Any) -> str:
    """BSON's name for the type of a value, "missing" for MISSING."""
    if type(value) is int:
        return "int" if -(2**31) <= value < 2**31 else "long"
    if isinstance(value, Code):
        return "javascript" if value.scope is None else "javascriptWithScope"
    return next(_TYPE_NAMES[base] for base in type(value).__mro__ if base in _TYPE_NAMES)


def is_text(value: Any) -> bool:
    """Whether a value is a string; JavaScript, a kind of string in Python, is none in BSON."""
    return isinstance(value, str) and type_name(value) == "string"


def to_millis(date: Any) -> int:
    """The milliseconds since 1970 of a datetime or a DatetimeMS."""
    return int(date) if isinstance(date, DatetimeMS) else (date.replace(tzinfo=None) - _EPOCH) // _MILLISECOND


def from_millis(millis: int) -> Any:
    """The date of so many milliseconds since 1970; a DatetimeMS outside of the years 1 to 9999. CommandError
    15 when 64 bits do not hold it.
    """
    if not -(2**63) <= millis < 2**63:
        raise CommandError(15, "date overflow")
    try:
        return _EPOCH + millis * _MILLISECOND
    except OverflowError:
        return DatetimeMS(millis)


def leaves(value: Any, parts: list[str], position: int = 0) -> Iterator[Any]:
    """The values that a dotted path reaches from a document (or from what lies below it), arrays of documents
    walked through, MISSING where a field is not. `parts` is the path, split at its dots; `position` says how
    many of them were walked already.
    """
    if position == len(parts):
        yield value
    elif isinstance(value, dict):
        if parts[position] in value:
            yield from leaves(value[parts[position]], parts, position + 1)
        else:
            yield MISSING
    elif isinstance(value, list):
        part = parts[position]
        if part.isdigit() and int(part) < len(value):
            yield from leaves(value[int(part)], parts, position + 1)
        for item in value:
            if isinstance(item, dict):
                yield from leaves(item, parts, position)
    else:
        yield MISSING


def copy_document(document: Document) -> Document:
    """A deep copy, by way of BSON: quick, and it is what a client would get."""
    return bson.decode(encode(document), CODEC)


def encode(document: Document) -> bytes:
    """The document's BSON. CommandError 10334 when it is longer than 16 MiB, 15 when it is nested too deeply,
    2 when BSON cannot hold it.
    """
    try:
        data = bson.encode(document, False, CODEC)
    except RecursionError:
        raise CommandError(15, "the document is nested too deeply") from None
    except (bson.errors.BSONError, OverflowError, ValueError, decimal.DecimalException) as error:
        raise CommandError(2, f"not a BSON document: {error}") from None
    if len(data) > MAX_DOCUMENT_BYTES:
        message = f"BSONObj size: {len(data)} is invalid. Size must be between 0 and {MAX_DOCUMENT_BYTES}"
        raise CommandError(10334, message)
    return data


def check_depth(value: Any, depth: int = 1) -> None:
    """Refuse (error 15) what is nested deeper than MongoDB stores: 180 levels."""
    if depth > _MAX_DEPTH:
        raise CommandError(15, f"the document exceeds the maximum nesting depth of {_MAX_DEPTH}")
    items = value.values() if isinstance(value, dict) else value
    for item in items:
        if isinstance(item, dict | list):
            check_depth(item, depth + 1)


def is_number(value: Any) -> bool:
    """Whether MongoDB takes the value for a number (a bool is none)."""
    return isinstance(value, int | float | Decimal128) and not isinstance(value, bool)
