"""Stages, projections and updates: what they make of documents, and what they refuse before they see any.

Answers and codes are from MongoDB's manual and its source: `document_source_*.cpp`, `projection_parser.cpp`,
`accumulation_statement.cpp` and `update/*_node.cpp`.
"""

import enum

import pytest
from bson import Decimal128, Int64, Regex
from pymongo.errors import OperationFailure

MISSING = enum.Enum("Missing", "MISSING").MISSING  # the name of a test must not hold an address


def types(document):
    return {name: type(value) for name, value in document.items()}


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        ({"$set": {"o.x": 2, "a.n": 1}}, {"_id": 1, "o": {"x": 2, "y": 1}, "a": [{"n": 1}] * 3, "v": 5}),
        ({"$addFields": {"o": {"z": "$v"}}}, {"_id": 1, "o": {"x": 1, "y": 1, "z": 5}, "a": [1, 2, 3],
         "v": 5}),
        ({"$set": {"v": "$$REMOVE"}}, {"_id": 1, "o": {"x": 1, "y": 1}, "a": [1, 2, 3]}),
        ({"$set": {"v": {"$literal": 1}, "w": "$v"}}, {"_id": 1, "o": {"x": 1, "y": 1}, "a": [1, 2, 3],
         "v": 1, "w": 5}),
        ({"$project": {"o": {"x": 1}}}, {"_id": 1, "o": {"x": 1}}),
        ({"$project": {"_id": 0, "o.y": 1, "n": "$v"}}, {"o": {"y": 1}, "n": 5}),
        ({"$project": {"o.x": 0, "a": 0}}, {"_id": 1, "o": {"y": 1}, "v": 5}),
        ({"$project": {"_id": "$v", "n": {"k": ["$v", "$nope"]}}}, {"_id": 5, "n": {"k": [5, None]}}),
        ({"$unset": ["o.x", "a"]}, {"_id": 1, "o": {"y": 1}, "v": 5}),
        ({"$replaceRoot": {"newRoot": "$o"}}, {"x": 1, "y": 1}),
        ({"$replaceWith": {"$mergeObjects": ["$o", {"x": 9}]}}, {"x": 9, "y": 1}),
        ({"$count": "n"}, {"n": 1}),
        ({"$limit": Decimal128("1")}, {"_id": 1, "o": {"x": 1, "y": 1}, "a": [1, 2, 3], "v": 5}),
        ({"$sortByCount": "$v"}, {"_id": 5, "count": 1}),
        ({"$facet": {"all": [{"$count": "n"}], "none": [{"$match": {"v": 6}}]}}, {"all": [{"n": 1}],
         "none": []}),
    ],
)  # fmt: skip
def test_a_stage_makes_what_mongodb_makes(client, stage, expected):
    client.d.c.insert_one({"_id": 1, "o": {"x": 1, "y": 1}, "a": [1, 2, 3], "v": 5})
    assert list(client.d.c.aggregate([stage])) == [expected]


def test_a_group_gathers_with_every_accumulator(client):
    rows = [
        {"k": 1, "v": 2},
        {"k": 1.0, "v": "text"},
        {"k": 1, "v": None},
        {"k": 1},
        {"v": Int64(7)},
        {"k": None, "v": 7},
    ]
    client.d.c.insert_many(rows)
    names = ["$sum", "$avg", "$min", "$max", "$first", "$last", "$push", "$addToSet"]
    accumulators = {name[1:]: {name: "$v"} for name in names} | {"n": {"$count": {}}}
    found = {row["_id"]: row for row in client.d.c.aggregate([{"$group": {"_id": "$k", **accumulators}}])}
    assert found[1] == {
        "_id": 1, "sum": 2, "avg": 2.0, "min": 2, "max": "text", "first": 2, "last": None,
        "push": [2, "text", None], "addToSet": [2, "text", None], "n": 4,
    }  # fmt: skip
    assert found[None] == {
        "_id": None, "sum": 14, "avg": 7.0, "min": 7, "max": 7, "first": 7, "last": 7, "push": [7, 7],
        "addToSet": [7], "n": 2,
    }  # fmt: skip
    assert isinstance(found[None]["sum"], Int64)
    merged = client.d.c.aggregate([{"$group": {"_id": None, "o": {"$mergeObjects": {"a": "$k"}}}}])
    assert list(merged) == [{"_id": None, "o": {"a": None}}]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("$a", [{"_id": 1, "a": 1}, {"_id": 1, "a": 2}, {"_id": 4, "a": 9}]),
        (
            {"path": "$a", "preserveNullAndEmptyArrays": True, "includeArrayIndex": "i"},
            [{"_id": 1, "a": 1, "i": 0}, {"_id": 1, "a": 2, "i": 1}, {"_id": 2, "i": None},
             {"_id": 3, "a": None, "i": None}, {"_id": 4, "a": 9, "i": None}, {"_id": 5, "i": None}],
        ),
    ],
)  # fmt: skip
def test_unwind_makes_a_document_of_each_item(client, options, expected):
    client.d.c.insert_many(
        [{"_id": 1, "a": [1, 2]}, {"_id": 2, "a": []}, {"_id": 3, "a": None}, {"_id": 4, "a": 9}, {"_id": 5}]
    )
    found = list(client.d.c.aggregate([{"$unwind": options}]))
    assert found == expected
    assert all(isinstance(row["i"], Int64) for row in found if row.get("i") is not None)


