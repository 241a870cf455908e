"""Storage: collections in memory, unique indexes, snapshots, and the claims of transactions on documents.

Commands read and write through it; sessions end its transactions. It knows nothing of the wire, of sessions
or of commands. Everything here runs under one lock, `Storage.lock`, which the caller holds.

How it works: a stored document is never changed in place, only replaced, so a snapshot is a shallow copy; a
table that a snapshot holds is copied before it is next written. A transaction writes to tables of its own
and claims, in one dictionary, each `_id` and each unique key that it wrote: another transaction that wants
one of them gets WriteConflict (the first writer wins), a plain write waits. While transactions are open, the
version of each key's last write is kept: a key written after a transaction's snapshot is a conflict too,
also when it was put and taken away again.
"""

from __future__ import annotations

import functools
import itertools
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bson import Binary, ObjectId, Regex, Timestamp

from .errors import CommandError
from .query.matching import Predicate, compile_query
from .query.values import MISSING, Document, check_depth, encode, leaves, order_key

Key = tuple[Any, ...]
Claim = tuple[str, str, Key]  # namespace, index name, key
_ID_INDEX = "_id_"
_MAX_HISTORY = 32


@dataclass(frozen=True)
class Index:
    """An index as `listIndexes` shows it; only unique ones do anything here."""

    name: str
    specification: Document
    accepts: Predicate | None = None

    @property
    def pattern(self) -> Document:
        """Field path to direction."""
        return self.specification["key"]

    @property
    def unique(self) -> bool:
        """Whether it refuses a second document with the same key."""
        return bool(self.specification.get("unique")) and self.name != _ID_INDEX

    def keys(self, document: Document) -> set[Key]:
        """The keys under which the document stands in the index: several when a field holds an array."""
        if self.accepts is not None and not self.accepts(document):
            return set()
        columns = [list(leaves(document, path.split("."))) or [MISSING] for path in self.pattern]
        if self.specification.get("sparse") and all(v is MISSING for column in columns for v in column):
            return set()
        return set(itertools.product(*(set(_column_keys(column)) for column in columns)))


def _column_keys(values: list[Any]) -> Iterator[Key]:
    for value in values:
        if isinstance(value, list) and value:
            yield from map(order_key, value)
        else:
            yield order_key(value)


class Table:
    """Documents by the key of their `_id`, and for each unique index its keys."""

    __slots__ = ("documents", "shared", "unique")

    def __init__(self, documents: dict[Key, Document], unique: dict[str, dict[Key, Key]]) -> None:
        self.documents = documents
        self.unique = unique
        self.shared = False

    def copy(self) -> Table:
        """A table that can be written without this one changing."""
        return Table(dict(self.documents), {name: dict(keys) for name, keys in self.unique.items()})

    def put(self, key: Key, document: Document | None, indexes: Iterable[Index]) -> None:
        """Replace, insert, or with None delete, the document at `key`."""
        old = self.documents.get(key)
        for index in indexes:
            keys = self.unique.setdefault(index.name, {})
            for entry in index.keys(old) if old is not None else ():
                if keys.get(entry) == key:
                    del keys[entry]
            for entry in index.keys(document) if document is not None else ():
                keys[entry] = key
        if document is None:
            self.documents.pop(key, None)
        else:
            self.documents[key] = document


EMPTY = Table({}, {})


@dataclass
class Collection:
    """One collection: its live table, its options and its indexes."""

    namespace: str
    options: Document = field(default_factory=dict)
    table: Table = field(default_factory=lambda: Table({}, {}))
    indexes: dict[str, Index] = field(default_factory=dict)
    uuid: Binary = field(default_factory=lambda: Binary.from_uuid(uuid.uuid4()))
    unique_indexes: tuple[Index, ...] = ()

    def __post_init__(self) -> None:
        self.indexes[_ID_INDEX] = Index(_ID_INDEX, {"v": 2, "key": {"_id": 1}, "name": _ID_INDEX})

    def writable(self) -> Table:
        """The live table, made safe to write: a snapshot may hold the present one."""
        if self.table.shared:
            self.table = self.table.copy()
        return self.table


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
    """A plain write met a document that a transaction has claimed: wait for its end, then run again as a
    whole.
    """

    def __init__(self, transaction: Transaction) -> None:
        super().__init__("a transaction has claimed the document")
        self.transaction = transaction


