"""A model of the functions of expressions, of accumulators and of sorting, written from MongoDB's manual.

It goes on from `query_model`, which has values, their order and arithmetic. Where the manual gives an error
no number, the model says "any". It must not know the server.
"""

import itertools
import math
from fractions import Fraction
from functools import cmp_to_key

from bson import Int64

from .query_model import (
    EPOCH,
    MILLISECOND,
    MISSING,
    NUMERIC,
    Refused,
    bracket,
    compare,
    fraction,
    kind,
    nothing,
    number,
    truth,
    whole,
    widest,
)


def need(condition):
    if not condition:
        raise Refused("any")


def skip(condition):
    """Leave out what the manual does not say."""
    if condition:
        raise Refused("skip")


def nullable(accept, run):
    """A function that is null when any argument is null or missing."""

    def apply(*values):
        if any(map(nothing, values)):
            return None
        need(all(map(accept, values)))
        return run(*values)

    return apply


def is_number(value):
    return bracket(value) == "number"


def is_text(value):
    return kind(value) == "string"


def is_array(value):
    return kind(value) == "array"


def is_int(value):
    return is_number(value) and fraction(value).denominator == 1 and -(2**31) <= fraction(value) < 2**31


# Numbers: "Arithmetic Expression Operators" and "Type Expression Operators".


def absolute(value):
    need(not (kind(value) == "long" and value == -(2**63)))
    return number(abs(fraction(value)), kind(value))


def rounding(function):
    return nullable(is_number, lambda value: number(Fraction(function(fraction(value))), kind(value)))


def remainder(one, other):
    need(fraction(other) != 0)
    left, right = fraction(one), fraction(other)
    skip(widest(one, other) == "double" and max(abs(left), abs(right)) > 2**53)
    return number(left - right * math.trunc(left / right), widest(one, other))


def to_int(value):
    if nothing(value):
        return None
    need(kind(value) != "date")
    result = whole(value)
    need(-(2**31) <= result < 2**31)
    return int(result)


def to_double(value):
    if nothing(value):
        return None
    if kind(value) == "date":
        return float((value - EPOCH) // MILLISECOND)
    need(kind(value) == "bool" or is_number(value))
    return float(value if isinstance(value, bool) else fraction(value))


def to_date(value):
    if nothing(value) or kind(value) == "date":
        return None if nothing(value) else value
    if kind(value) in ("objectId", "timestamp"):
        moment = value.generation_time if kind(value) == "objectId" else value.as_datetime()
        return moment.replace(tzinfo=None)
    need(kind(value) in ("long", "double", "decimal"))
    skip(abs(fraction(value)) > 10**12)
    return EPOCH + MILLISECOND * math.trunc(fraction(value))


def to_string(value):
    if nothing(value):
        return None
    skip(kind(value) in ("double", "decimal", "binData"))
    need(kind(value) in ("int", "long", "string", "bool", "objectId", "date"))
    return written(value)


def written(value):
    if kind(value) == "bool":
        return str(value).lower()
    if kind(value) == "date":
        return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03}Z"
    return str(value)


# Strings: "String Expression Operators".


def lenient(function):
    """A function of strings that takes numbers and dates for strings, and nothing for an empty one."""

    def apply(value):
        if nothing(value):
            return ""
        skip(kind(value) in ("double", "decimal", "timestamp", "javascript"))
        need(kind(value) in ("string", "int", "long", "date"))
        return function(written(value))

    return apply


def ascii_only(method):
    return lambda text: "".join(method(letter) if letter.isascii() else letter for letter in text)


def measured(size):
    def apply(value):
        need(is_text(value))
        return size(value)

    return apply


def split(text, separator):
    need(separator != "")
    return text.split(separator)


def index_of(text, part):
    if nothing(text):
        return None
    need(is_text(text) and is_text(part))
    return text.find(part)


def replaced(count):
    def apply(text, find, replacement):
        for value in (text, find, replacement):
            need(nothing(value) or is_text(value))
        if any(map(nothing, (text, find, replacement))):
            return None
        return text.replace(find, replacement, count)

    return apply


def trimmed(method):
    return nullable(is_text, lambda text: getattr(text, method)("\0 \t\n\v\f\r\u00a0\u1680\u2000\u2001"))


# Arrays, sets and objects: "Array Expression Operators", "Set Expression Operators", "$mergeObjects" …


def element(items, index):
    if nothing(items) or nothing(index):
        return None
    need(is_array(items) and is_int(index))
    place = int(fraction(index))
    return items[place] if -len(items) <= place < len(items) else MISSING


def cut(items, count):
    if nothing(items) or nothing(count):
        return None
    need(is_array(items) and is_int(count))
    size = int(fraction(count))
    return items[:size] if size >= 0 else items[size:]


def joined(*lists):
    result = []
    for items in lists:
        if nothing(items):
            return None
        need(is_array(items))
        result += items
    return result


def last(value):
    if nothing(value):
        return None
    need(is_array(value))
    return value[-1] if value else MISSING


def place_of(items, wanted):
    if nothing(items):
        return None
    need(is_array(items))
    return next(
        (n for n, item in enumerate(items) if wanted is not MISSING and compare(item, wanted) == 0), -1
    )


def within(items, others):
    need(is_array(items) and is_array(others))
    return all(any(compare(item, other) == 0 for other in others) for item in items)


def quantified(quantifier):
    def apply(items):
        need(is_array(items))
        return quantifier(map(truth, items))

    return apply


def merged(*values):
    result = {}
    for value in values:
        need(nothing(value) or kind(value) == "object")
        result |= {} if nothing(value) else value
    return result


def pairs(value):
    return [{"k": name, "v": item} for name, item in value.items()]


# Several values: the same in expressions (of several operands) and as accumulators.


