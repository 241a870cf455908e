"""The pytest side of loopwatch: tells the ledger where the run is, and puts explanations into the reports.

It knows pytest's public hooks only. How loops are seen and what is said of a failure, it must not know.
"""

from __future__ import annotations

import platform
import sys
import warnings
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

from .explaining.cause import Failure
from .explaining.explain import Explainer
from .live.hooks import Hooks
from .live.ledger import Ledger
from .live.sites import without_own_frames
from .live.uses import Uses
from .page import page
from .recording import Fixture, Recording, Test
from .summary import SECTION, summary

PACKAGES = ("pytest", "pytest-asyncio", "anyio", "motor", "pymongo", "uvloop")


class _Live:
    """What there is while the run goes on, and only then."""

    def __init__(self, root: str) -> None:
        self.ledger = Ledger(root)
        self.uses = Uses(self.ledger)
        self.hooks = Hooks(self.ledger, self.uses)
        self.explainer = Explainer(self.ledger, self.uses)


class Watch:
    """A pytest plugin that records the event loops of one run.

    `json` is a file to which the record is written at the end, `report` one for the same as an HTML page.
    With pytest-xdist each worker writes its own, with the worker's name before the suffix: "run.json" becomes
    "run.gw0.json".

    After the run `recording` is a `Recording`; before and during it, it is None. A Watch is for one run.

    >>> watch = Watch()
    >>> pytest.main(["tests"], plugins=[watch])
    >>> watch.recording.explanations
    """

    def __init__(self, json: str | Path | None = None, report: str | Path | None = None) -> None:
        self._json = json
        self._report = report
        self._live: _Live | None = None
        self._ended: _Live | None = None
        self._recording: Recording | None = None
        self._tests: dict[str, _RunningTest] = {}
        self._running = _RunningTest("", 0)
        self._failures: dict[str, Failure] = {}
        self._fixtures: list[list[Any]] = []  # the values of a `Fixture`, in its order
        self._open_fixtures: dict[int, list[Any]] = {}
        self._at_collection: dict[str, str] = {}
        self._worker: str | None = None

    @property
    def recording(self) -> Recording | None:
        """The record of the run, made when it is first asked for; None as long as the run goes on."""
        if self._recording is None and self._ended is not None:
            self._recording = self._frozen(self._ended)
        return self._recording

    # -- begin and end -------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_load_initial_conftests(self, early_config: pytest.Config) -> None:
        """Begin before any conftest is imported: clients are made there."""
        self._start(early_config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Begin now if the plugin came too late for the first hook; refuse a file that cannot be written."""
        self._start(config)
        self._worker = getattr(config, "workerinput", {}).get("workerid")
        for option, file in (("json", self._json), ("report", self._report)):
            folder = Path(file or ".").absolute().parent
            if file is not None and not folder.is_dir():
                raise pytest.UsageError(f"--loopwatch-{option}: there is no folder {folder}; create it first")

    def _start(self, config: pytest.Config) -> None:
        if self._live is not None:
            return
        if self._ended is not None:
            raise pytest.UsageError(
                "this loopwatch.Watch has its recording already; make a new one for each run"
            )
        self._live = _Live(str(config.rootpath))
        config.add_cleanup(self._stop)
        self._live.hooks.start()

    def _stop(self) -> None:
        live, self._live = self._live, None
        if live is None:
            return
        live.hooks.stop()
        self._ended, self._versions = live, _versions()
        ran = self._tests or self._worker
        if self._json is not None and ran and self.recording is not None:
            self._write(self._json, self.recording.to_json(indent=1) + "\n")
        if self._report is not None and ran and self.recording is not None:
            self._write(self._report, page(self.recording))

    def _write(self, file: str | Path, text: str) -> None:
        path = Path(file)
        if self._worker:
            path = path.with_name(f"{path.stem}.{self._worker}{path.suffix}")
        path.write_text(text, encoding="utf-8")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Note what the modules' names lead to while they are loaded, if the last test did not end."""
        if self._live is not None:
            self._live.ledger.begin_phase("end", None)
            self._note_holders(self._live, None)

    def _note_holders(self, live: _Live, test: str | None) -> None:
        """Take the picture of "who holds what" now, unless a failure gave reason to take it before."""
        if live.explainer.holders is not None or not live.ledger.clients:
            return
        try:
            live.explainer.note_holders(test)
        except Exception as error:  # a fault of ours must not end the run
            warnings.warn(
                pytest.PytestWarning(f"loopwatch could not look into the modules: {error!r}"), stacklevel=1
            )

    def _frozen(self, live: _Live) -> Recording:
        ledger, explainer = live.ledger, live.explainer
        return Recording(
            python=platform.python_version(),
            versions=self._versions,
            worker=self._worker,
            loops=tuple(entry.frozen() for entry in ledger.all_loops()),
            tests=tuple(test.frozen(ledger) for test in self._tests.values()),
            fixtures=tuple(Fixture(*values) for values in self._fixtures),
            ran=tuple(ledger.frozen_ran()),
            clients=tuple(entry.frozen() for entry in ledger.clients),
            uses=tuple(entry.frozen() for entry in live.uses.entries),
            holders=tuple(entry.frozen() for entry in explainer.holders or ()),
            holders_at=explainer.holders_at,
            explanations={
                **self._at_collection,
                **{t.nodeid: t.explanation for t in self._tests.values() if t.explanation},
            },
        )

    # -- where the run is ----------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._running = self._tests[item.nodeid] = _RunningTest(item.nodeid, len(self._tests) + 1)
        self._begin("setup", item)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        self._begin("call", item)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        if nextitem is None and self._live is not None:
            self._note_holders(self._live, item.nodeid)
        self._begin("teardown", item)

    def _begin(self, phase: str, item: pytest.Item) -> None:
        if self._live is not None:
            self._running.phases[phase] = [self._live.ledger.begin_phase(phase, item.nodeid), 0.0]

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any):
        if self._live is None:
            return (yield)
        ledger = self._live.ledger
        fixtures, name = ledger.fixtures, fixturedef.argname
        fixtures.append(name)
        began = ledger.now()
        try:
            return (yield)
        finally:
            if fixtures:
                fixtures.pop()
            values = [name, fixturedef.scope, ledger.test or "", began, ledger.now(), None]
            self._open_fixtures[id(fixturedef)] = values
            self._fixtures.append(values)

    def pytest_fixture_post_finalizer(self, fixturedef: Any) -> None:
        values = self._open_fixtures.pop(id(fixturedef), None)
        if values is not None and self._live is not None:
            values[-1] = self._live.ledger.now()

    # -- reports -------------------------------------------------------------------------------------------

    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo) -> None:
        """Note the end of a phase; keep its error, if it has one, until its report tells what it means.

        It comes after pytest's own hook for unittest, which is the first and brings the error of such a test.
        """
        phase = self._running.phases.get(call.when)
        if phase is not None and self._live is not None:
            phase[1] = self._live.ledger.now()
        if call.excinfo is not None:
            error = call.excinfo.value
            if (bare := without_own_frames(error)) is not None:
                call.excinfo = pytest.ExceptionInfo.from_exception(bare)
            self._failures[item.nodeid] = Failure(item.nodeid, call.when, error, item)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Explain a failure before anybody is told of it."""
        failure = self._failures.pop(report.nodeid, None) if self._failures else None
        if report.passed:
            return
        test = self._tests.get(report.nodeid)
        if self._live is None or test is None:
            return
        test.note(report)
        if report.failed and failure is not None and failure.phase == report.when:
            self._explain(self._live, failure, report, test)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector):
        report = yield
        call = getattr(report, "call", None)
        if self._live is not None and report.failed and call is not None and call.excinfo is not None:
            failure = Failure(collector.nodeid, "collection", call.excinfo.value, collector)
            text = _text(self._live, failure)
            if text:
                report.sections.append((SECTION, text))
                self._at_collection[collector.nodeid] = text
        return report

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print a line for each cause, also where no traceback is printed."""
        if terminalreporter.config.getoption("no_summary", False):
            return
        failed = [
            (report.nodeid, text)
            for outcome in ("failed", "error")
            for report in terminalreporter.stats.get(outcome, ())
            for name, text in getattr(report, "sections", ())
            if name == SECTION
        ]
        for line in summary(failed):
            terminalreporter.write_line(line)

    def _explain(self, live: _Live, failure: Failure, report: pytest.TestReport, test: _RunningTest) -> None:
        text = _text(live, failure)
        if text:
            report.sections.append((SECTION, text))
            failure.item.user_properties.append((SECTION, text))  # for junit XML, which reads the last report
            if report.when == "teardown":
                report.user_properties.append((SECTION, text))
            test.explanation = f"{test.explanation}\n\n{text}" if test.explanation else text


