"""Numbers as MongoDB counts with them: 32 and 64 bits, doubles, Decimal128, each widened as far as is needed.

It must not know operators. An int that fits into 32 bits is an int here, `Int64` and every longer int a long.

Source: `evaluate_math.cpp` and `accumulator_sum.cpp` in MongoDB's source.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable, Iterable
from typing import Any

from bson import Decimal128, Int64
from bson.decimal128 import create_decimal128_context

from .values import type_name

CONTEXT = create_decimal128_context()
_KINDS = {"int": 0, "long": 1, "double": 2, "decimal": 3}
_LONG, _DOUBLE, _DECIMAL = 1, 2, 3


def kind(number: Any) -> int:
    """The wider of two numbers' types has the greater kind: int, long, double, decimal."""
    return _KINDS[type_name(number)]


def fits(number: int, bits: int) -> bool:
    """Whether a signed integer of so many bits can hold the number."""
    return -(1 << bits - 1) <= number < 1 << bits - 1


def to_decimal(number: Any) -> decimal.Decimal:
    """A number as a decimal; a double gets 15 digits, as MongoDB gives it."""
    if isinstance(number, Decimal128):
        exact = number.to_decimal()
        return decimal.Decimal("NaN") if exact.is_snan() else exact
    if isinstance(number, float) and number and math.isfinite(number):
        return decimal.Decimal(f"{number:.14e}")
    return decimal.Decimal(number)


def to_double(number: Any) -> float:
    """A number as a double."""
    return float(to_decimal(number) if isinstance(number, Decimal128) else number)


def to_whole(number: Any, bits: int = 32) -> int | None:
    """The number as an int if it is whole and fits, whatever its type; else None."""
    exact = to_decimal(number) if isinstance(number, Decimal128) else number
    if not isinstance(exact, int) and (not math.isfinite(exact) or exact != int(exact)):
        return None
    return int(exact) if fits(int(exact), bits) else None


def decimal_of(number: decimal.Decimal) -> Decimal128:
    """A decimal, rounded to the 34 digits of a Decimal128."""
    return Decimal128(CONTEXT.plus(number))


def integer(number: int, *, long: bool = False) -> int:
    """An int as BSON's int or, if it has to be one or does not fit, its long."""
    return Int64(number) if long or not fits(number, 32) else int(number)


def combine(operation: Callable[[Any, Any], Any], numbers: Iterable[Any], *, strict: bool = False) -> Any:
    """Combine numbers (at least one) from the left; the result has the widest type among them. An int that
    grows beyond 32 bits becomes a long, a long beyond 64 bits a double or, if `strict`, an OverflowError.
    """
    first, *rest = numbers
    widest, result = kind(first), first
    for number in rest:
        before, widest = result, max(widest, kind(number))
        if widest == _DECIMAL:
            with decimal.localcontext(CONTEXT):
                result = Decimal128(operation(to_decimal(result), to_decimal(number)))
            continue
        result = operation(result, number)
        if widest < _DOUBLE and not fits(result, 64):
            if strict:
                raise OverflowError
            widest, result = _DOUBLE, float(operation(float(before), float(number)))
    if widest == _DECIMAL:
        return decimal_of(to_decimal(result))
    return float(result) if widest == _DOUBLE else integer(int(result), long=widest == _LONG)


def total(values: Iterable[Any]) -> Any:
    """The sum of the numbers among the values: doubles without loss of small parts, as `$sum` adds them."""
    numbers = [value for value in values if type_name(value) in _KINDS]
    kinds = set(map(kind, numbers))
    whole = sum(int(number) for number in numbers if kind(number) <= _LONG)
    doubles = [number for number in numbers if kind(number) == _DOUBLE]
    if not doubles:
        plain: Any = integer(whole, long=_LONG in kinds) if fits(whole, 64) else float(whole)
    else:
        try:
            plain = math.fsum([*doubles, float(whole)])
        except (OverflowError, ValueError):  # the infinities
            plain = sum(doubles)
    if _DECIMAL not in kinds:
        return plain
    return combine(lambda a, b: a + b, [plain, *(n for n in numbers if kind(n) == _DECIMAL)])


def mean(values: Iterable[Any]) -> Any:
    """The mean of the numbers among the values, a double or a Decimal128; None when there are none."""
    numbers = [value for value in values if type_name(value) in _KINDS]
    if not numbers:
        return None
    added = total(numbers)
    if isinstance(added, Decimal128):
        return Decimal128(CONTEXT.divide(added.to_decimal(), decimal.Decimal(len(numbers))))
    return float(added) / len(numbers)


def deviation(values: Iterable[Any], *, sample: bool) -> float | None:
    """The standard deviation of the numbers among the values; None for too few of them."""
    numbers = [to_double(value) for value in values if type_name(value) in _KINDS]
    divisor = len(numbers) - sample
    if divisor <= 0:
        return None
    middle = math.fsum(numbers) / len(numbers)
    return math.sqrt(math.fsum((number - middle) ** 2 for number in numbers) / divisor)
