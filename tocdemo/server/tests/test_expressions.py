"""What each operator of expressions answers, for null, a missing field and every BSON type.

The table says of each operator that it is ours (a row with its answers) or refused by name; nothing else
lends it an answer. Answers and codes are MongoDB's: from its manual's pages of the operators and from its
source, `expression.cpp` (6.0), `evaluate_*.cpp` and the tests in `jstests/aggregation/expressions`.
"""

import contextlib
import datetime
import itertools

import pytest
from bson import Binary, Code, DatetimeMS, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp

from tocdemo.server.errors import CommandError
from tocdemo.server.query.expressions.compiling import NOT_IMPLEMENTED, OPERATORS
from tocdemo.server.query.expressions.dates import PARTS
from tocdemo.server.query.expressions.forms import FORMS
from tocdemo.server.query.expressions.table import Plain
from tocdemo.server.query.matching import compile_query
from tocdemo.server.query.pipelines import run_pipeline
from tocdemo.server.query.query_operators import OPERATORS as QUERY_OPERATORS
from tocdemo.server.query.update_operators import OPERATORS as UPDATE_OPERATORS
from tocdemo.server.query.updating import Update
from tocdemo.server.query.values import MISSING, order_key, type_name

DATE = datetime.datetime(2024, 2, 29, 13, 45, 30, 123000)
OID = ObjectId("65e08a5a0000000000000000")  # made in the second of 2024-02-29 13:44:58
VALUES = {
    "missing": MISSING,
    "null": None,
    "int": 3,
    "long": Int64(5),
    "double": 2.5,
    "decimal": Decimal128("1.5"),
    "string": "Text",
    "bool": True,
    "date": DATE,
    "objectId": OID,
    "array": [4, 1],
    "object": {"x": 1},
    "binData": Binary(b"ab", 5),
    "regex": Regex("a"),
    "timestamp": Timestamp(1709214298, 7),
    "javascript": Code("f"),
    "minKey": MinKey(),
    "maxKey": MaxKey(),
}
NULL = {"missing": None, "null": None}
NUMBERS = {name: VALUES[name] for name in ("int", "long", "double", "decimal")}
EMPTY = {"missing": "", "null": ""}
D = Decimal128


def written(change):
    """What the lenient operators of strings make of a value."""
    texts = {"int": "3", "long": "5", "double": "2.5", "decimal": "1.5", "string": "Text"}
    texts["date"] = "2024-02-29T13:45:30.123Z"
    return {**EMPTY, **{name: change(text) for name, text in texts.items()}}


def dated(value, of_object_id, of_timestamp=None):
    """The answers of an operator of dates, with the same one for an ObjectId and a timestamp."""
    return {**NULL, "date": value, "objectId": of_object_id, "timestamp": of_timestamp or of_object_id}


