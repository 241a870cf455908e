"""Arrays in sorts and in indexes: each item gives a row; rows compare as a whole.

Source: "Multikey Indexes" in MongoDB's manual, btree_key_generator_test.cpp and sort_key_generator.cpp.
"""

import pymongo
import pytest
from pymongo.errors import BulkWriteError, OperationFailure

from tocdemo.server.query.ordering import key_rows, sort_documents
from tocdemo.server.query.values import order_key

EMPTY = (1,)


@pytest.mark.parametrize(
    ("document", "paths", "rows"),
    [
        ({"a": 1}, ["a", "b"], [[1, None]]),
        ({"a": [1, 2], "b": 3}, ["a", "b"], [[1, 3], [2, 3]]),
        ({"a": [{"b": 1}, {"c": 2}]}, ["a.b", "a.c"], [[1, None], [None, 2]]),
        ({"a": [{"b": 1}, {"b": [1, 3]}]}, ["a.b"], [[1], [1], [3]]),
        ({"a": [1, {"b": 2}]}, ["a.b"], [[None], [2]]),
        ({"a": []}, ["a", "a.b"], [[EMPTY, None]]),
        ({"a": [[1, 2]]}, ["a"], [[[1, 2]]]),
        ({"a": [5, {"b": 6}]}, ["a.0", "a.1.b"], [[5, 6]]),
    ],
)
def test_a_document_has_a_row_for_each_item(document, paths, rows):
    expected = [[v if v is None or v is EMPTY else order_key(v) for v in row] for row in rows]
    assert key_rows(document, [path.split(".") for path in paths]) == expected


def test_rows_of_a_document_are_compared_as_a_whole():
    one = {"a": [{"b": 1, "c": 5}, {"b": 2, "c": 1}]}
    other = {"a": [{"b": 1, "c": 4}]}
    assert sort_documents([one, other], {"a.b": 1, "a.c": 1}) == [other, one]
    assert sort_documents([one, other], {"a.b": 1, "a.c": -1}) == [one, other]
    assert sort_documents([other, one], {"a.b": -1, "a.c": 1}) == [one, other]


@pytest.mark.parametrize("order", [{"x.y": 1, "x.z": -1}, {"x.y": -1, "x.z": 1}])
def test_the_rows_of_mongodbs_own_test_sort_so(order):
    """jstests/core/sort_array.js: the keys are (0, 9) and (0, 8), then (4, 7) and (1, 7)."""
    first = {"_id": 0, "x": [{"y": [4, 0, 1], "z": 7}, {"y": 0, "z": 9}]}
    second = {"_id": 1, "x": [{"y": 1, "z": 7}, {"y": 0, "z": [8, 6]}]}
    assert sort_documents([second, first], order) == [first, second]


def test_arrays_side_by_side_cannot_be_sorted_by(client):
    """BadValue (2), says a comment in MongoDB's jstests that make random documents."""
    client.d.c.insert_one({"a": [1, 2], "b": [1]})
    for run in (
        lambda: list(client.d.c.find().sort([("a", 1), ("b", 1)])),
        lambda: list(client.d.c.aggregate([{"$sort": {"a": 1, "b": -1}}])),
    ):
        with pytest.raises(OperationFailure, match="parallel arrays") as caught:
            run()
        assert caught.value.code == 2


@pytest.mark.parametrize("unique", [False, True])
def test_an_index_holds_no_arrays_side_by_side(client, unique):
    """CannotIndexParallelArrays (171)."""
    books = client.d.books
    books.create_index([("a", 1), ("b", 1)], unique=unique)
    books.insert_one({"_id": 1, "a": [1, 2], "b": 3})
    for write in (
        lambda: books.insert_one({"a": [1], "b": [2]}),
        lambda: books.update_one({"_id": 1}, {"$set": {"b": [5]}}),
    ):
        with pytest.raises(OperationFailure) as caught:
            write()
        assert caught.value.code == 171
    assert list(books.find()) == [{"_id": 1, "a": [1, 2], "b": 3}]
    client.d.more.insert_one({"a": [1], "b": [2]})
    with pytest.raises(OperationFailure) as caught:
        client.d.more.create_index([("a", 1), ("b", 1)], unique=unique)
    assert caught.value.code == 171


def test_the_items_of_one_array_are_unique_together(client):
    """GetKeysAlternateMissing: {a: [{b: 1}, {c: 2}]} has the keys (1, null) and (null, 2), not (1, 2)."""
    books = client.d.books
    books.create_index([("a.b", 1), ("a.c", 1)], unique=True)
    books.insert_many([{"a": [{"b": 1}, {"c": 2}]}, {"a": [{"b": 1, "c": 2}]}])
    with pytest.raises(BulkWriteError) as caught:
        books.insert_many([{"a": [{"b": 9, "c": 9}, {"b": 1, "c": 2}]}])
    error = caught.value.details["writeErrors"][0]
    assert (error["code"], error["keyValue"]) == (11000, {"a.b": 1, "a.c": 2})
    assert "dup key: { a.b: 1, a.c: 2 }" in error["errmsg"]


def test_a_missing_field_and_null_are_one_key_but_for_a_sparse_index(client):
    client.d.c.create_index("a", unique=True)
    client.d.c.insert_one({"a": None})
    with pytest.raises(pymongo.errors.DuplicateKeyError):
        client.d.c.insert_one({})
    client.d.s.create_index("a", unique=True, sparse=True)
    client.d.s.insert_many([{"a": None}, {}, {}])
    with pytest.raises(pymongo.errors.DuplicateKeyError):
        client.d.s.insert_one({"a": None})
