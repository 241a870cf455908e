"""The verb that follows the files: the grid below the cell is new whenever a file was saved.

The cell ends at once, and what it showed is changed from then on by the watcher's threads. It knows the
learner's workspace, and how a grid looks in a notebook.
"""

import contextvars
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from IPython.core.getipython import get_ipython
from IPython.display import DisplayHandle, display

from tocdemo.course.judging import judge_of
from tocdemo.display.code import preformatted
from tocdemo.display.grid import Box, html_grid
from tocdemo.display.looks import LOOKS
from tocdemo.display.tables import attributes, paragraph
from tocdemo.errors import CannotRun
from tocdemo.runner import suite
from tocdemo.runner.options import RunOptions
from tocdemo.runner.result import COLUMNS, Run, TestResult, errors_table
from tocdemo.runner.watching.warm import Job, Warm
from tocdemo.runner.watching.watcher import MARKS, Changes, Judge, Sight, Watcher

from .interrupts import IdleInterrupt, idle_interrupt
from .notebook import NOTEBOOK

_BESIDE = "border-left:4px solid #b3261e;padding-left:8px;margin:6px 0"
_QUIET = "margin:4px 0;color:var(--jp-ui-font-color2,#57606a)"
_GAP = "margin:6px 0"


def watch(
    on: bool = True,
    *,
    folder: str | Path | None = None,
    which: str = "toc",
    backend: str | None = None,
    timeout: float = 5.0,
    judge: Judge | None = None,
) -> None:
    """Show the grid of the workspace's tests, and a new one whenever a file there was saved.

    The cell ends at once. `lab.watch(False)` ends the watching, and so do Kernel > Interrupt while no cell
    runs, and the end of the kernel. `folder` is another copy of the backend; without one, `lab.watch(False)`
    ends all watching. `which` and `backend` are those of `lab.run`; a test is stopped after `timeout`
    seconds. What `judge` returns for the folder and the run is shown below the grid: in a lesson, what
    `lab.check` says of its exercises.
    Raises CannotRun when there is nothing to watch, and outside a notebook.
    """
    place = Path(folder).resolve() if folder is not None else None
    if not on:
        _end("Ended by lab.watch(False).", place)
        return
    place = place or NOTEBOOK.workspace.folder
    if not place.is_dir():
        missing = "There is no workspace yet: run the lesson's first cell, or lab.workspace()"
        raise CannotRun(missing if folder is None else f"There is no folder {place} to watch")
    options = RunOptions(backend=backend, timeout=timeout)
    job = Job(place, tuple(suite.arguments_for(place, which)), options)
    if folder is None:
        judge = judge or judge_of(NOTEBOOK.lesson)
    if get_ipython() is None:
        raise CannotRun("lab.watch shows itself in a notebook; in a terminal: python3 -m tocdemo watch")
    _end("It goes on below a later cell.", place)
    _begin(job, judge)


@dataclass
class _AtWork:
    """What this kernel watches: at most one watcher for each folder."""

    watchers: dict[Path, Watcher] = field(default_factory=dict)
    interrupt: IdleInterrupt | None = None


_AT_WORK = _AtWork()


def _begin(job: Job, judge: Judge | None) -> None:
    if _AT_WORK.interrupt is None:
        _AT_WORK.interrupt = idle_interrupt(lambda: _end("Ended by an interrupt of the kernel."))
    ends = "<code>lab.watch(False)</code>"
    if _AT_WORK.interrupt is not None:
        ends += " or Kernel &gt; Interrupt"
        _AT_WORK.interrupt.arm()
    watcher = Watcher(job.folder, Warm(job), _shower(Sight(job.folder, running=True), ends), judge)
    _AT_WORK.watchers[job.folder] = watcher
    watcher.start()


