"""Advises on a fixture whose loop is not its tests': make it for each test, or let both share one loop.

It reads fixtures as pytest defines them, and their decorators in the source. A fixture that others need is
never made narrower than these.
"""

from __future__ import annotations

import ast
import inspect
from dataclasses import dataclass
from typing import Any

from ..live.holders import SCOPES, HoldingFixture
from ..live.ledger import Ledger
from ..static.sources import Source, dotted
from .suite import Suite, indented

# pytest-asyncio 0.24 brought loop scopes apart from scopes, 0.26 the setting for tests; before 0.23 there was
# one loop, made by the fixture `event_loop` (its changelog).
LOOP_SCOPES, TEST_SETTING, MARKS = (0, 24), (0, 26), (0, 23)
FIXTURES_LOOP = "asyncio_default_fixture_loop_scope"
_TESTS = "asyncio_default_test_loop_scope"


@dataclass(frozen=True)
class Written:
    """A fixture in the source: its file as shown, its function, and the decorator that makes it a fixture."""

    file: str
    function: ast.FunctionDef | ast.AsyncFunctionDef
    decorator: ast.expr

    @property
    def is_async(self) -> bool:
        return isinstance(self.function, ast.AsyncFunctionDef)

    @property
    def called(self) -> str:
        """How the source calls the decorator: "pytest.fixture", for instance."""
        target = self.decorator.func if isinstance(self.decorator, ast.Call) else self.decorator
        return ast.unparse(target)

    def edit(self, called: str, **changed: str | bool | None) -> str | None:
        """Return the sentence that writes the decorator with other keywords; a None takes one away.

        None if arguments of the decorator have no names.
        """
        call = self.decorator if isinstance(self.decorator, ast.Call) else None
        if call is not None and (call.args or any(keyword.arg is None for keyword in call.keywords)):
            return None
        kept = {k.arg or "": _quoted(k.value) for k in (call.keywords if call else ())}
        for name, value in changed.items():
            kept.pop(name, None)
            if value is not None:
                kept[name] = repr(value) if isinstance(value, bool) else f'"{value}"'
        arguments = ", ".join(f"{name}={value}" for name, value in kept.items())
        new = f"@{called}({arguments})" if arguments else f"@{called}"
        return f"{self.file}:{self.decorator.lineno}: write `{new}` there"


def _quoted(value: ast.expr) -> str:
    if isinstance(value, ast.Constant) and isinstance(value.value, str) and '"' not in value.value:
        return f'"{value.value}"'
    return ast.unparse(value)


def written(suite: Suite, ledger: Ledger, definition: Any) -> Written | None:
    """Return where the project's source defines this fixture, or None."""
    code = getattr(inspect.unwrap(definition.func), "__code__", None)
    if code is None or ledger.sites.kind(code.co_filename) != "project":
        return None
    node = Source.of(code.co_filename).function_at(code.co_firstlineno, code.co_name)
    for decorator in node.decorator_list if node is not None else ():
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        if node is not None and (dotted(target) or [""])[-1] == "fixture":
            return Written(suite.shown(code.co_filename), node, decorator)
    return None


def narrowed(suite: Suite, ledger: Ledger, fixture: HoldingFixture) -> list[str] | None:
    """Advise to make the fixture, and every wider one that needs it, anew for each test."""
    edits = []
    for definition in _with_dependents(suite, fixture):
        source = written(suite, ledger, definition)
        edit = _narrow_edit(suite, source) if source is not None else None
        if edit is None:
            return None
        edits.append(edit)
    return [f"make `{fixture.name}` anew for each test, on its loop: {' and '.join(edits)}"]


def _narrow_edit(suite: Suite, source: Written) -> str | None:
    version = suite.asyncio_version
    if source.is_async and version and version >= LOOP_SCOPES:
        if suite.setting(FIXTURES_LOOP) not in (None, "", "function"):
            return source.edit("pytest_asyncio.fixture", scope=None, loop_scope="function")
        return source.edit(source.called, scope=None, loop_scope=None)
    return source.edit(source.called, scope=None)


def _with_dependents(suite: Suite, fixture: HoldingFixture) -> list[Any]:
    """Return the fixture's definition and those wider than a function that need it, directly or not."""
    every = suite.definitions
    found, names = [fixture.definition], {fixture.name}
    grown = True
    while grown:
        grown = False
        for definition in every:
            needs = names & set(definition.argnames) and definition.argname not in names
            if needs and definition.scope != "function":
                found.append(definition)
                names.add(definition.argname)
                grown = True
    return found


