"""Inline runs: a pytest suite run by ipytest inside this process, in a thread of its own.

pytest-asyncio cannot start a loop in a thread that runs one, and a notebook's main thread does. So the suite
runs in a worker thread, on freshly imported modules, while the main thread waits, minds the clock and takes
interrupts. Afterwards `sys.modules`, `sys.path` and the environment are as they were. Knows nothing of faults
and lessons.
"""

import asyncio
import contextlib
import ctypes
import dataclasses
import gc
import importlib
import io
import os
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ipytest
import pytest
from pymongo import MongoClient

from tocdemo.loopwatch import Watch

from .result import Run, TestResult, error_line

STEP = 0.02  # seconds between two looks at the worker thread
ENDING = 10.0  # seconds that the next run gives an interrupted one that is past its tests
GRACE = 0.7  # seconds that an interrupted run gets to end before the cell returns without it

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


class CannotRun(RuntimeError):
    """A run could not begin, or found no test; the message says why and what to do."""


class _Stopped(Exception):
    """Raised in the worker thread, in a test that computes and does not await, to end that test alone."""


@dataclass
class _Progress:
    """What the main thread may ask of a run that is under way."""

    current: str | None = None
    since: float = 0.0
    stopped: str = ""
    session: pytest.Session | None = None


@dataclass(eq=False)  # pytest wants to hash its plugins
class _Reporter:
    """A pytest plugin that keeps what the run shows, and pytest's own text."""

    progress: _Progress
    on_result: Callable[[TestResult], None]
    results: dict[str, TestResult] = field(default_factory=dict)
    text: io.StringIO = field(default_factory=io.StringIO)
    _traced: set[str] = field(default_factory=set)

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter._tw._file = self.text

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self.progress.session = session

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.progress.current, self.progress.since = nodeid, time.monotonic()
        self.progress.stopped = ""

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
        outcome = yield
        report = outcome.get_result()
        report.tocdemo_error = report.tocdemo_trace = ""
        if report.failed and call.excinfo is not None:
            self._describe(report, call.excinfo.value, item.path)

    def _describe(self, report: pytest.TestReport, error: BaseException, file: Path) -> None:
        # Only the first of equal errors gets a traceback: making 26 takes longer than the 28 tests.
        report.tocdemo_error = self.progress.stopped or error_line(error)
        if report.tocdemo_error not in self._traced:
            self._traced.add(report.tocdemo_error)
            # A traceback that cannot be drawn is no reason to lose the run.
            with contextlib.suppress(Exception):
                failure = pytest.ExceptionInfo.from_exception(error)
                failure.traceback = failure.traceback.cut(path=file)
                report.tocdemo_trace = str(failure.getrepr(style="short"))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        before = self.results.get(report.nodeid, TestResult(report.nodeid, "passed"))
        outcome = before.outcome
        if report.failed:
            outcome = "failed" if report.when == "call" or before.outcome == "failed" else "error"
        elif report.skipped:
            outcome = "skipped"
        self.results[report.nodeid] = TestResult(
            nodeid=report.nodeid,
            outcome=outcome,
            seconds=before.seconds + report.duration,
            error=before.error or report.tocdemo_error,
            trace=before.trace or report.tocdemo_trace,
        )
        if report.when == "teardown":
            self.progress.current = None
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
    `databases.open_database` takes. A test that takes longer than `timeout` seconds is stopped and fails.
    `on_result` is called in the worker thread after each test. With `allow_none` a run without any result is
    fine. On Ctrl-C (KeyboardInterrupt) the run is stopped, and what was measured so far is returned, with a
    note.

    Raises CannotRun when there is no such target, when pytest could not use its arguments, and when an
    earlier run's test still holds its thread.
    """
    target = target.resolve()
    if not target.exists():
        raise CannotRun(f"There is nothing to run at {target}")
    _wait_for_earlier_run()
    progress = _Progress()
    reporter, watch = _Reporter(progress, on_result), Watch()
    folder = target if target.is_dir() else target.parent
    given = [watch, reporter, *plugins, *([_GivenFixtures(fixtures)] if fixtures else [])]
    exit_code: list[int] = []
    complaints = io.StringIO()
    begin = time.perf_counter()

    def work() -> None:
        with as_before(folder, backend), contextlib.redirect_stderr(complaints):
            exit_code.append(_main([*OPTIONS, *(arguments or [str(target)])], given))

    worker = _Worker(work, progress)
    note = worker.wait(timeout)
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


# --- the worker thread, its clock and its interrupts -------------------------------------------------------

# The worker of the last run, if its thread could not be stopped. A thread is the process's own, so is this.
_held: list["_Worker"] = []


def _wait_for_earlier_run() -> None:
    """Give a run that was interrupted a moment to end. Raises CannotRun when it does not."""
    for worker in list(_held):
        # Between tests nothing hangs: on a busy machine the run only takes longer to end.
        worker.thread.join(GRACE if worker.progress.current else ENDING)
        if worker.thread.is_alive():
            raise CannotRun(
                f"The test {worker.progress.current} of an earlier run still holds its thread. Wait until it "
                f"ends, or restart the kernel (Kernel > Restart)."
            )
        _held.remove(worker)


class _Worker:
    """A thread that runs `work`, and can be told to stop."""

    def __init__(self, work: Callable[[], None], progress: _Progress) -> None:
        self.progress = progress
        self.failure: BaseException | None = None
        self._done = threading.Event()
        self._work = work
        self.thread = threading.Thread(target=self._run, name="tocdemo-run", daemon=True)

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self.failure = error
        finally:
            self._done.set()

    def wait(self, timeout: float) -> str:
        """Run to the end; stop tests that take longer than `timeout` s. Returns a note, or nothing."""
        self._streams = (sys.stdin, sys.stdout, sys.stderr)
        self.thread.start()
        try:
            note = self._watch(timeout)
        except KeyboardInterrupt:
            note = self._interrupted()
        if self.failure is not None:
            raise self.failure
        return note

    def _watch(self, timeout: float) -> str:
        asked: tuple[str, float] | None = None
        while not self._done.wait(STEP):
            current, now = self.progress.current, time.monotonic()
            if current is None or now - self.progress.since < timeout:
                continue
            if asked is None or asked[0] != current:
                self.progress.stopped = f"Stopped after {timeout:g} s: the test did not end by itself"
                asked = (current, now)
                self._stop_current()
            elif now - asked[1] > 2 * GRACE:
                return self._given_up(f"The test {current} did not end within {timeout:g} s.")
        return ""

    def _interrupted(self) -> str:
        self.progress.stopped = "Interrupted"
        if self.progress.session is not None:
            self.progress.session.shouldstop = "interrupted"
        end = time.monotonic() + GRACE
        self._stop_current()
        while not self._done.wait(STEP):
            if time.monotonic() > end:
                return self._given_up("Interrupted.")
        return "Interrupted: what was measured until then is shown."

    def _given_up(self, why: str) -> str:
        _held.append(self)
        # pytest still captures in that thread; without this, what later cells print would be lost.
        sys.stdin, sys.stdout, sys.stderr = self._streams
        if self.progress.current is None:
            return f"{why} The run is still ending; the next run waits for it."
        if self.progress.session is not None:
            self.progress.session.shouldstop = "given up"
        return (
            f"{why} It cannot be stopped from outside: it sits in C code or swallows the cancellation. The "
            f"test {self.progress.current} still holds its thread; the next run waits for it, or says so."
        )

    def _stop_current(self) -> None:
        """Cancel what awaits on the thread's event loop; where nothing does, raise in the running test."""
        loop = self._running_loop()
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it was closed just now
                loop.call_soon_threadsafe(_cancel_all, loop)
            if self._done.wait(0.1) or _is_waiting(self.thread.ident):
                return
        if self.progress.current is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self.thread.ident), ctypes.py_object(_Stopped)
            )

    def _running_loop(self) -> asyncio.AbstractEventLoop | None:
        frame = sys._current_frames().get(self.thread.ident)
        while frame is not None:
            candidate = frame.f_locals.get("self") if frame.f_code.co_name == "run_forever" else None
            if isinstance(candidate, asyncio.AbstractEventLoop):
                return candidate
            frame = frame.f_back
        return None


