"""What a probe notes: plain data, a line of a file each, and where the learner's code stood.

It knows the folder of the learner's copy, and nothing of what is asked.
"""

import json
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from tocdemo.runner.result import error_line

_MOST = 500  # characters of an error's text


class Notes:
    """A file of notes about the learner's copy in `folder`, in the folder `own`."""

    def __init__(self, file: Path, folder: Path, meant: Sequence[str] = ()) -> None:
        self.folder = folder
        self._meant = meant
        self.own = file.parent
        self._prefix = f"{folder}/"
        self._file = file.open("a", encoding="utf-8")

    def add(self, what: str, **more: Any) -> None:
        """Note something: plain data. It is in the file when this returns."""
        self._file.write(json.dumps({"what": what, **more}, default=repr) + "\n")
        self._file.flush()

    def raised(self, what: str, error: BaseException, **more: Any) -> None:
        """Note an error, with the place of the learner's that it came from."""
        self.add(what, error=error_text(error), place=self.place_of(error), **more)

    def place_of(self, error: BaseException) -> dict[str, Any] | None:
        """Return the innermost place of the learner's that an error went through, if it did.

        One in the files that the exercise is about comes before one in the files that they use.
        """
        if isinstance(error, SyntaxError) and self.is_own(error.filename or ""):
            return self.place(error.filename, error.lineno or 1, "")
        places = [
            self.place(frame.f_code.co_filename, line, frame.f_code.co_qualname)
            for frame, line in traceback.walk_tb(error.__traceback__)
            if self.is_own(frame.f_code.co_filename)
        ]
        meant = [place for place in places if place["file"] in self._meant]
        return (meant or places or [None])[-1]

    def place_above(self, frame: FrameType | None, *, but: tuple[str, ...] = ()) -> dict[str, Any] | None:
        """Return the innermost of the learner's places from `frame` outwards, not in the files `but`."""
        while frame is not None:
            name = frame.f_code.co_filename
            if self.is_own(name) and name.removeprefix(self._prefix) not in but:
                return self.place(name, frame.f_lineno, frame.f_code.co_qualname)
            frame = frame.f_back
        return None

    def is_own(self, filename: str) -> bool:
        """Whether a file lies in the learner's folder."""
        return filename.startswith(self._prefix)

    def place(self, filename: str, line: int, function: str) -> dict[str, Any]:
        """Return a place as plain data, with the file relative to the learner's folder."""
        return {"file": filename.removeprefix(self._prefix), "line": line, "function": function}


def error_text(error: BaseException) -> str:
    """Return an error's type and the first line of its message. A message that cannot be had is left out."""
    try:
        return error_line(error)[:_MOST]
    except BaseException:
        return type(error).__name__


def caller() -> FrameType:
    """Return the frame that called the function that calls this."""
    return sys._getframe(2)
