"""The storage of one server: what is read and written, by whom it is seen, and its logical clock.

It must not know queries: it takes and gives whole documents.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from bson import ObjectId, Timestamp

from ..errors import CommandError
from ..query.values import Document, Key
from .collections import (
    EMPTY,
    Change,
    Collection,
    Index,
    Table,
    check_namespace,
    check_storable,
    duplicate_key,
)
from .transactions import Claims, Transaction, write_conflict

_MAX_HISTORY = 32


class Storage:
    """All collections of one server.

    `lock` is a condition that is held during every call, and notified whenever a transaction ends; `on_end`
    is called with each transaction that ends, before the waiting ones wake up.
    """

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self.collections: dict[str, Collection] = {}
        self._clock = (int(time.time()), 1)
        self.on_end: Callable[[Transaction], None] = lambda transaction: None
        self._claims = Claims()
        self._history: OrderedDict[Timestamp, dict[str, Table]] = OrderedDict()

    # --- reading

    def read(self, namespace: str, transaction: Transaction | None) -> Table:
        """The table that a command sees; never to be written."""
        if transaction is not None:
            return transaction.tables.get(namespace) or transaction.snapshot.get(namespace, EMPTY)
        collection = self.collections.get(namespace)
        return collection.table if collection else EMPTY

    def has(self, namespace: str, transaction: Transaction | None) -> bool:
        """Whether the collection is there, as a command sees it."""
        if transaction is not None:
            return namespace in transaction.snapshot or namespace in transaction.writes
        return namespace in self.collections

    def snapshot(self) -> dict[str, Table]:
        """All tables as they are now."""
        tables = {namespace: collection.table for namespace, collection in self.collections.items()}
        for table in tables.values():
            table.shared = True
        return tables

    def view_at(self, when: Timestamp | None) -> tuple[Transaction, Timestamp]:
        """What reads with the concern "snapshot" see: everything as it was at a time that an earlier one was
        given (`atClusterTime`), or as it is now. A view, to be read from only, and its time. CommandError 239
        when that time is not, or no longer, kept: the last 32 are.
        """
        time_of_view = when or self.clock
        if when is None:
            self._history[time_of_view] = self.snapshot()
            if len(self._history) > _MAX_HISTORY:
                self._history.popitem(last=False)
        if time_of_view not in self._history:
            raise CommandError(
                239, f"Read timestamp {time_of_view} is older than the oldest available timestamp."
            )
        return Transaction(self._history[time_of_view]), time_of_view

    # --- writing

    def insert(self, namespace: str, document: Document, transaction: Transaction | None) -> Document:
        """Store a new document, which gets an `_id` if it has none, as its first field; returned as stored.

        CommandError 11000, 112, or one for a document that cannot be stored; Blocked when a transaction has
        claimed its `_id` or one of its unique keys.
        """
        if next(iter(document), None) != "_id":
            document = {"_id": document["_id"] if "_id" in document else ObjectId(), **document}
        check_storable(document)
        self.write(namespace, [Change(None, document)], transaction)
        return document

    def write(self, namespace: str, changes: list[Change], transaction: Transaction | None) -> None:
        """Apply changes. Nothing is changed when it raises Blocked; at another error those before it stay."""
        if transaction is not None:
            collection = self.collections.get(namespace) or Collection(namespace)
            for change in changes:
                self._write_in_transaction(collection, change, transaction)
            return
        collection = self.collection(namespace)
        if self._claims.taken:
            for change in changes:
                self._claims.check_free(collection.touched(change))
        for change in changes:
            self._write_live(collection, change)

    def _write_live(self, collection: Collection, change: Change) -> None:
        if change.old is None or collection.unique_indexes or collection.compound_indexes:
            collection.check_indexed(collection.table, change)
        collection.writable().put(change.key, change.new, collection.unique_indexes)
        if self._claims.watching:
            self._claims.note(collection.touched(change))
        self.tick()

    def _write_in_transaction(self, collection: Collection, change: Change, transaction: Transaction) -> None:
        touched = collection.touched(change)
        self._claims.check_conflicts(collection.namespace, touched, transaction)
        table = transaction.table(collection.namespace)
        collection.check_indexed(table, change)
        self._claims.take(touched, transaction)
        table.put(change.key, change.new, collection.unique_indexes)
        transaction.writes.setdefault(collection.namespace, {})[change.key] = change.new

    # --- transactions

    def begin(self) -> Transaction:
        """A new transaction, whose snapshot is taken now."""
        return self._claims.begin(self.snapshot())

    def commit(self, transaction: Transaction) -> None:
        """Publish everything that the transaction wrote, at once. CommandError 112 when it made a collection
        that somebody else has made since (MongoDB's jstests/core/txns/create_collection_parallel.js).
        """
        if any(name in self.collections and name not in transaction.snapshot for name in transaction.writes):
            raise write_conflict()
        for namespace, writes in transaction.writes.items():
            collection = self.collection(namespace)
            table = collection.writable()
            for key, document in writes.items():
                table.put(key, document, collection.unique_indexes)
            for index in transaction.indexes.get(namespace, ()):
                if index.name not in collection.indexes:
                    collection.add_index(index)
        self._claims.note(transaction.claims)
        self._end(transaction)

    def abort(self, transaction: Transaction) -> None:
        """Forget everything that the transaction wrote. Aborting twice is allowed."""
        if transaction.open:
            self._end(transaction)

    def _end(self, transaction: Transaction) -> None:
        self._claims.end(transaction)
        self.tick()
        self.on_end(transaction)
        self.lock.notify_all()

    def tick(self) -> None:
        """Move the logical clock on."""
        now, (seconds, count) = int(time.time()), self._clock
        self._clock = (now, 1) if now > seconds else (seconds, count + 1)

    @property
    def clock(self) -> Timestamp:
        """The logical time of the last write, as `operationTime` reports it."""
        return Timestamp(*self._clock)

    # --- collections and indexes

    def collection(self, namespace: str) -> Collection:
        """The collection of that name, made now if there is none. CommandError 73 for a name that MongoDB
        refuses.
        """
        found = self.collections.get(namespace)
        if found is None:
            check_namespace(namespace)
            found = self.collections[namespace] = Collection(namespace)
        return found

    def names(self, database: str) -> list[str]:
        """The names of the database's collections, in the order in which they were made."""
        prefix = database + "."
        return [namespace[len(prefix) :] for namespace in self.collections if namespace.startswith(prefix)]

    def drop(self, namespace: str) -> Collection | None:
        """Remove and return a collection, if there is one. Blocked when a transaction has written to it."""
        self._claims.check_collection_free(namespace)
        self.tick()
        self._claims.note_collection(namespace)
        return self.collections.pop(namespace, None)

    def rename(self, namespace: str, target: str) -> None:
        """Give a collection another name that is free. Blocked when a transaction has written to it."""
        collection = self.drop(namespace)
        assert collection is not None
        collection.namespace = target
        self.collections[target] = collection

    def create_index(self, collection: Collection, index: Index) -> None:
        """Add an index; a unique one is filled from the documents. CommandError 11000 when they already hold
        a key twice, 171 when one has arrays side by side; Blocked when a transaction has written to the
        collection.
        """
        if not index.unique and len(index.pattern) > 1:
            for document in collection.table.documents.values():
                index.keys(document)
        if index.unique:
            self._claims.check_collection_free(collection.namespace)
            keys: dict[Key, Key] = {}
            for key, document in collection.table.documents.items():
                for entry in index.keys(document):
                    if keys.setdefault(entry, key) != key:
                        raise duplicate_key(collection, index, document, entry)
            collection.writable().unique[index.name] = keys
            # What open transactions see does not know the index.
            self._claims.note_collection(collection.namespace)
        collection.add_index(index)
