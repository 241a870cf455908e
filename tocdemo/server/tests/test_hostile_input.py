"""Bytes that no driver would send: the server says what is wrong or hangs up, and serves everybody else."""

import contextlib
import random
import resource
import socket
import struct
import threading
import time

import bson
import pymongo
import pytest
from bson import Binary, ObjectId

from tocdemo.server import EmbeddedServer

from .wire import Wire, frame, message

PING = {"ping": 1, "$db": "admin"}


def answers(server):
    with Wire(server) as wire:
        return wire.command(PING)["ok"] == 1.0


@pytest.mark.parametrize("length", [0, 15, -1, -(2**31), 2**31 - 1, 48_000_001])
def test_an_impossible_length_ends_the_connection_at_once(standalone, length):
    with Wire(standalone) as wire:
        wire.send(frame(b"", length=length))
        assert wire.reply() is None
    assert answers(standalone)


@pytest.mark.parametrize("opcode", [0, 1, 2002, 2007, 2012, 2014, -5])
def test_an_unknown_or_retired_opcode_ends_the_connection(standalone, opcode):
    with Wire(standalone) as wire:
        wire.send(frame(bytes(20), opcode=opcode))
        assert wire.reply() is None
    assert answers(standalone)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 22),
        (bytes(5), 22),
        (struct.pack("<I", 1 << 5) + b"\0" + bson.encode(PING), 9),
        (bytes(4) + b"\x07" + bson.encode(PING), 40432),
        (bytes(4) + b"\0" + bson.encode(PING) + b"\0" + bson.encode(PING), 40000),
        (bytes(4) + b"\x01" + struct.pack("<i", 9) + b"docs\0", 40587),
        (bytes(4) + b"\0" + b"\x0c\0\0\0\x10ping\0\x01\0", 22),
        (bytes(4) + b"\0" + bson.encode({"a": "x"}).replace(b"x", b"\xff"), 22),
        (bytes(4) + b"\0" + bson.encode({"a": 1}).replace(b"\x10", b"\x66"), 22),
    ],
)
def test_a_broken_message_gets_an_error_and_the_connection_lives_on(standalone, body, code):
    with Wire(standalone) as wire:
        wire.send(frame(body))
        assert wire.reply()["code"] == code
        assert wire.command(PING)["ok"] == 1.0


def test_deep_nesting_is_an_error_not_a_crash(standalone):
    levels = 1_000_000  # from Python 3.14 on, 20,000 fit on the stack
    heads = b"".join(struct.pack("<i", 5 + 8 * level) + b"\x03a\0" for level in range(levels, 0, -1))
    deep = heads + b"\x05\0\0\0\0" + bytes(levels)
    with Wire(standalone) as wire:
        wire.send(frame(bytes(4) + b"\0" + deep))
        assert wire.reply()["code"] == 15
        nested = {}
        for _ in range(190):
            nested = {"a": nested}
        reply = wire.command({"insert": "c", "documents": [nested], "$db": "d"})
        assert reply["writeErrors"][0]["code"] == 15


def test_a_document_over_16_mib_is_refused(standalone):
    with Wire(standalone, 20) as wire:
        large = {"_id": 1, "a": "x" * (16 * 1024 * 1024)}
        reply = wire.command({"insert": "c", "documents": [large], "$db": "d"})
        assert reply["writeErrors"][0]["code"] == 10334
        assert wire.command({"count": "c", "$db": "d"})["n"] == 0


