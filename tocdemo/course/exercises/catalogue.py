"""The course's exercises by their names, as the manifest declares them, each with what it needs.

It knows the manifest and the names of faults and claims, and not how anything is judged.
"""

from functools import cache

from tocdemo.course import lessons
from tocdemo.course.manifest import Exercise
from tocdemo.errors import BadInput, CourseError
from tocdemo.subject import faults

from .claims import CLAIMS
from .course_texts import diff_of


def get(name: str) -> Exercise:
    """Return the exercise of that name. Raises BadInput that lists the names when there is none."""
    exercises = _all()
    if name not in exercises:
        raise BadInput(f"There is no exercise {name!r}. The exercises: {', '.join(exercises)}")
    return exercises[name]


def all_of(lesson: str | None = None) -> tuple[Exercise, ...]:
    """Return the exercises of a lesson, by its slug, in order; without one, all of the course.

    Raises BadInput that lists the lessons when there is none of that slug.
    """
    wanted = None if lesson is None else lessons.get(lesson).slug
    return tuple(each for each in _all().values() if wanted in (None, each.lesson))


@cache
def _all() -> dict[str, Exercise]:
    found = [exercise for lesson in lessons.all_of() for exercise in lesson.exercises]
    for exercise in found:
        require_known(exercise)
    return {exercise.name: exercise for exercise in found}


def require_known(exercise: Exercise) -> None:
    """Raise CourseError when an exercise names a claim or a fault that is not there, or has no solution."""
    where = f"{lessons.MANIFEST.name}, exercise {exercise.name}"
    unknown = [claim for claim in exercise.afterwards if claim not in CLAIMS]
    if unknown:
        raise CourseError(f"{where}: unknown claim {unknown[0]}; known are {', '.join(CLAIMS)}")
    for name in (*exercise.start, *exercise.faults):
        if name not in faults.FAULTS:
            raise CourseError(f"{where}: unknown fault {name}; known are {', '.join(faults.FAULTS)}")
    if not set(exercise.faults) <= set(exercise.start):
        raise CourseError(f"{where}: expected the faults of the solution among those of the start")
    if not exercise.faults and not diff_of(exercise).is_file():
        raise CourseError(f"{where}: expected faults, or the solution's diff at {diff_of(exercise)}")
