"""The commands: each a function that takes the running command's context and returns its reply.

The dispatcher looks them up in `COMMANDS` and calls them under storage's lock. They read and write through
storage and know nothing of sockets; of sessions only what `endSessions` and the two endings of a transaction
need.

Source: "Database Commands" in MongoDB's manual for fields and replies; the server's version that they speak
for is `VERSION`.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from bson import Binary, Int64

from .cursors import FIRST_BATCH
from .errors import CommandError, not_implemented
from .framing import MAX_DOCUMENT_BYTES, MAX_MESSAGE_BYTES
from .query import pipelines
from .query.expressions import bind_pipeline, bind_query
from .query.matching import compile_query
from .query.projecting import compile_projection
from .query.updating import Update
from .query.values import MISSING, Document, encode, is_number, leaves, order_key, sort_documents
from .sessions import SESSION_MINUTES
from .storage import Collection, Index, check_namespace, check_storable, duplicate_key, find_documents

if TYPE_CHECKING:
    from .dispatcher import Context

VERSION = (7, 0, 0)
_WIRE_VERSION = 21
MAX_BATCH = 100_000

_NUMBER = (int, float)


@dataclass(frozen=True)
class Command:
    """An entry of the table.

    Attributes:
        function: runs it.
        fields: field to the types that it may have.
        collection_field: the field that names the collection, or "".
    """

    function: Callable[[Context], Document]
    fields: dict[str, Any]
    collection_field: str = ""

    def check_types(self, command: Document) -> None:
        """Refuse (error 14) a field of the wrong type, and (238) one that this server does not have."""
        for name, value in command.items():
            wanted = self.fields.get(name)
            if wanted is not None and value is not None and not isinstance(value, wanted):
                message = (
                    f"BSON field '{next(iter(command))}.{name}' is the wrong type '{type(value).__name__}'"
                )
                raise CommandError(14, message)
            if name in _UNSUPPORTED_FIELDS:
                _check_supported(name, value)


_UNSUPPORTED_FIELDS = frozenset(
    {
        "collation",
        "min",
        "max",
        "returnKey",
        "showRecordId",
        "tailable",
        "viewOn",
        "timeseries",
        "validator",
    }
    | {"capped", "clusteredIndex", "encryptedFields"}
)


def _check_supported(name: str, value: Any) -> None:
    simple = name == "collation" and isinstance(value, dict) and value.get("locale") == "simple"
    if value and not simple:
        raise not_implemented(f"the option '{name}'")


COMMANDS: dict[str, Command] = {}


def _command(*names: str, collection: str = "", **fields: Any) -> Callable[[Any], Any]:
    def register(function: Callable[[Context], Document]) -> Callable[[Context], Document]:
        for name in names:
            target = collection and (name if collection == "self" else collection)
            COMMANDS[name.lower()] = Command(function, fields, target)
        return function

    return register


# --- about the server ---------------------------------------------------------------------------------------


@_command("hello", "isMaster", "ismaster")
def hello(context: Context) -> Document:
    """Server discovery (specification: server-discovery-and-monitoring). There is no topologyVersion:
    drivers poll.
    """
    command, dispatcher = context.command, context.dispatcher
    client = command.get("client")
    if isinstance(client, dict) and isinstance(client.get("application"), dict):
        context.connection.app_name = str(client["application"].get("name", ""))[:128]
    reply: Document = {"helloOk": True} if command.get("helloOk") else {}
    writable = "isWritablePrimary" if next(iter(command)) == "hello" else "ismaster"
    reply |= {writable: True}
    if dispatcher.replica_set is not None:
        reply |= _replica_set_fields(context)
    return reply | {
        "maxBsonObjectSize": MAX_DOCUMENT_BYTES,
        "maxMessageSizeBytes": MAX_MESSAGE_BYTES,
        "maxWriteBatchSize": MAX_BATCH,
        "localTime": datetime.now(UTC),
        "logicalSessionTimeoutMinutes": SESSION_MINUTES,
        "connectionId": context.connection.connection_id,
        "minWireVersion": 0,
        "maxWireVersion": _WIRE_VERSION,
        "readOnly": False,
    }


def _replica_set_fields(context: Context) -> Document:
    address, clock = context.dispatcher.address, context.storage.clock
    written = datetime.fromtimestamp(clock.time, UTC)
    position = {"ts": clock, "t": Int64(1)}
    return {
        "hosts": [address],
        "setName": context.dispatcher.replica_set,
        "setVersion": 1,
        "secondary": False,
        "primary": address,
        "me": address,
        "lastWrite": {
            "opTime": position,
            "lastWriteDate": written,
            "majorityOpTime": position,
            "majorityWriteDate": written,
        },
    }


@_command("ping")
def ping(context: Context) -> Document:
    """Answer."""
    return {}


@_command("buildInfo", "buildinfo")
def build_info(context: Context) -> Document:
    """The version that this server speaks for."""
    version = ".".join(map(str, VERSION))
    return {
        "version": version,
        "gitVersion": "tocdemo",
        "modules": [],
        "versionArray": [*VERSION, 0],
        "bits": 64,
        "debug": False,
        "maxBsonObjectSize": MAX_DOCUMENT_BYTES,
        "storageEngines": ["tocdemo"],
    }


@_command("serverStatus")
def server_status(context: Context) -> Document:
    """A small part of MongoDB's."""
    return {
        "host": context.dispatcher.address,
        "version": ".".join(map(str, VERSION)),
        "process": "tocdemo",
        "pid": Int64(os.getpid()),
        "uptime": time.monotonic() - context.dispatcher.started,
        "localTime": datetime.now(UTC),
        "storageEngine": {"name": "tocdemo", "persistent": False},
    }


