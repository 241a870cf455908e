"""Queries, updates, projections and pipelines: what MongoDB answers."""

import datetime

import pymongo
import pytest
from bson import Binary, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure, WriteError

from tocdemo.server.storage import lookup

ROWS = [
    {"_id": 1, "a": 1, "b": {"c": 1}, "tags": ["x", "y"]},
    {"_id": 2, "a": True, "b": {"c": 2}, "tags": []},
    {"_id": 3, "a": 1.5, "b": None, "items": [{"n": 1, "ok": True}, {"n": 5, "ok": False}]},
    {"_id": 4, "a": "1", "items": [{"n": 5, "ok": True}]},
    {"_id": 5, "a": None},
    {"_id": 6, "a": Decimal128("1")},
    {"_id": 7, "a": [1, 2, 3]},
    {"_id": 8},
]


@pytest.fixture
def rows(client):
    client.d.rows.insert_many(ROWS)
    return client.d.rows


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"a": 1}, [1, 6, 7]),
        ({"a": True}, [2]),
        ({"a": "1"}, [4]),
        ({"a": None}, [5, 8]),
        ({"a": {"$exists": True}}, [1, 2, 3, 4, 5, 6, 7]),
        ({"a": {"$gt": 1}}, [3, 7]),
        ({"a": {"$gte": 1, "$lt": 2}}, [1, 3, 6, 7]),
        ({"a": {"$ne": 1}}, [2, 3, 4, 5, 8]),
        ({"a": {"$in": [1, None]}}, [1, 5, 6, 7, 8]),
        ({"a": {"$nin": [1, None]}}, [2, 3, 4]),
        ({"a": {"$type": "bool"}}, [2]),
        ({"a": {"$type": "number"}}, [1, 3, 6, 7]),
        ({"a": {"$size": 3}}, [7]),
        ({"a": [1, 2, 3]}, [7]),
        ({"a": {"$all": [1, 3]}}, [7]),
        ({"a": {"$mod": [2, 1]}}, [1, 3, 6, 7]),
        ({"a.1": 2}, [7]),
        ({"b.c": {"$gt": 1}}, [2]),
        ({"b.c": None}, [3, 4, 5, 6, 7, 8]),
        ({"b": {"c": 1}}, [1]),
        ({"tags": "x"}, [1]),
        ({"tags": {"$regex": "^X", "$options": "i"}}, [1]),
        ({"tags": {"$not": {"$size": 0}}}, [1, 3, 4, 5, 6, 7, 8]),
        ({"items.n": 5}, [3, 4]),
        ({"items": {"$elemMatch": {"n": 5, "ok": True}}}, [4]),
        ({"items.0.n": 1}, [3]),
        ({"$or": [{"a": True}, {"b.c": 1}]}, [1, 2]),
        ({"$nor": [{"a": {"$exists": True}}]}, [8]),
        ({"$expr": {"$eq": ["$_id", 4]}}, [4]),
        ({"$expr": {"$gt": ["$b.c", 1]}}, [2]),
        ({"$expr": {"$eq": ["$a", 1]}}, [1, 6]),
        ({"$expr": {"$and": [{"$gte": ["$_id", 7]}, {"$ne": ["$a", None]}]}}, [7, 8]),
        ({"_id": {"$in": [3, 1, 3]}}, [1, 3]),
        ({"_id": {"$gt": 6}}, [7, 8]),
        ({"_id": True}, []),
        ({"_id": 1.0}, [1]),
        ({"_id": 1, "a": 2}, []),
        ({"a": {"$bitsAllSet": 1}}, [1, 7]),
    ],
)
def test_a_query_finds_what_mongodb_finds(rows, query, expected):
    assert sorted(found["_id"] for found in rows.find(query)) == expected
    assert rows.count_documents(query) == len(expected)


def test_a_regex_is_a_pattern_but_for_eq_and_a_comparison_takes_none(client):
    client.d.c.insert_many([{"_id": 1, "a": "text"}, {"_id": 2, "a": Regex("t")}])
    queries = [{"a": Regex("t")}, {"a": {"$in": [Regex("t")]}}, {"a": {"$eq": Regex("t")}}]
    assert [[one["_id"] for one in client.d.c.find(query)] for query in queries] == [[1, 2], [1, 2], [2]]
    for name in ("$ne", "$gt"):
        with pytest.raises(OperationFailure, match="regex") as caught:
            client.d.empty.find_one({"a": {name: Regex("t")}})
        assert caught.value.code == 2


