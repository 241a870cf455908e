"""The word on a lesson's exercises after each run of a watched folder: which are done, and what is missing.

What is done is noted. It knows the exercises and the progress, and not how anything is shown or watched.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tocdemo.runner.result import Run

from . import exercises, lessons, progress
from .manifest import Exercise, Lesson


@dataclass(frozen=True)
class Verdicts:
    """The verdicts on a lesson's exercises, in order. They show themselves as one."""

    all: tuple[exercises.Verdict, ...]

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.all))

    def _repr_html_(self) -> str:
        return "".join(verdict._repr_mimebundle_()["text/html"] for verdict in self.all)


def judge(lesson: Lesson, folder: Path) -> Verdicts:
    """Check each exercise of a lesson in `folder`, note those that are done, and return the verdicts."""
    return Verdicts(tuple(judge_one(exercise, folder) for exercise in lesson.exercises))


def judge_one(exercise: Exercise, folder: Path) -> exercises.Verdict:
    """Check one exercise in `folder`, note it if it is done, and return the verdict."""
    verdict = exercises.check(exercise, folder)
    if verdict.done:
        progress.note_exercise(lessons.get(exercise.lesson), exercise.name)
    return verdict


def judge_of(lesson: Lesson | None) -> Callable[[Path, Run], Verdicts] | None:
    """Return what judges a lesson's folder after a run; None for a lesson without exercises, and for none."""
    if lesson is None or not lesson.exercises:
        return None
    return lambda folder, run: judge(lesson, folder)