@_command("connectionStatus")
def connection_status(context: Context) -> Document:
    """Nobody is logged in: there are no users."""
    info: Document = {"authenticatedUsers": [], "authenticatedUserRoles": []}
    if context.command.get("showPrivileges"):
        info["authenticatedUserPrivileges"] = []
    return {"authInfo": info}


@_command("usersInfo")
def users_info(context: Context) -> Document:
    """There are no users."""
    return {"users": []}


@_command("hostInfo")
def host_info(context: Context) -> Document:
    """The machine's system."""
    return {"system": {"hostname": platform.node()}, "os": {"type": platform.system()}}


@_command("getCmdLineOpts")
def command_line_options(context: Context) -> Document:
    """Says that test commands (fail points) are enabled, where drivers' suites look for it."""
    _need_admin(context)
    return {"argv": ["tocdemo", "--setParameter", "enableTestCommands=1"], "parsed": {}}


@_command("getParameter")
def get_parameter(context: Context) -> Document:
    """Two parameters."""
    _need_admin(context)
    known = {"enableTestCommands": True, "requireApiVersion": False}
    wanted = context.command.get("getParameter")
    names = known if wanted == "*" else [name for name in known if name in context.command]
    if not names:
        raise CommandError(72, "no option found to get")
    return {name: known[name] for name in names}


@_command("configureFailPoint")
def configure_fail_point(context: Context) -> Document:
    """See `failpoints`."""
    _need_admin(context)
    context.dispatcher.fail_points.configure(context.command)
    return {"count": 0}


def _need_admin(context: Context) -> None:
    if context.database != "admin":
        name = next(iter(context.command))
        raise CommandError(13, f"{name} may only be run against the admin database.")


# --- sessions and transactions ------------------------------------------------------------------------------


@_command("endSessions", endSessions=list)
def end_sessions(context: Context) -> Document:
    """Forget sessions; their transactions are aborted."""
    for lsid in context.command["endSessions"]:
        if isinstance(lsid, dict) and isinstance(lsid.get("id"), Binary):
            context.dispatcher.sessions.end(bytes(lsid["id"]))
    return {}


@_command("refreshSessions")
def refresh_sessions(context: Context) -> Document:
    """Sessions here end by being pushed out, not by time."""
    return {}


@_command("startSession")
def start_session(context: Context) -> Document:
    """A session's id, made by the server."""
    lsid = Binary(os.urandom(16), 4)
    context.dispatcher.sessions.get(bytes(lsid))
    return {"id": {"id": lsid}, "timeoutMinutes": SESSION_MINUTES}


