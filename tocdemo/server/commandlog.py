"""The command log: a bounded list of what clients sent, as it arrived.

It must not know what commands mean, or what becomes of them.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

_LENGTH = 10_000


class CommandRecord(NamedTuple):
    """One command as it arrived.

    `command` is its name, as the client wrote it; `collection` is "" for a command without one; `request_id`
    is the wire frame's, `connection_id` the server's own number for the connection. `session_id` holds the
    bytes of `lsid.id`, or None; `txn_number` is `txnNumber`, or None; `autocommit` is False in a transaction,
    else None; `start_transaction` is True at a transaction's first command, else None.
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
    """The last 10,000 commands."""

    def __init__(self) -> None:
        self._records: deque[CommandRecord] = deque(maxlen=_LENGTH)
        self.append = self._records.append

    @property
    def records(self) -> list[CommandRecord]:
        """A copy of the list, oldest first."""
        return list(self._records)
