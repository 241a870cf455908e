"""The question of a project of any shape: do its tests pass together, in any order, alone, and again?

Its tests run in this process again and again, each time with fresh modules and a database of their own. Each
run stops nothing; after the first one with a failure no further one begins.
"""

import importlib
import inspect
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from motor import motor_asyncio
from pymongo import AsyncMongoClient

from tocdemo.runner import fresh

from ..trials import AGAIN, ALONE, REVERSED, SHUFFLED, TOGETHER
from .notes import Notes
from .script import Asyncio
from .suite import Ends, Report, run_pytest

SEED = 11  # the same random order each time: a verdict must not be luck
_OF_LOOPS = ("io_loop", "get_io_loop")
Order = Callable[[list[pytest.Item]], list[pytest.Item]]


def look(folder: Path, notes: Notes, *, tests: list[str], by_file: bool = False) -> None:
    """Run all tests below `folder` in several ways; run each of `tests` alone.

    In the random order, the tests of a file stay together if `by_file`, as pytest-randomly has them.
    """
    makers = _Makers()
    for run, order in _runs(tests, by_file):
        watch = _Watch(notes, run, order, makers)
        with fresh.as_before(folder):
            code, words = run_pytest([str(folder)], "embedded", [watch])
        notes.add("pytest", run=run, code=code, words=words)
        if watch.failed or code not in (0, 1, 5):  # 5: no test
            break
    notes.add("patched", names=makers.patched())


def _runs(tests: list[str], by_file: bool) -> Iterator[tuple[str, Order]]:
    yield TOGETHER, list
    for name in tests:
        yield ALONE, _only(name)
    yield AGAIN, list
    yield REVERSED, lambda items: items[::-1]
    yield SHUFFLED, _shuffled_by_file if by_file else _shuffled


def _only(name: str) -> Order:
    return lambda items: [item for item in items if name_of(item) == name]


def _shuffled(items: list[pytest.Item]) -> list[pytest.Item]:
    return random.Random(SEED).sample(items, len(items))


def _shuffled_by_file(items: list[pytest.Item]) -> list[pytest.Item]:
    files = list(dict.fromkeys(item.path for item in items))
    places = {file: place for place, file in enumerate(random.Random(SEED).sample(files, len(files)))}
    return sorted(_shuffled(items), key=lambda item: places[item.path])


def name_of(item: pytest.Item) -> str:
    """Return the name of a test, without its parameters."""
    return item.name.partition("[")[0]


def _drivers_own() -> dict[str, Any]:
    """Return what Motor (3.7) works with loops by, and the methods of PyMongo's async client, by name."""
    client: Any = motor_asyncio.AsyncIOMotorClient
    parts = {f"AsyncIOMotorClient.{name}": inspect.getattr_static(client, name) for name in _OF_LOOPS}
    framework = vars(importlib.import_module("motor.frameworks.asyncio"))
    functions = {name: value for name, value in framework.items() if inspect.isfunction(value)}
    methods = {name: value for name, value in vars(AsyncMongoClient).items() if hasattr(value, "__get__")}
    parts |= {f"AsyncMongoClient.{name}": value for name, value in methods.items()}
    return parts | {f"motor.frameworks.asyncio.{name}": value for name, value in functions.items()}


class _Makers:
    """asyncio and the drivers as their makers made them, to say what is another object at any look."""

    def __init__(self) -> None:
        self._asyncio = Asyncio()
        self._driver = _drivers_own()
        self._changed: set[str] = set()

    def look(self) -> None:
        self._asyncio.look()
        now = _drivers_own()
        self._changed |= {name for name, value in self._driver.items() if now.get(name) is not value}

    def patched(self) -> list[str]:
        """Return the names of what was another object."""
        return [*self._asyncio.patched(), *sorted(self._changed)]


class _Watch(Ends):
    """A pytest plugin: the tests come in an order of ours, and how each ends is noted."""

    def __init__(self, notes: Notes, run: str, order: Order, makers: _Makers) -> None:
        super().__init__(notes)
        self.run, self.order, self.makers = run, order, makers
        self.failed = False

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = self.order(items)
        self.notes.add("collected", run=self.run, tests=[name_of(item) for item in items])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self.notes.add("begins", test=name_of(item))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self) -> None:
        self.makers.look()

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
