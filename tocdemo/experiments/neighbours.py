"""The neighbours: the 26 tests that share the fixture with the 28, and what each fault does to them.

`lab.run(which=…)` and `lab.neighbours()` call it. A row is one run of the 26 in a throw-away copy of the
backend. Knows neither the workspace nor what the faults change.
"""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path

from tocdemo.display.looks import LOOKS
from tocdemo.errors import CannotRun
from tocdemo.runner import pool, suite
from tocdemo.runner.result import Run
from tocdemo.subject import faults, sources

from . import matrix_picture

SUITES = {
    "toc": (sources.SUITE,),
    "neighbours": sources.NEIGHBOURS,
    "all": (sources.SUITE, *sources.NEIGHBOURS),
}
HEADS = ("what is in", "the neighbours", "errors")
_LEFT = "text-align:left;padding:3px 14px 3px 0;vertical-align:top"


def arguments_for(folder: Path, which: str) -> list[str]:
    """Return pytest's arguments for the 28 ("toc"), the 26 ("neighbours") or the 54 ("all") in `folder`.

    Raises ValueError when `which` is none of these, CannotRun when the neighbours are not there.
    """
    if which not in SUITES:
        raise ValueError(f"There are no tests {which!r}; expected one of {', '.join(SUITES)}")
    missing = [path for path in SUITES[which] if path in sources.NEIGHBOURS and not (folder / path).exists()]
    if missing:
        raise CannotRun(f"There is no {missing[0]} in {folder}: run lab.workspace(…, neighbours=True) first")
    return [str(folder / path) for path in SUITES[which]]


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
        lines = [
            HEADS,
            *([row.title, matrix_picture.counts(row.run), "; ".join(_errors(row))] for row in self.rows),
        ]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = [
            "  ".join(f"{word:{width}}" for word, width in zip(line, widths, strict=True)) for line in lines
        ]
        return "\n".join([*(line.rstrip() for line in table), *([self.note] if self.note else [])])

    def _repr_html_(self) -> str:
        heads = "".join(f"<th style='{_LEFT}'>{head}</th>" for head in HEADS)
        body = "".join(_html_row(row) for row in self.rows)
        note = f"<p style='margin:4px 0'><b>Note:</b> {escape(self.note)}</p>" if self.note else ""
        return f"<table style='border-collapse:collapse;margin:4px 0'><tr>{heads}</tr>{body}</table>{note}"


def measure(
    backend: str | None = None, *, on_progress: pool.Progress = lambda done, total, left: None
) -> Effects:
    """Run the 26 mended, with each fault alone, and with the whole incident.

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
    run: Callable[..., Run] = suite.run,
) -> Run:
    """Run the tests of `which` in a throw-away copy with exactly these faults.

    `run` is called with the copy's folder, pytest's arguments, `backend` and `title`. Raises ValueError for
    the name of no fault.
    """
    names = sorted(names)
    with sources.copied(faults.with_faults(names) | sources.neighbours()) as copy:
        title = ", ".join(names) or "no fault"
        return run(copy, arguments_for(copy, which), backend=backend, title=title)


def _errors(row: Row) -> list[str]:
    return [f"{count} × {error}" for error, count in row.run.error_lines.items()]


def _html_row(row: Row) -> str:
    outcome = "passed" if row.run.green else "error" if row.run.errors else "failed"
    symbol, _, background, colour = LOOKS[outcome]
    style = f"background:{background};color:{colour};padding:1px 8px;white-space:nowrap"
    counts = f"<span style='{style}'>{symbol} {escape(matrix_picture.counts(row.run))}</span>"
    errors = "<br>".join(f"<code>{escape(line)}</code>" for line in _errors(row))
    cells = "".join(f"<td style='{_LEFT}'>{cell}</td>" for cell in (escape(row.title), counts, errors))
    return f"<tr style='background:none'>{cells}</tr>"
