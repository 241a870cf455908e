"""The commands that write documents: insert, update, delete, findAndModify.

They must not know what an update's operators do. A statement that is blocked by a transaction runs again as a
whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..context import Context
from ..errors import CommandError
from ..query.expressions import bind_pipeline, bind_query
from ..query.pipelines import check_stage_names
from ..query.projecting import compile_projection
from ..query.updating import Update
from ..query.values import Document, encode
from ..storage import Change, check_namespace, check_storable
from .fields import MAX_BATCH, check_supported
from .finding import bound_query, found_documents
from .table import Table, own_value

COMMANDS = Table()
_STATEMENT_FIELDS = {
    "updates": frozenset({"q", "u", "c", "multi", "upsert", "arrayFilters", "collation", "hint"}),
    "deletes": frozenset({"q", "limit", "collation", "hint"}),
}
_BATCH = "ordered bypassDocumentValidation let"


def _statements(context: Context, field: str) -> list[Document]:
    statements = context.command.get(field)
    if not isinstance(statements, list) or {*map(type, statements)} - {dict}:
        raise CommandError(14, f"'{field}' must be an array of documents")
    if not 1 <= len(statements) <= MAX_BATCH:
        raise CommandError(
            16, f"Write batch sizes must be between 1 and {MAX_BATCH}. Got {len(statements)} operations."
        )
    check_namespace(context.namespace)
    known = _STATEMENT_FIELDS.get(field)
    for statement in statements if known else ():
        for name in () if statement.keys() <= known else statement.keys() - known:
            raise CommandError(40415, f"BSON field '{context.name}.{field}.{name}' is an unknown field.")
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


@COMMANDS.add("insert", collection=own_value, documents=list, also="ordered bypassDocumentValidation")
def insert(context: Context) -> Document:
    """Insert documents."""
    done = 0

    def run(_: int, document: Document) -> None:
        nonlocal done
        context.storage.insert(context.namespace, document, context.transaction)
        done += 1

    errors = _run_statements(context, _statements(context, "documents"), run)
    return {"n": done, **errors}


@COMMANDS.add("update", collection=own_value, updates=list, also=_BATCH)
def update(context: Context) -> Document:
    """Update, replace or upsert documents."""
    reply: Document = {"n": 0, "nModified": 0}
    upserted: list[Document] = []

    def run(index: int, statement: Document) -> None:
        check_supported("collation", statement.get("collation"))
        compiled = _compile_update(context, statement.get("u"), _filter(context, statement), statement)
        if statement.get("multi") and compiled.is_replacement:
            raise CommandError(9, "multi update is not supported for replacement-style update")
        outcome = _update(context, compiled, statement)
        reply["n"] += outcome.matched
        reply["nModified"] += outcome.modified
        if outcome.upserted is not None:
            reply["n"] += 1
            upserted.append({"index": index, "_id": outcome.upserted["_id"]})
        if outcome.error is not None:
            raise outcome.error

    statements = _statements(context, "updates")
    for statement in statements:  # each of these fails the command, not one statement
        _check_array_filters(statement)
        if isinstance(statement.get("u"), list):
            check_stage_names(statement["u"])
    errors = _run_statements(context, statements, run)
    return {**reply, **({"upserted": upserted} if upserted else {}), **errors}


def _check_array_filters(statement: Document) -> None:
    filters = statement.get("arrayFilters", [])
    if not isinstance(filters, list) or {*map(type, filters)} - {dict}:
        raise CommandError(14, "'arrayFilters' must be an array of documents")


def _filter(context: Context, statement: Document) -> Document:
    if not isinstance(statement.get("q"), dict):
        raise CommandError(14, "a write statement needs a filter: q, a document")
    return bind_query(statement["q"], context.command.get("let"))


def _compile_update(context: Context, update: Any, query: Document, statement: Document) -> Update:
    if statement.get("upsert") and "$expr" in query:
        raise CommandError(224, "$expr is not allowed in the query predicate for an upsert")
    variables = context.command.get("let")
    if "c" in statement:
        if not isinstance(update, list) or not isinstance(statement["c"], dict):
            raise CommandError(51198, "Constant values may only be specified for pipeline updates")
        constants = {name: {"$literal": value} for name, value in statement["c"].items()}
        variables = {**(variables or {}), **constants}
    bound = bind_pipeline(update, variables)
    return Update(bound, query, statement.get("arrayFilters"))


@dataclass
class _Outcome:
    matched: int = 0
    modified: int = 0
    before: Document | None = None
    after: Document | None = None
    upserted: Document | None = None
    error: CommandError | None = None


def _update(context: Context, compiled: Update, statement: Document) -> _Outcome:
    """One statement, or the command findAndModify: everything is computed first, then written, so that a
    blocked one can run again as a whole.
    """
    storage, namespace, transaction = context.storage, context.namespace, context.transaction
    sort, hint, limit = statement.get("sort"), statement.get("hint"), 0 if statement.get("multi") else 1
    found = found_documents(context, compiled.query, sort=sort, limit=limit, hint=hint)
    outcome = _Outcome()
    changes: list[Change] = []
    for old in found:
        try:
            new = compiled.apply(old)
            if not _same(old, new):
                check_storable(new)
                changes.append(Change(old, new))
        except CommandError as error:
            outcome.error = error
            break
        outcome.matched += 1
        outcome.before, outcome.after = old, new
    if outcome.matched == 0 and outcome.error is None and statement.get("upsert"):
        outcome.upserted = outcome.after = storage.insert(namespace, compiled.insert(), transaction)
        return outcome
    if changes:
        storage.write(namespace, changes, transaction)
    outcome.modified = len(changes)
    return outcome


def _same(old: Document, new: Document) -> bool:
    """Whether two documents are the same to the byte: 1 and 1.0, or another order of fields, differ."""
    return old == new and encode(old) == encode(new)


@COMMANDS.add("delete", collection=own_value, deletes=list, also=_BATCH)
def delete(context: Context) -> Document:
    """Delete documents."""
    done = 0

    def run(_: int, statement: Document) -> None:
        nonlocal done
        check_supported("collation", statement.get("collation"))
        limit = statement.get("limit")
        if limit not in (0, 1):
            raise CommandError(9, f"The limit field in delete objects must be 0 or 1. Got {limit}")
        query, hint = _filter(context, statement), statement.get("hint")
        found = list(found_documents(context, query, limit=int(limit), hint=hint))
        if found:
            changes = [Change(old, None) for old in found]
            context.storage.write(context.namespace, changes, context.transaction)
            done += len(changes)

    errors = _run_statements(context, _statements(context, "deletes"), run)
    return {"n": done, **errors}


@COMMANDS.add(
    "findAndModify",
    collection=own_value,
    query=dict,
    sort=dict,
    fields=dict,
    update=(dict, list),
    also="remove new upsert bypassDocumentValidation arrayFilters hint let collation",
)
def find_and_modify(context: Context) -> Document:
    """Change or remove one document and return it."""
    command, query = context.command, bound_query(context, "query")
    check_namespace(context.namespace)
    project = compile_projection(command.get("fields"), query)
    if command.get("remove"):
        for field in ("update", "upsert", "new", "arrayFilters"):
            if command.get(field):
                raise CommandError(9, f"Cannot specify both {field} and remove=true")
        value = context.attempt(_remove_one, context, query)
        last: Document = {"n": int(value is not None)}
    else:
        if command.get("update") is None:
            raise CommandError(9, "Either an update or remove=true must be specified")
        _check_array_filters(command)
        value, last = _modify_one(context, _compile_update(context, command["update"], query, command))
    return {"lastErrorObject": last, "value": project(value) if project and value is not None else value}


def _remove_one(context: Context, query: Document) -> Document | None:
    sort, hint = context.command.get("sort"), context.command.get("hint")
    old = next(found_documents(context, query, sort=sort, limit=1, hint=hint), None)
    if old is not None:
        context.storage.write(context.namespace, [Change(old, None)], context.transaction)
    return old


def _modify_one(context: Context, compiled: Update) -> tuple[Document | None, Document]:
    command = context.command
    outcome = context.attempt(_update, context, compiled, command)
    if outcome.error is not None:
        raise outcome.error
    last: Document = {"n": outcome.matched, "updatedExisting": outcome.matched > 0}
    if outcome.upserted is not None:
        last |= {"n": 1, "upserted": outcome.upserted["_id"]}
    return (outcome.after if command.get("new") else outcome.before), last