@_command("killAllSessions", "killSessions", "killAllSessionsByPattern")
def kill_all_sessions(context: Context) -> Document:
    """Forget sessions: the ones that are named, or all."""
    named = context.command.get("killSessions") or []
    for lsid in named:
        if isinstance(lsid, dict) and isinstance(lsid.get("id"), Binary):
            context.dispatcher.sessions.end(bytes(lsid["id"]))
    if not named:
        context.dispatcher.sessions.end_all()
    return {}


@_command("commitTransaction")
def commit_transaction(context: Context) -> Document:
    """Publish a transaction; again is allowed."""
    if "autocommit" not in context.command or context.session is None:
        raise CommandError(125, "commitTransaction must be run within a transaction")
    if context.transaction is not None:
        context.dispatcher.sessions.commit(context.session)
    return {}


@_command("abortTransaction")
def abort_transaction(context: Context) -> Document:
    """Forget what a transaction wrote."""
    if "autocommit" not in context.command or context.session is None:
        raise CommandError(125, "abortTransaction must be run within a transaction")
    context.dispatcher.sessions.abort(context.session)
    return {}


# --- reading ------------------------------------------------------------------------------------------------


def _query(context: Context, field: str) -> Document:
    return bind_query(context.command.get(field) or {}, context.command.get("let"))


def _whole(command: Document, field: str, *, default: int = 0) -> int:
    value = command.get(field)
    if value is None:
        return default
    if isinstance(value, bool) or not is_number(value) or not value == value // 1 or value < 0:
        raise CommandError(
            51024, f"BSON field '{field}' value must be a whole number >= 0, actual value {value}"
        )
    return int(value)


def _check_hint(context: Context, hint: Any) -> None:
    if not hint:
        return
    collection = context.storage.collections.get(context.namespace)
    if collection is None or (isinstance(hint, dict) and "$natural" in hint):
        return
    for index in collection.indexes.values():
        if index.name == hint or (index.pattern == hint and list(index.pattern) == list(hint)):
            return
    message = (
        "error processing query: planner returned error :: caused by :: hint provided does not correspond to"
    )
    raise CommandError(2, f"{message} an existing index")


def _found(
    context: Context, query: Document, sort: Document | None, skip: int, limit: int
) -> Iterator[Document]:
    table = context.storage.read(context.namespace, context.transaction)
    documents: Any = find_documents(table, query)
    if sort:
        documents = iter(sort_documents(list(documents), sort))
    if skip or limit:
        documents = islice(documents, skip, skip + limit if limit else None)
    return documents


@_command(
    "find",
    collection="self",
    filter=dict,
    projection=dict,
    sort=dict,
    skip=_NUMBER,
    limit=_NUMBER,
    batchSize=_NUMBER,
)
def find(context: Context) -> Document:
    """Query a collection."""
    command, query = context.command, _query(context, "filter")
    if "hint" in command:
        _check_hint(context, command["hint"])
    namespace = context.namespace
    check_namespace(namespace)
    skip, limit = _whole(command, "skip"), _whole(command, "limit")
    documents = _found(context, query, command.get("sort"), skip, limit)
    cursor = context.dispatcher.cursors.first_batch(
        namespace,
        documents,
        compile_projection(command.get("projection"), query),
        _whole(command, "batchSize", default=FIRST_BATCH),
        single=bool(command.get("singleBatch")),
        limited=bool(command.get("maxTimeMS")),
    )
    return {"cursor": cursor}


@_command("getMore", collection="collection", batchSize=_NUMBER)
def get_more(context: Context) -> Document:
    """The next batch of a cursor."""
    command = context.command
    cursor_id, name = command["getMore"], command.get("collection")
    if not isinstance(cursor_id, int) or not isinstance(name, str):
        raise CommandError(14, "getMore needs a cursor's id (a long) and a collection's name")
    if context.dispatcher.cursors.is_limited(cursor_id) and context.dispatcher.fail_points.times_out():
        raise CommandError(50, "operation exceeded time limit")
    size = _whole(command, "batchSize") or None
    namespace = f"{context.database}.{name}"
    return {"cursor": context.dispatcher.cursors.next_batch(cursor_id, namespace, size)}


