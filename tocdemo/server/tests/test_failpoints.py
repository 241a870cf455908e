"""Errors on demand by configureFailPoint."""

import time

import pymongo
import pytest
from pymongo.errors import AutoReconnect, OperationFailure, WriteConcernError


def fail(client, commands, mode=None, **data):
    client.admin.command(
        "configureFailPoint",
        "failCommand",
        mode=mode or {"times": 1},
        data={"failCommands": commands, **data},
    )


def test_an_error_comes_as_often_as_it_was_asked_for(client):
    fail(client, ["ping"], {"times": 2}, errorCode=8)
    for _ in range(2):
        with pytest.raises(OperationFailure) as caught:
            client.admin.command("ping")
        assert caught.value.code == 8
    client.admin.command("ping")


def test_skip_lets_the_first_ones_pass(client):
    fail(client, ["ping"], {"skip": 2}, errorCode=8)
    client.admin.command("ping")
    client.admin.command("ping")
    with pytest.raises(OperationFailure):
        client.admin.command("ping")
    client.admin.command("configureFailPoint", "failCommand", mode="off")
    client.admin.command("ping")


def test_a_closed_connection_breaks_a_write_and_a_retryable_write_survives_it(standalone, replica_client):
    with pymongo.MongoClient(standalone.uri, retryWrites=False) as client:
        fail(client, ["insert"], closeConnection=True)
        with pytest.raises(AutoReconnect):
            client.d.c.insert_one({})
    fail(replica_client, ["insert"], closeConnection=True)
    replica_client.d.c.insert_one({})
    assert replica_client.d.c.count_documents({}) == 1


def test_a_write_whose_reply_is_lost_is_not_done_twice(replica_client):
    replica_client.d.c.insert_one({"_id": 1, "n": 0})
    replica_client.admin.command("configureFailPoint", "onPrimaryTransactionalWrite", mode={"times": 1})
    replica_client.d.c.update_one({"_id": 1}, {"$inc": {"n": 1}})
    assert replica_client.d.c.find_one()["n"] == 1


def test_a_blocked_command_takes_its_time_and_holds_nobody_else_up(standalone, client):
    fail(client, ["ping"], blockConnection=True, blockTimeMS=200)
    begin = time.monotonic()
    client.admin.command("ping")
    assert time.monotonic() - begin >= 0.2


def test_labels_can_be_chosen(replica_client):
    fail(replica_client, ["insert"], errorCode=2, errorLabels=["MyLabel"])
    with pytest.raises(OperationFailure) as caught:
        replica_client.d.c.insert_one({})
    assert caught.value.has_error_label("MyLabel")


def test_a_write_concern_error_comes_with_a_write_that_was_done(client):
    fail(client, ["insert"], writeConcernError={"code": 100, "errmsg": "no"})
    with pytest.raises(WriteConcernError):
        client.d.c.insert_one({})
    assert client.d.c.count_documents({}) == 1


def test_an_application_name_chooses_its_own_client(standalone, client):
    with pymongo.MongoClient(standalone.uri, appname="victim", retryReads=False) as victim:
        fail(client, ["find"], "alwaysOn", errorCode=8, appName="victim")
        client.d.c.find_one()
        with pytest.raises(OperationFailure):
            victim.d.c.find_one()


def test_with_transaction_tries_again_after_a_transient_error(replica_client):
    fail(replica_client, ["update"], errorCode=112)
    replica_client.d.c.insert_one({"_id": 1, "n": 0})
    tries = []

    def change(session):
        tries.append(1)
        replica_client.d.c.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)

    with replica_client.start_session() as session:
        session.with_transaction(change)
    assert len(tries) == 2
    assert replica_client.d.c.find_one()["n"] == 1


@pytest.mark.parametrize(
    ("name", "mode", "data"),
    [
        ("unheardOf", "alwaysOn", {}),
        ("failCommand", "sometimes", {"failCommands": ["find"]}),
        ("failCommand", {"times": -1}, {"failCommands": ["find"]}),
        ("failCommand", "alwaysOn", {"failCommands": "find"}),
        ("failCommand", "alwaysOn", {"failCommands": ["find"], "errorCode": "x"}),
        ("failCommand", "alwaysOn", {"failCommands": ["find"], "blockConnection": True}),
    ],
)
def test_a_senseless_fail_point_is_refused(client, name, mode, data):
    with pytest.raises(OperationFailure):
        client.admin.command("configureFailPoint", name, mode=mode, data=data)
