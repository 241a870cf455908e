"""Look-ups: the documents of a table that a query matches.

It must not know collections or transactions. Documents that a query names by their `_id` are not searched
for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from bson import Regex

from ..query.matching import compile_query
from ..query.values import MISSING, Document, order_key
from .collections import Table


def find_documents(table: Table, query: Document) -> Iterator[Document]:
    """The documents that match, in the order in which they were inserted. CommandError for a query that
    cannot be run; at once, not at the first document.
    """
    if len(query) == 1 and "_id" in query and _is_plain(query["_id"]):
        found = table.documents.get(order_key(query["_id"]))
        return iter(() if found is None else (found,))
    accepts = compile_query(query)
    return filter(accepts, list(_candidates(table, query)))


def _candidates(table: Table, query: Document) -> Iterable[Document]:
    identity = query.get("_id", MISSING)
    if isinstance(identity, dict) and len(identity) == 1:
        if "$eq" in identity:
            identity = identity["$eq"]
        elif isinstance(identity.get("$in"), list) and all(map(_is_plain, identity["$in"])):
            keys = dict.fromkeys(map(order_key, identity["$in"]))
            return [table.documents[key] for key in keys if key in table.documents]
    if identity is MISSING or not _is_plain(identity):
        return table.documents.values()
    found = table.documents.get(order_key(identity))
    return () if found is None else (found,)


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return not next(iter(value), "").startswith("$")
    return not isinstance(value, Regex | list) and value is not None
