"""Take the course in an editor of one's own: follow a lesson's workspace, with its exercises on the keys.

It joins lessons, exercises and a terminal, and knows neither how tests are run nor how a terminal is drawn.
"""

import argparse
from collections.abc import Sequence

from tocdemo.errors import CannotRun
from tocdemo.runner import suite
from tocdemo.runner.options import RunOptions
from tocdemo.runner.watching.warm import Job

from . import exercises, judging, lessons, progress
from .manifest import Exercise, Lesson
from .watch_terminal import Actions, Place, follow

TIMEOUT = 5.0  # seconds for a test


def main(argv: Sequence[str] | None = None) -> int:
    """Follow a lesson's workspace until q is pressed (0) or Ctrl-C (130), and return that exit code."""
    parser = argparse.ArgumentParser(prog="python3 -m tocdemo watch", description=__doc__)
    parser.add_argument("lesson", nargs="?", metavar="LESSON", help="default: the first that is not done")
    parser.add_argument(
        "--backend", metavar="NAME", help="embedded (default), replica-set, pymongo, mock, or a MongoDB URI"
    )
    options = parser.parse_args(argv)
    lesson = lessons.get(options.lesson) if options.lesson else progress.next_lesson() or lessons.all_of()[0]
    return follow(place_of(lesson, RunOptions(backend=options.backend, timeout=TIMEOUT)))


def place_of(lesson: Lesson, options: RunOptions) -> Place:
    """Return a lesson's workspace as a place to follow; it is made as the lesson's first cell makes it."""
    own = lessons.workspace_of(lesson)
    own.open(lesson.start)
    keys = _Keys(lesson, options)
    actions = Actions(
        hint=keys.hint if lesson.exercises else None,
        solution=keys.solution if lesson.exercises else None,
        reset=lambda: own.reset(lesson.start),
        next=keys.next,
    )
    job = Job(own.folder, tuple(suite.arguments_for(own.folder)), options)
    return Place(f"{lesson.slug}: {lesson.title}", job, actions, judging.judge_of(lesson))


class _Keys:
    """What the keys do in a lesson. A hint and a solution are of the first exercise that is not done."""

    def __init__(self, lesson: Lesson, options: RunOptions) -> None:
        self.lesson, self.options = lesson, options
        self._folder = lessons.workspace_of(lesson).folder
        self._hints: dict[str, int] = {}

    def hint(self) -> object:
        exercise = self._first_open()
        hints = exercises.hint(exercise, self._hints.get(exercise.name, 0), self._folder)
        self._hints[exercise.name] = len(hints.texts)
        return hints

    def solution(self) -> object:
        own = lessons.workspace_of(self.lesson)
        return exercises.solution(self._first_open(), own.folder).apply(own.folder, own.keep)

    def next(self) -> Place:
        following = lessons.after(self.lesson)
        if following is None:
            raise CannotRun(f"{self.lesson.slug} is followed by no lesson.")
        return place_of(following, self.options)

    def _first_open(self) -> Exercise:
        """Return the first exercise that was not done at the last judging; the last, when all are."""
        done = progress.of(self.lesson).done
        return next(
            (each for each in self.lesson.exercises if each.name not in done), self.lesson.exercises[-1]
        )
