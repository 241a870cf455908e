"""The guide for whoever teaches the course: written notes, with numbers and answers that are computed.

The notes are `lessons/instructors/notes.toml`. Minutes are counted and measured, the answers of predictions
come from the contracts, the mistakes from the tables of wrong edits that the exercises are tested with. This
module knows no lesson by name.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tocdemo.subject import sources

from .manifest import OUTCOMES, Exercise, Lesson, load
from .prose import minutes
from .prose.minutes import Length

FOLDER = Path("lessons") / "instructors"
GUIDE, NOTES = FOLDER / "guide.md", FOLDER / "notes.toml"
AN_EXERCISE = 4  # minutes to plan with for a change that learners make: nobody has measured it in a room
EDITS = Path("tocdemo") / "course" / "exercises" / "tests" / "edits"
_PREDICTED = re.compile(
    r'^```python (?:run|expected|id)="(?P<cell>[\w-]+)".*?^```$', re.MULTILINE | re.DOTALL
)
_KEYS = {"ask", "why", "answers", "stuck", "check"}


# --- the two commands --------------------------------------------------------------------------------------


def build(root: Path) -> int:
    """Write the guide, and say whether that changed it, and what its notes lack. Return 0."""
    file, text = root / GUIDE, written(root)
    same = file.exists() and file.read_text(encoding="utf-8") == text
    if not same:
        sources.write_file(file, text)
    print("\n".join([f"{GUIDE}: {'unchanged' if same else 'written'}", *gaps(root)]))
    return 0


def check(root: Path) -> int:
    """Return 0 when the guide is what its notes and numbers give; else say so, and return 1."""
    if (root / GUIDE).exists() and (root / GUIDE).read_text(encoding="utf-8") == written(root):
        return 0
    print(f"{GUIDE}: differs from {NOTES} and the manifest; `python -m tocdemo build` writes it afresh")
    return 1


# --- the text ----------------------------------------------------------------------------------------------


def gaps(root: Path) -> list[str]:
    """Return a line for each note that is missing, and for each that is of nothing that there is."""
    lessons, notes = load(root / "lessons" / "course.toml"), _notes(root)
    strange = sorted(set(notes["lesson"]) - {each.slug for each in lessons})
    found = [f"{NOTES}: there is no lesson {slug}" for slug in strange]
    found += [gap for plan in notes["plan"] for gap in _plan_gaps(plan, lessons, _lengths(root, lessons))]
    for each in lessons:
        note, cells = notes["lesson"].get(each.slug, {}), _predicted(_text(root, each))
        where = f"{NOTES}, {each.slug}"
        found += [f"{where}: {key} is missing" for key in sorted({"ask", "stuck", "check"} - set(note))]
        found += [f"{where}: unknown {key}" for key in sorted(set(note) - _KEYS)]
        why, answers = note.get("why", {}), note.get("answers", {})
        found += [f"{where}: no reason for the prediction {cell}" for cell in cells if cell not in why]
        found += [
            f"{where}: {cell} asks for no prediction" for cell in {**why, **answers} if cell not in cells
        ]
        found += [
            f"{where}: no contract says what {cell} shows, and no answer does"
            for cell in cells
            if not _answer(each, cell, answers)
        ]
    return found


def written(root: Path) -> str:
    """Return the guide, with what there is of notes: `gaps` says what is missing."""
    lessons, notes = load(root / "lessons" / "course.toml"), _notes(root)
    texts = {each.slug: _text(root, each) for each in lessons}
    lengths = _lengths(root, lessons)
    parts = [
        "# The guide for the person in front",
        notes["opening"].strip(),
        "## What the numbers are",
        _on_numbers(),
        "## Plans",
        *(_plan(plan, lessons, lengths) for plan in notes["plan"]),
        "## The lessons",
        _table(lessons, lengths),
    ]
    for each in lessons:
        parts += _lesson(each, texts[each.slug], notes["lesson"].get(each.slug, {}), root)
    return "\n\n".join(parts) + "\n"


def _notes(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / NOTES).read_text(encoding="utf-8"))


def _text(root: Path, lesson: Lesson) -> str:
    return (root / "lessons" / f"{lesson.slug}.md").read_text(encoding="utf-8")


def _lengths(root: Path, lessons: Sequence[Lesson]) -> dict[str, Length]:
    recorded = minutes.recorded(root)
    return {each.slug: minutes.of(_text(root, each), recorded.get(each.slug, 0.0)) for each in lessons}


def _on_numbers() -> str:
    rates = f"{minutes.WORDS_A_MINUTE} words a minute, {minutes.SECONDS_A_LINE} seconds for a line of code"
    return (
        f"*Minutes* are computed: {rates}, and the seconds that the cells ran (recorded in "
        f"`{minutes.SECONDS}`; `python3 -m tocdemo build --measure` measures them on yours). The changes "
        f"that learners make come on top: plan {AN_EXERCISE} minutes for each. Nobody has measured that in a "
        "room.\n\n"
        "*What learners may do* is taken from the edits that the course's tests hold to be wrong. They were "
        "written to try the checks; how often learners make them, nobody has counted."
    )


def _chosen(plan: Mapping[str, Any], lessons: Sequence[Lesson]) -> list[Lesson]:
    return [each for each in lessons if each.slug[:2] in plan["lessons"] and not each.optional]


def _own(chosen: Sequence[Lesson], lengths: Mapping[str, Length]) -> int:
    return sum(lengths[each.slug].minutes + AN_EXERCISE * len(each.exercises) for each in chosen)


def _whole(plan: Mapping[str, Any], lessons: Sequence[Lesson], lengths: Mapping[str, Length]) -> float:
    """Return the minutes that a plan takes: its lessons' own at its pace, and what is besides."""
    return _own(_chosen(plan, lessons), lengths) * plan["pace"] + plan["besides"]


