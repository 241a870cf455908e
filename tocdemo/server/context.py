"""The context of a running command: the command itself, and exactly what it may use of its server.

It must not know the commands, nor the way by which a request comes to them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from bson import ObjectId

from .cursors import Cursors
from .errors import CommandError, not_implemented
from .failpoints import FailPoints
from .gate import Pending
from .query.values import Document
from .sessions import Session, Sessions
from .storage import Blocked, Storage, Transaction
from .waiting import Waiting

_T = TypeVar("_T")


@dataclass(frozen=True)
class Identity:
    """What a server says of itself: its address (host and port), the name of its replica set (None for a
    standalone), when it started, by `time.monotonic()`, and the id under which it streams news of the
    topology; None when drivers have to ask.
    """

    address: str
    replica_set: str | None
    started: float
    process_id: ObjectId | None = None


@dataclass
class Connection:
    """What is remembered of a connection: its number, the client's application name, and the command that
    passes the gate at present.
    """

    connection_id: int
    app_name: str = ""
    pending: Pending | None = None

    def greet(self, client: Any) -> None:
        """Learn the application's name from the `client` field of a hello."""
        if isinstance(client, dict) and isinstance(client.get("application"), dict):
            self.app_name = str(client["application"].get("name", ""))[:128]


@dataclass(slots=True)
class Context:
    """One command while it runs. `name` is in lower case; `deadline` is a time of `time.monotonic()`.

    `transaction` is what the command reads from and writes to, None outside of one; `session` is the one that
    it named by `session_id`, if any.
    """

    name: str
    command: Document
    connection: Connection
    session_id: bytes | None
    identity: Identity
    storage: Storage
    sessions: Sessions
    cursors: Cursors
    fail_points: FailPoints
    waiting: Waiting
    transaction: Transaction | None = None
    session: Session | None = None
    deadline: float = float("inf")
    _namespace: str = ""  # by hand, for Python 3.11's `cached_property` takes a lock each time

    @property
    def database(self) -> str:
        """The database that the command is for."""
        return self.command["$db"]

    @property
    def namespace(self) -> str:
        """Database and collection of a command whose value is a collection's name."""
        if self._namespace:
            return self._namespace
        name = next(iter(self.command.values()))
        if not isinstance(name, str):
            raise CommandError(73, f"collection name has invalid type {type(name).__name__}")
        if self.database == "local" and name == "oplog.rs":
            raise not_implemented("the oplog (local.oplog.rs)")
        self._namespace = f"{self.database}.{name}"
        return self._namespace

    def attempt(self, statement: Callable[..., _T], *arguments: Any) -> _T:
        """Run a statement, again from its start whenever it met a document that a transaction has claimed.
        CommandError 50 when the command's maxTimeMS is over before the document is free.
        """
        while True:
            try:
                return statement(*arguments)
            except Blocked as blocked:
                self.waiting.wait(blocked.transaction, self.connection.pending, self.deadline)
