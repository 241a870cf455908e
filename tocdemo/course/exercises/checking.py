"""A check: every claim of an exercise, judged in a learner's folder, as one verdict. It never raises."""

from pathlib import Path

from tocdemo.course.manifest import Exercise
from tocdemo.subject import sources

from .claims import CLAIMS, Evidence, Unjudged
from .verdict import Part, Problem, Verdict


def check(exercise: Exercise, folder: Path) -> Verdict:
    """Say what is true of an exercise in `folder`, the learner's copy of the backend.

    The code is run in another process, for some seconds at most; nothing is written into the folder.
    """
    evidence = Evidence(exercise, Path(folder))
    parts: list[Part] = []
    try:
        _require_texts(evidence)
        for claim in exercise.afterwards:
            parts += CLAIMS[claim](evidence)
            evidence.said = {(part.file, part.line) for part in parts if not part.done}
    except Unjudged as unjudged:
        if any(not part.done for part in parts):  # these come first, and may be the cause
            return Verdict(exercise.name, _one_each(parts))
        return Verdict(exercise.name, _one_each(parts), unjudged.problem)
    except Exception as error:  # a verdict is due, whatever is wrong here
        trouble = f"the check itself failed: {type(error).__name__}: {error}. Please tell its authors."
        return Verdict(exercise.name, _one_each(parts), Problem(trouble))
    return Verdict(exercise.name, _one_each(parts))


def _require_texts(evidence: Evidence) -> None:
    """Raise Unjudged for the first file, of those that matter, that cannot be read or does not parse."""
    for path in evidence.exercise.files:
        evidence.text(path)
    if not evidence.exercise.backend:
        return
    backend = [path for path in sources.fixed() if path.endswith(".py")]
    if any(path in backend or path.startswith("tests/") for path in evidence.exercise.files):
        for path in backend:
            evidence.text(path)


def _one_each(parts: list[Part]) -> tuple[Part, ...]:
    return tuple(dict.fromkeys(parts))
