"""How a matrix looks: one picture that says which change matters, and the table of its runs.

Called by `combinations`. As in `grid`, the picture is HTML tables with inline styles and no script, which is
what is left of an output in a notebook that Jupyter does not trust. Knows nothing of how cells are measured.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from tocdemo.display.looks import LOOKS

if TYPE_CHECKING:
    from collections.abc import Collection

    from tocdemo.runner.result import Run

    from .matrix import Cell, Effect, Matrix

_LEFT = "text-align:left;padding:2px 10px 2px 0;vertical-align:top"
_BOX = "min-width:5.4em;height:2.4em;text-align:center;padding:0 6px;vertical-align:middle"
_NAME = f"{_LEFT.replace('top', 'middle')};font-weight:normal;white-space:nowrap"
_TABLE = "border-collapse:collapse;margin:4px 0"
_SQUARE = "border-collapse:separate;border-spacing:2px;margin:4px 0"
# For each fault: the table's column, what stands there with the fault, and what stands there without it.
COLUMNS = {
    "static-app-imports": ("app_imports", "static", "dynamic"),
    "static-test-imports": ("test_imports", "static", "dynamic"),
    "sync-fixture": ("fixture", "sync", "async"),
    "unbound-client": ("io_loop", "no", "yes"),
}
CHANGES = {
    "static-app-imports": "dynamic references in the app",
    "static-test-imports": "dynamic references in the tests",
    "sync-fixture": "an async fixture",
    "unbound-client": "io_loop",
}
_MINUS = "\u2212"  # a minus sign, as wide as the plus


def text(matrix: Matrix) -> str:
    """Return the matrix as lines of text: a row for each run, and what follows from them."""
    table = [_heads(matrix), *(_words(matrix, cell) for cell in matrix.cells)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(f"{word:{width}}" for word, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
    gains = [
        f"{change(effect.fault)}: tests more that pass, for each state of the others: "
        + " ".join(_signed(gain) for gain in effect.gains)
        for effect in matrix.effects()
    ]
    return "\n".join([*lines, "", *gains, "", *_conclusions(matrix)])


def html(matrix: Matrix) -> str:
    """Return the matrix as HTML: the square of runs, each change's effect, the cures, the table to unfold."""
    parts = [_square(matrix), _effects(matrix)]
    parts += [f"<p style='margin:4px 0'>{escape(line)}</p>" for line in _conclusions(matrix)]
    parts.append(_table(matrix))
    return "".join(parts)


def counts(run: Run) -> str:
    """Return a run's counts in short, such as "2 P, 26 F"."""
    numbers = ((run.passed, "P"), (run.failed, "F"), (run.errors, "E"), (run.skipped, "S"))
    return ", ".join(f"{number} {letter}" for number, letter in numbers if number)


def change(fault: str) -> str:
    """Return the name of the change that mends the fault, in the report's words."""
    return CHANGES[fault]


def settings(names: Collection[str], switches: Collection[str]) -> dict[str, str | None]:
    """Return where each of the report's changes stands with these faults; None without such a switch."""
    return {
        column: (faulty if fault in names else mended) if fault in switches else None
        for fault, (column, faulty, mended) in COLUMNS.items()
    }


def _folded(matrix: Matrix) -> bool:
    return "unbound-client" not in matrix.switches


def _words(matrix: Matrix, cell: Cell) -> list[str]:
    stands = [word for word in settings(cell.faults, matrix.switches).values() if word]
    return [*stands, "yes" if cell.policy else "no", counts(cell.run)]


def _heads(matrix: Matrix) -> list[str]:
    columns = [COLUMNS[name][0].replace("_i", " i") for name in matrix.switches]
    return [*columns, "policy", "the 28 together"]


# --- the square: imports down, fixture and io_loop across ---------------------------------------------------


def _square(matrix: Matrix) -> str:
    by_faults = {cell.faults: cell for cell in matrix.cells if not cell.policy}
    across = _sides(("sync-fixture", "unbound-client"), matrix)
    heads = "".join(f"<th style='{_BOX};font-weight:normal'>{_heading(side, matrix)}</th>" for side in across)
    rows = []
    for side in _sides(("static-app-imports", "static-test-imports"), matrix):
        boxes = "".join(_box(by_faults.get(side | other)) for other in across)
        rows.append(f"<tr style='background:none'><th style='{_NAME}'>{_imports(side)}</th>{boxes}</tr>")
    caption = escape(
        f"Each box is a run of the 28 on the backend {matrix.backend}; "
        f"{len(matrix.cells)} runs in {matrix.seconds:.1f} s"
    )
    return (
        f"<p style='margin:6px 0'><b>{caption}</b></p><table style='{_SQUARE}'>"
        f"<tr style='background:none'><th></th>{heads}</tr>{''.join(rows)}</table>"
    )