class Storage:
    """All collections of one server.

    Attributes:
        lock: a condition that is held during every call, and notified whenever a transaction ends.
        clock: the logical time of the last write, as `operationTime` reports it.
        on_end: called with each transaction that ends, before the waiting ones wake up.
    """

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self.collections: dict[str, Collection] = {}
        self.clock = Timestamp(int(time.time()), 1)
        self.on_end: Callable[[Transaction], None] = lambda transaction: None
        self._claims: dict[Claim, Transaction] = {}
        self._open: set[Transaction] = set()
        self._version = 0
        self._written: dict[Claim, int] = {}  # by version, while transactions are open
        self._history: OrderedDict[Timestamp, dict[str, Table]] = OrderedDict()

    # --- reading

    def read(self, namespace: str, transaction: Transaction | None) -> Table:
        """The table that a command sees; never to be written."""
        if transaction is not None:
            return transaction.tables.get(namespace) or transaction.snapshot.get(namespace, EMPTY)
        collection = self.collections.get(namespace)
        return collection.table if collection else EMPTY

    def snapshot(self) -> dict[str, Table]:
        """All tables as they are now."""
        tables = {namespace: collection.table for namespace, collection in self.collections.items()}
        for table in tables.values():
            table.shared = True
        return tables

    def view_at(self, when: Timestamp | None) -> tuple[Transaction, Timestamp]:
        """What reads with the concern "snapshot" see: everything as it was at a time that an earlier one was
        given.

        Args:
            when: `atClusterTime`, or None for now.

        Returns:
            A view, to be read from only, and its time.

        Raises:
            CommandError: 239 when that time is not, or no longer, kept: the last 32 are.
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
        """Store a new document, which gets an `_id` if it has none, as its first field.

        Returns:
            The document as stored.

        Raises:
            CommandError: 11000, 112, or one for a document that cannot be stored.
            Blocked: a transaction has claimed its `_id` or one of its unique keys.
        """
        if next(iter(document), None) != "_id":
            document = {"_id": document["_id"] if "_id" in document else ObjectId(), **document}
        check_storable(document)
        self.write(namespace, [(None, document)], transaction)
        return document

    def write(
        self,
        namespace: str,
        changes: list[tuple[Document | None, Document | None]],
        transaction: Transaction | None,
    ) -> int:
        """Apply changes: pairs of the old and the new document, None for one that is not.

        Nothing is changed when it raises Blocked; at another error the changes before it stay.

        Returns:
            The number of changes.
        """
        collection = self.collection(namespace) if transaction is None else self._seen(namespace)
        if transaction is None:
            if self._claims:
                for old, new in changes:
                    self._wait_for_claims(collection, old, new)
            for old, new in changes:
                self._write_live(collection, old, new)
            return len(changes)
        for old, new in changes:
            self._write_in_transaction(collection, old, new, transaction)
        return len(changes)

    def _seen(self, namespace: str) -> Collection:
        return self.collections.get(namespace) or Collection(namespace)

    def _wanted(self, collection: Collection, old: Document | None, new: Document | None) -> list[Claim]:
        """What a change of a document touches: its `_id`, and the unique keys that it leaves or takes."""
        namespace = collection.namespace
        some = old if old is not None else new
        assert some is not None
        wanted: list[Claim] = [(namespace, _ID_INDEX, order_key(some["_id"]))]
        for index in collection.unique_indexes:
            before = index.keys(old) if old is not None else set()
            after = index.keys(new) if new is not None else set()
            wanted += [(namespace, index.name, entry) for entry in before ^ after]
        return wanted

    def _wait_for_claims(self, collection: Collection, old: Document | None, new: Document | None) -> None:
        for claim in self._wanted(collection, old, new):
            owner = self._claims.get(claim)
            if owner is not None:
                raise Blocked(owner)

    def _write_live(self, collection: Collection, old: Document | None, new: Document | None) -> None:
        table = collection.table
        key = order_key((old if old is not None else new)["_id"])  # type: ignore[index]
        if new is not None:
            _check_unique(collection, table, old, new)
        collection.writable().put(key, new, collection.unique_indexes)
        if self._open:
            self._note(self._wanted(collection, old, new))
        self.tick()

    def _write_in_transaction(
        self, collection: Collection, old: Document | None, new: Document | None, transaction: Transaction
    ) -> None:
        namespace = collection.namespace
        key = order_key((old if old is not None else new)["_id"])  # type: ignore[index]
        wanted = self._wanted(collection, old, new)
        self._check_conflicts(namespace, wanted, transaction)
        table = transaction.table(namespace)
        if new is not None:
            _check_unique(collection, table, old, new)
        for claim in wanted:
            self._claims[claim] = transaction
            transaction.claims.add(claim)
        table.put(key, new, collection.unique_indexes)
        transaction.writes.setdefault(namespace, {})[key] = new

    def _check_conflicts(self, namespace: str, wanted: list[Claim], transaction: Transaction) -> None:
        """The first writer wins: raise 112 when another one has claimed, or since our snapshot changed, a
        key.
        """
        since = transaction.version
        whole = self._written.get((namespace, "", ()), 0)
        for claim in wanted:
            owner = self._claims.get(claim)
            if owner is transaction:
                continue
            if owner is not None or max(whole, self._written.get(claim, 0)) > since:
                raise write_conflict()

    def _note(self, claims: Iterable[Claim]) -> None:
        """Remember that these keys were written just now."""
        if self._open:
            self._version += 1
            self._written.update(dict.fromkeys(claims, self._version))

    # --- transactions

    def begin(self) -> Transaction:
        """A new transaction, whose snapshot is taken now."""
        transaction = Transaction(self.snapshot(), self._version)
        self._open.add(transaction)
        return transaction

    def commit(self, transaction: Transaction) -> None:
        """Publish everything that the transaction wrote, at once."""
        for namespace, writes in transaction.writes.items():
            collection = self.collection(namespace)
            table = collection.writable()
            for key, document in writes.items():
                table.put(key, document, collection.unique_indexes)
            for index in transaction.indexes.get(namespace, ()):
                collection.indexes.setdefault(index.name, index)
        self._note(transaction.claims)
        self._end(transaction)

    def abort(self, transaction: Transaction) -> None:
        """Forget everything that the transaction wrote. Aborting twice is allowed."""
        if transaction.open:
            self._end(transaction)

    def _end(self, transaction: Transaction) -> None:
        for claim in transaction.claims:
            del self._claims[claim]
        transaction.claims = set()
        transaction.open = False
        self._open.discard(transaction)
        if not self._open:
            self._written.clear()
        self.tick()
        self.on_end(transaction)
        self.lock.notify_all()

    def tick(self) -> None:
        """Move the logical clock on."""
        now, last = int(time.time()), self.clock
        self.clock = Timestamp(now, 1) if now > last.time else Timestamp(last.time, last.inc + 1)

    # --- collections and indexes

    def collection(self, namespace: str) -> Collection:
        """The collection of that name, made now if there is none.

        Raises:
            CommandError: 73 for a name that MongoDB refuses.
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
        """Remove a collection.

        Raises:
            Blocked: a transaction has written to it.
        """
        for claim, owner in self._claims.items():
            if claim[0] == namespace:
                raise Blocked(owner)
        self.tick()
        self._note([(namespace, "", ())])
        return self.collections.pop(namespace, None)

    def rename(self, namespace: str, target: str) -> None:
        """Give a collection another name that is free.

        Raises:
            Blocked: a transaction has written to it.
        """
        collection = self.drop(namespace)
        assert collection is not None
        collection.namespace = target
        self.collections[target] = collection

    def create_index(self, collection: Collection, index: Index) -> None:
        """Add an index; a unique one is filled from the documents.

        Raises:
            CommandError: 11000 when the documents already hold a key twice.
            Blocked: a transaction has written to the collection.
        """
        if index.unique:
            for claim, owner in self._claims.items():
                if claim[0] == collection.namespace:
                    raise Blocked(owner)
            keys: dict[Key, Key] = {}
            for key, document in collection.table.documents.items():
                for entry in index.keys(document):
                    if keys.setdefault(entry, key) != key:
                        raise duplicate_key(collection, index, document)
            collection.writable().unique[index.name] = keys
            self._note([(collection.namespace, "", ())])  # what open transactions see does not know the index
        collection.indexes[index.name] = index
        collection.unique_indexes = tuple(i for i in collection.indexes.values() if i.unique)

    def drop_index(self, collection: Collection, name: str) -> None:
        """Remove an index that is there."""
        del collection.indexes[name]
        collection.writable().unique.pop(name, None)
        collection.unique_indexes = tuple(i for i in collection.indexes.values() if i.unique)


