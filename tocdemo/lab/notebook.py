"""What a notebook remembers from cell to cell: its lesson and workspace, its last run, the hints shown.

There is one notebook to a Python process, so there is one `NOTEBOOK`. It knows nothing of what is shown.
"""

from dataclasses import dataclass, field

from tocdemo.course.manifest import Lesson
from tocdemo.runner.result import Run
from tocdemo.subject import workspace
from tocdemo.subject.workspace import Workspace


@dataclass
class Notebook:
    """The state that verbs share. `hints_shown` counts them by the name of the exercise."""

    lesson: Lesson | None = None
    last_run: Run | None = None
    hints_shown: dict[str, int] = field(default_factory=dict)

    @property
    def workspace(self) -> Workspace:
        """The lesson's workspace; that of a notebook that is no lesson is the playground."""
        return workspace.of(self.lesson.slug if self.lesson else workspace.PLAYGROUND)


NOTEBOOK = Notebook()
