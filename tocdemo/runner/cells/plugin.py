"""A pytest plugin that puts the tests of notebook cells into a folder, in place of the tests that lie there.

Nothing is written: for pytest, each cell is a module in the folder whose file is never there, so that the
folder's conftest and pytest.ini hold for it. This module knows pytest's collection; it must not know how a
run is started, or what is shown of it.
"""

import contextlib
import inspect
import sys
import types
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from _pytest.fixtures import FixtureLookupErrorRepr, getfixturemarker
from _pytest.pathlib import resolve_package_path

from ..stopping import stoppable
from .source import Compiled, is_cell

ASYNC_MARKS = ("asyncio", "anyio", "trio")


@dataclass(frozen=True)
class CellTests:
    """The tests of one cell: either `source`, which is executed in the run, or `given`, by their names.

    Of a `source`, `only` keeps the tests and classes of these names, all when it is empty.
    """

    file: Path
    source: Compiled | None = None
    only: Collection[str] = ()
    given: dict[str, Any] = field(default_factory=dict)


class Cells:
    """The plugin: the cells' tests lie in `folder`, and see the fixtures in `namespace`.

    After the run, `failure` is what a cell's own code raised outside of its tests, `skipped` why a cell
    skipped itself, `names` the tests that were found, `printed` what each test printed, by its node id,
    `reasons` the error and the text of failures that come without an exception of the test's, `warnings` what
    Python and pytest have to say about the cells, and `root` pytest's root folder.
    """

    def __init__(self, folder: Path, cells: Collection[CellTests], namespace: dict[str, Any]) -> None:
        self.folder, self.cells, self.namespace = folder, cells, namespace
        self.failure: BaseException | None = None
        self.skipped = ""
        self.names: list[str] = []
        self.printed: dict[str, str] = {}
        self.reasons: dict[str, tuple[str, str]] = {}
        self.warnings: list[str] = [text for tests in cells if tests.source for text in tests.source.warnings]
        self.root = folder
        self._names_before: dict[str, Any] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Directory | None:
        if path != self.folder:
            return None
        kind = _Package if (path / "__init__.py").is_file() else _Folder
        found = kind.from_parent(parent, path=path)
        found.cells = self
        self.root = parent.config.rootpath
        return found

    # trylast: within the wrapper with which pytest-asyncio looks for marks
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_pycollect_makeitem(self, collector: pytest.Collector) -> Iterator[None]:
        made = yield
        if collector.getparent(_CellModule) is not None:
            for item in made if isinstance(made, list) else [made]:
                _run_async(item)
        return made

    def enter(self, file: Path) -> None:
        """Let the notebook's names be, for this run, those of the file, for who asks where they come from."""
        if not self._names_before:  # now, not before: an earlier run may have ended only just now
            self._names_before = {"__file__": self.namespace.get("__file__")}
        self.namespace["__file__"] = str(file)

    def pytest_unconfigure(self) -> None:
        for name, value in self._names_before.items():
            if value is None:
                self.namespace.pop(name, None)
            else:
                self.namespace[name] = value

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        self.names.append(item.name)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown" and report.capstdout:  # it has what was printed before, too
            self.printed[report.nodeid] = report.capstdout
        if report.failed and str(report.longrepr).startswith("[XPASS(strict)]"):
            self.reasons[report.nodeid] = (f"{report.longrepr} It passed, and was expected to fail", "")
        elif report.failed and isinstance(report.longrepr, FixtureLookupErrorRepr):
            self.reasons[report.nodeid] = _missing_fixture(report.longrepr)

    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
        # Not what libraries say about each other: a test that returns, a coroutine that nobody awaited.
        kind = warning_message.category
        of_pytest = issubclass(kind, pytest.PytestWarning) and not issubclass(kind, DeprecationWarning)
        if of_pytest or is_cell(warning_message.filename):
            place = f"{warning_message.filename}:{warning_message.lineno}: "
            words = str(warning_message.message).strip()
            self.warnings.append(f"{place if is_cell(warning_message.filename) else ''}{words}")


def _missing_fixture(report: FixtureLookupErrorRepr) -> tuple[str, str]:
    """Return the error and the text for a fixture that is not there; pytest's own names are left out."""
    error, *further = (line.strip() for line in report.errorstring.strip().splitlines())
    for line in further:
        head, colon, names = line.partition("available fixtures: ")
        if colon and not head:
            there = ", ".join(name for name in names.split(", ") if not name.startswith("_"))
            return error, f"E   {error}\nE   available fixtures: {there}"
    return error, f"E   {error}"


