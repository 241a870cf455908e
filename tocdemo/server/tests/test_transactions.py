"""Sessions, transactions and retryable writes, as drivers use them and as bare commands."""

import asyncio
import threading
import time

import pymongo
import pytest
from bson import Binary, Int64
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import DuplicateKeyError, OperationFailure, WriteError

from tocdemo.server import EmbeddedServer

from .wire import Wire


@pytest.fixture
def books(replica_client):
    replica_client.d.books.insert_one({"_id": 1, "n": 0})
    return replica_client.d.books


def in_thread(function):
    """Run it in a thread; returns the thread and the list that will hold its result."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()), daemon=True)
    thread.start()
    return thread, results


def test_a_transaction_sees_its_own_writes_and_nobody_else_does_before_the_commit(replica_client, books):
    with replica_client.start_session() as session:
        with session.start_transaction():
            books.update_one({"_id": 1}, {"$set": {"n": 5}}, session=session)
            books.insert_one({"_id": 2}, session=session)
            assert books.find_one({"_id": 1}, session=session)["n"] == 5
            assert books.count_documents({}, session=session) == 2
            assert books.find_one({"_id": 1})["n"] == 0
            assert books.count_documents({}) == 1
        assert books.find_one({"_id": 1})["n"] == 5
        assert books.count_documents({}) == 2


def test_a_transaction_reads_from_the_snapshot_of_its_first_operation(replica_client, books):
    with replica_client.start_session() as session, session.start_transaction():
        assert books.find_one({"_id": 1}, session=session)["n"] == 0
        books.update_one({"_id": 1}, {"$set": {"n": 9}})
        books.insert_one({"_id": 2})
        replica_client.d.other.insert_one({})
        assert books.find_one({"_id": 1}, session=session)["n"] == 0
        assert [book["_id"] for book in books.find({}, session=session)] == [1]
        assert replica_client.d.other.find_one({}, session=session) is None


def test_an_aborted_transaction_leaves_no_trace(replica_client, books):
    with replica_client.start_session() as session:
        session.start_transaction()
        books.update_one({"_id": 1}, {"$set": {"n": 5}}, session=session)
        replica_client.d.fresh.insert_one({}, session=session)
        session.abort_transaction()
    assert books.find_one()["n"] == 0
    assert replica_client.d.list_collection_names() == ["books"]
    books.update_one({"_id": 1}, {"$set": {"n": 6}})  # waits for nothing


@pytest.mark.parametrize("change", ["update", "delete", "insert"])
def test_the_second_writer_of_a_document_gets_a_write_conflict(replica_client, books, change):
    with replica_client.start_session() as first, replica_client.start_session() as second:
        first.start_transaction()
        second.start_transaction()
        if change == "insert":
            books.insert_one({"_id": 7}, session=first)
            write = lambda: books.insert_one({"_id": 7}, session=second)  # noqa: E731
        else:
            books.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=first)
            write = {
                "update": lambda: books.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=second),
                "delete": lambda: books.delete_one({"_id": 1}, session=second),
            }[change]
        with pytest.raises(OperationFailure) as caught:
            write()
        assert caught.value.code == 112
        assert caught.value.has_error_label("TransientTransactionError")
        with pytest.raises(OperationFailure) as caught:  # the conflict aborted it
            books.find_one({}, session=second)
        assert caught.value.code == 251
        first.commit_transaction()


def test_a_write_to_a_document_changed_since_the_snapshot_conflicts(replica_client, books):
    with replica_client.start_session() as session:
        session.start_transaction()
        books.find_one({}, session=session)
        books.update_one({"_id": 1}, {"$inc": {"n": 1}})
        with pytest.raises(OperationFailure) as caught:
            books.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)
        assert caught.value.code == 112


@pytest.mark.parametrize("meanwhile", ["put and taken away", "dropped"])
def test_a_key_that_was_written_and_is_as_before_conflicts_as_well(replica_client, books, meanwhile):
    with replica_client.start_session() as session:
        session.start_transaction()
        books.find_one({}, session=session)
        if meanwhile == "dropped":
            books.drop()
        else:
            books.insert_one({"_id": 2})
            books.delete_one({"_id": 2})
        with pytest.raises(OperationFailure) as caught:
            books.insert_one({"_id": 2}, session=session)
        assert caught.value.code == 112


def test_a_plain_write_waits_for_the_transaction_and_then_proceeds(replica_client, books):
    with replica_client.start_session() as session:
        session.start_transaction()
        books.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)
        thread, results = in_thread(lambda: books.update_many({}, {"$inc": {"n": 10}}).modified_count)
        thread.join(0.15)
        assert thread.is_alive()
        session.commit_transaction()
        thread.join(5)
    assert results == [1]
    assert books.find_one()["n"] == 11


def test_a_waiting_write_ends_with_its_max_time(replica_client, books):
    with replica_client.start_session() as session:
        session.start_transaction()
        books.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)
        update = {"q": {}, "u": {"$inc": {"n": 1}}}
        reply = replica_client.d.command("update", "books", updates=[update], maxTimeMS=50)
        assert reply["writeErrors"][0]["code"] == 50


def test_a_transaction_whose_time_is_over_gives_way(short_lived):
    with pymongo.MongoClient(short_lived.uri) as client, client.start_session() as session:
        books = client.d.books
        books.insert_one({"_id": 1, "n": 0})
        session.start_transaction()
        books.update_one({"_id": 1}, {"$set": {"n": 99}}, session=session)
        books.update_one({"_id": 1}, {"$inc": {"n": 1}})
        assert books.find_one()["n"] == 1
        with pytest.raises(OperationFailure) as caught:
            session.commit_transaction()
        assert caught.value.code == 251
        assert caught.value.has_error_label("TransientTransactionError")


BEGIN = {"lsid": {"id": Binary(bytes(16), 4)}, "txnNumber": Int64(1), "autocommit": False, "$db": "d"}
UPDATE = {"update": "books", "updates": [{"q": {"_id": 1}, "u": {"$set": {"n": 99}}}]}


def test_a_transaction_of_a_client_that_is_gone_lives_until_its_time_is_over(short_lived):
    """MongoDB's manual, "Production Considerations", "Runtime Limit": by default 60 seconds, changed by
    transactionLifetimeLimitSeconds (src/mongo/db/transaction/transaction_participant.idl). No source names
    the end of a connection as the end of its transaction: only a load balancer's does that (jstests/sharding,
    "when a load-balanced client disconnects, its in-progress transactions are aborted").
    """
    with pymongo.MongoClient(short_lived.uri) as client:
        books = client.d.books
        books.insert_one({"_id": 1, "n": 0})
        begin = time.monotonic()
        with Wire(short_lived) as wire:
            assert wire.command({**UPDATE, "startTransaction": True, **BEGIN})["nModified"] == 1
        books.update_one({"_id": 1}, {"$inc": {"n": 1}})
        assert time.monotonic() - begin > 0.45
        assert books.find_one()["n"] == 1


@pytest.mark.parametrize(
    "ending",
    [
        {"killSessions": [BEGIN["lsid"]]},
        {"endSessions": [BEGIN["lsid"]]},
        {"find": "books", **BEGIN, "txnNumber": Int64(2), "startTransaction": True},
    ],
    ids=["killed", "ended", "the session's next transaction"],
)
def test_what_ends_a_transaction_before_its_time(replica_set, replica_client, books, ending):
    """The manual, "Transactions": "If a session ends and it has an open transaction, the transaction aborts";
    killSessions: src/mongo/db/session/kill_sessions_local.cpp; a higher txnNumber aborts the one before it:
    the transactions specification.
    """
    with Wire(replica_set) as wire:
        assert wire.command({**UPDATE, "startTransaction": True, **BEGIN})["nModified"] == 1
        assert wire.command({**ending, "$db": "d"})["ok"] == 1
        books.update_one({"_id": 1}, {"$inc": {"n": 1}})  # it would wait for a minute
    assert books.find_one()["n"] == 1


def test_the_lifetime_can_be_read_and_set(replica_client, books):
    """The manual, transactionLifetimeLimitSeconds: at least 1, and setParameter tells what it was. It holds
    for transactions that start from then on (TransactionParticipant takes the date of expiry at the start).
    """
    admin = replica_client.admin
    assert (
        admin.command("getParameter", 1, transactionLifetimeLimitSeconds=1)["transactionLifetimeLimitSeconds"]
        == 60
    )
    with replica_client.start_session() as session:
        session.start_transaction()
        books.find_one({}, session=session)
        assert admin.command("setParameter", 1, transactionLifetimeLimitSeconds=1)["was"] == 60
        time.sleep(1.1)
        session.commit_transaction()
        session.start_transaction()
        books.find_one({}, session=session)
        time.sleep(1.1)
        with pytest.raises(OperationFailure) as caught:
            session.commit_transaction()
        assert caught.value.code == 251
    for wrong, code in (({"transactionLifetimeLimitSeconds": 0}, 2), ({"ttlMonitorEnabled": False}, 238)):
        with pytest.raises(OperationFailure) as caught:
            admin.command("setParameter", 1, **wrong)
        assert caught.value.code == code


def in_two_transactions(client):
    """Two sessions, each with a transaction that has read."""
    sessions = [client.start_session() for _ in range(2)]
    for session in sessions:
        session.start_transaction()
        client.d.other.find_one({}, session=session)
    return sessions


@pytest.mark.parametrize("how", ["create", "insert"])
@pytest.mark.parametrize("other", ["in a transaction, too", "in a transaction, later", "in none"])
def test_of_two_that_make_one_collection_the_second_to_commit_gets_a_write_conflict(
    replica_client, how, other
):
    """MongoDB's jstests/core/txns/create_collection_parallel.js: "create cannot observe the collection
    created in the other transaction so the command will succeed and we will instead throw WCE when trying to
    commit the transaction".
    """
    first, second = in_two_transactions(replica_client)

    def make(session):
        if how == "create":
            replica_client.d.command("create", "new", session=session)
        replica_client.d.new.insert_one({}, session=session)

    if other != "in a transaction, later":
        make(first)
    make(None if other == "in none" else second)
    second.commit_transaction()
    if other == "in a transaction, later":
        make(first)
    with pytest.raises(OperationFailure) as caught:
        first.commit_transaction()
    assert caught.value.code == 112
    assert caught.value.has_error_label("TransientTransactionError")
    assert replica_client.d.new.count_documents({}) == 1


def test_an_index_can_be_made_on_a_collection_of_the_same_transaction(replica_client, books):
    """The manual, "Transactions", "Create Collections and Indexes in a Transaction"; on one that was there
    before it cannot (OperationNotSupportedInTransaction).
    """
    with replica_client.start_session() as session:
        with session.start_transaction():
            replica_client.d.create_collection("new", session=session)
            replica_client.d.new.create_index("a", session=session)
        assert "a_1" in replica_client.d.new.index_information()
        session.start_transaction()
        with pytest.raises(OperationFailure) as caught:
            books.create_index("a", session=session)
        assert caught.value.code == 263


def test_a_collection_that_a_transaction_sees_cannot_be_made_again(replica_client, books):
    """jstests/core/txns/create_collection_parallel.js and create_collection.js: NamespaceExists."""
    with replica_client.start_session() as session:
        session.start_transaction()
        with pytest.raises(OperationFailure) as caught:
            replica_client.d.command("create", "books", session=session)
        assert caught.value.code == 48
        with pytest.raises(OperationFailure) as caught:
            session.commit_transaction()
        assert caught.value.code == 251


def test_a_unique_key_is_claimed_like_a_document(replica_client, books):
    books.create_index("name", unique=True)
    with replica_client.start_session() as one, replica_client.start_session() as other:
        one.start_transaction()
        other.start_transaction()
        books.insert_one({"_id": 2, "name": "A"}, session=one)
        with pytest.raises(OperationFailure) as caught:
            books.insert_one({"_id": 3, "name": "A"}, session=other)
        assert caught.value.code == 112
        command = {"insert": "books", "documents": [{"name": "A"}]}
        thread, results = in_thread(lambda: replica_client.d.command(command))
        thread.join(0.1)
        assert thread.is_alive()
        one.commit_transaction()
        thread.join(5)
    assert results[0]["writeErrors"][0]["code"] == 11000


def test_a_failed_statement_aborts_the_transaction(replica_client, books):
    with replica_client.start_session() as session:
        session.start_transaction()
        books.insert_one({"_id": 2}, session=session)
        with pytest.raises(DuplicateKeyError):
            books.insert_one({"_id": 1}, session=session)
        with pytest.raises(OperationFailure) as caught:
            session.commit_transaction()
        assert caught.value.code == 251
    assert books.count_documents({}) == 1


def test_the_errors_of_transaction_numbers(replica_set):
    session = {"lsid": {"id": Binary(bytes(16), 4)}}
    inside = {**session, "autocommit": False}
    find = {"find": "books", "$db": "d"}
    commit = {"commitTransaction": 1, "$db": "admin"}
    with Wire(replica_set) as wire:
        run = wire.command
        assert run({**find, **inside, "txnNumber": Int64(5)})["code"] == 251
        assert run({**find, **inside, "txnNumber": Int64(5), "startTransaction": True})["ok"] == 1
        assert run({**find, **inside, "txnNumber": Int64(4)})["code"] == 225
        assert run({**find, **inside, "txnNumber": Int64(5), "startTransaction": True})["code"] == 117
        assert run({**commit, **inside, "txnNumber": Int64(5)})["ok"] == 1
        assert run({**commit, **inside, "txnNumber": Int64(5)})["ok"] == 1  # a commit may be sent again
        assert run({**find, **inside, "txnNumber": Int64(5)})["code"] == 256
        assert run({**find, **session, "txnNumber": Int64(6)})["code"] == 50768
        assert run({**find, "txnNumber": Int64(6)})["code"] == 72
        count = {"count": "books", "$db": "d", **inside, "txnNumber": Int64(7), "startTransaction": True}
        assert run(count)["code"] == 263


def test_a_standalone_takes_no_transaction_numbers(client):
    with client.start_session() as session:
        session.start_transaction()
        with pytest.raises(OperationFailure) as caught:
            client.d.books.insert_one({}, session=session)
    assert caught.value.code == 20


def test_a_retried_write_is_replayed_not_repeated(replica_set, replica_client):
    update = {"q": {"_id": 1}, "u": {"$inc": {"n": 1}}, "upsert": True}
    command = {"update": "c", "updates": [update], "$db": "d", "lsid": {"id": Binary(bytes(16), 4)}}
    with Wire(replica_set) as wire:
        first = wire.command({**command, "txnNumber": Int64(3)})
        again = wire.command({**command, "txnNumber": Int64(3)})
        assert first["upserted"] == again["upserted"] == [{"index": 0, "_id": 1}]
        assert replica_client.d.c.find_one()["n"] == 1
        assert wire.command({**command, "txnNumber": Int64(4)})["nModified"] == 1
        assert wire.command({**command, "txnNumber": Int64(3)})["code"] == 225


def test_the_log_shows_which_commands_were_one_transaction(replica_set, replica_client):
    with replica_client.start_session() as session, session.start_transaction():
        replica_client.d.books.insert_one({}, session=session)
        replica_client.d.audit.insert_one({}, session=session)
    records = [record for record in replica_set.log.records if record.autocommit is False]
    assert [record.command for record in records] == ["insert", "insert", "commitTransaction"]
    assert [record.collection for record in records] == ["books", "audit", ""]
    assert [record.start_transaction for record in records] == [True, None, None]
    assert len({(record.session_id, record.txn_number) for record in records}) == 1


@pytest.mark.parametrize(
    ("make", "rounds"),
    [(AsyncIOMotorClient, 30), (pymongo.AsyncMongoClient, 20)],
    ids=["motor", "pymongo async"],
)
def test_with_transaction_loses_no_update_among_20_writers(make, rounds):
    """In each round 20 writers read a number and write it back, raised by one. Two rounds run at a time."""

    async def increment(client, counters, number):
        async def change(session):
            found = await counters.find_one({"_id": number}, session=session)
            await counters.update_one({"_id": number}, {"$set": {"n": found["n"] + 1}}, session=session)

        begun = client.start_session()
        async with begun if hasattr(begun, "__aenter__") else await begun as session:
            await session.with_transaction(change)

    async def one_round(client, counters, number):
        await counters.insert_one({"_id": number, "n": 0})
        await asyncio.gather(*(increment(client, counters, number) for _ in range(20)))

    async def scene(uri):
        client = make(uri)
        counters = client.d.counters
        for number in range(0, rounds, 2):
            await asyncio.gather(one_round(client, counters, number), one_round(client, counters, number + 1))
        values = [found["n"] async for found in counters.find()]
        closed = client.close()
        if closed is not None:
            await closed
        return values

    with EmbeddedServer(replica_set="rs0") as server:
        assert asyncio.run(scene(server.uri)) == [20] * rounds


def test_a_dozen_waiting_motor_writes_do_not_starve_for_ever(short_lived):
    """They hold every thread of Motor's executor, so the commit cannot be sent before the transaction's time
    is over.

    Motor 3.7.1 does not try a transaction again whose *commit* failed: it commits when its `async with`
    ends, outside of the `try`. PyMongo does.
    """

    async def scene():
        client = AsyncIOMotorClient(short_lived.uri)
        books = client.d.books
        await books.insert_one({"_id": 1, "n": 0})

        async with await client.start_session() as session:
            session.start_transaction()
            await books.update_one({"_id": 1}, {"$inc": {"n": 1000}}, session=session)
            waiting = [
                asyncio.ensure_future(books.update_one({"_id": 1}, {"$inc": {"n": 1}})) for _ in range(60)
            ]
            await asyncio.sleep(0.1)
            with pytest.raises(OperationFailure) as caught:
                await session.commit_transaction()
            assert caught.value.has_error_label("TransientTransactionError")
            await asyncio.gather(*waiting)
        found = await books.find_one()
        client.close()
        return found["n"]

    assert asyncio.run(asyncio.wait_for(scene(), 20)) == 60


def test_an_update_that_fails_changes_nothing(client):
    client.d.c.insert_one({"_id": 1, "a": 1, "b": "text"})
    with pytest.raises(WriteError):
        client.d.c.update_one({"_id": 1}, {"$inc": {"a": 1, "b": 1}})
    assert client.d.c.find_one() == {"_id": 1, "a": 1, "b": "text"}
