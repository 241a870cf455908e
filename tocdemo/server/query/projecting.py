"""Projections of find and findAndModify: which fields of a document a client wants.

It must not know commands or cursors. Computed fields go to mongomock's `$addFields`.

Source: "Project Fields to Return" and the projection operators `$slice`, `$elemMatch` and `$` in MongoDB's
manual.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import CommandError
from .matching import compile_query, positional_index
from .pipelines import add_fields
from .values import Document, is_number

Project = Callable[[Document], Document]
_Tree = dict[str, Any]


def compile_projection(projection: Document | None, query: Document) -> Project | None:
    """Make a function that projects a document into a new one; None when the whole document is wanted, by an
    empty projection or None. The query is the command's filter, to which the positional `$` refers.
    CommandError for a mixture of inclusion and exclusion, or paths that collide.
    """
    if not projection:
        return None
    fields: dict[str, bool] = {}
    special: list[Callable[[Document, Document], None]] = []
    computed: Document = {}
    for path, value in projection.items():
        if isinstance(value, dict) and next(iter(value), "") in ("$slice", "$elemMatch"):
            special.append(_special(path, value))
            if "$elemMatch" in value:
                fields.setdefault(path, True)
        elif path.endswith(".$"):
            fields[path[:-2]] = True
            special.append(_positional(path[:-2], query))
        elif isinstance(value, bool) or value is None or is_number(value):
            fields[path] = bool(value)
        else:
            computed[path] = value
            fields[path] = True
    kinds = {wanted for path, wanted in fields.items() if path != "_id"}
    if len(kinds) > 1:
        raise CommandError(31254, "Cannot do exclusion and inclusion in the same projection")
    keep = next(iter(kinds)) if kinds else bool(fields.get("_id", False))
    identity = fields.pop("_id", True)
    tree = _tree(fields)
    if keep and identity:
        tree["_id"] = True
    elif not keep and not identity:
        tree["_id"] = False

    def project(document: Document) -> Document:
        result = _include(document, tree) if keep else _exclude(document, tree)
        for change in special:
            change(result, document)
        return {**result, **add_fields(document, computed)} if computed else result

    return project


def _tree(fields: dict[str, bool]) -> _Tree:
    tree: _Tree = {}
    for path, wanted in fields.items():
        *parents, last = path.split(".")
        node = tree
        for part in parents:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise CommandError(31249, f"Path collision at {path} remaining portion {last}")
        if last in node:
            raise CommandError(31250, f"Path collision at {path}")
        node[last] = wanted
    return tree


def _include(value: Document, tree: _Tree) -> Document:
    result: Document = {}
    for name, item in value.items():
        branch = tree.get(name)
        if branch is True:
            result[name] = item
        elif isinstance(branch, dict):
            if isinstance(item, dict):
                result[name] = _include(item, branch)
            elif isinstance(item, list):
                result[name] = _each(item, branch, _include, keep_scalars=False)
    return result


def _exclude(value: Document, tree: _Tree) -> Document:
    result: Document = {}
    for name, item in value.items():
        branch = tree.get(name)
        if branch is False:
            continue
        if isinstance(branch, dict) and isinstance(item, dict):
            item = _exclude(item, branch)
        elif isinstance(branch, dict) and isinstance(item, list):
            item = _each(item, branch, _exclude, keep_scalars=True)
        result[name] = item
    return result


def _each(
    items: list[Any], tree: _Tree, change: Callable[[Any, _Tree], Any], *, keep_scalars: bool
) -> list[Any]:
    result = []
    for item in items:
        if isinstance(item, dict):
            result.append(change(item, tree))
        elif isinstance(item, list):
            result.append(_each(item, tree, change, keep_scalars=keep_scalars))
        elif keep_scalars:
            result.append(item)
    return result


def _special(path: str, value: Document) -> Callable[[Document, Document], None]:
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
        return
    if len(numbers) == 1:
        (count,) = numbers
        result[path] = items[:count] if count >= 0 else items[count:]
        return
    skip, limit = numbers
    start = skip if skip >= 0 else max(0, len(items) + skip)
    result[path] = items[start : start + limit]


def _positional(path: str, query: Document) -> Callable[[Document, Document], None]:
    parts = path.split(".")
    if len(parts) > 1:
        raise CommandError(238, f"a positional projection below the top level is not implemented: {path}")

    def keep_matched(result: Document, document: Document) -> None:
        index = positional_index(query, document, parts)
        if index is None:
            raise CommandError(
                51246, "Executor error: positional operator '.$' couldn't find a matching element"
            )
        result[path] = [document[path][index]]

    return keep_matched
