"""Transactions: what each sees and has written, and who has claimed what.

It must not know sessions: when a transaction begins and ends is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import CommandError
from ..query.values import Document, Key
from .collections import EMPTY, Claim, Index, Table


class Transaction:
    """What one transaction sees and has written: a snapshot, tables of its own, and claims."""

    def __init__(self, snapshot: dict[str, Table], version: int = 0) -> None:
        self.snapshot = snapshot
        self.version = version
        self.tables: dict[str, Table] = {}
        self.writes: dict[str, dict[Key, Document | None]] = {}
        self.indexes: dict[str, list[Index]] = {}
        self.claims: set[Claim] = set()
        self.open = True

    def table(self, namespace: str) -> Table:
        """The transaction's own table, made at its first write to the collection."""
        if namespace not in self.tables:
            self.tables[namespace] = self.snapshot.get(namespace, EMPTY).copy()
        return self.tables[namespace]


class Blocked(Exception):
    """A write outside transactions met a document that one has claimed: wait for its end, then run again."""

    def __init__(self, transaction: Transaction) -> None:
        super().__init__("a transaction has claimed the document")
        self.transaction = transaction


class Claims:
    """The keys that open transactions have claimed, and those that were written while any was open."""

    def __init__(self) -> None:
        self._owners: dict[Claim, Transaction] = {}
        self._open: set[Transaction] = set()
        self._version = 0
        self._written: dict[Claim, int] = {}  # by version, while transactions are open

    @property
    def watching(self) -> bool:
        """Whether any transaction is open: only then must writes be noted."""
        return bool(self._open)

    @property
    def taken(self) -> bool:
        """Whether anything is claimed."""
        return bool(self._owners)

    def begin(self, snapshot: dict[str, Table]) -> Transaction:
        """A new transaction, which sees the snapshot."""
        transaction = Transaction(snapshot, self._version)
        self._open.add(transaction)
        return transaction

    def end(self, transaction: Transaction) -> None:
        """Free what the transaction claimed: it is over."""
        for claim in transaction.claims:
            del self._owners[claim]
        transaction.claims = set()
        transaction.open = False
        self._open.discard(transaction)
        if not self._open:
            self._written.clear()

    def take(self, wanted: Iterable[Claim], transaction: Transaction) -> None:
        """Claim these keys, which are free."""
        self._owners.update(dict.fromkeys(wanted, transaction))
        transaction.claims.update(wanted)

    def check_free(self, wanted: Iterable[Claim]) -> None:
        """Raise Blocked when a transaction has claimed one of these keys."""
        for claim in wanted:
            if claim in self._owners:
                raise Blocked(self._owners[claim])

    def check_collection_free(self, namespace: str) -> None:
        """Raise Blocked when a transaction has written to the collection."""
        self.check_free([claim for claim in self._owners if claim[0] == namespace])

    def check_conflicts(self, namespace: str, wanted: Iterable[Claim], transaction: Transaction) -> None:
        """The first writer wins: raise 112 when another one has claimed a key, or one was written since the
        transaction's snapshot.
        """
        since = transaction.version
        whole = self._written.get(_whole(namespace), 0)
        for claim in wanted:
            owner = self._owners.get(claim)
            if owner is transaction:
                continue
            if owner is not None or max(whole, self._written.get(claim, 0)) > since:
                raise write_conflict()

    def note(self, claims: Iterable[Claim]) -> None:
        """Remember that these keys were written just now."""
        if self._open:
            self._version += 1
            self._written.update(dict.fromkeys(claims, self._version))

    def note_collection(self, namespace: str) -> None:
        """Remember that the whole collection was changed just now."""
        self.note([_whole(namespace)])


def _whole(namespace: str) -> Claim:
    return (namespace, "", ())


def write_conflict() -> CommandError:
    """The error 112."""
    message = (
        "WriteConflict error: this operation conflicted with another operation. "
        "Please retry your operation or multi-document transaction."
    )
    return CommandError(112, message)