@pytest.mark.parametrize(
    "query", [{"a": {"$near": 1}}, {"$where": "1"}, {"$text": {"$search": "x"}}, {"$jsonSchema": {}}]
)
def test_a_query_operator_that_is_not_there_is_error_238_and_named(rows, query):
    with pytest.raises(OperationFailure, match=r"\$(near|where|text|jsonSchema)") as caught:
        list(rows.find(query))
    assert caught.value.code == 238


def test_values_sort_in_the_order_of_their_types(client):
    values = [
        MinKey(), None, float("nan"), -1, 2.5, Int64(2**40), "a", "b", {"x": 1}, [], Binary(b"z", 5),
        ObjectId(),
        False, True, datetime.datetime(2020, 1, 1), Timestamp(1, 1), Regex("a"), Code("f"), MaxKey(),
    ]  # fmt: skip
    client.d.c.insert_many({"_id": n, "v": v} for n, v in reversed(list(enumerate(values))))
    order = [found["_id"] for found in client.d.c.find().sort("v", 1)]
    assert order == [0, 9, *(n for n in range(1, 19) if n not in (0, 9))]  # an empty array comes before null


@pytest.mark.parametrize(
    ("before", "update", "after"),
    [
        ({"n": 1}, {"$inc": {"n": 2}}, {"n": 3}),
        ({"n": Int64(1)}, {"$inc": {"n": 2}}, {"n": Int64(3)}),
        ({"n": 2**31 - 1}, {"$inc": {"n": 1}}, {"n": 2**31}),
        ({}, {"$inc": {"a.b": 1}}, {"a": {"b": 1}}),
        ({"n": 3}, {"$mul": {"n": 1.5}}, {"n": 4.5}),
        ({"n": 3}, {"$min": {"n": 1}, "$max": {"m": 4}}, {"n": 1, "m": 4}),
        ({"n": 5}, {"$bit": {"n": {"and": 4}}}, {"n": 4}),
        ({"a": 1, "b": 2}, {"$rename": {"a": "c"}, "$unset": {"b": ""}}, {"c": 1}),
        ({"l": [1]}, {"$push": {"l": {"$each": [3, 2], "$sort": -1, "$slice": 2}}}, {"l": [3, 2]}),
        ({"l": [1, 2]}, {"$push": {"l": {"$each": [9], "$position": 0}}}, {"l": [9, 1, 2]}),
        ({"l": [1]}, {"$addToSet": {"l": {"$each": [1, True, 2]}}}, {"l": [1, True, 2]}),
        ({"l": [1, 2, 3]}, {"$pop": {"l": -1}}, {"l": [2, 3]}),
        ({"l": [1, 5, 9]}, {"$pull": {"l": {"$gt": 4}}}, {"l": [1]}),
        ({"l": [{"n": 1}, {"n": 2}]}, {"$pull": {"l": {"n": 2}}}, {"l": [{"n": 1}]}),
        ({"l": [1, 2, 1]}, {"$pullAll": {"l": [1]}}, {"l": [2]}),
        ({"l": [{"n": 1}, {"n": 2}]}, {"$set": {"l.1.n": 7}}, {"l": [{"n": 1}, {"n": 7}]}),
        ({"l": [1, 2]}, {"$inc": {"l.$[]": 10}}, {"l": [11, 12]}),
        ({"a": 1}, [{"$set": {"b": {"$add": ["$a", 1]}}}], {"a": 1, "b": 2}),
    ],
)
def test_an_update_does_what_mongodb_does(client, before, update, after):
    client.d.c.insert_one({"_id": 1, **before})
    client.d.c.update_one({"_id": 1}, update)
    found = client.d.c.find_one()
    assert found == {"_id": 1, **after}
    assert {name: type(value) for name, value in found.items()} | {"_id": int} == {
        "_id": int,
        **{name: type(value) if value != 2**31 else Int64 for name, value in after.items()},
    }