def test_lookup_joins_by_fields_and_by_a_pipeline_with_variables(client):
    client.d.c.insert_many([{"_id": 1, "k": [1, 2]}, {"_id": 2}])
    client.d.other.insert_many([{"_id": n, "n": n} for n in range(3)] + [{"_id": 9}])
    by_fields = {"from": "other", "localField": "k", "foreignField": "n", "as": "j"}
    found = list(client.d.c.aggregate([{"$lookup": by_fields}]))
    assert [[one["_id"] for one in row["j"]] for row in found] == [[1, 2], [9]]
    pipeline = [
        {"$match": {"$expr": {"$gt": ["$n", "$$least"]}}},
        {"$project": {"_id": 0, "m": {"$add": ["$n", "$$least"]}}},
    ]
    joined = {"from": "other", "let": {"least": "$_id"}, "pipeline": pipeline, "as": "j"}
    assert [row["j"] for row in client.d.c.aggregate([{"$lookup": joined}])] == [[{"m": 3}], []]
    union = client.d.c.aggregate(
        [{"$unionWith": {"coll": "other", "pipeline": [{"$match": {"n": 1}}]}}, {"$count": "n"}]
    )
    assert list(union) == [{"n": 3}]


@pytest.mark.parametrize(
    ("stage", "code"),
    [
        ({"$nope": 1}, 40324), ({"$setWindowFields": {}}, 238), ({"$bucketAuto": {}}, 238), ({}, 40323),
        ({"$project": {"a": {"$nope": 1}}}, 31325), ({"$project": {}}, 51272), ({"$project": 1}, 15969),
        ({"$project": {"a": 1, "b": 0}}, 31254), ({"$project": {"a": 0, "b": 1}}, 31253),
        ({"$project": {"a": 0, "b": "$c"}}, 31310), ({"$project": {"a": 1, "a.b": 1}}, 31249),
        ({"$project": {"a.b": 1, "a": 1}}, 31250), ({"$project": {"$a": 1}}, 16410),
        ({"$addFields": {"a": {"$sin": 1}}}, 238), ({"$addFields": {}}, 40177), ({"$set": 1}, 40272),
        ({"$project": {"a": {"$add": [{"$nope": 1}]}}}, 168), ({"$project": {"a.$": 1}}, 31324),
        ({"$project": {"a": 0, "b": {"$add": []}}}, 31252), ({"$project": {"_id": "$b", "a": 0}}, 31254),
        ({"$project": {"a": {}}}, 51270), ({"$addFields": {"a": {"$nope": 1}}}, 168),
        ({"$addFields": {"a": 1, "a.b": 1}}, 40176), ({"$addFields": {"a": {"b.c": 1}}}, 40183),
        ({"$addFields": {"a": {"$add": 1, "$abs": 1}}}, 40181), ({"$unset": ""}, 40352),
        ({"$unset": [1]}, 31120),
        ({"$match": {"$expr": {"$nope": 1}}}, 168), ({"$match": {"a": {"$nope": 1}}}, 2),
        ({"$match": 1}, 15959),
        ({"$group": {}}, 15955), ({"$group": 1}, 15947), ({"$group": {"_id": 1, "n": 1}}, 40234),
        ({"$group": {"_id": 1, "n": {"$nope": 1}}}, 15952),
        ({"$group": {"_id": 1, "n": {"$sum": [1]}}}, 40237),
        ({"$group": {"_id": 1, "n.m": {"$sum": 1}}}, 40235), ({"$group": {"_id": 1, "n": {"$top": {}}}}, 238),
        ({"$group": {"_id": 1, "n": {"$sum": 1, "$avg": 1}}}, 40238),
        ({"$unwind": "a"}, 28818), ({"$unwind": 1}, 15981), ({"$unwind": {}}, 28812),
        ({"$unwind": {"x": 1}}, 28811),
        ({"$unwind": {"path": 1}}, 28808), ({"$unwind": {"path": "$a", "includeArrayIndex": "$i"}}, 28822),
        ({"$limit": 0}, 15958), ({"$limit": "1"}, 2107201), ({"$skip": -1}, 5107200), ({"$sort": {}}, 15976),
        ({"$sort": {"a": 2}}, 15975), ({"$sort": 1}, 15973), ({"$sample": {"size": "1"}}, 28746),
        ({"$sample": 1}, 28745),
        ({"$count": 1}, 40156), ({"$count": ""}, 40157), ({"$count": "$a"}, 40158),
        ({"$count": "a.b"}, 40160),
        ({"$sortByCount": "a"}, 40148), ({"$sortByCount": 1}, 40149), ({"$lookup": {"from": "c"}}, 9),
        ({"$replaceRoot": {}}, 40231), ({"$replaceRoot": 1}, 40229), ({"$unset": []}, 31119),
        ({"$unset": 1}, 31002),
        ({"$facet": {}}, 40169), ({"$facet": {"a": [{"$nope": 1}]}}, 40324), ({"$unionWith": 1}, 9),
    ],
)  # fmt: skip
def test_a_wrong_stage_is_refused_even_where_there_are_no_documents(client, stage, code):
    with pytest.raises(OperationFailure) as caught:
        list(client.d.empty.aggregate([stage]))
    assert caught.value.code == code


