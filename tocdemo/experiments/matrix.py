"""The matrix: the suite in all combinations of the four loop faults, to see which change cures.

`lab.matrix()` and the command line's `matrix` call it. Each cell is a Run of a throw-away copy of the
backend, on fresh modules and a fresh database. What is read from the cells (effects, cures) is computed here;
how it looks is for `matrix_picture`.
"""

import functools
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tocdemo.runner import databases, pool, suite
from tocdemo.runner.result import Run
from tocdemo.subject import faults, sources

from . import matrix_picture

SWITCHES = ("static-app-imports", "static-test-imports", "sync-fixture", "unbound-client")
# The incident's other fault stays in for every cell, so that the cell with all four switches is the incident.
HELD = ("swallowing-probe",)
# The driver that has `io_loop`. On the others there is nothing to pass, so the switch folds away.
NO_IO_LOOP = {"pymongo": "PyMongo's AsyncMongoClient", "mock": "mongomock-motor"}

POLICY = '''

@pytest.fixture(scope="session")
def event_loop_policy():
    """The report's fourth change: one policy for the whole session."""
    import asyncio

    return asyncio.DefaultEventLoopPolicy()
'''


@dataclass(frozen=True)
class Cell:
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
        """How many tests more pass when the fault is mended, for each state of the other switches."""
        return [without - with_it for with_it, without in self.pairs]


@dataclass(frozen=True)
class Matrix:
    """All cells that were measured. In a notebook it shows itself as a picture and a table.

    `switches` are the faults that were varied, `note` says what was left out and why (or is empty).
    """

    cells: tuple[Cell, ...]
    switches: tuple[str, ...]
    backend: str
    seconds: float
    note: str = ""

    @property
    def whole(self) -> bool:
        """Whether every combination was measured: only then is it said what cures."""
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

    def cures(self) -> tuple[frozenset[str], ...]:
        """Return the smallest sets of mends that turn the incident green: no part of one does so alone.

        Empty when nothing cures. Raises ValueError when cells are missing.
        """
        if not self.whole:
            raise ValueError("The matrix is not whole, so what cures cannot be said: run it to its end")
        everything = frozenset(self.switches)
        green = [everything - cell.faults for cell in self._plain() if cell.run.green]
        return tuple(mends for mends in green if not any(other < mends for other in green))

    def needless(self) -> tuple[str, ...]:
        """Return the changes that no smallest cure contains. Raises ValueError when cells are missing."""
        needed = frozenset().union(*self.cures())
        return tuple(name for name in self.switches if name not in needed)

    def to_json(self) -> dict[str, Any]:
        """Return the matrix as plain data."""
        data = {
            "backend": self.backend,
            "seconds": round(self.seconds, 2),
            "note": self.note,
            "rows": [
                matrix_picture.settings(cell.faults, self.switches)
                | {"policy": cell.policy, "run": cell.run.contract()}
                for cell in self.cells
            ],
            "effects": {effect.fault: effect.gains for effect in self.effects()},
        }
        if self.whole:
            data["cures"] = [sorted(mends) for mends in self.cures()]
            data["cure_nothing"] = list(self.needless())
        return data

    def _plain(self) -> list[Cell]:
        return [cell for cell in self.cells if not cell.policy]

    def __str__(self) -> str:
        return matrix_picture.text(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {
            "text/plain": str(self),
            "text/html": matrix_picture.html(self),
            "application/vnd.tocdemo.matrix+json": self.to_json(),
        }


def measure(
    backend: str | None = None, *, on_progress: pool.Progress = lambda done, total, left: None
) -> Matrix:
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
    cells = tuple(Cell(*plan[place], run) for place, run in measured.runs.items())
    note = f"{note} {measured.note}".strip()
    return Matrix(cells, switches, _without_password(backend), measured.seconds, note)


def combination(
    names: Iterable[str],
    backend: str | None = None,
    *,
    policy: bool = False,
    run: Callable[..., Run] = suite.run,
) -> Run:
    """Run the 28 in a throw-away copy with exactly these faults. Raises ValueError for the name of none.

    `policy` adds the report's `event_loop_policy` fixture. `run` is called with the copy's folder, pytest's
    arguments, `backend` and `title`.
    """
    names = sorted(names)
    files = faults.with_faults(names)
    if policy:
        files[sources.CONFTEST] += POLICY
    with sources.copied(files) as copy:
        shown = [name for name in names if name not in HELD]
        title = ", ".join([*shown, *(["event_loop_policy"] if policy else [])]) or "no loop fault"
        return run(copy, suite.arguments_for(copy), backend=backend, title=title)


def _plan(switches: tuple[str, ...]) -> list[tuple[frozenset[str], bool]]:
    """Return the combinations from the incident to the mended state, then the two controls."""
    chosen = itertools.product((True, False), repeat=len(switches))
    plan = [(frozenset(itertools.compress(switches, put_in)), False) for put_in in chosen]
    return [*plan, (frozenset(switches), True), (frozenset(), True)]


def _without_password(backend: str) -> str:
    scheme, mark, rest = backend.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}" if mark else backend
