"""The question of a program that starts pytest: in which thread the tests run, and what runs beside them.

The program gets a small suite of its own, whose tests tell this module where they are; then one that fails.
"""

import asyncio
import threading
from pathlib import Path
from typing import Any

from .notes import Notes
from .script import Asyncio, run_program
from .suite import Kept

_SUITE = """\
import asyncio

import pytest

from tocdemo.course.exercises.probes import starter


@pytest.mark.asyncio
async def test_one():
    starter.tell(asyncio.get_running_loop())


@pytest.mark.asyncio
async def test_two():
    starter.tell(asyncio.get_running_loop())
"""
_WRONG = """\
def test_wrong():
    assert False
"""
_CONFTEST = """\
from tocdemo.course.exercises.probes import starter


def pytest_configure(config):
    starter.configured(config.option)


def pytest_runtest_logreport(report):
    starter.report(report)
"""
_OPTIONS = (
    "-q",
    "--tb=line",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:faulthandler",
    "-p",
    "pytest_asyncio.plugin",
)

# pytest's options that leave tests out, by their names in its configuration; the small suite has none.
_LEAVING_OUT = {
    "keyword": "-k",
    "markexpr": "-m",
    "maxfail": "-x",
    "deselect": "--deselect",
    "lf": "--lf",
    "stepwise": "--sw",
}

WAIT = 2.0  # seconds that a loop may take to call a function; then it stands still

# What the small suite told; it can only import this module.
_told: list[dict[str, Any]] = []
_reports: list[dict[str, Any]] = []
_left_out: list[str] = []
_asyncio: list[Asyncio] = []
_running: list[tuple[Any, int]] = []  # event loops that run now, each with its thread


def look(folder: Path, notes: Notes, *, script: str) -> None:
    """Run the program of that path."""
    suite = notes.own / "suite"
    suite.mkdir()
    (suite / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    (suite / "conftest.py").write_text(_CONFTEST)
    (suite / "test_small.py").write_text(_SUITE)
    _watch_loops()
    _asyncio.append(Asyncio())
    (suite / "test_wrong.py").write_text(_WRONG)
    options = ("--rootdir", str(suite), "-c", str(suite / "pytest.ini"), *_OPTIONS)
    code, reports = _run(folder / script, [str(suite / "test_small.py"), *options], notes)
    code_of_failure: Any = None
    reports_of_failure: list[dict[str, Any]] = []
    patched = _asyncio[0].patched()
    if reports:
        wrong = [str(suite / "test_wrong.py"), *options]
        code_of_failure, reports_of_failure = _run(folder / script, wrong, notes)
        patched = _asyncio[0].patched()
        # The tests of the learner's folder are only found: their files may patch something, too.
        own = [str(folder / "tests"), "--rootdir", str(folder), "--collect-only", *_OPTIONS]
        _run(folder / script, own, notes)
    notes.add(
        "starter",
        told=_told,
        reports=reports,
        code=code,
        reports_of_failure=reports_of_failure,
        code_of_failure=code_of_failure,
        patched=patched,
        patched_by_tests=_asyncio[0].patched(),
        left_out=sorted(set(_left_out)),
    )


def _run(script: Path, arguments: list[str], notes: Notes) -> tuple[Any, list[dict[str, Any]]]:
    """Run the program, and return its exit code and what the small suite reported."""
    _reports.clear()
    code = run_program(script, arguments, Kept(), notes)
    return code, list(_reports)


def tell(loop: Any) -> None:
    """Note where a test of the small suite runs, and whether another loop runs meanwhile."""
    _asyncio[0].look()
    others = [(other, thread) for other, thread in _running if other is not loop]
    here = threading.get_ident()
    in_their_thread = any(thread == here for _, thread in others)
    moving = not in_their_thread and any(_moves(other) for other, _ in others)
    _told.append({"other_loops": len(others), "in_their_thread": in_their_thread, "moving": moving})


def _moves(loop: Any) -> bool:
    """Whether an event loop of another thread does what it is asked to, and does not stand still."""
    called = threading.Event()
    loop.call_soon_threadsafe(called.set)
    return called.wait(WAIT)


def configured(option: Any) -> None:
    """Note the options that leave tests out, whoever has set them."""
    _left_out.extend(word for name, word in _LEAVING_OUT.items() if getattr(option, name, None))


def report(report: Any) -> None:
    """Note how a phase of a test of the small suite ended."""
    crash = getattr(report.longrepr, "reprcrash", None)
    error = crash.message.split("\n")[0] if crash else ""
    _reports.append({"phase": report.when, "outcome": report.outcome, "error": error})


def _watch_loops() -> None:
    kind: Any = asyncio.base_events.BaseEventLoop  # Any: mypy forbids to replace a method
    run = kind.run_forever

    def watched(loop: Any) -> None:
        entry = (loop, threading.get_ident())
        _running.append(entry)
        try:
            run(loop)
        finally:
            _running.remove(entry)

    kind.run_forever = watched