def total(*values):
    result, name = Fraction(0), "int"
    for value in filter(is_number, values):
        result += fraction(value)
        name = max(name, kind(value), key=NUMERIC.index)
    return number(result, name)


def mean(*values):
    numbers = list(filter(is_number, values))
    if not numbers:
        return None
    decimal = any(kind(value) == "decimal" for value in numbers)
    return number(sum(map(fraction, numbers)) / len(numbers), "decimal" if decimal else "double")


def extreme(sign):
    def apply(*values):
        best = None
        for value in values:
            if not nothing(value) and (best is None or compare(value, best) == sign):
                best = value
        return best

    return apply


# Dates: "Date Expression Operators". The server's zone is UTC.


def of_date(part):
    def apply(value):
        if nothing(value):
            return None
        need(kind(value) in ("date", "objectId", "timestamp"))
        return part(to_date(value))

    return apply


FUNCTIONS = {  # how many operands, and what becomes of them
    "$abs": (1, nullable(is_number, absolute)),
    "$ceil": (1, rounding(math.ceil)),
    "$floor": (1, rounding(math.floor)),
    "$trunc": (1, rounding(math.trunc)),
    "$round": (1, rounding(round)),
    "$mod": (2, nullable(is_number, remainder)),
    "$isNumber": (1, lambda value: value is not MISSING and is_number(value)),
    "$toInt": (1, to_int),
    "$toDouble": (1, to_double),
    "$toDate": (1, to_date),
    "$toString": (1, to_string),
    "$toUpper": (1, lenient(ascii_only(str.upper))),
    "$toLower": (1, lenient(ascii_only(str.lower))),
    "$strLenCP": (1, measured(len)),
    "$strLenBytes": (1, measured(lambda text: len(text.encode()))),
    "$split": (2, nullable(is_text, split)),
    "$indexOfCP": (2, index_of),
    "$arrayElemAt": (2, element),
    "$slice": (2, cut),
    "$concatArrays": (2, joined),
    "$reverseArray": (1, nullable(is_array, lambda items: items[::-1])),
    "$last": (1, last),
    "$indexOfArray": (2, place_of),
    "$setIsSubset": (2, within),
    "$setEquals": (2, lambda one, other: within(one, other) and within(other, one)),
    "$anyElementTrue": (1, quantified(any)),
    "$allElementsTrue": (1, quantified(all)),
    "$mergeObjects": (2, merged),
    "$objectToArray": (1, nullable(lambda value: kind(value) == "object", pairs)),
    "$sum": (2, total),
    "$avg": (2, mean),
    "$max": (2, extreme(1)),
    "$min": (2, extreme(-1)),
    "$year": (1, of_date(lambda date: date.year)),
    "$month": (1, of_date(lambda date: date.month)),
    "$dayOfMonth": (1, of_date(lambda date: date.day)),
    "$dayOfWeek": (1, of_date(lambda date: date.isoweekday() % 7 + 1)),
    "$dayOfYear": (1, of_date(lambda date: date.timetuple().tm_yday)),
    "$isoWeek": (1, of_date(lambda date: date.isocalendar().week)),
    "$isoWeekYear": (1, of_date(lambda date: Int64(date.isocalendar().year))),
    "$isoDayOfWeek": (1, of_date(lambda date: date.isoweekday())),
    "$hour": (1, of_date(lambda date: date.hour)),
    "$second": (1, of_date(lambda date: date.second)),
    "$millisecond": (1, of_date(lambda date: date.microsecond // 1000)),
}
NAMED = {  # the names of the operands, in the order of the function's arguments
    "$trim": (["input"], trimmed("strip")),
    "$ltrim": (["input"], trimmed("lstrip")),
    "$rtrim": (["input"], trimmed("rstrip")),
    "$replaceOne": (["input", "find", "replacement"], replaced(1)),
    "$replaceAll": (["input", "find", "replacement"], replaced(-1)),
}

# Accumulators of $group: "Accumulators ($group)". What is missing is left out, or null in the end.


def present(values):
    return [value for value in values if value is not MISSING]


def or_null(value):
    return None if value is MISSING else value


ACCUMULATORS = {
    "$sum": lambda values: total(*values),
    "$avg": lambda values: mean(*values),
    "$max": lambda values: extreme(1)(*values),
    "$min": lambda values: extreme(-1)(*values),
    "$first": lambda values: or_null(values[0]),
    "$last": lambda values: or_null(values[-1]),
    "$push": present,
}


EMPTY = object()  # of an empty array

# Sorting: "Ascending/Descending Sort" in "Comparison/Sort Order": an array by its least, or greatest, item.


def in_order(documents, path, direction):
    """Whether documents are sorted by a path without numbers."""
    places = [place(document, path.split("."), direction) for document in documents]
    return all(before_or_equal(one, other, direction) for one, other in itertools.pairwise(places))


def place(document, parts, direction):
    """What a document sorts by. An empty array comes before null; a scalar among documents is null there."""
    return (min if direction > 0 else max)(below(document, parts), key=cmp_to_key(compared))


def compared(one, other):
    if one is EMPTY or other is EMPTY:
        if one is other:
            return 0
        rest = other if one is EMPTY else one
        sign = 1 if kind(rest) == "minKey" else -1
        return sign if one is EMPTY else -sign
    return compare(one, other)


def below(value, parts):
    if isinstance(value, list):
        if not parts:
            return value or [EMPTY]
        found = [
            each for item in value for each in (below(item, parts) if isinstance(item, dict) else [None])
        ]
        return found or [None]
    if not parts:
        return [value]
    if isinstance(value, dict) and parts[0] in value:
        return below(value[parts[0]], parts[1:])
    return [None]


def before_or_equal(one, other, direction):
    return compared(one, other) * direction <= 0
