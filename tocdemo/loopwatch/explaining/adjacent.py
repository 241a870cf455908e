"""Explains two errors before a test begins: a fixture of pytest-asyncio that is gone, and scopes.

It reads the error and pytest's definitions of fixtures.
"""

from __future__ import annotations

import inspect
from typing import Any

from ..live.ledger import Ledger
from .cause import Failure
from .fixtures import LOOP_SCOPES, MARKS, one_loop, written
from .suite import Suite, indented
from .words import line

_WIDTHS = {"session": 4, "package": 3, "module": 2, "class": 1, "function": 0}


def adjacent(ledger: Ledger, failure: Failure) -> tuple[tuple[Any, ...], list[str]] | None:
    """Return a key and what is to be said of the failure, or None if it is none of these."""
    suite = Suite(failure.item)
    if suite.kind == "import":
        return None
    for error in failure.errors():
        if getattr(error, "argname", None) == "event_loop":
            return _event_loop_gone(ledger, suite, error)
        if "ScopeMismatch" in str(error):
            return _scope_mismatch(ledger, suite)
    return None


def _event_loop_gone(ledger: Ledger, suite: Suite, error: Any) -> tuple[tuple[Any, ...], list[str]] | None:
    version = suite.asyncio_version
    if version is None or version < (1, 0):
        return None
    shown = ".".join(map(str, version))
    stack = getattr(error, "fixturestack", None)
    function = inspect.unwrap(stack[-1].func if stack else suite.item.obj)
    code = getattr(function, "__code__", None)
    if code is None or ledger.sites.kind(code.co_filename) != "project":
        return None
    at = f"{ledger.sites.shown(code.co_filename)}:{code.co_firstlineno}"
    needs = f"{code.co_name} ({at}) needs it"
    lines = [f"pytest-asyncio {shown} has no fixture `event_loop`, which went with 1.0; {needs}"]
    if suite.kind == "sync" and not inspect.iscoroutinefunction(function):
        first, *block = [f"define it; add to {suite.conftest}:", *indented(_EVENT_LOOP)]
        lines += [line("change", first), *(line("", each) for each in block)]
    return ("event_loop", at), lines


_EVENT_LOOP = [
    "import asyncio",
    "import pytest",
    "",
    "",
    "@pytest.fixture",
    "def event_loop():",
    "    loop = asyncio.new_event_loop()",
    "    yield loop",
    "    loop.close()",
]


def _loop_scope(suite: Suite, definition: Any, version: tuple[int, ...]) -> str:
    """Return the scope of the loop on which an async fixture is to run."""
    if version < MARKS:
        loop = suite.definition("event_loop")
        return loop.scope if loop is not None else "function"
    said = getattr(definition.func, "_loop_scope", None)
    return said or suite.setting("asyncio_default_fixture_loop_scope") or definition.scope


def _scope_mismatch(ledger: Ledger, suite: Suite) -> tuple[tuple[Any, ...], list[str]] | None:
    """Find the async fixture that outlives the loop on which it is to run."""
    version = suite.asyncio_version
    definitions = getattr(suite.item, "_fixtureinfo", None)
    if version is None or definitions is None or MARKS <= version < LOOP_SCOPES:
        return None
    for name, found in definitions.name2fixturedefs.items():
        definition = found[-1]
        source = written(suite, ledger, definition)
        scope = _loop_scope(suite, definition, version)
        if source is None or not source.is_async or _WIDTHS[definition.scope] <= _WIDTHS[scope]:
            continue
        at = f"{source.file}:{source.decorator.lineno}"
        scopes = f"has the scope {definition.scope}, its loop only the scope {scope}"
        lines = [f"the async fixture `{name}` ({at}) {scopes}"]
        if edit := source.edit(source.called, scope=None):
            lines.append(line("change", edit))
        if version < MARKS:
            shared = one_loop(suite, "run all tests on one loop") or []
            lines += [line("" if number else "or", each) for number, each in enumerate(shared)]
        elif edit := source.edit("pytest_asyncio.fixture", loop_scope=definition.scope):
            lines.append(line("or", edit))
        return ("scope", name, at), lines
    return None
