"""What each cell of a lesson shows, seen as Jupyter sends it: it counts for the learner's progress.

A cell is known by the id that the frontend sends; one that sends none (a terminal, a notebook run without a
browser) by its text. It knows no contracts: what was shown is handed on.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from IPython.core.getipython import get_ipython

from tocdemo.course import lessons, progress
from tocdemo.course.manifest import Lesson


@dataclass
class _Witness:
    """Collects the outputs of the cell that runs. `cells` are the ids of the lesson's cells by their text."""

    lesson: Lesson
    cells: Mapping[str, tuple[str, ...]]
    shown: list[Mapping[str, Any]] = field(default_factory=list)
    active: bool = True

    def begin(self, info: Any) -> None:
        self.shown = []

    def displayed(self, message: dict[str, Any]) -> dict[str, Any]:
        if self.active and message.get("msg_type") == "display_data":
            self.shown.append(message["content"]["data"])
        return message

    def end(self, result: Any) -> None:
        if not self.active or not result.success:
            return
        bundle = _bundle(result.result)
        for cell in self._which(result.info):
            progress.note_cell(self.lesson, cell, [*self.shown, *([bundle] if bundle else [])])

    def _which(self, info: Any) -> tuple[str, ...]:
        """Return the id of the cell, or of the first with its text that has not been as it should yet."""
        if any(info.cell_id in ids for ids in self.cells.values()):
            return (info.cell_id,)
        ids = self.cells.get(info.raw_cell.strip(), ())
        done = progress.of(self.lesson).done if ids else ()
        return tuple(each for each in ids if each not in done)[:1]


def _bundle(value: object) -> Mapping[str, Any]:
    """Return what a value of ours shows when it ends a cell; of others nothing is asked."""
    own = type(value).__module__.startswith("tocdemo.")
    show = getattr(value, "_repr_mimebundle_", None) if own else None
    return show() if show else {}


_ACTIVE: list[_Witness] = []  # at most one: the notebook's


def watch(lesson: Lesson) -> None:
    """From the next cell on, note what this lesson's cells show, and no other's."""
    shell = get_ipython()
    publisher: Any = getattr(shell, "display_pub", None)
    if shell is None or not hasattr(publisher, "register_hook"):
        return
    for old in _ACTIVE:
        old.active = False
        shell.events.unregister("pre_run_cell", old.begin)
        shell.events.unregister("post_run_cell", old.end)
        publisher.unregister_hook(old.displayed)
    witness = _Witness(lesson, _cells(lesson))
    _ACTIVE[:] = [witness]
    shell.events.register("pre_run_cell", witness.begin)
    shell.events.register("post_run_cell", witness.end)
    publisher.register_hook(witness.displayed)


def _cells(lesson: Lesson) -> dict[str, tuple[str, ...]]:
    """Return the ids of the lesson's contract cells by their text, from the course's notebook."""
    path = lessons.ROOT / "notebooks" / f"{lesson.slug}.ipynb"
    # Read as JSON: to import nbformat takes a second, and every lesson's first cell would wait for it.
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"] if path.is_file() else []
    found: dict[str, tuple[str, ...]] = {}
    for cell in cells:
        if cell["id"] in lesson.contract_cells:
            text = "".join(cell["source"]).strip()
            found[text] = (*found.get(text, ()), cell["id"])
    return found
