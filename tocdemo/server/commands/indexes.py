"""The commands about the indexes of a collection.

They must not know how an index is kept.
"""

from __future__ import annotations

from typing import Any

from ..context import Context
from ..errors import CommandError, not_implemented
from ..query.matching import compile_query
from ..query.values import Document, is_number
from ..storage import Collection, Index, check_namespace
from .catalog import cursor_of, existing_collection
from .fields import check_supported, words
from .table import Table, own_value

COMMANDS = Table()
# The fields of NewIndexSpec in MongoDB's src/mongo/db/create_indexes.idl.
_OPTIONS = words(
    """v key name ns background unique hidden partialFilterExpression sparse expireAfterSeconds storageEngine
    weights default_language language_override textIndexVersion 2dsphereIndexVersion bits min max bucketSize
    collation wildcardProjection columnstoreProjection columnstoreCompressor coarsestIndexedLevel
    finestIndexedLevel dropDups originalSpec clustered prepareUnique"""
)


@COMMANDS.add(
    "createIndexes",
    collection=own_value,
    indexes=list,
    also="v commitQuorum ignoreUnknownIndexOptions returnOnStart",
)
def create_indexes(context: Context) -> Document:
    """Make indexes. Unique ones are held to; the others are only listed, for every query scans."""
    storage, namespace = context.storage, context.namespace
    specifications = [_specification(entry) for entry in context.command["indexes"]]
    if not specifications:
        raise CommandError(2, "Must specify at least one index to create")
    created = not storage.has(namespace, context.transaction)
    if context.transaction is not None and namespace in context.transaction.snapshot:
        raise CommandError(
            263, "Cannot create new indexes on existing collection in a multi-document transaction."
        )
    check_namespace(namespace)
    collection = storage.collection(namespace) if context.transaction is None else Collection(namespace)
    before = len(collection.indexes)
    for specification in specifications:
        if _is_new(collection, specification):
            partial = specification.get("partialFilterExpression")
            index = Index(specification["name"], specification, compile_query(partial) if partial else None)
            if context.transaction is not None:
                _create_index_in_transaction(context, index)
                continue
            context.attempt(storage.create_index, collection, index)
    reply = {"numIndexesBefore": before, "numIndexesAfter": len(collection.indexes)}
    note = {"note": "all indexes already exist"} if before == len(collection.indexes) else {}
    return {**reply, "createdCollectionAutomatically": created, **note}


def _create_index_in_transaction(context: Context, index: Index) -> None:
    assert context.transaction is not None
    if index.unique:
        raise not_implemented("creating a unique index in a transaction")
    context.transaction.writes.setdefault(context.namespace, {})
    context.transaction.indexes.setdefault(context.namespace, []).append(index)


def _specification(entry: Any) -> Document:
    if not isinstance(entry, dict) or not isinstance(entry.get("key"), dict) or not entry["key"]:
        raise CommandError(67, "an index needs a key: a document of fields and directions")
    if not isinstance(entry.get("name"), str) or not entry["name"]:
        raise CommandError(9, "The 'name' field is a required property of an index specification")
    for path, direction in entry["key"].items():
        if isinstance(direction, str) or "$**" in path:
            raise not_implemented(
                f"an index of the kind {direction if isinstance(direction, str) else path!r}"
            )
        if isinstance(direction, bool) or not is_number(direction) or not direction:
            raise CommandError(67, f"Values in the index key pattern must be numbers other than 0: {path}")
    check_supported("collation", entry.get("collation"))
    for unknown in entry.keys() - _OPTIONS:
        raise CommandError(197, f"The field '{unknown}' is not valid for an index specification.")
    return {"v": 2, **entry}


def _is_new(collection: Collection, specification: Document) -> bool:
    for index in collection.indexes.values():
        same_key = list(index.pattern.items()) == list(specification["key"].items())
        if index.name == specification["name"]:
            unique = bool(index.specification.get("unique")) == bool(specification.get("unique"))
            if same_key and (unique or index.name == "_id_"):
                return False
            message = "An existing index has the same name as the requested index, but another specification"
            raise CommandError(86, f"{message}: {index.name}")
        if same_key:
            if index.name == "_id_":
                return False
            raise CommandError(85, f"Index already exists with a different name: {index.name}")
    return True


@COMMANDS.add("listIndexes", collection=own_value, cursor=dict)
def list_indexes(context: Context) -> Document:
    """The indexes of a collection."""
    found = [index.specification for index in existing_collection(context).indexes.values()]
    return cursor_of(context, found, context.namespace.partition(".")[2])


@COMMANDS.add("dropIndexes", collection=own_value)
def drop_indexes(context: Context) -> Document:
    """Remove indexes by name, by key, or all with "*"; the one of `_id` stays."""
    collection, wanted = existing_collection(context), context.command.get("index")
    before = len(collection.indexes)
    for one in wanted if isinstance(wanted, list) else [wanted]:
        if one == "*":
            names = [name for name in collection.indexes if name != "_id_"]
        else:
            names = [i.name for i in collection.indexes.values() if one in (i.name, i.pattern)]
            if not names:
                raise CommandError(27, f"index not found with name [{one}]")
            if "_id_" in names:
                raise CommandError(72, "cannot drop _id index")
        for name in names:
            collection.remove_index(name)
    return {"nIndexesWas": before}