@_command("killCursors", collection="self", cursors=list)
def kill_cursors(context: Context) -> Document:
    """Close cursors."""
    killed, unknown = [], []
    for cursor_id in context.command["cursors"]:
        found = isinstance(cursor_id, int) and context.dispatcher.cursors.kill(cursor_id)
        (killed if found else unknown).append(cursor_id)
    return {"cursorsKilled": killed, "cursorsNotFound": unknown, "cursorsAlive": [], "cursorsUnknown": []}


@_command("count", collection="self", query=dict, skip=_NUMBER, limit=_NUMBER)
def count(context: Context) -> Document:
    """How many documents match. A negative limit counts as a positive one."""
    command = context.command
    _check_hint(context, command.get("hint"))
    limit = abs(int(command.get("limit") or 0))
    return {"n": len(list(_found(context, _query(context, "query"), None, _whole(command, "skip"), limit)))}


@_command("distinct", collection="self", key=str, query=dict)
def distinct(context: Context) -> Document:
    """The different values of a field; the items of an array count one by one."""
    parts = context.command["key"].split(".")
    values: dict[Any, Any] = {}
    for document in _found(context, _query(context, "query"), None, 0, 0):
        for leaf in leaves(document, parts):
            for value in leaf if isinstance(leaf, list) else [leaf]:
                if value is not MISSING:
                    values.setdefault(order_key(value), value)
    return {"values": list(values.values())}


@_command("explain", explain=dict)
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
        "serverInfo": {"host": context.dispatcher.address, "version": ".".join(map(str, VERSION))},
    }


@_command("aggregate", collection="self", pipeline=list, cursor=dict)
def aggregate(context: Context) -> Document:
    """Run a pipeline; the last stage may write, by $out or $merge."""
    command = context.command
    if command.get("explain"):
        raise not_implemented("explain")
    if "cursor" not in command:
        raise CommandError(
            9, "The 'cursor' option is required, except for aggregate with the explain argument"
        )
    _check_hint(context, command.get("hint"))
    stages, ending = list(bind_pipeline(command["pipeline"], command.get("let"))), None
    if stages and isinstance(stages[-1], dict) and next(iter(stages[-1]), "") in ("$out", "$merge"):
        ending = stages.pop()
    if any(isinstance(stage, dict) and next(iter(stage), "") in ("$out", "$merge") for stage in stages):
        raise CommandError(40601, "$out and $merge can only be the final stage in the pipeline")
    if isinstance(command["aggregate"], str):
        documents = _start(context, stages)
    else:
        documents = _without_collection(context, stages.pop(0) if stages else {})
    documents = pipelines.run_pipeline(documents, stages, lambda name: _all(context, name))
    if ending is not None:
        _write_result(context, documents, ending)
        documents = []
    size = _whole(command["cursor"], "batchSize", default=FIRST_BATCH)
    name = command["aggregate"] if isinstance(command["aggregate"], str) else "$cmd.aggregate"
    namespace = f"{context.database}.{name}"
    limited = bool(command.get("maxTimeMS"))
    cursors = context.dispatcher.cursors
    return {"cursor": cursors.first_batch(namespace, iter(documents), None, size, limited=limited)}


def _without_collection(context: Context, first: Any) -> list[Document]:
    """What `aggregate: 1` starts from: its first stage makes the documents."""
    name = next(iter(first), "") if isinstance(first, dict) else ""
    if name == "$documents" and isinstance(first[name], list):
        return [document for document in first[name] if isinstance(document, dict)]
    if name == "$listLocalSessions":
        return [{"_id": {"id": Binary(key, 4)}} for key in context.dispatcher.sessions.ids()]
    if name in ("$changeStream", "$currentOp"):
        raise not_implemented(f"the pipeline stage {name}")
    raise CommandError(73, "{aggregate: 1} needs a first stage that makes documents, for example $documents")