def test_a_new_root_has_to_be_a_document(client):
    client.d.c.insert_one({"a": 1})
    with pytest.raises(OperationFailure) as caught:
        list(client.d.c.aggregate([{"$replaceWith": "$a"}]))
    assert caught.value.code == 40228


@pytest.mark.parametrize(
    ("update", "code"),
    [
        ([{"$invalidOperator": True}], 40324), ([{"$match": {}}], 72), ([{"$set": {"a": {"$nope": 1}}}], 168),
        ([{"$set": {"a": {"$sin": 1}}}], 238), ({"$nope": {"a": 1}}, 9), ({"$inc": {"a": "1"}}, 14),
        ({"$mul": {"a": None}}, 14), ({"$push": {"a": {"$each": 1}}}, 2),
        ({"$push": {"a": {"$each": [], "$no": 1}}}, 2),
        ({"$push": {"a": {"$each": [], "$slice": "1"}}}, 2), ({"$push": {"a": {"$each": [], "$sort": 2}}}, 2),
        ({"$push": {"a": {"$each": [], "$position": 1.5}}}, 2), ({"$addToSet": {"a": {"$each": 1}}}, 14),
        ({"$addToSet": {"a": {"$each": [], "x": 1}}}, 2), ({"$pop": {"a": 2}}, 9),
        ({"$pullAll": {"a": 1}}, 2),
        ({"$pull": {"a": {"$nope": 1}}}, 2), ({"$bit": {"a": {"and": 1.5}}}, 2),
        ({"$bit": {"a": {"nor": 1}}}, 2),
        ({"$rename": {"a": 1}}, 2), ({"$currentDate": {"a": "date"}}, 2), ({"$set": {"a..b": 1}}, 56),
    ],
)  # fmt: skip
def test_a_wrong_update_is_refused_even_where_nothing_matches(client, update, code):
    with pytest.raises(OperationFailure) as caught:
        client.d.empty.update_one({"x": 1}, update)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "run",
    [
        lambda c: c.find_one({"$expr": {"$nope": 1}}),
        lambda c: c.find_one({}, {"a": {"$not": [{"$nope": 1}]}}),
        lambda c: c.count_documents({"$expr": {"$nope": 1}}),
        lambda c: c.delete_many({"$expr": {"$nope": 1}}),
        lambda c: c.distinct("a", {"$expr": {"$nope": 1}}),
        lambda c: c.find_one_and_update({"$expr": {"$nope": 1}}, {"$set": {"a": 1}}),
    ],
)
def test_an_unknown_expression_is_error_168_in_every_command(client, run):
    with pytest.raises(OperationFailure, match=r"Unrecognized expression '\$nope'") as caught:
        run(client.d.empty)
    assert caught.value.code == 168
    name = "InvalidPipelineOperator"
    assert caught.value.details.get("codeName", name) == name  # an entry of writeErrors has none


