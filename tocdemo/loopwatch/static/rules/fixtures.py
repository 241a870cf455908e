"""Rules for single fixtures: sync ones that need a loop, async ones that nobody runs, `event_loop`.

It must not know kept objects or the project's call graph.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..context import Context
from ..findings import Finding
from ..names import body, called, keyword, last_name, parameters, walk
from ..objects.libraries import MADE
from ..objects.things import Thing
from ..sources import dotted
from ..suite import ASYNCIO, SYNC, Fixture, Test, fixture_decorator

_RUNNING, _CURRENT = "asyncio.get_running_loop", "asyncio.get_event_loop"
_AT_ONCE = {"motor", "aiohttp", "aiokafka", "grpcio", "aiomqtt"}


def fixtures(context: Context) -> Iterator[Finding]:
    """Find what is wrong with a fixture by itself."""
    users: dict[int, list[Test]] = {}
    for test in context.suite.tests:
        for fixture in context.suite.used(test):
            users.setdefault(id(fixture), []).append(test)
    for same in context.suite.fixtures.values():
        for fixture in same:
            tests = users.get(id(fixture), [])
            if fixture.name == "event_loop":
                yield from _override(context, fixture)
            elif not fixture.code.is_async:
                yield from _sync(context, fixture, tests)
            yield from _gives_nothing(context, fixture, tests)
            yield from _not_run(context, fixture, tests)
            yield from _unknown_keyword(context, fixture)
    yield from _asks_for_event_loop(context)
    yield from _ignored_keyword(context)


# -- event_loop --------------------------------------------------------------------------------------------


def _override(context: Context, fixture: Fixture) -> Iterator[Finding]:
    if context.dialect.event_loop_fixture or _used_by_sync(context, fixture):
        return
    yield context.finding(
        "event-loop-override",
        fixture.file,
        fixture.node.lineno,
        "overrides the fixture `event_loop`, which pytest-asyncio has removed in 1.0: no test has its loop",
        'delete it; tests that must share a loop get `@pytest.mark.asyncio(loop_scope="session")`',
    )


def _used_by_sync(context: Context, fixture: Fixture) -> bool:
    """Whether sync code asks for it by name: then it is the project's own fixture, and works."""
    codes = [test.code for test in context.suite.tests]
    codes += [other.code for same in context.suite.fixtures.values() for other in same]
    return any(
        not code.is_async
        and code is not fixture.code
        and any(p.arg == "event_loop" for p in parameters(code.node))
        for code in codes
    )


def _asks_for_event_loop(context: Context) -> Iterator[Finding]:
    suite = context.suite
    if suite.dialect.event_loop_fixture:
        return
    if not suite.dialect.known and not any(test.kind == ASYNCIO for test in suite.tests):
        return
    used = {id(f): f.code for test in suite.tests for f in suite.used(test)}
    for code in [*(test.code for test in suite.tests), *used.values()]:
        if (
            any(p.arg == "event_loop" for p in parameters(code.node))
            and suite.fixture(code, "event_loop") is None
        ):
            if any(
                isinstance(d, ast.Call) and last_name(d.func) == "parametrize"
                for d in code.node.decorator_list
            ):
                continue
            yield context.finding(
                "event-loop-asked-for",
                code.file,
                code.node.lineno,
                f"{code.node.name} asks for the fixture `event_loop`, which pytest-asyncio has removed in "
                "1.0, and no file of the project defines it",
                "leave it out; call `asyncio.get_running_loop()` in a coroutine that needs the loop",
            )


# -- sync fixtures -----------------------------------------------------------------------------------------


def _sync(context: Context, fixture: Fixture, tests: list[Test]) -> Iterator[Finding]:
    guarded = _guarded(fixture)
    driven = {
        id(n)
        for call in body(fixture.node)
        if isinstance(call, ast.Call) and _runs(call)
        for n in ast.walk(call)
    }
    for node in body(fixture.node):
        if not isinstance(node, ast.Call) or id(node) in guarded:
            continue
        name = fixture.file.full_name(node.func) or ""
        change = f"make it async: `@pytest_asyncio.fixture` and `async def {fixture.node.name}`"
        if name == _RUNNING or (name == _CURRENT and _is_wrong_loop(context, fixture, tests)):
            says = (
                "no loop runs in a sync fixture" if name == _RUNNING else "that is not the loop of the test"
            )
            yield context.finding(
                "loop-in-sync-fixture",
                fixture.file,
                node.lineno,
                f"the sync fixture {fixture.node.name} asks for {name}(), and {says}",
                change,
            )
        elif id(node) not in driven and (thing := _bound_at_once(context, fixture, node, tests)):
            have = context.installed.get(thing.maker.library, "")
            yield context.finding(
                "client-in-sync-fixture",
                fixture.file,
                node.lineno,
                f"the sync fixture {fixture.node.name} makes a {thing.maker.noun} of "
                f"{thing.maker.library} {have}, which binds to a loop when it is made; in a sync fixture "
                "that is not the test's loop",
                change,
            )


def _is_wrong_loop(context: Context, fixture: Fixture, tests: list[Test]) -> bool:
    """From pytest-asyncio 0.23 on the current loop of a sync fixture is not the test's (measured with 0.23.8,
    0.26.0, 1.1.0 and 1.5.0); a sync fixture of pytest_asyncio's own decorator is given it."""
    if fixture.asyncio or context.dialect.version < (0, 23):
        return False
    if any("loop" in p.arg for p in parameters(fixture.node)):
        return False
    if any(isinstance(n, ast.Call) and last_name(n.func) == "set_event_loop" for n in body(fixture.node)):
        return False
    return bool(tests) and all(test.kind == ASYNCIO for test in tests)