def _start(context: Context, stages: list[Any]) -> list[Document]:
    """The collection's documents; a $match at the start finds one by its `_id` directly."""
    check_namespace(context.namespace)
    table = context.storage.read(context.namespace, context.transaction)
    if stages and isinstance(stages[0], dict) and list(stages[0]) == ["$match"]:
        return (
            list(find_documents(table, stages[0]["$match"])) if isinstance(stages[0]["$match"], dict) else []
        )
    return list(table.documents.values())


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
            raise duplicate_key(collection, collection.indexes["_id_"], document)
        elif matched != "keepExisting":
            new = {**old, **document} if matched == "merge" else document
            context.attempt(storage.write, namespace, [(old, new)], None)


_UNMATCHED = ("insert", "discard", "fail")


# --- writing ------------------------------------------------------------------------------------------------


def _statements(context: Context, field: str) -> list[Document]:
    statements = context.command.get(field)
    if not isinstance(statements, list) or not all(isinstance(statement, dict) for statement in statements):
        raise CommandError(14, f"'{field}' must be an array of documents")
    if not 1 <= len(statements) <= MAX_BATCH:
        raise CommandError(
            16, f"Write batch sizes must be between 1 and {MAX_BATCH}. Got {len(statements)} operations."
        )
    check_namespace(context.namespace)
    if field != "documents":
        for name in set().union(*statements) - _STATEMENT_FIELDS:
            raise CommandError(40415, f"BSON field '{field}.{name}' is an unknown field.")
    return statements


def _run_statements(
    context: Context, statements: list[Document], run: Callable[[int, Document], None]
) -> Document:
    """Run each statement; the reply's `writeErrors`, if any. An ordered batch ends at its first error."""
    errors = []
    stop = context.command.get("ordered", True) or context.transaction is not None
    for index, statement in enumerate(statements):
        try:
            context.attempt(run, index, statement)
        except CommandError as error:
            errors.append(error.as_write_error(index))
            if stop or error.code == 50:
                break
    return {"writeErrors": errors} if errors else {}


@_command("insert", collection="self", documents=list)
def insert(context: Context) -> Document:
    """Insert documents."""
    done = 0

    def run(_: int, document: Document) -> None:
        nonlocal done
        context.storage.insert(context.namespace, document, context.transaction)
        done += 1

    errors = _run_statements(context, _statements(context, "documents"), run)
    return {"n": done, **errors}


@_command("update", collection="self", updates=list)
def update(context: Context) -> Document:
    """Update, replace or upsert documents."""
    reply: Document = {"n": 0, "nModified": 0}
    upserted: list[Document] = []

    def run(index: int, statement: Document) -> None:
        _check_statement(context, statement)
        change = _change(context, statement.get("u"), _filter(context, statement), statement)
        multi = bool(statement.get("multi"))
        if multi and change.is_replacement:
            raise CommandError(9, "multi update is not supported for replacement-style update")
        outcome = _update(context, change, multi=multi, upsert=bool(statement.get("upsert")))
        reply["n"] += outcome.matched
        reply["nModified"] += outcome.modified
        if outcome.upserted is not None:
            reply["n"] += 1
            upserted.append({"index": index, "_id": outcome.upserted["_id"]})
        if outcome.error is not None:
            raise outcome.error

    errors = _run_statements(context, _statements(context, "updates"), run)
    return {**reply, **({"upserted": upserted} if upserted else {}), **errors}


def _filter(context: Context, statement: Document) -> Document:
    if not isinstance(statement.get("q"), dict):
        raise CommandError(14, "a write statement needs a filter: q, a document")
    return bind_query(statement["q"], context.command.get("let"))


def _change(context: Context, update: Any, query: Document, statement: Document) -> Update:
    bound = bind_pipeline(update, context.command.get("let"))
    return Update(bound, query, statement.get("arrayFilters"))


_STATEMENT_FIELDS = frozenset({"q", "u", "multi", "upsert", "arrayFilters", "collation", "hint", "limit"})


def _check_statement(context: Context, statement: Document) -> None:
    _check_supported("collation", statement.get("collation"))
    _check_hint(context, statement.get("hint"))


@dataclass
class _Outcome:
    matched: int = 0
    modified: int = 0
    before: Document | None = None
    after: Document | None = None
    upserted: Document | None = None
    error: CommandError | None = None


