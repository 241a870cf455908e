"""Tells the project's own code from libraries, and walks stacks and tracebacks down to it.

It is quick, one look-up a frame, since every place that is noted needs it. It must not know of loops.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType, TracebackType

HERE = str(Path(__file__).resolve().parents[1]) + os.sep
TESTS = HERE + "tests" + os.sep
_RUNNER = tuple(os.sep + name + os.sep for name in ("_pytest", "pluggy"))
DEEPEST = 80


@dataclass(frozen=True)
class Step:
    """One level of a stack: the frame and where it stands.

    Not to be stored: with it everything that the frame refers to stays alive.
    """

    frame: FrameType
    line: int

    @property
    def file(self) -> str:
        return self.frame.f_code.co_filename

    @property
    def function(self) -> str:
        return self.frame.f_code.co_name


class Sites:
    """Knows which files are the project's: those outside the standard library and the installed packages."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip(os.sep) + os.sep

    def kind(self, filename: str) -> str:
        """Return "project", "library" or "runner" (pytest itself)."""
        return _kind(filename)

    def steps(self, frame: FrameType | None) -> list[Step]:
        """Return the stack from `frame` outwards, innermost first, as far as pytest's own frames."""
        found: list[Step] = []
        while frame is not None and len(found) < DEEPEST:
            kind = self.kind(frame.f_code.co_filename)
            if kind == "runner":
                break
            if not frame.f_code.co_filename.startswith(HERE) or kind == "project":
                found.append(Step(frame, frame.f_lineno))
            frame = frame.f_back
        return found

    def nearest(self, frame: FrameType | None) -> tuple[str, int, str] | None:
        """Return (file, line, function) of the innermost frame of the project, or None."""
        depth = 0
        while frame is not None and depth < DEEPEST:
            code = frame.f_code
            kind = _kind(code.co_filename)
            if kind == "project":
                return code.co_filename, frame.f_lineno, code.co_name
            if kind == "runner":
                return None
            frame = frame.f_back
            depth += 1
        return None

    def traceback(self, traceback: TracebackType | None) -> list[Step]:
        """Return the steps of a traceback, innermost first, without pytest's own."""
        found: list[Step] = []
        while traceback is not None:
            if self.kind(traceback.tb_frame.f_code.co_filename) != "runner":
                found.append(Step(traceback.tb_frame, traceback.tb_lineno))
            traceback = traceback.tb_next
        return found[::-1]

    def shown(self, filename: str) -> str:
        """Return the path as a reader wants it: relative to the root where it lies below it."""
        return filename[len(self.root) :] if filename.startswith(self.root) else filename

    def project_modules(self) -> Iterator[tuple[str, object]]:
        """Yield the name and module of every loaded module of the project, and `__main__`."""
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if name == "__main__" or (isinstance(file, str) and self.kind(file) == "project"):
                yield name, module


@cache
def _kind(filename: str) -> str:
    if any(part in filename for part in _RUNNER):
        return "runner"
    if filename.startswith("<") or (filename.startswith(HERE) and not filename.startswith(TESTS)):
        return "library"
    library = _library_folders()
    inside = filename.startswith(library) or os.path.realpath(filename).startswith(library)
    return "library" if inside else "project"


@cache
def _library_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = [paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders += [*site.getsitepackages(), site.getusersitepackages()]
    both = {p for folder in folders for p in (folder, os.path.realpath(folder))}
    return tuple(sorted(folder + os.sep for folder in both))


def without_own_frames(error: BaseException) -> BaseException | None:
    """Take loopwatch's frames out of the tracebacks of an error and of those that it came from.

    Return the error if it had any, or None.
    """
    changed = False
    current: BaseException | None = error
    seen: set[int] = set()
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        steps = list(_links(current.__traceback__))
        kept = [step for step in steps if not _is_own(step.tb_frame.f_code.co_filename)]
        if len(kept) < len(steps):
            changed = True
            current.__traceback__ = _chained(kept)
        current = current.__cause__ or current.__context__
    return error if changed else None


def _links(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _chained(steps: list[TracebackType]) -> TracebackType | None:
    following = None
    for step in reversed(steps):
        following = TracebackType(following, step.tb_frame, step.tb_lasti, step.tb_lineno)
    return following


def _is_own(filename: str) -> bool:
    return filename.startswith(HERE) and not filename.startswith(TESTS)
