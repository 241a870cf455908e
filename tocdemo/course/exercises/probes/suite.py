"""The question of a run: what pytest found in the learner's suite, and what its fixture and its names did.

The whole suite runs, on a replica set, where every path of the backend is taken. A stale name is noted and
then led to what `base` holds (see `spies`), so that one run shows every one of them.
"""

import builtins
import dis
import inspect
import io
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pluggy
import pytest

from .notes import Notes, error_text
from .spies import Spies, kept_by

OPTIONS = (
    *("-q", "--tb=no", "--capture=no", "--color=no"),  # a kernel sets FORCE_COLOR
    *("-p", "no:cacheprovider", "-p", "no:faulthandler", "-p", "no:unraisableexception"),
    *("-p", "pytest_asyncio.plugin", "-p", "tocdemo.runner.database_plugin"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)


def look(
    folder: Path,
    notes: Notes,
    *,
    suites: list[str],
    fixture: str = "",
    modules: list[str] | None = None,
    backend: str = "replica-set",
) -> None:
    """Run the files `suites`; watch the fixture of that name, and what the modules hold in the tests."""
    spies = Spies(notes)
    spies.install()
    watch = Watch(notes, spies, fixture, modules or [])
    code, words = run_pytest([str(folder / suite) for suite in suites], backend, [watch])
    watch.note_undefined()
    notes.add("uses", uses=list(spies.uses.values()))
    notes.add("loops", tests=spies.test_loops)
    notes.add("clients", clients=spies.made)
    notes.add("pytest", code=code, words=words)


def run_pytest(arguments: list[str], backend: str, plugins: list[Any]) -> tuple[int, str]:
    """Run pytest here, quietly; return its exit code and what it complained about."""
    os.environ["TOCDEMO_BACKEND"] = backend
    complaints = Kept()
    streams, sys.stderr = (sys.stdout, sys.stderr), complaints
    sys.stdout = Kept()
    try:
        code = int(pytest.main([*OPTIONS, *arguments], plugins=plugins))
    except pluggy.PluginValidationError as error:  # a hook of the learner's that pytest does not have
        return int(pytest.ExitCode.USAGE_ERROR), " ".join(str(error).split())
    finally:
        sys.stdout, sys.stderr = streams
    return code, complaints.getvalue()


# What a wrapper of pytest_runtest_makereport is.
Report = Generator[None, pytest.TestReport, pytest.TestReport]


class Kept(io.StringIO):
    """A stream that keeps the beginning of what is written to it, and forgets the rest."""

    MOST = 100_000

    def write(self, text: str) -> int:
        if self.tell() < self.MOST:
            super().write(text[: self.MOST])
        return len(text)


class Ends:
    """A pytest plugin that notes why a run does not come to its tests, or to its end."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes

    def pytest_exception_interact(self, node: Any, call: pytest.CallInfo, report: Any) -> None:
        if isinstance(report, pytest.CollectReport) and call.excinfo is not None:
            error = call.excinfo.value
            error = getattr(error, "__cause__", None) or error  # pytest's own error is about the import
            self.notes.raised("uncollected", error)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo) -> None:
        self.notes.raised("ended", excinfo.value)

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo) -> None:
        self.notes.raised("ended", excinfo.value)


class Watch(Ends):
    """A pytest plugin that notes what there is and what happens. It changes nothing."""

    def __init__(self, notes: Notes, spies: Spies, fixture: str, modules: list[str]) -> None:
        super().__init__(notes)
        self.spies = spies
        self.fixture = fixture
        self._watched = {str(notes.folder / path): path for path in modules}
        self._modules: dict[str, Any] = {}
        self._found: list[str] = []  # with those that an option leaves out
        self._held: set[tuple[str, str]] = set()
        self._made_for: list[tuple[str, dict[str, Any]]] = []

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        self._found.append(item.name)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.notes.add("collected", tests=[item.name for item in session.items], found=self._found)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._begin("setup", item)
        self.notes.add("begins", test=item.name)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        self._begin("call", item)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        self._note_held()
        self._begin("teardown", item)

    def _begin(self, phase: str, item: pytest.Item) -> None:
        self.spies.test, self.spies.phase = item.name, phase

    def _note_held(self) -> None:
        for path, module in self._loaded():
            for name, itself in kept_by(module).items():
                if (path, name) not in self._held:
                    self._held.add((path, name))
                    self.notes.add("copy", file=path, name=name, itself=itself)

    def note_undefined(self) -> None:
        """Note the names that functions of the modules use, and that are not there."""
        for path, module in self._loaded():
            known = vars(module).keys() | vars(builtins).keys()
            functions = [each for each in vars(module).values() if inspect.isfunction(each)]
            own = [each for each in functions if each.__module__ == module.__name__]
            for function in own:
                for code in _codes(inspect.unwrap(function).__code__):
                    for name, line in _globals_of(code):
                        if name not in known:
                            self.notes.add(
                                "undefined", file=path, name=name, line=line, function=function.__name__
                            )

    def _loaded(self) -> Iterator[tuple[str, Any]]:
        """Yield the watched modules, each with its path; they are looked for until they are all there."""
        if len(self._modules) < len(self._watched):
            for module in list(sys.modules.values()):
                path = self._watched.get(getattr(module, "__file__", None) or "")
                if path is not None:
                    self._modules[path] = module
        yield from self._modules.items()

    @pytest.hookimpl(tryfirst=True, wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Iterator[Any]:
        if fixturedef.argname != self.fixture:
            return (yield)
        function = inspect.unwrap(fixturedef.func)
        code = getattr(function, "__code__", None)
        entry: dict[str, Any] = {
            "test": self.spies.test,
            "async": inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function),
            "for_asyncio": _pytest_asyncio_runs(fixturedef.func, request.config),
            "place": code and self.notes.place(code.co_filename, code.co_firstlineno, code.co_qualname),
        }
        try:
            value = yield
        except BaseException as error:
            self.notes.add(
                "fixture", **entry, error=error_text(error), error_place=self.notes.place_of(error)
            )
            raise
        base = sys.modules.get("app.db.base")
        client = self.spies.entry_of(getattr(base, "_client", None))
        entry["unawaited"] = inspect.isasyncgen(value) or inspect.iscoroutine(value)
        self.notes.add("fixture", **entry, client=client and self.spies.made.index(client))
        return value

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo) -> Report:
        report = yield
        more = self.notes.failure_of(call)
        if getattr(report, "wasxfail", None) is not None:
            more["xfail"] = True
        self.notes.add("report", test=item.name, phase=call.when, outcome=report.outcome, **more)
        return report


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield a function's code, and that of the functions in it."""
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _codes(each)


def _globals_of(code: CodeType) -> Iterator[tuple[str, int]]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME") and instruction.positions is not None:
            yield str(instruction.argval), instruction.positions.lineno or code.co_firstlineno


def _pytest_asyncio_runs(function: Any, config: pytest.Config) -> bool:
    """Whether pytest-asyncio (1.5) would run the fixture function, if it is async."""
    return bool(getattr(function, "_force_asyncio_fixture", False)) or config.getini("asyncio_mode") == "auto"