def _plan_gaps(
    plan: Mapping[str, Any], lessons: Sequence[Lesson], lengths: Mapping[str, Length]
) -> Iterator[str]:
    where, whole = f"{NOTES}, plan {plan['title']!r}", _whole(plan, lessons, lengths)
    if len(_chosen(plan, lessons)) != len(plan["lessons"]):
        yield f"{where}: not all of these are lessons: {', '.join(plan['lessons'])}"
    if whole > plan["minutes"]:
        yield f"{where}: takes {whole:.0f} of {plan['minutes']} minutes"


def _plan(plan: Mapping[str, Any], lessons: Sequence[Lesson], lengths: Mapping[str, Length]) -> str:
    chosen = _chosen(plan, lessons)
    named = ", ".join(f"{each.slug[:2]} {each.title}" for each in chosen)
    return (
        f"### {plan['title']}: {plan['minutes']} minutes\n\n{named}: {_own(chosen, lengths)} minutes, "
        f"with their changes. Times {plan['pace']:g} for a room, and with {plan['besides']} minutes besides, "
        f"that is {_whole(plan, lessons, lengths):.0f}.\n\n{plan['say'].strip()}"
    )


def _table(lessons: Sequence[Lesson], lengths: Mapping[str, Length]) -> str:
    rows = [
        "| lesson | minutes | words | lines of code | cells run | changes to make |",
        "|---|---|---|---|---|---|",
    ]
    for each in lessons:
        length = lengths[each.slug]
        rows.append(
            f"| [{each.title}](../../notebooks/{each.slug}.ipynb) | {length.minutes} | {length.words} | "
            f"{length.lines} | {length.seconds:.0f} s | {len(each.exercises)} |"
        )
    return "\n".join(rows)


def _lesson(lesson: Lesson, text: str, note: Mapping[str, Any], root: Path) -> Iterator[str]:
    number = "" if lesson.optional else f"{lesson.slug[:2]} "
    yield f"## {number}{lesson.title}"
    if "ask" in note:
        yield f"**Ask first.** {note['ask']}"
    yield from _predictions(lesson, text, note)
    for exercise in lesson.exercises:
        yield _mistakes(exercise, root)
    if "stuck" in note:
        yield f"**When it goes wrong.** {note['stuck']}"
    if "check" in note:
        yield f"**Five minutes at the end.** {note['check'][0]}\n\n*Answer:* {note['check'][1]}"


def _predictions(lesson: Lesson, text: str, note: Mapping[str, Any]) -> Iterator[str]:
    """Give a table of the cells that ask for a prediction, each with its answer and the reason."""
    why, answers = note.get("why", {}), note.get("answers", {})
    rows = [
        f"| `{cell}` | {_answer(lesson, cell, answers)} | {why.get(cell, '')} |" for cell in _predicted(text)
    ]
    if rows:
        yield "\n".join(["| prediction | what comes out | why |", "|---|---|---|", *rows])


def _predicted(text: str) -> list[str]:
    return [found["cell"] for found in _PREDICTED.finditer(text) if "guess(" in found[0]]


def _answer(lesson: Lesson, cell: str, answers: Mapping[str, str]) -> str:
    """Return what the notes say that a cell shows, and what its contract does; empty if neither does."""
    found = [answers[cell]] if cell in answers else []
    found += [_counts(run) for run in lesson.runs if run.cell == cell][:1]
    found += [f"{it.type}: {it.match.strip('^$')}" for it in lesson.expected if it.cell == cell][:1]
    found += [f"{it.orders} orders, {it.losing} lose a change" for it in lesson.orders if it.cell == cell][:1]
    return "; ".join(found).replace("\\", "").replace("|", "\\|")


def _counts(run: Any) -> str:
    counts = {outcome: getattr(run, outcome) for outcome in OUTCOMES}
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count.max)


def _mistakes(exercise: Exercise, root: Path) -> str:
    """Name the wrong edits of an exercise: those that its tests always try, not the rare variants."""
    table = tomllib.loads((root / EDITS / f"{exercise.name}.toml").read_text(encoding="utf-8"))
    titles = [edit["title"].replace("`", "'") for edit in table["wrong"] if not edit.get("rare")]
    return f"**What learners may do in `{exercise.name}`.** {'; '.join(titles)}."
