"""A model of queries, updates and expressions, written from MongoDB's manual and not from the server.

It compares two values at a time, by the manual's "Comparison/Sort Order", and counts with fractions. It
covers what the manual states without exceptions. It must not know the server.
"""

import datetime
import math
import re
from fractions import Fraction
from functools import cmp_to_key

from bson import Binary, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp

MISSING = object()


class Refused(Exception):
    """The model's error: the code that MongoDB gives."""


# Types and order, as the manual's page "Comparison/Sort Order" lists them.


def kind(value):
    if value is MISSING:
        return "missing"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "long" if isinstance(value, Int64) or abs(value + 0.5) > 2**31 else "int"
    names = {float: "double", Decimal128: "decimal", str: "string", dict: "object", list: "array"}
    names |= {type(None): "null", ObjectId: "objectId", datetime.datetime: "date", bytes: "binData"}
    names |= {Binary: "binData", Timestamp: "timestamp", Regex: "regex", Code: "javascript"}
    names |= {MinKey: "minKey", MaxKey: "maxKey"}
    return names[type(value)]


ORDER = ["minKey", "null", "number", "string", "object", "array", "binData", "objectId", "bool", "date"]
ORDER += ["timestamp", "regex", "javascript", "maxKey"]
NUMERIC = ["int", "long", "double", "decimal"]


def bracket(value):
    return "number" if kind(value) in NUMERIC else kind(value)


def fraction(number):
    return Fraction(number.to_decimal() if isinstance(number, Decimal128) else number)


def compare(one, other):
    """-1, 0 or 1."""
    group = bracket(one)
    if group != bracket(other):
        return -1 if ORDER.index(group) < ORDER.index(bracket(other)) else 1
    if group in ("null", "minKey", "maxKey"):
        return 0
    if group in ("binData", "timestamp", "regex"):
        one, other = map(parts_of, (one, other))
    if group == "array":
        return compare_rows([[item] for item in one], [[item] for item in other])
    if group == "object":
        rows = [[[ORDER.index(bracket(v)), k, v] for k, v in pairs.items()] for pairs in (one, other)]
        return compare_rows(*rows)
    if group == "number":
        one, other = fraction(one), fraction(other)
    if group == "string":
        one, other = one.encode(), other.encode()
    return (one > other) - (one < other)


def parts_of(value):
    """What the order of binary data, timestamps and regular expressions goes by."""
    if isinstance(value, Timestamp):
        return (value.time, value.inc)
    if isinstance(value, Regex):
        return (value.pattern, value.flags)
    return (len(value), getattr(value, "subtype", 0), bytes(value))


def compare_rows(ones, others):
    for one, other in zip(ones, others, strict=False):
        for left, right in zip(one, other, strict=True):
            found = compare(left, right)
            if found:
                return found
    return (len(ones) > len(others)) - (len(ones) < len(others))


# Filters: "Query an Array", "Query for Null or Missing Fields" and the operators' pages.


def reach(value, parts):
    """Every value that a dotted path reaches."""
    if not parts:
        return [value]
    first, rest = parts[0], parts[1:]
    if isinstance(value, dict):
        return reach(value[first], rest) if first in value else [MISSING]
    if isinstance(value, list):
        by_index = reach(value[int(first)], rest) if first.isdigit() and int(first) < len(value) else []
        return by_index + [found for item in value if isinstance(item, dict) for found in reach(item, parts)]
    return [MISSING]


def candidates(found):
    """The values and, of arrays, the items, too."""
    return found + [item for value in found if isinstance(value, list) for item in value]


def equal(value, operand):
    if value is MISSING:
        return operand is None
    return compare(value, operand) == 0


def satisfies(found, operator, operand):
    if operator in ("$ne", "$nin", "$not"):
        if operator == "$not":
            return not all(satisfies(found, name, value) for name, value in operand.items())
        return not satisfies(found, {"$ne": "$eq", "$nin": "$in"}[operator], operand)
    if operator == "$exists":
        return any(value is not MISSING for value in found) is operand
    if operator == "$size":
        return any(isinstance(value, list) and len(value) == operand for value in found)
    if operator == "$type":
        names = NUMERIC if operand == "number" else [operand]
        return any(kind(value) in names for value in candidates(found))
    if operator == "$all":
        return operand != [] and all(satisfies(found, "$eq", one) for one in operand)
    if operator == "$elemMatch":
        return any(
            item_matches(item, operand) for value in found if isinstance(value, list) for item in value
        )
    if operator == "$mod":
        numbers = [fraction(value) for value in candidates(found) if bracket(value) == "number"]
        return any(
            math.fmod(math.trunc(one), operand[0]) == operand[1] for one in numbers if abs(one) < 2**53
        )
    if operator == "$regex":
        return any(kind(value) == "string" and re.search(operand, value) for value in candidates(found))
    if operator == "$eq":
        return any(equal(value, operand) for value in candidates(found))
    if operator == "$in":
        return any(equal(value, one) for value in candidates(found) for one in operand)
    wanted = {"$gt": [1], "$gte": [0, 1], "$lt": [-1], "$lte": [-1, 0]}[operator]
    alike = [v for v in candidates(found) if v is not MISSING and bracket(v) == bracket(operand)]
    return any(compare(value, operand) in wanted for value in alike)


