"""The verbs that put the workspace's files into a state, and show what that changed.

They know the notebook's workspace, and not how tests are run.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from IPython.display import display

from tocdemo.errors import BadPath
from tocdemo.subject import changes, sources
from tocdemo.subject import faults as _faults
from tocdemo.subject.reports import Report
from tocdemo.subject.workspace import Start

from .notebook import NOTEBOOK


def workspace(
    state: str = "incident",
    *,
    made: Sequence[str] = (),
    faults: Sequence[str] | None = None,
    neighbours: bool = False,
) -> Report:
    """Put the notebook's workspace into a state, and show which of the report's changes it has then.

    `state` is "incident", "fixed" or "as-fixed"; `made` names changes that are made in it, such as
    "async-fixture"; `faults` names exactly the faults that it has, instead. With `neighbours` the 26 tests of
    the questions and the users are there, too. A file that you edited is kept in a backup first. Raises
    BadInput for a name that does not exist.
    """
    gone = changes.faults_of(made)
    names = _faults.state(state) if faults is None else tuple(faults)
    title = "" if faults is not None else f"{state}, with {', '.join(made)}" if made else state
    kept = tuple(name for name in names if name not in gone)
    return NOTEBOOK.workspace.put(Start(kept, neighbours), title)


def folder() -> Path:
    """Return the folder of the notebook's workspace."""
    return NOTEBOOK.workspace.folder


def load_ipython_extension(shell: Any) -> None:
    """Register the cell magic `%%workspace PATH`, which writes the cell's text to a file of the workspace."""

    def write_cell(line: str, cell: str) -> None:
        if not line.strip():
            raise BadPath(f"Expected a path after %%workspace, such as {sources.CONFTEST}")
        try:
            display(NOTEBOOK.workspace.write(line.strip(), cell))
        except SyntaxError as error:
            print(
                f"Nothing was written: line {error.lineno} is not Python ({error.msg}): {error.text}",
                file=sys.stderr,
            )

    shell.register_magic_function(write_cell, "cell", "workspace")
