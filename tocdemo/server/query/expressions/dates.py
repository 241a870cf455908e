"""The operators of dates: their parts, sums, differences, bins, and texts.

It must not know documents: an operator gets the values of its arguments.

Source: "Date Expression Operators" in MongoDB's manual; codes from `expression.cpp` and
`date_time_support.cpp` of MongoDB 6.
"""

from __future__ import annotations

import calendar
import datetime
import re
import zoneinfo
from collections.abc import Callable
from functools import partial
from typing import Any

from ...errors import CommandError, expect, not_implemented
from ..numbers import integer
from ..values import from_millis, is_text, type_name
from .converting import date_from_text, to_date
from .table import Check, Named, Plain, is_null

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MILLISECOND = datetime.timedelta(milliseconds=1)
_MILLIS = {"hour": 3_600_000, "minute": 60_000, "second": 1000, "millisecond": 1}
_DAYS = {"week": 7, "day": 1}
_MONTHS = {"year": 12, "quarter": 3, "month": 1}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _zone(name: Any) -> datetime.tzinfo:
    """The time zone of a name of the time zone database or of an offset like +02:00."""
    expect(is_text(name), 40517, f"timezone must evaluate to a string, found {type_name(name)}")
    offset = re.fullmatch(r"([+-])(\d\d):?(\d\d)?", name)
    if offset:
        shift = datetime.timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
        return datetime.timezone(shift if offset[1] == "+" else -shift)
    try:
        return datetime.UTC if name in ("UTC", "GMT") else zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise CommandError(40485, f'unrecognized time zone identifier: "{name}"') from None


def _local(date: Any, timezone: Any = "UTC") -> datetime.datetime:
    """What holds a date, as a datetime in a time zone."""
    zone, value = _zone(timezone), to_date(date)
    if not isinstance(value, datetime.datetime):
        raise not_implemented("a date outside of the years 1 to 9999 in an operator of dates")
    return value.replace(tzinfo=datetime.UTC).astimezone(zone)


def _utc(local: datetime.datetime) -> int:
    return (local.astimezone(datetime.UTC) - _EPOCH) // _MILLISECOND


def _offset(date: datetime.datetime) -> int:
    return (date.utcoffset() or datetime.timedelta()) // _MILLISECOND


_PARTS: dict[str, Callable[[datetime.datetime], int]] = {
    "$dayOfMonth": lambda date: date.day,
    "$dayOfWeek": lambda date: date.isoweekday() % 7 + 1,
    "$dayOfYear": lambda date: date.timetuple().tm_yday,
    "$hour": lambda date: date.hour,
    "$isoDayOfWeek": lambda date: date.isoweekday(),
    "$isoWeek": lambda date: date.isocalendar().week,
    "$isoWeekYear": lambda date: integer(date.isocalendar().year, long=True),
    "$millisecond": lambda date: date.microsecond // 1000,
    "$minute": lambda date: date.minute,
    "$month": lambda date: date.month,
    "$second": lambda date: date.second,
    "$week": lambda date: int(date.strftime("%U")),
    "$year": lambda date: date.year,
}
_FORMATS: dict[str, Callable[[datetime.datetime], str]] = {
    "Y": lambda date: f"{date.year:04}",
    "L": lambda date: f"{date.microsecond // 1000:03}",
    "w": lambda date: str(date.isoweekday() % 7 + 1),
    "Z": lambda date: f"{_offset(date) // 60_000:+}",
    **{letter: lambda date, code=f"%{letter}": date.strftime(code) for letter in "mdHMSjUuVGzbB%"},  # type: ignore[misc]
}


def part(name: str) -> Callable[..., Any]:
    """The function that takes one part out of a date."""
    return lambda date, timezone="UTC": _PARTS[name](_local(date, timezone))


def _unit(unit: str) -> str:
    expect(unit in {**_MILLIS, **_DAYS, **_MONTHS}, 9, f"unknown time unit value: {unit}")
    return unit


