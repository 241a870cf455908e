"""A learner's edits and ticks in one file, to go on with them on another machine.

It knows what a learner has (files of workspaces, copies of notebooks, the progress) and nothing of what is in
them. An archive comes from anywhere: it is looked through to its end before anything is written.
"""

import io
import json
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import nbformat

from tocdemo.errors import BadInput
from tocdemo.subject import sources, workspace
from tocdemo.subject.workspace import Workspace

from . import copies, lessons, progress

FORMAT = 1  # of the archive; one of another format is not read
ABOUT, TICKS, FILES, NOTEBOOKS = "tocdemo.json", "progress.json", "files", "notebooks"
MOST_FILES, MOST_BYTES = 2000, 64 * 2**20  # of an archive, unpacked
_KINDS = (".py", ".ini", ".toml", ".cfg")  # what a suite consists of
_REFUSED = "; nothing was changed"


@dataclass(frozen=True)
class Carried:
    """What was carried: how many files of which lessons, how many notebooks and ticks; `kept` are backups."""

    files: Mapping[str, int]
    notebooks: int
    ticks: int
    kept: tuple[Path, ...] = ()

    def __str__(self) -> str:
        each = ", ".join(f"{lesson} ({number})" for lesson, number in self.files.items())
        lines = [
            f"{sum(self.files.values())} edited files{f': {each}' if each else ''}",
            f"{self.notebooks} notebooks that you ran or changed, {self.ticks} ticks",
        ]
        if self.kept:
            lines.append(f"What was here before is kept: {len(self.kept)} files below {_backups()}")
        return "\n".join(lines)


# --- out ---------------------------------------------------------------------------------------------------


def export(file: Path) -> Carried:
    """Write what the learner has made so far to `file`, a zip archive. Raises BadInput when it is there."""
    if file.exists():
        raise BadInput(f"{file} is there already: expected the name of a new file")
    own = dict(_own_files())
    notebooks = dict(_own_notebooks())
    ticks = progress.kept()
    about = {"format": FORMAT, "lessons": [lesson.slug for lesson in lessons.all_of()]}
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(ABOUT, json.dumps(about, indent=1))
        archive.writestr(TICKS, json.dumps(ticks, indent=1))
        for (lesson, path), content in own.items():
            archive.writestr(f"{FILES}/{lesson}/{path}", content)
        for name, content in notebooks.items():
            archive.writestr(f"{NOTEBOOKS}/{name}", content)
    sources.write_bytes(file, whole.getvalue())
    return Carried(_counted(lesson for lesson, _ in own), len(notebooks), sum(map(len, ticks.values())))


def _own_files() -> Iterator[tuple[tuple[str, str], bytes]]:
    for lesson in lessons.all_of():
        own = lessons.workspace_of(lesson)
        if own.exists():
            for path in own.mine(lesson.start):
                yield (lesson.slug, path), own.file(path).read_bytes()


def _own_notebooks() -> Iterator[tuple[str, bytes]]:
    for lesson in lessons.all_of():
        copy = lessons.notebook_of(lesson)
        if copy.is_file() and not copies.is_as_made(copy) and _why_no_notebook(copy.read_bytes()) is None:
            yield copy.name, copy.read_bytes()


# --- in ----------------------------------------------------------------------------------------------------


def bring(file: Path) -> Carried:
    """Take over what an archive of `export` holds; what it replaces is kept first.

    A tick that is here or in the archive is a tick afterwards. Raises BadInput, and changes nothing, when it
    is no such archive, is of another version of the course, or has anything else in it.
    """
    brought = _read(file)
    kept: list[Path] = []
    for own in dict.fromkeys(own for own, _ in brought.files):
        own.open(lessons.get(own.name).start)
    for (own, path), content in brought.files.items():
        kept += _put(own, path, own.file(path), content, worth=path in own.mine(lessons.get(own.name).start))
    notebooks = workspace.of("notebooks")
    for name, content in brought.notebooks.items():
        target = workspace.root() / name
        kept += _put(
            notebooks, name, target, content, worth=target.exists() and not copies.is_as_made(target)
        )
    copies.renew_all()
    new = progress.add(brought.ticks)
    counted = _counted(own.name for own, _ in brought.files)
    return Carried(counted, len(brought.notebooks), new, tuple(kept))


def _put(own: Workspace, path: str, target: Path, content: bytes, *, worth: bool) -> list[Path]:
    """Write a file, after what is there was kept, if it is `worth` that: the course's own is not."""
    if target.exists() and target.read_bytes() == content:
        return []
    kept = [own.backups.keep(path, target)] if worth else []
    sources.write_bytes(target, content)
    return kept


@dataclass(frozen=True)
class _Archive:
    files: Mapping[tuple[Workspace, str], bytes]
    notebooks: Mapping[str, bytes]
    ticks: Mapping[str, Mapping[str, str]]