V = "$v"
# The operator, its use with the value of a field, answers by type, and the answer (or code) for all others.
TABLE = [
    ("$abs", {"$abs": V}, {**NULL, **NUMBERS}, 28765),
    ("$add", {"$add": [V, 1]}, {**NULL, "int": 4, "long": Int64(6), "double": 3.5, "decimal": D("2.5"),
                                "date": DATE + datetime.timedelta(milliseconds=1)}, 14),
    ("$allElementsTrue", {"$allElementsTrue": [V]}, {"array": True}, 17040),
    ("$and", {"$and": [V]}, {"missing": False, "null": False}, True),
    ("$anyElementTrue", {"$anyElementTrue": [V]}, {"array": True}, 17041),
    ("$arrayElemAt", {"$arrayElemAt": [V, -1]}, {**NULL, "array": 1}, 28689),
    ("$arrayToObject", {"$arrayToObject": V}, {**NULL, "array": 40398}, 40386),
    ("$avg", {"$avg": V}, {"int": 3.0, "long": 5.0, "double": 2.5, "decimal": D("1.5"), "array": 2.5}, None),
    ("$ceil", {"$ceil": V}, {**NULL, "int": 3, "long": Int64(5), "double": 3.0, "decimal": D("2")}, 28765),
    ("$cmp", {"$cmp": [V, 3]},
     {"missing": -1, "null": -1, "int": 0, "double": -1, "decimal": -1, "minKey": -1}, 1),
    ("$concat", {"$concat": [V, "!"]}, {**NULL, "string": "Text!"}, 16702),
    ("$concatArrays", {"$concatArrays": [V, [9]]}, {**NULL, "array": [4, 1, 9]}, 28664),
    ("$cond", {"$cond": [V, "yes", "no"]}, {"missing": "no", "null": "no"}, "yes"),
    ("$const", {"$const": V}, {}, "$v"),
    ("$convert", {"$convert": {"input": V, "to": "long", "onError": "bad", "onNull": "none"}},
     {"missing": "none", "null": "none", "int": Int64(3), "long": Int64(5), "double": Int64(2),
      "decimal": Int64(1), "bool": Int64(1), "date": Int64(1709214330123)}, "bad"),
    ("$dateAdd", {"$dateAdd": {"startDate": V, "unit": "year", "amount": 1}},
     dated(datetime.datetime(2025, 2, 28, 13, 45, 30, 123000), datetime.datetime(2025, 2, 28, 13, 44, 58)),
     5166403),
    ("$dateDiff", {"$dateDiff": {"startDate": V, "endDate": datetime.datetime(2024, 3, 1), "unit": "day"}},
     dated(Int64(1), Int64(1)), 5166307),
    ("$dateFromParts", {"$dateFromParts": {"year": 2024, "day": V}},
     {**NULL, "int": datetime.datetime(2024, 1, 3), "long": datetime.datetime(2024, 1, 5)}, 40515),
    ("$dateFromString", {"$dateFromString": {"dateString": V, "onNull": 0}}, {"missing": 0, "null": 0}, 241),
    ("$dateSubtract", {"$dateSubtract": {"startDate": V, "unit": "day", "amount": 1}},
     dated(DATE - datetime.timedelta(days=1), datetime.datetime(2024, 2, 28, 13, 44, 58)), 5166403),
    ("$dateToString", {"$dateToString": {"date": V, "format": "%Y-%m", "onNull": "none"}},
     {**dated("2024-02", "2024-02"), "missing": "none", "null": "none"}, 16006),
    ("$dateTrunc", {"$dateTrunc": {"date": V, "unit": "month"}},
     dated(datetime.datetime(2024, 2, 1), datetime.datetime(2024, 2, 1)), 5439012),
    ("$dayOfMonth", {"$dayOfMonth": V}, dated(29, 29), 16006),
    ("$dayOfWeek", {"$dayOfWeek": V}, dated(5, 5), 16006),
    ("$dayOfYear", {"$dayOfYear": V}, dated(60, 60), 16006),
    ("$divide", {"$divide": [V, 2]},
     {**NULL, "int": 1.5, "long": 2.5, "double": 1.25, "decimal": D("0.75")}, 14),
    ("$eq", {"$eq": [V, None]}, {"null": True, "missing": False}, False),
    ("$exp", {"$exp": {"$multiply": [V, 0]}},
     {**NULL, "int": 1.0, "long": 1.0, "double": 1.0, "decimal": D("1")}, 14),
    ("$filter", {"$filter": {"input": V, "cond": {"$gt": ["$$this", 1]}}}, {**NULL, "array": [4]}, 28651),
    ("$first", {"$first": V}, {**NULL, "array": 4}, 28689),
    ("$floor", {"$floor": V}, {**NULL, "int": 3, "long": Int64(5), "double": 2.0, "decimal": D("1")}, 28765),
    ("$getField", {"$getField": {"field": "x", "input": V}}, {"null": None, "object": 1}, MISSING),
    ("$gt", {"$gt": [V, None]}, {"missing": False, "null": False, "minKey": False}, True),
    ("$gte", {"$gte": [V, None]}, {"missing": False, "minKey": False}, True),
    ("$hour", {"$hour": V}, dated(13, 13), 16006),
    ("$ifNull", {"$ifNull": [{"$type": V}, 0]}, {}, "the type"),
    ("$in", {"$in": [V, [3, None]]}, {"null": True, "int": True}, False),
    ("$indexOfArray", {"$indexOfArray": [V, 1]}, {**NULL, "array": 1}, 40090),
    ("$indexOfBytes", {"$indexOfBytes": [V, "x"]}, {**NULL, "string": 2}, 40091),
    ("$indexOfCP", {"$indexOfCP": [V, "x"]}, {**NULL, "string": 2}, 40093),
    ("$isArray", {"$isArray": V}, {"array": True}, False),
    ("$isNumber", {"$isNumber": V}, dict.fromkeys(NUMBERS, True), False),
    ("$isoDayOfWeek", {"$isoDayOfWeek": V}, dated(4, 4), 16006),
    ("$isoWeek", {"$isoWeek": V}, dated(9, 9), 16006),
    ("$isoWeekYear", {"$isoWeekYear": V}, dated(Int64(2024), Int64(2024)), 16006),
    ("$last", {"$last": V}, {**NULL, "array": 1}, 28689),
    ("$let", {"$let": {"vars": {"one": V}, "in": {"$type": "$$one"}}}, {}, "the type"),
    ("$literal", {"$literal": V}, {}, "$v"),
    ("$ln", {"$ln": {"$divide": [V, V]}},
     {**NULL, "int": 0.0, "long": 0.0, "double": 0.0, "decimal": D("0")}, 14),
    ("$log10", {"$log10": {"$divide": [V, V]}},
     {**NULL, "int": 0.0, "long": 0.0, "double": 0.0, "decimal": D("0")}, 14),
    ("$lt", {"$lt": [V, None]}, {"missing": True, "minKey": True}, False),
    ("$lte", {"$lte": [V, None]}, {"missing": True, "null": True, "minKey": True}, False),
    ("$ltrim", {"$ltrim": {"input": V, "chars": "T"}}, {**NULL, "string": "ext"}, 50699),
    ("$map", {"$map": {"input": V, "as": "one", "in": {"$add": ["$$one", 1]}}},
     {**NULL, "array": [5, 2]}, 16883),
    ("$max", {"$max": [V, 3]},
     {"missing": 3, "null": 3, "int": 3, "double": 3, "decimal": 3, "minKey": 3}, "itself"),
    ("$mergeObjects", {"$mergeObjects": [V, {"y": 2}]},
     {"missing": {"y": 2}, "null": {"y": 2}, "object": {"x": 1, "y": 2}}, 40400),
    ("$millisecond", {"$millisecond": V}, dated(123, 0, 0), 16006),
    ("$min", {"$min": [V, 2]}, {"double": 2, "decimal": D("1.5"), "minKey": MinKey()}, 2),
    ("$minute", {"$minute": V}, dated(45, 44), 16006),
    ("$mod", {"$mod": [V, 2]},
     {**NULL, "int": 1, "long": Int64(1), "double": 0.5, "decimal": D("1.5")}, 16611),
    ("$month", {"$month": V}, dated(2, 2), 16006),
    ("$multiply", {"$multiply": [V, 2]},
     {**NULL, "int": 6, "long": Int64(10), "double": 5.0, "decimal": D("3.0")}, 14),
    ("$ne", {"$ne": [V, None]}, {"null": False}, True),
    ("$not", {"$not": [V]}, {"missing": True, "null": True}, False),
    ("$objectToArray", {"$objectToArray": V}, {**NULL, "object": [{"k": "x", "v": 1}]}, 40390),
    ("$or", {"$or": [False, V]}, {"missing": False, "null": False}, True),
    ("$pow", {"$pow": [V, 2]},
     {**NULL, "int": 9, "long": Int64(25), "double": 6.25, "decimal": D("2.25")}, 28762),
    ("$range", {"$range": [0, V]},
     {"int": [0, 1, 2], "long": [0, 1, 2, 3, 4], "double": 34446, "decimal": 34446}, 34445),
    ("$reduce", {"$reduce": {"input": V, "initialValue": 1, "in": {"$add": ["$$value", "$$this"]}}},
     {**NULL, "array": 6}, 40080),
    ("$regexFind", {"$regexFind": {"input": V, "regex": "e(x)"}},
     {**NULL, "string": {"match": "ex", "idx": 1, "captures": ["x"]}}, 51104),
    ("$regexFindAll", {"$regexFindAll": {"input": V, "regex": "q"}},
     {"missing": [], "null": [], "string": []}, 51104),
    ("$regexMatch", {"$regexMatch": {"input": V, "regex": "^t", "options": "i"}},
     {"missing": False, "null": False, "string": True}, 51104),
    ("$replaceAll", {"$replaceAll": {"input": V, "find": "t", "replacement": "-"}},
     {**NULL, "string": "Tex-"}, 51746),
    ("$replaceOne", {"$replaceOne": {"input": V, "find": "", "replacement": "-"}},
     {**NULL, "string": "-Text"}, 51746),
    ("$reverseArray", {"$reverseArray": V}, {**NULL, "array": [1, 4]}, 34435),
    ("$round", {"$round": V}, {**NULL, "int": 3, "long": Int64(5), "double": 2.0, "decimal": D("2")}, 51081),
    ("$rtrim", {"$rtrim": {"input": V, "chars": "Tt"}}, {**NULL, "string": "Tex"}, 50699),
    ("$second", {"$second": V}, dated(30, 58), 16006),
    ("$setDifference", {"$setDifference": [V, [1]]}, {**NULL, "array": [4]}, 17048),
    ("$setEquals", {"$setEquals": [V, [1, 4, 1]]}, {"array": True}, 17044),
    ("$setField", {"$setField": {"field": "a.b", "input": V, "value": 2}},
     {**NULL, "object": {"x": 1, "a.b": 2}}, 4161105),
    ("$setIntersection", {"$setIntersection": [V, [1, 2]]}, {**NULL, "array": [1]}, 17047),
    ("$setIsSubset", {"$setIsSubset": [V, [1, 2, 4]]}, {"array": True}, 17046),
    ("$setUnion", {"$setUnion": [V, [2]]}, {**NULL, "array": [1, 2, 4]}, 17043),
    ("$size", {"$size": V}, {"array": 2}, 17124),
    ("$slice", {"$slice": [V, 1]}, {**NULL, "array": [4]}, 28724),
    ("$sortArray", {"$sortArray": {"input": V, "sortBy": 1}}, {**NULL, "array": [1, 4]}, 2942504),
    ("$split", {"$split": [V, "e"]}, {**NULL, "string": ["T", "xt"]}, 40085),
    ("$sqrt", {"$sqrt": {"$multiply": [V, V]}},
     {**NULL, "int": 3.0, "long": 5.0, "double": 2.5, "decimal": D("1.5")}, 14),
    ("$strLenBytes", {"$strLenBytes": V}, {"string": 4}, 34473),
    ("$strLenCP", {"$strLenCP": V}, {"string": 4}, 34471),
    ("$strcasecmp", {"$strcasecmp": [V, ""]}, {**written(lambda _: 1), "missing": 0, "null": 0}, 16007),
    ("$substr", {"$substr": [V, 0, 2]}, written(lambda text: text[:2]), 16007),
    ("$substrBytes", {"$substrBytes": [V, 1, -1]}, written(lambda text: text[1:]), 16007),
    ("$substrCP", {"$substrCP": [V, 0, 1]}, written(lambda text: text[:1]), 16007),
    ("$subtract", {"$subtract": [V, 1]},
     {**NULL, "int": 2, "long": Int64(4), "double": 1.5, "decimal": D("0.5"),
      "date": DATE - datetime.timedelta(milliseconds=1)}, 14),
    ("$sum", {"$sum": [V, 1]}, {"int": 4, "long": Int64(6), "double": 3.5, "decimal": D("2.5")}, 1),
    ("$switch", {"$switch": {"branches": [{"case": V, "then": 1}], "default": 2}},
     {"missing": 2, "null": 2}, 1),
    ("$toBool", {"$toBool": V}, NULL, True),
    ("$toDate", {"$toDate": V},
     {**dated(DATE, datetime.datetime(2024, 2, 29, 13, 44, 58)),
      "long": datetime.datetime(1970, 1, 1, 0, 0, 0, 5000),
      "double": datetime.datetime(1970, 1, 1, 0, 0, 0, 2000),
      "decimal": datetime.datetime(1970, 1, 1, 0, 0, 0, 1000)}, 241),
    ("$toDecimal", {"$toDecimal": V},
     {**NULL, "int": D("3"), "long": D("5"), "double": D("2.50000000000000"), "decimal": D("1.5"),
      "bool": D("1"),
      "date": D("1709214330123")}, 241),
    ("$toDouble", {"$toDouble": V},
     {**NULL, "int": 3.0, "long": 5.0, "double": 2.5, "decimal": 1.5, "bool": 1.0,
      "date": 1709214330123.0}, 241),
    ("$toInt", {"$toInt": V}, {**NULL, "int": 3, "long": 5, "double": 2, "decimal": 1, "bool": 1}, 241),
    ("$toLong", {"$toLong": V},
     {**NULL, "int": Int64(3), "long": Int64(5), "double": Int64(2), "decimal": Int64(1), "bool": Int64(1),
      "date": Int64(1709214330123)}, 241),
    ("$toLower", {"$toLower": V}, {**written(str.lower), "date": "2024-02-29t13:45:30.123z"}, 16007),
    ("$toObjectId", {"$toObjectId": V}, {**NULL, "objectId": OID}, 241),
    ("$toString", {"$toString": V},
     {**written(str), **NULL, "bool": "true", "objectId": "65e08a5a0000000000000000"}, 241),
    ("$toUpper", {"$toUpper": V}, written(str.upper), 16007),
    ("$trim", {"$trim": {"input": V, "chars": "Tt"}}, {**NULL, "string": "ex"}, 50699),
    ("$trunc", {"$trunc": V}, {**NULL, "int": 3, "long": Int64(5), "double": 2.0, "decimal": D("1")}, 51081),
    ("$type", {"$type": V}, {}, "the type"),
    ("$unsetField", {"$unsetField": {"field": "x", "input": V}}, {**NULL, "object": {}}, 4161105),
    ("$week", {"$week": V}, dated(8, 8), 16006),
    ("$year", {"$year": V}, dated(2024, 2024), 16006),
]  # fmt: skip


