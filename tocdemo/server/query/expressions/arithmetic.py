"""The operators of numbers: arithmetic, rounding, powers, and the sums and means over an array.

It must not know documents: an operator gets the values of its arguments.

Source: "Arithmetic Expression Operators" in MongoDB's manual; codes from `expression.cpp` of MongoDB 6.
"""

from __future__ import annotations

import decimal
import math
import operator
import random
from collections.abc import Callable
from functools import partial
from typing import Any

from bson import Decimal128

from ...errors import expect
from ..numbers import (
    CONTEXT,
    combine,
    decimal_of,
    fits,
    integer,
    kind,
    mean,
    to_decimal,
    to_double,
    to_whole,
    total,
)
from ..values import MISSING, from_millis, is_number, order_key, to_millis, type_name
from .table import Check, Plain, is_null, over

_LONG, _DOUBLE, _DECIMAL = 1, 2, 3


def _add(*values: Any) -> Any:
    dates = 0
    numbers: list[Any] = []
    for value in values:
        if is_null(value):
            return None
        date, found = type_name(value) == "date", type_name(value)
        expect(date or is_number(value), 14, f"$add only supports numeric or date types, not {found}")
        dates += date
        expect(dates <= 1, 16612, "only one date allowed in an $add expression")
        numbers.append(integer(to_millis(value), long=True) if date else value)
    result = combine(operator.add, [0, *numbers])
    return from_millis(_millis(result)) if dates else result


def _millis(number: Any) -> int:
    """A number as whole milliseconds: halves away from zero, as C's llround."""
    if isinstance(number, int):
        return number
    value = to_double(number)
    expect(math.isfinite(value), 15, "date overflow")
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def _subtract(one: Any, other: Any) -> Any:
    if is_number(one) and is_number(other):
        return combine(operator.sub, (one, other))
    left, right = type_name(one), type_name(other)
    if left == right == "date":
        return integer(to_millis(one) - to_millis(other), long=True)
    expect(left == "date" and is_number(other), 14, f"can't $subtract {right} from {left}")
    return from_millis(to_millis(one) - _millis(other))


def _divide(one: Any, other: Any) -> Any:
    expect(to_double(other) != 0, 2, "can't $divide by zero")
    if _DECIMAL in (kind(one), kind(other)):
        return decimal_of(CONTEXT.divide(to_decimal(one), to_decimal(other)))
    return to_double(one) / to_double(other)


def _mod(one: Any, other: Any) -> Any:
    if kind(one) <= _LONG and kind(other) == _DOUBLE and to_whole(other, 64) is not None:
        other = int(other)  # before MongoDB 7.2 a double that is whole counts as an integer here
    widest = max(kind(one), kind(other))
    expect(to_double(other) != 0, 5733415 if widest == _DECIMAL else 16610, "can't $mod by zero")
    if widest == _DECIMAL:
        return decimal_of(CONTEXT.remainder(to_decimal(one), to_decimal(other)))
    if widest == _DOUBLE:
        return math.fmod(one, other) if math.isfinite(one) else math.nan
    return integer(abs(one) % abs(other) * (1 if one >= 0 else -1), long=widest == _LONG)


def _pow(base: Any, exponent: Any) -> Any:
    impossible = to_double(base) == 0 and to_double(exponent) < 0
    expect(not impossible, 28764, "$pow cannot take a base of 0 and a negative exponent")
    widest = max(kind(base), kind(exponent))
    if widest == _DECIMAL:
        return decimal_of(CONTEXT.power(to_decimal(base), to_decimal(exponent)))
    if widest < _DOUBLE and (0 <= exponent <= 63 or base in (1, -1)):
        power = int(base) ** (exponent if 0 <= exponent <= 63 else exponent % 2)
        if fits(power, 64):
            return integer(power, long=widest == _LONG)
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.inf if base > 0 or exponent % 2 == 0 else -math.inf
    except ValueError:  # a root of a negative number
        return math.nan


