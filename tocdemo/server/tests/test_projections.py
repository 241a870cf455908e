"""What projections make of arrays in arrays, of scalars where a document was expected, of what is missing.

The tables are those of MongoDB's jstests/core/projection_semantics.js and slice1.js.
"""

import pymongo
import pytest

from tocdemo.server import EmbeddedServer

A_B = {"a.b": 1}
A_B_C = {"a.b.c": 1}
DEEP = [["x", {"b": 1}, {"b": 2, "c": 2}, "x"], [[{"b": 1}]], [{"b": 1}, [{"b": 2}], [[{"b": [2]}]]]]
LETTERS = [0, 1, 2, 3, -3, -2, -1]


@pytest.fixture(scope="module")
def collection():
    with EmbeddedServer() as server, pymongo.MongoClient(server.uri) as client:
        yield client.d.c


@pytest.mark.parametrize(
    ("projection", "value", "expected"),
    [
        (A_B, {"b": 1, "y": 2}, {"b": 1}),
        (A_B, [{"b": 1, "c": 1}, {"c": 2}], [{"b": 1}, {}]),
        (A_B, {}, {}),
        (A_B, "scalar", None),
        (A_B, [], []),
        (A_B, ["scalar", None], []),
        (A_B, ["scalar", {}, "scalar", {"c": 1}], [{}, {}]),
        (A_B, [[1, 2, 3]], [[]]),
        (A_B, DEEP, [[{"b": 1}, {"b": 2}], [[{"b": 1}]], [{"b": 1}, [{"b": 2}], [[{"b": [2]}]]]]),
        (A_B, [[], [[], [1], [{"c": 1}]], {"b": 1}], [[], [[], [], [{}]], {"b": 1}]),
        ({"a.b": 1, "a.c": 1}, [{"b": 1, "c": 2}, "x", {"b": 3, "d": 4}], [{"b": 1, "c": 2}, {"b": 3}]),
        (A_B_C, {"b": "scalar"}, {}),
        (A_B_C, {"b": {"x": 1}}, {"b": {}}),
        (A_B_C, [{"b": "scalar"}], [{}]),
        (A_B_C, [{"p": 1}, {"b": [{"p": 1}, {"c": 3, "d": 3}]}], [{}, {"b": [{}, {"c": 3}]}]),
        (A_B_C, [1, {"b": [[1, 2], [{}], 2]}, 2], [{"b": [[], [{}]]}]),
        (A_B_C, DEEP, [[{}, {}], [[{}]], [{}, [{}], [[{"b": []}]]]]),
        ({"a.b": 0}, ["scalar", {"b": 1, "c": 1}, {"b": 3}], ["scalar", {"c": 1}, {}]),
        ({"a.b.c": 0}, [[], [{"b": [[1, 2], {"c": 1, "d": 1}]}]], [[], [{"b": [[1, 2], {"d": 1}]}]]),
        ({"a": {"b": 1}}, {"b": 1, "c": 2}, {"b": 1}),
        ({"a": {"b": 0}}, {"b": 1, "c": 2}, {"c": 2}),
        ({"a.b": "new"}, {"b": 1, "c": 1}, {"b": "new"}),
        ({"a.b": "new"}, ["scalar", {"b": 1}, {"c": 3}], [{"b": "new"}] * 3),
        ({"a.b": "new", "a.c": 1}, [{"c": 1}, 5], [{"c": 1, "b": "new"}, {"b": "new"}]),
        ({"a.b": "new"}, [], []),
        (
            {"a.b.c": "new"},
            [[], [{"b": [[1, 2], {"c": 1, "d": 1}]}]],
            [[], [{"b": [[{"c": "new"}, {"c": "new"}], {"c": "new"}]}]],
        ),
    ],
    ids=str,
)
def test_a_projection_goes_through_arrays(collection, projection, value, expected):
    collection.drop()
    collection.insert_one({"_id": 1, "a": value})
    expected = {} if expected is None else {"a": expected}
    projection = {**projection, "_id": 0}
    assert collection.find_one({}, projection) == expected
    assert collection.aggregate([{"$project": projection}]).next() == expected


@pytest.mark.parametrize(
    ("document", "projection", "expected"),
    [
        ({"a": LETTERS, "b": 1}, {"a": {"$slice": 3}}, {"a": [0, 1, 2], "b": 1}),
        ({"a": LETTERS, "b": 1}, {"a": {"$slice": -2}}, {"a": [-2, -1], "b": 1}),
        ({"a": LETTERS, "b": 1}, {"a": {"$slice": [-3, 2]}}, {"a": [-3, -2], "b": 1}),
        ({"a": LETTERS, "b": 1}, {"a": {"$slice": [-3, 9]}}, {"a": [-3, -2, -1], "b": 1}),
        ({"a": LETTERS, "b": 1, "c": 1}, {"a": {"$slice": 1}, "b": 1}, {"a": [0], "b": 1}),
        ({"a": LETTERS, "b": 1, "c": 1}, {"a": {"$slice": 1}, "b": 0}, {"a": [0], "c": 1}),
        ({"a": {"c": 1}, "d": 2}, {"a": {"$slice": 1}, "d": 1}, {"a": {"c": 1}, "d": 2}),
        ({"b": 1, "d": 2}, {"a": {"$slice": 1}, "d": 1}, {"d": 2}),
    ],
    ids=str,
)
def test_a_slice_leaves_what_is_no_array(collection, document, projection, expected):
    collection.drop()
    collection.insert_one({"_id": 1, **document})
    found = collection.find_one({}, projection)
    assert {name: value for name, value in found.items() if name != "_id"} == expected
