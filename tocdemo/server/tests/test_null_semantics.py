"""Which documents null finds. The documents and the answers are those of MongoDB's
jstests/core/null_query_semantics.js, but for the type undefined, which drivers no longer have.
"""

import re

import pymongo
import pytest

from tocdemo.server import EmbeddedServer

PLAIN = {
    "empty_subobject": {},
    "null": None,
    "number": 4,
    "b_not_null": {"b": "hi"},
    "b_null": {"b": None},
}
ARRAYS = {
    "double_array": [[]],
    "empty_array": [],
    "all_b_nulls": [{"b": None}, {"b": None}, {}],
    "no_b_nulls": [{"b": 1}, {"b": 3}, {"b": "string"}],
    "some_b_nulls": [{"b": None}, {"b": 3}, {"b": None}],
    "some_b_missing": [{"b": 3}, {}],
    "all_nulls": [None, None],
    "no_nulls": [1, "string", 4],
    "with_null": [1, "string", None, 4],
}
EVERY = {*PLAIN, *ARRAYS, "no_a"}
A_IS_NULL = {"null", "no_a", "all_nulls", "with_null"}
B_IS_NULL = {"empty_subobject", "null", "number", "b_null", "no_a", "all_b_nulls", "some_b_nulls"}
B_IS_NULL |= {"some_b_missing"}


@pytest.fixture(scope="module")
def found():
    with EmbeddedServer() as server, pymongo.MongoClient(server.uri) as client:
        documents = [{"_id": name, "a": value} for name, value in {**PLAIN, **ARRAYS}.items()]
        client.d.c.insert_many([*documents, {"_id": "no_a"}])
        yield lambda query: {document["_id"] for document in client.d.c.find(query)}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"a": None}, A_IS_NULL),
        ({"a": {"$ne": None}}, EVERY - A_IS_NULL),
        ({"a": {"$not": {"$gte": None}}}, EVERY - A_IS_NULL),
        ({"a": {"$in": [None, 75]}}, A_IS_NULL),
        ({"$or": [{"a": None}, {"a": 75}]}, A_IS_NULL),
        ({"a": {"$nin": [None, 75]}}, EVERY - A_IS_NULL),
        ({"a": {"$nin": [None, re.compile("^str.*")]}}, EVERY - A_IS_NULL - {"no_nulls"}),
        ({"a": {"$exists": False}}, {"no_a"}),
        ({"a.b": None}, B_IS_NULL),
        ({"a.b": {"$ne": None}}, EVERY - B_IS_NULL),
        ({"a.b": {"$in": [None, 75]}}, B_IS_NULL),
        ({"$or": [{"a.b": None}, {"a.b": 75}]}, B_IS_NULL),
        ({"a.b": {"$nin": [None, 75]}}, EVERY - B_IS_NULL),
        ({"a.b": {"$nin": [None, re.compile("^str.*")]}}, EVERY - B_IS_NULL - {"no_b_nulls"}),
        ({"a": {"$elemMatch": {"$eq": None}}}, {"all_nulls", "with_null"}),
        (
            {"a": {"$elemMatch": {"$ne": None}}},
            {"double_array", "all_b_nulls", "no_b_nulls", "some_b_nulls", "some_b_missing", "no_nulls"}
            | {"with_null"},
        ),
        ({"a.b": {"$elemMatch": {"$eq": None}}}, set()),
        ({"a.b": {"$elemMatch": {"$ne": None}}}, set()),
        (
            {"a": {"$elemMatch": {"b": {"$eq": None}}}},
            {"double_array", "all_b_nulls", "some_b_nulls", "some_b_missing"},
        ),
        ({"a": {"$elemMatch": {"b": {"$ne": None}}}}, {"no_b_nulls", "some_b_nulls", "some_b_missing"}),
    ],
    ids=lambda part: str(part) if isinstance(part, dict) else "",  # the words of a set have no order
)
def test_null_finds_what_it_finds_in_mongodb(found, query, expected):
    assert found(query) == expected
