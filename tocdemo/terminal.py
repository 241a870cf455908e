"""What the command line's `run` and `workspace` do: a run on a throw-away copy, and the learner's folder.

Called by `tocdemo.cli`. It knows the terminal, and nothing of notebooks.
"""

import json
import sys
from collections.abc import Sequence

from tocdemo.experiments import matrix, versions
from tocdemo.runner import suite
from tocdemo.runner.options import RunOptions
from tocdemo.runner.progress import silent
from tocdemo.runner.result import Counts, Run
from tocdemo.subject import faults, sources
from tocdemo.subject import workspace as _workspace


def run_copy(
    state: str,
    further: Sequence[str] = (),
    *,
    each: bool = False,
    backend: str | None = None,
    quiet: bool = False,
) -> Run:
    """Run the 28 in a throw-away copy of the backend that has the state's faults and `further` ones.

    Raises ValueError for the name of no state or fault, CannotRun when there is no database.
    """
    names = dict.fromkeys([*faults.state(state), *further])
    with sources.copied(faults.with_faults(names)) as copy:
        options = RunOptions(each=each, backend=backend)
        return suite.run(copy, suite.arguments_for(copy), options, on_progress=silent if quiet else _progress)


def measure_matrix(backend: str | None = None, *, quiet: bool = False) -> matrix.Matrix:
    """Measure the matrix, with progress on a terminal. Raises CannotRun when there is no such database."""
    return matrix.measure(backend, on_progress=silent if quiet else _progress)


def measure_versions(*, quiet: bool = False) -> versions.Versions:
    """Measure the other versions, with progress on a terminal, and write the data file of the package.

    The file stays as it was when a pair could not be measured. Raises CannotBuild without uv.
    """
    measured = versions.measure(silent if quiet else _progress)
    if not any(pair.why for pair in measured.pairs):
        versions.record(measured)
    return measured


def matrix_as_json(measured: matrix.Matrix | versions.Versions) -> str:
    """Return the matrix, or what was measured of other versions, as one JSON object."""
    return json.dumps(measured.to_json(), indent=2)


def _progress(done: int, total: int, left: float) -> None:
    if sys.stderr.isatty():
        end = "\r" if done < total else "\r\033[K"
        print(f"{done} of {total}, about {left:.0f} s left \033[K", end=end, file=sys.stderr, flush=True)


def as_expected(run: Run, counts: Counts | None) -> bool:
    """Return whether the run has these counts; without counts, whether all passed."""
    return run.green if counts is None else not run.note and run.counts == counts


def as_json(run: Run) -> str:
    """Return the run as one JSON object."""
    return json.dumps(run.to_json(), indent=2)


def as_text(run: Run) -> str:
    """Return the run as lines for a terminal: every test, then the symbols and the counts."""
    width = max(len(result.name) for result in run.results)
    lines = [
        f"{number:3}  {result.name:{width}}  {result.outcome:7} {result.error}".rstrip()
        for number, result in enumerate(run.results, 1)
    ]
    return "\n".join([*lines, str(run)])


def workspace(state: str | None, *, reset: bool) -> str:
    """Put the workspace into a state, or say in which one it is. Returns what to print.

    A workspace that is there is changed only when a state is named or with `reset`. Raises ValueError for the
    name of no state.
    """
    if state is not None or reset or not _workspace.folder().exists():
        name = state or "incident"
        return str(_workspace.put(faults.state(name), name))
    lines = [f"{_workspace.folder()}"]
    for path, found in _workspace.state().items():
        what = "edited, in no known state" if found is None else ", ".join(sorted(found)) or "no faults"
        lines.append(f"  {path}: {what}")
    lines.append(
        "Put it back with --reset, or into a state with --state; what you edited is backed up first."
    )
    return "\n".join(lines)
