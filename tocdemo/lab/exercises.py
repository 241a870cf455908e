"""The verbs of exercises: a check of the learner's edit, one more hint, a solution that keeps what is right.

They work on the learner's workspace. How an edit is judged, and what a solution is, they do not know.
"""

from pathlib import Path

from tocdemo.course import exercises as _exercises
from tocdemo.errors import BadInput
from tocdemo.subject import workspace as _workspace

from .notebook import NOTEBOOK


def check(name: str, folder: str | Path | None = None) -> _exercises.Verdict:
    """Say whether an exercise is done in the workspace (or in `folder`), and what is missing, with its line.

    It takes some seconds, changes nothing, and never raises: what stands in its way is in the verdict.
    """
    try:
        exercise = _exercises.get(name)
    except BadInput as error:
        return _exercises.Verdict(name, problem=_exercises.Problem(f"{error}."))
    return _exercises.check(exercise, _workspace.folder() if folder is None else Path(folder))


def hint(name: str) -> _exercises.Hints:
    """Show one more hint of an exercise at each call, and all of them when it is done.

    Raises BadInput, with the names of the exercises, when there is none of that name.
    """
    shown = NOTEBOOK.hints_shown.get(name, 0)
    hints = _exercises.hint(_exercises.get(name), shown, _workspace.folder())
    NOTEBOOK.hints_shown[name] = len(hints.texts)
    return hints


def solution(name: str, apply: bool = False) -> _exercises.Proposal:
    """Show a solution of an exercise for the workspace as it is: what you wrote and is right stays.

    With `apply` it is written into the workspace; the files as they were are kept in a backup first. Raises
    BadInput when there is no exercise of that name, or no workspace.
    """
    exercise = _exercises.get(name)
    folder = _workspace.required()
    proposal = _exercises.solution(exercise, folder)
    return proposal.apply(folder, _workspace.keep) if apply and proposal.changes else proposal