def _read(file: Path) -> _Archive:
    try:
        with zipfile.ZipFile(file) as archive:
            contents = dict(_contents(archive))
    except BadInput:
        raise
    except FileNotFoundError:
        raise BadInput(f"There is no file {file}{_REFUSED}") from None
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError, ValueError) as error:
        raise _refused(f"it cannot be read ({error})") from None
    _require_version(contents.pop(ABOUT, b""))
    ticks = _ticks(contents.pop(TICKS, b""))
    files, notebooks = {}, {}
    for name, content in contents.items():
        parts = PurePosixPath(name).parts
        if parts[0] == FILES and len(parts) > 2:
            files[_place(parts[1], "/".join(parts[2:]))] = content
        elif parts[0] == NOTEBOOKS and len(parts) == 2:
            notebooks[_notebook(parts[1], content)] = content
        else:
            raise _refused(f"it holds {name!r}, which no export writes")
    return _Archive(files, notebooks, ticks)


def _contents(archive: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    """Yield each name and content, after a look at the name; no more bytes than an export may have."""
    entries = archive.infolist()
    if len(entries) > MOST_FILES:
        raise _refused(f"it holds {len(entries)} files, more than {MOST_FILES}")
    names = {entry.filename for entry in entries}
    above = {str(folder) for name in names for folder in PurePosixPath(name).parents}
    if len(names) < len(entries) or names & above:
        raise _refused("it holds two files of one name, or a file that is a folder, too")
    left = MOST_BYTES
    for entry in entries:
        _require_plain(entry)
        with archive.open(entry) as stream:  # what the entry says of its size may be wrong
            content = stream.read(left + 1)
        left -= len(content)
        if left < 0:
            raise _refused(f"it holds more than {MOST_BYTES // 2**20} MB")
        yield entry.filename, content


def _require_plain(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _refused(f"{name!r} is compressed in a way that no export has")
    if entry.is_dir() or kind not in (0, stat.S_IFREG):
        raise _refused(f"{name!r} is a link or a folder, and no file")
    parts = name.split("/")
    # On Windows a backslash and a colon lead elsewhere, too.
    if any(part in ("", ".", "..") or part.startswith(".") for part in parts) or set(name) & set(
        '\\:\0*?"<>|'
    ):
        raise _refused(f"{name!r} is no path of a learner's file")


def _require_version(text: bytes) -> None:
    about = _json(text, ABOUT)
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        found = about.get("format") if isinstance(about, dict) else None
        raise _refused(f"expected an export of the format {FORMAT}, found {found!r}")
    unknown = sorted(set(map(str, about.get("lessons", ()))) - _slugs())
    if unknown:
        raise _refused(f"it is of another version of the course, with {', '.join(unknown)}: update this one")


def _ticks(text: bytes) -> dict[str, dict[str, str]]:
    ticks = _json(text, TICKS)
    if not progress.is_sound(ticks) or not set(ticks) <= _slugs():
        raise _refused(f"{TICKS} is not a file of progress")
    return ticks


def _place(lesson: str, path: str) -> tuple[Workspace, str]:
    if lesson not in _slugs() or PurePosixPath(path).suffix not in _KINDS:
        raise _refused(f"{lesson}/{path} is no file of a lesson's workspace")
    own = workspace.of(lesson)
    try:
        target = own.file(path)
    except BadInput as error:
        raise _refused(str(error)) from None
    if target.is_dir() or any(above.is_file() for above in target.parents):
        raise _refused(f"{lesson}/{path} would lie where a folder or another file is")
    return own, path


def _notebook(name: str, content: bytes) -> str:
    if PurePosixPath(name).suffix != ".ipynb" or PurePosixPath(name).stem not in _slugs():
        raise _refused(f"{name} is no lesson's notebook")
    why = _why_no_notebook(content)
    if why is not None:
        raise _refused(f"{name} is not a notebook ({why})")
    return name


def _why_no_notebook(content: bytes) -> str | None:
    try:
        nbformat.validate(nbformat.reads(content.decode(), as_version=4))
    except Exception as error:  # nbformat raises several kinds
        return (str(error).splitlines() or [type(error).__name__])[0]
    return None


def _json(text: bytes, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _refused(f"it has no {name}, as an export has") from None


def _refused(why: str) -> BadInput:
    return BadInput(f"This archive is not taken: {why}{_REFUSED}")


def _slugs() -> set[str]:
    return {lesson.slug for lesson in lessons.all_of()}


def _counted(slugs: Iterator[str]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for slug in slugs:
        counted[slug] = counted.get(slug, 0) + 1
    return counted


def _backups() -> Path:
    return workspace.of("notebooks").backups.folder.parent
