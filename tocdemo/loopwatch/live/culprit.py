"""Finds in the frames of a stack which object belongs to another loop, and what the code calls it.

It reads the source of the frames' lines, and the ledger. How the stack came about, it must not know.
"""

from __future__ import annotations

import asyncio
import sys
import types
from dataclasses import dataclass, replace
from typing import Any

from ..static.sources import Source
from .entries import ClientEntry
from .graph import attribute, behind, is_carrier, is_kind, stored, trail
from .ledger import Ledger
from .sites import Step

_NOTHING = object()
MANY = 4  # so many steps from a name, an object is called as the line writes it


@dataclass(frozen=True)
class Culprit:
    """What was used: its `name` in the code (or its type), its `kind` (type), and the client behind it.

    `holder` is the module and the name in it, if a module's name led to it; `loop` is the number of the loop
    that it belongs to.
    """

    name: str
    kind: str
    client: ClientEntry | None = None
    holder: tuple[str, str] | None = None
    loop: int | None = None


def culprit(
    ledger: Ledger,
    steps: list[Step],
    loop: int | None,
    running: int | None,
    refused: ClientEntry | None = None,
) -> Culprit:
    """Return what the steps (innermost first) used that belongs to `loop`; if None, to any but `running`.

    `refused` is the client that itself refused to be used on this loop, where one did.
    """

    def suspect(value: Any) -> ClientEntry | None:
        entry = ledger.client_entry(value)
        return entry if entry is not None and _fits(entry, loop, running) else None

    project = [step for step in steps if ledger.sites.kind(step.file) == "project"]
    if refused is not None:
        return _refused(ledger, project, refused, loop)
    named: Culprit | None = None
    for step in project:
        for value, name, holder in _used_names(step):
            hit = behind(value, suspect)
            if hit is None or (named is not None and (holder is None or hit[0] is not named.client)):
                continue
            named = Culprit(name, type(value).__name__, hit[0], holder, hit[0].loop or loop)
            if holder is not None:  # a module's name says more than the parameter that it was given to
                return named
    if named is not None and named.client is not None and _leads(ledger, named.client, loop, running):
        return named if named.loop is not None else _with_loop(ledger, named, running)
    owner = _owner(ledger, project, loop, running)
    if owner is not None:
        return owner
    if named is not None:
        return named
    entry = _client_in_frames(steps, suspect)
    entry = _outermost(ledger, steps, entry) if entry is not None else None
    callee = _called(steps, project[0]) if project else None
    if entry is not None and (callee is None or entry.stores_loop):
        return Culprit(entry.short, entry.short, entry, None, entry.loop or loop)
    if callee is not None:
        kind, number = type(callee).__name__, loop or _loop_of(ledger, callee, running)
        for value, name, holder in _used_names(project[0]):
            if value is callee:
                return Culprit(name, kind, entry, holder, number)
        return Culprit(kind, kind, entry, None, number)
    return _by_loop_attribute(ledger, steps, loop, running)


def _owner(ledger: Ledger, project: list[Step], loop: int | None, running: int | None) -> Culprit | None:
    """Find, from what the project's lines name, the first library's object that ends up holding the loop."""

    def foreign(value: Any) -> bool:
        return _number(ledger, value, running) in ((loop,) if loop is not None else _others(ledger, running))

    best: Culprit | None = None
    for frame in project:
        for value, name, holder in _used_names(frame):
            if is_kind(value, asyncio.AbstractEventLoop) or (best is not None and holder is None):
                continue
            steps = trail(value, foreign)
            if not steps:
                continue
            number = _number(ledger, steps[-1][0], running)
            made, path = _owned(ledger, steps)
            name = _written(frame, name, path) if path and not _is_projects(ledger, value) else name
            name += path if is_kind(value, (dict, list, tuple)) else ""
            entry = ledger.adopt(made, number or 0, holder if made is value else None)
            if best is not None and (entry is None or entry is not best.client):
                continue
            best = Culprit(name, type(made).__name__, entry, holder, number)
            if holder is not None:
                return best
    return best


def _refused(ledger: Ledger, project: list[Step], entry: ClientEntry, loop: int | None) -> Culprit:
    """Return the client that refused, by the name from which the innermost line came to it."""
    client = entry.ref()
    best = Culprit(entry.short, entry.short, entry, None, entry.loop or loop)
    for step in project if client is not None else ():
        for value, name, holder in _used_names(step):
            way = trail(value, lambda part: part is client)
            if way:
                called = name if len(way) < MANY else _written(step, name, way[-1][1])
                found = Culprit(called, type(value).__name__, entry, holder, entry.loop or loop)
                if holder is not None:
                    return found
                best = found if best.name == entry.short else best
    return best


def _written(step: Step, name: str, path: str) -> str:
    """Return how the line writes what is behind a name: "request.app.state.pool", found in its scope."""
    last = path.rpartition(".")[2].rpartition("['")[2].removesuffix("']")
    for chain in Source.of(step.file).chains(step.line, step.line):
        if ".".join(chain).startswith(name + ".") and last in chain:
            return ".".join(chain[: len(chain) - chain[::-1].index(last)])
    return name


def _owned(ledger: Ledger, way: list[tuple[Any, str]]) -> tuple[Any, str]:
    """Return the object on the way to a loop that a library made at the project's call, with its path.

    It is the first one behind the last object that carries what others put into it: an instance of a class
    of the project, or a web application.
    """
    own = way if is_kind(way[-1][0], asyncio.Future) else way[:-1]
    carriers = [n for n, (item, _) in enumerate(own) if _is_of_project(ledger, item) or is_carrier(item)]
    behind_last = own[carriers[-1] + 1 :] if carriers else own
    return next((s for s in behind_last if not _is_projects(ledger, s[0])), own[-1])


