"""Finds the client behind an object: a collection leads to its database, and that to its client.

It looks only at what instances store (`__dict__`, slots, short lists and dictionaries), never at properties,
so that nothing of the project or of a driver runs while loopwatch looks.
"""

from __future__ import annotations

import functools
import gc
import types
from collections.abc import Callable, Iterator
from typing import Any

DEPTH = 4
WIDTH = 200
_LEAVES = (
    type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.CodeType, types.FrameType,
    str, bytes, int, float, complex, bool, type(None),
)  # fmt: skip
_CACHE = type(functools.cache(abs))
_Found = Any


def is_kind(value: Any, kind: Any) -> bool:
    """What `isinstance` says, but without asking for `__class__`, where a dead weak proxy raises."""
    return issubclass(type(value), kind)


def behind(
    value: Any, known: Callable[[Any], _Found | None], depth: int = DEPTH
) -> tuple[_Found, str] | None:
    """Search what `value` stores, nearest first, for an object that `known` recognises.

    Return what `known` returned and the path to it (".pool[0].lock"; "" when it is `value` itself), or None.
    `depth` is how many steps the path may have.
    """
    if is_kind(value, _LEAVES):
        return None
    seen = {id(value)}
    level: list[tuple[Any, str]] = [(value, "")]
    for _ in range(depth + 1):
        following: list[tuple[Any, str]] = []
        for item, path in level:
            if (found := known(item)) is not None:
                return found, path
            for part, name in _parts(item):
                if is_kind(part, _LEAVES) or id(part) in seen or len(seen) > WIDTH:
                    continue
                seen.add(id(part))
                following.append((part, path + name))
        level = following
    return None


def _parts(item: Any) -> Iterator[tuple[Any, str]]:
    """Yield what the object stores, each with how one writes it."""
    if is_kind(item, types.MethodType):
        yield item.__self__, ""
        return
    if is_kind(item, dict):
        yield from ((v, f"[{k!r}]") for k, v in list(item.items())[:20] if isinstance(k, str | int))
        return
    if is_kind(item, (list, tuple, set, frozenset)):
        yield from ((v, f"[{n}]") for n, v in enumerate(list(item)[:20]))
        return
    if is_kind(item, _CACHE):
        yield from _cached(item)
        return
    yield from ((part, "." + name) for name, part in stored(item).items())


def _cached(item: Any) -> Iterator[tuple[Any, str]]:
    """Yield what a function under `functools.cache` has returned; only the collector can see that."""
    for part in gc.get_referents(item):
        values = list(part.values())[:20] if is_kind(part, dict) else [part]
        yield from ((value, "()") for value in values)


def stored(item: Any) -> dict[str, Any]:
    """Return the attributes that the instance itself stores, without running any of its code."""
    try:
        found = dict(object.__getattribute__(item, "__dict__"))
    except (AttributeError, TypeError):
        found = {}
    for cls in type(item).__mro__:
        for name, descriptor in vars(cls).items():
            if isinstance(descriptor, types.MemberDescriptorType):
                try:
                    found[name] = descriptor.__get__(item, cls)
                except (AttributeError, TypeError):
                    continue
    return found


def attribute(value: Any, name: str) -> Any:
    """Return what a module, class or instance stores as `name`; raise KeyError if it stores none."""
    if is_kind(value, (types.ModuleType, type)):
        return vars(value)[name]
    found = stored(value)
    if name in found:
        return found[name]
    for cls in type(value).__mro__:
        if name in vars(cls) and not hasattr(vars(cls)[name], "__get__"):
            return vars(cls)[name]
    raise KeyError(name)