def _check_unique(collection: Collection, table: Table, old: Document | None, new: Document) -> None:
    """Refuse (error 11000) a document whose `_id` or unique key another one has in the table."""
    key = order_key(new["_id"])
    if old is None and key in table.documents:
        raise duplicate_key(collection, collection.indexes[_ID_INDEX], new)
    for index in collection.unique_indexes:
        taken = table.unique.get(index.name, {})
        if any(taken.get(entry, key) != key for entry in index.keys(new)):
            raise duplicate_key(collection, index, new)


def find_documents(table: Table, query: Document) -> Iterator[Document]:
    """The documents that match, in the order in which they were inserted; one named by its `_id` is looked
    up.

    Raises:
        CommandError: for a query that cannot be run; at once, not at the first document.
    """
    if len(query) == 1 and "_id" in query and _is_plain(query["_id"]):
        found = table.documents.get(order_key(query["_id"]))
        return iter(() if found is None else (found,))
    accepts = compile_query(query)
    return filter(accepts, list(_candidates(table, query)))


def _candidates(table: Table, query: Document) -> Iterable[Document]:
    identity = query.get("_id", MISSING)
    if isinstance(identity, dict) and len(identity) == 1:
        if "$eq" in identity:
            identity = identity["$eq"]
        elif isinstance(identity.get("$in"), list) and all(map(_is_plain, identity["$in"])):
            keys = dict.fromkeys(map(order_key, identity["$in"]))
            return [table.documents[key] for key in keys if key in table.documents]
    if identity is MISSING or not _is_plain(identity):
        return table.documents.values()
    found = table.documents.get(order_key(identity))
    return () if found is None else (found,)


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return not next(iter(value), "").startswith("$")
    return not isinstance(value, Regex | list) and value is not None


