"""The matrix: the suite in all combinations of the four loop faults, to see which change fixes it.

Each cell is a Run of a throw-away copy of the backend, on fresh modules and a fresh database. What is read
from the cells (effects, fixes) is computed here, and here is how it looks: HTML tables without a script.
"""

import functools
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any

from tocdemo.display.looks import LOOKS, verdict
from tocdemo.display.tables import LEFT, Cell, head, html_table, paragraph, text_table, unfolding, words
from tocdemo.errors import BadInput
from tocdemo.runner import databases, pool, suite
from tocdemo.runner.progress import Progress, silent
from tocdemo.runner.result import Run
from tocdemo.subject import faults, sources
from tocdemo.subject.changes import CHANGES, settings

SWITCHES = ("static-app-imports", "static-test-imports", "sync-fixture", "unbound-client")
# The incident's other fault stays in for every cell, so that the cell with all four switches is the incident.
HELD = ("swallowing-probe",)
# The driver that has `io_loop`. On the others there is nothing to pass, so the switch folds away.
NO_IO_LOOP = {"pymongo": "PyMongo's AsyncMongoClient", "mock": "mongomock-motor"}

_BOX = "min-width:5.4em;height:2.4em;text-align:center;padding:0 6px;vertical-align:middle"
_NAME = f"{LEFT.replace('top', 'middle')};font-weight:normal;white-space:nowrap"
_MINUS = "\u2212"  # a minus sign, as wide as the plus

POLICY = '''

@pytest.fixture(scope="session")
def event_loop_policy():
    """The report's fourth change: one policy for the whole session."""
    import asyncio

    return asyncio.DefaultEventLoopPolicy()
'''


@dataclass(frozen=True)
class RunCell:
    """One combination: the faults that are in, whether the policy fixture was added, and the run."""

    faults: frozenset[str]
    policy: bool
    run: Run


@dataclass(frozen=True)
class Effect:
    """What one fault does with the others held: a pair of passed counts, with it and without it, for each."""

    fault: str
    pairs: tuple[tuple[int, int], ...]

    @property
    def gains(self) -> list[int]:
        """How many tests more pass when the fault is fixed, for each state of the other switches."""
        return [without - with_it for with_it, without in self.pairs]


