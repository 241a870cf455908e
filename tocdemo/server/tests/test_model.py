"""Random interleavings of transactions and plain writes against a model that fits on a page."""

import pytest
from bson import Binary, Int64
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tocdemo.server import EmbeddedServer

from .wire import Wire

KEYS = st.integers(0, 3)
SESSIONS = st.integers(0, 2)
OPERATIONS = st.sampled_from(["insert", "increment", "delete", "increment all", "delete all"])
COMMANDS = {"insert": "insert", "increment": "update", "delete": "delete"}


def apply(state, operation, key):
    """What an operation does to a dict of numbers; returns the keys that it writes, or None for a
    duplicate.
    """
    if operation == "insert":
        if key in state:
            return None
        state[key] = 0
        return {key}
    keys = set(state) if operation.endswith("all") else {key} & set(state)
    for one in keys:
        if operation.startswith("increment"):
            state[one] += 1
        else:
            del state[one]
    return keys


def command(operation, key):
    query = {} if operation.endswith("all") else {"_id": key}
    if operation == "insert":
        return {"insert": "c", "documents": [{"_id": key, "n": 0}], "$db": "d"}
    if operation.startswith("increment"):
        return {"update": "c", "updates": [{"q": query, "u": {"$inc": {"n": 1}}, "multi": True}], "$db": "d"}
    return {"delete": "c", "deletes": [{"q": query, "limit": 0}], "$db": "d"}


class ModelTransaction:
    """First writer wins: `view` is what it sees, `written` the keys that it holds."""

    def __init__(self, live, versions):
        self.view = dict(live)
        self.versions = dict(versions)
        self.written = set()


class Interleavings(RuleBasedStateMachine):
    @initialize()
    def start(self):
        self.wires = [Wire(SERVER[0]) for _ in range(3)]
        self.plain = Wire(SERVER[0])
        self.plain.command({"killAllSessions": [], "$db": "admin"})
        self.plain.command({"drop": "c", "$db": "d"})
        self.plain.command({"create": "c", "$db": "d"})  # no transaction makes it: that is another conflict
        self.live, self.versions = {}, {}
        self.transactions = [None, None, None]
        self.numbers = [0, 0, 0]

    def teardown(self):
        for wire in [*getattr(self, "wires", []), *([self.plain] if hasattr(self, "plain") else [])]:
            wire.socket.close()

    def run(self, who, body, **extra):
        fields = {"lsid": {"id": Binary(bytes([who] * 16), 4)}, "txnNumber": Int64(self.numbers[who])}
        return self.wires[who].command({**body, **fields, "autocommit": False, **extra})

    def touch(self, keys):
        for key in keys:
            self.versions[key] = self.versions.get(key, 0) + 1

    @rule(who=SESSIONS)
    def begin(self, who):
        if self.transactions[who] is None:
            self.numbers[who] = NUMBERS[0] = NUMBERS[0] + 1
            reply = self.run(who, {"find": "c", "$db": "d"}, startTransaction=True)
            assert reply["ok"] == 1.0
            self.transactions[who] = ModelTransaction(self.live, self.versions)

    @rule(who=SESSIONS, operation=OPERATIONS, key=KEYS)
    def write_inside(self, who, operation, key):
        mine = self.transactions[who]
        if mine is None:
            return
        reply = self.run(who, command(operation, key))
        view = dict(mine.view)
        keys = apply(view, operation, key)
        wanted = {key} if keys is None else keys
        others = [other for other in self.transactions if other not in (None, mine)]
        conflict = any(wanted & other.written for other in others) or any(
            self.versions.get(one) != mine.versions.get(one) for one in wanted - mine.written
        )
        if conflict:
            assert reply.get("code") == 112, reply
            assert reply["errorLabels"] == ["TransientTransactionError"]
            self.transactions[who] = None
        elif keys is None:
            assert reply["writeErrors"][0]["code"] == 11000, reply
            self.transactions[who] = None
        else:
            assert reply["ok"] == 1.0, reply
            assert reply["n"] == len(keys), reply
            mine.view = view
            mine.written |= keys

    @rule(operation=OPERATIONS, key=KEYS)
    def write_outside(self, operation, key):
        """Only where it need not wait; that it waits is tested elsewhere."""
        state = dict(self.live)
        keys = apply(state, operation, key)
        wanted = {key} if keys is None else keys
        if any(wanted & other.written for other in self.transactions if other):
            return
        reply = self.plain.command(command(operation, key))
        if keys is None:
            assert reply["writeErrors"][0]["code"] == 11000
        else:
            assert reply["n"] == len(keys), reply
            self.live = state
            self.touch(keys)

    @rule(who=SESSIONS, commits=st.booleans())
    def end(self, who, commits):
        mine = self.transactions[who]
        if mine is None:
            return
        name = "commitTransaction" if commits else "abortTransaction"
        assert self.run(who, {name: 1, "$db": "admin"})["ok"] == 1.0
        self.transactions[who] = None
        if commits:
            for key in mine.written:
                self.live.pop(key, None)
                if key in mine.view:
                    self.live[key] = mine.view[key]
            self.touch(mine.written)

    @invariant()
    def everybody_sees_what_the_model_says(self):
        if not hasattr(self, "plain"):
            return
        find = {"find": "c", "$db": "d"}
        assert self.shown(self.plain.command(find)) == self.live
        for who, mine in enumerate(self.transactions):
            if mine is not None:
                assert self.shown(self.run(who, find)) == mine.view

    @staticmethod
    def shown(reply):
        return {document["_id"]: document["n"] for document in reply["cursor"]["firstBatch"]}


SERVER: list[EmbeddedServer] = []
NUMBERS = [0]


@pytest.fixture(scope="module", autouse=True)
def _server():
    with EmbeddedServer(replica_set="rs0") as server:
        SERVER.append(server)
        yield
        SERVER.clear()


Interleavings.TestCase.settings = settings(
    max_examples=120, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestInterleavings = Interleavings.TestCase