def check_storable(document: Document) -> None:
    """Refuse what MongoDB does not store: too large, too deep, an `_id` that is an array or a regex."""
    if isinstance(document["_id"], list | Regex):
        kind = "array" if isinstance(document["_id"], list) else "regex"
        raise CommandError(2 if kind == "regex" else 53, f"The '_id' value cannot be of type {kind}")
    if isinstance(document["_id"], dict) and next(iter(document["_id"]), "").startswith("$"):
        name = next(iter(document["_id"]))
        raise CommandError(
            52, f"_id fields may not contain '$'-prefixed fields: {name} is not valid for storage."
        )
    if len(encode(document)) > 1000:  # a shorter one cannot be too deep
        check_depth(document)


@functools.lru_cache(maxsize=1024)
def check_namespace(namespace: str) -> None:
    """Refuse (error 73) a name of a database or collection that MongoDB refuses."""
    database, _, name = namespace.partition(".")
    if not database or len(database) > 63 or any(c in database for c in '/\\. "$\0'):
        raise CommandError(73, f"Invalid database name: '{database[:80]}'")
    if not name or name.startswith(".") or "$" in name or "\0" in name or len(namespace.encode()) > 255:
        raise CommandError(73, f"Invalid namespace specified '{namespace[:300]}'")


def duplicate_key(collection: Collection, index: Index, document: Document) -> CommandError:
    """The error 11000, with `keyPattern` and `keyValue`."""
    values = {}
    for path in index.pattern:
        found = next(leaves(document, path.split(".")), None)
        values[path] = None if found is MISSING else found
    shown = ", ".join(f"{path}: {_show(value)}" for path, value in values.items())
    where = f"collection: {collection.namespace} index: {index.name}"
    message = f"E11000 duplicate key error {where} dup key: {{ {shown} }}"
    return CommandError(11000, message, keyPattern=index.pattern, keyValue=values)


def _show(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value[:200]}"'
    if isinstance(value, ObjectId):
        return f"ObjectId('{value}')"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)[:200]


def write_conflict() -> CommandError:
    """The error 112."""
    message = (
        "WriteConflict error: this operation conflicted with another operation. "
        "Please retry your operation or multi-document transaction."
    )
    return CommandError(112, message)
