"""Start and stop, handshakes, and the drivers' plain use."""

import asyncio
import struct
import time

import bson
import pymongo
import pytest
from motor.motor_asyncio import AsyncIOMotorClient

from tocdemo.server import EmbeddedServer

from .wire import Wire, frame


def test_pymongo_reads_what_it_wrote(client):
    books = client.library.books
    key = books.insert_one({"title": "A"}).inserted_id
    assert books.update_one({"_id": key}, {"$set": {"title": "B"}}).modified_count == 1
    assert books.update_one({"_id": key}, {"$set": {"title": "B"}}).modified_count == 0
    assert books.find_one({"_id": key}) == {"_id": key, "title": "B"}
    books.insert_many({"n": n} for n in range(300))
    assert len(list(books.find())) == 301
    assert books.find_one_and_update({"n": 5}, {"$inc": {"n": 1000}}, return_document=True)["n"] == 1005
    assert books.find_one_and_delete({"n": 7}, {"_id": 0}) == {"n": 7}
    assert books.delete_many({"n": {"$lt": 100}}).deleted_count == 98
    assert sorted(books.distinct("n", {"n": {"$gt": 297}})) == [298, 299, 1005]
    client.drop_database("library")
    assert books.count_documents({}) == 0


@pytest.mark.parametrize("replica_set", [None, "rs0"])
def test_motor_reads_what_it_wrote(replica_set):
    async def use(uri):
        client = AsyncIOMotorClient(uri)
        await client.library.books.insert_one({"_id": 1, "title": "A"})
        found = await client.library.books.find_one({"_id": 1})
        client.close()
        return found

    with EmbeddedServer(replica_set=replica_set) as server:
        assert asyncio.run(use(server.uri)) == {"_id": 1, "title": "A"}


def test_a_replica_set_is_discovered_with_its_primary(replica_set, replica_client):
    hello = replica_client.admin.command("hello")
    address = f"127.0.0.1:{replica_set.port}"
    assert (hello["setName"], hello["primary"], hello["hosts"]) == ("rs0", address, [address])
    assert "topologyVersion" not in hello
    assert "$clusterTime" in hello
    assert replica_client.primary == ("127.0.0.1", replica_set.port)


def test_a_standalone_says_nothing_of_a_replica_set(client):
    hello = client.admin.command("hello")
    assert not {"setName", "hosts", "$clusterTime", "topologyVersion"} & set(hello)


def test_the_handshake_of_old_drivers_is_answered_in_kind(standalone):
    query = struct.pack("<i", 0) + b"admin.$cmd\0" + struct.pack("<ii", 0, -1) + bson.encode({"isMaster": 1})
    with Wire(standalone) as wire:
        wire.send(frame(query, opcode=2004))
        assert wire.reply()["ismaster"] is True


def test_an_exhaust_hello_gets_one_plain_reply(standalone):
    with Wire(standalone) as wire:
        assert wire.command({"hello": 1, "maxAwaitTimeMS": 10_000, "$db": "admin"}, flags=1 << 16)["ok"] == 1
        assert wire.command({"ping": 1, "$db": "admin"})["ok"] == 1


def test_a_streaming_server_answers_a_hello_until_the_client_goes():
    """A MongoDB from 4.4 on: "awaitable hello" in the specification of monitoring."""
    with EmbeddedServer(streaming=True) as server, Wire(server) as wire:
        version = wire.command({"hello": 1, "$db": "admin"})["topologyVersion"]
        begin = time.monotonic()
        first = wire.command(
            {"hello": 1, "topologyVersion": version, "maxAwaitTimeMS": 60, "$db": "admin"}, flags=1 << 16
        )
        second, third = wire.reply(), wire.reply()
        assert time.monotonic() - begin >= 0.18
        assert first["topologyVersion"] == second["topologyVersion"] == third["topologyVersion"] == version
        stale = {**version, "processId": bson.ObjectId()}
    with EmbeddedServer(streaming=True) as server, Wire(server, timeout=2) as wire:
        for command in (
            {"hello": 1, "topologyVersion": stale, "maxAwaitTimeMS": 10_000},
            {"ping": 1, "topologyVersion": stale, "maxAwaitTimeMS": 10_000},
        ):
            assert wire.command({**command, "$db": "admin"})["ok"] == 1  # at once


def test_a_streaming_server_is_monitored_by_pymongo_so_and_stops_at_once():
    class Heard(pymongo.monitoring.ServerHeartbeatListener):
        awaited = 0

        def started(self, event):
            pass

        failed = started

        def succeeded(self, event):
            self.awaited += event.awaited

    heard = Heard()
    options = {"heartbeatFrequencyMS": 500, "event_listeners": [heard]}
    server = EmbeddedServer(replica_set="rs0", streaming=True)
    with server, pymongo.MongoClient(server.uri, **options) as client:
        client.d.c.insert_one({})
        deadline = time.monotonic() + 5
        while not heard.awaited and time.monotonic() < deadline:
            time.sleep(0.05)
        assert heard.awaited
        begin = time.monotonic()
        server.stop()
        assert time.monotonic() - begin < 2


def test_a_taken_port_raises_and_leaves_nothing_open(standalone):
    with pytest.raises(OSError, match="in use"):
        EmbeddedServer(port=standalone.port).start()


def test_a_server_starts_once(standalone):
    with pytest.raises(RuntimeError, match="make a new EmbeddedServer"):
        standalone.start()


def test_the_port_is_free_after_stop():
    with EmbeddedServer() as first:
        pymongo.MongoClient(first.uri).admin.command("ping")
    with EmbeddedServer(port=first.port) as second:
        assert second.port == first.port


def test_the_log_keeps_what_came_and_no_more_than_its_bound(standalone):
    with Wire(standalone) as wire:
        for number in range(10_050):
            wire.command({"ping": 1, "$db": "admin"}, request_id=number)
        assert len(standalone.log.records) == 10_000
        assert standalone.log.records[-1].request_id == 10_049
        wire.command({"x" * 10_000: 1, "$db": "admin"})
        assert len(standalone.log.records[-1].command) == 300


def test_a_command_that_waits_holds_no_other_connection_up(standalone, client):
    point = {"failCommands": ["insert"], "blockConnection": True, "blockTimeMS": 400}
    client.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=point)
    with Wire(standalone) as slow, Wire(standalone) as quick:
        slow.send(
            frame(struct.pack("<I", 0) + b"\0" + bson.encode({"insert": "c", "documents": [{}], "$db": "d"}))
        )
        begin = time.monotonic()
        assert quick.command({"ping": 1, "$db": "admin"})["ok"] == 1
        assert time.monotonic() - begin < 0.3
        assert slow.reply()["n"] == 1


def test_write_concerns_that_cannot_be_met_are_reported(client, replica_client):
    with pytest.raises(pymongo.errors.OperationFailure) as caught:
        client.d.get_collection("c", write_concern=pymongo.WriteConcern(w=2)).insert_one({})
    assert caught.value.code == 2
    with pytest.raises(pymongo.errors.WriteConcernError) as caught:
        replica_client.d.get_collection("c", write_concern=pymongo.WriteConcern(w=2)).insert_one({})
    assert caught.value.code == 100
