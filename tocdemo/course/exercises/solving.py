"""The solution of an exercise, for the files as the learner left them: what is right stays, to the byte.

A proposal is tried before it is made: each candidate is checked in a copy. Nothing is written here but by
`Proposal.apply`, which is told how to keep what was there.
"""

import ast
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

from tocdemo.course.manifest import Exercise
from tocdemo.display.code import diff_html, unified_diff
from tocdemo.errors import BadInput
from tocdemo.subject import faults, sources
from tocdemo.subject.reports import shown_path

from . import merging
from .checking import check
from .course_texts import solved, started
from .merging import Chunk
from .texts import MOST_BYTES, read_bytes
from .verdict import Problem, Verdict

MOST_CONFLICTS = 8  # for more, each would be tried alone for too long
_KEPT_SUFFIXES = (".py", ".ini", ".toml", ".cfg")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Change:
    """A file of the solution: what is there now (None: no file), and what would be there."""

    path: str
    before: bytes | None
    after: bytes

    def diff(self) -> str:
        """Return the change as a unified diff."""
        before = _shown(self.before or b"")
        return unified_diff(self.path, before, _shown(self.after))


@dataclass(frozen=True)
class Proposal:
    """The solution of an exercise for the learner's files. In a notebook it shows itself as a diff.

    `headline` says what it is, `merged` whether it keeps what the learner wrote (else it is the course's
    version of the files), `verdict` what a check says of the files with it. `kept` are
    the copies of what was replaced when it was applied.
    """

    exercise: str
    headline: str
    changes: tuple[Change, ...]
    merged: bool
    verdict: Verdict
    applied: bool = False
    kept: tuple[Path, ...] = ()

    def apply(self, folder: Path, keep: Callable[[Sequence[str]], tuple[Path, ...]]) -> "Proposal":
        """Write the changes into `folder`; first, `keep` is called with the paths of what is replaced.

        `keep` returns the copies that it made. Raises OSError, and BadInput when a file is not any
        more what the proposal was made for.
        """
        if not self.changes:
            return self
        for change in self.changes:
            if _bytes_of(folder, change.path) != change.before:
                raise BadInput(f"{change.path} has been changed since: ask for the solution again")
        replaced = [change.path for change in self.changes if change.before is not None]
        kept = keep(replaced)
        for change in self.changes:
            sources.write_bytes(folder / change.path, change.after)
        return replace(self, applied=True, kept=kept)

    def _words(self) -> list[str]:
        words = [self.headline]
        if self.applied:
            words.append("It is written into your files.")
            words += [f"What was there is kept: {shown_path(copy)}" for copy in self.kept]
        elif self.changes:
            words.append("Nothing is written yet.")
        if not self.verdict.done:
            words += ["With it, this is still missing:", *self.verdict.missing]
        return words

    def __str__(self) -> str:
        return "\n".join([*self._words(), *(change.diff() for change in self.changes)])

    def _repr_html_(self) -> str:
        words = "".join(f"<p style='margin:4px 0'>{escape(line)}</p>" for line in self._words())
        return words + "".join(diff_html(diff) for change in self.changes if (diff := change.diff()))


def solution(exercise: Exercise, folder: Path) -> Proposal:
    """Return the solution for the files in `folder`, as they are. Nothing is written.

    What the learner has changed stays as it is, as far as the check is content with it. Where the files are
    too different for that, it is the course's version of them.
    """
    folder = Path(folder)
    now = check(exercise, folder)
    if now.done:
        return Proposal(exercise.name, f"{exercise.name} is done: there is nothing to change.", (), True, now)
    before = {path: _bytes_of(folder, path) for path in exercise.files}
    with tempfile.TemporaryDirectory(prefix="tocdemo-solution-") as own:
        copy = Path(own).resolve()
        _copy_sources(folder, copy)
        for after in _candidates(exercise, before, now):
            verdict = _tried(exercise, copy, after)
            if verdict.done:
                after, verdict = _keeping_most(exercise, copy, before, after, verdict)
                return _proposal(exercise, before, after.files(), True, verdict)
        whole = {path: _like(before[path], text) for path, text in solved(exercise).items()}
        verdict = _tried_files(exercise, copy, whole)
        return _proposal(exercise, before, whole, False, verdict)


@dataclass(frozen=True)
class _Merge:
    """A solution merged into the learner's files: their chunks, and what is chosen for each conflict."""

    before: Mapping[str, bytes | None]
    chunks: Mapping[str, list[Chunk]]
    choices: tuple[str, ...]

    def files(self) -> dict[str, bytes]:
        """Return the merged files."""
        left = iter(self.choices)
        return {
            path: _like(
                self.before[path],
                _joined([(chunk, next(left) if chunk.conflicts else "own") for chunk in own]),
            )
            for path, own in self.chunks.items()
        }


def _joined(chosen: list[tuple[Chunk, str]]) -> str:
    """Return a merged text. "Both" are the solution's imports, and those of the learner's that it needs."""
    rest = "".join(line for chunk, choice in chosen if choice != "both" for line in chunk.merged(choice))
    lines: list[str] = []
    for chunk, choice in chosen:
        if choice == "both":
            there = {name for line in chunk.other for name in _imported(line)}
            needed = [line for line in chunk.own if _needs(rest, _imported(line) - there)]
            lines += [*needed, *(line for line in chunk.other if line not in needed)]
        else:
            lines += chunk.merged(choice)
    return "".join(lines)


def _imports(chunk: Chunk) -> bool:
    """Whether the solution changes imports here, and nothing else."""
    return all(_imported(line) or not line.strip() for line in chunk.other)


