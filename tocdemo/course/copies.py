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
from typing import Any

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
        own = _json(path)
        ran = any(cell.get("outputs") or cell.get("execution_count") for cell in own["cells"])
        return not ran and _texts(own["cells"]) == own["metadata"].get(_BASE)
    except _NOT_AS_WRITTEN:
        return False


def _renew(source: Path, target: Path, backups: Backups) -> Copied:
    course = _json(source)
    texts = _texts(course["cells"])
    if not target.exists():
        course["metadata"][_BASE] = texts
        _write(target, course)
        return Copied(target, "made")
    return Copied(target, "unchanged") if _base_of(target) == texts else _merge(source, target, backups)


def _base_of(path: Path) -> object:
    """Return what the course's cells were when a copy was made, as JSON has it: None when nothing says so."""
    try:
        return _json(path)["metadata"].get(_BASE)
    except _NOT_AS_WRITTEN:
        return None


def _merge(source: Path, target: Path, backups: Backups) -> Copied:
    import nbformat  # only here: it takes more than a second, and a start without news does without it

    theirs = nbformat.read(source, as_version=4)
    try:
        own = nbformat.read(target, as_version=4)
    except Exception as error:  # not a notebook any more: nbformat raises several kinds
        return Copied(target, "left", f"it cannot be read: {error}")
    base = own.metadata.get(_BASE)
    if not isinstance(base, dict):
        return Copied(target, "left", "it was not made by the course")
    backups.keep(target.name, target)
    merged, kept = _merged(own, base, theirs)
    merged.metadata[_BASE] = _texts(theirs.cells)
    nbformat.validate(merged)
    _write(target, merged)
    word = f"{kept} cells are as you left them, though the course changed them" if kept else ""
    return Copied(target, "brought up to date", word)


_NOT_AS_WRITTEN = (OSError, ValueError, KeyError, TypeError, AttributeError)  # a file that is another's JSON


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _texts(cells: Iterable[Any]) -> dict[str, str]:
    # In a file a text is a list of lines, nbformat makes one of them; joined, both are the same.
    return {cell["id"]: "".join(cell["source"]) for cell in cells}


def _merged(own: Any, base: dict[str, str], theirs: Any) -> tuple[Any, int]:
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


def _added_after(own: Any, base: Iterable[str], place: str) -> list[Any]:
    """Return the learner's own cells between the cell `place` ("" for the top) and the course's next one."""
    known, here, found = set(base), "", []
    for cell in own.cells:
        if cell.id in known:
            here = cell.id
        elif here == place:
            found.append(cell)
    return found


def _write(path: Path, notebook: dict[str, Any]) -> None:
    sources.write_file(path, json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
