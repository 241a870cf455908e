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
from ..storage import check_namespace
from .admin import VERSION_TEXT
from .fields import NUMBER, whole_number
from .finding import bound_query, check_hint, found_documents
from .table import Table, own_value

COMMANDS = Table()


@COMMANDS.add(
    "find",
    collection=own_value,
    filter=dict,
    projection=dict,
    sort=dict,
    skip=NUMBER,
    limit=NUMBER,
    batchSize=NUMBER,
)
def find(context: Context) -> Document:
    """Query a collection."""
    command, query = context.command, bound_query(context, "filter")
    if "hint" in command:
        check_hint(context, command["hint"])
    namespace = context.namespace
    check_namespace(namespace)
    skip, limit = whole_number(command, "skip"), whole_number(command, "limit")
    documents = found_documents(context, query, sort=command.get("sort"), skip=skip, limit=limit)
    cursor = context.cursors.first_batch(
        namespace,
        documents,
        compile_projection(command.get("projection"), query),
        whole_number(command, "batchSize", default=FIRST_BATCH),
        single=bool(command.get("singleBatch")),
        limited=bool(command.get("maxTimeMS")),
    )
    return {"cursor": cursor}


@COMMANDS.add("getMore", collection=lambda command: command.get("collection"), batchSize=NUMBER)
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


@COMMANDS.add("count", collection=own_value, query=dict, skip=NUMBER, limit=NUMBER)
def count(context: Context) -> Document:
    """How many documents match. A negative limit counts as a positive one."""
    command = context.command
    check_hint(context, command.get("hint"))
    limit = abs(int(command.get("limit") or 0))
    query, skip = bound_query(context, "query"), whole_number(command, "skip")
    return {"n": len(list(found_documents(context, query, skip=skip, limit=limit)))}


@COMMANDS.add("distinct", collection=own_value, key=str, query=dict)
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


@COMMANDS.add("explain", explain=dict)
def explain(context: Context) -> Document:
    """How a command would find its documents: there are two ways."""
    inner = context.command["explain"]
    name = next(iter(inner), "")
    statements = inner.get("updates") or inner.get("deletes")
    if isinstance(statements, list) and statements and isinstance(statements[0], dict):
        query = statements[0].get("q")
    else:
        query = inner.get("filter") or inner.get("query") or {}
    by_id = isinstance(query, dict) and "_id" in query
    plan = {"stage": "IDHACK"} if by_id else {"stage": "COLLSCAN", "direction": "forward"}
    planner = {"namespace": f"{context.database}.{inner.get(name)}", "parsedQuery": query}
    return {
        "explainVersion": "1",
        "queryPlanner": {**planner, "winningPlan": plan, "rejectedPlans": []},
        "command": inner,
        "serverInfo": {"host": context.identity.address, "version": VERSION_TEXT},
    }
