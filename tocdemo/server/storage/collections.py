"""Collections: tables of documents, their indexes, and what may be stored under which name.

It must not know transactions.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bson import Binary, ObjectId, Regex

from ..errors import CommandError
from ..query.ordering import NULL_KEY, key_rows
from ..query.values import MISSING, Document, Key, Predicate, check_depth, encode, leaves, order_key

Claim = tuple[str, str, Key]  # namespace, index name, key
_ID_INDEX = "_id_"


class Change(NamedTuple):
    """A document before and after a write: None before an insert and after a deletion."""

    old: Document | None
    new: Document | None

    @property
    def key(self) -> Key:
        """The key of the document's `_id`."""
        document = self.new if self.old is None else self.old
        assert document is not None
        return order_key(document["_id"])


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
        """The keys under which the document stands in the index: several when a field holds an array.
        CommandError 171 when two do, side by side.
        """
        if self.accepts is not None and not self.accepts(document):
            return set()
        sparse = self.specification.get("sparse")
        rows = key_rows(document, [path.split(".") for path in self.pattern])
        return {tuple(key or NULL_KEY for key in row) for row in rows if not sparse or any(row)}


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
    compound_indexes: tuple[Index, ...] = ()  # those that are not unique, and refuse arrays side by side

    def __post_init__(self) -> None:
        self.indexes[_ID_INDEX] = Index(_ID_INDEX, {"v": 2, "key": {"_id": 1}, "name": _ID_INDEX})

    def writable(self) -> Table:
        """The live table, made safe to write: a snapshot may hold the present one."""
        if self.table.shared:
            self.table = self.table.copy()
        return self.table

    def add_index(self, index: Index) -> None:
        """Have this index, too."""
        self.indexes[index.name] = index
        self._list()

    def remove_index(self, name: str) -> None:
        """Have this index no longer, which is there."""
        del self.indexes[name]
        self.writable().unique.pop(name, None)
        self._list()

    def _list(self) -> None:
        indexes = self.indexes.values()
        self.unique_indexes = tuple(index for index in indexes if index.unique)
        self.compound_indexes = tuple(each for each in indexes if len(each.pattern) > 1 and not each.unique)

    def touched(self, change: Change) -> list[Claim]:
        """What a change of a document touches: its `_id`, and the unique keys that it leaves or takes."""
        touched: list[Claim] = [(self.namespace, _ID_INDEX, change.key)]
        for index in self.unique_indexes:
            before = index.keys(change.old) if change.old is not None else set()
            after = index.keys(change.new) if change.new is not None else set()
            touched += [(self.namespace, index.name, entry) for entry in before ^ after]
        return touched

    def check_indexed(self, table: Table, change: Change) -> None:
        """Refuse a document whose `_id` or unique key another one has in the table (error 11000), or that an
        index cannot hold (171).
        """
        if change.new is None:
            return
        key = change.key
        if change.old is None and key in table.documents:
            raise duplicate_key(self, self.indexes[_ID_INDEX], change.new, (key,))
        for index in self.unique_indexes:
            taken = table.unique.get(index.name, {})
            for entry in index.keys(change.new):
                if taken.get(entry, key) != key:
                    raise duplicate_key(self, index, change.new, entry)
        for index in self.compound_indexes:
            index.keys(change.new)


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


def duplicate_key(collection: Collection, index: Index, document: Document, entry: Key) -> CommandError:
    """The error 11000, with `keyPattern` and `keyValue`; `entry` is the key in the index."""
    pairs = zip(index.pattern, entry, strict=True)
    values = {path: _value_of(document, path.split("."), key) for path, key in pairs}
    shown = ", ".join(f"{path}: {_show(value)}" for path, value in values.items())
    where = f"collection: {collection.namespace} index: {index.name}"
    message = f"E11000 duplicate key error {where} dup key: {{ {shown} }}"
    return CommandError(11000, message, keyPattern=index.pattern, keyValue=values)


def _value_of(document: Document, path: list[str], key: Key) -> Any:
    """The value on the path, or the item of an array there, that has the key."""
    for leaf in leaves(document, path):
        for value in [*leaf, leaf] if isinstance(leaf, list) else [leaf]:
            if value is not MISSING and order_key(value) == key:
                return value
    return None


def _show(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value[:200]}"'
    if isinstance(value, ObjectId):
        return f"ObjectId('{value}')"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)[:200]
