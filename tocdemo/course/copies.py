"""A learner's copies of the notebooks, beside the workspaces: what they run there, git never sees.

`notebooks/` belongs to the course. A pull may change it at any time, and never meets what somebody ran or
wrote. A copy follows the course cell by cell: a cell that a learner changed stays theirs. It knows
notebooks, and not what is in their cells.
"""

import copy
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tocdemo.subject import sources, workspace
from tocdemo.subject.backups import Backups

_BASE = "tocdemo_from"  # in a copy's metadata: what each cell of the course was when it was copied


@dataclass(frozen=True)
class Copied:
    """What became of one copy: "made", "unchanged", "brought up to date" or "left", and a word about it."""

    path: Path
    what: str
    word: str = ""

    def __str__(self) -> str:
        return f"{self.path.name}: {self.what}{f' ({self.word})' if self.word else ''}"


def renew_all() -> list[Copied]:
    """Make the learner's copies of the course's notebooks, or bring them up to date."""
    return bring_up_to_date(workspace.ROOT / "notebooks", workspace.root(), workspace.of("notebooks").backups)


def bring_up_to_date(course: Path, copies: Path, backups: Backups) -> list[Copied]:
    """Make or renew a copy in `copies` of each notebook in `course`; keep what is replaced in `backups`."""
    return [_renew(path, copies / path.name, backups) for path in sorted(course.glob("*.ipynb"))]


def is_as_made(path: Path) -> bool:
    """Whether a copy of a notebook is as the course made it: nothing in it was run or changed."""
    try:
        own = nbformat.read(path, as_version=4)
    except Exception:  # not a notebook any more: nbformat raises several kinds
        return False
    ran = any(cell.get("outputs") or cell.get("execution_count") for cell in own.cells)
    return not ran and _texts(own) == own.metadata.get(_BASE)


def _renew(source: Path, target: Path, backups: Backups) -> Copied:
    theirs = nbformat.read(source, as_version=4)
    if not target.exists():
        _write(target, _based(theirs, theirs))
        return Copied(target, "made")
    try:
        own = nbformat.read(target, as_version=4)
    except Exception as error:  # not a notebook any more: nbformat raises several kinds
        return Copied(target, "left", f"it cannot be read: {error}")
    base = own.metadata.get(_BASE)
    if not isinstance(base, dict):
        return Copied(target, "left", "it was not made by the course")
    if base == _texts(theirs):
        return Copied(target, "unchanged")
    backups.keep(target.name, target)
    merged, kept = _merged(own, base, theirs)
    _write(target, _based(merged, theirs))
    word = f"{kept} cells are as you left them, though the course changed them" if kept else ""
    return Copied(target, "brought up to date", word)


def _texts(notebook: NotebookNode) -> dict[str, str]:
    return {cell.id: cell.source for cell in notebook.cells}


def _merged(own: NotebookNode, base: dict[str, str], theirs: NotebookNode) -> tuple[NotebookNode, int]:
    """Return the course's cells in their order, with a learner's words and outputs; and how many were both's.

    A cell that the learner added stands behind the one that it stood behind. One that the learner deleted
    stays away, unless the course has changed it since.
    """
    mine = {cell.id: cell for cell in own.cells}
    merged = copy.deepcopy(theirs)
    merged.metadata.update(
        {key: value for key, value in own.metadata.items() if key not in ("tocdemo", _BASE)}
    )
    merged.cells, both = _added_after(own, base, ""), 0
    for cell in theirs.cells:
        here = mine.get(cell.id)
        if here is not None and here.source != base.get(cell.id):
            both += cell.source not in (base.get(cell.id), here.source)
            merged.cells.append(here)
        elif here is not None and here.source == cell.source:
            merged.cells.append(here)  # with its outputs
        elif here is not None or base.get(cell.id) != cell.source:
            merged.cells.append(copy.deepcopy(cell))
        merged.cells += _added_after(own, base, cell.id)
    return merged, both


def _added_after(own: NotebookNode, base: Iterable[str], place: str) -> list[NotebookNode]:
    """Return the learner's own cells between the cell `place` ("" for the top) and the course's next one."""
    known, here, found = set(base), "", []
    for cell in own.cells:
        if cell.id in known:
            here = cell.id
        elif here == place:
            found.append(cell)
    return found


def _based(notebook: NotebookNode, course: NotebookNode) -> NotebookNode:
    based = copy.deepcopy(notebook)
    based.metadata[_BASE] = _texts(course)
    return based


def _write(path: Path, notebook: NotebookNode) -> None:
    nbformat.validate(notebook)
    sources.write_file(path, json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