def evaluate(expression, document):
    """The value of an expression, or the code of its error."""
    try:
        (result,) = run_pipeline([document], [{"$replaceWith": {"r": expression}}], lambda name: [])
    except CommandError as error:
        return error.code
    return result.get("r", MISSING)


def exact(value):
    """A value with its type and those of its items: 1, 1.0 and Int64(1) are three."""
    if isinstance(value, dict):
        return {name: exact(item) for name, item in value.items()}
    if isinstance(value, list):
        return [exact(item) for item in value]
    text = str(value) if isinstance(value, Decimal128) else ""
    return (type_name(value), text, MISSING if value is MISSING else order_key(value))


@pytest.mark.parametrize(("name", "expression", "answers", "otherwise"), TABLE, ids=[row[0] for row in TABLE])
def test_an_operator_answers_for_every_type_as_mongodb_does(name, expression, answers, otherwise):
    for kind, value in VALUES.items():
        expected = answers.get(kind, otherwise)
        if expected in ("the type", "itself") and kind not in answers:
            expected = kind if expected == "the type" else value
        document = {} if value is MISSING else {"v": value}
        assert exact(evaluate(expression, document)) == exact(expected), kind


def test_the_table_has_every_operator_once():
    ours = {*OPERATORS, *FORMS, *PARTS} - {"$rand"}
    assert [row[0] for row in TABLE] == sorted(ours, key=lambda name: [row[0] for row in TABLE].index(name))
    assert {row[0] for row in TABLE} == ours
    assert not NOT_IMPLEMENTED & ours


