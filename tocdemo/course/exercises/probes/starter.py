"""The question of a program that starts pytest: in which thread the tests run, and what runs beside them.

The program gets a small suite of its own, whose tests tell this module where they are.
"""

import asyncio
import threading
from pathlib import Path
from typing import Any

from .notes import Notes
from .script import asyncio_as_it_is, patched_since, run_program
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
_CONFTEST = """\
from tocdemo.course.exercises.probes import starter


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

# What the small suite told; it can only import this module.
_told: list[dict[str, Any]] = []
_reports: list[dict[str, Any]] = []
_running: list[tuple[Any, int]] = []  # event loops that run now, each with its thread


def look(folder: Path, notes: Notes, *, script: str) -> None:
    """Run the program of that path."""
    suite = notes.own / "suite"
    suite.mkdir()
    (suite / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    (suite / "conftest.py").write_text(_CONFTEST)
    (suite / "test_small.py").write_text(_SUITE)
    _watch_loops()
    before = asyncio_as_it_is()
    printed = Kept()
    arguments = [
        str(suite / "test_small.py"),
        "--rootdir",
        str(suite),
        "-c",
        str(suite / "pytest.ini"),
        *_OPTIONS,
    ]
    run_program(folder / script, arguments, printed, notes)
    notes.add(
        "starter",
        told=_told,
        reports=_reports,
        patched=patched_since(before),
        printed=printed.getvalue()[-2000:],
    )


def tell(loop: Any) -> None:
    """Note where a test of the small suite runs, and whether another loop runs meanwhile."""
    others = [thread for other, thread in _running if other is not loop]
    here = threading.get_ident()
    _told.append({"other_loops": len(others), "in_their_thread": here in others})


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