def item_matches(item, operand):
    """`$elemMatch`: operators are about the item itself, fields about one that is a document or an array."""
    if next(iter(operand)).startswith("$"):
        # Of the operators that are tried here none accepts a whole array.
        return not isinstance(item, list) and all(satisfies([item], *pair) for pair in operand.items())
    if isinstance(item, list):
        item = {str(place): value for place, value in enumerate(item)}
    return isinstance(item, dict) and matches(item, operand)


def matches(document, query):
    for name, condition in query.items():
        if name in ("$and", "$or", "$nor"):
            results = [matches(document, part) for part in condition]
            if not {"$and": all(results), "$or": any(results), "$nor": not any(results)}[name]:
                return False
        elif not all(
            satisfies(reach(document, name.split(".")), op, value) for op, value in condition.items()
        ):
            return False
    return True


# Arithmetic: "Arithmetic Expression Operators", `$inc` and `$mul`.


def widest(one, other):
    return max(kind(one), kind(other), key=NUMERIC.index)


def number(value, name):
    """A fraction as a number of a type; an int that is too long for it becomes a long, a long a double."""
    if name == "int" and not -(2**31) <= value < 2**31:
        name = "long"
    if name == "long" and not -(2**63) <= value < 2**63:
        name = "double"
    if name == "decimal":
        return Decimal128(str(float(value)))
    return {"int": int, "long": lambda v: Int64(int(v)), "double": float}[name](value)


def calculate(operator, one, other):
    left, right = fraction(one), fraction(other)
    return {"+": left + right, "-": left - right, "*": left * right}[operator]


# Updates: the operators' pages under "Update Operators".


def update(document, operators):
    result = dict(document)
    for operator, fields in operators.items():
        for name, operand in fields.items():
            old = result.get(name, MISSING)
            new = changed(operator, old, operand)
            if new is MISSING:
                result.pop(name, None)
            else:
                result[name] = new
    return result


def changed(operator, old, operand):
    if operator == "$set":
        return operand
    if operator == "$unset":
        return MISSING
    if operator in ("$inc", "$mul"):
        return counted(operator, old, operand)
    if operator in ("$min", "$max"):
        if old is MISSING:
            return operand
        return operand if compare(operand, old) == (-1 if operator == "$min" else 1) else old
    if old is MISSING and operator in ("$pull", "$pullAll", "$pop"):
        return MISSING
    items = [] if old is MISSING else old
    if not isinstance(items, list):
        raise Refused(2)
    if operator == "$push":
        return pushed(items, operand)
    if operator == "$addToSet":
        return added(items, operand)
    if operator == "$pullAll":
        return [item for item in items if not any(compare(item, one) == 0 for one in operand)]
    if operator == "$pop":
        return items[1:] if operand < 0 else items[:-1]
    return [item for item in items if not any(equal(one, operand) for one in candidates([item]))]


def pushed(items, operand):
    """`$push`, whose `$each` comes with `$position`, then `$sort`, then `$slice`."""
    if not (isinstance(operand, dict) and "$each" in operand):
        return [*items, operand]
    place = operand.get("$position", len(items))
    result = [*items[:place], *operand["$each"], *items[place:]] if place >= 0 else before_end(items, operand)
    if "$sort" in operand:
        result = sorted(result, key=cmp_to_key(compare), reverse=operand["$sort"] < 0)
    size = operand.get("$slice", len(result))
    return result[:size] if size >= 0 else result[size:]


def before_end(items, operand):
    place = max(0, len(items) + operand["$position"])
    return [*items[:place], *operand["$each"], *items[place:]]


def added(items, operand):
    several = isinstance(operand, dict) and next(iter(operand), "") == "$each"
    for one in operand["$each"] if several else [operand]:
        if not any(compare(item, one) == 0 for item in items):
            items = [*items, one]
    return items


def counted(operator, old, operand):
    if old is MISSING:
        return operand if operator == "$inc" else number(0, kind(operand))
    if bracket(old) != "number":
        raise Refused(14)
    result = calculate("+" if operator == "$inc" else "*", old, operand)
    name = widest(old, operand)
    if name in ("int", "long") and not -(2**63) <= result < 2**63:
        raise Refused(2)
    return number(result, name)


# Expressions: the pages of the operators under "Aggregation Operators".


def evaluate(expression, document, functions):
    """The value of an expression, by functions of the values of its operands."""
    if isinstance(expression, str):
        return follow(document, expression[1:].split("."))
    ((operator, operands),) = expression.items()
    if operator == "$literal":
        return operands
    return functions[operator](*(evaluate(one, document, functions) for one in operands_of(operands)))


def operands_of(operands):
    """Operands in a row, or by their names."""
    return operands.values() if isinstance(operands, dict) else operands


