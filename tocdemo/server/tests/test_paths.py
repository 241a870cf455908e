"""Paths in updates that rename, and that fill arrays; regular expressions that are none.

The tables are those of MongoDB's jstests/core/rename_operator.js, set7.js and regex.js.
"""

import pytest
from bson import Regex
from pymongo.errors import OperationFailure, WriteError

FULL = {"_id": 1, "a": [1], "b": {"c": [2]}, "d": [{"e": 3}], "f": 4}
REFUSED = [("a", "a"), ("", "a"), ("a", ""), (".a", "b"), ("a", ".b"), ("a.", "b"), ("a", "b."), ("a.b", "a")]
REFUSED += [
    ("a.$", "b"),
    ("a", "b.$"),
    ("_id", "a"),
    ("a.0", "f"),
    ("a.0", "g"),
    ("f", "a.0"),
    ("f", "b.c.0"),
]
REFUSED += [("b.c.0", "f"), ("d.e", "d.f"), ("d.e", "f"), ("d.f", "d.e"), ("f", "d.e"), ("d.0.e", "d.f")]
REFUSED += [("d.0.e", "f"), ("d.f", "d.0.e"), ("f", "d.0.e"), ("f.g", "a"), ("a", "f.g")]


def updated(client, document, update):
    client.d.c.insert_one({"_id": 1, **document})
    client.d.c.update_one({}, update)
    return {name: value for name, value in client.d.c.find_one().items() if name != "_id"}


@pytest.mark.parametrize(("source", "target"), REFUSED)
def test_a_rename_that_mongodb_refuses_changes_nothing(client, source, target):
    with pytest.raises(WriteError) as caught:
        updated(client, FULL, {"$rename": {source: target}})
    assert caught.value.code not in (1, 8, 238)
    assert client.d.c.find_one() == FULL


@pytest.mark.parametrize(
    ("document", "rename", "expected"),
    [
        ({"a": {"y": 1}}, {"a.y": "a.z"}, {"a": {"z": 1}}),
        ({"a": 1, "b": 2}, {"a": "b"}, {"b": 1}),
        ({"a": 1}, {"a": "b.c"}, {"b": {"c": 1}}),
        ({"a": 1, "b": {}}, {"a": "b.c"}, {"b": {"c": 1}}),
        ({"a": {"b": 1}}, {"a.b": "d"}, {"a": {}, "d": 1}),
        ({"a": [5]}, {"a": "b"}, {"b": [5]}),
        ({"0": 1}, {"0": "5"}, {"5": 1}),
        ({"a": 1, "c": 4}, {"b": "c.d"}, {"a": 1, "c": 4}),
        ({"a": {"z": 1, "b": 1, "c": 1}}, {"a.b": "aa.c"}, {"a": {"z": 1, "c": 1}, "aa": {"c": 1}}),
    ],
    ids=str,
)
def test_a_rename_moves_a_field(client, document, rename, expected):
    assert updated(client, document, {"$rename": rename}) == expected


@pytest.mark.parametrize(
    ("document", "fields", "expected"),
    [
        ({"a": [0, 1]}, {"a.4": 9, "a.3": 7}, {"a": [0, 1, None, 7, 9]}),
        ({}, {"a.0": 4}, {"a": {"0": 4}}),
        ({"a": []}, {"a.2.b": 1, "a.2.c": 1}, {"a": [None, None, {"b": 1, "c": 1}]}),
    ],
    ids=str,
)
def test_an_array_is_filled_up(client, document, fields, expected):
    assert updated(client, document, {"$set": fields}) == expected


@pytest.mark.parametrize("path", ["a.f", "a.1500001", "a.1000000000"])
def test_an_array_has_no_names_and_no_far_places(client, path):
    with pytest.raises(WriteError):
        updated(client, {"a": []}, {"$set": {path: 1}})
    assert client.d.c.find_one()["a"] == []


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ({"$regex": Regex("ab", "i"), "$options": "s"}, 51075),
        ({"$options": "s", "$regex": Regex("ab", "i")}, 51074),
        ({"$regex": "a\0b"}, 51109),
        ({"$regex": "ab", "$options": "q"}, 51108),
    ],
    ids=str,
)
def test_a_regular_expression_that_is_none(client, condition, code):
    with pytest.raises(OperationFailure) as caught:
        client.d.c.find_one({"x": condition})
    assert caught.value.code == code
