"""Random documents, filters, updates and expressions: the server has to agree with the model of them."""

import datetime
import itertools
from fractions import Fraction

import pymongo
import pytest
from bson import Binary, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.errors import OperationFailure

from tocdemo.server import EmbeddedServer

from .function_model import ACCUMULATORS, FUNCTIONS, NAMED, in_order
from .query_model import (
    MISSING,
    NUMERIC,
    OPERATORS,
    ORDER,
    Refused,
    alike,
    branches,
    compare,
    evaluate,
    matches,
    operands_of,
    update,
)

SETTINGS = settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))

INTS = st.sampled_from([0, 1, -1, 2, 7, 2**31 - 1, -(2**31)])
LONGS = st.sampled_from([0, 1, -3, 5, 2**31, 2**63 - 1, -(2**63)]).map(Int64)
DOUBLES = st.integers(-40, 40).map(lambda n: n / 4)
DECIMALS = st.integers(-40, 40).map(lambda n: Decimal128(str(Fraction(n, 4).__float__())))
NUMBERS = INTS | LONGS | DOUBLES | DECIMALS
STRINGS = st.text("abé. ", max_size=3)
DATES = st.sampled_from(
    [(2024, 1, 1), (2024, 1, 2), (2020, 12, 31, 23, 59, 59, 999_000), (1969, 2, 28, 1)]
).map(lambda parts: datetime.datetime(*parts))
OIDS = st.integers(0, 2).map(lambda n: ObjectId(f"{n:024}"))
SCALARS = NUMBERS | STRINGS | DATES | OIDS | st.booleans()
BINARIES = [b"a", Binary(b"a", 5), Binary(b"bb", 2)]
OTHERS = [Timestamp(1, 1), Timestamp(1, 2), Regex("a"), Regex("a", "i"), Code("f"), MinKey(), MaxKey()]
RARE = st.sampled_from(BINARIES + OTHERS)
NO_REGEX = RARE.filter(lambda value: not isinstance(value, Regex))
PLAIN = SCALARS | st.none()
NAMES = st.sampled_from(["x", "y"])
VALUES = st.recursive(
    PLAIN | RARE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=4,
)
DOCUMENTS = st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES, max_size=3)
PATHS = st.sampled_from(["a", "b", "c", "a.x", "b.y", "a.0"])


TYPE_NAMES = st.sampled_from([*ORDER, *NUMERIC])
COMPARISONS = st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte", "$eq"]), SCALARS).map(
    lambda pair: dict([pair])
)
ITEMS = st.one_of(
    COMPARISONS,
    st.tuples(SCALARS, SCALARS).map(lambda bounds: {"$gte": bounds[0], "$lt": bounds[1]}),
    st.dictionaries(
        NAMES, COMPARISONS | st.booleans().map(lambda there: {"$exists": there}), min_size=1, max_size=2
    ),
)
CONDITIONS = st.one_of(
    st.tuples(st.just("$eq"), VALUES),
    st.tuples(st.just("$ne"), VALUES.filter(lambda value: not isinstance(value, Regex))),
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(PLAIN | NO_REGEX, max_size=2)),
    st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), SCALARS),
    st.tuples(st.just("$exists"), st.booleans()),
    st.tuples(st.just("$size"), st.integers(0, 3)),
    st.tuples(st.just("$type"), TYPE_NAMES),
    st.tuples(st.just("$all"), st.lists(PLAIN | NO_REGEX, max_size=2)),
    st.tuples(st.just("$mod"), st.tuples(st.sampled_from([2, 3, -3]), st.integers(-2, 2)).map(list)),
    st.tuples(st.just("$regex"), st.sampled_from(["a", "^b", r"\.$", "é"])),
    st.tuples(st.just("$elemMatch"), ITEMS),
).map(lambda pair: dict([pair]))
CLAUSES = st.tuples(PATHS, CONDITIONS | CONDITIONS.map(lambda condition: {"$not": condition})).map(
    lambda pair: dict([pair])
)
FILTERS = st.recursive(
    CLAUSES,
    lambda inner: st.tuples(
        st.sampled_from(["$and", "$or", "$nor"]), st.lists(inner, min_size=1, max_size=2)
    ).map(lambda pair: dict([pair])),
    max_leaves=3,
)


UPDATES = st.one_of(
    st.tuples(st.sampled_from(["$set", "$min", "$max", "$push", "$addToSet"]), VALUES),
    st.tuples(st.just("$unset"), st.just("")),
    st.tuples(st.sampled_from(["$inc", "$mul"]), NUMBERS),
    st.tuples(st.just("$pop"), st.sampled_from([1, -1])),
    st.tuples(st.just("$pull"), PLAIN),
    st.tuples(st.just("$pullAll"), st.lists(VALUES, max_size=2)),
    st.tuples(st.just("$addToSet"), st.lists(VALUES, max_size=3).map(lambda several: {"$each": several})),
    st.tuples(
        st.just("$push"),
        st.fixed_dictionaries(
            {"$each": st.lists(VALUES, max_size=3)},
            optional={
                "$position": st.integers(-3, 3),
                "$sort": st.sampled_from([1, -1]),
                "$slice": st.integers(-3, 3),
            },
        ),
    ),
)


ARITY = {
    "$cond": 3,
    **dict.fromkeys(["$not", "$type", "$isArray", "$size", "$first", "$toLong", "$toBool"], 1),
    **{name: arity for name, (arity, _) in FUNCTIONS.items()},
    **{name: len(names) for name, (names, _) in NAMED.items()},
}
EVERY = OPERATORS | {name: function for name, (_, function) in (FUNCTIONS | NAMED).items()}
LEAVES = PATHS.filter(lambda path: path != "a.0").map("${}".format) | VALUES.map(
    lambda value: {"$literal": value}
)


