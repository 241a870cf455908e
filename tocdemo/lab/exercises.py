"""The verbs of exercises: a check of the learner's edit, one more hint, a solution that keeps what is right.

They work on the workspace of the exercise's lesson. How an edit is judged, and what a solution is, they do
not know.
"""

from pathlib import Path

from tocdemo.course import exercises as _exercises
from tocdemo.course import lessons as _lessons
from tocdemo.course.judging import judge_one
from tocdemo.course.manifest import Exercise
from tocdemo.errors import BadInput
from tocdemo.subject.workspace import Workspace

from .notebook import NOTEBOOK


def check(name: str, folder: str | Path | None = None) -> _exercises.Verdict:
    """Say whether an exercise is done in its lesson's workspace (or in `folder`), and what is missing, where.

    It takes some seconds, changes nothing, and never raises: what stands in its way is in the verdict.
    """
    try:
        exercise = _exercises.get(name)
    except BadInput as error:
        return _exercises.Verdict(name, problem=_exercises.Problem(f"{error}."))
    if folder is not None:
        return _exercises.check(exercise, Path(folder))
    return judge_one(exercise, _own(exercise).folder)


def _own(exercise: Exercise) -> Workspace:
    """Return the workspace of the lesson that an exercise belongs to, whatever this notebook is."""
    return _lessons.workspace_of(_lessons.get(exercise.lesson))


def hint(name: str) -> _exercises.Hints:
    """Show one more hint of an exercise at each call, and all of them when it is done.

    Raises BadInput, with the names of the exercises, when there is none of that name.
    """
    exercise, shown = _exercises.get(name), NOTEBOOK.hints_shown.get(name, 0)
    hints = _exercises.hint(exercise, shown, _own(exercise).folder)
    NOTEBOOK.hints_shown[name] = len(hints.texts)
    return hints


def solution(name: str, apply: bool = False) -> _exercises.Proposal:
    """Show a solution of an exercise for the workspace as it is: what you wrote and is right stays.

    With `apply` it is written into the workspace; the files as they were are kept in a backup first. Raises
    BadInput when there is no exercise of that name, or no workspace.
    """
    exercise = _exercises.get(name)
    own = _own(exercise).required()
    proposal = _exercises.solution(exercise, own.folder)
    return proposal.apply(own.folder, own.keep) if apply else proposal
