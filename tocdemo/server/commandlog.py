"""The command log: a bounded list of what clients sent, for tests and lessons to look at as `server.log`."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

_LENGTH = 10_000


class CommandRecord(NamedTuple):
    """One command as it arrived, never changed afterwards.

    Attributes:
        command: its name, as the client wrote it.
        database: the database's name.
        collection: the collection's name, "" for a command without one.
        request_id: the wire frame's request id.
        connection_id: the server's number for the connection.
        session_id: the bytes of `lsid.id`, or None.
        txn_number: `txnNumber`, or None.
        autocommit: False in a transaction, else None.
        start_transaction: True at a transaction's first command, else None.
    """

    command: str
    database: str
    collection: str
    request_id: int
    connection_id: int
    session_id: bytes | None
    txn_number: int | None
    autocommit: bool | None
    start_transaction: bool | None


class CommandLog:
    """The last 10,000 commands. `records` is the list, `clear()` empties it."""

    def __init__(self) -> None:
        self._records: deque[CommandRecord] = deque(maxlen=_LENGTH)
        self.append = self._records.append

    @property
    def records(self) -> list[CommandRecord]:
        """A copy of the list, oldest first."""
        return list(self._records)

    def clear(self) -> None:
        """Forget everything so far."""
        self._records.clear()
