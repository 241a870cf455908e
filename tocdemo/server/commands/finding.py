"""How commands that read and commands that write find the documents that they are about.

It must not know what becomes of the documents.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from ..context import Context
from ..query.expressions import bind_query
from ..query.ordering import sort_documents
from ..query.values import Document
from ..storage import find_documents
from .planning import choose


def bound_query(context: Context, field: str) -> Document:
    """The filter in a field of the command, with its `let` variables put in."""
    return bind_query(context.command.get(field) or {}, context.command.get("let"))


def found_documents(
    context: Context,
    query: Document,
    *,
    sort: Document | None = None,
    skip: int = 0,
    limit: int = 0,
    hint: Any = None,
) -> Iterator[Document]:
    """The documents that match, as the command sees them; a limit of 0 means all. Raises as `choose`."""
    documents = find_documents(context.storage.read(context.namespace, context.transaction), query)
    if hint:
        plan = choose(context.storage.collections.get(context.namespace), query, sort, hint)
        documents = iter(plan.walk(documents, query))
    if sort:
        documents = iter(sort_documents(list(documents), sort))
    if skip or limit:
        documents = islice(documents, skip, skip + limit if limit else None)
    return documents
