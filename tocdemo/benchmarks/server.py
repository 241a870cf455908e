"""The server's speed, as ratios against peers that are measured in the same run.

The peers: a *floor*, which reads a frame and sends back a fixed reply without decoding anything (what
sockets, threads and the client itself cost), and mongomock-motor in the process. Client cost is part of every
figure. Rounds of all of them alternate; they are short, and each one's best counts: on a busy machine most
are disturbed, but some are not.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import bson
import pymongo
from bson import Int64
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.write_concern import WriteConcern

from tocdemo.server import EmbeddedServer

_DOCUMENT = {
    "_id": 1,
    "title": "A book",
    "version": 1,
    "chapters": [{"id": "ch1", "title": "One", "order": 1}],
}
_SITTINGS = 5
_OPERATIONS = ("insert_one", "find_one", "update_one")
_GOALS = {"insert_one": 1.8, "find_one": 1.6, "update_one": 1.6}


class FloorServer:
    """A server that decodes nothing: one fixed reply to every frame, but for the handshake."""

    _HELLO = bson.encode(
        {"ismaster": True, "helloOk": True, "maxBsonObjectSize": 16777216, "maxMessageSizeBytes": 48000000}
        | {"maxWriteBatchSize": 100000, "logicalSessionTimeoutMinutes": 30, "minWireVersion": 0}
        | {"maxWireVersion": 21, "ok": 1.0}
    )

    def __init__(self, reply: dict[str, Any]) -> None:
        self._reply = bson.encode(reply)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.uri = f"mongodb://127.0.0.1:{self._listener.getsockname()[1]}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        while len(head := connection.recv(16)) == 16:
            length, request_id, _, opcode = struct.unpack("<iiii", head)
            body = connection.recv(length - 16)
            greeting = b"hello" in body[:64] or b"master" in body[:64]
            document = self._HELLO if greeting else self._reply
            if opcode == 2004:
                flags = struct.pack("<iqii", 8, 0, 0, 1)
                frame = struct.pack("<iiii", 36 + len(document), 0, request_id, 1) + flags + document
            else:
                frame = struct.pack("<iiii", 21 + len(document), 0, request_id, 2013) + bytes(5) + document
            connection.sendall(frame)

    def stop(self) -> None:
        """Accept no more."""
        self._listener.close()


def _reply_for(operation: str) -> dict[str, Any]:
    if operation == "find_one":
        return {"cursor": {"id": Int64(0), "ns": "bench.books", "firstBatch": [_DOCUMENT]}, "ok": 1.0}
    return {"n": 1, "ok": 1.0} if operation == "insert_one" else {"n": 1, "nModified": 1, "ok": 1.0}


def _arguments(operation: str, number: int) -> tuple[Any, ...]:
    if operation == "insert_one":
        return ({**_DOCUMENT, "_id": Int64(number)},)
    if operation == "find_one":
        return ({"_id": 1},)
    return ({"_id": 1}, {"$set": {"version": number}})


def _blocking_round(collection: Any, operation: str, count: int, first: int) -> float:
    method = getattr(collection, operation)
    start = time.perf_counter()
    for number in range(first, first + count):
        method(*_arguments(operation, number))
    return (time.perf_counter() - start) / count


async def _async_round(collection: Any, operation: str, count: int, first: int) -> float:
    method = getattr(collection, operation)
    start = time.perf_counter()
    for number in range(first, first + count):
        await method(*_arguments(operation, number))
    return (time.perf_counter() - start) / count


def _summary(rounds: dict[str, list[float]]) -> dict[str, float]:
    """The best rounds in microseconds, and their ratio."""
    figures = {name: min(times) * 1e6 for name, times in rounds.items()}
    return {**figures, "ratio": figures["server"] / figures["floor"]}


def _client(uri: str) -> pymongo.MongoClient[dict[str, Any]]:
    return pymongo.MongoClient(uri)


def compare_pymongo(server: EmbeddedServer, operation: str, rounds: int, count: int) -> dict[str, float]:
    """Microseconds of one round trip with PyMongo: floor and server, and their ratio."""
    floor = FloorServer(_reply_for(operation))
    times: dict[str, list[float]] = {"floor": [], "server": []}
    with _client(floor.uri) as slow, _client(server.uri) as real:
        _prepare(real)
        for turn in range(rounds + 1):
            for name, client in (("floor", slow), ("server", real)):
                spent = _blocking_round(client.bench.books, operation, count, 1000 + turn * count)
                if turn:  # the first round warms up
                    times[name].append(spent)
    floor.stop()
    return _summary(times)


async def compare_motor(server: EmbeddedServer, operation: str, rounds: int, count: int) -> dict[str, float]:
    """Microseconds of one round trip with Motor: floor, server, and mongomock-motor without any wire."""
    from mongomock_motor import AsyncMongoMockClient

    floor = FloorServer(_reply_for(operation))
    clients: dict[str, Any] = {
        "floor": AsyncIOMotorClient(floor.uri),
        "server": AsyncIOMotorClient(server.uri),
        "mongomock-motor": AsyncMongoMockClient(),
    }
    with _client(server.uri) as plain:
        _prepare(plain)
    await clients["mongomock-motor"].bench.books.insert_one(dict(_DOCUMENT))
    times: dict[str, list[float]] = {name: [] for name in clients}
    for turn in range(rounds + 1):
        for name, client in clients.items():
            spent = await _async_round(client.bench.books, operation, count, 1000 + turn * count)
            if turn:
                times[name].append(spent)
    clients["floor"].close()
    clients["server"].close()
    floor.stop()
    return _summary(times)


def _prepare(client: Any) -> None:
    client.drop_database("bench")
    client.bench.books.insert_one(dict(_DOCUMENT))


def measure_growth(rounds: int, count: int) -> dict[str, dict[int, float]]:
    """Microseconds of find_one and update_one by `_id`, in collections of 10 and of 20,000 documents."""
    figures: dict[str, dict[int, float]] = {"find_one": {}, "update_one": {}}
    with EmbeddedServer() as server, _client(server.uri) as client:
        for size in (10, 20_000):
            client.bench[f"of{size}"].insert_many({"_id": number} for number in range(size))
        for operation in figures:
            times: dict[int, list[float]] = {10: [], 20_000: []}
            for turn in range(rounds):
                for size, kept in times.items():
                    kept.append(_blocking_round(client.bench[f"of{size}"], operation, count, turn * count))
            figures[operation] = {size: statistics.median(kept) * 1e6 for size, kept in times.items()}
    return figures


def measure_start_stop(rounds: int) -> tuple[float, float]:
    """Milliseconds of start() and of stop() with four clients' connections open; medians."""
    starts, stops = [], []
    for _ in range(rounds):
        begin = time.perf_counter()
        server = EmbeddedServer(replica_set="rs0").start()
        starts.append(time.perf_counter() - begin)
        clients = [_client(server.uri) for _ in range(4)]
        for client in clients:
            client.admin.command("ping")
        begin = time.perf_counter()
        server.stop()
        stops.append(time.perf_counter() - begin)
        for client in clients:
            client.close()
    return statistics.median(starts) * 1000, statistics.median(stops) * 1000


