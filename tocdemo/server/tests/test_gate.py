"""The gate: commands are held, seen, and let go in a chosen order; all is known without time-outs."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pymongo
import pytest
from pymongo.errors import AutoReconnect, OperationFailure

from tocdemo.server import EmbeddedServer

SAFETY = 10  # seconds; no test waits for it to pass


class Listener(pymongo.monitoring.CommandListener):
    """Remembers the request ids of what a client sent."""

    def __init__(self):
        self.sent = []

    def started(self, event):
        self.sent.append((event.command_name, event.request_id))

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


@pytest.fixture
def pool():
    with ThreadPoolExecutor(8) as pool:
        yield pool


def test_a_held_command_runs_only_when_it_is_released(standalone, client, pool):
    with standalone.gate.hold(collection="books", commands=["insert"]):
        future = pool.submit(client.d.books.insert_one, {"_id": 1})
        (held,) = standalone.gate.wait_for(lambda state: len(state.held) == 1, SAFETY).held
        assert (held.command, held.database, held.collection) == ("insert", "d", "books")
        assert client.d.books.count_documents({}) == 0  # other commands pass
        client.d.other.insert_one({})  # and other collections
        standalone.gate.release(held)
        future.result(SAFETY)
    assert client.d.books.count_documents({}) == 1


def test_commands_run_in_the_order_of_release(standalone, client, pool):
    with standalone.gate.hold(commands=["insert"]):
        for number in range(4):
            pool.submit(client.d.c.insert_one, {"_id": number})
            standalone.gate.wait_for(lambda state, n=number: len(state.held) == n + 1, SAFETY)
        held = standalone.gate.state.held
        for index in (2, 0, 3, 1):
            standalone.gate.release(held[index])
            standalone.gate.wait_for(lambda state: not state.running, SAFETY)
    assert [found["_id"] for found in client.d.c.find()] == [2, 0, 3, 1]


def test_a_listener_says_whose_command_is_held(standalone, pool):
    listeners = [Listener(), Listener()]
    clients = [pymongo.MongoClient(standalone.uri, event_listeners=[listener]) for listener in listeners]
    with standalone.gate.hold(commands=["insert"]):
        futures = [pool.submit(client.d.c.insert_one, {"_id": n}) for n, client in enumerate(clients)]
        state = standalone.gate.wait_for(lambda state: len(state.held) == 2, SAFETY)
        of_second = [held for held in state.held if ("insert", held.request_id) in listeners[1].sent]
        assert len(of_second) == 1
        standalone.gate.release(of_second[0])
        futures[1].result(SAFETY)
        assert [found["_id"] for found in clients[0].d.c.find()] == [1]
    futures[0].result(SAFETY)
    for client in clients:
        client.close()


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("findAndModify", lambda books: books.find_one_and_update({}, {"$set": {"n": 1}})),
        ("aggregate", lambda books: list(books.aggregate([]))),
        ("getMore", lambda books: list(books.find(batch_size=1))),
    ],
)
def test_a_rule_knows_the_collection_of_every_command(standalone, client, pool, name, use):
    client.d.books.insert_many([{}, {}])
    with standalone.gate.hold(collection="books", commands=[name]):
        future = pool.submit(use, client.d.books)
        (held,) = standalone.gate.wait_for(lambda state: len(state.held) == 1, SAFETY).held
        assert (held.command, held.collection) == (name, "books")
    future.result(SAFETY)


def test_a_rule_can_have_a_condition_of_its_own(standalone, client):
    seen = []
    with standalone.gate.hold(accepts=lambda pending: seen.append(pending.command)):
        client.d.c.insert_one({})
    assert seen == ["insert"]


def test_a_cut_command_never_runs_and_its_client_sees_a_broken_connection(standalone, pool):
    """A kill between two writes: the first is there, the second is not."""
    with pymongo.MongoClient(standalone.uri, retryWrites=False) as client:
        books, audit = client.d.books, client.d.audit

        def two_writes():
            books.insert_one({"_id": 1})
            audit.insert_one({"_id": 1})

        with standalone.gate.hold(collection="audit", commands=["insert"]):
            future = pool.submit(two_writes)
            (held,) = standalone.gate.wait_for(lambda state: len(state.held) == 1, SAFETY).held
            standalone.gate.cut(held)
            with pytest.raises(AutoReconnect):
                future.result(SAFETY)
        assert (books.count_documents({}), audit.count_documents({})) == (1, 0)
        with pytest.raises(ValueError, match="does not hold"):
            standalone.gate.release(held)


def test_a_write_blocked_by_a_transaction_is_seen_and_runs_when_it_ends(replica_set, replica_client, pool):
    books, gate = replica_client.d.books, replica_set.gate
    books.insert_one({"_id": 1, "n": 0})
    with gate.hold(collection="nothing"), replica_client.start_session() as session:
        session.start_transaction()
        books.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)
        future = pool.submit(books.update_one, {"_id": 1}, {"$inc": {"n": 10}})
        (blocked,) = gate.wait_for(lambda state: len(state.blocked) == 1, SAFETY).blocked
        assert blocked.command == "update"
        states = []
        forget = gate.on_change(states.append)
        session.commit_transaction()
        assert not any(state.blocked and not state.running for state in states)
        future.result(SAFETY)
        forget()
        gate.wait_for(lambda state: state == type(state)(), SAFETY)
    assert books.find_one()["n"] == 11


def test_a_transaction_with_a_held_command_keeps_its_documents(replica_set, replica_client, pool):
    books, gate = replica_client.d.books, replica_set.gate
    books.insert_one({"_id": 1, "n": 0})
    with replica_client.start_session() as session:
        session.start_transaction()
        books.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)
        with gate.hold(commands=["commitTransaction"]):
            commit = pool.submit(session.commit_transaction)
            gate.wait_for(lambda state: len(state.held) == 1, SAFETY)
            waiting = pool.submit(books.update_one, {"_id": 1}, {"$inc": {"n": 10}})
            with pytest.raises(TimeoutError):
                waiting.result(0.8)
        commit.result(SAFETY)
        waiting.result(SAFETY)
    assert books.find_one()["n"] == 11


def interleave(server, client, operations, order):
    """Run operations, one command at a time, in an order of their indices. No time-outs are needed.

    Each operation is a function of a client of its own, so that a connection says whose a command is.
    """
    gate, finished, listeners, threads = server.gate, [], [], []
    clients = []
    changed = threading.Event()
    forget = gate.on_change(lambda _: changed.set())

    def wait_until_quiet():
        deadline = time.monotonic() + SAFETY
        while True:
            changed.clear()
            state = gate.state
            at_rest = len(state.held) + len(state.blocked) + len(finished) == len(operations)
            if at_rest and not state.running:
                return state
            assert changed.wait(deadline - time.monotonic())

    with gate.hold(collection="c"):
        for operation in operations:
            listener = Listener()
            own = pymongo.MongoClient(server.uri, event_listeners=[listener])
            listeners.append(listener)
            clients.append(own)

            def run(operation=operation, own=own):
                operation(own.d.c)
                finished.append(operation)
                changed.set()

            threads.append(threading.Thread(target=run))
            threads[-1].start()

        for index in order:
            state = wait_until_quiet()
            mine = [
                held for held in state.held if held.request_id in {sent for _, sent in listeners[index].sent}
            ]
            gate.release(mine[0])
        assert not wait_until_quiet().held
    forget()
    for thread in threads:
        thread.join(SAFETY)
    for own in clients:
        own.close()


def test_every_order_of_two_read_modify_writes_can_be_forced(standalone, client):
    """Two operations of two commands have six orders; in four of them an update is lost."""

    def increment(collection):
        found = collection.find_one({"_id": 1})
        collection.update_one({"_id": 1}, {"$set": {"n": found["n"] + 1}})

    results = {}
    for order in set(itertools.permutations([0, 0, 1, 1])):
        client.d.c.replace_one({"_id": 1}, {"n": 0}, upsert=True)
        interleave(standalone, client, [increment, increment], order)
        results[order] = client.d.c.find_one({"_id": 1})["n"]
    assert results == {order: 2 if order in ((0, 0, 1, 1), (1, 1, 0, 0)) else 1 for order in results}
    assert len(results) == 6


def test_a_refused_command_never_runs_and_is_answered_with_an_error(standalone, client, pool):
    with standalone.gate.hold(collection="books", commands=["insert"]):
        future = pool.submit(client.d.books.insert_one, {"_id": 1})
        (held,) = standalone.gate.wait_for(lambda state: len(state.held) == 1, SAFETY).held
        standalone.gate.refuse(held, "enough")
        with pytest.raises(OperationFailure, match="enough"):
            future.result(SAFETY)
        with pytest.raises(ValueError, match="does not hold"):
            standalone.gate.refuse(held, "again")
    assert client.d.books.count_documents({}) == 0  # the connection lives


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_writes_that_waited_for_a_document_go_on_in_a_chosen_order(replica_set, replica_client, pool, order):
    books, gate = replica_client.d.books, replica_set.gate
    books.insert_one({"_id": 1, "seen": []})
    with replica_client.start_session() as session:
        session.start_transaction()
        books.update_one({"_id": 1}, {"$push": {"seen": "first"}}, session=session)
        with gate.hold("books", ["update"], after_waiting=True):
            for number in range(2):
                pool.submit(books.update_one, {"_id": 1}, {"$push": {"seen": number}})
                (held,) = gate.wait_for(lambda state: len(state.held) == 1, SAFETY).held
                gate.release(held)
                gate.wait_for(lambda state, n=number: len(state.blocked) == n + 1, SAFETY)
            session.commit_transaction()
            held = gate.wait_for(lambda state: len(state.held) == 2, SAFETY).held
            assert books.find_one()["seen"] == ["first"]
            for number in order:
                gate.release(held[number])
                gate.wait_for(lambda state: not state.running, SAFETY)
    assert books.find_one()["seen"] == ["first", *order]


def test_stop_cuts_what_is_held():
    server = EmbeddedServer().start()
    client = pymongo.MongoClient(server.uri, retryWrites=False, serverSelectionTimeoutMS=200)
    with ThreadPoolExecutor(1) as pool:
        server.gate.hold(commands=["insert"])
        future = pool.submit(client.d.c.insert_one, {})
        server.gate.wait_for(lambda state: len(state.held) == 1, SAFETY)
        server.stop()
        with pytest.raises(AutoReconnect):
            future.result(SAFETY)
    client.close()


def test_a_string_instead_of_a_list_of_commands_is_refused(standalone):
    with pytest.raises(TypeError, match="list of names"):
        standalone.gate.hold(commands="find")