def _run_async(item: Any) -> None:
    """Mark an async test that has no mark of an async plugin: in a cell it runs, whatever pytest.ini says."""
    if not isinstance(item, pytest.Function) or any(map(item.get_closest_marker, ASYNC_MARKS)):
        return
    if inspect.iscoroutinefunction(inspect.unwrap(item.obj)):
        item.add_marker("asyncio")


class _Folder(pytest.Directory):
    """A folder without an `__init__.py`. Its only children are the cells."""

    cells: Cells

    def collect(self) -> list[pytest.Collector]:
        manager = self.config.pluginmanager
        for tests in self.cells.cells:
            # pytest (9.2) takes what is no file for a folder, of which it has not looked for conftests yet.
            manager._dirpath2confmods[tests.file] = list(manager._getconftestmodules(self.path))
        return [
            _CellModule.from_parent(self, path=tests.file, tests=tests, cells=self.cells)
            for tests in self.cells.cells
        ]


class _Package(_Folder, pytest.Package):
    """A folder with an `__init__.py`."""


class _CellModule(pytest.Module):
    """A cell, as a module that is not read from a file."""

    def __init__(self, *, tests: CellTests, cells: Cells, **further: Any) -> None:
        super().__init__(**further)
        self.tests, self.cells = tests, cells

    def istestfunction(self, obj: object, name: str) -> bool:
        # A function that somebody gave is to be run, whatever it is called.
        return name in self.tests.given or super().istestfunction(obj, name)

    def istestclass(self, obj: object, name: str) -> bool:
        return name in self.tests.given or super().istestclass(obj, name)

    def _getobj(self) -> types.ModuleType:
        self.cells.enter(self.path)
        own = dict(self.tests.given) if self.tests.source is None else self._executed(self.tests.source)
        folder = self.path.parent.relative_to(self._root())
        module = types.ModuleType(".".join([*folder.parts, "cell"]))
        module.__file__ = str(self.path)
        vars(module).update(self._fixtures())
        for name, value in own.items():
            vars(module).pop(name, None)  # so that the order is the cell's
            vars(module)[name] = value
        self.config.pluginmanager.consider_module(module)
        return module

    def _executed(self, source: Compiled) -> dict[str, Any]:
        """Execute the cell; return what it bound, without the tests that are not to be run."""
        # From now on the run minds the clock, and an interrupt, as it does for a test.
        what = f"{self.nodeid} (its code outside of tests)"
        if str(self._root()) not in sys.path:
            sys.path.insert(0, str(self._root()))
        try:
            with stoppable(what), self._streams_of_the_notebook():
                own = source.execute(self.cells.namespace)
        except BaseException as error:
            if isinstance(error, pytest.skip.Exception) and error.allow_module_level:
                self.cells.skipped = str(error)
                raise
            self.cells.failure = error
            raise self.CollectError(f"{type(error).__name__}: {error}") from error
        return {name: value for name, value in own.items() if self._is_kept(name, value)}

    def _root(self) -> Path:
        """Return the folder from which pytest would import a file that lay here."""
        return (resolve_package_path(self.path.parent) or self.path).parent

    def _streams_of_the_notebook(self) -> contextlib.AbstractContextManager:
        """What a cell prints outside of its tests is shown, as of any cell."""
        capture = self.config.pluginmanager.getplugin("capturemanager")
        return capture.global_and_fixture_disabled() if capture else contextlib.nullcontext()

    def _is_kept(self, name: str, value: Any) -> bool:
        only = self.tests.only
        return not only or name in only or not (self.istestfunction(value, name) or inspect.isclass(value))

    def _fixtures(self) -> dict[str, Any]:
        """Return the notebook's fixtures. Those of other cells of tests apply to nobody by themselves."""
        found = {}
        for name, value in self.cells.namespace.items():
            marker = getfixturemarker(value)
            if marker is not None:
                found[name] = self._on_request(value) if marker.autouse else value
        return found

    def _on_request(self, fixture: Any) -> Any:
        function, marker = fixture._get_wrapped_function(), getfixturemarker(fixture)
        file = getattr(getattr(inspect.unwrap(function), "__code__", None), "co_filename", "")
        if not is_cell(file) or file == str(self.path):
            return fixture
        what = {key: getattr(marker, key) for key in ("scope", "params", "ids", "name")}
        return pytest.fixture(**what)(function)