@pytest.mark.parametrize(
    ("before", "update", "after"),
    [
        ({"n": Int64(5)}, [{"$set": {"n": {"$add": ["$n", 1]}}}], {"n": Int64(6)}),
        ({"n": 5}, [{"$set": {"n": {"$multiply": ["$n", 2**30]}}}], {"n": Int64(5 * 2**30)}),
        ({"n": 5}, [{"$set": {"n": {"$toLong": "$n"}, "m": {"$sum": ["$n", Int64(1)]}}}], {"n": Int64(5),
         "m": Int64(6)}),
        ({"n": 5}, [{"$set": {"n": {"$add": ["$n", Decimal128("0.1")]}}}], {"n": Decimal128("5.1")}),
        ({"n": 2**31 - 1}, {"$inc": {"n": 1}}, {"n": Int64(2**31)}),
        ({"n": Int64(1)}, {"$mul": {"n": 2}}, {"n": Int64(2)}),
        ({"n": 1}, {"$inc": {"n": 0.5}}, {"n": 1.5}),
        ({"n": 1.5}, {"$inc": {"n": Decimal128("1")}}, {"n": Decimal128("2.50000000000000")}),
        ({}, {"$mul": {"a": 2, "b": Int64(2), "c": 2.0, "d": Decimal128("2")}},
         {"a": 0, "b": Int64(0), "c": 0.0, "d": Decimal128("0")}),
        ({"n": 6}, {"$bit": {"n": {"and": Int64(3)}}}, {"n": Int64(2)}),
        ({"a": [3, 1]}, {"$push": {"a": {"$each": [2], "$sort": Decimal128("-1"), "$slice": 2.0}}},
         {"a": [3, 2]}),
        ({"a": [3, 1]}, {"$pop": {"a": Decimal128("1")}}, {"a": [3]}),
    ],
)  # fmt: skip
def test_a_number_is_stored_with_the_type_that_mongodb_gives_it(client, before, update, after):
    client.d.c.insert_one({"_id": 1, **before})
    client.d.c.update_one({"_id": 1}, update)
    found = client.d.c.find_one({}, {"_id": 0})
    assert found == after
    assert types(found) == types(after)


def test_an_update_by_pipeline_keeps_the_id_and_knows_let(client):
    client.d.c.insert_one({"_id": 1, "n": 1})
    client.d.command(
        "update", "c", let={"by": 4}, updates=[{"q": {}, "u": [{"$set": {"n": {"$add": ["$n", "$$by"]}}}]}]
    )
    client.d.c.update_one({}, [{"$project": {"n": 1}}, {"$unset": "_id"}])
    assert client.d.c.find_one() == {"_id": 1, "n": 5}


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ([{"$project": {"_id": 0, "r": "$$by"}}], {"r": {"n": 4}}),
        ([{"$project": {"_id": 0, "r": "$$by.n"}}], {"r": 4}),
        ([{"$project": {"_id": 0, "r": {"$let": {"vars": {"by": 1}, "in": "$$by"}}}}], {"r": 1}),
        ([{"$project": {"_id": 0, "r": {"$let": {"vars": {"by": "$$by.n"}, "in": "$$by"}}}}], {"r": 4}),
        (
            [{"$project": {"_id": 0, "r": {"$map": {"input": ["$$by.n"], "as": "by", "in": "$$by"}}}}],
            {"r": [4]},
        ),
        (
            [{"$facet": {"f": [{"$match": {"$expr": {"$eq": ["$$by.n", 4]}, "s": "$$by"}}]}}],
            {"f": [{"_id": 1, "s": "$$by"}]},
        ),
    ],
)
def test_let_variables_are_seen_where_no_other_has_their_name(client, stages, expected):
    client.d.c.insert_one({"_id": 1, "s": "$$by"})
    assert list(client.d.c.aggregate(stages, let={"by": {"n": 4}})) == [expected]


