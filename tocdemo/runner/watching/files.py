"""The files of a folder that a run of its tests heeds: what is in them, and whether they parse.

Contents are compared, not times, so a save that changes nothing is no change. It knows nothing of runs.
"""

import hashlib
import os
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = (".py", ".ini", ".toml")
# Under this name a text is compiled, so that a filter finds the warnings that its author has seen elsewhere.
_NAME = "tocdemo-followed"

# For each path, with `/` and relative to the folder: a digest of what is in the file.
Contents = Mapping[str, bytes]
EMPTY = hashlib.sha256().digest()


@dataclass(frozen=True)
class Broken:
    """A Python file that does not parse. `line` and `column` count from 1; `text` is that line."""

    path: str
    line: int
    column: int
    text: str
    message: str

    def __str__(self) -> str:
        head = f"{self.path}, line {self.line}: {self.message}"
        shown = self.text.expandtabs(1)
        if not shown.strip():
            return head
        indent = len(shown) - len(shown.lstrip())
        return f"{head}\n    {shown.strip()}\n    {' ' * max(0, self.column - 1 - indent)}^"


class Files:
    """The files of one folder. They are read again only when they may have changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[str, tuple[tuple[int, ...], bytes]] = {}
        self._parsed: dict[str, tuple[bytes, Broken | None]] = {}

    def contents(self, touched: Collection[str] = ()) -> Contents:
        """Return what is in the files now; those in `touched` (absolute paths) are read in any case.

        A folder that is not there has no files.
        """
        touched = {os.path.relpath(path, self.folder).replace(os.sep, "/") for path in touched}
        known, self._read = self._read, {}
        for path, stamp in self._found():
            before = known.get(path)
            if before is not None and before[0] == stamp and path not in touched:
                self._read[path] = before
                continue
            try:
                text = (self.folder / path).read_bytes()
            except OSError:  # it vanished just now, or may not be read
                continue
            self._read[path] = (stamp, hashlib.sha256(text).digest())
        return {path: digest for path, (_, digest) in self._read.items()}

    def broken(self, contents: Contents) -> tuple[Broken, ...]:
        """Return which of these files do not parse, by path."""
        python = {path: digest for path, digest in contents.items() if path.endswith(".py")}
        for path in [path for path in self._parsed if path not in python]:
            del self._parsed[path]
        for path, digest in python.items():
            if path not in self._parsed or self._parsed[path][0] != digest:
                self._parsed[path] = (digest, _broken(self.folder, path))
        return tuple(found for path in sorted(python) if (found := self._parsed[path][1]) is not None)

    def _found(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        for place, folders, names in os.walk(self.folder):
            folders[:] = sorted(name for name in folders if _is_sources(place, name))
            for name in sorted(names):
                if not name.startswith((".", "#")) and name.endswith(SUFFIXES):
                    path = os.path.join(place, name)
                    try:
                        state = os.stat(path)
                    except OSError:
                        continue
                    stamp = (state.st_ino, state.st_size, state.st_mtime_ns)
                    yield os.path.relpath(path, self.folder).replace(os.sep, "/"), stamp


def _is_sources(place: str, name: str) -> bool:
    """Whether a folder can hold sources: it is not hidden, no cache, and no virtual environment."""
    hidden = name.startswith(".") or name in ("__pycache__", "node_modules")
    return not hidden and not os.path.exists(os.path.join(place, name, "pyvenv.cfg"))


def _broken(folder: Path, path: str) -> Broken | None:
    # An entry of its own at the front of the list, and not `catch_warnings`: that puts back a list that other
    # threads may have changed meanwhile.
    warnings.filterwarnings("ignore", module=_NAME)
    try:
        text = (folder / path).read_bytes()
    except OSError:
        return None
    try:
        compile(text, _NAME, "exec", dont_inherit=True)
    except SyntaxError as error:
        return _located(path, text, error.lineno or 1, error.offset or 1, error.msg)
    except (ValueError, RecursionError, MemoryError) as error:  # null bytes (Python 3.11); too deeply nested
        return _located(path, text, 1, 1, str(error) or type(error).__name__)
    return None


def _located(path: str, text: bytes, line: int, column: int, message: str) -> Broken:
    lines = text.decode(errors="replace").splitlines()
    return Broken(path, line, column, lines[line - 1] if line <= len(lines) else "", message)