def test_positional_and_filtered_updates(client):
    client.d.c.insert_one({"_id": 1, "l": [{"n": 1}, {"n": 5}, {"n": 9}]})
    client.d.c.update_one({"l.n": 5}, {"$set": {"l.$.hit": True}})
    client.d.c.update_one({}, {"$inc": {"l.$[big].n": 100}}, array_filters=[{"big.n": {"$gt": 4}}])
    assert client.d.c.find_one()["l"] == [{"n": 1}, {"n": 105, "hit": True}, {"n": 109}]


@pytest.mark.parametrize(
    ("update", "code"),
    [
        ({"$set": {"_id": 2}}, 66),
        ({"$inc": {"s": 1}}, 14),
        ({"$push": {"s": 1}}, 2),
        ({"$set": {"a": 1, "a.b": 2}}, 40),
        ({"$nope": {"a": 1}}, 9),
        ({"$set": {"l.$.x": 1}}, 2),
        ({"$set": {"l.$[x]": 1}}, 2),
        ({"$set": {"s.t": 1}}, 28),
        ({"$inc": {"big": 1}}, 2),
    ],
)
def test_an_update_that_mongodb_refuses_changes_nothing(client, update, code):
    document = {"_id": 1, "s": "text", "l": [1], "big": Int64(2**63 - 1)}
    client.d.c.insert_one(dict(document))
    with pytest.raises(WriteError) as caught:
        client.d.c.update_one({"_id": 1}, update)
    assert caught.value.code == code
    assert client.d.c.find_one() == document


def test_an_upsert_starts_from_the_query_and_says_what_it_made(client):
    result = client.d.c.update_one(
        {"a.b": 1, "n": {"$gt": 5}, "$and": [{"c": 3}]},
        {"$set": {"x": 1}, "$setOnInsert": {"y": 2}},
        upsert=True,
    )
    found = client.d.c.find_one()
    assert found == {"_id": result.upserted_id, "a": {"b": 1}, "c": 3, "x": 1, "y": 2}
    assert client.d.c.replace_one({"_id": 9}, {"z": 1}, upsert=True).upserted_id == 9


@pytest.mark.parametrize(
    ("projection", "expected"),
    [
        ({"a": 1}, {"_id": 1, "a": 1}),
        ({"a": 0, "l": 0}, {"_id": 1, "b": {"c": 2, "d": 3}}),
        ({"b.c": 1, "_id": 0}, {"b": {"c": 2}}),
        ({"b.c": 0, "_id": 0, "l": 0}, {"a": 1, "b": {"d": 3}}),
        ({"l": {"$slice": [1, 1]}, "a": 1}, {"_id": 1, "a": 1, "l": [{"n": 2}]}),
        ({"l": {"$slice": 1}, "_id": 1}, {"_id": 1, "l": [{"n": 1}]}),
        ({"b": {"c": 1}, "_id": 0}, {"b": {"c": 2}}),
        ({"l": {"$elemMatch": {"n": 2}}}, {"_id": 1, "l": [{"n": 2}]}),
        ({"l.n": 1}, {"_id": 1, "l": [{"n": 1}, {"n": 2}]}),
        ({"sum": {"$add": ["$a", 1]}, "_id": 0}, {"sum": 2}),
    ],
)
def test_a_projection_shows_what_mongodb_shows(client, projection, expected):
    client.d.c.insert_one({"_id": 1, "a": 1, "b": {"c": 2, "d": 3}, "l": [{"n": 1}, {"n": 2}]})
    assert client.d.c.find_one({}, projection) == expected
    for wrong, code in (({"a": 1, "b": 0}, 31254), ({"a": {"$nope": 1}}, 31325)):
        with pytest.raises(OperationFailure) as caught:
            client.d.empty.find_one({}, wrong)
        assert caught.value.code == code


def test_a_batch_keeps_its_order_and_reports_errors_by_index(client):
    documents = [{"_id": 1}, {"_id": 1}, {"_id": 2}, {"_id": 1}]
    with pytest.raises(BulkWriteError) as caught:
        client.d.c.insert_many([dict(document) for document in documents])
    assert [error["index"] for error in caught.value.details["writeErrors"]] == [1]
    with pytest.raises(BulkWriteError) as caught:
        client.d.c.insert_many([{"_id": 3}, *documents, {"_id": 4}], ordered=False)
    assert [error["index"] for error in caught.value.details["writeErrors"]] == [1, 2, 4]
    assert [found["_id"] for found in client.d.c.find()] == [1, 3, 2, 4]


