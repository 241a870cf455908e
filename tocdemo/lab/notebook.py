"""What a notebook remembers from cell to cell: the value of its last run, and the hints that were shown.

There is one notebook to a Python process, so there is one `NOTEBOOK`. It knows nothing of what is shown.
"""

from dataclasses import dataclass, field

from tocdemo.runner.result import Run


@dataclass
class Notebook:
    """The state that verbs share. `hints_shown` counts them by the name of the exercise."""

    last_run: Run | None = None
    hints_shown: dict[str, int] = field(default_factory=dict)


NOTEBOOK = Notebook()