def _text(live: _Live, failure: Failure) -> str | None:
    try:
        return live.explainer.explain(failure)
    except Exception as error:  # a fault of ours must not hide the test's own failure
        return f"loopwatch: could not explain this failure ({type(error).__name__}: {error})"


class _RunningTest:
    """What is known so far of one test."""

    def __init__(self, nodeid: str, number: int) -> None:
        self.nodeid = nodeid
        self.number = number
        self.outcome = "passed"
        self.error: str | None = None
        self.explanation: str | None = None
        self.phases: dict[str, list[float]] = {}

    def note(self, report: pytest.TestReport) -> None:
        """Take the outcome of a phase: a failed call is "failed", a failed set-up or teardown "error"."""
        if report.failed and self.outcome != "failed":
            self.outcome = "failed" if report.when == "call" else "error"
        elif report.skipped:
            self.outcome = "skipped"
        if report.failed and self.error is None:
            crash = getattr(report.longrepr, "reprcrash", None)
            self.error = (crash.message if crash else str(report.longrepr)).splitlines()[0]

    def frozen(self, ledger: Ledger) -> Test:
        loop = ledger.call_loops.get(self.nodeid)
        phases = {name: (began, ended) for name, (began, ended) in self.phases.items()}
        return Test(self.nodeid, self.number, self.outcome, self.error, phases, loop)


def _versions() -> dict[str, str]:
    loaded = (name for name in PACKAGES if name.replace("-", "_") in sys.modules)
    return {name: found for name in loaded if (found := _version(name))}


@cache
def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
