"""Dotted paths in a document that is being changed: find, make and fill the place that a path names.

It must not know operators. Paths that are only read are walked by `values.leaves`.
"""

from __future__ import annotations

from typing import Any

from ..errors import CommandError
from .values import MISSING, Document

_MAX_ARRAY = 1_500_000  # `{"$set": {"a.1500001": 0}}` is refused: it would fill the array up with nulls


def child(holder: Any, part: str | int) -> Any:
    """What a dict or a list has under a part of a path (an int or digits for a list), or MISSING."""
    if isinstance(holder, dict):
        return holder.get(part, MISSING)
    if isinstance(holder, list) and str(part).isdigit() and int(part) < len(holder):
        return holder[int(part)]
    return MISSING


def container(document: Document, path: str, *, create: bool) -> tuple[Any, Any]:
    """The dict or list that holds the path's last part, and that part (an int in a list); (None, None) if
    absent.
    """
    *parents, last = path.split(".")
    holder: Any = document
    for part in parents:
        following = child(holder, part)
        if following is MISSING:
            if not create:
                return None, None
            following = {}
            put(holder, _part(holder, part, path), following)
        if not isinstance(following, dict | list):
            if not create:
                return None, None
            raise CommandError(28, f"Cannot create field '{last}' in element {{{part}: {following!r}}}")
        holder = following
    if isinstance(holder, list) and not create and not last.isdigit():
        return None, None
    return holder, _part(holder, last, path)


def _part(holder: Any, part: str, path: str) -> Any:
    if isinstance(holder, dict):
        return part
    if not part.isdigit():
        raise CommandError(28, f"Cannot create field '{part}' in an array (path '{path}')")
    return int(part)


def put(holder: Any, part: Any, value: Any) -> None:
    """Set what a dict or a list has under a part of a path; a list grows, by nulls."""
    if isinstance(holder, list):
        if part > _MAX_ARRAY:
            raise CommandError(2, f"an array index may be {_MAX_ARRAY} at most, not {part}")
        holder.extend([None] * (part + 1 - len(holder)))
    holder[part] = value


def set_path(document: Document, path: str, value: Any) -> None:
    """Set what stands at a path, and make what is missing of the way to it."""
    holder, last = container(document, path, create=True)
    put(holder, last, value)
