"""The way of a request: log, gate, fail points, session and transaction, the command itself, labels, reply.

The server's connection threads call `Dispatcher.run`; commands get a `Context` from it. It knows the order
of these steps and turns every failure into a MongoDB error; what a command does stands in `commands`.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import bson
from bson import Int64
from pymongo.errors import PyMongoError

from . import commands
from .commandlog import CommandLog, CommandRecord
from .cursors import Cursors
from .errors import CommandError, error_reply, labels_for
from .failpoints import FailPoints, Failure
from .framing import CODEC, Request
from .gate import UNGATED, Cut, Gate, Pending, Refused
from .query.values import Document
from .sessions import Invocation, Limits, Session, Sessions, read_invocation
from .storage import Blocked, Storage, Transaction

_T = TypeVar("_T")
_MAX_NAME = 300  # what the log keeps of a name
_NO_INVOCATION = Invocation()
_DEADLINE_FREE = float("inf")


class CloseConnection(Exception):
    """A fail point, the gate or a shutdown wants the connection closed without a reply."""


@dataclass
class Connection:
    """What the dispatcher remembers of a connection."""

    connection_id: int
    app_name: str = ""
    pending: Pending | None = None
    used_sessions: bool = False


@dataclass
class Context:
    """One command while it runs: what `commands` needs of the server."""

    dispatcher: Dispatcher
    connection: Connection
    command: Document
    transaction: Transaction | None = None
    session: Session | None = None
    deadline: float = _DEADLINE_FREE

    @property
    def storage(self) -> Storage:
        """The server's storage."""
        return self.dispatcher.storage

    @property
    def database(self) -> str:
        """The database that the command is for."""
        return self.command["$db"]

    @cached_property
    def namespace(self) -> str:
        """Database and collection of a command whose value is a collection's name."""
        name = next(iter(self.command.values()))
        if not isinstance(name, str):
            raise CommandError(73, f"collection name has invalid type {type(name).__name__}")
        return f"{self.command['$db']}.{name}"

    def attempt(self, statement: Callable[..., _T], *arguments: Any) -> _T:
        """Run a statement, again from its start whenever it met a document that a transaction has claimed.

        Args:
            statement: called with the arguments.

        Raises:
            CommandError: 50 when the command's maxTimeMS is over before the document is free.
        """
        while True:
            try:
                return statement(*arguments)
            except Blocked as blocked:
                self.dispatcher.wait_for(blocked.transaction, self)


