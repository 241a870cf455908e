"""Inline runs: a pytest suite run by ipytest inside this process, in a thread of its own.

pytest-asyncio cannot start a loop in a thread that runs one, and a notebook's main thread does. So the suite
runs in a thread of its own, on freshly imported modules, while the main thread waits, minds the clock and
takes interrupts. Knows nothing of faults and lessons.
"""

import contextlib
import dataclasses
import io
import os
import tempfile
import threading
import time
import types
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ipytest
import pytest

from tocdemo.errors import CannotRun
from tocdemo.loopwatch import Watch

from . import stopping
from .database_plugin import GivenDatabase
from .fresh import as_before
from .result import Run, TestResult, error_line
from .stopping import Current, RunThread

# No cache folder, no plugin that wants the process's own standard error, none that makes failures slow.
OPTIONS = (
    "-p",
    "no:cacheprovider",
    "-p",
    "no:faulthandler",
    "-p",
    "no:unraisableexception",
    "--capture=sys",
    "--tb=no",
    "-q",
)


@dataclass(eq=False)  # pytest wants to hash its plugins
class _Reporter:
    """A pytest plugin that keeps what the run shows, and pytest's own text."""

    current: Current
    on_result: Callable[[TestResult], None]
    results: dict[str, TestResult] = field(default_factory=dict)
    text: io.StringIO = field(default_factory=io.StringIO)
    _traced: set[str] = field(default_factory=set)
    _failures: dict[tuple[str, str | None], tuple[str, str]] = field(default_factory=dict)

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter._tw._file = self.text

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self.current.session = session

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.current.begin(nodeid)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        with self.current.stoppable():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        with self.current.stoppable():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        with self.current.stoppable(is_teardown=True):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.failed and call.excinfo is not None:
            self._failures[report.nodeid, report.when] = self._described(call.excinfo.value, item.path)
        return report

    def _described(self, error: BaseException, file: Path) -> tuple[str, str]:
        """Return the line of a failure, and its traceback, or nothing where it was drawn before."""
        phase = self.current.latest
        line, trace = (phase.stopped if phase is not None else "") or error_line(error), ""
        # Only the first of equal errors gets a traceback: making 26 takes longer than the 28 tests.
        if line not in self._traced:
            self._traced.add(line)
            # A traceback that cannot be drawn is no reason to lose the run.
            with contextlib.suppress(Exception):
                failure = pytest.ExceptionInfo.from_exception(error)
                failure.traceback = failure.traceback.cut(path=file)
                trace = str(failure.getrepr(style="short"))
        return line, trace

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        before = self.results.get(report.nodeid, TestResult(report.nodeid, "passed"))
        outcome = before.outcome
        if report.failed:
            outcome = "failed" if report.when == "call" or before.outcome == "failed" else "error"
        elif report.skipped:
            outcome = "skipped"
        error, trace = self._failures.get((report.nodeid, report.when), ("", ""))
        self.results[report.nodeid] = TestResult(
            nodeid=report.nodeid,
            outcome=outcome,
            seconds=before.seconds + report.duration,
            error=before.error or error,
            trace=before.trace or trace,
        )
        if report.when == "teardown":
            self.current.test = None
            self.on_result(self.results[report.nodeid])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            trace = str(report.longrepr)
            lines = [line[2:].strip() for line in trace.splitlines() if line.startswith("E ")]
            error = lines[0] if lines else trace.strip().splitlines()[-1]
            self.results[report.nodeid] = TestResult(report.nodeid, "error", 0.0, error, trace)

    def pytest_internalerror(self, excrepr: Any) -> None:
        self.text.write(f"\n{excrepr}")