def _imported(line: str) -> set[str]:
    """Return the names that a line imports; none for a line that is no whole import."""
    try:
        (node,) = ast.parse(line.strip()).body
    except (SyntaxError, ValueError):
        return set()
    names = node.names if isinstance(node, ast.Import | ast.ImportFrom) else []
    return {alias.asname or alias.name.partition(".")[0] for alias in names}


def _needs(text: str, names: set[str]) -> bool:
    """Whether a text uses one of the names, and not as an attribute of something."""
    return any(re.search(rf"(?<![\w.]){re.escape(name)}\b", text) for name in names)


def _candidates(exercise: Exercise, before: Mapping[str, bytes | None], now: Verdict) -> Iterator[_Merge]:
    """Yield the merges that are worth a try: those that keep most come first."""
    texts = {path: text for path, raw in before.items() if (text := _text_of(raw)) is not None}
    if len(texts) < len(before):
        return
    known = {path: here for path, text in texts.items() if (here := _known(path, text)) is not None}
    base, course = started(exercise, known), solved(exercise, known)
    chunks = {path: merging.chunks(base.get(path, ""), texts[path], course[path]) for path in exercise.files}
    merge = _Merge(before, chunks, ())
    conflicts = _conflicts(merge)
    for choice in dict.fromkeys(
        tuple("both" if _imports(chunk) and imports else rest for chunk in conflicts)
        for imports, rest in ((False, "own"), (True, "own"), (True, "other"), (False, "other"))
    ):
        yield replace(merge, choices=choice)


def _keeping_most(
    exercise: Exercise, copy: Path, before: Mapping[str, bytes | None], merge: _Merge, verdict: Verdict
) -> tuple[_Merge, Verdict]:
    """Take back, one by one, what was chosen against the learner's own lines, if all is well without it."""
    conflicts = _conflicts(merge)
    places = [place for place, choice in enumerate(merge.choices) if choice != "own"]
    places.sort(key=lambda place: _imports(conflicts[place]))  # what is imported may be needed till the end
    for place in places if len(places) <= MOST_CONFLICTS else ():
        for choice in ("own", "other") if merge.choices[place] == "both" else ("own",):
            kept = replace(merge, choices=(*merge.choices[:place], choice, *merge.choices[place + 1 :]))
            again = _tried(exercise, copy, kept)
            if again.done:
                merge, verdict = kept, again
                break
    return merge, verdict


def _conflicts(merge: _Merge) -> list[Chunk]:
    return [chunk for own in merge.chunks.values() for chunk in own if chunk.conflicts]


def _tried(exercise: Exercise, copy: Path, merge: _Merge) -> Verdict:
    return _tried_files(exercise, copy, merge.files())


def _tried_files(exercise: Exercise, copy: Path, files: Mapping[str, bytes]) -> Verdict:
    for path, raw in files.items():
        sources.write_bytes(copy / path, raw)
    return check(exercise, copy)


def _proposal(
    exercise: Exercise,
    before: Mapping[str, bytes | None],
    after: Mapping[str, bytes],
    merged: bool,
    verdict: Verdict,
) -> Proposal:
    changes = tuple(Change(path, before[path], raw) for path, raw in after.items() if before[path] != raw)
    if merged:
        headline = (
            f"A solution of {exercise.name} for your files: what you wrote yourself and is right stays."
        )
    else:
        headline = (
            f"Your version of {', '.join(change.path for change in changes)} is too different to be "
            f"completed: this is the course's version."
        )
    if not changes:
        headline = f"The files of {exercise.name} are as in the course's solution."
    return Proposal(exercise.name, headline, changes, merged, verdict)


def _known(path: str, text: str) -> frozenset[str] | None:
    """Return the faults of a file in a known state; None for one that is in none, or that has no faults."""
    if not any(path in fault.transforms for fault in faults.FAULTS.values()):
        return None
    return faults.faults_in(path, text)


def _text_of(raw: bytes | None) -> str | None:
    """Return a file's text with plain line ends; None when it is too long, or no text."""
    if raw is None:
        return ""
    if len(raw) > MOST_BYTES:
        return None
    try:
        return raw.removeprefix(_BOM).decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return None


def _like(before: bytes | None, text: str) -> bytes:
    """Return a text as bytes, with the line ends and the byte order mark of what was there."""
    raw = text.encode("utf-8")
    if before is None:
        return raw
    if b"\r\n" in before:
        raw = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return _BOM + raw if before.startswith(_BOM) else raw


def _shown(raw: bytes) -> str:
    return raw[:MOST_BYTES].decode("utf-8", errors="replace").replace("\r\n", "\n")


def _bytes_of(folder: Path, path: str) -> bytes | None:
    """Return what a file holds; None when it is no file that can be read in a moment."""
    found = read_bytes(folder, path)
    if isinstance(found, Problem):
        try:
            return (folder / path).read_bytes() if (folder / path).is_file() else None
        except OSError:
            return None
    return found


def _copy_sources(folder: Path, copy: Path) -> None:
    """Copy the files that a suite may need, and no other: who knows what else lies in the folder."""

    def left_out(where: str, names: list[str]) -> list[str]:
        return [name for name in names if not _is_source(Path(where) / name)]

    if folder.is_dir():
        shutil.copytree(folder, copy, ignore=left_out, dirs_exist_ok=True)


def _is_source(path: Path) -> bool:
    if path.name.startswith(".") or path.name == "__pycache__" or path.is_symlink():
        return False
    try:
        kept = path.suffix in _KEPT_SUFFIXES and path.is_file()
        return path.is_dir() or (kept and path.stat().st_size <= MOST_BYTES)
    except OSError:
        return False