_MEMORY = """
import bson, os, sys
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
before = resident()
from tocdemo.server import EmbeddedServer
server = EmbeddedServer().start()
print(resident() - before)
"""


def measure_memory() -> float | None:
    """Megabytes of an idle server above an interpreter that imported bson; None where
    unknown.
    """
    if not sys.platform.startswith("linux"):
        return None
    done = subprocess.run([sys.executable, "-c", _MEMORY], capture_output=True, encoding="utf-8", check=True)
    return float(done.stdout)


async def count_lost_updates(rounds: int, writers: int = 20) -> int:
    """Rounds of concurrent Motor transactions on one document; how many increments were lost."""
    lost = 0
    with EmbeddedServer(replica_set="rs0") as server:
        client: AsyncIOMotorClient = AsyncIOMotorClient(server.uri)
        counters = client.bench.get_collection("counters", write_concern=WriteConcern("majority"))
        for number in range(rounds):
            await counters.insert_one({"_id": number, "value": 0})
            await asyncio.gather(*(_increment(client, counters, number) for _ in range(writers)))
            (found,) = await counters.find({"_id": number}).to_list(None)
            lost += writers - found["value"]
        client.close()
    return lost


async def _increment(client: Any, counters: Any, number: int) -> None:
    """Read and write back in a transaction: safe only because a conflict is noticed and the driver tries
    again.
    """

    async def change(session: Any) -> None:
        found = await counters.find_one({"_id": number}, session=session)
        await counters.update_one({"_id": number}, {"$set": {"value": found["value"] + 1}}, session=session)

    async with await client.start_session() as session:
        await session.with_transaction(change)


def _line(driver: str, operation: str, figures: dict[str, float]) -> str:
    ratio = figures["ratio"]
    goal = _GOALS[operation]
    mock = figures.get("mongomock-motor")
    shown = f"{mock:9.0f} µs {figures['server'] / mock:6.2f}" if mock else " " * 19
    verdict = "met" if ratio <= goal else "missed"
    return (
        f"{driver:8} {operation:11} {figures['floor']:7.0f} µs {figures['server']:7.0f} µs "
        f"{ratio:6.2f} (goal {goal}: {verdict:6}) {shown}"
    )


def _report_speed(rounds: int, count: int, show: Callable[[str], None]) -> None:
    show("driver   operation        floor     server  ratio                      mongomock-motor, ratio")
    each = max(1, rounds // _SITTINGS)
    with EmbeddedServer() as server:
        for operation in _OPERATIONS:
            sittings = [compare_pymongo(server, operation, each, count) for _ in range(_SITTINGS)]
            show(_line("pymongo", operation, _middle(sittings)))
        for operation in _OPERATIONS:
            sittings = [_run(compare_motor(server, operation, each, count)) for _ in range(_SITTINGS)]
            show(_line("motor", operation, _middle(sittings)))


def _middle(sittings: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure. A sitting has connections of its own: on which cores their threads land
    counts.
    """
    return {name: statistics.median(sitting[name] for sitting in sittings) for name in sittings[0]}


def _run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark and print it.

    Args:
        argv: arguments, without the program's name.

    Returns:
        0; a figure that misses its goal is said so, and is no error.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tocdemo bench server", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=200, help="rounds of each measurement (default 200)")
    parser.add_argument("--count", type=int, default=20, help="operations in a round (default 20)")
    parser.add_argument("--transactions", type=int, default=1000, help="rounds of 20 concurrent transactions")
    options = parser.parse_args(argv)
    _report_speed(options.rounds, options.count, print)
    for operation, by_size in measure_growth(options.rounds, options.count).items():
        few, many = by_size[10], by_size[20_000]
        print(f"{operation} by _id: 10 documents {few:.0f} µs, 20,000 {many:.0f} µs, ratio {many / few:.2f}")
    start, stop = measure_start_stop(max(1, options.rounds // _SITTINGS))
    print(f"start {start:.1f} ms (goal 20), stop {stop:.1f} ms (goal 50)")
    memory = measure_memory()
    if memory is not None:
        print(f"an idle server: {memory:.1f} MB above bson (goal 10)")
    begin = time.perf_counter()
    lost = _run(count_lost_updates(options.transactions))
    seconds = time.perf_counter() - begin
    print(f"{options.transactions} rounds of 20 transactions on one document: {lost} lost, {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
