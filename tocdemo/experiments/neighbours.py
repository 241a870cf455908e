"""The neighbours: the 26 tests that share the fixture with the 28, and what each fault does to them.

A row is one run of the 26 in a throw-away copy of the backend. Knows neither the workspace nor what the
faults change.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from tocdemo.display.looks import LOOKS
from tocdemo.display.tables import Cell, attributes, head, html_table, paragraph, text_table, words
from tocdemo.runner import pool, suite
from tocdemo.runner.progress import Progress, silent
from tocdemo.runner.result import Run
from tocdemo.subject import faults, sources

HEADS = ("what is in", "the neighbours", "errors")
_LEFT = "text-align:left;padding:3px 14px 3px 0;vertical-align:top"


@dataclass(frozen=True)
class Row:
    """One state of the backend, by its faults, and the run of the 26 in it."""

    title: str
    faults: frozenset[str]
    run: Run


@dataclass(frozen=True)
class Effects:
    """What each fault does to the neighbours. In a notebook it shows itself as a table.

    `note` says what was left out and why (or is empty).
    """

    rows: tuple[Row, ...]
    seconds: float
    note: str = ""

    def run(self, *names: str) -> Run:
        """Return the run with exactly these faults. Raises KeyError when there is none."""
        wanted = frozenset(faults.get(name).name for name in names)
        for row in self.rows:
            if row.faults == wanted:
                return row.run
        raise KeyError(f"No row has exactly {sorted(wanted)}; the rows: {[row.title for row in self.rows]}")

    def __str__(self) -> str:
        rows = [(row.title, row.run.counts.short, "; ".join(_errors(row))) for row in self.rows]
        return "\n".join([*text_table([HEADS, *rows]), *([self.note] if self.note else [])])

    def _repr_html_(self) -> str:
        note = paragraph(f"<b>Note:</b> {escape(self.note)}") if self.note else ""
        return html_table([[head(each, _LEFT) for each in HEADS], *map(_html_row, self.rows)]) + note


def measure(backend: str | None = None, *, on_progress: Progress = silent) -> Effects:
    """Run the 26 fixed, with each fault alone, and with the whole incident.

    `backend` is what `lab.run` takes. `on_progress` gets the number of runs done, their total, and the
    seconds left, by estimate. An interrupt ends it; what was measured until then is kept, with a note.
    Raises CannotRun when there is no such database.
    """
    plan = [("no fault", ()), *((name, (name,)) for name in faults.FAULTS)]
    plan.append(("the whole incident", faults.state("incident")))
    jobs = [functools.partial(together, names, backend, "neighbours") for _, names in plan]
    measured = pool.share_out(jobs, on_progress)
    rows = (Row(plan[place][0], frozenset(plan[place][1]), run) for place, run in measured.runs.items())
    return Effects(tuple(rows), measured.seconds, measured.note)


def together(
    names: Iterable[str],
    backend: str | None = None,
    which: str = "all",
    *,
    run: suite.Runner = suite.run,
) -> Run:
    """Run the tests of `which` in a throw-away copy with exactly these faults.

    `run` is called with the copy's folder, pytest's arguments, `backend` and `title`. Raises ValueError for
    the name of no fault.
    """
    names = sorted(names)
    files = faults.with_faults(names) | dict(sources.neighbours())
    title = ", ".join(names) or "no fault"
    return suite.run_copy(files, which, run=run, backend=backend, title=title)


def _errors(row: Row) -> list[str]:
    return [f"{count} × {error}" for error, count in row.run.error_lines.items()]


def _html_row(row: Row) -> list[Cell]:
    look = LOOKS["passed" if row.run.green else "error" if row.run.errors else "failed"]
    style = f"background:{look.background};color:{look.colour};padding:1px 8px;white-space:nowrap"
    counts = f"<span{attributes(style=style)}>{look.symbol} {escape(row.run.counts.short)}</span>"
    errors = "<br>".join(f"<code>{escape(line)}</code>" for line in _errors(row))
    return [words(row.title, _LEFT), Cell(counts, _LEFT), Cell(errors, _LEFT)]
