"""What commands answer where MongoDB's documentation, IDL files or source say what it answers.

Each test names its source; paths are those of the repository mongodb/mongo.
"""

import pymongo
import pytest
from bson import Int64
from pymongo import ASCENDING, DESCENDING
from pymongo.errors import OperationFailure, WriteConcernError
from pymongo.server_api import ServerApi
from pymongo.write_concern import WriteConcern


def code_of(database, command):
    with pytest.raises(OperationFailure) as caught:
        database.command(command)
    return caught.value.code


# --- fields that a command does not have


@pytest.mark.parametrize(
    "command",
    [
        {"find": "c", "sorrt": {}},
        {"findAndModify": "c", "query": {}, "remove": True, "nwe": True},
        {"count": "c", "qeury": {}},
        {"distinct": "c", "key": "a", "filter": {}},
        {"aggregate": "c", "pipeline": [], "cursor": {}, "hin": "a"},
        {"insert": "c", "documents": [{}], "ordred": True},
        {"update": "c", "updates": [{"q": {}, "u": {}}], "upsert": True},
        {"update": "c", "updates": [{"q": {}, "u": {}, "limit": 1}]},
        {"delete": "c", "deletes": [{"q": {}, "limit": 1, "multi": True}]},
        {"create": "c", "cappd": True},
        {"createIndexes": "c", "indexes": [{"key": {"a": 1}, "name": "a"}], "uniqe": True},
        {"listCollections": 1, "fliter": {}},
    ],
    ids=lambda command: next(iter(command)),
)
def test_an_unknown_field_is_refused(client, command):
    """`strict: true` in find_command.idl, count_command.idl, distinct_command.idl, aggregate_command.idl,
    write_ops.idl, list_collections.idl, create_indexes.idl; IDLUnknownField (40415) in
    src/mongo/base/error_codes.yml.
    """
    assert code_of(client.d, command) == 40415


def test_the_fields_of_every_command_are_no_unknown_ones(client):
    """src/mongo/idl/generic_argument.idl."""
    client.d.command(
        {"find": "c", "comment": "x", "maxTimeMS": 1000, "apiVersion": "1", "$clusterTime": {}},
        read_preference=pymongo.ReadPreference.PRIMARY,
    )


def test_an_unknown_option_of_an_index_is_refused(client):
    """InvalidIndexSpecificationOption (197): src/mongo/db/index/index_key_validate.cpp."""
    with pytest.raises(OperationFailure) as caught:
        client.d.c.create_index("a", uniqe=True)
    assert caught.value.code == 197
    assert "The field 'uniqe' is not valid for an index specification" in str(caught.value)


def test_a_level_of_read_concern_that_is_none_is_refused(client):
    """The manual, "Read Concern": five levels; BadValue for another value of an IDL enumeration
    (src/mongo/db/repl/read_concern_level.idl).
    """
    assert code_of(client.d, {"find": "c", "readConcern": {"level": "unknown"}}) == 2


# --- the Stable API


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ({"ping": 1, "apiVersion": "2"}, 322),
        ({"ping": 1, "apiVersion": "one"}, 322),
        ({"ping": 1, "apiStrict": True}, 4886600),
        ({"distinct": "c", "key": "a", "apiVersion": "1", "apiStrict": True}, 323),
        ({"find": "c", "returnKey": True, "apiVersion": "1", "apiStrict": True}, 323),
        (
            {
                "aggregate": 1,
                "pipeline": [{"$listLocalSessions": {}}],
                "cursor": {},
                "apiVersion": "1",
                "apiStrict": True,
            },
            323,
        ),
    ],
)
def test_what_the_stable_api_refuses(client, command, code):
    """The manual, "MongoDB Stable API": "Stable API Commands", "Stable API Error Responses"; the texts are
    those of src/mongo/db/initialize_api_parameters.cpp.
    """
    assert code_of(client.d, command) == code


def test_a_strict_client_can_do_its_work(standalone):
    with pymongo.MongoClient(standalone.uri, server_api=ServerApi("1", strict=True)) as client:
        client.d.c.insert_one({"a": 1})
        assert client.d.c.count_documents({}) == client.d.c.estimated_document_count() == 1
        with pytest.raises(OperationFailure, match="not in API Version 1"):
            client.d.c.distinct("a")


# --- hints


def numbers(found):
    return [document["n"] for document in found]


@pytest.fixture
def things(client):
    client.d.things.insert_many({"_id": n, "n": n, "even": n % 2 == 0} for n in (2, 1, 3))
    return client.d.things


