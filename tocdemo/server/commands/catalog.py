"""The commands about databases and collections: make, list, rename, drop.

They must not know documents.
"""

from __future__ import annotations

from bson import Int64

from ..context import Context
from ..cursors import FIRST_BATCH
from ..errors import CommandError
from ..query.matching import compile_query
from ..query.values import Document
from ..storage import Collection, check_namespace
from .fields import need_admin, whole_number
from .finding import bound_query
from .table import Table, own_value

COMMANDS = Table()
_CREATE_OPTIONS = frozenset(
    {"size", "max", "storageEngine", "changeStreamPreAndPostImages", "expireAfterSeconds"}
)


@COMMANDS.add(
    "create",
    collection=own_value,
    also="""size max storageEngine changeStreamPreAndPostImages expireAfterSeconds capped autoIndexId idIndex
    validator validationLevel validationAction indexOptionDefaults viewOn pipeline collation timeseries
    clusteredIndex encryptedFields""",
)
def create(context: Context) -> Document:
    """Make an empty collection."""
    storage, namespace = context.storage, context.namespace
    options = {name: value for name, value in context.command.items() if name in _CREATE_OPTIONS}
    if storage.has(namespace, context.transaction):
        if context.transaction is None and storage.collections[namespace].options == options:
            return {}
        raise CommandError(48, f"Collection {namespace} already exists.")
    check_namespace(namespace)
    if context.transaction is not None:
        context.transaction.writes.setdefault(namespace, {})
    else:
        storage.collection(namespace).options = options
        storage.tick()
    return {}


@COMMANDS.add("drop", collection=own_value)
def drop(context: Context) -> Document:
    """Remove a collection; one that is not there is no error (as from MongoDB 7.0)."""
    check_namespace(context.namespace)
    dropped = context.attempt(context.storage.drop, context.namespace)
    if dropped is None:
        return {}
    context.cursors.kill_namespace(context.namespace)
    return {"nIndexesWas": len(dropped.indexes), "ns": context.namespace}


@COMMANDS.add("dropDatabase")
def drop_database(context: Context) -> Document:
    """Remove every collection of a database."""
    names = context.storage.names(context.database)
    for name in names:
        namespace = f"{context.database}.{name}"
        context.attempt(context.storage.drop, namespace)
        context.cursors.kill_namespace(namespace)
    return {"dropped": context.database} if names else {}


@COMMANDS.add("listDatabases", filter=dict, also="nameOnly authorizedDatabases")
def list_databases(context: Context) -> Document:
    """The databases: admin and local, which every server has, and those that have a collection."""
    need_admin(context)
    own = [namespace.partition(".")[0] for namespace in context.storage.collections]
    names = dict.fromkeys(["admin", "local", *own])
    found: list[Document] = [{"name": name} for name in names]
    if not context.command.get("nameOnly"):
        for entry in found:
            collections = context.storage.collections.items()
            size = sum(
                len(c.table.documents) for ns, c in collections if ns.partition(".")[0] == entry["name"]
            )
            entry |= {"sizeOnDisk": Int64(size), "empty": size == 0}
    found = list(filter(compile_query(bound_query(context, "filter")), found))
    if context.command.get("nameOnly"):
        return {"databases": found}
    return {"databases": found, "totalSize": Int64(sum(entry["sizeOnDisk"] for entry in found))}


@COMMANDS.add("listCollections", filter=dict, cursor=dict, also="nameOnly authorizedCollections")
def list_collections(context: Context) -> Document:
    """The collections of a database."""
    found = []
    for name in context.storage.names(context.database):
        collection = context.storage.collections[f"{context.database}.{name}"]
        found.append(
            {
                "name": name,
                "type": "collection",
                "options": collection.options,
                "info": {"readOnly": False, "uuid": collection.uuid},
                "idIndex": collection.indexes["_id_"].specification,
            }
        )
    found = list(filter(compile_query(bound_query(context, "filter")), found))
    if context.command.get("nameOnly"):
        found = [{"name": entry["name"], "type": "collection"} for entry in found]
    return cursor_of(context, found, "$cmd.listCollections")


def cursor_of(context: Context, found: list[Document], name: str) -> Document:
    """The reply that lists what was found, by a cursor on a collection of that name."""
    size = whole_number(context.command.get("cursor") or {}, "batchSize", default=FIRST_BATCH)
    namespace = f"{context.database}.{name}"
    return {"cursor": context.cursors.first_batch(namespace, iter(found), None, size)}


def existing_collection(context: Context) -> Collection:
    """The collection that the command names. CommandError 26 when it is not there."""
    found = context.storage.collections.get(context.namespace)
    if found is None:
        raise CommandError(26, f"ns does not exist: {context.namespace}")
    return found


@COMMANDS.add("renameCollection", to=str)
def rename_collection(context: Context) -> Document:
    """Give a collection another name."""
    need_admin(context)
    source, target = context.namespace.partition(".")[2], context.command.get("to")
    if not isinstance(target, str):
        raise CommandError(14, "renameCollection needs 'to', the new name with its database")
    for namespace in (source, target):
        check_namespace(namespace)
    storage = context.storage
    if source not in storage.collections:
        raise CommandError(26, f"Source collection {source} does not exist")
    if target in storage.collections:
        if not context.command.get("dropTarget"):
            raise CommandError(48, f"target namespace exists: {target}")
        context.attempt(storage.drop, target)
    context.attempt(storage.rename, source, target)
    return {}


@COMMANDS.add("validate", collection=own_value)
def validate(context: Context) -> Document:
    """Counts: there is nothing on a disk that could be broken."""
    collection = existing_collection(context)
    documents = len(collection.table.documents)
    return {
        "ns": context.namespace,
        "nrecords": documents,
        "nIndexes": len(collection.indexes),
        "keysPerIndex": {name: documents for name in collection.indexes},
        "valid": True,
        "warnings": [],
        "errors": [],
    }