def _update(
    context: Context, change: Update, *, multi: bool, upsert: bool, sort: Document | None = None
) -> _Outcome:
    """One statement: everything is computed first, then written, so that a blocked one can run again as a
    whole.
    """
    storage, namespace, transaction = context.storage, context.namespace, context.transaction
    found = _found(context, change.query, sort, 0, 0 if multi else 1)
    outcome = _Outcome()
    writes: list[tuple[Document | None, Document | None]] = []
    for old in found:
        try:
            new = change.apply(old)
            if not _same(old, new):
                check_storable(new)
                writes.append((old, new))
        except CommandError as error:
            outcome.error = error
            break
        outcome.matched += 1
        outcome.before, outcome.after = old, new
    if outcome.matched == 0 and outcome.error is None and upsert:
        outcome.upserted = outcome.after = storage.insert(namespace, change.insert(), transaction)
        return outcome
    if writes:
        storage.write(namespace, writes, transaction)
    outcome.modified = len(writes)
    return outcome


def _same(old: Document, new: Document) -> bool:
    """Whether two documents are the same to the byte: 1 and 1.0, or another order of fields, differ."""
    return old == new and encode(old) == encode(new)


@_command("delete", collection="self", deletes=list)
def delete(context: Context) -> Document:
    """Delete documents."""
    done = 0

    def run(_: int, statement: Document) -> None:
        nonlocal done
        _check_statement(context, statement)
        limit = statement.get("limit")
        if limit not in (0, 1):
            raise CommandError(9, f"The limit field in delete objects must be 0 or 1. Got {limit}")
        found = list(_found(context, _filter(context, statement), None, 0, int(limit)))
        if found:
            done += context.storage.write(
                context.namespace, [(old, None) for old in found], context.transaction
            )

    errors = _run_statements(context, _statements(context, "deletes"), run)
    return {"n": done, **errors}


@_command(
    "findAndModify",
    "findandmodify",
    collection="self",
    query=dict,
    sort=dict,
    fields=dict,
    update=(dict, list),
)
def find_and_modify(context: Context) -> Document:
    """Change or remove one document and return it."""
    command, query = context.command, _query(context, "query")
    check_namespace(context.namespace)
    _check_hint(context, command.get("hint"))
    project = compile_projection(command.get("fields"), query)
    if command.get("remove"):
        if "update" in command or command.get("new"):
            raise CommandError(9, "Cannot specify both an update (or new=true) and remove=true")
        value = context.attempt(_remove_one, context, query)
        last: Document = {"n": int(value is not None)}
    else:
        if command.get("update") is None:
            raise CommandError(9, "Either an update or remove=true must be specified")
        value, last = _modify_one(context, _change(context, command["update"], query, command))
    return {"lastErrorObject": last, "value": project(value) if project and value is not None else value}


def _remove_one(context: Context, query: Document) -> Document | None:
    old = next(_found(context, query, context.command.get("sort"), 0, 1), None)
    if old is not None:
        context.storage.write(context.namespace, [(old, None)], context.transaction)
    return old


def _modify_one(context: Context, change: Update) -> tuple[Document | None, Document]:
    command = context.command
    upsert, sort = bool(command.get("upsert")), command.get("sort")
    outcome = context.attempt(lambda: _update(context, change, multi=False, upsert=upsert, sort=sort))
    if outcome.error is not None:
        raise outcome.error
    last: Document = {"n": outcome.matched, "updatedExisting": outcome.matched > 0}
    if outcome.upserted is not None:
        last |= {"n": 1, "upserted": outcome.upserted["_id"]}
    return (outcome.after if command.get("new") else outcome.before), last


# --- collections, indexes, databases ------------------------------------------------------------------------

_CREATE_OPTIONS = frozenset(
    {"size", "max", "storageEngine", "changeStreamPreAndPostImages", "expireAfterSeconds"}
)


@_command("create", collection="self")
def create(context: Context) -> Document:
    """Make an empty collection."""
    storage, namespace = context.storage, context.namespace
    options = {name: value for name, value in context.command.items() if name in _CREATE_OPTIONS}
    existing = storage.collections.get(namespace)
    if existing is not None:
        if existing.options == options and context.transaction is None:
            return {}
        raise CommandError(48, f"Collection {namespace} already exists.")
    check_namespace(namespace)
    if context.transaction is not None:
        context.transaction.writes.setdefault(namespace, {})
    else:
        storage.collection(namespace).options = options
        storage.tick()
    return {}


