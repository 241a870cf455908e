"""What a notebook remembers from cell to cell: the value of its last run.

There is one notebook to a Python process, so there is one `NOTEBOOK`. It knows nothing of what is shown.
"""

from dataclasses import dataclass

from tocdemo.runner.result import Run


@dataclass
class Notebook:
    """The state that verbs share."""

    last_run: Run | None = None


NOTEBOOK = Notebook()