def _end(why: str, folder: Path | None = None) -> None:
    """End the watching of a folder, or all of it."""
    for place in [folder] if folder is not None else list(_AT_WORK.watchers):
        watcher = _AT_WORK.watchers.pop(place, None)
        if watcher is not None:
            watcher.stop(why)
    if not _AT_WORK.watchers and _AT_WORK.interrupt is not None:
        _AT_WORK.interrupt.disarm()


def _shower(first: Sight, ends: str) -> Callable[[Sight], None]:
    """Show the first sight below this cell, and return what shows others in its place, from any thread."""
    shown: DisplayHandle = display(_bundle(first, ends), raw=True, display_id=True)
    # What a thread shows belongs to the cell that ran last, unless it is done in this cell's own context.
    cell = contextvars.copy_context()

    def show(sight: Sight) -> None:
        bundle = _bundle(sight, ends)
        try:
            cell.run(shown.update, bundle, raw=True)
        except ValueError:
            # A run in the kernel ended just now, and closed the standard output that it had put in place.
            cell.run(shown.update, bundle, raw=True)

    return show


# --- how it looks ------------------------------------------------------------------------------------------


def _bundle(sight: Sight, ends: str) -> dict[str, str]:
    return {"text/plain": str(sight), "text/html": html(sight, ends)}


def html(sight: Sight, ends: str = "<code>lab.watch(False)</code>") -> str:
    """Return what there is to see as HTML; `ends` says in HTML how the watching is ended."""
    parts = [_headline(sight, ends)]
    for problem in sight.problems:
        parts.append(f"<div{attributes(style=_BESIDE)}>{preformatted(problem)}</div>")
    if sight.run is not None:
        if sight.stale:
            parts.append(paragraph("The run before that:", _QUIET))
        parts += _run(sight.run, sight.changes)
        parts.append(_word(sight.word))
    return "".join(parts)


def _headline(sight: Sight, ends: str) -> str:
    if sight.ended:
        return paragraph(f"<b>Not watching any more.</b> {escape(sight.ended)}")
    state = "running …" if sight.running else "not run." if sight.stale else f"run {sight.runs}."
    what = f"Saved {', '.join(sight.saved)}: {state}" if sight.saved else state.capitalize()
    if sight.running and not sight.runs:
        what = "Running for the first time, which takes a few seconds …"
    number = f"{len(sight.files)} files in " if sight.files else ""
    return paragraph(
        f"<b>Watching</b> {number}<code>{escape(sight.folder.name)}/</code>. Save one, and the grid follows; "
        f"{ends} ends it."
    ) + paragraph(escape(what), _QUIET)


def _run(run: Run, changes: Changes) -> list[str]:
    marked = changes.words()
    boxes = [_box(number, each, marked.get(each.nodeid, "")) for number, each in enumerate(run.results, 1)]
    label = f"{run.title}: {run.summary()}"
    parts = [html_grid(boxes, COLUMNS, label), paragraph(f"<b>{escape(label)}</b>", _GAP)]
    if str(changes):
        parts.append(paragraph("<br>".join(map(escape, str(changes).splitlines())), _GAP))
    if run.error_lines:
        parts.append(errors_table(run))
    if run.note:
        parts.append(paragraph(f"<b>Note:</b> {escape(run.note)}", _GAP))
    if run.remark:
        parts.append(paragraph(escape(run.remark), _GAP))
    return parts


def _box(number: int, result: TestResult, changed: str) -> Box:
    look = LOOKS[result.outcome]
    word = f"{look.word} ({changed})" if changed else look.word
    lines = [f"{number}. {result.name}: {word}", result.error, result.place]
    return Box(look, [line for line in lines if line], MARKS[changed] if changed else "")


def _word(word: Any) -> str:
    """Return what the judge said: a value that shows itself, or a text."""
    if hasattr(word, "_repr_mimebundle_"):
        return word._repr_mimebundle_()["text/html"]
    if hasattr(word, "_repr_html_"):
        return word._repr_html_()
    return paragraph(escape(word), f"{_GAP};white-space:pre-wrap") if word else ""
