"""Where an error arose in a suite's own code: the file, the line, and what stands there.

It knows tracebacks and pytest's wrappings of errors, and nothing of runs.
"""

import linecache
import os
import re
import site
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest.config import ConftestImportFailure
from _pytest.fixtures import FixtureLookupError

from ..result import error_line

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# Code that is nobody's suite, even where it lies below a suite's folder, as `.venv` often does.
_FOREIGN = (
    *(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    site.getusersitepackages() + os.sep,
    str(Path(__file__).parents[2]) + os.sep,
)


@dataclass(frozen=True)
class Place:
    """A line of a suite: `file` as seen from the suite's root, and the `code` that stands there."""

    file: str
    line: int
    code: str = ""

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}"


def root_of(config: pytest.Config) -> Path:
    """Return the folder from which a suite's files are named: that of its ini-file, if it has one.

    Without one pytest takes the folder that its arguments and the working directory share, which may be any
    folder above (its documentation, "Finding the rootdir"): then it is the folder that the arguments share.
    """
    named = [str(each).partition("::")[0] for each in config.known_args_namespace.file_or_dir]
    there = [os.path.abspath(each) for each in named if os.path.exists(each)]
    if config.inipath is not None or not there:
        return config.rootpath
    shared = Path(os.path.commonpath(there))
    return shared if shared.is_dir() else shared.parent


def plain(text: str) -> str:
    """Return a text without the codes that colour it in a terminal: pytest writes them under FORCE_COLOR."""
    return _COLOUR.sub("", text)


def unwrapped(error: BaseException) -> BaseException:
    """Return the error of a file that could not be imported, without what pytest put around it."""
    if isinstance(error, ConftestImportFailure) and error.__cause__ is not None:
        return unwrapped(error.__cause__)
    if isinstance(error, pytest.Collector.CollectError) and error.__cause__ is not None:
        return unwrapped(error.__cause__)
    return error


def described(error: BaseException) -> str:
    """Return an error's type and the first line of its message, without the place."""
    if isinstance(error, SyntaxError) and error.msg:
        return f"{type(error).__name__}: {error.msg}"
    if isinstance(error, FixtureLookupError):
        return f"{type(error).__name__}: fixture {error.argname!r} not found"
    return error_line(error)


def place_of(error: BaseException, root: Path) -> Place | None:
    """Return where in the suite below `root` an error arose: the innermost line that is the suite's own.

    Of a file that does not parse, it is the line that Python points at. None where nothing is known.
    """
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return place_in(error.filename, error.lineno, root, error.text or "")
    found, step = None, error.__traceback__
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        found = place_in(file, step.tb_lineno, root) if _is_own(file, root) else found
        step = step.tb_next
    return found


def _is_own(file: str, root: Path) -> bool:
    return file.startswith(f"{root}{os.sep}") and not file.startswith(_FOREIGN)


def place_in(file: str, line: int, root: Path, code: str = "") -> Place:
    """Return a line of a file as a place, named from `root` when it is below it."""
    shown = os.path.relpath(file, root) if file.startswith(f"{root}{os.sep}") else file
    return Place(shown.replace(os.sep, "/"), line, (code or linecache.getline(file, line)).strip())