@dataclass(frozen=True)
class Matrix:
    """All cells that were measured. In a notebook it shows itself as a picture and a table.

    `switches` are the faults that were varied, `note` says what was left out and why (or is empty).
    """

    cells: tuple[RunCell, ...]
    switches: tuple[str, ...]
    backend: str
    seconds: float
    note: str = ""

    @property
    def whole(self) -> bool:
        """Whether every combination was measured: only then is it said what fixes it."""
        return len([cell for cell in self.cells if not cell.policy]) == 2 ** len(self.switches)

    def run(self, *names: str, policy: bool = False) -> Run:
        """Return the run with exactly these of the switches in. Raises KeyError when it was not measured."""
        wanted = frozenset(faults.get(name).name for name in names)
        for cell in self.cells:
            if cell.faults == wanted and cell.policy == policy:
                return cell.run
        raise KeyError(f"No cell with {sorted(wanted)}, policy={policy}; the switches: {self.switches}")

    def effects(self) -> tuple[Effect, ...]:
        """Return what each fault does, over all states of the others that were measured."""
        passed = {cell.faults: cell.run.passed for cell in self.cells if not cell.policy}
        found = []
        for fault in self.switches:
            with_it = [names for names in passed if fault in names and names - {fault} in passed]
            found.append(Effect(fault, tuple((passed[names], passed[names - {fault}]) for names in with_it)))
        return tuple(found)

    def fixes(self) -> tuple[frozenset[str], ...]:
        """Return the smallest sets of changes that turn the incident green: no part of one does so alone.

        Empty when nothing fixes it. Raises ValueError when cells are missing.
        """
        if not self.whole:
            raise BadInput("The matrix is not whole, so what fixes it cannot be said: run it to its end")
        everything = frozenset(self.switches)
        green = [everything - cell.faults for cell in self._plain() if cell.run.green]
        return tuple(made for made in green if not any(other < made for other in green))

    def needless(self) -> tuple[str, ...]:
        """Return the changes that no smallest fix contains. Raises ValueError when cells are missing."""
        needed = frozenset().union(*self.fixes())
        return tuple(name for name in self.switches if name not in needed)

    def to_json(self) -> dict[str, Any]:
        """Return the matrix as plain data."""
        data = {
            "backend": self.backend,
            "seconds": round(self.seconds, 2),
            "note": self.note,
            "rows": [
                settings(cell.faults, self.switches) | {"policy": cell.policy, "run": cell.run.contract()}
                for cell in self.cells
            ],
            "effects": {effect.fault: effect.gains for effect in self.effects()},
        }
        if self.whole:
            # The names of these two are a promise to programs that read them.
            data["cures"] = [sorted(made) for made in self.fixes()]
            data["cure_nothing"] = list(self.needless())
        return data

    def _plain(self) -> list[RunCell]:
        return [cell for cell in self.cells if not cell.policy]

    def __str__(self) -> str:
        return _text(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {
            "text/plain": str(self),
            "text/html": _html(self),
            "application/vnd.tocdemo.matrix+json": self.to_json(),
        }


def measure(backend: str | None = None, *, on_progress: Progress = silent) -> Matrix:
    """Run the suite in every combination of the faults, and the two controls with the policy fixture.

    `backend` is what `lab.run` takes. `on_progress` gets the number of runs done, their total, and the
    seconds left, by estimate. An interrupt ends it; what was measured until then is kept, with a note. Raises
    CannotRun when there is no such database.
    """
    backend = backend or databases.chosen_backend()
    driver = NO_IO_LOOP.get(backend)
    switches = tuple(name for name in SWITCHES if not (driver and name == "unbound-client"))
    note = f"{driver} has no io_loop, so these rows are without it." if driver else ""
    held = [*HELD, *(name for name in SWITCHES if name not in switches)]
    plan = _plan(switches)
    jobs = [functools.partial(combination, [*names, *held], backend, policy=policy) for names, policy in plan]
    measured = pool.share_out(jobs, on_progress)
    cells = tuple(RunCell(*plan[place], run) for place, run in measured.runs.items())
    note = f"{note} {measured.note}".strip()
    return Matrix(cells, switches, databases.without_secrets(backend), measured.seconds, note)


def combination(
    names: Iterable[str],
    backend: str | None = None,
    *,
    policy: bool = False,
    run: suite.Runner = suite.run,
) -> Run:
    """Run the 28 in a throw-away copy with exactly these faults. Raises ValueError for the name of none.

    `policy` adds the report's `event_loop_policy` fixture. `run` is called with the copy's folder, pytest's
    arguments, `backend` and `title`.
    """
    names = sorted(names)
    files = faults.with_faults(names)
    if policy:
        files[sources.CONFTEST] += POLICY
    shown = [name for name in names if name not in HELD]
    title = ", ".join([*shown, *(["event_loop_policy"] if policy else [])]) or "no loop fault"
    return suite.run_copy(files, run=run, backend=backend, title=title)


def _plan(switches: tuple[str, ...]) -> list[tuple[frozenset[str], bool]]:
    """Return the combinations from the incident to the fixed state, then the two controls."""
    chosen = itertools.product((True, False), repeat=len(switches))
    plan = [(frozenset(itertools.compress(switches, put_in)), False) for put_in in chosen]
    return [*plan, (frozenset(switches), True), (frozenset(), True)]


# --- how it looks: as text, and as a square of boxes --------------------------------------------------------


def _text(matrix: Matrix) -> str:
    """Return the matrix as lines of text: a row for each run, and what follows from them."""
    lines = text_table([_heads(matrix), *(_words(matrix, cell) for cell in matrix.cells)])
    gains = [
        f"{CHANGES[effect.fault].name}: tests more that pass, for each state of the others: "
        + " ".join(_signed(gain) for gain in effect.gains)
        for effect in matrix.effects()
    ]
    return "\n".join([*lines, "", *gains, "", *_conclusions(matrix)])


def _html(matrix: Matrix) -> str:
    """Return the matrix as HTML: the square of runs, each change's effect, the fixes, the table to unfold."""
    parts = [_square(matrix), _effects(matrix)]
    parts += [paragraph(escape(line)) for line in _conclusions(matrix)]
    parts.append(_table(matrix))
    return "".join(parts)


def _folded(matrix: Matrix) -> bool:
    return "unbound-client" not in matrix.switches


def _words(matrix: Matrix, cell: RunCell) -> list[str]:
    stands = [word for word in settings(cell.faults, matrix.switches).values() if word]
    return [*stands, "yes" if cell.policy else "no", cell.run.counts.short]


def _heads(matrix: Matrix) -> list[str]:
    columns = [CHANGES[name].column.replace("_i", " i") for name in matrix.switches]
    return [*columns, "policy", "the 28 together"]


# --- the square: imports down, fixture and io_loop across ---------------------------------------------------


def _square(matrix: Matrix) -> str:
    by_faults = {cell.faults: cell for cell in matrix.cells if not cell.policy}
    across = _sides(("sync-fixture", "unbound-client"), matrix)
    heads = [Cell(_heading(side, matrix), f"{_BOX};font-weight:normal", head=True) for side in across]
    rows = [
        [Cell(_imports(side), _NAME, head=True), *(_box(by_faults.get(side | other)) for other in across)]
        for side in _sides(("static-app-imports", "static-test-imports"), matrix)
    ]
    caption = escape(
        f"Each box is a run of the 28 on the backend {matrix.backend}; "
        f"{len(matrix.cells)} runs in {matrix.seconds:.1f} s"
    )
    square = html_table([[head(""), *heads], *rows], gap=2)
    return paragraph(f"<b>{caption}</b>", "margin:6px 0") + square


def _sides(pair: tuple[str, str], matrix: Matrix) -> list[frozenset[str]]:
    first, second = (name if name in matrix.switches else None for name in pair)
    order = [(first, second), (first,), (second,), ()] if second else [(first,), ()]
    return [frozenset(name for name in names if name) for names in order]


def _heading(names: frozenset[str], matrix: Matrix) -> str:
    fixture = "sync fixture" if "sync-fixture" in names else "async fixture"
    if _folded(matrix):
        return fixture
    return f"{fixture}<br>{'no io_loop' if 'unbound-client' in names else 'io_loop'}"


def _imports(names: frozenset[str]) -> str:
    app = "static" if "static-app-imports" in names else "dynamic"
    tests = "static" if "static-test-imports" in names else "dynamic"
    return f"app <b>{app}</b>, tests <b>{tests}</b>"


def _box(cell: RunCell | None) -> Cell:
    if cell is None:
        return words("not run", f"{_BOX};border:1px dashed #8c959f")
    look = LOOKS[_worst(cell.run)]
    tip = "\n".join([cell.run.title, cell.run.summary(), *cell.run.error_lines])
    style = f"{_BOX};background-color:{look.background};color:{look.colour};font-weight:bold"
    return words(f"{look.symbol} {cell.run.counts.short}", style, tip)


def _worst(run: Run) -> str:
    return "passed" if run.green else "failed" if run.failed > run.errors else "error"


# --- what each change does, the others held -----------------------------------------------------------------


def _effects(matrix: Matrix) -> str:
    title = "Each change, with the others held: how many tests more pass"
    rows = [
        [head(CHANGES[effect.fault].name, _NAME), *(_gain(*pair) for pair in effect.pairs)]
        for effect in matrix.effects()
    ]
    return paragraph(f"<b>{title}</b>", "margin:10px 0 2px") + html_table(rows, gap=2)


def _gain(before: int, after: int) -> Cell:
    gain = after - before
    paint = "border:1px solid #8c959f"
    if gain:
        look = verdict(gain > 0)
        paint = f"background-color:{look.background};color:{look.colour};font-weight:bold"
    tip = f"{before} passed without it, {after} with it"
    return words(_signed(gain), f"{_BOX};min-width:3em;{paint}", tip)


def _signed(gain: int) -> str:
    return f"+{gain}" if gain > 0 else f"{_MINUS}{-gain}" if gain else "0"


# --- what follows -------------------------------------------------------------------------------------------


def _conclusions(matrix: Matrix) -> list[str]:
    lines = []
    if matrix.whole:
        lines = _fixes(matrix)
    lines += [_control(matrix, cell) for cell in matrix.cells if cell.policy]
    return [*lines, *([matrix.note] if matrix.note else [])]


def _fixes(matrix: Matrix) -> list[str]:
    found = matrix.fixes()
    if frozenset() in found:
        return ["Green with every fault in: there is nothing to fix here, and nothing to learn about a fix."]
    sums = (" + ".join(CHANGES[name].name for name in matrix.switches if name in made) for made in found)
    told = [f"The smallest set of changes that fixes it: {each}." for each in sums]
    needless = ", ".join(CHANGES[name].name for name in matrix.needless())
    return [
        *(told or ["No set of these changes fixes it."]),
        *([f"Not needed for a fix: {needless}."] if needless else []),
    ]


def _control(matrix: Matrix, cell: RunCell) -> str:
    state = "the incident" if cell.faults else "the fixed state"
    plain = matrix.run(*cell.faults)
    verb = "changes nothing" if plain.contract() == cell.run.contract() else "changes the result"
    return (
        f"Control: event_loop_policy added to {state} {verb}: "
        f"{plain.counts.short} without it, {cell.run.counts.short} with it."
    )


def _table(matrix: Matrix) -> str:
    rows = [[head(each) for each in [*_heads(matrix), "errors"]]]
    for cell in matrix.cells:
        values = [*_words(matrix, cell), "; ".join(cell.run.error_lines)]
        rows.append([words(value) for value in values])
    return unfolding(f"The {len(matrix.cells)} runs as a table", html_table(rows, striped=True))
