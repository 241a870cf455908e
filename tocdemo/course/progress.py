"""What a learner has done of the course: a small file, `workspace-progress.json`, beside the workspaces.

A lesson is done when each of its runs and exercises came out as it should, once. It knows the contracts and
the exercises' names, and neither how anything is run nor how it is judged.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tocdemo.display.tables import text_table
from tocdemo.subject import sources, workspace

from . import contracts, lessons
from .manifest import Lesson

_WHEN = "%Y-%m-%d %H:%M"
DONE, OPEN = "✓", "–"


def file() -> Path:
    """Return where the progress is kept."""
    root = workspace.root()
    return root.with_name(f"{root.name}-progress.json")


@dataclass(frozen=True)
class State:
    """How far a lesson is: the ids of its runs and the names of its exercises, `done` and `open`."""

    lesson: Lesson
    done: tuple[str, ...]
    open: tuple[str, ...]

    @property
    def is_done(self) -> bool:
        """Whether nothing is open. A lesson without runs and exercises has nothing to be done."""
        return not self.open and bool(self.done)

    def of(self) -> str:
        """Return the count in words, such as "3 of 4"."""
        return f"{len(self.done)} of {len(self.done) + len(self.open)}"


def of(lesson: Lesson) -> State:
    """Return how far a lesson is."""
    return _state(lesson, _read()[0])


def of_all() -> list[State]:
    """Return how far each lesson is, in order."""
    kept, _ = _read()
    return [_state(lesson, kept) for lesson in lessons.all_of()]


def next_lesson() -> Lesson | None:
    """Return the first numbered lesson that is not done; None when all are."""
    return next((each.lesson for each in of_all() if not each.lesson.optional and not each.is_done), None)


def note_cell(lesson: Lesson, cell: str, bundles: Sequence[Mapping[str, Any]]) -> None:
    """Note what a cell of a lesson showed, if that is what its contract says."""
    if cell in lesson.contract_cells and not contracts.shown_otherwise(lesson, cell, bundles):
        _note(lesson, cell)


def note_exercise(lesson: Lesson, name: str) -> None:
    """Note that an exercise is done."""
    _note(lesson, name)


def kept() -> dict[str, dict[str, str]]:
    """Return when what was done: for each lesson's slug the names, each with its day and time."""
    return _read()[0]


def add(further: Mapping[str, Mapping[str, str]]) -> int:
    """Note what `further`, of the form of `kept`, has besides; return how much that is. The old days stay."""
    before, broken = _read()
    if broken:
        _set_aside()
    after = {slug: {**further.get(slug, {}), **before.get(slug, {})} for slug in {**before, **further}}
    if after != before:
        _write(after)
    return sum(map(len, after.values())) - sum(map(len, before.values()))


def is_sound(value: Any) -> bool:
    """Whether a value has the form of `kept`."""
    return isinstance(value, dict) and all(
        isinstance(each, dict) and all(isinstance(when, str) for when in each.values())
        for each in value.values()
    )


def _things(lesson: Lesson) -> list[str]:
    in_order = [each.cell for kind in (lesson.runs, lesson.expected, lesson.orders) for each in kind]
    return list(dict.fromkeys([*in_order, *(exercise.name for exercise in lesson.exercises)]))


def _state(lesson: Lesson, kept: Mapping[str, Mapping[str, str]]) -> State:
    have = kept.get(lesson.slug, {})
    things = _things(lesson)
    return State(
        lesson,
        tuple(each for each in things if each in have),
        tuple(each for each in things if each not in have),
    )


def _note(lesson: Lesson, what: str) -> None:
    kept, broken = _read()
    if broken:
        _set_aside()
    if what in kept.get(lesson.slug, {}):
        return
    kept.setdefault(lesson.slug, {})[what] = datetime.now().strftime(_WHEN)
    _write(kept)


def _write(kept: Mapping[str, Mapping[str, str]]) -> None:
    sources.write_file(file(), json.dumps(kept, indent=2, sort_keys=True) + "\n")


def _read() -> tuple[dict[str, dict[str, str]], bool]:
    """Return what is kept, and whether the file is there and broken: then nothing is taken from it."""
    try:
        kept = json.loads(file().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, False
    except (OSError, ValueError):
        return {}, True
    return (kept, False) if is_sound(kept) else ({}, True)


def _set_aside() -> Path:
    """Rename a broken file, so that it is in nobody's way and not lost."""
    aside = file().with_name(f"{file().stem}.broken-{datetime.now():%Y-%m-%d_%H-%M-%S}.json")
    return file().rename(aside)


def problem() -> str:
    """Return a sentence about a broken file, after it was set aside; an empty one when it is sound."""
    if not _read()[1]:
        return ""
    try:
        return f"The file of your progress could not be read; it is set aside as {_set_aside().name}."
    except OSError as error:
        return f"The file of your progress could not be read: {error}"


# --- in words ----------------------------------------------------------------------------------------------


def told() -> str:
    """Return the lessons with what is done of each, and the next one, as lines of text."""
    states = of_all()
    rows = [[DONE if each.is_done else OPEN, each.lesson.slug, each.of(), _open(each)] for each in states]
    following = next_lesson()
    last = f"Next: {following.slug}" if following else "All lessons are done."
    return "\n".join([*filter(None, [problem()]), *text_table(rows), last])


def _open(state: State) -> str:
    return f"open: {', '.join(state.open)}" if state.done and state.open else ""


def to_json() -> dict[str, Any]:
    """Return the same as one value: for each lesson what is done and what is open, and the next lesson."""
    following = next_lesson()
    return {
        "lessons": [
            {
                "lesson": each.lesson.slug,
                "is_done": each.is_done,
                "done": list(each.done),
                "open": list(each.open),
            }
            for each in of_all()
        ],
        "next": following.slug if following else None,
    }