class Dispatcher:
    """Runs the commands of all connections on one storage.

    Args:
        address: host and port, as hello reports them.
        replica_set: the replica set's name, or None for a standalone.
        limits: how long transactions live.
        gate, fail_points, log: what the server shows of itself.
    """

    def __init__(
        self,
        address: str,
        replica_set: str | None,
        limits: Limits,
        gate: Gate,
        fail_points: FailPoints,
        log: CommandLog,
    ) -> None:
        self.address = address
        self.replica_set = replica_set
        self.gate = gate
        self.fail_points = fail_points
        self.storage = Storage()
        self.sessions = Sessions(self.storage, limits, gate.holds_session)
        self.cursors = Cursors()
        self.started = time.monotonic()
        self._log = log
        self._closing = threading.Event()
        self._waiting: list[tuple[Transaction, Pending]] = []
        self.storage.on_end = self._free_waiting

    def close(self) -> None:
        """Let nobody wait any more: the server stops."""
        self._closing.set()
        self.gate.close()
        with self.storage.lock:
            self.storage.lock.notify_all()

    def connection_closed(self, connection: Connection) -> None:
        """Told of the end of each connection."""
        self.sent(connection)
        if connection.used_sessions:
            with self.storage.lock:
                self.sessions.connection_closed(connection.connection_id)
                self.storage.lock.notify_all()  # whoever waits for one of its transactions has less to wait

    def sent(self, connection: Connection) -> None:
        """Told when the reply to a command was written (or never will be)."""
        if connection.pending is not None:
            self.gate.done(connection.pending)
            connection.pending = None

    def run(self, request: Request, connection: Connection) -> Document:
        """Run one command.

        Returns:
            The reply.

        Raises:
            CloseConnection: there must be none, and the connection must end.
        """
        command = request.command
        shown = next(iter(command), "")
        name = shown.lower() if len(shown) < _MAX_NAME else ""
        known = commands.COMMANDS.get(name)
        database = command.get("$db")
        try:
            self._record(shown, known, request, connection)
            if not isinstance(database, str) or not database:
                raise CommandError(
                    9 if database is None else 14, "OP_MSG requests require a $db argument, a string"
                )
            if known is None:
                raise CommandError(59, f"no such command: '{shown[:_MAX_NAME]}'")
            return self._run_known(name, known, request, connection)
        except CommandError as error:
            return self._decorated(error.as_reply(), command)

    def _record(
        self, shown: str, known: commands.Command | None, request: Request, connection: Connection
    ) -> None:
        command = request.command
        lsid = command.get("lsid")
        session_id = lsid.get("id") if lsid and isinstance(lsid, dict) else None
        valid = isinstance(session_id, bytes) and len(session_id) == 16
        target = command.get(known.collection_field) if known and known.collection_field else ""
        database = command.get("$db", "")
        record = CommandRecord(
            shown[:_MAX_NAME],
            database[:_MAX_NAME] if isinstance(database, str) else "",
            target[:_MAX_NAME] if isinstance(target, str) else "",
            request.request_id,
            connection.connection_id,
            bytes(session_id) if valid else None,
            command.get("txnNumber"),
            command.get("autocommit"),
            command.get("startTransaction"),
        )
        self._log.append(record)
        if self.gate.in_use and shown.lower() not in UNGATED:
            with _decisions():
                connection.pending = self.gate.arrive(Pending(0, *record[:6]))

    def _run_known(
        self, name: str, known: commands.Command, request: Request, connection: Connection
    ) -> Document:
        command = request.command
        failure = None
        if self.fail_points.in_use:
            target = command.get(known.collection_field, "") if known.collection_field else ""
            failure = self.fail_points.hit(name, connection.app_name, f"{command['$db']}.{target}")
            if failure is not None and (reply := self._fail(failure, name, command)) is not None:
                return reply
        try:
            reply = self._execute(name, known, request, connection)
        except CommandError as error:
            reply = error.as_reply()
            self._add_labels(reply, name, command)
        if failure is not None and failure.write_concern_error is not None:
            reply["writeConcernError"] = failure.write_concern_error
            self._add_labels(reply, name, command, failure.error_labels)
        elif reply["ok"] and "writeConcern" in command:
            self._check_write_concern(reply, command["writeConcern"])
        return self._decorated(reply, command)

    def _fail(self, failure: Failure, name: str, command: Document) -> Document | None:
        if failure.block_seconds:
            self._closing.wait(failure.block_seconds)
        if failure.close_connection:
            raise CloseConnection
        if failure.error_code is None:
            return None
        message = f"Failing command via 'failCommand' failpoint: {name}"
        reply = error_reply(failure.error_code, message)
        self._add_labels(reply, name, command, failure.error_labels)
        return self._decorated(reply, command)

    def _execute(
        self, name: str, known: commands.Command, request: Request, connection: Connection
    ) -> Document:
        command = request.command
        if known.fields or known.collection_field:
            known.check_types(command)
        if self.replica_set is None and _members(command) > 1:
            raise CommandError(2, "cannot use 'w' > 1 when a host is not replicated")
        context = Context(self, connection, command)
        if command.get("maxTimeMS"):
            context.deadline = time.monotonic() + _milliseconds(command["maxTimeMS"])
            if self.fail_points.times_out():
                raise CommandError(50, "operation exceeded time limit")
        with self.storage.lock:
            self.sessions.expire()
            invocation = _NO_INVOCATION
            if "lsid" in command or "txnNumber" in command or "autocommit" in command:
                invocation = read_invocation(name, command, replica_set=self.replica_set is not None)
            if invocation.session_id is not None:
                context.session = self.sessions.get(invocation.session_id)
                connection.used_sessions = True
            if invocation.in_transaction:
                return self._in_transaction(name, known, context, invocation)
            if (
                "readConcern" in command
                and name != "getmore"
                and _level(command["readConcern"]) == "snapshot"
            ):
                return self._snapshot_read(name, known, context)
            if invocation.retryable_write:
                return self._retryable_write(known, context, invocation)
            return self._call(known, context)

    def _snapshot_read(self, name: str, known: commands.Command, context: Context) -> Document:
        """A read outside a transaction with the read concern "snapshot" (specification:
        snapshot-sessions).
        """
        if self.replica_set is None:
            raise CommandError(123, "node needs to be a replica set member to use read concern snapshot")
        if name not in ("find", "aggregate", "distinct"):
            raise CommandError(72, f"read concern level snapshot is not supported by {name}")
        context.transaction, when = self.storage.view_at(context.command["readConcern"].get("atClusterTime"))
        reply = self._call(known, context)
        reply.get("cursor", reply)["atClusterTime"] = when
        return reply

    def _call(self, known: commands.Command, context: Context) -> Document:
        try:
            reply = known.function(context)
        except (CommandError, CloseConnection):
            raise
        except Exception as error:
            raise engine_error(error) from error
        reply["ok"] = 1.0
        return reply

    def _in_transaction(
        self, name: str, known: commands.Command, context: Context, invocation: Invocation
    ) -> Document:
        session = context.session
        assert session is not None
        context.transaction = self.sessions.enter(session, invocation, name, context.connection.connection_id)
        session.running = True
        try:
            reply = self._call(known, context)
            if "writeErrors" in reply:
                self._raise_conflict(reply)
                self.sessions.abort(session)
            return reply
        except CommandError:
            self.sessions.abort(session)
            raise
        finally:
            session.running = False
            session.used = time.monotonic()

    @staticmethod
    def _raise_conflict(reply: Document) -> None:
        """A write conflict fails the whole command, so that its label can stand at the reply's top."""
        for error in reply["writeErrors"]:
            if error["code"] == 112:
                raise CommandError(112, error["errmsg"])

    def _retryable_write(self, known: commands.Command, context: Context, invocation: Invocation) -> Document:
        session = context.session
        assert session is not None
        assert invocation.number is not None
        while session.running and not self._closing.is_set():
            self.storage.lock.wait(1.0)  # the first attempt is still waiting for a document
        done = self.sessions.begin_write(session, invocation.number)
        if done is not None:
            return bson.decode(done, CODEC)
        fate = (
            self.fail_points.hit_write(_count_statements(context.command)) if self.fail_points.in_use else ""
        )
        if fate == "before":
            raise CloseConnection
        session.running = True
        try:
            reply = self._call(known, context)
            self.sessions.keep_reply(session, reply)
        finally:
            session.running = False
            self.storage.lock.notify_all()
        if fate == "after":
            raise CloseConnection
        return reply

    # --- waiting for documents

    def wait_for(self, transaction: Transaction, context: Context) -> None:
        """Wait, without the lock, until the transaction is over."""
        pending = context.connection.pending
        if pending is not None:
            self._waiting.append((transaction, pending))
            self.gate.block(pending)
        try:
            while transaction.open:
                patience = self.sessions.expire(waited_for=transaction)
                if self._closing.is_set():
                    raise CloseConnection
                left = context.deadline - time.monotonic()
                if left <= 0:
                    raise CommandError(50, "operation exceeded time limit")
                if transaction.open:
                    self.storage.lock.wait(min(patience, left))
        finally:
            if pending is not None and (transaction, pending) in self._waiting:
                self._waiting.remove((transaction, pending))
                self.gate.unblock([pending])
        if pending is not None:
            self.storage.lock.release()  # it may be held once more, for as long as somebody likes
            try:
                with _decisions():
                    self.gate.pass_on(pending)
            finally:
                self.storage.lock.acquire()

    def _free_waiting(self, transaction: Transaction) -> None:
        if self._waiting:
            self.gate.unblock([pending for other, pending in self._waiting if other is transaction])
            self._waiting = [entry for entry in self._waiting if entry[0] is not transaction]

    # --- replies

    def _add_labels(
        self, reply: Document, name: str, command: Document, labels: list[str] | None = None
    ) -> None:
        if labels is None:
            in_transaction = "autocommit" in command
            labels = labels_for(
                reply.get("code"),
                reply.get("writeConcernError", {}).get("code"),
                name=name,
                in_transaction=in_transaction,
                retryable_write="txnNumber" in command and not in_transaction,
            )
        if labels:
            reply["errorLabels"] = labels

    def _check_write_concern(self, reply: Document, concern: Any) -> None:
        wanted = concern.get("w", 1) if isinstance(concern, dict) else 1
        if isinstance(wanted, str) and wanted != "majority":
            message, code = f"No write concern mode named '{wanted}' found in replica set configuration", 79
        elif isinstance(wanted, int) and wanted > 1 and self.replica_set is not None:
            message, code = "Not enough data-bearing nodes", 100
        else:
            return
        reply["writeConcernError"] = {
            "code": code,
            "codeName": error_reply(code, "")["codeName"],
            "errmsg": message,
        }

    def _decorated(self, reply: Document, command: Document) -> Document:
        """Add what a replica set's member says in every reply: the times that causal consistency needs."""
        if self.replica_set is not None:
            now = self.storage.clock
            reply["operationTime"] = now
            signature = {"hash": bytes(20), "keyId": Int64(0)}
            reply["$clusterTime"] = {"clusterTime": now, "signature": signature}
        return reply