def _is_waiting(thread_id: int) -> bool:
    """Whether the thread's innermost Python frame is its event loop's wait for something to happen."""
    frame = sys._current_frames().get(thread_id)
    return frame is not None and frame.f_code.co_name == "select"


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()


# --- what a run changes, put back --------------------------------------------------------------------------


@contextlib.contextmanager
def as_before(folder: Path, backend: str | None) -> Iterator[None]:
    """Give the suite fresh modules; put back modules, path and environment; close the clients left open."""
    environment, path = dict(os.environ), list(sys.path)
    no_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    clients = _open_clients()
    own = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_suites(name)}
    before = set(sys.modules)
    if backend is not None:
        os.environ["TOCDEMO_BACKEND"] = backend
    importlib.invalidate_caches()
    try:
        yield
    finally:
        for name in list(sys.modules):
            if _is_suites(name) or (name not in before and _lies_in(sys.modules[name], folder)):
                del sys.modules[name]
        sys.modules.update(own)
        sys.path[:] = path
        sys.dont_write_bytecode = no_bytecode
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)
        for key in set(_open_clients()) - set(clients):
            with contextlib.suppress(Exception):
                MongoClient._clients[key].close()


def _is_suites(name: str) -> bool:
    return name.partition(".")[0] in ("app", "tests", "conftest")


def _lies_in(module: Any, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return bool(file) and Path(file).is_relative_to(folder)


def _open_clients() -> dict:
    """Return PyMongo's register of open clients (4.x), Motor's among them: a broken run leaves some open."""
    gc.collect(0)
    return dict(getattr(MongoClient, "_clients", {}))
