"""Finds what is behind an object: a collection leads to its database, and that to its client.

It looks only at what instances store (`__dict__`, slots, short lists and dictionaries), never at properties,
so that nothing of the project or of a driver runs while loopwatch looks.
"""

from __future__ import annotations

import collections
import functools
import gc
import types
from collections.abc import Callable, Iterator
from typing import Any

DEPTH = 4
WIDTH = 200
FAR_DEPTH = 9
FAR_WIDTH = 3000
_LEAVES = (
    type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.CodeType, types.FrameType,
    str, bytes, int, float, complex, bool, type(None),
)  # fmt: skip
_CACHE = type(functools.cache(abs))
# Web applications, and where they keep what a lifespan made.
_CARRIERS = {
    "starlette.Starlette", "starlette.State", "starlette.HTTPConnection", "starlette.TestClient",
    "httpx.ASGITransport", "aiohttp.Application", "aiohttp.TestServer", "quart.Quart", "sanic.Sanic",
    "litestar.Litestar", "litestar.State", "types.SimpleNamespace",
}  # fmt: skip
_Found = Any


def is_kind(value: Any, kind: Any) -> bool:
    """What `isinstance` says, but without asking for `__class__`, where a dead weak proxy raises."""
    return issubclass(type(value), kind)


def is_carrier(item: Any) -> bool:
    """Whether the object is a web application, or what keeps an application's objects for it."""
    names = {f"{c.__module__.partition('.')[0]}.{c.__name__}" for c in type(item).__mro__}
    return bool(names & _CARRIERS)


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


def trail(value: Any, known: Callable[[Any], bool]) -> list[tuple[Any, str]]:
    """Search far behind `value`, nearest first, for an object that is `known`; also in functions.

    Return the objects on the way, from `value` to what was found, each with the path to it; [] if none is.
    It looks at what a function has as defaults and in its closure, which `behind` does not.
    """
    if _is_leaf(value):
        return []
    before: dict[int, tuple[Any, str, int | None]] = {id(value): (value, "", None)}
    waiting = collections.deque([(value, "", 0)])
    while waiting:
        item, path, depth = waiting.popleft()
        if known(item):
            return _way(before, id(item))
        if depth == FAR_DEPTH or len(before) > FAR_WIDTH:
            continue
        for part, name in _function_parts(item) if is_kind(item, types.FunctionType) else _parts(item):
            if not _is_leaf(part) and id(part) not in before:
                before[id(part)] = (part, path + name, id(item))
                waiting.append((part, path + name, depth + 1))
    return []


def _is_leaf(value: Any) -> bool:
    return is_kind(value, _LEAVES) and not is_kind(value, types.FunctionType)


def _way(before: dict[int, tuple[Any, str, int | None]], last: int | None) -> list[tuple[Any, str]]:
    found = []
    while last is not None:
        item, path, last = before[last]
        found.append((item, path))
    return found[::-1]


def _function_parts(function: types.FunctionType) -> Iterator[tuple[Any, str]]:
    """Yield a function's defaults and what its closure holds, each with how one could point to it."""
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    defaults = function.__defaults__ or ()
    yield from ((d, f"({n}=)") for n, d in zip(names[len(names) - len(defaults) :], defaults))
    yield from ((d, f"({n}=)") for n, d in (function.__kwdefaults__ or {}).items())
    for name, cell in zip(code.co_freevars, function.__closure__ or ()):
        try:
            yield cell.cell_contents, f"()<{name}>"
        except ValueError:  # not set yet
            continue


def _parts(item: Any) -> Iterator[tuple[Any, str]]:
    """Yield what the object stores, each with how one writes it."""
    if is_kind(item, types.MethodType):
        yield item.__self__, ""
        return
    if is_kind(item, dict):
        for key, value in list(item.items())[:20]:
            if isinstance(key, (str, int, type)):
                yield value, f"[{key.__name__ if isinstance(key, type) else repr(key)}]"
        return
    if is_kind(item, (list, tuple, set, frozenset, collections.deque)):
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