def applied(inner):
    return st.sampled_from(list(EVERY)).flatmap(
        lambda name: st.tuples(*[inner] * ARITY.get(name, 2)).map(lambda operands: call(name, operands))
    )


def call(name, operands):
    if name in NAMED:
        return {name: dict(zip(NAMED[name][0], operands, strict=True))}
    return {name: list(operands)}


EXPRESSIONS = applied(LEAVES | applied(LEAVES))


BROKEN = ("error 1", "error 8", "error 238")  # a bug of the server's, or nothing that it has


def outcome(run):
    """What a call returns, or the code of its error."""
    try:
        return run()
    except Refused as error:
        return f"error {error}"
    except OperationFailure as error:
        return f"error {error.code}"


def errors(expression, document):
    """Every error that a part of the expression is; which comes first is the server's choice, because it
    computes constant parts before it has a document.
    """
    if not isinstance(expression, dict) or "$literal" in expression:
        return set()
    (operands,) = expression.values()
    inner = [errors(operand, document) for operand in operands_of(operands)]
    found = outcome(lambda: evaluate(expression, document, EVERY))
    return set().union(*inner, [found] if isinstance(found, str) and found.startswith("error ") else [])


@pytest.fixture(scope="module")
def collection():
    with EmbeddedServer() as server, pymongo.MongoClient(server.uri) as client:
        yield client.model.c


@SETTINGS
@given(document=DOCUMENTS, query=FILTERS)
def test_a_filter_matches_where_the_model_says(collection, document, query):
    collection.replace_one({"_id": 1}, document, upsert=True)
    assert (collection.count_documents(query) == 1) is matches({"_id": 1, **document}, query)


@SETTINGS
@given(document=DOCUMENTS, name=st.sampled_from(["a", "b"]), pair=UPDATES)
def test_an_update_changes_a_document_as_the_model_does(collection, document, name, pair):
    operators = {pair[0]: {name: pair[1]}}
    collection.replace_one({"_id": 1}, document, upsert=True)
    expected = outcome(lambda: update(document, operators))
    error = outcome(lambda: collection.update_one({"_id": 1}, operators) and None)
    if isinstance(expected, str):
        assert error == expected
        expected = document
    else:
        assert error is None
    found = collection.find_one({"_id": 1}, {"_id": 0})
    assert alike(dict(sorted(found.items())), dict(sorted(expected.items())))


@SETTINGS
@given(document=DOCUMENTS, expression=EXPRESSIONS)
def test_an_expression_has_the_value_that_the_model_gives_it(collection, document, expression):
    collection.replace_one({"_id": 1}, document, upsert=True)
    whole_document = {"_id": 1, **document}
    expected = outcome(lambda: {"r": evaluate(expression, whole_document, EVERY)})
    if expected == "error skip" or (isinstance(expected, str) and branches(expression)):
        return
    found = outcome(lambda: collection.aggregate([{"$project": {"_id": 0, "r": expression}}]).next())
    if isinstance(expected, str):
        assert isinstance(found, str), (found, expected)
        possible = errors(expression, whole_document)
        assert found in possible or ("error any" in possible and found not in BROKEN), (found, possible)
    else:
        if expected["r"] is MISSING:
            expected = {}
        assert alike(found, expected), (found, expected)


@SETTINGS
@given(
    documents=st.lists(DOCUMENTS, min_size=1, max_size=4),
    path=st.sampled_from(["a", "b", "c", "a.x", "b.y"]),
    direction=st.sampled_from([1, -1]),
)
def test_a_sort_puts_documents_in_the_order_of_the_model(collection, documents, path, direction):
    collection.drop()
    collection.insert_many([{**document, "_id": number} for number, document in enumerate(documents)])
    assert in_order(list(collection.find().sort(path, direction)), path, direction)
    assert in_order(list(collection.aggregate([{"$sort": {path: direction}}])), path, direction)


@SETTINGS
@given(
    documents=st.lists(DOCUMENTS, min_size=1, max_size=4),
    operator=st.sampled_from(list(ACCUMULATORS)),
    operand=LEAVES,
)
def test_an_accumulator_gives_what_the_model_gives(collection, documents, operator, operand):
    collection.drop()
    documents = [{"_id": number, **document} for number, document in enumerate(documents)]
    collection.insert_many(documents)
    (found,) = collection.aggregate([{"$group": {"_id": 1, "r": {operator: operand}}}])
    expected = ACCUMULATORS[operator]([evaluate(operand, document, EVERY) for document in documents])
    assert alike(found["r"], expected), (found["r"], expected)


@SETTINGS
@given(documents=st.lists(DOCUMENTS, min_size=1, max_size=5), operand=LEAVES)
def test_groups_are_of_equal_values(collection, documents, operand):
    collection.drop()
    documents = [{"_id": number, **document} for number, document in enumerate(documents)]
    collection.insert_many(documents)
    groups = list(collection.aggregate([{"$group": {"_id": operand, "members": {"$push": "$_id"}}}]))
    for group in groups:
        for number in group["members"]:
            value = evaluate(operand, documents[number], EVERY)
            assert compare(None if value is MISSING else value, group["_id"]) == 0
    assert sorted(number for group in groups for number in group["members"]) == list(range(len(documents)))
    assert all(compare(one["_id"], two["_id"]) for one, two in itertools.combinations(groups, 2))