def test_a_hint_decides_the_order(things):
    """The manual, cursor.hint(): "Force Index Usage", "Force a Forward or Reverse Collection Scan"."""
    things.create_index([("n", DESCENDING)], name="down")
    things.create_index([("even", ASCENDING), ("n", DESCENDING)])
    assert numbers(things.find()) == [2, 1, 3]
    assert numbers(things.find().hint("down")) == [3, 2, 1]
    assert numbers(things.find().hint([("even", 1), ("n", -1)])) == [3, 1, 2]
    assert numbers(things.find().hint([("$natural", -1)])) == [3, 1, 2]
    assert numbers(things.find().hint("down").sort("n", 1)) == [1, 2, 3]
    assert numbers(things.aggregate([{"$match": {"n": {"$gt": 1}}}], hint="down")) == [3, 2]


def test_a_hint_decides_which_document_is_written(things):
    """The manual, update, delete, findAndModify: "hint"."""
    things.create_index([("n", DESCENDING)], name="down")
    things.update_one({}, {"$set": {"hit": True}}, hint="down")
    assert things.find_one({"hit": True})["n"] == 3
    assert things.find_one_and_delete({}, hint="down")["n"] == 3
    things.delete_one({}, hint="down")
    assert numbers(things.find()) == [1]


def test_a_hint_at_a_sparse_index_leaves_out_what_is_not_in_it(things):
    """The manual, "Sparse Indexes": "Sparse Index On A Collection Cannot Return Complete Results"."""
    things.insert_one({"_id": 9, "other": 1})
    things.create_index("n", sparse=True, name="sparse")
    assert things.count_documents({}) == 4
    assert numbers(things.find().hint("sparse")) == [1, 2, 3]
    assert things.count_documents({}, hint="sparse") == 3


def test_a_hint_at_a_partial_index_needs_a_query_that_implies_its_filter(things):
    """The manual, "Partial Indexes": "Query Coverage"."""
    things.create_index("n", partialFilterExpression={"n": {"$gt": 1}}, name="partial")
    assert numbers(things.find({"n": {"$gt": 2}}).hint("partial")) == [3]
    with pytest.raises(OperationFailure) as caught:
        things.find_one({"n": {"$gt": 0}}, hint="partial")
    assert caught.value.code == 238


def test_a_hint_that_would_order_by_the_bounds_of_an_array_is_refused(things):
    things.insert_one({"_id": 9, "n": [0, 9]})
    things.create_index("n")
    assert numbers(things.find().hint("n_1")) == [[0, 9], 1, 2, 3]
    with pytest.raises(OperationFailure) as caught:
        things.find_one({"n": {"$gt": 1}}, hint="n_1")
    assert caught.value.code == 238


@pytest.mark.parametrize("verb", ["find_one", "delete_one"])
def test_a_hint_at_no_index_is_refused(things, verb):
    with pytest.raises(OperationFailure) as caught:
        getattr(things, verb)({}, hint="unheard_of")
    assert caught.value.code == 2


# --- explain and cursors


def test_explain_tells_the_plan_and_what_it_found(things):
    """The manual, "Explain Results": `queryPlanner`, `executionStats`, and the stages' names."""

    def plan(**filter_):
        return things.find(filter_).explain()["queryPlanner"]["winningPlan"]

    assert plan(n=1)["stage"] == "COLLSCAN"
    assert plan(_id=1)["stage"] == "IDHACK"
    things.create_index("n", partialFilterExpression={"n": {"$gt": 1}})
    assert plan(n=1)["stage"] == "COLLSCAN"
    assert plan(n=2)["stage"] == "FETCH"
    assert plan(n=2)["inputStage"]["indexName"] == "n_1"
    assert plan(_id={"$gt": 1})["inputStage"]["indexName"] == "_id_"
    things.create_index("other", sparse=True)
    assert plan(other=1)["stage"] == "FETCH"
    assert plan(other=None)["stage"] == "COLLSCAN"
    assert things.find({}).sort("even").explain()["queryPlanner"]["winningPlan"]["stage"] == "SORT"
    assert things.find({}).limit(2).explain()["executionStats"]["nReturned"] == 2
    command = {"explain": {"find": "things"}, "verbosity": "queryPlanner"}
    assert "executionStats" not in things.database.command(command)


