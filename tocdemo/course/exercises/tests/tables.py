"""The tables of edits: for each exercise wrong ones, and right variants, as small diffs in a file of `edits`.

Most were written from the exercise's text alone, by somebody who had not read the check. A table knows
texts, and not how they are judged.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tocdemo.course import exercises
from tocdemo.course.exercises.course_texts import solved
from tocdemo.course.manifest import Exercise

TABLES = Path(__file__).parent / "edits"
KINDS = ("wrong", "right")


@dataclass(frozen=True)
class Edit:
    """An edit of an exercise's files: the texts that it changes, by their paths.

    A wrong one `says` what a sentence of the verdict must hold, its place first. A `rare` one is tried only
    when all are.
    """

    exercise: str
    kind: str
    title: str
    texts: Mapping[str, str]
    says: tuple[str, ...]
    rare: bool

    def __str__(self) -> str:
        return f"{self.exercise}, {self.kind}: {self.title}"


def texts_of(exercise: Exercise, solution: bool = False) -> dict[str, str]:
    """Return the texts of a learner's folder at an exercise's start, or with its solution."""
    return dict(_texts_of(exercise.name, solution))


@cache
def _texts_of(name: str, solution: bool) -> Mapping[str, str]:
    exercise = exercises.get(name)
    start = dict(exercise.begins.files)
    return start | solved(exercise) if solution else start


def edits_of(exercise: Exercise) -> Iterator[Edit]:
    """Yield the edits of an exercise's table. Raises ValueError when one does not fit the course's texts."""
    with (TABLES / f"{exercise.name}.toml").open("rb") as file:
        table = tomllib.load(file)
    for kind in KINDS:
        for entry in table[kind]:
            says, rare = tuple(entry.get("says", ())), entry.get("rare", False)
            yield Edit(exercise.name, kind, entry["title"], _texts(exercise, entry), says, rare)


def _texts(exercise: Exercise, entry: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts that an entry changes, `on` the start or the solution: `edits`, then whole `files`.

    An edit replaces `old`, which stands once in the file, by `new`; without `file`, in the exercise's first.
    """
    texts = texts_of(exercise, solution=entry.get("on") == "solution")
    for edit in entry.get("edits", ()):
        path = edit.get("file", exercise.files[0])
        if texts[path].count(edit["old"]) != 1:
            raise ValueError(f"{exercise.name}, {entry['title']}: expected once in {path}: {edit['old']!r}")
        texts[path] = texts[path].replace(edit["old"], edit["new"])
    texts |= entry.get("files", {})
    start = texts_of(exercise)
    return {path: text for path, text in texts.items() if start.get(path) != text}