def _first_day(unit: str, day: Any) -> int:
    """The weekday that a week begins with (0: Monday), which counts for weeks alone."""
    if unit != "week":
        return 0
    expect(is_text(day), 5439015, f"startOfWeek has to be a string, but got {type_name(day)}")
    found = [n for n, weekday in enumerate(_WEEKDAYS) if day.lower() in (weekday, weekday[:3])]
    expect(bool(found), 5439016, f"'startOfWeek' value cannot be recognized as a day of a week: {day}")
    return found[0]


def _given(name: str, code: int, value: Any) -> Any:
    """A value that holds a date; another one has an error of the operator's own."""
    known = type_name(value) in ("date", "objectId", "timestamp")
    expect(known, code, f"{name} requires a date, but got {type_name(value)}")
    return value


def _moved(local: datetime.datetime, unit: str, amount: int) -> Any:
    """A date some units later. Days and longer units keep the time of the day, where clocks change, too."""
    try:
        if unit in _MONTHS:
            year, month = divmod(local.year * 12 + local.month - 1 + amount * _MONTHS[unit], 12)
            day = min(local.day, calendar.monthrange(year, month + 1)[1])
            return from_millis(_utc(local.replace(year=year, month=month + 1, day=day)))
        if unit in _DAYS:
            return from_millis(_utc(local + datetime.timedelta(days=amount * _DAYS[unit])))
    except (OverflowError, ValueError):
        raise CommandError(5976500, f"invalid dateAdd 'amount' parameter value: {amount} {unit}") from None
    return from_millis(_utc(local) + amount * _MILLIS[unit])


def _date_add(name: str, sign: int, *, startDate: Any, unit: str, amount: int, timezone: Any = "UTC") -> Any:
    return _moved(_local(_given(name, 5166403, startDate), timezone), _unit(unit), sign * amount)


