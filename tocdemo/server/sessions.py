"""Sessions: who is in which transaction, which transactions are too old, and which writes were already done.

It must not know what a command does, nor sockets: only storage, which holds what a transaction wrote. It runs
under storage's lock.

Source: the driver sessions, transactions and retryable writes specifications
(https://github.com/mongodb/specifications), and MongoDB's `TransactionParticipant` for the errors. A
transaction whose client is gone lives until its time is over ("Runtime Limit" under "Production
Considerations" in MongoDB's manual), unless its session ends, is killed, or begins another one.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Any, Literal, NamedTuple

from bson import Binary

from .errors import CommandError
from .query.values import Document, encode
from .storage import Storage, Transaction

SESSION_MINUTES = 30
LIFETIME_SECONDS = 60.0  # MongoDB's transactionLifetimeLimitSeconds
_MAX_SESSIONS = 10_000
_MAX_REPLY_BYTES = 64 * 1024 * 1024

_RETRYABLE_COMMANDS = frozenset({"insert", "update", "delete", "findandmodify"})
_IN_TRANSACTIONS = _RETRYABLE_COMMANDS | {
    "find", "getmore", "killcursors", "aggregate", "distinct", "create", "createindexes",
    "committransaction", "aborttransaction",
}  # fmt: skip
_ENDINGS = frozenset({"committransaction", "aborttransaction"})


class Invocation(NamedTuple):
    """The session fields of one command: `txnNumber`, or None; whether it carried `autocommit: false` and
    `startTransaction: true`.
    """

    number: int | None = None
    in_transaction: bool = False
    starts: bool = False

    @property
    def retryable_write(self) -> bool:
        """Whether this is a retryable write."""
        return self.number is not None and not self.in_transaction


def session_key(lsid: Any) -> bytes | None:
    """The bytes of the id in an `lsid`; None when it is not a UUID."""
    found = lsid.get("id") if isinstance(lsid, dict) else None
    return bytes(found) if isinstance(found, Binary) and len(found) == 16 else None


def read_invocation(
    name: str, command: Document, session_id: bytes | None, *, replica_set: bool
) -> Invocation:
    """Check and read the session fields of a command, whose name is in lower case; `session_id` is the
    `session_key` of its `lsid`. A server that is no member of a replica set takes no transaction numbers.
    CommandError 20 for one of these, 72 for fields that do not go together, 263 for a command that cannot run
    in a transaction.
    """
    lsid, number = command.get("lsid"), command.get("txnNumber")
    if lsid is not None and session_id is None:
        raise CommandError(14, "lsid must be a document whose id is a UUID")
    in_transaction = "autocommit" in command
    if number is None:
        if in_transaction or "startTransaction" in command:
            raise CommandError(72, "'autocommit' and 'startTransaction' need a 'txnNumber'")
        return NO_SESSION
    if session_id is None:
        raise CommandError(72, "Transaction number requires a session ID to also be specified")
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise CommandError(72, "Transaction number cannot be negative and must be an integer")
    if not replica_set:
        raise CommandError(20, "Transaction numbers are only allowed on a replica set member or mongos")
    if in_transaction and command["autocommit"] is not False:
        raise CommandError(72, "Specifying autocommit=true is not allowed.")
    if "startTransaction" in command and not in_transaction:
        raise CommandError(72, "Specifying startTransaction without autocommit=false is not allowed.")
    if in_transaction:
        _check_allowed(name, command)
    elif name in _ENDINGS:
        raise CommandError(50768, f"txnNumber may only be provided for {name} with autocommit=false")
    elif name not in _RETRYABLE_COMMANDS:
        raise CommandError(50768, f"txnNumber is not supported for the command {name} outside a transaction")
    return Invocation(int(number), in_transaction, command.get("startTransaction") is True)


NO_SESSION = Invocation()


def _check_allowed(name: str, command: Document) -> None:
    shown = next(iter(command))
    if name not in _IN_TRANSACTIONS:
        raise CommandError(263, f"Cannot run '{shown}' in a multi-document transaction.")
    if name in _ENDINGS and command["$db"] != "admin":
        raise CommandError(13, f"{shown} may only be run against the admin database.")
    if name not in _ENDINGS:
        if "writeConcern" in command:
            raise CommandError(
                72, f"{shown}: writeConcern is not allowed within a multi-statement transaction"
            )
        if "readConcern" in command and not command.get("startTransaction"):
            raise CommandError(72, "Only the first command in a transaction may specify a readConcern")
        if command["$db"] in ("admin", "config", "local"):
            raise CommandError(
                263, f"Cannot run command against the '{command['$db']}' database in a transaction"
            )


State = Literal["none", "in progress", "committed", "aborted", "retryable write"]


class Session:
    """The last transaction number that a session used, and what came of it."""

    def __init__(self, session_id: bytes) -> None:
        self.session_id = session_id
        self.number = -1
        self.state: State = "none"
        self.transaction: Transaction | None = None
        self.reply: bytes | None = None
        self.running = False
        self.expires = 0.0  # a time of time.monotonic()


class Sessions:
    """All sessions of one server. `lifetime` says for how many seconds a transaction that starts may live."""

    def __init__(self, storage: Storage, lifetime: float) -> None:
        self.lifetime = lifetime
        self._storage = storage
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()
        self._in_progress: set[Session] = set()
        self._reply_bytes = 0

    def get(self, session_id: bytes) -> Session:
        """The session, made now if it is new; the longest unused one may be forgotten for it."""
        session = self._sessions.get(session_id)
        if session is None:
            self._make_room()
            session = self._sessions[session_id] = Session(session_id)
        self._sessions.move_to_end(session_id)
        return session

    def ids(self) -> list[bytes]:
        """The ids of all sessions."""
        return list(self._sessions)

    def _make_room(self) -> None:
        while len(self._sessions) >= _MAX_SESSIONS:
            unused = next(
                (s for s in self._sessions.values() if s.state != "in progress" and not s.running), None
            )
            if unused is None:
                raise CommandError(261, f"Unable to add session: too many active sessions ({_MAX_SESSIONS})")
            self._forget_reply(unused)
            del self._sessions[unused.session_id]

    # --- transactions

    def enter(self, session: Session, invocation: Invocation, name: str) -> Transaction | None:
        """The transaction that a command (its name in lower case) runs in; None when it commits one that is
        committed already. CommandError 225, 251, 256, 117.
        """
        number = invocation.number
        assert number is not None
        self._check_age(session, number)
        if invocation.starts:
            self._start(session, number)
        elif number > session.number or session.state in ("none", "retryable write"):
            raise self._no_such_transaction(session, number)
        elif session.state == "aborted":
            raise CommandError(251, f"Transaction with {{ txnNumber: {number} }} has been aborted.")
        elif session.state == "committed":
            if name == "committransaction":
                return None
            raise CommandError(256, f"Transaction with {{ txnNumber: {number} }} has been committed.")
        return session.transaction

    def _check_age(self, session: Session, number: int) -> None:
        if number < session.number:
            message = (
                f"Cannot start transaction {number} on session {session.session_id.hex()} because a newer"
            )
            raise CommandError(
                225, f"{message} transaction with txnNumber {session.number} has already started."
            )

    def _start(self, session: Session, number: int) -> None:
        if number == session.number:
            message = (
                f"Cannot start a transaction at given transaction number {number} because a transaction with"
            )
            raise CommandError(117, f"{message} the same number is in state {session.state}")
        self.abort(session)
        self._forget_reply(session)
        session.number, session.state = number, "in progress"
        session.transaction = self._storage.begin()
        session.expires = time.monotonic() + self.lifetime
        self._in_progress.add(session)

    def _no_such_transaction(self, session: Session, number: int) -> CommandError:
        message = f"Given transaction number {number} does not match any in-progress transactions."
        return CommandError(251, f"{message} The active transaction number is {session.number}")

    def commit(self, session: Session) -> None:
        """Commit the session's transaction."""
        assert session.transaction is not None
        self._storage.commit(session.transaction)
        self._ended(session, "committed")

    def abort(self, session: Session) -> None:
        """Abort the session's transaction, if one is in progress."""
        if session.state == "in progress" and session.transaction is not None:
            self._storage.abort(session.transaction)
            self._ended(session, "aborted")

    def _ended(self, session: Session, state: State) -> None:
        session.state, session.transaction = state, None
        self._in_progress.discard(session)

    def expire(self) -> float:
        """Abort the transactions whose time is over; how many seconds the next one has."""
        if not self._in_progress:
            return self.lifetime
        now = time.monotonic()
        for session in [session for session in self._in_progress if session.expires <= now]:
            self.abort(session)
        return min((session.expires - now for session in self._in_progress), default=self.lifetime)

    def end(self, session_id: bytes) -> None:
        """Forget a session; its transaction is aborted."""
        session = self._sessions.pop(session_id, None)
        if session is not None:
            self.abort(session)
            self._forget_reply(session)

    def end_all(self) -> None:
        """Forget every session."""
        for session_id in list(self._sessions):
            self.end(session_id)

    # --- retryable writes

    def begin_write(self, session: Session, number: int) -> bytes | None:
        """Begin a retryable write: None when it is new, or the BSON of the reply when it was already done.
        CommandError 225 for a number that is too old, 117 for one that a transaction used.
        """
        self._check_age(session, number)
        if number == session.number:
            if session.state != "retryable write":
                raise CommandError(
                    117, f"Retryable write with txnNumber {number} is prohibited: it is a transaction's"
                )
            return session.reply
        self.abort(session)
        self._forget_reply(session)
        session.number, session.state = number, "retryable write"
        return None

    def keep_reply(self, session: Session, reply: Document) -> None:
        """Remember the whole reply of a retryable write that was done."""
        self._forget_reply(session)
        session.reply = encode({**reply})
        self._reply_bytes += len(session.reply)
        for other in list(self._sessions.values()):
            if self._reply_bytes <= _MAX_REPLY_BYTES:
                break
            if other is not session:
                self._forget_reply(other)

    def _forget_reply(self, session: Session) -> None:
        if session.reply is not None:
            self._reply_bytes -= len(session.reply)
            session.reply = None
