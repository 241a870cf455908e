"""The course's own texts of an exercise's files: as they are at its start, and in its solution.

It knows faults and diffs, and nothing of what a learner wrote or of how it is judged.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tocdemo.course.lessons import MANIFEST
from tocdemo.course.manifest import Exercise
from tocdemo.errors import CourseError
from tocdemo.subject import faults

from . import merging

SOLUTIONS = MANIFEST.parent / "solutions"


def solved(exercise: Exercise, known: Mapping[str, frozenset[str]] | None = None) -> dict[str, str]:
    """Return the course's version of the exercise's files. Raises CourseError when its diff does not fit.

    `known` names the faults of files that are in another known state than the start.
    """
    if exercise.faults:
        return {
            path: faults.with_faults(_faults(exercise, path, known) - set(exercise.faults))[path]
            for path in exercise.files
        }
    diff = diff_of(exercise).read_text(encoding="utf-8")
    before = started(exercise)
    try:
        after = merging.patched_all(before, diff)
    except merging.NoFit as error:
        raise CourseError(f"{diff_of(exercise).name}: {error}") from error
    if not after or not set(after) <= set(exercise.files):
        raise CourseError(
            f"{diff_of(exercise).name}: expected a diff of {exercise.files}, found {list(after)}"
        )
    return before | after


def started(exercise: Exercise, known: Mapping[str, frozenset[str]] | None = None) -> dict[str, str]:
    """Return the exercise's files as they are at its start; a file that is not there yet is left out."""
    texts = {}
    for path in exercise.files:
        text = replace(exercise.begins, faults=tuple(_faults(exercise, path, known))).files.get(path)
        if text is not None:
            texts[path] = text
    return texts


def _faults(exercise: Exercise, path: str, known: Mapping[str, frozenset[str]] | None) -> frozenset[str]:
    return frozenset(exercise.start) if known is None else known.get(path, frozenset(exercise.start))


def diff_of(exercise: Exercise) -> Path:
    """Return the file that holds the solution of an exercise that fixes no fault."""
    return SOLUTIONS / f"{exercise.name}.diff"