def test_a_scan_sees_its_end_only_when_it_asks_for_one_more(things):
    """`CollectionScan::isEOF` and `SortStage::isEOF` in src/mongo/db/exec; PyMongo's suite holds the number
    of getMores (test_cursor.py, test_exhaust_cursor_db_set).
    """

    def is_open(command):
        return things.database.command(command)["cursor"]["id"] != 0

    assert is_open({"find": "things", "batchSize": 3})
    assert not is_open({"find": "things", "batchSize": 4})
    assert not is_open({"find": "things", "batchSize": 3, "sort": {"n": 1}})
    assert not is_open({"find": "things", "batchSize": 2, "limit": 2})
    assert not is_open({"find": "none", "batchSize": 0})
    assert is_open({"aggregate": "things", "pipeline": [], "cursor": {"batchSize": 3}})
    cursor = things.database.command({"find": "things", "batchSize": 2})["cursor"]
    more = {"getMore": Int64(cursor["id"]), "collection": "things", "batchSize": 1}
    assert things.database.command(more)["cursor"]["id"] == cursor["id"]
    last = things.database.command(more)["cursor"]
    assert (last["id"], last["nextBatch"]) == (0, [])


# --- the smaller ones


def test_the_first_hello_of_a_connection_meets_the_fail_points_of_its_application(standalone, client):
    """src/mongo/db/commands/failcommand.md: appName. The name comes with that very hello."""
    data = {"failCommands": ["hello", "isMaster"], "closeConnection": True, "appName": "victim"}
    client.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=data)
    with (
        pymongo.MongoClient(standalone.uri, appname="victim", serverSelectionTimeoutMS=300) as victim,
        pytest.raises(pymongo.errors.ServerSelectionTimeoutError),
    ):
        victim.admin.command("ping")


def test_fail_command_without_commands_fails_none(client):
    """`CommandHelpers::shouldActivateFailCommandFailPoint` looks for the command in `failCommands`."""
    client.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data={"errorCode": 2})
    client.admin.command("ping")


def test_a_command_that_fails_has_its_write_concern_error_too(replica_client):
    """`RunCommandAndWaitForWriteConcern::_handleError` in src/mongo/db/service_entry_point_common.cpp."""
    replica_client.d.c.insert_one({})
    replica_client.d.new.insert_one({})
    collection = replica_client.d.c.with_options(write_concern=WriteConcern(w=2, wtimeout=1))
    with pytest.raises(WriteConcernError):
        collection.rename("new")
    with pytest.raises(OperationFailure) as caught:
        replica_client.d.c.rename("new")
    assert caught.value.code == 48


def test_there_is_no_oplog_that_reads_as_empty(replica_client):
    with pytest.raises(OperationFailure) as caught:
        replica_client.local["oplog.rs"].find_one()
    assert caught.value.code == 238


def test_search_indexes_are_refused_in_the_words_of_mongodb(client):
    """SearchNotEnabled (31082) in src/mongo/base/error_codes.yml; the specification of index management asks
    for the word "Atlas".
    """
    with pytest.raises(OperationFailure, match="Atlas") as caught:
        list(client.d.c.list_search_indexes())
    assert caught.value.code == 31082
    assert code_of(client.d, {"createSearchIndexes": "c", "indexes": []}) == 31082


def test_an_unknown_stage_in_an_update_fails_the_command(client):
    """Not one statement (operation-id.json of the specification of command logging), with 40324; a stage that
    no update may have fails the statement.
    """
    client.d.c.insert_one({"_id": 1})
    unknown, other = [{"$invalidOperator": True}], [{"$match": {}}]
    updates = [{"q": {"_id": 1}, "u": {"$set": {"a": 1}}}, {"q": {"_id": 2}, "u": unknown}]
    assert code_of(client.d, {"update": "c", "updates": updates}) == 40324
    assert client.d.c.find_one() == {"_id": 1}
    reply = client.d.command({"update": "c", "updates": [{"q": {}, "u": other}]}, check=False)
    assert (reply["ok"], reply["writeErrors"][0]["code"]) == (1, 72)


SET = {"$set": {"a.$[i]": 5}}


@pytest.mark.parametrize(
    ("update", "filters", "code"),
    [
        (SET, {"i": 0}, 14),
        (SET, ["bad"], 14),
        (SET, [{"i": 0, "j": 0}], 9),
        (SET, [{"i": 0}, {"j": 0}], 9),
        (SET, [{"i": 0}, {"i": 1}], 9),
        (SET, [{"$alwaysTrue": 1}], 9),
        (SET, [{"$expr": {"$eq": ["$a", 1]}}], 224),
        (SET, [{"$or": [{"i": 0}, {"$and": [{}]}]}], None),
        ({"$rename": {"a.$[i]": "b"}}, [{"i": 0}], 2),
        ({"$rename": {"a": "b"}}, [{"i": 0}], 9),
        ({"$rename": {"a.$[]": "b"}}, [], 2),
        ({"$rename": {"a": "b.$[]"}}, [], 2),
    ],
    ids=str,
)
def test_array_filters_are_checked_before_a_document_is_looked_at(client, update, filters, code):
    """jstests/core/update_arrayFilters.js, for update and findAndModify."""
    statement = {"q": {"_id": 0}, "u": update, "arrayFilters": filters}
    reply = client.d.command({"update": "c", "updates": [statement]}, check=False)
    errors = reply.get("writeErrors", [reply])
    assert errors[0].get("code") == code
    command = {"findAndModify": "c", "query": {"_id": 0}, "update": update, "arrayFilters": filters}
    assert client.d.command(command, check=False).get("code") == code