@_command("drop", collection="self")
def drop(context: Context) -> Document:
    """Remove a collection; one that is not there is no error (as from MongoDB 7.0)."""
    check_namespace(context.namespace)
    dropped = context.attempt(context.storage.drop, context.namespace)
    if dropped is None:
        return {}
    context.dispatcher.cursors.kill_namespace(context.namespace)
    return {"nIndexesWas": len(dropped.indexes), "ns": context.namespace}


@_command("dropDatabase")
def drop_database(context: Context) -> Document:
    """Remove every collection of a database."""
    names = context.storage.names(context.database)
    for name in names:
        namespace = f"{context.database}.{name}"
        context.attempt(context.storage.drop, namespace)
        context.dispatcher.cursors.kill_namespace(namespace)
    return {"dropped": context.database} if names else {}


@_command("listDatabases", filter=dict)
def list_databases(context: Context) -> Document:
    """The databases, which are those that have a collection."""
    _need_admin(context)
    names = dict.fromkeys(namespace.partition(".")[0] for namespace in context.storage.collections)
    found: list[Document] = [{"name": name} for name in names]
    if not context.command.get("nameOnly"):
        for entry in found:
            size = sum(
                len(_all_of(context, entry["name"], name)) for name in context.storage.names(entry["name"])
            )
            entry |= {"sizeOnDisk": Int64(size), "empty": size == 0}
    found = list(filter(compile_query(_query(context, "filter")), found))
    if context.command.get("nameOnly"):
        return {"databases": found}
    return {"databases": found, "totalSize": Int64(sum(entry["sizeOnDisk"] for entry in found))}


def _all_of(context: Context, database: str, name: str) -> Any:
    return context.storage.collections[f"{database}.{name}"].table.documents


@_command("listCollections", filter=dict, cursor=dict)
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
    found = list(filter(compile_query(_query(context, "filter")), found))
    if context.command.get("nameOnly"):
        found = [{"name": entry["name"], "type": "collection"} for entry in found]
    return _listing(context, found, "$cmd.listCollections")


def _listing(context: Context, found: list[Document], name: str) -> Document:
    size = _whole(context.command.get("cursor") or {}, "batchSize", default=FIRST_BATCH)
    namespace = f"{context.database}.{name}"
    return {"cursor": context.dispatcher.cursors.first_batch(namespace, iter(found), None, size)}


def _existing(context: Context) -> Collection:
    found = context.storage.collections.get(context.namespace)
    if found is None:
        raise CommandError(26, f"ns does not exist: {context.namespace}")
    return found


@_command("createIndexes", collection="self", indexes=list)
def create_indexes(context: Context) -> Document:
    """Make indexes. Unique ones are held to; the others are only listed, for every query scans."""
    storage, namespace = context.storage, context.namespace
    specifications = [_specification(entry) for entry in context.command["indexes"]]
    if not specifications:
        raise CommandError(2, "Must specify at least one index to create")
    created = namespace not in storage.collections
    if context.transaction is not None and not created:
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
    _check_supported("collation", entry.get("collation"))
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


@_command("renameCollection", to=str)
def rename_collection(context: Context) -> Document:
    """Give a collection another name."""
    _need_admin(context)
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


@_command("validate", collection="self")
def validate(context: Context) -> Document:
    """Counts: there is nothing on a disk that could be broken."""
    collection = _existing(context)
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


@_command("listIndexes", collection="self", cursor=dict)
def list_indexes(context: Context) -> Document:
    """The indexes of a collection."""
    found = [index.specification for index in _existing(context).indexes.values()]
    return _listing(context, found, context.namespace.partition(".")[2])


@_command("dropIndexes", collection="self")
def drop_indexes(context: Context) -> Document:
    """Remove indexes by name, by key, or all with "*"; the one of `_id` stays."""
    collection, wanted = _existing(context), context.command.get("index")
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
            context.storage.drop_index(collection, name)
    return {"nIndexesWas": before}
