"""Explains two errors in which no object is involved: a loop started in a running one, and no loop at all.

It reads the traceback and its source, so it must be asked while the error is alive.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable
from typing import Any

from ..live.ledger import Ledger
from ..live.sites import Step
from ..static.sources import Source, is_fixture
from .cause import Failure, ran_in, says
from .rewriting import rewritten
from .suite import Suite
from .words import line, where

# What asyncio, uvloop and pytest-asyncio write into such errors.
_NESTED = (
    "Runner.run() cannot be called",
    "asyncio.run() cannot be called",
    "another loop is running",
    "This event loop is already running",
)
_NO_LOOP = (
    "There is no current event loop",
    "no running event loop",
    "should be created within an async function",  # aiokafka (util.get_running_loop)
)
_RUNS = ("run", "run_until_complete")


def loop_error(ledger: Ledger, failure: Failure) -> tuple[tuple[Any, ...], list[str]] | None:
    """Return what is to be said of the failure's first error of these two kinds, or None if it has none.

    In front of the lines stands a key: failures with the same key have one cause.
    """
    for error in failure.errors():
        if isinstance(error, (RuntimeError, DeprecationWarning)):
            if says(error, _NESTED):
                return _said(ledger, failure, error, "nested", _nested)
            if says(error, _NO_LOOP):
                return _said(ledger, failure, error, "no loop", _no_loop)
    return None


def _said(
    ledger: Ledger,
    failure: Failure,
    error: BaseException,
    kind: str,
    text: Callable[[Ledger, Failure, list[Step]], list[str]],
) -> tuple[tuple[Any, ...], list[str]]:
    steps = ledger.sites.traceback(error.__traceback__)
    mine = [step for step in steps if ledger.sites.kind(step.file) == "project"]
    first = next((n for n, step in enumerate(mine) if _sync_fixture(step)), 0)
    project = mine[first:]
    place = (project[0].file, project[0].line) if project else (None, None)
    return (kind, *place), text(ledger, failure, project)


def _at(ledger: Ledger, step: Step) -> str:
    return f"{ledger.sites.shown(step.file)}:{step.line}"


# -- a loop in a running one ---------------------------------------------------------------------------------


def _nested(ledger: Ledger, failure: Failure, project: list[Step]) -> list[str]:
    if not project:
        return _running_already(ledger)
    number = ran_in(ledger, failure)
    ran = f"loop #{number}" if number else "a loop"
    head = (
        f"{_at(ledger, project[0])}, in {project[0].function}, starts a loop while {ran} runs in the same"
        " thread"
    )
    return [head, line(*(_awaited(ledger, project) or ("note", "in a coroutine, a coroutine is awaited")))]


def _running_already(ledger: Ledger) -> list[str]:
    """The test's own loop could not run: tell what is known of the one that does."""
    running = ledger.running()
    if ledger.loop_at_start:
        ran = f"loop #{running.number} runs in this thread already" if running else "a loop runs already"
        change = "run pytest in a thread of its own; in a notebook: ipytest.config(run_in_thread=True)"
        return [
            f"pytest was started in a thread where a loop runs, so the test's loop cannot run ({ran})",
            line("note", change),
        ]
    made = f", made {where(running.made)}" if running is not None and running.made is not None else ""
    lines = [
        f"loop #{running.number}{made}, runs in this thread already, so the test's loop cannot run"
        if running is not None
        else "another loop ran in this thread, so the test's loop could not run"
    ]
    if "playwright.sync_api" in sys.modules:
        lines.append(line("likely", "it is that of Playwright's sync API, which runs until it is stopped"))
    return lines


def _awaited(ledger: Ledger, project: list[Step]) -> tuple[str, str] | None:
    """Return the change that awaits instead, in the innermost coroutine of the project."""
    place = next((n for n, s in enumerate(project) if s.frame.f_code.co_flags & inspect.CO_COROUTINE), None)
    if place is None:
        return None
    step = project[place]
    if place == 0:
        found = rewritten(Source.of(step.file), step.line, _RUNS, _await)
        told = "`await` the coroutine there"
    else:
        inner = project[place - 1].function
        found = rewritten(Source.of(step.file), step.line, (inner,), _in_a_thread)
        told = f"call {inner} in a thread, where a loop of its own can run"
    if found is None:
        return None
    return "change", f"{told}: {ledger.sites.shown(step.file)}:{found[0]}: write `{found[1]}` there"


def _await(call: ast.Call) -> ast.expr | None:
    return ast.Await(call.args[0]) if call.args else None


def _in_a_thread(call: ast.Call) -> ast.expr | None:
    to_thread = ast.Attribute(ast.Name("asyncio", ast.Load()), "to_thread", ast.Load())
    return ast.Await(ast.Call(to_thread, [call.func, *call.args], call.keywords))


# -- no loop -------------------------------------------------------------------------------------------------


def _no_loop(ledger: Ledger, failure: Failure, project: list[Step]) -> list[str]:
    if not project:
        return ["a running loop was asked for where none runs; no frame of the project is in the traceback"]
    step, suite = project[0], Suite(failure.item)
    at, function = _at(ledger, step), step.function
    node = _sync_fixture(step)
    if node is not None:
        head = f"{function} is a sync fixture, in which no loop runs; {at} needs one"
        if suite.kind != "asyncio":
            return [head]
        shown = f"{ledger.sites.shown(step.file)}:{node.lineno}"
        change = (
            f"make it async: `@pytest_asyncio.fixture` and `async def {function}` ({shown});"
            " it then runs on a loop"
        )
        return [head, line("change", change)]
    what = "at import" if function == "<module>" else f"in {function}"
    head = f"{at} needs a loop, {what}, where none runs"
    made = rewritten(Source.of(step.file), step.line, ("get_event_loop",), _new_loop)
    if made is not None and suite.kind in ("unittest", "sync"):
        shown = f"{ledger.sites.shown(step.file)}:{made[0]}"
        return [head, line("change", f"make a loop of its own: {shown}: write `{made[1]}` there")]
    return [head, line("note", _WHERE_A_LOOP_RUNS[suite.kind])]


_IN_COROUTINES = "a loop runs in a coroutine: in an `async def` test, and in an async fixture"
_WHERE_A_LOOP_RUNS = {
    "import": _IN_COROUTINES,
    "asyncio": _IN_COROUTINES,
    "anyio": _IN_COROUTINES,
    "sync": "a loop runs in a coroutine only, and this test is none",
    "isolated": "a loop runs in coroutines: in `asyncSetUp`, and in an `async def` test",
    "unittest": "a `unittest.TestCase` runs no coroutine; a `unittest.IsolatedAsyncioTestCase` does",
}


def _new_loop(call: ast.Call) -> ast.expr | None:
    if not isinstance(call.func, ast.Attribute) or call.args:
        return None
    return ast.Call(ast.Attribute(call.func.value, "new_event_loop", ast.Load()), [], [])


def _sync_fixture(step: Step) -> ast.FunctionDef | None:
    node = Source.of(step.file).function_at(step.line, step.function)
    return node if isinstance(node, ast.FunctionDef) and is_fixture(node) else None