@pytest.mark.parametrize(
    "command",
    [
        {},
        {"find": 5, "$db": "d"},
        {"find": "c"},
        {"find": "c", "$db": 5},
        {"find": "c", "$db": "d", "filter": "no"},
        {"find": "c", "$db": "d", "limit": "no"},
        {"find": "c", "$db": "d", "limit": float("nan")},
        {"find": "c", "$db": "d", "sort": {"a": "up"}},
        {"find": "c", "$db": "d", "filter": {"a": {"$regex": "("}}},
        {"find": "a" * 5000, "$db": "d"},
        {"__class__": 1, "$db": "d"},
        {"_record": 1, "$db": "d"},
        {"x" * 100_000: 1, "$db": "d"},
        {"insert": "c", "$db": "d", "documents": [1]},
        {"insert": "c", "$db": "d", "documents": []},
        {"update": "c", "$db": "d", "updates": [{"q": {}, "u": {"$nope": {"a": 1}}}]},
        {"update": "c", "$db": "d", "updates": [{"q": 1, "u": {}}]},
        {"aggregate": "c", "$db": "d", "pipeline": [{"$nope": 1}], "cursor": {}},
        {"aggregate": "c", "$db": "d", "pipeline": [1], "cursor": {}},
        {"aggregate": "c", "$db": "d", "pipeline": [{"$group": 5}], "cursor": {}},
        {"getMore": "x", "collection": "c", "$db": "d"},
        {"killCursors": "c", "$db": "d"},
        {"endSessions": 1, "$db": "admin"},
        {"ping": 1, "lsid": 5, "$db": "d"},
        {"ping": 1, "lsid": {"id": 5}, "$db": "d"},
        {"configureFailPoint": "failCommand", "mode": 5, "$db": "admin"},
        {"createIndexes": "c", "indexes": [{"key": {"a": "2dsphere"}, "name": "a"}], "$db": "d"},
        {"commitTransaction": 1, "$db": "admin"},
    ],
)
def test_a_senseless_command_gets_a_mongodb_error(standalone, command):
    with Wire(standalone) as wire:
        reply = wire.command(command)
        error = reply.get("writeErrors", [reply])[0]
        assert error["code"] > 0
        assert error["errmsg"]
        assert wire.command(PING)["ok"] == 1.0


def test_an_unknown_command_is_error_59(client):
    with pytest.raises(pymongo.errors.OperationFailure, match="no such command: 'frobnicate'") as caught:
        client.d.command("frobnicate")
    assert caught.value.code == 59


def test_a_frame_cut_short_anywhere_leaves_the_server_well(standalone):
    whole = message(PING)
    for end in range(len(whole)):
        with Wire(standalone) as wire:
            wire.send(whole[:end])
    assert answers(standalone)


def test_a_half_open_frame_holds_nobody_up_and_takes_no_memory(standalone):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.ExitStack() as stack:
        for _ in range(50):  # each announces 48 MB and sends a few bytes
            wire = stack.enter_context(Wire(standalone))
            wire.send(frame(b"abc", length=48_000_000))
        assert answers(standalone)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB; 2.4 GB were announced


def test_unfinished_frames_have_a_common_bound_and_others_are_served(standalone, monkeypatch):
    monkeypatch.setattr("tocdemo.server.server._MAX_UNFINISHED_BYTES", 1_000_000)
    with Wire(standalone) as one, Wire(standalone) as other:
        one.send(frame(bytes(900_000), length=48_000_000))
        while standalone._budget._held < 800_000:
            time.sleep(0.01)
        with contextlib.suppress(ConnectionError):
            other.send(frame(bytes(900_000), length=48_000_000))
        assert other.reply() is None
        assert answers(standalone)


def test_a_client_that_never_reads_holds_nobody_up(standalone):
    with pymongo.MongoClient(standalone.uri) as client:
        client.d.c.insert_many({"_id": n, "text": "x" * 100_000} for n in range(50))
    with Wire(standalone) as wire:
        wire.socket.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            for _ in range(10):
                wire.send(message({"find": "c", "$db": "d"}))
        assert answers(standalone)


def test_500_connections_are_served_at_once(standalone):
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(standalone)) for _ in range(500)]
        for wire in wires:
            wire.send(message(PING))
        assert all(wire.reply()["ok"] == 1.0 for wire in wires)


def test_an_unacknowledged_write_gets_no_reply(standalone):
    with Wire(standalone) as wire:
        wire.send(message({"insert": "c", "documents": [{"_id": 1}], "$db": "d"}, flags=2))
        assert wire.command({"count": "c", "$db": "d"})["n"] == 1


