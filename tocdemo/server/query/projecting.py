"""Projections of find and findAndModify: which fields of a document a client wants.

It must not know commands or cursors. What find shares with `$project` is done in `shaping`.

Source: "Project Fields to Return" and the projection operators `$slice`, `$elemMatch` and `$` in MongoDB's
manual.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import CommandError, expect
from .inferring import positional_index
from .matching import compile_query
from .shaping import Shape, compile_shape
from .values import Document

_Change = Callable[[Document, Document], None]


def compile_projection(projection: Document | None, query: Document) -> Shape | None:
    """Make a function that projects a document into a new one; None when the whole document is wanted, by an
    empty projection or None. The query is the command's filter, to which the positional `$` refers.
    CommandError for a mixture of inclusion and exclusion, or paths that collide.
    """
    if not projection:
        return None
    fields: Document = {}
    changes: list[_Change] = []
    several = sum(path.endswith(".$") for path in projection) > 1
    expect(not several, 31276, "Cannot specify more than one positional projection per query.")
    sliced = False
    for path, value in projection.items():
        name = next(iter(value), "") if isinstance(value, dict) else ""
        if name == "$elemMatch" or (name == "$slice" and not _is_expression(value["$slice"])):
            changes.append(_special(path, value))
            sliced |= name == "$slice"
            if name == "$elemMatch":
                fields[path] = True
        elif path.endswith(".$"):
            fields[path[:-2]] = True
            changes.append(_positional(path[:-2], query))
        else:
            fields[path] = value
    shape = compile_shape(fields, keep=not sliced)

    def project(document: Document) -> Document:
        result = shape(document)
        for change in changes:
            change(result, document)
        return result

    return project


def _is_expression(operand: Any) -> bool:
    """Whether `$slice` is the aggregation's operator, whose first argument is an array."""
    return isinstance(operand, list) and bool(operand) and not isinstance(operand[0], int | float)


def _special(path: str, value: Document) -> _Change:
    if "." in path:
        raise CommandError(238, f"$slice and $elemMatch below the top level are not implemented: {path}")
    if "$slice" in value:
        bounds = value["$slice"]
        numbers = bounds if isinstance(bounds, list) else [bounds]
        if not 1 <= len(numbers) <= 2 or not all(isinstance(number, int) for number in numbers):
            raise CommandError(28667, "$slice takes a number or [skip, limit]")
        return lambda result, document: _slice(result, document, path, numbers)
    test = compile_query({path: value})

    def first_match(result: Document, document: Document) -> None:
        items = document.get(path)
        found = [item for item in items if test({path: [item]})][:1] if isinstance(items, list) else []
        result.pop(path, None)
        if found:
            result[path] = found

    return first_match


def _slice(result: Document, document: Document, path: str, numbers: list[int]) -> None:
    items = document.get(path)
    if not isinstance(items, list):
        result |= {path: items} if path in document else {}
        return
    if len(numbers) == 1:
        (count,) = numbers
        result[path] = items[:count] if count >= 0 else items[count:]
        return
    skip, limit = numbers
    start = skip if skip >= 0 else max(0, len(items) + skip)
    result[path] = items[start : start + limit]


def _positional(path: str, query: Document) -> _Change:
    parts = path.split(".")
    if len(parts) > 1:
        raise CommandError(238, f"a positional projection below the top level is not implemented: {path}")

    def keep_matched(result: Document, document: Document) -> None:
        if not isinstance(document.get(path), list):
            return  # stays as it is
        index = positional_index(query, document)
        if index is None or index >= len(document[path]):
            raise CommandError(
                51246, "Executor error: positional operator '.$' couldn't find a matching element"
            )
        result[path] = [document[path][index]]

    return keep_matched
