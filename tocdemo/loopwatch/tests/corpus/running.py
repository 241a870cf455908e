"""Runs pytest on a small project in this process, on freshly imported modules, with a `Watch`.

It needs pytest alone, so that it can work in an environment of another project.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tocdemo.loopwatch import Watch

QUIET = ("-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:xdist", "--no-header")


@dataclass(frozen=True)
class Ran:
    """What one run gave: how many tests passed and failed, what was explained, and what pytest printed."""

    passed: int
    failed: int
    explanations: dict[str, str]
    text: str

    @property
    def full(self) -> str:
        """The first full explanation, "" if there is none."""
        return next(iter(self.explanations.values()), "")


def run_here(folder: Path, args: tuple[str, ...] = ()) -> Ran:
    """Run pytest on the folder in this process, on freshly imported modules."""
    modules, path, before = set(sys.modules), list(sys.path), Path.cwd()
    watch = Watch()
    counted = _Counts()
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        os.chdir(folder)
        try:
            pytest.main([*QUIET, "-W", "ignore", f"--rootdir={folder}", *args, "."], plugins=[watch, counted])
        finally:
            os.chdir(before)
            sys.path[:] = path
            _forget(folder, set(sys.modules) - modules)
    assert watch.recording is not None, out.getvalue()
    gc.collect()
    assert "could not explain" not in out.getvalue(), out.getvalue()
    return Ran(counted.passed, counted.failed, dict(watch.recording.explanations), out.getvalue())


def _forget(folder: Path, names: set[str]) -> None:
    for name in names:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]


class _Counts:
    """Counts outcomes; an error at collection counts as a failure."""

    def __init__(self) -> None:
        self.passed = self.failed = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.passed += report.passed and report.when == "call"
        self.failed += report.failed

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.failed += report.failed
