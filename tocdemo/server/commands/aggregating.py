"""The command aggregate, with the endings `$out` and `$merge`, which write.

It must not know how a stage works.
"""

from __future__ import annotations

from typing import Any

from bson import Binary

from ..context import Context
from ..cursors import FIRST_BATCH
from ..errors import CommandError, not_implemented
from ..query.expressions import bind_pipeline
from ..query.pipelines import run_pipeline
from ..query.values import Document, order_key
from ..storage import Change, check_namespace, duplicate_key, find_documents
from .fields import whole_number
from .planning import choose
from .table import Table, own_value

COMMANDS = Table()
_UNMATCHED = ("insert", "discard", "fail")
_NO_SEARCH = (
    "Using Atlas Search Database Commands and the $listSearchIndexes aggregation stage requires additional "
    "configuration. Please connect to Atlas or an AtlasCLI local deployment to enable."
)


@COMMANDS.add(
    "aggregate",
    collection=own_value,
    pipeline=list,
    cursor=dict,
    also="explain allowDiskUse bypassDocumentValidation collation hint let collectionUUID",
)
def aggregate(context: Context) -> Document:
    """Run a pipeline; the last stage may write, by $out or $merge."""
    command = context.command
    if command.get("explain"):
        raise not_implemented("explain")
    if "cursor" not in command:
        raise CommandError(
            9, "The 'cursor' option is required, except for aggregate with the explain argument"
        )
    if any(isinstance(stage, dict) and "$listSearchIndexes" in stage for stage in command["pipeline"]):
        raise CommandError(31082, _NO_SEARCH)
    stages, ending = list(bind_pipeline(command["pipeline"], command.get("let"))), None
    if stages and isinstance(stages[-1], dict) and next(iter(stages[-1]), "") in ("$out", "$merge"):
        ending = stages.pop()
    if any(isinstance(stage, dict) and next(iter(stage), "") in ("$out", "$merge") for stage in stages):
        raise CommandError(40601, "$out and $merge can only be the final stage in the pipeline")
    if isinstance(command["aggregate"], str):
        documents = _start(context, stages)
    else:
        documents = _without_collection(context, stages.pop(0) if stages else {})
    documents = run_pipeline(documents, stages, lambda name: _all(context, name))
    if ending is not None:
        _write_result(context, documents, ending)
        documents = []
    size = whole_number(command["cursor"], "batchSize", default=FIRST_BATCH)
    name = command["aggregate"] if isinstance(command["aggregate"], str) else "$cmd.aggregate"
    namespace = f"{context.database}.{name}"
    limited = bool(command.get("maxTimeMS"))
    cursors = context.cursors
    cursor = cursors.first_batch(namespace, iter(documents), None, size, limited=limited, foretold=False)
    return {"cursor": cursor}


@COMMANDS.add("createSearchIndexes", "updateSearchIndex", "dropSearchIndex", collection=own_value)
def change_search_indexes(context: Context) -> Document:
    """What every MongoDB without Atlas answers."""
    raise CommandError(31082, _NO_SEARCH)


def _without_collection(context: Context, first: Any) -> list[Document]:
    """What `aggregate: 1` starts from: its first stage makes the documents."""
    name = next(iter(first), "") if isinstance(first, dict) else ""
    if name == "$documents" and isinstance(first[name], list):
        return [document for document in first[name] if isinstance(document, dict)]
    if name == "$listLocalSessions":
        return [{"_id": {"id": Binary(key, 4)}} for key in context.sessions.ids()]
    if name in ("$changeStream", "$currentOp"):
        raise not_implemented(f"the pipeline stage {name}")
    raise CommandError(73, "{aggregate: 1} needs a first stage that makes documents, for example $documents")


def _start(context: Context, stages: list[Any]) -> list[Document]:
    """The collection's documents; a $match at the start finds one by its `_id` directly."""
    check_namespace(context.namespace)
    storage, hint = context.storage, context.command.get("hint")
    first = stages[0].get("$match") if stages and isinstance(stages[0], dict) else None
    query = first if isinstance(first, dict) else {}
    found = find_documents(storage.read(context.namespace, context.transaction), query)
    if hint:
        return choose(storage.collections.get(context.namespace), query, None, hint).walk(found, query)
    return list(found)


def _all(context: Context, name: str) -> list[Document]:
    table = context.storage.read(f"{context.database}.{name}", context.transaction)
    return list(table.documents.values())


def _write_result(context: Context, documents: list[Document], ending: Document) -> None:
    ((stage, options),) = ending.items()
    if (context.command.get("readConcern") or {}).get("level") == "linearizable":
        raise CommandError(72, f"{stage} cannot be used with a 'linearizable' read concern level")
    if context.transaction is not None:
        raise CommandError(263, f"{stage} cannot be used in a transaction")
    into = options.get("into") if stage == "$merge" and isinstance(options, dict) else options
    name = into.get("coll") if isinstance(into, dict) else into
    database = into.get("db", context.database) if isinstance(into, dict) else context.database
    if not isinstance(name, str) or not isinstance(database, str):
        raise CommandError(16990, f"{stage} needs the name of a collection")
    namespace = f"{database}.{name}"
    if stage == "$out":
        _replace_collection(context, namespace, documents)
    else:
        _merge(context, namespace, documents, options if isinstance(options, dict) else {})


def _replace_collection(context: Context, namespace: str, documents: list[Document]) -> None:
    storage = context.storage
    old = context.attempt(storage.drop, namespace)
    collection = storage.collection(namespace)
    for index in (old.indexes if old else {}).values():
        storage.create_index(collection, index)
    for document in documents:
        storage.insert(namespace, document, None)


def _merge(context: Context, namespace: str, documents: list[Document], options: Document) -> None:
    matched, unmatched = options.get("whenMatched", "merge"), options.get("whenNotMatched", "insert")
    by_id = options.get("on", "_id") in ("_id", ["_id"])
    if (
        not by_id
        or matched not in ("merge", "replace", "keepExisting", "fail")
        or unmatched not in _UNMATCHED
    ):
        raise not_implemented("$merge on other fields than _id, or with a pipeline,")
    storage = context.storage
    storage.collection(namespace)
    for document in documents:
        old = storage.read(namespace, None).documents.get(order_key(document.get("_id")))
        if old is None:
            if unmatched == "fail":
                raise CommandError(
                    13113, "$merge could not find a matching document in the target collection"
                )
            if unmatched == "insert":
                context.attempt(storage.insert, namespace, document, None)
        elif matched == "fail":
            collection = storage.collection(namespace)
            key = (order_key(document["_id"]),)
            raise duplicate_key(collection, collection.indexes["_id_"], document, key)
        elif matched != "keepExisting":
            new = {**old, **document} if matched == "merge" else document
            context.attempt(storage.write, namespace, [Change(old, new)], None)
