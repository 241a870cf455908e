"""What an upsert takes from its query. The tables are those of MongoDB's jstests/core/upsert_fields.js."""

import enum
import re

import pytest
from bson import ObjectId
from pymongo.errors import WriteError

NOTHING = enum.Enum("Nothing", "NOTHING").NOTHING  # the name of a test must not hold an address
EXTRACTED = [
    ({"x": 1}, 1),
    ({"x": {"$eq": 1}}, 1),
    ({"x": {"$in": [1]}}, 1),
    ({"x": {"$all": [1]}}, 1),
    ({"$and": [{"x": 1}]}, 1),
    ({"$and": [{"x": {"$eq": 1}}]}, 1),
    ({"$or": [{"x": 1}]}, 1),
    ({"$or": [{"x": {"$eq": 1}}]}, 1),
    ({"x": [1, 2]}, [1, 2]),
    ({"x": {"x.x": 1}}, {"x.x": 1}),
    ({"x.x": 1}, {"x": 1}),
    ({"x.x": {"$eq": 1}}, {"x": 1}),
    ({"x.x": {"$all": [1]}}, {"x": 1}),
    ({"$and": [{"x.x": {"$eq": 1}}]}, {"x": 1}),
    ({"$or": [{"x.x": 1}]}, {"x": 1}),
    ({"x": {"$gt": 1}}, NOTHING),
    ({"x": {"$ne": 1}}, NOTHING),
    ({"x": {"$in": [1, 2]}}, NOTHING),
    ({"x": {"$in": [re.compile("abc")]}}, NOTHING),
    ({"x": {"$elemMatch": {"$eq": 1}}}, NOTHING),
    ({"x": {"$exists": True}}, NOTHING),
    ({"x": {"$not": {"$eq": 1}}}, NOTHING),
    ({"x": re.compile("abc")}, NOTHING),
    ({"$or": [{"x": 1}, {"x": 1}]}, NOTHING),
    ({"$or": [{"x": {"$eq": 1}}, {"x": 2}]}, NOTHING),
    ({"$nor": [{"x": 1}]}, NOTHING),
]
REFUSED = [
    {"x": {"$all": [1, 2]}},
    {"$and": [{"x": 1}, {"x": 1}]},
    {"$and": [{"x": {"$eq": 1}}, {"x": 2}]},
    {"x": 1, "x.x": 1},
    {"x": {}, "x.x": 1},
    {"x": {"x": 1}, "x.y": 1},
    {"x": [1, {"x": 1}], "x.x": 1},
]
STYLES = [{"$set": {"a": 1}}, {"$setOnInsert": {"a": 1}}]


def upserted(client, query, update):
    """The document that the upsert of an update, or of a replacement, makes."""
    operators = next(iter(update), "").startswith("$")
    (client.d.c.update_one if operators else client.d.c.replace_one)(query, update, upsert=True)
    return client.d.c.find_one()


def renamed(value):
    """The same query about `_id`."""
    if isinstance(value, dict):
        return {"_id" if name == "x" else name: renamed(item) for name, item in value.items()}
    return [*map(renamed, value)] if isinstance(value, list) else value


@pytest.mark.parametrize("update", STYLES, ids=str)
@pytest.mark.parametrize(("query", "expected"), EXTRACTED, ids=str)
def test_an_update_starts_from_what_the_query_says_of_a_field(client, query, expected, update):
    assert upserted(client, query, update).get("x", NOTHING) == expected


@pytest.mark.parametrize(("query", "expected"), [*EXTRACTED[:8], *EXTRACTED[15:]], ids=str)
@pytest.mark.parametrize("update", [*STYLES, {}, {"a": 1}], ids=str)
def test_every_upsert_starts_from_the_id_of_the_query(client, query, expected, update):
    found = upserted(client, renamed(query), update)
    assert isinstance(found["_id"], ObjectId) if expected is NOTHING else found["_id"] == expected


@pytest.mark.parametrize("query", REFUSED, ids=str)
def test_what_a_query_says_twice_is_error_54(client, query):
    for update in STYLES:
        with pytest.raises(WriteError, match="cannot infer query fields to set") as caught:
            upserted(client, query, update)
        assert caught.value.code == 54
    assert "x" not in upserted(client, query, {"a": 1})  # a replacement takes nothing but the `_id`


def test_a_part_of_an_id_is_enough_for_an_update_and_none_for_a_replacement(client):
    assert upserted(client, {"_id.x": 1, "_id.y": 2}, STYLES[0])["_id"] == {"x": 1, "y": 2}
    with pytest.raises(WriteError) as caught:
        upserted(client, {"_id.x": 1, "_id.z": 2}, {"a": 1})
    assert caught.value.code == 55
    for query in ({"_id": [1, 2]}, {"_id": {"$all": [1, 2]}}, {"_id": 1, "_id.x": 1}):
        for update in (*STYLES, {}):
            with pytest.raises(WriteError):
                upserted(client, query, update)
