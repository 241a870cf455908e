"""What the tests of watching share: a list of sights that can be waited for, and processes that are left."""

import dataclasses
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

from tocdemo.runner.options import RunOptions
from tocdemo.runner.result import Run, TestResult
from tocdemo.runner.watching.warm import Abandoned, Job
from tocdemo.runner.watching.watcher import Sight

BOUND = 90.0  # seconds after which a test gives up waiting: on a busy machine all takes long


class Sights(list[Sight]):
    """The sights that were told, in order."""

    def __init__(self) -> None:
        super().__init__()
        self._told = threading.Condition()

    def __call__(self, sight: Sight) -> None:
        with self._told:
            self.append(sight)
            self._told.notify_all()

    def wait(self, what: Callable[[Sight], object]) -> Sight:
        """Wait until the newest sight is as `what` says, and return it."""
        with self._told:
            there = self._told.wait_for(lambda: self and what(self[-1]), BOUND)
            assert there, f"not seen within {BOUND:g} s; the last was:\n{self[-1] if self else 'none'}"
            return self[-1]

    def run(self, number: int) -> Sight:
        """Wait for the run of this number, and return what was seen of it."""
        return self.wait(lambda sight: sight.runs >= number and not sight.running)


class Quick:
    """A runner that runs nothing: its tests passed at once. With `held` a run takes until it is abandoned."""

    def __init__(self, held: Iterable[int] = ()) -> None:
        self.begun = 0
        self.abandoned = 0
        self.closed = False
        self._held = set(held)
        self._given_up = threading.Event()

    def run(self) -> Run:
        self.begun += 1
        if self.begun in self._held and not self.closed:
            self._given_up.clear()
            assert self._given_up.wait(BOUND)
            raise Abandoned
        return dataclasses.replace(a_run(test_one="passed"), text=f"{self.begun:5000}")

    def prepare(self) -> None:
        pass

    def abandon(self) -> None:
        self.abandoned += not self._given_up.is_set()
        self._given_up.set()

    def close(self) -> None:
        self.closed = True
        self.abandon()


def a_run(note: str = "", **outcomes: str) -> Run:
    """Return a run of tests in one file; a name with a dot is that of a file that could not be imported."""
    results = (
        TestResult(name if "." in name else f"test_small.py::{name}", outcome)
        for name, outcome in outcomes.items()
    )
    return Run(tuple(results), 0.01, note=note)


def a_job(folder: Path, timeout: float = 60.0, backend: str | None = None) -> Job:
    """Return the job that runs all tests below a folder."""
    return Job(folder, (str(folder),), RunOptions(timeout=timeout, backend=backend))


# What ran below this process before the test began: other tests keep processes warm, too.
OTHERS: frozenset[psutil.Process] = frozenset()


def children() -> list[psutil.Process]:
    """Return the processes below this one that run."""
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if child not in OTHERS and child.is_running() and child.status() != psutil.STATUS_ZOMBIE
    ]


def gone(pid: int) -> bool:
    """Wait until a process is gone, and return whether it is."""
    until = time.monotonic() + BOUND
    while time.monotonic() < until:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False
