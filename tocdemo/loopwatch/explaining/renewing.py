"""Advises to make an object anew for each test: which names must be set, in which order, and to what.

It gives the code of a fixture, or nothing: where a name that leads to the object cannot be set again by a
statement of the source, half of the code would still use the old one.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

from ..live.entries import ClientEntry
from ..live.holders import HolderEntry
from ..static.sources import Source
from .fixtures import FIXTURES_LOOP
from .suite import Suite, indented
from .writing import SET_UPS, Assigned, Home, assigned, is_lazy, moved, set_up, setters, used_at_import


@dataclass(frozen=True)
class _Step:
    """One line of the fixture: it sets `root` of `module`. It can run when what it `needs` was set."""

    module: str
    root: str
    code: str
    needs: frozenset[tuple[str, str]]
    imports: tuple[str, ...] = ()
    makes: bool = True


def renewed(suite: Suite, client: ClientEntry, leading: list[HolderEntry]) -> list[str] | None:
    """Return the lines of the advice, or None if the object cannot be made anew without a guess."""
    roots = {(entry.module, entry.root) for entry in leading}
    inside = _own_file(suite, leading)
    steps = []
    for module, root in dict.fromkeys((entry.module, entry.root) for entry in leading):
        entry = next(e for e in leading if (e.module, e.root) == (module, root))
        step = _step(entry, roots, inside)
        if step is None:
            return None
        steps.append(step)
    ordered = _ordered([step for step in steps if step.code])
    if not ordered:
        return None
    return _fixture(suite, client, ordered, leading, inside)


def _own_file(suite: Suite, leading: list[HolderEntry]) -> bool:
    """Whether every name is one of the module of the test itself."""
    module = getattr(getattr(suite.item, "module", None), "__name__", None)
    return all(entry.module == module for entry in leading)


def _home(module: str) -> Home | None:
    loaded = sys.modules.get(module)
    file = getattr(loaded, "__file__", None)
    if not isinstance(file, str) or module == "__main__":
        return None
    return Home(Source.of(file), module, getattr(loaded, "__package__", None) or None)


def _step(entry: HolderEntry, roots: set[tuple[str, str]], inside: bool) -> _Step | None:
    """Return how this name is set again; None if no statement of the source tells."""
    home = _home(entry.module)
    if home is None or entry.origin is None:
        return None
    target = entry.root if inside else f"{entry.module}.{entry.root}"
    imports = () if inside else (f"import {entry.module}",)
    if entry.name.startswith(entry.root + "()") and not entry.name.startswith(entry.root + "()<"):
        if entry.copied is not None:  # the same function, emptied where it was made
            return _Step(entry.module, entry.root, "", frozenset())
        return _Step(entry.module, entry.root, f"{target}.cache_clear()", frozenset(), imports, makes=False)
    if entry.copied is not None:
        source = (entry.copied.module, entry.copied.name)
        if source not in roots:
            return None
        code = f"{target} = {'.'.join(source)}"
        return _Step(entry.module, entry.root, code, frozenset([source]), (*imports, f"import {source[0]}"))
    return _assigned_step(entry, home, roots, target, imports, inside)


def _statement(entry: HolderEntry, home: Home) -> Assigned | None:
    """Return what gives the name its value: a statement at import, or one of a function that sets up."""
    made = entry.client.made
    if made is not None and made.line is not None and made.function in SET_UPS:
        return set_up(home.source, entry.root, made.line)
    return assigned(home.source, entry.root)


def _assigned_step(
    entry: HolderEntry,
    home: Home,
    roots: set[tuple[str, str]],
    target: str,
    imports: tuple[str, ...],
    inside: bool,
) -> _Step | None:
    statement = _statement(entry, home)
    mine = {root for module, root in roots if module == entry.module}
    if statement is None or (statement.is_empty and not is_lazy(home.source, entry.root)):
        return None
    lines = {s.line for root in mine if (s := assigned(home.source, root)) is not None}
    if "." not in entry.root and used_at_import(home.source, entry.root, lines):
        return None  # at import it was given to something else, or more was added to it
    written = moved(home, statement.value, mine, inside)
    if written is None:
        return None
    needs = {(entry.module, name) for name in mine - {entry.root} if re.search(rf"\b{name}\b", written.code)}
    code = f"{target} = {written.code}"
    return _Step(
        entry.module,
        entry.root,
        code,
        frozenset(needs),
        (*imports, *written.imports),
        makes=not statement.is_empty,
    )


def _ordered(steps: list[_Step]) -> list[_Step]:
    """Return the steps so that each comes after those that it needs; [] if they wait for each other."""
    done: set[tuple[str, str]] = set()
    found: list[_Step] = []
    while len(found) < len(steps):
        ready = [step for step in steps if step not in found and step.needs <= done]
        if not ready:
            return []
        found += ready
        done |= {(step.module, step.root) for step in ready}
    return found


def _fixture(
    suite: Suite, client: ClientEntry, steps: list[_Step], leading: list[HolderEntry], inside: bool
) -> list[str] | None:
    makes, in_coroutine = any(step.makes for step in steps), suite.kind in ("asyncio", "anyio")
    if makes and client.at_creation and not in_coroutine:
        return None
    unseen = client.made is None and client.bound is None  # it may bind when it is made
    needs_loop = makes and in_coroutine and (client.at_creation or unseen)
    name = "fresh_" + re.sub(r"\W+", "_", _first(leading).root).strip("_").lower()
    head = ["@pytest.fixture(autouse=True)", f"def {name}():"]
    imports = {"import pytest"}
    if needs_loop and suite.kind == "asyncio":
        scope = suite.setting(FIXTURES_LOOP) not in (None, "", "function")
        on_its_loop = ', loop_scope="function"' if scope else ""
        head = [f"@pytest_asyncio.fixture(autouse=True{on_its_loop})", f"async def {name}():"]
        imports = {"import pytest_asyncio"}
    elif needs_loop:
        head = ["@pytest.fixture(autouse=True)", f"async def {name}(anyio_backend):"]
    names = sorted(step.root for step in steps if inside and step.code.startswith(f"{step.root} ="))
    names = [name for name in names if "." not in name]
    body = ([f"global {', '.join(names)}"] if names else []) + [step.code for step in steps]
    imports |= {statement for step in steps for statement in step.imports}
    file = suite.file if inside else suite.conftest
    block = [*sorted(imports), "", "", *head, *(f"    {line}" for line in body)]
    return [f"{_sentence(leading)}; add to {file}:", *indented(block)]


def _first(leading: list[HolderEntry]) -> HolderEntry:
    """Return the name that was made first: the others were copied or built from it."""
    made = [entry for entry in leading if entry.copied is None and entry.origin is not None]
    return min(made, key=lambda entry: entry.origin.line if entry.origin else 0) if made else leading[0]


def _sentence(leading: list[HolderEntry]) -> str:
    first = _first(leading)
    home = _home(first.module)
    statement = _statement(first, home) if home is not None else None
    line = statement.line if statement else first.origin.line if first.origin else 0
    function, cached, _ = first.name.partition("()")
    if cached and "<" not in first.name:
        return f"{first.file}:{line}: {function} keeps what it made: empty it before each test"
    if statement is not None and statement.is_empty and home is not None:
        lines = setters(home.source, first.root)
        at = f" in line {lines[0]}" if len(lines) == 1 else ""
        return f"{first.file}: {first.root} is set once{at}, for all tests: set it back before each test"
    made = first.root if statement is not None and statement.is_bare else first.name
    return f"{first.file}:{line} makes {made} once, for all tests: make it anew before each test"