def _leads(ledger: Ledger, entry: ClientEntry, loop: int | None, running: int | None) -> bool:
    """Whether the client itself leads to the loop, and not by way of an application that it serves."""
    if entry.stores_loop:
        return True
    wanted = (loop,) if loop is not None else _others(ledger, running)
    client = entry.ref()
    way = trail(client, lambda part: _number(ledger, part, running) in wanted) if client is not None else []
    return bool(way) and not any(is_carrier(item) for item, _ in way)


def _number(ledger: Ledger, value: Any, running: int | None) -> int | None:
    """Return the number of a loop, or of a future's loop, that is not the running one; None for all else."""
    loop = value.get_loop() if is_kind(value, asyncio.Future) else value
    if not is_kind(loop, asyncio.AbstractEventLoop):
        return None
    number = ledger.loop_entry(loop).number
    return number if number != running else None


def _others(ledger: Ledger, running: int | None) -> tuple[int, ...]:
    return tuple(entry.number for entry in ledger.loops if entry.number not in (0, running))


def _is_projects(ledger: Ledger, item: Any) -> bool:
    """Whether the object is of a class of the project, or no more than a container or a function."""
    containers = (dict, list, tuple, set, frozenset, types.FunctionType, types.MethodType)
    return is_kind(item, containers) or _is_of_project(ledger, item)


def _is_of_project(ledger: Ledger, item: Any) -> bool:
    module = sys.modules.get(type(item).__module__)
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and ledger.sites.kind(file) == "project"


def _with_loop(ledger: Ledger, named: Culprit, running: int | None) -> Culprit:
    """Look behind the client for the loop that it holds, where its library does not tell."""
    client = named.client.ref() if named.client is not None else None
    way = trail(client, lambda value: _number(ledger, value, running) is not None) if client else []
    return replace(named, loop=_number(ledger, way[-1][0], running)) if way else named


def _fits(entry: ClientEntry, loop: int | None, running: int | None) -> bool:
    if not entry.stores_loop:
        return True
    return entry.loop is not None and (entry.loop == loop if loop is not None else entry.loop != running)


def _used_names(step: Step) -> list[tuple[Any, str, tuple[str, str] | None]]:
    """Return the objects that the step's line names: each with how it is written, and its module and name.

    Module and name are None for what is local.
    """
    found = []
    for chain in Source.of(step.file).chains(step.line, step.line):
        value, length, is_global = _resolve(step, chain)
        if value is _NOTHING:
            continue
        name = ".".join(chain[:length])
        module = step.frame.f_globals.get("__name__")
        holder = (module, chain[0]) if is_global and module else None
        found.append((value, name, holder))
    return found


def _resolve(step: Step, chain: list[str]) -> tuple[Any, int, bool]:
    """Follow a dotted name as far as it is stored; return the value, its length, and whether it is global."""
    local = step.frame.f_locals
    is_global = chain[0] not in local
    value = step.frame.f_globals.get(chain[0], _NOTHING) if is_global else local[chain[0]]
    length = 1
    if value is _NOTHING:
        return value, 0, False
    for part in chain[1:]:
        try:
            value = attribute(value, part)
        except KeyError:
            break
        length += 1
    if is_kind(value, types.MethodType) and length > 1:
        value, length = value.__self__, length - 1
    return value, length, is_global or step.frame.f_code.co_name == "<module>"


def _client_in_frames(steps: list[Step], suspect: Any) -> ClientEntry | None:
    for step in steps:
        local = step.frame.f_locals
        for name in ("self", *local):
            hit = behind(local.get(name), suspect, depth=2)
            if hit is not None:
                return hit[0]
    return None


def _outermost(ledger: Ledger, steps: list[Step], entry: ClientEntry) -> ClientEntry:
    """Return the library's object that was called and has the client inside: a queue, not its event."""
    target = entry.ref()
    if target is None or not entry.stores_loop or entry.made is not None:
        return entry
    for step in reversed(steps):
        owner = step.frame.f_locals.get("self")
        if owner is None or owner is target or _is_projects(ledger, owner):
            continue
        if trail(owner, lambda part: part is target):
            outer = ledger.adopt(owner, entry.loop or 0)
            if outer is not None and outer.bound is None:
                outer.bound = entry.bound
            return outer or entry
    return entry


def _called(steps: list[Step], project: Step) -> Any | None:
    """Return the `self` of the library's frame that the project's line called, or None."""
    position = next(i for i, step in enumerate(steps) if step.frame is project.frame)
    for step in reversed(steps[:position]):
        if step.frame.f_code.co_varnames[:1] == ("self",):
            return step.frame.f_locals.get("self")
    return None


def _by_loop_attribute(ledger: Ledger, steps: list[Step], loop: int | None, running: int | None) -> Culprit:
    """The last resort: something in the frames that stores a loop which is not the running one."""
    for step in steps:
        for name, value in step.frame.f_locals.items():
            number = _loop_of(ledger, value, running)
            if number is not None and loop in (None, number):
                mine = ledger.sites.kind(step.file) == "project"
                return Culprit(
                    name if mine else type(value).__name__, type(value).__name__, None, None, number
                )
    return Culprit("something", "something", None, None, loop)


def _loop_of(ledger: Ledger, value: Any, running: int | None) -> int | None:
    """Return the number of the loop that the object is or stores as `_loop`, unless it is the running one."""
    if is_kind(value, asyncio.AbstractEventLoop):
        other = value
    else:
        other = value.get_loop() if is_kind(value, asyncio.Future) else stored(value).get("_loop")
    if not is_kind(other, asyncio.AbstractEventLoop):
        return None
    number = ledger.loop_entry(other).number
    return number if number != running else None
