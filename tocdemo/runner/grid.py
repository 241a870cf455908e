"""How a run looks: a grid with a cell for each test, the counts, and the distinct errors.

Called by `runs`. The grid is an HTML table with inline styles and no script, because that is what is left of
an output in a notebook that Jupyter does not trust. A symbol says what a colour says.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .result import Run, TestResult

# symbol, word, background, text colour. The contrast of each pair is at least 4.5 to 1, on light and dark.
LOOKS = {
    "passed": ("✓", "passed", "#1a7f37", "#ffffff"),
    "failed": ("✗", "failed", "#b3261e", "#ffffff"),
    "error": ("E", "error", "#8a4b00", "#ffffff"),
    "skipped": ("s", "skipped", "#57606a", "#ffffff"),
}
COLUMNS = 14
_CELL = "width:2.1em;height:2.1em;text-align:center;padding:0;border:2px solid transparent;font-weight:bold"
_LEFT = "text-align:left;padding:2px 10px 2px 0;vertical-align:top"


def text(run: Run) -> str:
    """Return the run as lines of text: the symbols in a row, the counts, the errors, the guess, the note."""
    symbols = "".join(LOOKS[result.outcome][0] for result in run.results)
    lines = [f"{symbols}  {run.title}: {run.summary()}"]
    lines += [f"  {count} × {error}" for error, count in run.error_lines.items()]
    if run.guess is not None:
        lines.append(_guess_line(run))
    if run.note:
        lines.append(run.note)
    return "\n".join(lines)


def html(run: Run) -> str:
    """Return the run as HTML: grid, counts and errors, and a table of all tests to unfold."""
    parts = [_cells(run), f"<p style='margin:6px 0'><b>{escape(run.title)}: {escape(run.summary())}</b></p>"]
    if run.error_lines:
        parts.append(_errors(run))
    if run.guess is not None:
        parts.append(f"<p style='margin:6px 0'>{escape(_guess_line(run))}</p>")
    if run.note:
        parts.append(f"<p style='margin:6px 0'><b>Note:</b> {escape(run.note)}</p>")
    parts.append(_table(run))
    return "".join(parts)


def preformatted(words: str) -> str:
    """Return a text as HTML that keeps its lines."""
    return f"<pre style='white-space:pre-wrap;margin:4px 0'>{escape(words)}</pre>"


def _cells(run: Run) -> str:
    cells = [_cell(number, result, run) for number, result in enumerate(run.results, 1)]
    rows = [cells[start : start + COLUMNS] for start in range(0, len(cells), COLUMNS)]
    body = "".join(f"<tr style='background:none'>{''.join(row)}</tr>" for row in rows)
    label = escape(f"{run.title}: {run.summary()}", quote=True)
    return f"<table aria-label='{label}' style='border-collapse:collapse;margin:4px 0'>{body}</table>"


def _cell(number: int, result: TestResult, run: Run) -> str:
    symbol, word, background, colour = LOOKS[result.outcome]
    lines = [f"{number}. {result.name}: {word}", result.error]
    if run.recording is not None:
        lines.append(run.recording.explanations.get(result.nodeid, ""))
    tip = escape("\n".join(line for line in lines if line), quote=True)
    style = f"{_CELL};background:{background};color:{colour};background-clip:padding-box"
    return f'<td title="{tip}" style="{style}">{symbol}</td>'


def _errors(run: Run) -> str:
    rows = "".join(
        f"<tr style='background:none'><td style='{_LEFT};white-space:nowrap'>{count} ×</td>"
        f"<td style='{_LEFT}'><code>{escape(error)}</code></td></tr>"
        for error, count in run.error_lines.items()
    )
    return f"<table style='border-collapse:collapse;margin:4px 0'>{rows}</table>"


def _table(run: Run) -> str:
    rows = "".join(_row(number, result) for number, result in enumerate(run.results, 1))
    heads = "".join(
        f"<th style='{_LEFT}'>{head}</th>" for head in ("#", "test", "outcome", "seconds", "loop", "error")
    )
    return (
        f"<details><summary>{'The test' if run.total == 1 else f'The {run.total} tests'} as a table</summary>"
        f"<table style='border-collapse:collapse;margin:4px 0'><tr>{heads}</tr>{rows}</table></details>"
    )


def _row(number: int, result: TestResult) -> str:
    symbol, word, _, _ = LOOKS[result.outcome]
    loop = "" if result.loop is None else f"#{result.loop}"
    values = (number, result.name, f"{symbol} {word}", f"{result.seconds:.3f}", loop, result.error)
    return "<tr>" + "".join(f"<td style='{_LEFT}'>{escape(str(value))}</td>" for value in values) + "</tr>"


def _guess_line(run: Run) -> str:
    measured = run.summary().rpartition(" in ")[0]
    right = (run.guess.passed, run.guess.failed, run.guess.errors) == (run.passed, run.failed, run.errors)
    verdict = "Your prediction was right." if right else "They differ: what did you not expect?"
    return f"You predicted: {run.guess}. Measured: {measured}. {verdict}"


def report_html(headline: str, details: tuple[str, ...], diffs: tuple[str, ...], backup: str | None) -> str:
    """Return what was done to the workspace as HTML."""
    parts = [f"<p style='margin:4px 0'><b>{escape(headline)}</b></p>"]
    if details:
        items = "".join(f"<li>{escape(detail)}</li>" for detail in details)
        parts.append(f"<ul style='margin:4px 0'>{items}</ul>")
    if backup:
        parts.append(f"<p style='margin:4px 0'>Your own version is kept in <code>{escape(backup)}</code></p>")
    parts += [diff_html(diff) for diff in diffs if diff]
    return "".join(parts)


def diff_html(diff: str) -> str:
    """Return a unified diff as HTML: lines keep their + and -, which say what the colours say."""
    edges = {"+": "#1a7f37", "-": "#b3261e", "@": "#57606a"}
    head, _, *changes = diff.splitlines()
    lines = [f"<div><b>{escape(head.removeprefix('--- '))}</b></div>"]
    lines += [
        f"<div style='border-left:4px solid {edges.get(line[:1], 'transparent')};padding-left:6px'>"
        f"{escape(line) or '&nbsp;'}</div>"
        for line in changes
    ]
    return (
        "<div style='font-family:monospace;white-space:pre-wrap;line-height:1.35;margin:6px 0'>"
        + "".join(lines)
        + "</div>"
    )
