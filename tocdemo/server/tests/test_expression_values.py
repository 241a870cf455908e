"""What particular expressions are: overflows, ends of ranges, wrong arguments, paths and variables.

Answers and codes are MongoDB's, from the same places as those of `test_expressions`.
"""

import datetime

import pytest
from bson import Decimal128 as D
from bson import Int64

from tocdemo.server.query.pipelines import run_pipeline
from tocdemo.server.query.values import MISSING

from .test_expressions import DATE, evaluate, exact


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({"$add": [2**31 - 1, 1]}, Int64(2**31)),  # an int overflows to a long, a long to a double
        ({"$add": [2**31 - 1, 1, -1]}, 2**31 - 1),
        ({"$add": [Int64(2**63 - 1), 1]}, 2.0**63),
        ({"$add": [1, 2.5, D("0.5")]}, D("4.00000000000000")),
        ({"$add": []}, 0),
        ({"$add": [DATE, DATE]}, 16612),
        ({"$multiply": [2**31 - 1, 2]}, Int64(2**32 - 2)),
        ({"$multiply": [Int64(2**62), 4]}, 2.0**64),
        ({"$subtract": [-(2**31), 1]}, Int64(-(2**31) - 1)),
        ({"$subtract": [Int64(-(2**63)), 1]}, -(2.0**63)),
        ({"$subtract": [DATE, datetime.datetime(2024, 2, 29)]}, Int64(49530123)),
        ({"$divide": [1, 0]}, 2),
        ({"$mod": [-7, 3]}, -1),
        ({"$mod": [7, 2.0]}, 1),
        ({"$mod": [7, 2.5]}, 2.0),
        ({"$substr": ["text", 1.9, 2]}, "ex"),
        ({"$mod": [1, 0]}, 16610),
        ({"$pow": [2, 31]}, Int64(2**31)),
        ({"$pow": [2, 64]}, 2.0**64),
        ({"$pow": [0, -1]}, 28764),
        ({"$abs": Int64(-(2**63))}, 28680),
        ({"$abs": D("-1234567890123456789012345678901234")}, D("1234567890123456789012345678901234")),
        ({"$substr": ["text", float("nan"), float("inf")]}, "text"),
        ({"$toInt": D("sNaN")}, 241),
        ({"$sqrt": -1}, 28714),
        ({"$ln": 0}, 28766),
        ({"$sum": [0.1] * 10}, 1.0),
        ({"$sum": ["$v", "text", [1]]}, 0),
        ({"$avg": [[1, 2]]}, 1.5),
        ({"$round": [19.25, 1]}, 19.2),
        ({"$round": [1234, -2]}, 1200),
        ({"$round": [1, 101]}, 51083),
        ({"$trunc": [-7.89, 1]}, -7.8),
        ({"$toInt": Int64(2**31)}, 241),
        ({"$toInt": "0x10"}, 241),
        ({"$toDouble": "1e3"}, 1000.0),
        ({"$toDate": "2018-03-20T11:00:06+0500"}, datetime.datetime(2018, 3, 20, 6, 0, 6)),
        ({"$toDate": "yesterday"}, 241),
        ({"$toString": 0.1}, "0.1"),
        ({"$convert": {"input": 1, "to": "nope"}}, 2),
        ({"$cond": [1, 2]}, 16020),
        ({"$cond": {"if": 1, "then": 2}}, 17082),
        ({"$switch": {"branches": []}}, 40068),
        ({"$switch": {"branches": [{"case": False, "then": 1}]}}, 40066),
        ({"$ifNull": [None, "$nope", 7]}, 7),
        ({"$ifNull": [1]}, 1257300),
        ({"$and": []}, True),
        ({"$or": []}, False),
        ({"$eq": [1]}, 16020),
        ({"$eq": [1, 1.0]}, True),
        ({"$eq": [1, True]}, False),
        ({"$round": [1, 2, 3]}, 28667),
        ({"$toInt": [1, 2]}, 50723),
        ({"$in": [1, 1]}, 40081),
        ({"$arrayElemAt": [[1], 4]}, MISSING),
        ({"$first": [[]]}, MISSING),
        ({"$arrayToObject": [[["a", 1], ["b", 2]]]}, {"a": 1, "b": 2}),
        ({"$range": [0, 10, 0]}, 34449),
        ({"$slice": [[1, 2, 3], -2, 1]}, [2]),
        ({"$slice": [[1], 0, 0]}, 28729),
        ({"$filter": {"input": [1, 2, 3], "cond": True, "limit": 2}}, [1, 2]),
        ({"$sortArray": {"input": [{"n": 2}, {"n": 1}], "sortBy": {"n": 1}}}, [{"n": 1}, {"n": 2}]),
        ({"$sortArray": {"input": [1], "sortBy": 2}}, 2942506),
        ({"$reduce": {"input": ["a"], "initialValue": "b", "in": {"$concat": ["$$value", "$$this"]}}}, "ba"),
        ({"$let": {"vars": {"A": 1}, "in": 1}}, 16867),
        ({"$getField": "$v"}, 5654600),
        ({"$getField": {"field": {"$concat": ["a"]}, "input": {}}}, 5654601),
        ({"$regexFind": {"input": "aé(c", "regex": "("}}, 51111),
        ({"$regexFind": {"input": "éa", "regex": "(x)?a"}}, {"match": "a", "idx": 1, "captures": [None]}),
        ({"$split": ["a", ""]}, 40087),
        ({"$substrBytes": ["é", 1, 1]}, 28656),
        ({"$strLenBytes": "é"}, 2),
        ({"$toUpper": "é"}, "é"),
        ({"$dateAdd": {"startDate": DATE, "unit": "era", "amount": 1}}, 9),
        ({"$dateAdd": {"startDate": DATE, "unit": "day", "amount": 1.5}}, 5166405),
        ({"$dateAdd": {"startDate": DATE, "unit": "day"}}, 5166402),
        ({"$dateAdd": {"startDate": DATE, "unit": "day", "amount": None}}, None),
        (
            {"$dateAdd": {"startDate": datetime.datetime(2024, 3, 9, 12), "unit": "day", "amount": 1,
                          "timezone": "America/New_York"}},
            datetime.datetime(2024, 3, 10, 11),
        ),
        ({"$dateDiff": {"startDate": DATE, "endDate": datetime.datetime(2020, 12, 31), "unit": "year"}},
         Int64(-4)),
        ({"$dateTrunc": {"date": DATE, "unit": "week"}}, datetime.datetime(2024, 2, 25)),
        ({"$dateTrunc": {"date": DATE, "unit": "minute", "binSize": 20}},
         datetime.datetime(2024, 2, 29, 13, 40)),
        ({"$dateTrunc": {"date": DATE, "unit": "day", "binSize": 0}}, 5439018),
        ({"$hour": {"date": DATE, "timezone": "+05:30"}}, 19),
        ({"$hour": {"date": DATE, "timezone": "Nowhere/No"}}, 40485),
        ({"$dateToString": {"date": DATE}}, "2024-02-29T13:45:30.123Z"),
        ({"$dateToString": {"date": DATE, "format": "%q"}}, 18536),
        ({"$dateFromParts": {"year": 2024, "month": 14, "day": 0}}, datetime.datetime(2025, 1, 31)),
        ({"$dateFromParts": {"month": 1}}, 40516),
        ({"$setField": {"field": "a", "input": {}, "value": 1, "nope": 1}}, 4161101),
        ("$v.x", [1, 2]),
        ("$v.x.y", []),
        ("$", 16872),
        ("$v.", 40353),
        ("$v..x", 15998),
        ("$$nope", 17276),
        ("$$ROOT", {"v": [{"x": 1}, 5, {"x": 2}]}),
        ("$$REMOVE", MISSING),
        ([1, "$nope"], [1, None]),
        ({"a": "$nope", "b": 1}, {"b": 1}),
        ({"a.b": 1}, 16412),
        ({"$add": 1, "$abs": 1}, 15983),
        ({"$nope": 1}, 168),
    ],
)  # fmt: skip
def test_an_expression_has_the_value_or_the_error_that_mongodb_gives_it(expression, expected):
    assert exact(evaluate(expression, {"v": [{"x": 1}, 5, {"x": 2}]})) == exact(expected)


def test_rand_is_a_double_below_1_and_differs_from_document_to_document():
    found = run_pipeline([{}] * 20, [{"$set": {"r": {"$rand": {}}}}], lambda name: [])
    assert len({one["r"] for one in found}) == 20
    assert all(0 <= one["r"] < 1 for one in found)