def _sides(pair: tuple[str, str], matrix: Matrix) -> list[frozenset[str]]:
    first, second = (name if name in matrix.switches else None for name in pair)
    order = [(first, second), (first,), (second,), ()] if second else [(first,), ()]
    return [frozenset(names) for names in order]


def _heading(names: frozenset[str], matrix: Matrix) -> str:
    fixture = "sync fixture" if "sync-fixture" in names else "async fixture"
    if _folded(matrix):
        return fixture
    return f"{fixture}<br>{'no io_loop' if 'unbound-client' in names else 'io_loop'}"


def _imports(names: frozenset[str]) -> str:
    app = "static" if "static-app-imports" in names else "dynamic"
    tests = "static" if "static-test-imports" in names else "dynamic"
    return f"app <b>{app}</b>, tests <b>{tests}</b>"


def _box(cell: Cell | None) -> str:
    if cell is None:
        return f"<td style='{_BOX};border:1px dashed #8c959f'>not run</td>"
    symbol, _, background, colour = LOOKS[_worst(cell.run)]
    tip = escape("\n".join([cell.run.title, cell.run.summary(), *cell.run.error_lines]), quote=True)
    return (
        f'<td title="{tip}" style="{_BOX};background-color:{background};color:{colour};font-weight:bold">'
        f"{symbol} {counts(cell.run)}</td>"
    )


def _worst(run: Run) -> str:
    return "passed" if run.green else "failed" if run.failed > run.errors else "error"


# --- what each change does, the others held -----------------------------------------------------------------


def _effects(matrix: Matrix) -> str:
    rows = "".join(_effect(effect) for effect in matrix.effects())
    title = "Each change, with the others held: how many tests more pass"
    return f"<p style='margin:10px 0 2px'><b>{title}</b></p><table style='{_SQUARE}'>{rows}</table>"


def _effect(effect: Effect) -> str:
    boxes = "".join(_gain(*pair) for pair in effect.pairs)
    name = escape(change(effect.fault))
    return f"<tr style='background:none'><th style='{_NAME}'>{name}</th>{boxes}</tr>"


def _gain(before: int, after: int) -> str:
    gain = after - before
    look = LOOKS["passed" if gain > 0 else "failed"] if gain else None
    paint = (
        f"background-color:{look[2]};color:{look[3]};font-weight:bold" if look else "border:1px solid #8c959f"
    )
    tip = f"{before} passed without it, {after} with it"
    return f'<td title="{tip}" style="{_BOX};min-width:3em;{paint}">{_signed(gain)}</td>'


def _signed(gain: int) -> str:
    return f"+{gain}" if gain > 0 else f"{_MINUS}{-gain}" if gain else "0"


# --- what follows -------------------------------------------------------------------------------------------


def _conclusions(matrix: Matrix) -> list[str]:
    lines = []
    if matrix.whole:
        lines = _cures(matrix)
    lines += [_control(matrix, cell) for cell in matrix.cells if cell.policy]
    return [*lines, *([matrix.note] if matrix.note else [])]


def _cures(matrix: Matrix) -> list[str]:
    cures = matrix.cures()
    if frozenset() in cures:
        return [
            "Green with every fault in: there is nothing to cure here, and nothing to learn about a cure."
        ]
    sums = (" + ".join(change(name) for name in matrix.switches if name in mends) for mends in cures)
    found = [f"The smallest set of changes that cures: {mends}." for mends in sums]
    needless = ", ".join(change(name) for name in matrix.needless())
    return [
        *(found or ["No set of these changes cures."]),
        *([f"Not needed for a cure: {needless}."] if needless else []),
    ]


def _control(matrix: Matrix, cell: Cell) -> str:
    state = "the incident" if cell.faults else "the mended state"
    plain = matrix.run(*cell.faults)
    verb = "changes nothing" if plain.contract() == cell.run.contract() else "changes the result"
    return (
        f"Control: event_loop_policy added to {state} {verb}: "
        f"{counts(plain)} without it, {counts(cell.run)} with it."
    )


def _table(matrix: Matrix) -> str:
    heads = "".join(f"<th style='{_LEFT}'>{head}</th>" for head in [*_heads(matrix), "errors"])
    rows = []
    for cell in matrix.cells:
        values = [*_words(matrix, cell), "; ".join(cell.run.error_lines)]
        rows.append("".join(f"<td style='{_LEFT}'>{escape(value)}</td>" for value in values))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f"<details><summary>The {len(matrix.cells)} runs as a table</summary>"
        f"<table style='{_TABLE}'><tr>{heads}</tr>{body}</table></details>"
    )