def run(
    target: Path,
    *,
    arguments: Sequence[str] = (),
    fixtures: Sequence[Any] = (),
    plugins: Sequence[Any] = (),
    backend: str | None = None,
    timeout: float = 30.0,
    title: str = "together",
    on_result: Callable[[TestResult], None] = lambda result: None,
    allow_none: bool = False,
) -> Run:
    """Run the pytest suite in `target` (a folder or a file) inside this process, and return what it showed.

    `arguments` are pytest's; node ids are relative to `target`. `fixtures` are pytest fixtures, given to the
    suite in place of its conftest's of the same name. `plugins` are further pytest plugins. `backend` is what
    `databases.open_database` takes; with None the suite looks after its database itself. A test that takes
    longer than `timeout` seconds is stopped and fails. `on_result` is called in the run's thread after each
    test. With `allow_none` a run without any result is fine. On Ctrl-C (KeyboardInterrupt) the run is
    stopped, and what was measured so far is returned, with a note.

    Raises CannotRun when there is no such target, when pytest could not use its arguments, and when an
    earlier run's test still holds its thread.
    """
    target = target.resolve()
    if not target.exists():
        raise CannotRun(f"There is nothing to run at {target}")
    stopping.wait_for_earlier()
    current = Current()
    reporter, watch = _Reporter(current, on_result), Watch()
    folder = target if target.is_dir() else target.parent
    given = [
        *([GivenDatabase(backend)] if backend is not None else []),
        watch,
        reporter,
        *plugins,
        *([_GivenFixtures(fixtures)] if fixtures else []),
    ]
    exit_code: list[int] = []
    complaints = io.StringIO()
    begin = time.perf_counter()

    def work() -> None:
        with as_before(folder), contextlib.redirect_stderr(complaints):
            exit_code.append(_main([*OPTIONS, *(arguments or [str(target)])], given))

    note = RunThread(work, current).finish(timeout)
    seconds = time.perf_counter() - begin
    results = _with_loops(reporter.results, watch)
    if not note and (not exit_code or exit_code[0] not in (0, 1, 5)) and not results:
        words = complaints.getvalue().strip().removeprefix("ERROR: ") or reporter.text.getvalue().strip()
        raise CannotRun(words or f"pytest ended with {exit_code}")
    if not note and not results and not allow_none:
        raise CannotRun(f"pytest found no test in {target}: {reporter.text.getvalue().strip()}")
    return Run(
        results=results,
        seconds=seconds,
        title=title,
        text=reporter.text.getvalue(),
        note=note,
        recording=watch.recording,
    )


def _main(arguments: list[str], plugins: list[Any]) -> int:
    """Call ipytest with arguments that it does not format and a module that holds no test."""
    module = types.ModuleType("tocdemo_inline_run")
    literal = [argument.replace("{", "{{").replace("}", "}}") for argument in arguments]
    with tempfile.TemporaryDirectory(prefix="tocdemo-") as scratch, _module_file_in(Path(scratch)):
        return int(
            ipytest.run(
                *literal,
                module=module,
                plugins=plugins,
                run_in_thread=False,
                raise_on_error=False,
                addopts=(),
                defopts=False,
                coverage=False,
            )
        )


@contextlib.contextmanager
def _module_file_in(folder: Path) -> Iterator[None]:
    """Let ipytest (0.14) keep its module file in `folder`: a killed run would leave it where it works."""
    keeper = ipytest._impl.random_module_path
    before = getattr(keeper, "_filename", None)
    keeper._filename = str(folder / f"t_{os.getpid()}_{threading.get_ident()}.py")
    try:
        yield
    finally:
        keeper._filename = before


class _GivenFixtures:
    """A pytest plugin: fixtures of the notebook, which come in place of a conftest's of the same name."""

    def __init__(self, fixtures: Sequence[Any]) -> None:
        self.module = types.ModuleType("tocdemo_given_fixtures")
        for fixture in fixtures:
            name = getattr(fixture, "__name__", None) or getattr(fixture, "name", None)
            if name is None or "fixture" not in type(fixture).__name__.lower():
                raise CannotRun(f"{fixture!r} is not a pytest fixture: decorate it with @pytest.fixture")
            setattr(self.module, name, fixture)
        self.names = [name for name in vars(self.module) if not name.startswith("__")]

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        config.pluginmanager.register(self.module, "tocdemo_given_fixtures")

    @pytest.hookimpl(tryfirst=True)
    def pytest_plugin_registered(self, plugin: Any) -> None:
        # A conftest's fixture would shadow the given one, so it goes before pytest reads it.
        if Path(getattr(plugin, "__file__", None) or "").name == "conftest.py":
            for name in self.names:
                if hasattr(plugin, name):
                    delattr(plugin, name)


def _with_loops(results: dict[str, TestResult], watch: Watch) -> tuple[TestResult, ...]:
    """Return the results, each with the number of the event loop that the test ran on."""
    tests = watch.recording.tests if watch.recording else ()
    loops = {test.nodeid: test.loop for test in tests}
    return tuple(dataclasses.replace(each, loop=loops.get(each.nodeid)) for each in results.values())
