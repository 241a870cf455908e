"""A suite run again and again in a process that is warm: what it imports is imported already.

A second process is kept ready, so that it costs nothing to end the first in the middle of a run. It knows
nothing of files and of who asks.
"""

import contextlib
import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path

from tocdemo.errors import CannotRun

from .. import databases
from ..options import RunOptions
from ..result import Run
from ..worker import Worker

RUNS = 50  # after so many a process is replaced: what suites leave in it would add up
ENDING = 10.0  # seconds that an abandoned run on a real MongoDB gets to drop its database
WARMING = 3.0  # seconds that a process in the making is waited for; a new one takes about two


class Abandoned(Exception):
    """A run was ended from outside: there is no result, and nobody wants one."""


@dataclass(frozen=True)
class Job:
    """What is run: pytest's `arguments` for the suite in `folder`, and how."""

    folder: Path
    arguments: tuple[str, ...]
    options: RunOptions

    @property
    def on_real_database(self) -> bool:
        """Whether its database outlives its process."""
        return (self.options.backend or databases.chosen_backend()) not in databases.BACKENDS


class Warm:
    """Runs one job again and again. `run` and `prepare` are for one thread, all else is for any."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._lock = threading.Lock()
        self._rested = threading.Condition(self._lock)  # told when a run has ended
        self._process: _Process | None = None
        self._spare: _Spare | None = None
        self._leaving: list[threading.Thread] = []
        self._under_way = False
        self._abandoned = False
        self._closed = False

    def run(self) -> Run:
        """Run the job, and return what it showed.

        Raises Abandoned when it was ended from outside, CannotRun when there is nothing to run, and
        RuntimeError when the process died.
        """
        process = self._begin()
        with contextlib.ExitStack() as ended:
            ended.callback(self._end, process)
            run = process.ask(self.job)
            # A note says that a test still holds its thread, or that the run did not come to its end.
            process.worn = bool(run.note) or process.runs >= RUNS
            return run

    def prepare(self) -> None:
        """Make a second process ready, if there is none: for a moment when nobody waits."""
        with self._lock:
            if self._spare is None and not self._closed:
                self._spare = _Spare(self.job)

    def abandon(self) -> None:
        """End the run that is under way, if one is."""
        with self._lock:
            self._abandon()

    def close(self) -> None:
        """End every process, and wait for it. A run that is under way raises Abandoned."""
        with self._lock:
            self._closed = True
            self._abandon()
            spare, self._spare = self._spare, None
        if spare is not None:
            spare.discard()
        with self._lock:
            self._rested.wait_for(lambda: not self._under_way)
            process, self._process = self._process, None
        if process is not None:
            process.close()
        for thread in self._leaving:
            thread.join()

    def _abandon(self) -> None:
        if self._under_way and not self._abandoned and self._process is not None:
            self._abandoned = True
            self._process.end(ENDING if self.job.on_real_database else 0.0)

    def _begin(self) -> "_Process":
        with self._lock:
            process, spare = self._process, self._spare
        if process is None and spare is not None:
            process = spare.take()
            with self._lock:
                self._spare = None
        if process is None and not self._closed:
            process = _Process()
        if process is None:
            raise Abandoned
        with self._lock:
            self._process, self._under_way, self._abandoned = process, True, self._closed
        if self._abandoned:
            self._end(process)
        return process

    def _end(self, process: "_Process") -> None:
        with self._lock:
            abandoned = self._abandoned
            useless = abandoned or process.worn or not process.lives
            if useless:
                self._process = None
        if abandoned and self.job.on_real_database and process.lives:
            leaving = threading.Thread(target=process.leave, args=[self.job], name="tocdemo-leaving")
            leaving.start()
            self._leaving = [*filter(threading.Thread.is_alive, self._leaving), leaving]
        elif useless:
            process.close()
        with self._lock:
            self._under_way = False
            self._rested.notify_all()
        if abandoned:
            raise Abandoned


class _Process(Worker):
    """A worker that can be ended from any thread, with all that it started."""

    def __init__(self) -> None:
        super().__init__()
        self.runs = 0
        self.worn = False
        self._overdue: threading.Timer | None = None

    @property
    def lives(self) -> bool:
        """Whether the process is there to be asked."""
        return self._child.poll() is None

    def ask(self, job: Job, *further: str) -> Run:
        """Run the job with `further` arguments of pytest, and return what it showed."""
        self.runs += 1
        arguments = ["-p", "tocdemo.runner.watching.lifeline", *job.arguments, *further]
        return self.run(job.folder, arguments, job.options)

    def end(self, within: float) -> None:
        """End the process; with seconds given it is interrupted first, and gets those to come to its end."""
        if not within or os.name == "nt":
            return self._kill()
        with contextlib.suppress(ProcessLookupError):
            self._child.send_signal(signal.SIGINT)
        self._overdue = threading.Timer(within, self._kill)
        self._overdue.daemon = True
        self._overdue.start()

    def leave(self, job: Job) -> None:
        """End the process once its run has come to its end, as far as it was given time for that."""
        with contextlib.suppress(CannotRun, RuntimeError):
            self.ask(job, "--collect-only")  # which waits for a run that is still ending
        self.close()

    def close(self) -> None:
        """End the process, and wait for its end."""
        if self._overdue is not None:
            self._overdue.cancel()
        self._kill()
        super().close()

    def _kill(self) -> None:
        if self.lives and hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):  # it ended just now
                os.killpg(self._child.pid, signal.SIGKILL)
        else:
            self._child.kill()


class _Spare:
    """A process that imports, in a thread of its own, all that the job's suite imports."""

    def __init__(self, job: Job) -> None:
        self._process: _Process | None = _Process()
        self._lock = threading.Lock()
        self._thread = threading.Thread(
            target=self._warm, args=[job, self._process], name="tocdemo-spare", daemon=True
        )
        self._thread.start()

    def take(self) -> _Process | None:
        """Return the process once it is warm; none when that takes too long, or when it ended."""
        self._thread.join(WARMING)
        with self._lock:
            if self._thread.is_alive() or self._process is None or not self._process.lives:
                self._discard()
            process, self._process = self._process, None
            return process

    def discard(self) -> None:
        """End the process, unless it was taken."""
        with self._lock:
            self._discard()

    def _discard(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end(0.0)
            self._thread.join()
            process.close()

    def _warm(self, job: Job, process: _Process) -> None:
        # It runs no test, and so is told that there is none (CannotRun); or it is ended (RuntimeError).
        with contextlib.suppress(CannotRun, RuntimeError):
            process.ask(job, "--collect-only")
