"""The hints of an exercise: one more at each call; when it is done, all of them with what else is right."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

from tocdemo.course.manifest import Exercise
from tocdemo.display.code import diff_html, unified_diff

from .checking import check
from .course_texts import solved, started
from .texts import Text, read
from .verdict import html_words


@dataclass(frozen=True)
class Hints:
    """Some of an exercise's hints. When it is done: all, two diffs to compare, and a word about other ways.

    `of` is how many hints there are. `own` is the diff from the start to the learner's files, `solution` that
    to the course's version.
    """

    exercise: str
    texts: tuple[str, ...]
    of: int
    own: str = ""
    solution: str = ""
    others: str = ""

    def _numbered(self) -> list[tuple[str, str]]:
        return [(f"Hint {number} of {self.of}: ", text) for number, text in enumerate(self.texts, 1)]

    def _diffs(self) -> list[tuple[str, str]]:
        if self.own == self.solution:
            return [("What you have changed, as the course's solution does:", self.own)] if self.own else []
        named = (("What you have changed:", self.own), ("What the course's solution changes:", self.solution))
        return [(title, diff) for title, diff in named if diff]

    def __str__(self) -> str:
        lines = [f"{number}{text}" for number, text in self._numbered()]
        lines += [f"{title}\n{diff}" for title, diff in self._diffs()]
        return "\n".join([*lines, *([f"Other right ways: {self.others}"] if self.others else [])])

    def _repr_html_(self) -> str:
        style = "margin:4px 0"
        pieces = [
            f"<p style='{style}'><b>{number}</b>{html_words(text)}</p>" for number, text in self._numbered()
        ]
        pieces += [
            f"<p style='{style}'><b>{escape(title)}</b></p>{diff_html(diff)}" for title, diff in self._diffs()
        ]
        if self.others:
            pieces.append(f"<p style='{style}'><b>Other right ways:</b> {html_words(self.others)}</p>")
        return "".join(pieces)


def hint(exercise: Exercise, shown: int, folder: Path | None = None) -> Hints:
    """Return the hints up to the next one, when `shown` of them have been shown.

    With `folder`, the learner's copy, the exercise is checked there first: when it is done, all are shown,
    with the solution's diff beside the learner's own, and the other ways.
    """
    of = len(exercise.hints)
    if folder is not None and check(exercise, folder).done:
        own, solution = _diffs(exercise, Path(folder))
        return Hints(exercise.name, exercise.hints, of, own, solution, exercise.others)
    return Hints(exercise.name, exercise.hints[: min(max(shown, 0) + 1, of)], of)


def _diffs(exercise: Exercise, folder: Path) -> tuple[str, str]:
    own = {path: found.text for path in exercise.files if isinstance(found := read(folder, path), Text)}
    return _diff(exercise, own), _diff(exercise, solved(exercise))


def _diff(exercise: Exercise, texts: Mapping[str, str]) -> str:
    before = started(exercise)
    paths = [path for path in exercise.files if path in texts]
    return "".join(unified_diff(path, before.get(path, ""), texts[path]) for path in paths)
