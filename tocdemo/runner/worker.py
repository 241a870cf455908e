"""Runs and scripts in a Python process of their own, for what must not happen in a notebook's kernel.

A fresh process has no loop yet, no imported modules and nobody's patches: it is where a fix is proved, and
where `nest_asyncio` is shown; and several use all cores.
"""

import contextlib
import dataclasses
import importlib
import io
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from tocdemo.errors import ScriptFailed, TocdemoError

from . import databases, environment, local
from .options import RunOptions
from .result import Run, TestResult

LIMIT = 120.0  # seconds that a process may take to begin a test, or to end after the last one
SPARE = 5.0  # seconds that a test gets besides its own: its process is to stop it, and to say so
LOOK = 0.1  # seconds between two looks at the clock


class Worker:
    """A Python process that runs suites, one after the other, each on fresh modules.

    It lives in a session of its own: a Ctrl-C in the terminal does not reach it. With `own_settings` it
    inherits pytest's variables. Not for several threads at once.
    """

    def __init__(self, own_settings: bool = False) -> None:
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tocdemo.runner.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            env=environment.of_child(own_settings=own_settings),
            start_new_session=True,
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(
        self,
        folder: Path,
        arguments: Sequence[str],
        options: RunOptions = RunOptions(),  # noqa: B008 (a frozen value)
        **changes: Any,
    ) -> Run:
        """Run a suite as `local.run` does, and return what it showed. `changes` are options by name.

        A process that ends in the middle of a test, or is ended since a test cannot be stopped, gives what is
        known by then, with a note. Raises what `local.run` raises, and RuntimeError with the process's last
        words when it ended before it began a test.
        """
        options = dataclasses.replace(options, **changes)
        questions, answers = pipes(self._child)
        told = Told(options)
        with Clock(self._child) as clock:
            try:
                pickle.dump((folder, list(arguments), options), questions)
                questions.flush()
                while not isinstance(answer := pickle.load(answers), _Answer):
                    told.hear(answer)
                    clock.allow(options.timeout + SPARE if told.running else LIMIT)
            except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
                return self._ended(told, clock, error)
        if isinstance(answer.value, Exception):
            raise answer.value
        return answer.value

    def _ended(self, told: "Told", clock: "Clock", error: Exception) -> Run:
        """Return what is known of a run whose process is gone; raise RuntimeError when that is nothing."""
        self._child.wait()
        self._complaints.seek(0)
        words = self._complaints.read().decode(errors="replace").strip()[-2000:]
        if not told.results:
            how = how_it_ended(self._child.returncode)
            raise RuntimeError(f"The process gave no result: {words or how}") from error
        run = told.run(clock.expired, how_it_ended(self._child.returncode))
        last = words.splitlines()[-1:]
        return dataclasses.replace(
            run, text=words, remark="".join(f"Its last words: {line}" for line in last)
        )

    def close(self) -> None:
        """End the process; a run that is under way is lost."""
        self._child.kill()
        self._child.communicate()
        self._complaints.close()