@pytest.mark.parametrize(
    "more", [{"update": {"y": 2}}, {"upsert": True}, {"new": True}, {"arrayFilters": [{"i": 0}]}], ids=str
)
def test_find_and_modify_that_removes_takes_nothing_of_an_update(client, more):
    """jstests/core/find_and_modify.js; FailedToParse in find_and_modify.cpp."""
    client.d.c.insert_one({"_id": 1})
    assert code_of(client.d, {"findAndModify": "c", "query": {"_id": 1}, "remove": True, **more}) == 9
    assert client.d.c.find_one() == {"_id": 1}


def test_a_projection_has_one_positional_field(client):
    """jstests/core/elemMatchProjection.js; 31276 in projection_parser.cpp."""
    client.d.c.insert_one({"x": [1], "y": [1]})
    query = {"find": "c", "filter": {"x": 1, "y": 1}, "projection": {"x.$": 1, "y.$": 1}}
    assert code_of(client.d, query) == 31276


ITEMS = {"_id": 0, "a": [1, 2, 3], "b": [4, 5, 6], "x": [{"y": 1, "z": 3}, {"y": 2, "z": 2}], "n": 7}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"a": 2}, 5),
        ({"$and": [{"a": 1}, {"a": 2}, {"a": 3}]}, 6),
        ({"$and": [{"a": 3}, {"a": 2}, {"a": 1}]}, 4),
        ({"a": {"$all": [3, 1]}}, 4),
        ({"a": {"$in": [2, 3]}}, 5),
        ({"$or": [{"a": 2}, {"a": 3}]}, 5),
        ({"$or": [{"n": 1}, {"a": {"$gt": 2}}]}, 6),
        ({"a": {"$elemMatch": {"$gt": 1, "$lt": 3}}}, 5),
        ({"a": {"$gt": 1, "$lt": 3}}, 5),
        ({"x": {"$elemMatch": {"y": {"$gt": 1}}}}, 5),
        ({"x.y": 1, "x.z": 2}, 5),
        ({"n": 7}, None),
        ({"b": [4, 5, 6]}, None),
        ({"$nor": [{"a": -1}]}, None),
        ({"a": {"$ne": 9}}, None),
    ],
    ids=str,
)
def test_a_positional_field_is_that_of_the_last_clause_about_an_array(client, query, expected):
    """jstests/core/positional_projection.js; MatchType in expression.h orders the clauses of a filter."""
    client.d.c.insert_one(ITEMS)
    if expected is None:
        assert code_of(client.d, {"find": "c", "filter": query, "projection": {"b.$": 1}}) == 51246
        with pytest.raises(OperationFailure) as caught:
            client.d.c.update_one(query, {"$set": {"b.$": 0}})
        assert caught.value.code == 2
        return
    assert client.d.c.find_one(query, {"_id": 0, "b.$": 1}) == {"b": [expected]}
    client.d.c.update_one(query, {"$set": {"b.$": 0}})
    assert client.d.c.find_one()["b"] == [value if value != expected else 0 for value in (4, 5, 6)]


@pytest.mark.parametrize(
    ("query", "path", "expected"), [({}, "nope.$", {}), ({"n": 7}, "nope.$", {}), ({"n": 7}, "n.$", {"n": 7})]
)
def test_a_positional_field_that_is_no_array_stays_as_it_is(client, query, path, expected):
    """jstests/core/positional_projection.js."""
    client.d.c.insert_one(ITEMS)
    assert client.d.c.find_one(query, {"_id": 0, path: 1}) == expected


def test_where_an_expression_is_not_allowed(client):
    """jstests/core/expr.js; QueryFeatureNotAllowed (224) for an upsert, BadValue below the top level."""
    query = {"_id": 0, "$expr": {"$eq": ["$a", 5]}}
    update = {"$set": {"b": 6}}
    reply = client.d.command({"update": "c", "updates": [{"q": query, "u": update, "upsert": True}]})
    assert reply["writeErrors"][0]["code"] == 224
    assert code_of(client.d, {"findAndModify": "c", "query": query, "update": update, "upsert": True}) == 224
    inner = {"$elemMatch": {"$expr": {"$eq": ["$b", 5]}}}
    assert code_of(client.d, {"find": "c", "projection": {"a": inner}}) == 2
    assert code_of(client.d, {"find": "c", "filter": {"a": inner}}) == 2