def _irrational(double: Callable[[float], float], exact: Callable[[Any], Any], number: Any) -> Any:
    """A function that answers with a double, or with a decimal for one."""
    if kind(number) == _DECIMAL:
        return decimal_of(exact(to_decimal(number)))
    try:
        return double(to_double(number))
    except OverflowError:
        return math.inf


def _positive(name: str, code: int, function: Callable[[Any], Any], number: Any) -> Any:
    value = to_double(number)
    allowed = value > 0 or value != value or (value == 0 and name == "$sqrt")
    expect(allowed, code, f"{name}'s argument must be a positive number, but is {value}")
    return function(number)


def _abs(number: Any) -> Any:
    if kind(number) >= _DOUBLE:
        return abs(number) if isinstance(number, float) else Decimal128(to_decimal(number).copy_abs())
    expect(fits(abs(number), 64), 28680, "can't take $abs of long long min")
    return integer(abs(number), long=kind(number) == _LONG)


def _round(name: str, rounding: str, number: Any, places: int = 0) -> Any:
    expect(-20 <= places <= 100, 51083, f"cannot apply {name} with precision value {places}")
    if kind(number) <= _LONG and places >= 0:
        return number
    exact = to_decimal(number) if kind(number) == _DECIMAL else CONTEXT.create_decimal(number)
    if not exact.is_finite():
        return number
    quantum = decimal.Decimal((0, (1,), -places))
    rounded = exact.quantize(quantum, rounding=rounding, context=CONTEXT.copy())
    if kind(number) >= _DOUBLE:
        return float(rounded) if isinstance(number, float) else Decimal128(rounded)
    expect(fits(int(rounded), 64), 51080, f"invalid conversion from Decimal128 result in {name}")
    return integer(int(rounded), long=kind(number) == _LONG)


def extreme(pick: Callable[..., Any], values: list[Any]) -> Any:
    """The least or greatest value (`pick` is min or max) in BSON's order, nulls aside; None for none."""
    known = [value for value in values if not is_null(value)]
    return pick(known, key=order_key) if known else None


_NUMBER = (Check("number", 28765),)
_ROUND = (Check("number", 51081), Check("int32", 51082, 51082))

OPERATORS: dict[str, Plain] = {
    "$abs": Plain(_abs, _NUMBER),
    "$add": Plain(_add, (), 0, None, "none"),
    "$avg": over(mean),
    "$ceil": Plain(partial(_round, "$ceil", decimal.ROUND_CEILING), _NUMBER),
    "$divide": Plain(_divide, (Check("number", 14),), 2, 2),
    "$exp": Plain(partial(_irrational, math.exp, CONTEXT.exp), _NUMBER),
    "$floor": Plain(partial(_round, "$floor", decimal.ROUND_FLOOR), _NUMBER),
    "$isNumber": Plain(lambda value: value is not MISSING and is_number(value), nulls="none"),
    "$ln": Plain(partial(_positive, "$ln", 28766, partial(_irrational, math.log, CONTEXT.ln)), _NUMBER),
    "$log10": Plain(
        partial(_positive, "$log10", 28761, partial(_irrational, math.log10, CONTEXT.log10)), _NUMBER
    ),
    "$max": over(partial(extreme, max)),
    "$min": over(partial(extreme, min)),
    "$mod": Plain(_mod, (Check("number", 16611),), 2, 2),
    "$multiply": Plain(
        lambda *n: combine(operator.mul, [1, *n]), (Check("number", 14),), 0, None, "in order"
    ),
    "$pow": Plain(_pow, (Check("number", 28762), Check("number", 28763)), 2, 2),
    "$rand": Plain(random.random, (), 0, 0),
    "$round": Plain(partial(_round, "$round", decimal.ROUND_HALF_EVEN), _ROUND, 1, 2),
    "$sqrt": Plain(
        partial(_positive, "$sqrt", 28714, partial(_irrational, math.sqrt, CONTEXT.sqrt)), _NUMBER
    ),
    "$subtract": Plain(_subtract, (), 2, 2),
    "$sum": over(total),
    "$trunc": Plain(partial(_round, "$trunc", decimal.ROUND_DOWN), _ROUND, 1, 2),
}