def pipes(child: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    """Return what a child reads from, and what it writes to. Both must be pipes."""
    if child.stdin is None or child.stdout is None:
        raise ValueError("Expected a process that was started with pipes")
    return child.stdin, child.stdout


def run(folder: Path, arguments: Sequence[str], options: RunOptions) -> Run:
    """Run a suite in a new Python process, as `Worker.run` does, and return what it showed.

    On Ctrl-C (KeyboardInterrupt) the process is ended, and a run without results is returned, with a note.
    """
    begin = time.perf_counter()
    try:
        with Worker(options.own_settings) as worker:
            return worker.run(folder, arguments, options)
    except KeyboardInterrupt:
        note = "Interrupted: the process was ended, and nothing is known of its tests."
        return Run((), time.perf_counter() - begin, options.heading, note=note)


# --- what is known of a run in another process, while it goes on -------------------------------------------


@dataclass(frozen=True)
class _Answer:
    """The last word of a process on a run: the run, or an error."""

    value: Any


class Told:
    """What a process has told of its run so far."""

    def __init__(self, options: RunOptions) -> None:
        self.options = options
        self.results: dict[str, TestResult] = {}
        self._collected = 0
        self._begin = time.perf_counter()

    @property
    def running(self) -> bool:
        """Whether a test has begun, and has not ended yet."""
        return any(result.outcome == "unfinished" for result in self.results.values())

    def hear(self, news: TestResult | int) -> None:
        """Take a test's result ("unfinished" at its begin), or the number of tests that are to run."""
        if isinstance(news, TestResult):
            self.results[news.nodeid] = news
        else:
            self._collected = news

    def run(self, expired: bool, how: str) -> Run:
        """Return the run as far as it came."""
        last = list(self.results.values())[-1]
        seconds = time.perf_counter() - self._begin
        where = f"in {last.name}" if last.outcome == "unfinished" else f"after {last.name}"
        why = f"The process of this run is gone: {how}, {where}"
        if expired:
            limit = f"{self.options.timeout:g} s"
            why = f"The test {last.name} did not end within {limit}, so its process was ended"
        missing = self._collected - len(self.results)
        left = f"; {missing} of {self._collected} tests did not begin" if missing > 0 else ""
        return Run(tuple(self.results.values()), seconds, self.options.heading, note=f"{why}{left}.")


class Clock:
    """Ends a process that says nothing for too long, and what it started when it has ended."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self.expired = False
        self._child = child
        self._until = time.monotonic() + LIMIT
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="tocdemo-clock", daemon=True)

    def __enter__(self) -> "Clock":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def allow(self, seconds: float) -> None:
        """Let the process say nothing for so long from now on."""
        self._until = time.monotonic() + seconds

    def _watch(self) -> None:
        while not self._over.wait(LOOK):
            self.expired = time.monotonic() > self._until
            if self.expired or self._child.poll() is not None:
                end_group(self._child)  # a process that a test forked would hold our pipes
                return


def end_group(child: subprocess.Popen[bytes]) -> None:
    """End a process and what it has started; it must lead a session of its own."""
    if not hasattr(os, "killpg"):
        return child.kill()
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def how_it_ended(code: int) -> str:
    """Say in words how a process ended, from its exit code; a negative one is a signal's."""
    if code >= 0:
        return f"it ended itself with exit code {code}, as os._exit does"
    with contextlib.suppress(ValueError):
        return f"the signal {signal.Signals(-code).name} ended it"
    return f"the signal {-code} ended it"


@dataclass(frozen=True)
class Script:
    """What a script did: what it printed, and the last line of its error, if there was one."""

    output: str
    error: str
    expected: bool = False

    def __str__(self) -> str:
        label = "Expected error" if self.expected else "Error"
        return self.output + (f"{label}: {self.error}" if self.error else "")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle: dict[str, Any] = {"text/plain": str(self)}
        if self.expected:
            kind, _, message = self.error.partition(": ")
            bundle["application/vnd.tocdemo.expected+json"] = {"type": kind, "message": message}
        return bundle


def script(code: str, expect: str | None = None, may_fail: bool = False) -> Script:
    """Run `code` in a Python process of its own, with a database of its own in its environment.

    The script finds DATABASE_URI and DATABASE_NAME in `os.environ`; its folder is thrown away afterwards.
    `expect` is a part of the error that it is to end with. Raises ScriptFailed when it ends otherwise, but
    for a script that `may_fail`: how it ends is shown, and labelled as expected if it ends with an error.
    """
    with (
        tempfile.TemporaryDirectory(prefix="tocdemo-") as folder,
        databases.open_database(databases.chosen_backend()) as own,
    ):
        file = Path(folder) / "script.py"
        file.write_text(code, encoding="utf-8")
        child = subprocess.run(
            [sys.executable, str(file)],
            cwd=folder,
            env=environment.of_child(own.environment()),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=LIMIT,
        )
    error = _last_error(child.stderr) if child.returncode else ""
    if may_fail:
        return Script(child.stdout, error, expected=bool(error))
    if expect is None and child.returncode:
        raise ScriptFailed(f"The script failed:\n{child.stdout}{child.stderr}")
    if expect is not None and expect not in error:
        raise ScriptFailed(
            f"Expected the script to end with {expect!r}; it ended with {error or 'no error'!r}"
        )
    return Script(child.stdout, error, expected=expect is not None)


def _last_error(text: str) -> str:
    """Return the line that ends the last traceback in `text`; warnings may come after it."""
    trace = text.rpartition("Traceback (most recent call last):")[2] or text
    lines = [line for line in trace.splitlines() if line and not line.startswith(" ")]
    return lines[0] if lines else ""


# --- in that process ---------------------------------------------------------------------------------------


class _Teller:
    """A pytest plugin that tells the parent how far the run is."""

    def __init__(self, answers: IO[bytes]) -> None:
        self._answers, self._process = answers, os.getpid()

    def tell(self, news: Any) -> None:
        """Send something to the parent; a copy of this process that a test has forked is silent."""
        if os.getpid() == self._process:
            pickle.dump(news, self._answers)
            self._answers.flush()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.tell(len(session.items))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.tell(TestResult(nodeid, "unfinished"))


def _work() -> None:
    """Answer the parent's questions until it closes them. What the tests print must not get in between."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    questions = os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    sys.stdin = io.StringIO()
    teller = _Teller(answers)
    with contextlib.suppress(EOFError):
        while True:
            folder, arguments, options = pickle.load(questions)
            try:
                answer: Any = local.run(folder, arguments, options, plugins=[teller], on_result=teller.tell)
            except TocdemoError as error:
                answer = error
            teller.tell(_Answer(answer))


if __name__ == "__main__":
    # By its name as a module: what it pickles is read by a process that imports it so.
    importlib.import_module("tocdemo.runner.worker")._work()
