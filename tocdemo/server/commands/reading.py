"""The commands that read one collection: find and its cursors, count, distinct, explain.

They must not write.
"""

from __future__ import annotations

from typing import Any

from ..context import Context
from ..cursors import FIRST_BATCH
from ..errors import CommandError
from ..query.projecting import compile_projection
from ..query.values import MISSING, Document, leaves, order_key
from ..storage import check_namespace, find_documents
from .admin import VERSION_TEXT
from .fields import NUMBER, whole_number
from .finding import bound_query, found_documents
from .planning import Plan, choose, names_one
from .table import Table, own_value

COMMANDS = Table()


@COMMANDS.add(
    "find",
    collection=own_value,
    **dict.fromkeys(("filter", "projection", "sort"), dict),
    **dict.fromkeys(("skip", "limit", "batchSize"), NUMBER),
    also="""hint collation singleBatch allowDiskUse min max returnKey showRecordId tailable oplogReplay
    awaitData noCursorTimeout allowPartialResults let options term readOnce collectionUUID""",
)
def find(context: Context) -> Document:
    """Query a collection."""
    command, query = context.command, bound_query(context, "filter")
    namespace = context.namespace
    check_namespace(namespace)
    skip, limit = whole_number(command, "skip"), whole_number(command, "limit")
    sort, hint = command.get("sort"), command.get("hint")
    documents = found_documents(context, query, sort=sort, skip=skip, limit=limit, hint=hint)
    cursor = context.cursors.first_batch(
        namespace,
        documents,
        compile_projection(command.get("projection"), query),
        whole_number(command, "batchSize", default=FIRST_BATCH),
        single=bool(command.get("singleBatch")),
        limited=bool(command.get("maxTimeMS")),
        foretold=limit == 1 or names_one(query) or _end_is_foretold(context, query, sort, hint),
        left=limit or None,
    )
    return {"cursor": cursor}


def _end_is_foretold(context: Context, query: Document, sort: Any, hint: Any) -> bool:
    """Whether the last document is known for the last before anybody asks for another. A scan of a collection
    or of an index does not know that (`isEOF` of the stages in MongoDB's src/mongo/db/exec).
    """
    collection = context.storage.collections.get(context.namespace)
    return collection is None or choose(collection, query, sort, hint).sorts


@COMMANDS.add(
    "getMore", collection=lambda command: command.get("collection"), batchSize=NUMBER, also="collection term"
)
def get_more(context: Context) -> Document:
    """The next batch of a cursor."""
    command = context.command
    cursor_id, name = command["getMore"], command.get("collection")
    if not isinstance(cursor_id, int) or not isinstance(name, str):
        raise CommandError(14, "getMore needs a cursor's id (a long) and a collection's name")
    if context.cursors.is_limited(cursor_id) and context.fail_points.times_out():
        raise CommandError(50, "operation exceeded time limit")
    size = whole_number(command, "batchSize") or None
    namespace = f"{context.database}.{name}"
    return {"cursor": context.cursors.next_batch(cursor_id, namespace, size)}


@COMMANDS.add("killCursors", collection=own_value, cursors=list)
def kill_cursors(context: Context) -> Document:
    """Close cursors."""
    killed: list[Any] = []
    unknown: list[Any] = []
    for cursor_id in context.command["cursors"]:
        found = isinstance(cursor_id, int) and context.cursors.kill(cursor_id)
        (killed if found else unknown).append(cursor_id)
    return {"cursorsKilled": killed, "cursorsNotFound": unknown, "cursorsAlive": [], "cursorsUnknown": []}


@COMMANDS.add(
    "count", collection=own_value, query=dict, skip=NUMBER, limit=NUMBER, also="hint collation fields"
)
def count(context: Context) -> Document:
    """How many documents match. A negative limit counts as a positive one."""
    command = context.command
    limit = abs(int(command.get("limit") or 0))
    query, skip = bound_query(context, "query"), whole_number(command, "skip")
    found = found_documents(context, query, skip=skip, limit=limit, hint=command.get("hint"))
    return {"n": len(list(found))}


@COMMANDS.add("distinct", collection=own_value, key=str, query=dict, also="collation")
def distinct(context: Context) -> Document:
    """The different values of a field; the items of an array count one by one."""
    parts = context.command["key"].split(".")
    values: dict[Any, Any] = {}
    for document in found_documents(context, bound_query(context, "query")):
        for leaf in leaves(document, parts):
            for value in leaf if isinstance(leaf, list) else [leaf]:
                if value is not MISSING:
                    values.setdefault(order_key(value), value)
    return {"values": list(values.values())}


@COMMANDS.add("explain", explain=dict, also="verbosity")
def explain(context: Context) -> Document:
    """How a command would find its documents, and (but for the verbosity "queryPlanner") how many."""
    inner = context.command["explain"]
    statement = next(iter(inner.get("updates") or inner.get("deletes") or inner.get("pipeline") or ()), inner)
    query: Document = next(
        (statement[key] for key in ("filter", "query", "q", "$match") if statement.get(key)), {}
    )
    namespace = f"{context.database}.{next(iter(inner.values()), None)}"
    collection, hint = context.storage.collections.get(namespace), statement.get("hint")
    documents = list(find_documents(context.storage.read(namespace, context.transaction), query))
    plan = choose(collection, query, statement.get("sort"), hint)
    planner: Document = {"namespace": namespace, "parsedQuery": query, "rejectedPlans": []}
    planner["winningPlan"] = {"stage": "EOF"} if collection is None else _shown(plan, query, statement)
    reply = {"explainVersion": "1", "queryPlanner": planner, "command": inner}
    if context.command.get("verbosity") != "queryPlanner":
        skip, limit = whole_number(statement, "skip"), abs(int(statement.get("limit") or 0))
        found = plan.walk(documents, query) if hint else documents
        number = len(found[skip : skip + limit if limit else None])
        reply["executionStats"] = {"executionSuccess": True, "nReturned": number}
    return {**reply, "serverInfo": {"host": context.identity.address, "version": VERSION_TEXT}}


def _shown(plan: Plan, query: Document, statement: Document) -> Document:
    way = "forward" if plan.direction > 0 else "backward"
    if plan.index is None:
        stage: Document = {"stage": "COLLSCAN", "direction": way}
    elif names_one(query):
        stage = {"stage": "IDHACK"}
    else:
        partial = "partialFilterExpression" in plan.index.specification
        scan = {"stage": "IXSCAN", "keyPattern": plan.index.pattern, "indexName": plan.index.name}
        stage = {"stage": "FETCH", "inputStage": {**scan, "isPartial": partial, "direction": way}}
    return {"stage": "SORT", "sortPattern": statement["sort"], "inputStage": stage} if plan.sorts else stage
