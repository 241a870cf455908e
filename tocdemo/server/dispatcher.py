"""The way of a request: log, gate, fail points, session and transaction, the command itself, labels, reply.

It knows the order of these steps and turns every failure into a MongoDB error. It must not know what a
command does, nor sockets.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import bson
from bson import Int64

from .commandlog import CommandLog, CommandRecord
from .commands import COMMANDS, Command, check_generic
from .context import Connection, Context, Identity
from .cursors import Cursors
from .errors import CloseConnection, CommandError, error_reply, labels_for
from .failpoints import FailPoints, Failure
from .framing import CODEC, Request
from .gate import UNGATED, Gate
from .query.values import Document
from .sessions import NO_SESSION, Invocation, Sessions, read_invocation, session_key
from .storage import Storage
from .waiting import Waiting

_MAX_NAME = 300  # what the log keeps of a name
_GREETINGS = frozenset({"hello", "ismaster"})
_TRANSACTION_FIELDS = frozenset({"txnNumber", "autocommit", "startTransaction"})


class Dispatcher:
    """Runs the commands of all connections on one storage. Transactions live for `lifetime` seconds; `gate`
    and `log` are what the server shows of itself.
    """

    def __init__(self, identity: Identity, lifetime: float, gate: Gate, log: CommandLog) -> None:
        self._identity = identity
        self._gate = gate
        self._log = log
        self._closing = threading.Event()
        self._storage = Storage()
        self._sessions = Sessions(self._storage, lifetime)
        self._cursors = Cursors()
        self._fail_points = FailPoints()
        self._waiting = Waiting(self._storage, self._sessions, gate, self._closing)

    def close(self) -> None:
        """Let nobody wait any more: the server stops."""
        self._closing.set()
        self._gate.close()
        with self._storage.lock:
            self._storage.lock.notify_all()

    def sent(self, connection: Connection) -> None:
        """Hear that the reply to a command was written (or never will be)."""
        if connection.pending is not None:
            self._gate.done(connection.pending)
            connection.pending = None

    def patience(self, request: Request) -> float:
        """For how many seconds a hello wants to wait for news of the topology, of which there are none."""
        command = request.command
        version, wait = command.get("topologyVersion"), command["maxAwaitTimeMS"]
        known = isinstance(version, dict) and version.get("processId") == self._identity.process_id
        if not known or self._identity.process_id is None or not isinstance(wait, int):
            return 0.0
        return min(wait, 86_400_000) / 1000 if next(iter(command)).lower() in _GREETINGS else 0.0

    def run(self, request: Request, connection: Connection) -> Document:
        """Run one command and return its reply. CloseConnection when there must be none and the connection
        must end.
        """
        command = request.command
        shown = next(iter(command), "")
        name = shown.lower() if len(shown) < _MAX_NAME else ""
        known = COMMANDS.get(name)
        database = command.get("$db")
        try:
            session_id = self._record(shown, known, request, connection)
            if not isinstance(database, str) or not database:
                raise CommandError(
                    9 if database is None else 14, "OP_MSG requests require a $db argument, a string"
                )
            if known is None:
                raise CommandError(59, f"no such command: '{shown[:_MAX_NAME]}'")
            return self._run_known(known, self._context(name, command, connection, session_id))
        except CommandError as error:
            return self._decorated(error.as_reply())

    def _record(
        self, shown: str, known: Command | None, request: Request, connection: Connection
    ) -> bytes | None:
        """Log a command and have it pass the gate; the id of its session."""
        command = request.command
        database, collection = command.get("$db"), known.collection(command) if known else None
        record = CommandRecord(  # by position, which is quicker
            shown[:_MAX_NAME],
            database[:_MAX_NAME] if isinstance(database, str) else "",
            collection[:_MAX_NAME] if isinstance(collection, str) else "",
            request.request_id,
            connection.connection_id,
            session_key(command["lsid"]) if "lsid" in command else None,
            command.get("txnNumber"),
            command.get("autocommit"),
            command.get("startTransaction"),
        )
        self._log.append(record)
        if self._gate.in_use and shown.lower() not in UNGATED:
            connection.pending = self._gate.arrive(record)
        return record.session_id

    def _context(
        self, name: str, command: Document, connection: Connection, session_id: bytes | None
    ) -> Context:
        parts = (self._identity, self._storage, self._sessions, self._cursors, self._fail_points)
        return Context(name, command, connection, session_id, *parts, self._waiting)

    def _run_known(self, known: Command, context: Context) -> Document:
        command = context.command
        failure = None
        if context.name in _GREETINGS and "client" in command:
            context.connection.greet(command["client"])  # before the fail points, which know it
        if self._fail_points.in_use:
            namespace = f"{context.database}.{known.collection(command) or ''}"
            failure = self._fail_points.hit(context.name, context.connection.app_name, namespace)
            if failure is not None and (reply := self._fail(failure, context)) is not None:
                return reply
        try:
            reply = self._execute(known, context)
        except CommandError as error:
            reply = error.as_reply()
            _add_labels(reply, context)
        if failure is not None and failure.write_concern_error is not None:
            reply["writeConcernError"] = failure.write_concern_error
            _add_labels(reply, context, failure.error_labels)
        elif reply["ok"] and "writeConcern" in command:
            self._check_write_concern(reply, command)
        return self._decorated(reply)

    def _fail(self, failure: Failure, context: Context) -> Document | None:
        if failure.block_seconds:
            self._closing.wait(failure.block_seconds)
        if failure.close_connection:
            raise CloseConnection
        if failure.error_code is None:
            return None
        message = f"Failing command via 'failCommand' failpoint: {context.name}"
        reply = error_reply(failure.error_code, message)
        _add_labels(reply, context, failure.error_labels)
        return self._decorated(reply)

    def _execute(self, known: Command, context: Context) -> Document:
        name, command = context.name, context.command
        if "apiVersion" in command or "apiStrict" in command or "readConcern" in command:
            check_generic(name, command)
        known.check_types(command)
        if "writeConcern" in command and self._identity.replica_set is None and _members(command) > 1:
            raise CommandError(2, "cannot use 'w' > 1 when a host is not replicated")
        if command.get("maxTimeMS"):
            context.deadline = time.monotonic() + _milliseconds(command["maxTimeMS"])
            if self._fail_points.times_out():
                raise CommandError(50, "operation exceeded time limit")
        with self._storage.lock:
            self._sessions.expire()
            invocation = NO_SESSION
            session_id = context.session_id
            if not _TRANSACTION_FIELDS.isdisjoint(command) or (session_id is None and "lsid" in command):
                replica_set = self._identity.replica_set is not None
                invocation = read_invocation(name, command, session_id, replica_set=replica_set)
            if session_id is not None:
                context.session = self._sessions.get(session_id)
            if invocation.in_transaction:
                return self._in_transaction(known, context, invocation)
            concern = command.get("readConcern")
            if "readConcern" in command and name != "getmore" and _level(concern) == "snapshot":
                return self._snapshot_read(known, context)
            if invocation.retryable_write:
                return self._retryable_write(known, context, invocation)
            return self._call(known, context)

    def _snapshot_read(self, known: Command, context: Context) -> Document:
        """A read outside a transaction with the read concern "snapshot" (specification:
        snapshot-sessions).
        """
        if self._identity.replica_set is None:
            raise CommandError(123, "node needs to be a replica set member to use read concern snapshot")
        if context.name not in ("find", "aggregate", "distinct"):
            raise CommandError(72, f"read concern level snapshot is not supported by {context.name}")
        context.transaction, when = self._storage.view_at(context.command["readConcern"].get("atClusterTime"))
        reply = self._call(known, context)
        reply.get("cursor", reply)["atClusterTime"] = when
        return reply

    def _call(self, known: Command, context: Context) -> Document:
        try:
            reply = known.function(context)
        except CommandError as error:
            self._check_write_concern(error.extra, context.command)
            raise
        except CloseConnection:
            raise
        except Exception as error:
            raise _engine_error(error) from error
        reply["ok"] = 1.0
        return reply

    def _in_transaction(self, known: Command, context: Context, invocation: Invocation) -> Document:
        session = context.session
        assert session is not None
        context.transaction = self._sessions.enter(session, invocation, context.name)
        try:
            reply = self._call(known, context)
            if "writeErrors" in reply:
                _raise_conflict(reply)
                self._sessions.abort(session)
            return reply
        except CommandError:
            self._sessions.abort(session)
            raise

    def _retryable_write(self, known: Command, context: Context, invocation: Invocation) -> Document:
        session = context.session
        assert session is not None
        assert invocation.number is not None
        while session.running and not self._closing.is_set():
            self._storage.lock.wait(1.0)  # the first attempt is still waiting for a document
        done = self._sessions.begin_write(session, invocation.number)
        if done is not None:
            return bson.decode(done, CODEC)
        fate = ""
        if self._fail_points.in_use:
            fate = self._fail_points.hit_write(_count_statements(context.command))
        if fate == "before":
            raise CloseConnection
        session.running = True
        try:
            reply = self._call(known, context)
            self._sessions.keep_reply(session, reply)
        finally:
            session.running = False
            self._storage.lock.notify_all()
        if fate == "after":
            raise CloseConnection
        return reply

    def _check_write_concern(self, reply: Document, command: Document) -> None:
        """Add the `writeConcernError` of a concern that cannot be met; also to a command that failed while it
        ran (`_handleError` in MongoDB's src/mongo/db/service_entry_point_common.cpp).
        """
        concern = command.get("writeConcern")
        wanted = concern.get("w", 1) if isinstance(concern, dict) else 1
        if isinstance(wanted, str) and wanted != "majority":
            message, code = f"No write concern mode named '{wanted}' found in replica set configuration", 79
        elif isinstance(wanted, int) and wanted > 1 and self._identity.replica_set is not None:
            message, code = "Not enough data-bearing nodes", 100
        else:
            return
        reply["writeConcernError"] = {
            "code": code,
            "codeName": error_reply(code, "")["codeName"],
            "errmsg": message,
        }

    def _decorated(self, reply: Document) -> Document:
        """Add what a replica set's member says in every reply: the times that causal consistency needs."""
        if self._identity.replica_set is not None:
            now = self._storage.clock
            reply["operationTime"] = now
            signature = {"hash": bytes(20), "keyId": Int64(0)}
            reply["$clusterTime"] = {"clusterTime": now, "signature": signature}
        return reply


def _raise_conflict(reply: Document) -> None:
    """A write conflict fails the whole command, so that its label can stand at the reply's top."""
    for error in reply["writeErrors"]:
        if error["code"] == 112:
            raise CommandError(112, error["errmsg"])


def _add_labels(reply: Document, context: Context, labels: list[str] | None = None) -> None:
    if labels is None:
        in_transaction = "autocommit" in context.command
        labels = labels_for(
            reply.get("code"),
            reply.get("writeConcernError", {}).get("code"),
            name=context.name,
            in_transaction=in_transaction,
            retryable_write="txnNumber" in context.command and not in_transaction,
        )
    if labels:
        reply["errorLabels"] = labels


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


def _engine_error(error: Exception) -> CommandError:
    """The MongoDB error for an exception that is none of MongoDB's: a bug here, or a command too deep."""
    if isinstance(error, RecursionError):
        return CommandError(15, "the command is nested too deeply")
    return CommandError(8, f"the command failed inside the server: {type(error).__name__}: {error}")