def _distance(start: datetime.datetime, end: datetime.datetime, unit: str, first_day: int) -> int:
    """How many boundaries of a unit lie between two dates of one zone."""
    if unit in _MONTHS:
        first, last = ((date.year * 12 + date.month - 1) // _MONTHS[unit] for date in (start, end))
        return last - first
    days = end.toordinal() - start.toordinal()
    if unit == "week":
        return (days + (start.weekday() - first_day) % 7 - (end.weekday() - first_day) % 7) // 7
    if unit == "day":
        return days
    first, last = ((_utc(date) + _offset(date)) // _MILLIS[unit] for date in (start, end))
    return last - first + (_offset(start) - _offset(end)) // _MILLIS[unit]


def _date_diff(
    *, startDate: Any, endDate: Any, unit: str, timezone: Any = "UTC", startOfWeek: Any = "sun"
) -> int:
    first_day = _first_day(_unit(unit), startOfWeek)
    start, end = (_local(_given("$dateDiff", 5166307, date), timezone) for date in (startDate, endDate))
    return integer(_distance(start, end, unit, first_day), long=True)


def _date_trunc(
    *, date: Any, unit: str, binSize: int = 1, timezone: Any = "UTC", startOfWeek: Any = "sun"
) -> Any:
    expect(binSize > 0, 5439018, f"$dateTrunc requires 'binSize' to be greater than 0, but got {binSize}")
    first_day = _first_day(_unit(unit), startOfWeek)
    local = _local(_given("$dateTrunc", 5439012, date), timezone)
    reference = datetime.datetime(2000, 1, 1, tzinfo=local.tzinfo)
    if unit == "week":
        reference += datetime.timedelta(days=(first_day - reference.weekday()) % 7)
    if unit not in _MILLIS:
        return _moved(reference, unit, _distance(reference, local, unit, first_day) // binSize * binSize)
    return from_millis(_utc(local) - (_utc(local) - _utc(reference)) % (binSize * _MILLIS[unit]))


def _date_to_string(*, date: Any, format: Any = "", timezone: Any = "UTC", onNull: Any = None) -> Any:
    if not is_null(format):
        expect(is_text(format), 18533, f"$dateToString: 'format' is no string, but {type_name(format)}")
        for letter in re.findall("%(.?)", format, re.S):
            expect(letter != "", 18535, "Unmatched '%' at end of format string")
            expect(letter in _FORMATS, 18536, f"Invalid format character '%{letter}' in format string")
    if not is_null(timezone):
        _zone(timezone)
    if is_null(date):
        return onNull
    if is_null(format) or is_null(timezone):
        return None
    local = _local(date, timezone)
    pattern = format or f"%Y-%m-%dT%H:%M:%S.%L{'Z' if local.tzinfo is datetime.UTC else ''}"
    return re.sub("%(.)", lambda match: _FORMATS[match[1]](local), pattern)


def _date_from_string(*, dateString: Any, timezone: Any = "UTC", format: Any = None, **otherwise: Any) -> Any:
    if not is_null(format):
        raise not_implemented("'format' of $dateFromString")
    zone = None if is_null(timezone) or timezone == "UTC" else _zone(timezone)
    if is_null(dateString):
        return otherwise.get("onNull")
    try:
        expect(is_text(dateString), 241, f"'dateString' is no string, but {type_name(dateString)}")
        return None if is_null(timezone) else date_from_text(dateString, zone)
    except CommandError as error:
        if error.code != 241 or "onError" not in otherwise:
            raise
        return otherwise["onError"]


_FIELDS = ("year", "month", "day", "hour", "minute", "second", "millisecond")
_ISO_FIELDS = ("isoWeekYear", "isoWeek", "isoDayOfWeek")


def _date_from_parts(*, timezone: Any = "UTC", **given: int) -> Any:
    if set(given) & set(_ISO_FIELDS):
        raise not_implemented("$dateFromParts with parts of the ISO week")
    expect("year" in given, 40516, "$dateFromParts requires either 'year' or 'isoWeekYear' to be present")
    for name in {"month", "day", "hour", "minute"} & set(given):
        expect(-(2**15) <= given[name] < 2**15, 31034, f"'{name}' must be in the range [-32768, 32767]")
    expect(1 <= given["year"] <= 9999, 40523, f"'year' must be in the range 1 to 9999: {given['year']}")
    year, month = divmod(given["year"] * 12 + given.get("month", 1) - 1, 12)
    clock = {f"{name}s": given.get(name, 0) for name in _FIELDS[3:]}
    try:
        start = datetime.datetime(year, month + 1, 1, tzinfo=_zone(timezone))
        return from_millis(_utc(start + datetime.timedelta(days=given.get("day", 1) - 1, **clock)))
    except (OverflowError, ValueError):
        raise not_implemented("a date outside of the years 1 to 9999 in an operator of dates") from None


def _adding(name: str, sign: int) -> Named:
    required = {"startDate": 5166402, "unit": 5166402, "amount": 5166402}
    checks = {"unit": Check("string", 5166404), "amount": Check("int64", 5166405, 5166405)}
    return Named(partial(_date_add, name, sign), required, ("timezone",), 5166400, 5166401, checks)


_UNIT = Check("string", 5439013)
_DIFF = {"startDate": 5166303, "endDate": 5166304, "unit": 5166305}
_BIN = ("binSize", "timezone", "startOfWeek")
_BIN_CHECKS = {"unit": _UNIT, "binSize": Check("int64", 5439017, 5439017)}
_TEXT = ("format", "timezone", "onNull")
_PART_CHECKS = {name: Check("int64", 40515, 40515) for name in _FIELDS}

OPERATORS: dict[str, Plain | Named] = {
    "$dateAdd": _adding("$dateAdd", 1),
    "$dateDiff": Named(_date_diff, _DIFF, _BIN[1:], 5166301, 5166302, {"unit": _UNIT}),
    "$dateFromParts": Named(
        _date_from_parts, {}, (*_FIELDS, *_ISO_FIELDS, "timezone"), 40519, 40518, _PART_CHECKS
    ),
    "$dateFromString": Named(
        _date_from_string, {"dateString": 40542}, (*_TEXT, "onError"), 40540, 40541, nulls="none"
    ),
    "$dateSubtract": _adding("$dateSubtract", -1),
    "$dateToString": Named(_date_to_string, {"date": 18628}, _TEXT, 18629, 18534, nulls="none"),
    "$dateTrunc": Named(_date_trunc, {"date": 5439009, "unit": 5439010}, _BIN, 5439007, 5439008, _BIN_CHECKS),
}
PARTS = tuple(_PARTS)
