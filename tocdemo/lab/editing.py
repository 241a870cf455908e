"""The verbs that put the workspace's files into a state, and show what that changed.

They know the learner's workspace, and not how tests are run.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from IPython.display import display

from tocdemo.display.code import unified_diff
from tocdemo.errors import BadInput, BadPath
from tocdemo.subject import faults as _faults
from tocdemo.subject import sources
from tocdemo.subject import workspace as _workspace


def workspace(
    state: str = "incident",
    *,
    without: Sequence[str] = (),
    faults: Sequence[str] | None = None,
    neighbours: bool = False,
) -> _workspace.Report:
    """Put the workspace into a state, and show which faults it has then.

    `state` is "incident", "mended" or "as-fixed"; `without` names faults to leave out of it; `faults` names
    them exactly, instead. With `neighbours` the 26 tests of the questions and the users are there, too. A
    file that you edited is kept in a backup first. Raises ValueError for a name that does not exist.
    """
    if faults is not None:
        return _workspace.put(faults, neighbours=neighbours)
    names = _faults.state(state)
    for name in without:
        if _faults.get(name).name not in names:
            raise BadInput(f"The state {state!r} has no fault {name!r}; it has {', '.join(names) or 'none'}")
    title = f"{state} without {', '.join(without)}" if without else state
    kept = [name for name in names if name not in without]
    return _workspace.put(kept, title, neighbours=neighbours)


def folder() -> Path:
    """Return the workspace's folder."""
    return _workspace.folder()


def mend(fault: str) -> _workspace.Report:
    """Take a fault out of the workspace and show the change; your own edit that did so stays as it is."""
    return _workspace.mend(fault)


def diff(fault: str) -> _workspace.Report:
    """Show what mending a fault changes, from the faulty source to the mended one, without doing it."""
    found = _faults.get(fault)
    before, after = _faults.with_faults([fault]), sources.mended()
    shown = tuple(unified_diff(path, before[path], after[path]) for path in found.transforms)
    return _workspace.Report(f"Mending {fault!r}: {found.mend}", shown)


def load_ipython_extension(shell: Any) -> None:
    """Register the cell magic `%%workspace PATH`, which writes the cell's text to a file of the workspace."""

    def write_cell(line: str, cell: str) -> None:
        if not line.strip():
            raise BadPath(f"Expected a path after %%workspace, such as {sources.CONFTEST}")
        try:
            display(_workspace.write(line.strip(), cell))
        except SyntaxError as error:
            print(
                f"Nothing was written: line {error.lineno} is not Python ({error.msg}): {error.text}",
                file=sys.stderr,
            )

    shell.register_magic_function(write_cell, "cell", "workspace")