@pytest.mark.parametrize("name", sorted(NOT_IMPLEMENTED))
def test_an_operator_of_mongodbs_that_is_not_here_is_refused_by_name(name):
    with pytest.raises(CommandError, match=rf"\{name} ") as caught:
        run_pipeline([], [{"$addFields": {"r": {name: 1}}}], lambda name: [])
    assert caught.value.code == 238


EXTREMES = [
    float("nan"), float("inf"), -0.0, 1e308, D("sNaN"), D("-Infinity"), D("1E+6000"), Int64(2**63 - 1),
    Int64(-(2**63)), -1, 0, DatetimeMS(2**62), DatetimeMS(-(2**62)),
    "", "9" * 5000, "$x", [], {}, [["k", 1]], [None],
]  # fmt: skip


@pytest.mark.parametrize(
    "name", sorted(name for name, known in OPERATORS.items() if isinstance(known, Plain))
)
def test_no_operator_breaks_on_any_pair_of_values(name):
    """A value or one of MongoDB's errors; another exception of Python's would be the server's fault."""
    least, most = OPERATORS[name].least, OPERATORS[name].most or 2
    values = [value for value in VALUES.values() if value is not MISSING] + EXTREMES
    for count in range(least, min(most, 2) + 1):
        for chosen in itertools.product(values, repeat=count):
            fields = {f"v{n}": value for n, value in enumerate(chosen)}
            evaluate({name: [f"${field}" for field in fields]}, fields)


@pytest.mark.parametrize("name", sorted({*QUERY_OPERATORS, *UPDATE_OPERATORS}))
def test_no_filter_and_no_update_breaks_on_any_pair_of_values(name):
    values = [value for value in VALUES.values() if value is not MISSING] + EXTREMES
    values += [[float("nan"), 1], [D("Infinity"), 1], {"$each": [1], "$slice": D("1")}]
    for operand, value in itertools.product(values, repeat=2):
        with contextlib.suppress(CommandError):
            if name in QUERY_OPERATORS:
                compile_query({"a": {name: operand}})({"a": value})
            else:
                Update({name: {"a": operand}}, {}).apply({"_id": 1, "a": value})