def _count_statements(command: Document) -> int:
    batch = next((command[field] for field in ("documents", "updates", "deletes") if field in command), None)
    return len(batch) if isinstance(batch, list) else 1


def _members(command: Document) -> int:
    """How many members a write has to reach, as far as it is a number."""
    concern = command.get("writeConcern")
    wanted = concern.get("w") if isinstance(concern, dict) else None
    return wanted if isinstance(wanted, int) else 1


def _level(concern: Any) -> Any:
    if not isinstance(concern, dict):
        raise CommandError(14, "readConcern must be a document")
    return concern.get("level")


def _milliseconds(value: Any) -> float:
    if not isinstance(value, int | float) or value < 0:
        raise CommandError(2, "maxTimeMS must be a number of milliseconds, from 0")
    return value / 1000


@contextlib.contextmanager
def _decisions() -> Iterator[None]:
    """Turn what the gate decided against a command into what becomes of it."""
    try:
        yield
    except Cut:
        raise CloseConnection from None
    except Refused as refusal:
        raise CommandError(11601, str(refusal)) from None


def engine_error(error: Exception) -> CommandError:
    """The MongoDB error for an exception of mongomock's, or of a bug here."""
    if isinstance(error, NotImplementedError):
        return CommandError(238, f"not implemented by this embedded test server: {error}")
    if isinstance(error, PyMongoError):
        return CommandError(getattr(error, "code", None) or 2, str(error))
    if isinstance(error, RecursionError):
        return CommandError(15, "the command is nested too deeply")
    return CommandError(8, f"the command failed inside the server: {type(error).__name__}: {error}")
