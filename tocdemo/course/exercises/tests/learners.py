"""A learner's folder as an exercise starts, with other texts for some files, and the verdict on it."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from tocdemo.course import exercises
from tocdemo.course.manifest import Exercise
from tocdemo.subject import sources

from .tables import texts_of


@contextlib.contextmanager
def learners(name: str, texts: Mapping[str, str] = {}) -> Iterator[tuple[Exercise, Path]]:
    """Give the exercise of that name, and a folder as it starts, but for `texts`, until the block ends."""
    exercise = exercises.get(name)
    with sources.copied(texts_of(exercise) | dict(texts)) as folder:
        yield exercise, folder


def checked(name: str, texts: Mapping[str, str] = {}) -> exercises.Verdict:
    """Return the verdict on a folder as the exercise of that name starts, but for `texts`."""
    with learners(name, texts) as (exercise, folder):
        return exercises.check(exercise, folder)
