"""A folder with a Python environment that this project made: what is in it, and whether that is whole.

It is read here, and locked; nothing is installed. It parses on Python 3.6, and knows nothing of the course.
"""

import contextlib
import json
import os
import sys

from . import pins as pinned
from .words import say

try:
    import fcntl
except ImportError:  # Windows: two set-ups at once are then not kept apart
    fcntl = None  # type: ignore[assignment]  # there is none

MARKER = "made-by-tocdemo.txt"  # first in: this environment is ours to change
STAMP = "tocdemo-stamp.json"  # last in: what was installed here was installed to its end
UNFINISHED = "tocdemo-unfinished.json"  # in place of the stamp while something is being installed
LOG = "tocdemo-install.log"
VERSION = "{}.{}".format(*sys.version_info[:2])


class Environment:
    """The environment in `folder`, for the project in `root` and the running Python's version."""

    def __init__(self, folder: str, root: str) -> None:
        self.folder, self.root = folder, root
        self.log = self.path(LOG)

    def path(self, *names: str) -> str:
        return os.path.join(self.folder, *names)

    @property
    def python(self) -> str:
        """Its interpreter."""
        return self.path(*(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))

    @property
    def site_packages(self) -> str:
        """The folder where its packages lie."""
        import sysconfig

        return sysconfig.get_path("purelib", "venv", {"base": self.folder, "platbase": self.folder})

    @property
    def ours(self) -> bool:
        """Whether this project made it, and may change it."""
        return os.path.exists(self.path(MARKER))

    @property
    def runs_here(self) -> bool:
        """Whether the running Python is that of this environment, and the environment is ours."""
        return os.path.realpath(sys.prefix) == os.path.realpath(self.folder) and self.ours

    @property
    def made_for(self) -> "str | None":
        """The version of Python that it was made for, such as "3.11"; None when nothing says so."""
        stamp = self._read(STAMP) or self._read(UNFINISHED)
        return str(stamp.get("python", "")).split(" ")[-1] or None

    def lacking(self, pins: "dict[str, str | None]") -> "list[str]":
        """Return the names whose pinned version is not installed in it."""
        return pinned.lacking(pins, [self.site_packages], self.root)

    def serves(self, pins: "dict[str, str | None]") -> bool:
        """Whether one can go on in it for want of a better: its Python is there, and each package somehow."""
        right = os.path.exists(self.python) and self.made_for in (None, VERSION)
        return right and not pinned.absent(pins, [self.site_packages])

    def sound(self) -> bool:
        """Whether it was made for this Python's version and place, and nothing in it is half installed."""
        stamp = self.stamp()
        right = self.made_for == VERSION and stamp.get("project") == self.root
        return bool(stamp) and right and os.path.exists(self.python)

    def complete(self, pins: "dict[str, str | None]") -> bool:
        """Whether it is sound, and holds every pinned version."""
        return self.sound() and not self.lacking(pins)

    # --- its stamp: which packages it holds is read from their own metadata ---

    def stamp(self) -> "dict[str, object]":
        """Return what it was made for; nothing when a set-up was cut short after its first change."""
        unfinished = self._read(UNFINISHED)
        untouched = unfinished.pop("last_change", None) == self.last_change()
        return self._read(STAMP) or (unfinished if untouched else {})

    def last_change(self) -> "int | None":
        """When a package was last put in or taken out (ns): whoever did it shows here."""
        with contextlib.suppress(OSError):
            return os.stat(self.site_packages).st_mtime_ns
        return None

    def begin(self, stamp: "dict[str, object]") -> None:
        """Note that something is about to be installed."""
        self._write(UNFINISHED, dict(stamp, last_change=self.last_change()))
        self._remove(STAMP)

    def finish(self, stamp: "dict[str, object]") -> None:
        """Note that it was installed to its end."""
        self._write(STAMP, stamp)
        self._remove(UNFINISHED)

    def _read(self, name: str) -> "dict[str, object]":
        try:
            with open(self.path(name), encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError):
            return {}

    def _write(self, name: str, stamp: "dict[str, object]") -> None:
        with open(self.path(name), "w", encoding="utf-8") as file:
            json.dump(stamp, file)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.path(name))

    # --- one process at a time ---

    @contextlib.contextmanager
    def owned(self):
        """Put the ownership marker in and hold its lock; yield the file numbers that pip has to keep open.

        pip inherits the lock: should this process be killed, the next set-up waits until its pip has ended.
        """
        while True:
            os.makedirs(self.folder, exist_ok=True)
            with open(self.path(MARKER), "a+", encoding="utf-8") as marker:
                _lock(marker)
                if not self._holds(marker):  # while this process waited, the folder was moved to its place
                    continue
                if marker.tell() == 0:
                    marker.write("tocdemo made this folder and may replace what is in it.\n")
                    marker.flush()
                if fcntl is not None:
                    yield (marker.fileno(),)
                    return
            break
        yield ()  # the file is closed: Windows moves no folder with an open file in it

    def _holds(self, marker) -> bool:
        try:
            return os.path.samestat(os.fstat(marker.fileno()), os.stat(self.path(MARKER)))
        except FileNotFoundError:
            return False


def _lock(marker) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("another tocdemo command is setting up the environment; waiting for it")
        fcntl.flock(marker, fcntl.LOCK_EX)