def test_stop_leaves_no_thread_and_no_socket():
    before = set(threading.enumerate())
    server = EmbeddedServer(replica_set="rs0").start()
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(Wire(server)).command(PING)
        server.stop()
        server.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((server.host, server.port), 0.5)
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.1", "example.org", "::"])
def test_only_loopback_is_listened_on(host):
    with pytest.raises(ValueError, match="loopback only"):
        EmbeddedServer(host=host)


def mutate(chance, data):
    data = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        kind = chance.randrange(5)
        at = chance.randrange(len(data)) if data else 0
        if kind == 0 and data:
            data[at] = chance.randrange(256)
        elif kind == 1 and data:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 2:
            del data[at : at + chance.randint(1, 8)]
        elif kind == 3:
            data[at:at] = chance.randbytes(chance.randint(1, 8))
        elif len(data) >= at + 4:
            data[at : at + 4] = struct.pack("<i", chance.choice([0, -1, 15, 2**31 - 1, 48_000_000, 5]))
    return bytes(data)


SEEDS = [
    message(command)
    for command in (
        PING,
        {"hello": 1, "$db": "admin", "client": {"application": {"name": "fuzz"}}},
        {"find": "c", "filter": {"a": {"$in": [1, "x", None]}}, "sort": {"a": 1}, "limit": 3, "$db": "d"},
        {"insert": "c", "documents": [{"a": 1, "b": [1, {"c": 2}], "d": "text"}], "$db": "d"},
        {"update": "c", "updates": [{"q": {"a": 1}, "u": {"$push": {"b": 1}}, "upsert": True}], "$db": "d"},
        {"delete": "c", "deletes": [{"q": {"a": {"$gt": 1}}, "limit": 1}], "$db": "d"},
        {"aggregate": "c", "pipeline": [{"$match": {"a": 1}}, {"$count": "n"}], "cursor": {}, "$db": "d"},
        {"findAndModify": "c", "query": {"_id": ObjectId()}, "update": {"$set": {"a.b": 1.5}}, "$db": "d"},
        {"find": "c", "$db": "d", "lsid": {"id": Binary(bytes(16), 4)}, "txnNumber": 1, "autocommit": False},
        {"createIndexes": "c", "indexes": [{"key": {"a": 1}, "name": "a_1"}], "$db": "d"},
    )
] + [
    frame(struct.pack("<i", 0) + b"admin.$cmd\0" + struct.pack("<ii", 0, -1) + bson.encode(PING), opcode=2004)
]


def test_mutated_frames_neither_crash_nor_stop_the_server(replica_set):
    """10,000 of them, each followed by a good ping on the same connection where the server kept it."""
    chance = random.Random(20251203)
    failed = []
    threading.excepthook, hook = lambda failure: failed.append(failure), threading.excepthook
    begin, wire, answered, closed = time.perf_counter(), None, 0, 0
    try:
        for _ in range(10_000):
            wire = wire or Wire(replica_set)
            data = mutate(chance, chance.choice(SEEDS))
            with contextlib.suppress(OSError):  # the server may have hung up already
                # The length is fixed mostly, or few would get past it.
                if chance.random() < 0.8 and len(data) >= 16:
                    wire.send(struct.pack("<i", len(data)) + data[4:] + message(PING, request_id=99))
                else:
                    wire.send(data)
                    wire.socket.shutdown(socket.SHUT_WR)
            if _drain(wire):
                answered += 1
            else:
                closed += 1
                wire.socket.close()
                wire = None
    finally:
        threading.excepthook = hook
        if wire:
            wire.socket.close()
    assert not failed
    assert answered > 3000
    assert closed > 1000
    assert answers(replica_set)
    print(f"{answered} answered, {closed} closed, {time.perf_counter() - begin:.1f} s")


def _drain(wire):
    """Read replies until the ping's, or until the server closes; which of the two it was."""
    while True:
        head = wire._exactly(16)
        if head is None:
            return False
        length, _, response_to, _ = struct.unpack("<iiii", head)
        if wire._exactly(length - 16) is None:
            return False
        if response_to == 99:
            return True