def follow(value, parts):
    if not parts:
        return value
    if isinstance(value, dict):
        return follow(value[parts[0]], parts[1:]) if parts[0] in value else MISSING
    if isinstance(value, list):
        found = [follow(item, parts) for item in value if isinstance(item, dict)]
        return [item for item in found if item is not MISSING]
    return MISSING


def nothing(value):
    return value is MISSING or value is None


def truth(value):
    return not (nothing(value) or value is False or (bracket(value) == "number" and fraction(value) == 0))


EPOCH = datetime.datetime(1970, 1, 1)
MILLISECOND = datetime.timedelta(milliseconds=1)


def arithmetic(operator):
    dates = {"+": ["left", "right"], "-": ["left"], "*": []}[operator]

    def check(value, side):
        if bracket(value) != "number" and not (kind(value) == "date" and side in dates):
            raise Refused(14)

    def apply(one, other):
        if operator in "+*":  # each argument is looked at in its turn
            for value, side in ((one, "left"), (other, "right")):
                if nothing(value):
                    return None
                check(value, side)
        if nothing(one) or nothing(other):
            return None
        if "date" in (kind(one), kind(other)):
            return moved(operator, one, other)
        check(one, "left")
        check(other, "right")
        return number(calculate(operator, one, other), widest(one, other))

    return apply


def moved(operator, one, other):
    """A date and milliseconds, or the milliseconds between two dates."""
    if kind(one) == kind(other):
        if operator == "+":
            raise Refused(16612)
        return Int64((one - other) // MILLISECOND)
    date, shift = (one, other) if kind(one) == "date" else (other, one)
    if bracket(shift) != "number" or (operator == "-" and date is other):
        raise Refused(14)
    exact = fraction(shift)
    if abs(exact) > 10**12:
        raise Refused("skip")  # beyond the years that a datetime has
    whole = math.floor(abs(exact) + Fraction(1, 2)) * (1 if exact >= 0 else -1)
    return date + MILLISECOND * (whole if operator == "+" else -whole)


def divide(one, other):
    if nothing(one) or nothing(other):
        return None
    if bracket(one) != "number" or bracket(other) != "number":
        raise Refused(14)
    if fraction(other) == 0:
        raise Refused(2)
    return number(
        fraction(one) / fraction(other), "decimal" if "decimal" in (kind(one), kind(other)) else "double"
    )


def concat(*values):
    for value in values:
        if nothing(value):
            return None
        if kind(value) != "string":
            raise Refused(16702)
    return "".join(values)


def compared(accept):
    def apply(one, other):
        if one is MISSING or other is MISSING:  # a missing value comes before null
            return accept((other is MISSING) - (one is MISSING))
        return accept(compare(one, other))

    return apply


def size(value):
    if kind(value) != "array":
        raise Refused(17124)
    return len(value)


def contains(value, items):
    if kind(items) != "array":
        raise Refused(40081)
    return value is not MISSING and any(compare(value, item) == 0 for item in items)


def first(value):
    if nothing(value):
        return None
    if kind(value) != "array":
        raise Refused(28689)
    return value[0] if value else MISSING


def whole(value):
    if nothing(value):
        return None
    if kind(value) == "bool" or bracket(value) == "number":
        result = math.trunc(int(value) if isinstance(value, bool) else fraction(value))
        if -(2**63) <= result < 2**63:
            return Int64(result)
    elif kind(value) == "date":
        return Int64((value - EPOCH) // MILLISECOND)
    raise Refused(241)


def chosen(test, then, otherwise):
    return then if truth(test) else otherwise


OPERATORS = {
    "$add": arithmetic("+"),
    "$multiply": arithmetic("*"),
    "$subtract": arithmetic("-"),
    "$divide": divide,
    "$concat": concat,
    "$cmp": compared(lambda sign: sign),
    "$eq": compared(lambda sign: sign == 0),
    "$ne": compared(lambda sign: sign != 0),
    "$gt": compared(lambda sign: sign > 0),
    "$lte": compared(lambda sign: sign <= 0),
    "$in": contains,
    "$cond": chosen,
    "$ifNull": lambda one, other: other if nothing(one) else one,
    "$and": lambda one, other: truth(one) and truth(other),
    "$or": lambda one, other: truth(one) or truth(other),
    "$not": lambda value: not truth(value),
    "$type": kind,
    "$isArray": lambda value: kind(value) == "array",
    "$size": size,
    "$first": first,
    "$toLong": whole,
    "$toBool": lambda value: None if nothing(value) else truth(value),
}
BRANCHING = ("$cond", "$ifNull", "$and", "$or")  # the model evaluates all branches


def branches(expression):
    if isinstance(expression, dict):
        return any(name in BRANCHING or branches(value) for name, value in expression.items())
    return isinstance(expression, list) and any(map(branches, expression))


def alike(one, other):
    """Whether two values are the same, with their types; doubles and decimals nearly so."""
    if kind(one) != kind(other):
        return False
    if kind(one) in ("double", "decimal"):
        left, right = fraction(one), fraction(other)
        return abs(left - right) <= abs(right) * Fraction(1, 10**13)
    if isinstance(one, dict):
        return list(one) == list(other) and all(alike(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return compare(one, other) == 0
