"""The verbs that open a lesson: its workspace, what was kept of it, and how far it is done.

They know the notebook's lesson, and not how tests are run or edits judged.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from tocdemo.course import lessons as _lessons
from tocdemo.course import progress as _progress
from tocdemo.course.manifest import Lesson
from tocdemo.course.progress import DONE, OPEN, State
from tocdemo.display.tables import LEFT, Cell, attributes, head, html_table, paragraph, text_table, words
from tocdemo.errors import BadInput
from tocdemo.subject import faults
from tocdemo.subject.backups import Backup
from tocdemo.subject.reports import Report, link, shown_path
from tocdemo.subject.workspace import Start

from . import witness
from .notebook import NOTEBOOK


def lesson(name: str) -> Report:
    """Open a lesson in its own workspace: what is not there is made, what you edited stays as it is.

    From here on the verbs work on that workspace, and what the cells show counts for your progress. Raises
    BadInput, with the lessons' names, when there is none of that name.
    """
    NOTEBOOK.lesson = _lessons.get(name)
    witness.watch(NOTEBOOK.lesson)
    return NOTEBOOK.workspace.open(NOTEBOOK.lesson.start)


def reset() -> Report:
    """Put the workspace back to its start. What you wrote is kept first: `lab.restore()` lists it."""
    start = NOTEBOOK.lesson.start if NOTEBOOK.lesson else Start(faults.state("incident"))
    return NOTEBOOK.workspace.required().reset(start)


def restore(number: int | None = None) -> "Kept | Report":
    """List what was kept of this workspace; with the number of one, bring it back.

    What is there now is kept first. Raises BadInput when there is no backup of that number.
    """
    own = NOTEBOOK.workspace
    return Kept(own.name, tuple(own.backups.all_of())) if number is None else own.required().restore(number)


@dataclass(frozen=True)
class Kept:
    """The backups of a workspace, the oldest first. In a notebook it shows itself, with links."""

    workspace: str
    backups: tuple[Backup, ...]

    def __str__(self) -> str:
        if not self.backups:
            return f"Nothing of yours was replaced in {self.workspace} so far."
        rows = [
            [str(each.number), each.path, f"{each.time}", shown_path(each.place)] for each in self.backups
        ]
        return "\n".join([*text_table(rows), "lab.restore(NUMBER) brings one back."])

    def _repr_html_(self) -> str:
        if not self.backups:
            return paragraph(escape(str(self)))
        rows = [[head("number"), head("file"), head("kept"), head("where")]]
        rows += [
            [
                words(each.number),
                words(each.path),
                words(each.time, f"{LEFT};white-space:nowrap"),
                Cell(link(each.place)),
            ]
            for each in self.backups
        ]
        label = f"what was kept of {self.workspace}"
        return html_table(rows, label=label) + paragraph("<code>lab.restore(NUMBER)</code> brings one back.")


def progress() -> "Progress":
    """Show what you have done of this lesson, and which lesson is next."""
    if NOTEBOOK.lesson is None:
        raise BadInput("This notebook is no lesson: lab.map() shows how far you are in the course")
    return Progress(_progress.of(NOTEBOOK.lesson), _lessons.after(NOTEBOOK.lesson))


def map() -> "Map":
    """Show all lessons, which of them are done, and the next one."""
    problem = _progress.problem()
    return Map(tuple(_progress.of_all()), _progress.next_lesson(), problem)


def _linked(lesson: Lesson) -> str:
    number = "" if lesson.optional else f"{lesson.slug[:2]} "
    return f"{number}<a{attributes(href=f'{lesson.slug}.ipynb')}>{escape(lesson.title)}</a>"


@dataclass(frozen=True)
class Progress:
    """How far a lesson is, part by part, and the one that follows."""

    state: State
    following: Lesson | None

    def _parts(self) -> Iterator[list[str]]:
        names = {exercise.name for exercise in self.state.lesson.exercises}
        every = [*self.state.done, *self.state.open]
        for name in sorted(every, key=lambda each: each in names):
            sign = DONE if name in self.state.done else OPEN
            kind = "exercise" if name in names else "run"
            yield [sign, kind, name, "as it should be" if sign == DONE else "not yet"]

    def _summary(self) -> str:
        if self.state.is_done:
            return "This lesson is done."
        return f"{self.state.of()} of this lesson came out as they should so far."

    def __str__(self) -> str:
        following = f"Next: {self.following.title} ({self.following.slug}.ipynb)" if self.following else ""
        return "\n".join(filter(None, [self._summary(), *text_table(list(self._parts())), following]))

    def _repr_html_(self) -> str:
        rows = [[words(word) for word in row] for row in self._parts()]
        table = html_table(rows, label="what you have done in this lesson")
        parts = [paragraph(f"<b>{escape(self._summary())}</b>"), table]
        if self.following:
            parts.append(paragraph(f"Next: {_linked(self.following)}"))
        return "".join(parts)


@dataclass(frozen=True)
class Map:
    """All lessons with what is done of them."""

    states: tuple[State, ...]
    following: Lesson | None
    problem: str = ""

    def __str__(self) -> str:
        return _progress.told()

    def _repr_html_(self) -> str:
        rows = [[head(""), head("lesson"), head("came out as it should"), head("")]]
        for state in self.states:
            sign = words(f"{DONE} done" if state.is_done else OPEN)
            mark = "← next" if state.lesson == self.following else "optional" if state.lesson.optional else ""
            rows.append([sign, Cell(_linked(state.lesson)), words(state.of()), words(mark)])
        last = "" if self.following else paragraph("<b>All lessons are done.</b>")
        problem = paragraph(escape(self.problem)) if self.problem else ""
        return problem + html_table(rows, label="the lessons, and which are done") + last
