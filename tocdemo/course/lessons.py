"""The lessons by their names, with what each begins with: a workspace and, for a learner, a notebook's copy.

It knows the manifest and where the workspaces lie, and nothing of what is run in them.
"""

import os
from functools import cache
from pathlib import Path

from tocdemo.display.tables import text_table
from tocdemo.errors import BadInput, CannotRun
from tocdemo.subject import workspace
from tocdemo.subject.workspace import Workspace

from .manifest import Lesson, load

ROOT = workspace.ROOT
MANIFEST = ROOT / "lessons" / "course.toml"


@cache
def all_of() -> tuple[Lesson, ...]:
    """Return the lessons in order, the optional ones where the manifest has them."""
    return load(MANIFEST)


def get(slug: str) -> Lesson:
    """Return a lesson by its slug, or by the number that it begins with: "03_the_async_fixture" or "03".

    Raises BadInput that lists the lessons when there is none.
    """
    for lesson in all_of():
        if slug == lesson.slug or (slug.isdigit() and lesson.slug.startswith(f"{slug.zfill(2)}_")):
            return lesson
    raise BadInput(f"There is no lesson {slug!r}. The lessons: {', '.join(each.slug for each in all_of())}")


def after(lesson: Lesson) -> Lesson | None:
    """Return the lesson that follows; None after the last, and after an optional one."""
    numbered = [each for each in all_of() if not each.optional]
    if lesson not in numbered[:-1]:
        return None
    return numbered[numbered.index(lesson) + 1]


def told() -> str:
    """Return, for each lesson, whether its workspace is there and which files in it were edited."""
    rows = []
    for lesson in all_of():
        own = workspace_of(lesson)
        edits = ", ".join(own.edits())
        rows.append(
            [lesson.slug, (f"edited: {edits}" if edits else "as the course left it") if own.exists() else "–"]
        )
    more = "`workspace LESSON` makes one, `workspace LESSON --reset` puts it back to its start."
    return "\n".join([str(workspace.root()), *text_table(rows), more])


def require_writable() -> None:
    """Raise CannotRun, which says what to do, where nobody can write the workspaces."""
    place = workspace.root()
    while not place.exists():
        place = place.parent
    if not os.access(place, os.W_OK):
        raise CannotRun(
            f"{place} is read-only, and lessons write to it; copy the project to a folder of yours"
        )


def workspace_of(lesson: Lesson) -> Workspace:
    """Return a lesson's workspace; it need not be there yet."""
    return workspace.of(lesson.slug)


def notebook_of(lesson: Lesson) -> Path:
    """Return the learner's copy of a lesson's notebook, which is beside its workspace."""
    return workspace.root() / f"{lesson.slug}.ipynb"
