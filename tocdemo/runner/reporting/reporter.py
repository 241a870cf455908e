"""A pytest plugin that keeps what a run shows: a result for each test, and why the run ended as it did.

A test counts by its teardown's report: one that has none did not end, whatever its other phases showed. This
module knows pytest's hooks and reports; it must not know how a run is started.
"""

import contextlib
import io
import mmap
import os
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from _pytest.config import ConftestImportFailure

from ..result import TestResult
from ..stopping import Current
from .failures import Place, described, place_in, place_of, plain, root_of, unwrapped

NO_ERROR = ("", "", None)
GOOD = ("passed", "skipped")


@dataclass(eq=False)  # pytest wants to hash its plugins
class Reporter:
    """The plugin. `results` has every test that began, `text` is pytest's own output.

    `collected` counts the tests that were to run, `only_collects` says that none was, `failure` is what
    ended pytest itself, `asked_to_stop` why the session was to end early (or is empty), and `remarks` what
    was done otherwise than the suite asks.
    """

    current: Current
    on_result: Callable[[TestResult], None]
    results: dict[str, TestResult] = field(default_factory=dict)
    text: io.StringIO = field(default_factory=io.StringIO)
    root: Path = Path()
    collected: int = 0
    only_collects: bool = False
    failure: BaseException | None = None
    asked_to_stop: str = ""
    remarks: list[str] = field(default_factory=list)
    _process: int = field(default_factory=os.getpid)
    _came_back: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, 1))  # a forked process writes to it
    _environment: dict[str, str] = field(default_factory=dict)
    _traced: set[str] = field(default_factory=set)
    _failures: dict[tuple[str, str | None], tuple[str, str, Place | None]] = field(default_factory=dict)
    _uncollected: dict[str, BaseException] = field(default_factory=dict)

    # --- the session

    @pytest.hookimpl(wrapper=True)
    def pytest_load_initial_conftests(self, early_config: pytest.Config) -> Generator[None, object, object]:
        self.root = root_of(early_config)
        try:
            return (yield)
        except ConftestImportFailure as error:
            self.failure = error
            raise

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        self.root, self.only_collects = root_of(config), bool(config.getoption("collectonly"))
        self._environment = dict(os.environ)
        self._leave_other_processes_out(config)
        reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter._tw._file = self.text

    def _leave_other_processes_out(self, config: pytest.Config) -> None:
        """Keep pytest-xdist (3.8) from sharing the tests out: in its processes nothing is recorded."""
        option: Any = config.option
        if getattr(option, "dist", "no") != "no" and not getattr(option, "usepdb", False):
            option.dist, option.numprocesses, option.tx = "no", None, []
            self.remarks.append("This suite asks for several processes (pytest-xdist's -n): it ran in one.")

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self.current.session = session

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.collected = len(session.items)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        why = session.shouldfail or session.shouldstop
        self.asked_to_stop = str(why) if why else ""

    def pytest_unconfigure(self) -> None:
        lost = self._environment.keys() - os.environ.keys()
        if len(lost) > len(self._environment) / 2:
            self.remarks.append("A test emptied os.environ; after the run it is as it was before.")
        for name in lost:  # ipytest (0.14) takes back what it has set
            os.environ[name] = self._environment[name]
        if self._came_back[0]:
            self.remarks.append(
                "A test forked (os.fork), and the new process came back from the test: it was ended there."
            )

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self.failure = excinfo.value

    def pytest_internalerror(self, excrepr: object, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self.text.write(f"\n{plain(str(excrepr))}")
        self.failure = excinfo.value

    def note(self, exit_code: int) -> str:
        """Return why the run did not come to its end, after pytest gave this exit code; or nothing."""
        begun = [node for node, result in self.results.items() if not _is_file(result)]
        missing = self.collected - len(begun)
        stopped = isinstance(self.failure, pytest.Session.Interrupted)
        if self.only_collects or (stopped and len(begun) < len(self.results)):
            return ""  # a file that could not be imported is a result
        left = f"; {missing} of {self.collected} tests did not begin" if missing > 0 else ""
        if self.failure is not None and not stopped:
            unfinished = [result for result in self.results.values() if result.outcome == "unfinished"]
            where = f" in {unfinished[-1].name}" if unfinished else ""
            return f"The run did not come to its end: {described(self.failure).rstrip('.')}{where}{left}."
        if missing > 0:
            why = self.asked_to_stop or f"pytest ended with exit code {exit_code}"
            return f"The run did not come to its end: {why}{left}."
        if exit_code not in (0, 5) and all(each.outcome in GOOD for each in self.results.values()):
            return f"pytest ended with exit code {exit_code}, though no test failed."
        return ""

    def why_nothing_ran(self, target: Path, exit_code: int | None, complaints: str) -> str:
        """Return what kept pytest from running a test in `target`, with its place where that is known.

        `exit_code` is pytest's, or None when it gave none; `complaints` is what it wrote to standard error.
        """
        known = self._what_ended_it()
        if known:
            return known
        said = plain(self.text.getvalue()).strip()
        if exit_code in (0, 1, 5):
            return f"pytest found no test in {target}: {said}"
        # Warnings come on the same way as what pytest has to say; that begins with ERROR.
        _, error, words = plain(complaints).rpartition("ERROR: ")
        return (words if error else said or plain(complaints)).strip() or f"pytest ended with {exit_code}"

    def _what_ended_it(self) -> str:
        if self.failure is None:
            return ""
        cause = unwrapped(self.failure)
        place = place_of(cause, self.root)
        if place is None:
            return f"No test ran: {described(cause)}"
        return f"No test ran. {place}: {described(cause)}\n    {place.code}"

    # --- a test

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.current.begin(nodeid)
        self.results[nodeid] = TestResult(nodeid, "unfinished")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        with self._phase():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        with self._phase():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        with self._phase(is_teardown=True):
            return (yield)

    @contextlib.contextmanager
    def _phase(self, is_teardown: bool = False) -> Generator[None]:
        try:
            with self.current.stoppable(is_teardown):
                yield
        finally:
            if os.getpid() != self._process:
                # A test forked, and the copy came back: it would run all later tests a second time.
                self._came_back[0] = 1
                os._exit(0)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.failed and call.excinfo is not None:
            self._failures[report.nodeid, report.when] = self._described(call.excinfo.value, item)
        return report

    def _described(self, error: BaseException, item: pytest.Item) -> tuple[str, str, Place | None]:
        """Return the line of a failure, its traceback (nothing where it was drawn before), its place."""
        phase = self.current.latest
        line, trace = (phase.stopped if phase is not None else "") or described(error), ""
        # Only the first of equal errors gets a traceback: making 26 takes longer than the 28 tests.
        if line not in self._traced:
            self._traced.add(line)
            # A traceback that cannot be drawn is no reason to lose the run.
            with contextlib.suppress(Exception):
                failure = pytest.ExceptionInfo.from_exception(error)
                failure.traceback = failure.traceback.cut(path=item.path)
                trace = plain(str(failure.getrepr(style="short")))
        return line, trace, place_of(error, self.root) or self._definition(item)

    def _definition(self, item: pytest.Item) -> Place | None:
        _, line, _ = item.location
        return None if line is None else place_in(str(item.path), line + 1, self.root)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        before = self.results.get(report.nodeid, TestResult(report.nodeid, "unfinished"))
        outcome = before.outcome
        if report.failed:
            outcome = "failed" if report.when == "call" or before.outcome == "failed" else "error"
        elif report.skipped:
            outcome = "skipped"
        elif report.when == "teardown" and outcome == "unfinished":
            outcome = "passed"
        error, trace, place = self._failures.get((report.nodeid, report.when), NO_ERROR)
        first = place if not before.error else None
        self.results[report.nodeid] = TestResult(
            nodeid=report.nodeid,
            outcome=outcome,
            seconds=before.seconds + report.duration,
            error=before.error or error,
            trace=before.trace or trace,
            place=str(first) if first else before.place,
            code=first.code if first else before.code,
        )
        if report.when == "teardown":
            self.current.test = None
            self.on_result(self.results[report.nodeid])

    # --- a file that cannot be imported

    def pytest_exception_interact(self, call: pytest.CallInfo[object], report: object) -> None:
        if isinstance(report, pytest.CollectReport) and call.excinfo is not None:
            self._uncollected[report.nodeid] = unwrapped(call.excinfo.value)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if not report.failed:
            return
        trace = plain(str(report.longrepr))
        cause = self._uncollected.get(report.nodeid)
        place = None if cause is None else place_of(cause, self.root)
        lines = [line[2:].strip() for line in trace.splitlines() if line.startswith("E ")]
        error = lines[0] if lines else (trace.strip().splitlines() or ["?"])[-1]
        if cause is not None and not isinstance(cause, pytest.Collector.CollectError):
            error = described(cause)
        self.results[report.nodeid] = TestResult(
            report.nodeid,
            "error",
            error=error,
            trace=trace,
            place=str(place) if place else "",
            code=place.code if place else "",
        )


def _is_file(result: TestResult) -> bool:
    """Whether a result is not of a test, but of a file or a folder that could not be collected."""
    return "::" not in result.nodeid
