"""The question of a project of any shape: do its tests pass together, in any order, alone, and again?

Its tests run in this process again and again, each time with fresh modules and a database of their own. Each
run stops nothing; after the first one with a failure no further one begins.
"""

import asyncio
import importlib
import inspect
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from motor import motor_asyncio

from tocdemo.runner import fresh

from ..trials import AGAIN, ALONE, REVERSED, SHUFFLED, TOGETHER
from .notes import Notes
from .script import asyncio_as_it_is
from .suite import Ends, Report, run_pytest

SEED = 11  # the same random order each time: a verdict must not be luck
Order = Callable[[list[pytest.Item]], list[pytest.Item]]


def look(folder: Path, notes: Notes, *, tests: list[str]) -> None:
    """Run all tests below `folder` in several ways; run each of `tests` alone."""
    before, patched = _as_it_is(), set[str]()
    for run, order in _runs(tests):
        watch = _Watch(notes, run, order, before)
        with fresh.as_before(folder):
            code, words = run_pytest([str(folder)], "embedded", [watch])
        patched |= watch.patched
        notes.add("pytest", run=run, code=code, words=words)
        if watch.failed or code not in (0, 1, 5):  # 5: no test
            break
    notes.add("patched", names=sorted(patched))


def _runs(tests: list[str]) -> Iterator[tuple[str, Order]]:
    yield TOGETHER, list
    for name in tests:
        yield ALONE, _only(name)
    yield AGAIN, list
    yield REVERSED, lambda items: items[::-1]
    yield SHUFFLED, _shuffled


def _only(name: str) -> Order:
    return lambda items: [item for item in items if name_of(item) == name]


def _shuffled(items: list[pytest.Item]) -> list[pytest.Item]:
    return random.Random(SEED).sample(items, len(items))


def name_of(item: pytest.Item) -> str:
    """Return the name of a test, without its parameters."""
    return item.name.partition("[")[0]


def _as_it_is() -> dict[str, Any]:
    """Return what hides the bug when it is replaced, as it is now: parts of asyncio, and of Motor (3.7)."""
    loop: Any = asyncio.base_events.BaseEventLoop
    client: Any = motor_asyncio.AsyncIOMotorClient
    parts = asyncio_as_it_is() | {
        f"asyncio.BaseEventLoop.{name}": getattr(loop, name)
        for name in ("close", "is_closed", "_check_closed", "run_in_executor")
    }
    for name in ("io_loop", "get_io_loop"):
        parts[f"AsyncIOMotorClient.{name}"] = inspect.getattr_static(client, name)
    framework = vars(importlib.import_module("motor.frameworks.asyncio"))
    functions = {name: value for name, value in framework.items() if inspect.isfunction(value)}
    return parts | {f"motor.frameworks.asyncio.{name}": function for name, function in functions.items()}


class _Watch(Ends):
    """A pytest plugin: the tests come in an order of ours, and how each ends is noted."""

    def __init__(self, notes: Notes, run: str, order: Order, before: dict[str, Any]) -> None:
        super().__init__(notes)
        self.run, self.order, self.before = run, order, before
        self.failed = False
        self.patched: set[str] = set()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = self.order(items)
        self.notes.add("collected", run=self.run, tests=[name_of(item) for item in items])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self.notes.add("begins", test=name_of(item))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self) -> None:
        now = _as_it_is()
        self.patched.update(name for name, value in self.before.items() if now[name] is not value)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo) -> Report:
        report = yield
        more = self.notes.failure_of(call)
        if getattr(report, "wasxfail", None) is not None:
            more["xfail"] = True
        self.failed = self.failed or bool(more) or report.outcome != "passed"
        what = {"run": self.run, "test": name_of(item), "phase": call.when, "outcome": report.outcome}
        self.notes.add("report", **what, **more)
        return report
