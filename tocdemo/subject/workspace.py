"""A learner's workspace: a copy of the backend in a known state, to break, fix and run.

Each lesson has one of its own, so that no lesson touches what was written in another. Nothing that a learner
wrote is ever lost: it is kept in a backup before it is replaced. Knows faults and files, not how tests are
run, and which state a lesson begins with it is told.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tocdemo.display.code import unified_diff
from tocdemo.errors import BadInput, BadPath

from . import faults, sources
from .backups import Backups
from .reports import Report, shown_path

ROOT = sources.ROOT
PLAYGROUND = "playground"  # the workspace of a notebook that is no lesson
_RECORD = ".course.json"
_OWN_FILES = (".py", ".ini", ".toml", ".cfg")


def root() -> Path:
    """Return the folder of all workspaces: TOCDEMO_WORKSPACE, or `workspace` in the project's folder."""
    return Path(os.environ.get("TOCDEMO_WORKSPACE") or ROOT / "workspace").resolve()


def of(name: str) -> "Workspace":
    """Return the workspace of that name (a lesson's, or PLAYGROUND); it need not be there yet."""
    if not name.isidentifier() and not name.replace("_", "").isalnum():
        raise BadInput(f"Expected the name of a lesson, such as 03_the_async_fixture; found {name!r}")
    return Workspace(root() / name)


@dataclass(frozen=True)
class Start:
    """What a workspace begins with: these faults, the neighbours' tests or not, and files given beside it.

    Without a `backend`, the given files are all there is: another project.
    """

    faults: tuple[str, ...] = ()
    neighbours: bool = False
    given: Mapping[str, str] = field(default_factory=dict)
    backend: bool = True

    @cached_property
    def files(self) -> Mapping[str, str]:
        """A text for each path. Raises BadInput for the name of no fault."""
        if not self.backend:
            return dict(self.given)
        own = dict(sources.neighbours()) if self.neighbours else {}
        return {**faults.with_faults(self.faults), **own, **self.given}