def joined(client, local, foreign, options):
    client.d.local.insert_many(local)
    client.d.foreign.insert_many(foreign)
    stages = [{"$lookup": {"from": "foreign", "as": "found", **options}}, {"$sort": {"_id": 1}}]
    return [[other["_id"] for other in one["found"]] for one in client.d.local.aggregate(stages)]


@pytest.mark.parametrize(
    ("local", "foreign", "fields", "expected"),
    [
        ([1, None, MISSING], [1, None, MISSING], ("a", "a"), [[0], [1, 2], [1, 2]]),
        ([1, None, MISSING], [1, None, MISSING], ("a", "nope"), [[], [0, 1, 2], [0, 1, 2]]),
        ([1, {"c": 1}], [1, None, MISSING, {"c": 1}, {"c": 2}], ("a.c", "a.c"), [[0, 1, 2], [3]]),
        ([Regex("^x")], [Regex("^x"), "xxx"], ("a", "a"), [[0]]),
        ([[Regex("^x"), 5]], ["xxx", 5, Regex("^x")], ("a", "a"), [[1, 2]]),
        ([[{"b": 1}, {"b": 2}]], [0, 1, 2], ("a.b", "a"), [[1, 2]]),
        ([[0, 1]], [0, [1, 7], [[0, 1]]], ("a", "a"), [[0, 1]]),
    ],
    ids=str,
)
def test_a_join_is_by_equal_values(client, local, foreign, fields, expected):
    """jstests/aggregation/sources/lookup/lookup.js; a regular expression equals itself alone."""
    options = dict(zip(("localField", "foreignField"), fields, strict=True))
    assert joined(client, documents(local), documents(foreign), options) == expected


def documents(values):
    return [{"_id": n, **({} if value is MISSING else {"a": value})} for n, value in enumerate(values)]


def test_a_variable_of_a_missing_field_is_missing(client):
    """jstests/aggregation/sources/lookup/lookup.js: not null."""
    client.d.local.insert_many([{"_id": 0, "a": None}, {"_id": 1}])
    client.d.foreign.insert_one({"_id": 0})
    inner = {"let": {"v": "$a"}, "pipeline": [{"$project": {"x": "$$v"}}]}
    stages = [{"$lookup": {"from": "foreign", "as": "found", **inner}}, {"$sort": {"_id": 1}}]
    assert [one["found"] for one in client.d.local.aggregate(stages)] == [
        [{"_id": 0, "x": None}],
        [{"_id": 0}],
    ]


@pytest.mark.parametrize(
    ("update", "constants", "expected"),
    [
        ([{"$set": {"y": "$$c"}}], {"c": "bar"}, "bar"),
        ([{"$set": {"y": "$$c"}}], {"c": "$x"}, "$x"),
        ([{"$set": {"y": "$$c"}}], {"c": {"$add": [1, 2]}}, {"$add": [1, 2]}),
        ([{"$set": {"y": {"$arrayElemAt": ["$$c", 2]}}}], {"c": [1, 2, 3]}, 3),
    ],
    ids=str,
)
def test_the_constants_of_an_update_are_values(client, update, constants, expected):
    """jstests/core/update_with_pipeline.js; 51198 for an update that is no pipeline."""
    client.d.c.insert_one({"_id": 1, "x": 1})
    statement = {"q": {"_id": 1}, "u": update, "c": constants}
    client.d.command({"update": "c", "updates": [statement]})
    assert client.d.c.find_one()["y"] == expected
    for other in ({"x": 1}, {"$set": {"x": 1}}):
        reply = client.d.command({"update": "c", "updates": [{**statement, "u": other}]})
        assert reply["writeErrors"][0]["code"] == 51198
