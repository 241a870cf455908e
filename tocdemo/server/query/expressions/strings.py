"""The operators of strings: join, cut, search, replace, trim, regular expressions.

It must not know documents: an operator gets the values of its arguments.

Source: "String Expression Operators" in MongoDB's manual; codes from `expression.cpp` of MongoDB 6.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from bson import Regex

from ...errors import CommandError, expect
from ..numbers import to_double
from ..query_operators import regex_flags
from ..values import Document, is_number, is_text, type_name
from .converting import to_text
from .table import Check, Named, Plain, is_null

_BLANKS = "\0 \t\n\v\f\r\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"


def _text(value: Any) -> str:
    """What a lenient operator takes for a string: null is empty, numbers and dates are written out."""
    if is_null(value):
        return ""
    found = type_name(value)
    known = found in ("string", "date") or is_number(value)
    expect(known, 16007, f"can't convert from BSON type {found} to String")
    return to_text(value)


def _upper(value: Any) -> bytes:
    return _text(value).encode().upper()  # ASCII's letters alone


def _split(text: str, separator: str) -> list[str]:
    expect(separator != "", 40087, "$split requires a non-empty separator")
    return text.split(separator)


def _clamped(number: Any) -> int:
    """A number as a long: cut off, NaN as 0, and what is too great as the greatest."""
    double = to_double(number)
    return 0 if double != double else int(max(-(2.0**63), min(double, 2.0**63 - 1024)))


def _substring_bytes(value: Any, first: Any, count: Any) -> str:
    data, start, length = _text(value).encode(), _clamped(first), _clamped(count)
    expect(start >= 0, 50752, f"$substrBytes:  starting index must be non-negative (got: {start})")
    end = len(data) if length < 0 else start + length
    for position, code in ((start, 28656), (end, 28657)):
        inside = position < len(data) and data[position] & 0xC0 == 0x80
        expect(not inside, code, "$substrBytes:  Invalid range, an index is inside a UTF-8 character.")
    return data[start:end].decode()


def _substring(value: Any, start: int, length: int) -> str:
    expect(length >= 0, 34454, "$substrCP: length must be a nonnegative integer.")
    expect(start >= 0, 34455, "$substrCP: the starting index must be nonnegative integer.")
    return _text(value)[start : start + length]


def bounds(name: str, length: int, limits: tuple[int, ...]) -> tuple[int, int]:
    """The start and the end of a search, of which none, one or both are given."""
    expect(min(limits, default=0) >= 0, 40097, f"{name} requires nonnegative indexes, found: {limits}")
    return (limits[0] if limits else 0), min(length, limits[1]) if len(limits) > 1 else length


def _index(name: str, encode: Callable[[str], Any], text: str, token: str, *limits: int) -> int:
    start, end = bounds(name, len(encode(text)), limits)
    return -1 if start > end else encode(text).find(encode(token), start, end)


def _replace(name: str, count: int, *, input: Any, find: Any, replacement: Any) -> Any:
    values = (input, find, replacement)
    for value, code in zip(values, (51746, 51745, 51744), strict=True):
        valid = is_null(value) or is_text(value)
        expect(valid, code, f"{name} requires strings, found: {type_name(value)}")
    return None if any(map(is_null, values)) else input.replace(find, replacement, count)


def _trim(strip: Callable[[str, str], str], *, input: str, chars: str = _BLANKS) -> str:
    return strip(input, chars)


def _pattern(name: str, regex: Any, options: Any) -> re.Pattern[str] | None:
    known = is_null(regex) or type_name(regex) in ("string", "regex")
    expect(known, 51105, f"{name} needs 'regex' to be of type string or regex")
    valid = is_null(options) or is_text(options)
    expect(valid, 51106, f"{name} needs 'options' to be of type string")
    flags = regex_flags("" if is_null(options) else options)
    if isinstance(regex, Regex | re.Pattern):
        own = int(regex.flags) & ~re.UNICODE
        expect(not own or is_null(options), 51107, f"{name}: found regex option(s) in 'regex' and 'options'")
        flags, regex = flags | own, regex.pattern
    if is_null(regex):
        return None
    try:
        return re.compile(regex, flags)
    except (re.error, RecursionError, OverflowError) as error:
        raise CommandError(51111, f"Invalid Regex in {name}: {error}") from None


def _found(match: re.Match[str] | None) -> Document | None:
    if match is None:
        return None
    return {"match": match.group(), "idx": match.start(), "captures": list(match.groups())}


def _regex(name: str, answer: Callable[[re.Pattern[str], str], Any], otherwise: Any) -> Named:
    def function(*, input: Any, regex: Any, options: Any = None) -> Any:
        pattern = _pattern(name, regex, options)
        valid = is_null(input) or is_text(input)
        expect(valid, 51104, f"{name} needs 'input' to be of type string")
        return otherwise if is_null(input) or pattern is None else answer(pattern, input)

    return Named(function, {"input": 31022, "regex": 31023}, ("options",), 51103, 31024, nulls="none")


def _searching(name: str, encode: Callable[[str], Any], text: int, token: int) -> Plain:
    checks = (Check("string", text), Check("string", token), Check("int32", 40096, 40096))
    return Plain(partial(_index, name, encode), checks, 2, 4, "first")


def _trimming(strip: Callable[[str, str], str]) -> Named:
    checks = {"input": Check("string", 50699), "chars": Check("string", 50700)}
    return Named(partial(_trim, strip), {"input": 50695}, ("chars",), 50696, 50694, checks)


def _replacing(name: str, count: int) -> Named:
    required = {"input": 51749, "find": 51748, "replacement": 51747}
    return Named(partial(_replace, name, count), required, (), 51751, 51750, nulls="none")


_LENIENT = Check("any", 0)
_BYTES = (_LENIENT, Check("number", 16034), Check("number", 16035))
_POINTS = (_LENIENT, Check("int32", 34450, 34451), Check("int32", 34452, 34453))

OPERATORS: dict[str, Plain | Named] = {
    "$concat": Plain(lambda *texts: "".join(texts), (Check("string", 16702),), 0, None, "in order"),
    "$indexOfBytes": _searching("$indexOfBytes", str.encode, 40091, 40092),
    "$indexOfCP": _searching("$indexOfCP", str, 40093, 40094),
    "$ltrim": _trimming(str.lstrip),
    "$regexFind": _regex("$regexFind", lambda pattern, text: _found(pattern.search(text)), None),
    "$regexFindAll": _regex(
        "$regexFindAll", lambda pattern, text: [*map(_found, pattern.finditer(text))], []
    ),
    "$regexMatch": _regex("$regexMatch", lambda pattern, text: bool(pattern.search(text)), False),
    "$replaceAll": _replacing("$replaceAll", -1),
    "$replaceOne": _replacing("$replaceOne", 1),
    "$rtrim": _trimming(str.rstrip),
    "$split": Plain(_split, (Check("string", 40085), Check("string", 40086)), 2, 2),
    "$strLenBytes": Plain(lambda text: len(text.encode()), (Check("string", 34473),), nulls="none"),
    "$strLenCP": Plain(len, (Check("string", 34471),), nulls="none"),
    "$strcasecmp": Plain(lambda a, b: (_upper(a) > _upper(b)) - (_upper(a) < _upper(b)), (), 2, 2, "none"),
    "$substr": Plain(_substring_bytes, _BYTES, 3, 3, "none"),
    "$substrBytes": Plain(_substring_bytes, _BYTES, 3, 3, "none"),
    "$substrCP": Plain(_substring, _POINTS, 3, 3, "none"),
    "$toLower": Plain(lambda value: _text(value).encode().lower().decode(), nulls="none"),
    "$toUpper": Plain(lambda value: _upper(value).decode(), nulls="none"),
    "$trim": _trimming(str.strip),
}