def _runs(call: ast.Call) -> bool:
    return last_name(call.func) in ("run_until_complete", "run", "run_coroutine_threadsafe", "submit")


def _guarded(fixture: Fixture) -> set[int]:
    """Return the calls that stand in a `try` with handlers: there the error was thought of."""
    return {
        id(n)
        for node in body(fixture.node)
        if isinstance(node, ast.Try) and node.handlers
        for part in node.body
        for n in ast.walk(part)
    }


def _bound_at_once(context: Context, fixture: Fixture, call: ast.Call, tests: list[Test]) -> Thing | None:
    """Nothing is said of what is not installed, nor of what is given its loop."""
    if (
        keyword(call, "loop") is not None
        or keyword(call, "io_loop") is not None
        or keyword(call, "connector") is not None
    ):
        return None
    thing = context.things.of(fixture.file, call) if dotted(call.func) else None
    if thing is None or thing.kept or thing.maker.binds != MADE or thing.maker.library not in _AT_ONCE:
        return None
    if thing.maker.library not in context.installed or (thing.via and _is_async(context, fixture, call)):
        return None
    if thing.maker.library == "motor" and context.dialect.version < (0, 23):
        return None
    if thing.maker.library == "grpcio" and not any(test.kind != SYNC for test in tests):
        return None
    return thing


def _is_async(context: Context, fixture: Fixture, call: ast.Call) -> bool:
    target = context.project.target(fixture.file, call.func)
    return bool(target and target.function and target.function.is_async)


# -- what a fixture gives ----------------------------------------------------------------------------------


def _gives_nothing(context: Context, fixture: Fixture, tests: list[Test]) -> Iterator[Finding]:
    """A test that uses an attribute of what a fixture does not give: it is None."""
    given = [n for n in body(fixture.node) if isinstance(n, (ast.Return, ast.Yield))]
    if len(fixture.node.decorator_list) != 1 or any(isinstance(n, ast.YieldFrom) for n in body(fixture.node)):
        return
    if any(
        not (n.value is None or (isinstance(n.value, ast.Constant) and n.value.value is None)) for n in given
    ):
        return
    if not any(context.things.of(fixture.file, n) for n in body(fixture.node) if isinstance(n, ast.Call)):
        return
    for test in tests:
        if context.suite.fixture(test.code, fixture.name) is fixture and (
            line := _attribute_of(test, fixture.name)
        ):
            yield context.finding(
                "fixture-gives-nothing",
                fixture.file,
                fixture.node.lineno,
                f"the fixture {fixture.node.name} makes its object and gives nothing to the test: "
                f"in {test.name} ({context.place(test.code, line)}) {fixture.name} is None",
                "write the object after `yield` (or `return`)",
            )
            return


def _attribute_of(test: Test, name: str) -> int | None:
    if not any(p.arg == name for p in parameters(test.code.node)):
        return None
    if any(
        isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store)
        for n in body(test.code.node, True)
    ):
        return None
    for node in body(test.code.node):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name:
            return node.lineno
    return None


def _not_run(context: Context, fixture: Fixture, tests: list[Test]) -> Iterator[Finding]:
    """An async fixture of pytest's own decorator in strict mode: the test gets a coroutine or a generator."""
    full = fixture.file.full_name(called(fixture_decorator(fixture.file, fixture.node) or ast.Name("")))
    if not fixture.code.is_async or full != "pytest.fixture" or context.suite.settings(fixture.file).auto:
        return
    if any("anyio" in file.text for file in context.project.files) or len(fixture.node.decorator_list) != 1:
        return
    wrong = [
        t for t in tests if t.kind == ASYNCIO and any(p.arg == fixture.name for p in parameters(t.code.node))
    ]
    if wrong:
        yield context.finding(
            "async-fixture-not-run",
            fixture.file,
            fixture.node.lineno,
            f"the async fixture {fixture.node.name} has pytest's own decorator, and pytest-asyncio is in "
            f"strict mode: nothing awaits it for {wrong[0].name} ({context.place(wrong[0].code)})",
            "decorate it with `@pytest_asyncio.fixture`",
        )


# -- keywords ----------------------------------------------------------------------------------------------


def _unknown_keyword(context: Context, fixture: Fixture) -> Iterator[Finding]:
    decorator = fixture_decorator(fixture.file, fixture.node)
    if context.dialect.loop_scope_keyword or not context.dialect.known or not isinstance(decorator, ast.Call):
        return
    if fixture.asyncio and keyword(decorator, "loop_scope") is not None:
        yield context.finding(
            "loop-scope-unknown",
            fixture.file,
            fixture.node.lineno,
            f"gives `loop_scope` to the fixture {fixture.node.name}; {context.dialect.name} does not know it"
            ", and the file cannot be imported",
            "install pytest-asyncio 0.24 or later, or leave `loop_scope` out",
        )


def _ignored_keyword(context: Context) -> Iterator[Finding]:
    if context.dialect.loop_scope_keyword or not context.dialect.known:
        return
    for file in {test.code.file: None for test in context.suite.tests if test.kind == ASYNCIO}:
        for node in walk(file.source.tree):
            marked = isinstance(node, ast.Call) and (dotted(node.func) or [])[-2:] == ["mark", "asyncio"]
            if marked and isinstance(node, ast.Call) and keyword(node, "loop_scope") is not None:
                yield context.finding(
                    "loop-scope-unknown",
                    file,
                    node.lineno,
                    f"asks for `loop_scope` in the mark, which {context.dialect.name} ignores: "
                    "each test has a loop of its own",
                    "install pytest-asyncio 0.24 or later",
                )