def test_unique_indexes_refuse_doubles_and_say_which(client):
    client.d.c.create_index([("a", 1), ("b", -1)], unique=True)
    client.d.c.insert_one({"_id": 1, "a": 1, "b": [1, 2]})
    client.d.c.insert_one({"_id": 2, "a": 1, "b": 3})
    with pytest.raises(DuplicateKeyError) as caught:
        client.d.c.insert_one({"a": 1, "b": 2})
    assert caught.value.details["keyPattern"] == {"a": 1, "b": -1}
    assert caught.value.details["keyValue"] == {"a": 1, "b": 2}
    with pytest.raises(DuplicateKeyError):
        client.d.c.update_one({"_id": 2}, {"$set": {"b": 1}})
    client.d.c.delete_one({"_id": 1})
    client.d.c.update_one({"_id": 2}, {"$set": {"b": 1}})
    client.d.sparse.create_index("s", unique=True, sparse=True)
    client.d.sparse.insert_many([{}, {}])
    client.d.partial.create_index("p", unique=True, partialFilterExpression={"on": True})
    client.d.partial.insert_many([{"p": 1}, {"p": 1}, {"p": 1, "on": True}])
    with pytest.raises(DuplicateKeyError):
        client.d.partial.insert_one({"p": 1, "on": True})
    client.d.doubled.insert_many([{"k": 1}, {"k": 1}])
    with pytest.raises(DuplicateKeyError):
        client.d.doubled.create_index("k", unique=True)


def test_1_and_true_are_two_ids_and_1_0_is_the_same(client):
    client.d.c.insert_many([{"_id": 1}, {"_id": True}])
    with pytest.raises(DuplicateKeyError):
        client.d.c.insert_one({"_id": 1.0})


def test_pipelines_run_and_leave_the_collection_as_it_was(client):
    client.d.c.insert_many({"_id": n, "k": n % 3, "v": {"w": n}} for n in range(9))
    client.d.other.insert_many({"_id": n, "name": f"k{n}"} for n in range(3))
    before = list(client.d.c.find())
    grouped = client.d.c.aggregate(
        [{"$group": {"_id": "$k", "sum": {"$sum": "$v.w"}}}, {"$sort": {"_id": 1}}]
    )
    assert list(grouped) == [{"_id": 0, "sum": 9}, {"_id": 1, "sum": 12}, {"_id": 2, "sum": 15}]
    joined = client.d.c.aggregate(
        [
            {"$match": {"_id": {"$lt": 2}}},
            {"$addFields": {"v.x": 1}},
            {"$lookup": {"from": "other", "localField": "k", "foreignField": "_id", "as": "found"}},
            {"$unwind": "$found"},
            {"$project": {"name": "$found.name", "v": 1}},
        ]
    )
    assert list(joined) == [{"_id": n, "v": {"w": n, "x": 1}, "name": f"k{n}"} for n in range(2)]
    assert list(client.d.c.aggregate([{"$sortByCount": "$k"}, {"$limit": 1}, {"$unset": "count"}])) == [
        {"_id": 0}
    ]
    assert list(client.d.c.aggregate([{"$match": {"k": 7}}, {"$count": "n"}])) == []
    client.d.c.aggregate([{"$match": {"k": 1}}, {"$out": "copied"}])
    assert client.d.copied.count_documents({}) == 3
    client.d.c.aggregate([{"$project": {"k": 1}}, {"$merge": {"into": "copied"}}])
    assert client.d.copied.find_one({"_id": 1}) == {"_id": 1, "k": 1, "v": {"w": 1}}
    assert list(client.d.c.find()) == before


@pytest.mark.parametrize(
    ("stage", "code"), [({"$nope": 1}, 40324), ({"$redact": 1}, 238), ({"$limit": 0}, 15958)]
)
def test_a_stage_that_cannot_run_says_so(client, stage, code):
    client.d.c.insert_one({})
    with pytest.raises(OperationFailure, match=r"\$nope|\$redact|limit") as caught:
        list(client.d.c.aggregate([stage]))
    assert caught.value.code == code


def test_let_variables_reach_expressions(rows):
    found = rows.aggregate([{"$match": {"$expr": {"$eq": ["$_id", "$$key"]}}}], let={"key": 4})
    assert [row["_id"] for row in found] == [4]