@dataclass(frozen=True)
class Workspace:
    """The workspace in `folder`; its name is the folder's."""

    folder: Path

    @property
    def name(self) -> str:
        """The lesson's slug, or PLAYGROUND."""
        return self.folder.name

    @property
    def backups(self) -> Backups:
        """What was kept of this workspace: beside the folder of all workspaces."""
        return Backups(self.folder.parent.with_name(f"{self.folder.parent.name}-backups") / self.name)

    def exists(self) -> bool:
        """Whether the folder is there."""
        return self.folder.is_dir()

    def required(self) -> "Workspace":
        """Return this workspace. Raises BadInput, which says what to do, when it is not there."""
        if not self.exists():
            raise BadInput(f"There is no workspace at {self.folder} yet: run the lesson's first cell")
        return self

    # --- into a state ---

    def open(self, start: Start) -> Report:
        """Make what is not there; put to the start what nobody edited, leave the rest, and say so."""
        fresh, record = not self.exists(), self._record()
        mine = [path for path, text in start.files.items() if self._differs(path, text, record)]
        changed = {path: text for path, text in start.files.items() if path not in mine}
        changed = {path: text for path, text in changed.items() if self._read(path) != text}
        gone = [] if start.neighbours else [path for path in sources.neighbours() if self.has(path)]
        gone = [path for path in gone if not self._differs(path, "", record)]
        known = {path: record.get(path, {}).get("of") for path in start.files}
        newer = [path for path, of in known.items() if of and of != _digest(_course_text(path, start))]
        self._write_start(changed, start, gone)
        place = shown_path(self.folder)
        if fresh:
            what = "the backend" if start.backend else "a project"
            headline = f"Made {place}/: your copy of {what} and its tests."
        elif mine:
            headline = f"Your edits of {', '.join(mine)} are as you left them; lab.reset() starts afresh."
        else:
            headline = f"{place}/ is as at the lesson's start."
        word = {True: "yours is kept; lab.reset() brings the new one", False: "here is the new one"}
        details = [f"{path} has changed in the course: {word[path in mine]}." for path in newer]
        return self._report(headline, details=details)

    def reset(self, start: Start) -> Report:
        """Put everything to the start; what a learner wrote is kept first, files of their own, too."""
        extra = [path for path in self._own_files() if path not in start.files]
        return self._put(start, f"{shown_path(self.folder)}/ is as at the start", [*extra])

    def put(self, start: Start, title: str = "") -> Report:
        """Put the backend into another state and say what that changed; files of a learner's own stay."""
        there = [path for path in sources.neighbours() if path not in start.files and self.has(path)]
        what = f"the state {title!r}" if title else "this state"
        return self._put(start, f"{shown_path(self.folder)}/ is in {what}", there)

    def _put(self, start: Start, what: str, gone: list[str]) -> Report:
        changed = {path: text for path, text in start.files.items() if self._read(path) != text}
        kept = self.keep(path for path in (*changed, *gone) if self.is_own(path))
        self._write_start(changed, start, gone)
        did = [
            f"{', '.join(paths)} {verb}" for paths, verb in ((changed, "changed"), (gone, "removed")) if paths
        ]
        few = len(changed) + len(gone) <= 4  # a new workspace changes them all
        said = f": {'; '.join(did)}" if did and few else "" if did else ": nothing changed"
        return self._report(f"{what}{said}.", kept)

    def _write_start(self, changed: Mapping[str, str], start: Start, gone: Iterable[str]) -> None:
        for path, text in changed.items():
            sources.write_file(self.file(path), text)
        for path in gone:
            self.file(path).unlink()
        record = self._record()
        for path, text in start.files.items():
            if self._read(path) == text:
                record[path] = {"put": _digest(text), "of": _digest(_course_text(path, start))}
        sources.write_file(self.folder / _RECORD, json.dumps(record, indent=1) + "\n")

    # --- a file ---

    def file(self, path: str) -> Path:
        """Return where a path of the workspace lies. Raises BadPath when it is, or links, outside."""
        target = (self.folder / path).resolve()
        if not target.is_relative_to(self.folder.resolve()) or target == self.folder.resolve():
            inside = shown_path(self.folder)
            raise BadPath(f"{path!r} is not a file inside {inside}; expected a path like {sources.CONFTEST}")
        return target

    def has(self, path: str) -> bool:
        """Whether the file is there."""
        return (self.folder / path).is_file()

    def write(self, path: str, text: str) -> Report:
        """Write `text` to a file, the whole file or nothing, and say what changed.

        Raises BadPath when it points outside, and SyntaxError when `text` is to be a Python file and does
        not parse; then nothing is written.
        """
        target = self.required().file(path)
        path = target.relative_to(self.folder.resolve()).as_posix()
        if path.endswith(".py"):
            compile(text, str(target), "exec")
        before = self._read(path)
        if before == text:
            return self._report(f"{path} is so already: nothing changed.")
        kept = self.keep([path] if self.is_own(path) else [])
        sources.write_file(target, text)
        self._note({path: text})
        return Report(
            f"Wrote {path}.", (unified_diff(path, before or "", text),), kept, files=self._links([path])
        )

    def keep(self, paths: Iterable[str]) -> tuple[Path, ...]:
        """Copy files into the backups, and return the copies."""
        return tuple(self.backups.keep(path, self.file(path)) for path in paths if self.has(path))

    def restore(self, number: int) -> Report:
        """Bring the backup of that number back; what is there now is kept first."""
        backup = self.backups.get(number)
        text = backup.place.read_text(encoding="utf-8")
        before = self._read(backup.path)
        if before == text:
            return self._report(f"{backup.path} is so already: nothing changed.")
        kept = self.keep([backup.path])
        sources.write_file(self.file(backup.path), text)
        diff = unified_diff(backup.path, before or "", text)
        return Report(
            f"Brought {backup.path} back, as it was.", (diff,), kept, files=self._links([backup.path])
        )

    # --- what it is like ---

    def state(self) -> dict[str, frozenset[str] | None]:
        """Return the faults of each file that can have some; None for a file in no known state."""
        paths = dict.fromkeys(path for fault in faults.FAULTS.values() for path in fault.transforms)
        return {path: faults.faults_in(path, self._read(path) or "") for path in paths}

    def edits(self) -> list[str]:
        """Return the files that are not as the course put them last."""
        record = self._record()
        return [
            path
            for path in record
            if self.has(path) and _digest(self._read(path) or "") != record[path]["put"]
        ]

    def mine(self, start: Start) -> list[str]:
        """Return the files that are not as at the start, in which the learner or a verb of theirs changed
        something, and the learner's own ones."""
        changed = [path for path, text in start.files.items() if self._read(path) not in (None, text)]
        return sorted({*changed, *(path for path in self._own_files() if path not in start.files)})

    def is_own(self, path: str) -> bool:
        """Whether the file holds a text of the learner's: one that no cell put there, in no known state."""
        text = self._read(path)
        if text is None or self._record().get(path, {}).get("put") == _digest(text):
            return False
        if path in sources.neighbours():
            return text != sources.neighbours()[path]
        return path not in sources.fixed() or faults.faults_in(path, text) is None

    def _differs(self, path: str, wanted: str, record: Mapping) -> bool:
        """Whether somebody edited the file since the course put it there."""
        text = self._read(path)
        if text is None or text == wanted:
            return False
        put = record.get(path, {}).get("put")
        return _digest(text) != put if put else self.is_own(path)

    def _own_files(self) -> list[str]:
        found = (path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())
        return sorted(
            path.as_posix()
            for path in found
            if path.suffix in _OWN_FILES
            and not any(part.startswith((".", "__pycache__")) for part in path.parts)
        )

    def _record(self) -> dict[str, dict[str, str]]:
        """Return what the course put there last, as digests; nothing when the record is broken or missing."""
        try:
            record = json.loads((self.folder / _RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def _note(self, texts: Mapping[str, str]) -> None:
        record = self._record() | {path: {"put": _digest(text)} for path, text in texts.items()}
        sources.write_file(self.folder / _RECORD, json.dumps(record, indent=1) + "\n")

    def _read(self, path: str) -> str | None:
        try:
            return (self.folder / path).read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except UnicodeDecodeError:
            return ""

    def _links(self, paths: Iterable[str]) -> tuple[Path, ...]:
        return tuple(self.folder / path for path in paths)

    def _report(self, headline: str, kept: tuple[Path, ...] = (), details: Iterable[str] = ()) -> Report:
        if not sources.is_backend(self.folder):
            code = [path for path in self._own_files() if path.endswith(".py")]
            return Report(headline, (), kept, tuple(details), self._links(code))
        state = {path: found for path, found in self.state().items() if self.has(path)}
        return Report(headline, (), kept, tuple(details), self._links(state), tuple(state.items()))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _course_text(path: str, start: Start) -> str:
    """Return what the course has for a file, whatever its state: when that changes, the course did."""
    return start.given.get(path) or sources.fixed().get(path) or start.files[path]