def widened(suite: Suite, fixture: HoldingFixture) -> list[str] | None:
    """Advise to let the tests run on the loop of the fixture."""
    version = suite.asyncio_version
    scope = _loop_scope(suite, fixture.definition)
    if version is None or _explicit(suite, scope) or scope == "function":
        return None
    sentence = f"let the tests run on the loop of `{fixture.name}`"
    if scope == "session":
        return one_loop(suite, sentence)
    wider = SCOPES[: SCOPES.index(scope)]
    if version < TEST_SETTING or any(_is_async(d) and d.scope in wider for d in suite.definitions):
        return None
    first, *more = suite.in_settings({_TESTS: scope, FIXTURES_LOOP: scope})
    return [f"{sentence}: {first}", *more]


def one_loop(suite: Suite, sentence: str) -> list[str] | None:
    """Advise to run every test and async fixture on one loop, as the installed pytest-asyncio does it."""
    version = suite.asyncio_version
    if version is None or _explicit(suite, "session"):
        return None
    if version >= TEST_SETTING:
        first, *more = suite.in_settings({_TESTS: "session", FIXTURES_LOOP: "session"})
        return [f"{sentence}: {first}", *more]
    if version >= LOOP_SCOPES:
        first, *more = suite.in_settings({FIXTURES_LOOP: "session"})
        hook = _hook("loop_scope")
        if more:
            return None
        return [f"{sentence}: {first}, and add to {suite.conftest}:", *indented(hook)]
    if version >= MARKS:
        if any(_is_async(d) and d.scope != "session" for d in _definitions(suite)):
            return None  # these run on a loop of their scope, always (0.23)
        return [f"{sentence}; add to {suite.conftest}:", *indented(_hook("scope"))]
    return [f"{sentence}; add to {suite.conftest}:", *indented(_EVENT_LOOP)]


# As the documentation of pytest-asyncio 0.23 to 0.25 has it: "how to run all tests in the session in the same
# event loop"; and of 0.21: "event_loop".
def _hook(keyword: str) -> list[str]:
    return [
        "import pytest",
        "from pytest_asyncio import is_async_test",
        "",
        "",
        "def pytest_collection_modifyitems(items):",
        "    for item in items:",
        "        if is_async_test(item):",
        f'            item.add_marker(pytest.mark.asyncio({keyword}="session"), append=False)',
    ]


_EVENT_LOOP = [
    "import asyncio",
    "import pytest",
    "",
    "",
    '@pytest.fixture(scope="session")',
    "def event_loop():",
    "    loop = asyncio.new_event_loop()",
    "    yield loop",
    "    loop.close()",
]


def _definitions(suite: Suite) -> list[Any]:
    return list((getattr(suite.item._request, "_fixture_defs", None) or {}).values())


def _is_async(definition: Any) -> bool:
    function = inspect.unwrap(definition.func)
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _loop_scope(suite: Suite, definition: Any) -> str:
    said = getattr(definition.func, "_loop_scope", None)
    return said or suite.setting(FIXTURES_LOOP) or definition.scope


def _explicit(suite: Suite, scope: str) -> bool:
    """Whether a mark or a fixture of the suite names another loop scope: a setting would not reach these."""
    for item in suite.item.session.items:
        for mark in item.iter_markers("asyncio"):
            if (mark.kwargs.get("loop_scope") or mark.kwargs.get("scope") or scope) != scope:
                return True
    said = {getattr(definition.func, "_loop_scope", None) for definition in suite.definitions}
    return bool(said - {None, scope})


def joined(suite: Suite, ledger: Ledger, fixture: HoldingFixture) -> list[str] | None:
    """Advise to run a fixture of one test on the loop on which the test runs."""
    mark = suite.item.get_closest_marker("asyncio")
    scope = (mark.kwargs.get("loop_scope") if mark else None) or suite.setting(_TESTS)
    source = written(suite, ledger, fixture.definition)
    version = suite.asyncio_version
    if source is None or not source.is_async or not scope or version is None or version < LOOP_SCOPES:
        return None
    edit = source.edit("pytest_asyncio.fixture", loop_scope=scope)
    told = f"`{fixture.name}` runs on a loop already, and not on that of the tests; give both the same"
    return [f"{told} `loop_scope`: {edit}"] if edit else None


def asked_for_by_all(suite: Suite, ledger: Ledger, name: str) -> list[str] | None:
    """Advise to let every test have the fixture that made an object, and left it behind for the next test."""
    definition = suite.definition(name)
    if definition is None or name in suite.item.fixturenames or definition.scope != "function":
        return None
    source = written(suite, ledger, definition)
    edit = source.edit(source.called, autouse=True) if source is not None else None
    told = f"`{name}` made it for an earlier test, and this test does not ask for it: let every test have it"
    return [f"{told}; {edit}"] if edit else None
