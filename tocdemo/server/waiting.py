"""Waiting for documents that a transaction has claimed, and telling the gate of it.

It must not know commands: it knows who waits only as the gate does. It runs under storage's lock, which it
gives away while it waits.
"""

from __future__ import annotations

import threading
import time

from .errors import CloseConnection, CommandError
from .gate import Gate, Pending
from .sessions import Sessions
from .storage import Storage, Transaction

_MOST_SECONDS = 60.0  # Python waits no infinite time


class Waiting:
    """The commands of one server that wait. All of them end when `closing` is set."""

    def __init__(self, storage: Storage, sessions: Sessions, gate: Gate, closing: threading.Event) -> None:
        self._lock = storage.lock
        self._sessions = sessions
        self._gate = gate
        self._closing = closing
        self._blocked: list[tuple[Transaction, Pending]] = []
        storage.on_end = self._free

    def wait(self, transaction: Transaction, pending: Pending | None, deadline: float) -> None:
        """Wait until the transaction is over, and then until the gate lets the command go on.

        `pending` is the command as the gate knows it, None if it does not; `deadline` is a time of
        `time.monotonic()`. CommandError 50 when it is over, 11601 when the gate refuses the command;
        CloseConnection when the server stops or the gate cuts it.
        """
        if pending is None:
            self._until_over(transaction, deadline)
            return
        entry = (transaction, pending)
        self._blocked.append(entry)
        self._gate.block(pending)
        try:
            self._until_over(transaction, deadline)
        finally:
            if entry in self._blocked:
                self._blocked.remove(entry)
                self._gate.unblock([pending])
        self._lock.release()  # it may be held once more, for as long as somebody likes
        try:
            self._gate.pass_on(pending)
        finally:
            self._lock.acquire()

    def _until_over(self, transaction: Transaction, deadline: float) -> None:
        while transaction.open:
            patience = self._sessions.expire()
            if self._closing.is_set():
                raise CloseConnection
            left = deadline - time.monotonic()
            if left <= 0:
                raise CommandError(50, "operation exceeded time limit")
            if transaction.open:
                self._lock.wait(min(patience, left, _MOST_SECONDS))

    def _free(self, transaction: Transaction) -> None:
        """Tell the gate before the end of a transaction is answered, so that no moment looks quiet."""
        if self._blocked:
            self._gate.unblock([pending for other, pending in self._blocked if other is transaction])
            self._blocked = [entry for entry in self._blocked if entry[0] is not transaction]
