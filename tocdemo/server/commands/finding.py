"""How commands that read and commands that write find the documents that they are about.

It must not know what becomes of the documents.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from ..context import Context
from ..errors import CommandError
from ..query.expressions import bind_query
from ..query.values import Document, sort_documents
from ..storage import find_documents


def bound_query(context: Context, field: str) -> Document:
    """The filter in a field of the command, with its `let` variables put in."""
    return bind_query(context.command.get(field) or {}, context.command.get("let"))


def check_hint(context: Context, hint: Any) -> None:
    """Refuse (error 2) a hint at an index that is not there."""
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


def found_documents(
    context: Context, query: Document, *, sort: Document | None = None, skip: int = 0, limit: int = 0
) -> Iterator[Document]:
    """The documents that match, as the command sees them; a limit of 0 means all."""
    table = context.storage.read(context.namespace, context.transaction)
    documents = find_documents(table, query)
    if sort:
        documents = iter(sort_documents(list(documents), sort))
    if skip or limit:
        documents = islice(documents, skip, skip + limit if limit else None)
    return documents
