"""A Python process that runs a learner's code for a check, so that whatever it does, it does not do it here.

The process is kept warm between checks; each question has a fork of it (on Linux), or the whole process,
which is then replaced. It knows how a question is asked and how one ends, and not what is asked.
"""

import atexit
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tocdemo.runner import environment
from tocdemo.runner.worker import pipes

LIMIT = 20.0  # seconds that a question may take; an endless loop is ended then
START = 60.0  # seconds that the process may take to load what it needs
GRACE = 5.0  # seconds more, after which the process is ended from outside

# Elsewhere, what a library has done may not survive a fork.
FORKS = sys.platform == "linux"

# What the surroundings say of databases and of coverage is not for the learner's code.
_FOREIGN = ("DATABASE_", "TOCDEMO_", "COVERAGE_", "COV_CORE_")
_FRAME = re.compile(r'^  File "(?P<file>.+)", line (?P<line>\d+) in (?P<function>.+)$', re.MULTILINE)


@dataclass(frozen=True)
class Frame:
    """A place in a learner's file, relative to the folder."""

    file: str
    line: int
    function: str


@dataclass(frozen=True)
class Seen:
    """What a question brought to light: notes, each a dictionary with `what` it is about.

    `ended` is empty when the question came to its end, else it says how it ended, and `frame` where the
    learner's code stood then, as far as that is known.
    """

    notes: tuple[dict[str, Any], ...]
    ended: str = ""
    frame: Frame | None = None

    def the(self, what: str) -> dict[str, Any] | None:
        """Return the last note of this kind, if there is one."""
        return next((note for note in reversed(self.notes) if note.get("what") == what), None)

    def sure(self, what: str) -> dict[str, Any]:
        """Return the last note of this kind, which a question that came to its end has always made."""
        note = self.the(what)
        if note is None:
            raise LookupError(f"the run has left no note of {what!r}")
        return note


def ask(kind: str, folder: Path, meant: Sequence[str] = (), limit: float | None = None, **more: Any) -> Seen:
    """Ask a question of a copy of the backend, and return what was seen.

    `kind` is the name of a module of `probes`, `more` is what it is called with besides the folder: plain
    data. `meant` are the files that errors are rather seen in than in others. It takes `limit` seconds at
    most (LIMIT without one).
    """
    limit = LIMIT if limit is None else limit
    with tempfile.TemporaryDirectory(prefix="tocdemo-check-", ignore_cleanup_errors=True) as own:
        question = {
            **{"kind": kind, "folder": str(folder.resolve()), "own": own},
            **{"meant": list(meant), "limit": limit, "more": more, "fork": FORKS},
        }
        with _lock:
            status = _helper().answer(question, limit + GRACE)
            if not FORKS:
                _helpers.pop().end()
                _helper()  # it loads what it needs while nobody waits for it
        return _read(Path(own), folder.resolve(), status, limit)


def _read(own: Path, folder: Path, status: str, limit: float) -> Seen:
    notes = []
    with contextlib.suppress(OSError):
        for line in (own / "notes").read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):  # the last line of a process that was ended may be cut off
                notes.append(json.loads(line))
    if notes and notes[-1].get("what") == "end":
        return Seen(tuple(notes[:-1]))
    stack = ""
    with contextlib.suppress(OSError):
        stack = (own / "stack").read_text(encoding="utf-8", errors="replace")
    if stack or status == "late":
        frame = _own_frame(stack, folder)
        waits = next((note["place"] for note in reversed(notes) if note["what"] == "waits"), None)
        if frame is None and waits is not None:
            frame = Frame(**waits)
        return Seen(tuple(notes), f"it did not end within {limit:g} seconds", frame)
    return Seen(tuple(notes), f"Python itself was ended ({status})")


def _own_frame(stack: str, folder: Path) -> Frame | None:
    """Return the innermost frame of the learner's code, in whichever thread it is."""
    for found in _FRAME.finditer(stack):
        with contextlib.suppress(ValueError):
            file = Path(found["file"]).relative_to(folder)
            return Frame(file.as_posix(), int(found["line"]), found["function"])
    return None


class _Helper:
    """The process that is kept warm. It answers one question after the other."""

    def __init__(self) -> None:
        kept = {name: it for name, it in environment.of_child().items() if not name.startswith(_FOREIGN)}
        kept |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        # Not the current folder, which may hold an `app`: the one that this package lies in.
        path = [str(Path(__file__).resolve().parents[3]), os.environ.get("PYTHONPATH", "")]
        kept["PYTHONPATH"] = os.pathsep.join(filter(None, path))
        self.child = subprocess.Popen(
            [sys.executable, "-P", "-m", "tocdemo.course.exercises.probes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=kept,
            start_new_session=True,  # a Ctrl-C in the terminal is not for it
        )
        self._questions, self._answers = pipes(self.child)
        self._loaded = False

    def answer(self, question: dict[str, Any], limit: float) -> str:
        """Let the process answer, and return how that ended: "status 0", another one, or "late"."""
        if not self._loaded:
            self._loaded = self._said(None, START) == "ready"
        return self._said(question, limit)

    def _said(self, question: dict[str, Any] | None, limit: float) -> str:
        """Return the next line that the process says, after a question, if there is one."""
        late = threading.Event()

        def end() -> None:
            late.set()
            self.end()

        overdue = threading.Timer(limit, end)
        overdue.daemon = True
        overdue.start()
        try:
            if question is not None:
                self._questions.write(f"{json.dumps(question)}\n".encode())
                self._questions.flush()
            answer = self._answers.readline().decode().strip()
        except OSError:
            answer = ""
        except BaseException:  # an interrupt: the learner's code shall not run on
            self.end()
            raise
        finally:
            overdue.cancel()
        return "late" if late.is_set() else answer or f"status {self.child.wait()}"

    def end(self) -> None:
        """End the process and what it has started."""
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self.child.pid, signal.SIGKILL)
            else:
                self.child.kill()
        with contextlib.suppress(OSError):
            self._questions.close()
        self.child.wait()


_lock = threading.Lock()  # one question at a time
_helpers: list[_Helper] = []  # the process of this one, once there is one


def _helper() -> _Helper:
    for helper in list(_helpers):
        if helper.child.poll() is None:
            return helper
        _helpers.remove(helper)
    _helpers.append(_Helper())
    return _helpers[0]


def warm_up() -> None:
    """Start the process, so that the first question need not wait for it."""
    with _lock:
        _helper()


@atexit.register
def _end_all() -> None:
    for helper in _helpers:
        helper.end()
