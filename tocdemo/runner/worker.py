"""Runs and scripts in a Python process of their own, for what must not happen in a notebook's kernel.

A fresh process has no loop yet, no imported modules and nobody's patches: it is where a fix is proved, and
where `nest_asyncio` is shown; and several use all cores.
"""

import contextlib
import dataclasses
import io
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tocdemo.errors import ScriptFailed, TocdemoError

from . import databases, local
from .options import RunOptions
from .result import Run

LIMIT = 120.0  # seconds that a process may take, besides the time that its tests are given
TESTS = 100  # that many tests, each alone, get their time


class Worker:
    """A Python process that runs suites, one after the other, each on fresh modules.

    It lives in a session of its own: a Ctrl-C in the terminal does not reach it. Not for several threads at
    once.
    """

    def __init__(self) -> None:
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tocdemo.runner.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
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

        Raises what `local.run` raises, and RuntimeError with the process's last words when it gave no result
        in time: a test that cannot be stopped is not waited for without end.
        """
        options = dataclasses.replace(options, **changes)
        child = self._child
        questions, answers = pipes(child)
        overdue = threading.Timer(_limit(options), child.kill)
        overdue.start()
        try:
            pickle.dump((folder, list(arguments), options), questions)
            questions.flush()
            answer = pickle.load(answers)
        except (EOFError, BrokenPipeError) as error:
            child.wait()
            self._complaints.seek(0)
            words = self._complaints.read().decode(errors="replace").strip()[-2000:]
            raise RuntimeError(
                f"The process gave no result: {words or f'it ended with {child.returncode}'}"
            ) from error
        finally:
            overdue.cancel()
        if isinstance(answer, Exception):
            raise answer
        return answer

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
        with Worker() as worker:
            return worker.run(folder, arguments, options)
    except KeyboardInterrupt:
        note = "Interrupted: the process was ended, and nothing is known of its tests."
        return Run((), time.perf_counter() - begin, options.heading, note=note)


def _limit(options: RunOptions) -> float:
    """Return the seconds after which no answer is expected any more: each test may take its time."""
    return LIMIT + TESTS * options.timeout * options.times if options.each else LIMIT + options.timeout


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


def script(code: str, expect: str | None = None) -> Script:
    """Run `code` in a Python process of its own, with a database of its own in its environment.

    The script finds DATABASE_URI and DATABASE_NAME in `os.environ`; its folder is thrown away afterwards.
    `expect` is a part of the error that it is to end with. Raises ScriptFailed when it ends otherwise.
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
            env=dict(os.environ) | own.environment(),
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
    error = _last_error(child.stderr) if child.returncode else ""
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


def _work() -> None:
    """Answer the parent's questions until it closes them. What the tests print must not get in between."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    questions = os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    sys.stdin = io.StringIO()
    with contextlib.suppress(EOFError):
        while True:
            folder, arguments, options = pickle.load(questions)
            try:
                answer: Any = local.run(folder, arguments, options)
            except TocdemoError as error:
                answer = error
            pickle.dump(answer, answers)
            answers.flush()


if __name__ == "__main__":
    _work()