def test_an_update_can_set_a_field_whose_name_has_a_dot_or_a_dollar(client):
    client.d.c.insert_one({"_id": 1, "in": {}})
    add = {"$setField": {"field": {"$literal": "$a.b"}, "input": "$$ROOT", "value": 1}}
    client.d.c.update_one({"_id": 1}, [{"$replaceWith": add}])
    nested = {"$setField": {"field": "c.d", "input": "$in", "value": 2}}
    client.d.c.update_one({"_id": 1}, [{"$set": {"in": nested}}])
    assert client.d.c.find_one() == {"_id": 1, "in": {"c.d": 2}, "$a.b": 1}


def test_cursors_go_through_their_batches_and_can_be_killed(client):
    client.d.c.insert_many({"_id": n} for n in range(1000))
    cursor = client.d.c.find(batch_size=7)
    first = [next(cursor)["_id"] for _ in range(10)]
    client.d.c.delete_many({})
    assert first + [found["_id"] for found in cursor] == list(range(1000))
    client.d.c.insert_many({"_id": n} for n in range(10))
    cursor = client.d.c.find(batch_size=2)
    next(cursor)
    client.d.command("killCursors", "c", cursors=[cursor.cursor_id])
    with pytest.raises(pymongo.errors.CursorNotFound):
        list(cursor)


def test_an_exhaust_cursor_gets_all_its_batches_for_one_getmore(client):
    client.d.c.insert_many({"_id": n} for n in range(500))
    found = [row["_id"] for row in client.d.c.find(cursor_type=pymongo.CursorType.EXHAUST, batch_size=50)]
    assert found == list(range(500))
    assert client.d.c.count_documents({}) == 500  # the connection is in order afterwards


def test_collections_and_databases_are_listed_made_renamed_and_dropped(client):
    client.d.create_collection("made")
    client.d.c.create_index("a", name="by_a")
    client.e.c.insert_one({})
    assert sorted(client.d.list_collection_names()) == ["c", "made"]
    own = {"admin", "local"}  # every mongod has them: "Local Database" in the manual
    assert set(client.list_database_names()) == {"d", "e"} | own
    assert [index["name"] for index in client.d.c.list_indexes()] == ["_id_", "by_a"]
    with pytest.raises(OperationFailure) as caught:
        client.d.c.create_index("a", name="other")
    assert caught.value.code == 85
    client.d.c.drop_index("by_a")
    client.d.c.rename("renamed")
    assert sorted(client.d.list_collection_names()) == ["made", "renamed"]
    client.drop_database("d")
    assert set(client.list_database_names()) == {"e"} | own


def test_an_unknown_field_of_a_statement_fails_the_whole_command(client):
    with pytest.raises(OperationFailure, match=r"updates\.sort") as caught:
        client.d.command("update", "c", updates=[{"q": {}, "u": {"$set": {"a": 1}}, "sort": {"a": 1}}])
    assert caught.value.code == 40415


def test_what_is_not_implemented_is_refused_by_name(client):
    for options in ({"capped": True, "size": 100}, {"validator": {"a": 1}}, {"viewOn": "c", "pipeline": []}):
        with pytest.raises(OperationFailure, match=next(iter(options))) as caught:
            client.d.create_collection("c", **options)
        assert caught.value.code == 238
    with pytest.raises(OperationFailure, match="collation"):
        list(client.d.c.find().collation({"locale": "en"}))
    with pytest.raises(OperationFailure, match="2dsphere"):
        client.d.c.create_index([("a", "2dsphere")])


@pytest.mark.parametrize("count", [10, 20_000])
def test_a_document_named_by_its_id_is_not_searched_for(client, monkeypatch, count):
    """Counted, not timed: the matcher is not called at all."""
    client.d.c.insert_many({"_id": n} for n in range(count))
    monkeypatch.setattr(lookup, "compile_query", lambda query: pytest.fail("the collection was searched"))
    assert client.d.c.find_one({"_id": 7}) == {"_id": 7}
    assert client.d.c.update_one({"_id": 7}, {"$set": {"n": 1}}).modified_count == 1
    assert client.d.c.delete_one({"_id": 7}).deleted_count == 1
