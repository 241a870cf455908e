"""Explains two errors in which no object is involved: a loop started in a running one, and no loop at all.

It reads the traceback and its source, so it must be asked while the error is alive.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from ..live.ledger import Ledger
from ..live.sites import Step
from ..static.sources import Source, is_fixture
from .cause import Failure, ran_in, says
from .words import line

# What asyncio, uvloop and pytest-asyncio write into such errors.
_NESTED = (
    "Runner.run() cannot be called",
    "asyncio.run() cannot be called",
    "another loop is running",
    "This event loop is already running",
)
_NO_LOOP = ("There is no current event loop", "no running event loop")


def loop_error(ledger: Ledger, failure: Failure) -> tuple[tuple[Any, ...], list[str]] | None:
    """Return what is to be said of the failure's first error of these two kinds, or None if it has none.

    In front of the lines stands a key: failures with the same key have one cause.
    """
    for error in failure.errors():
        if isinstance(error, RuntimeError | DeprecationWarning):
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
    text: Callable[[Ledger, Failure, Step | None], list[str]],
) -> tuple[tuple[Any, ...], list[str]]:
    steps = ledger.sites.traceback(error.__traceback__)
    mine = [step for step in steps if ledger.sites.kind(step.file) == "project"]
    project = next((step for step in mine if _sync_fixture(step)), mine[0] if mine else None)
    place = (project.file, project.line) if project else (None, None)
    return (kind, *place), text(ledger, failure, project)


def _at(ledger: Ledger, step: Step) -> str:
    return f"{ledger.sites.shown(step.file)}:{step.line}"


def _nested(ledger: Ledger, failure: Failure, project: Step | None) -> list[str]:
    if project is None:
        running = ledger.running()
        ran = f"loop #{running.number} runs in this thread already" if running else "a loop runs already"
        return [
            f"pytest was started in a thread where a loop runs, so the test's loop cannot run ({ran})",
            line(
                "change",
                "run pytest in a thread of its own; in a notebook: ipytest.config(run_in_thread=True)",
            ),
        ]
    number = ran_in(ledger, failure)
    ran = f"loop #{number}" if number else "a loop"
    return [
        f"{_at(ledger, project)}, in {project.function}, starts a loop while {ran} runs in the same thread",
        line(
            "change",
            "`await` the coroutine there instead of running it; if the function must stay sync, call it",
        ),
        line("", "with `await asyncio.to_thread(...)`, where a loop of its own can run"),
    ]


def _no_loop(ledger: Ledger, failure: Failure, project: Step | None) -> list[str]:
    if project is None:
        return [
            "a running loop was asked for where none runs",
            line("change", "not known: no frame of the project is in the traceback"),
        ]
    at, function = _at(ledger, project), project.function
    if node := _sync_fixture(project):
        return [
            f"{function} is a sync fixture, in which no loop runs; {at} needs one",
            line(
                "change",
                f"make it async: `@pytest_asyncio.fixture` and `async def {function}` "
                f"({ledger.sites.shown(project.file)}:{node.lineno}); it then runs on a loop",
            ),
        ]
    what = "at import" if function == "<module>" else f"in {function}"
    change = "do it in a coroutine: an `async def` test, or an async fixture (`@pytest_asyncio.fixture`)"
    return [f"{at} needs a loop, {what}, where none runs", line("change", change)]


def _sync_fixture(step: Step) -> ast.FunctionDef | None:
    node = Source.of(step.file).function_at(step.line, step.function)
    return node if isinstance(node, ast.FunctionDef) and is_fixture(node) else None
