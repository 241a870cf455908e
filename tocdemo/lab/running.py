"""The verbs that run tests and measure: each gives a value that shows itself.

They work on the learner's workspace, or on throw-away copies; they never change a file of it.
"""

import contextlib
import dataclasses
import functools
import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from IPython.display import HTML, display

from tocdemo.errors import BadInput, CannotRun
from tocdemo.experiments import coverage as _coverage
from tocdemo.experiments import kills, versions, ways
from tocdemo.experiments import matrix as _matrix
from tocdemo.experiments import neighbours as _neighbours
from tocdemo.explorer import engine
from tocdemo.runner import databases, suite, worker
from tocdemo.runner.elsewhere import interpreters
from tocdemo.runner.options import RunOptions
from tocdemo.runner.progress import silent
from tocdemo.runner.result import Counts, Explanations, Run
from tocdemo.subject import sources

from .notebook import NOTEBOOK
from .testing import run_functions


def run(
    *what: Any,
    which: str = "toc",
    each: bool = False,
    only: str | None = None,
    without: str | None = None,
    times: int = 1,
    fixtures: Sequence[Any] = (),
    backend: str | None = None,
    timeout: float = 30.0,
    guess: Counts | None = None,
    new_process: bool = False,
    python: str | Path | None = None,
) -> Run:
    """Run the workspace's 28 tests in this notebook, or the pytest suite at a path, or tests of its cells.

    `lab.run()` runs the workspace, `lab.run("path/to/a/suite")` the suite there, and `lab.run(test_one,
    test_two)` test functions and test classes that cells have defined, whatever their names; of the options
    these take `backend`, `timeout` and `guess`.
    `which` is "toc" (the 28), "neighbours" (the 26, when they are in the workspace) or "all" (the 54). `each`
    runs every test alone; `only` runs the tests of one name, `without` all but those; with `times` each comes
    so many times; `new_process` runs them in a fresh Python process. `fixtures` are fixtures that a cell
    defined, used in place of the suite's own. `backend` is "embedded", "replica-set", "pymongo", "mock" or a
    MongoDB URI. A test is stopped after `timeout` seconds.
    `guess` is what `lab.guess` gave: it is shown beside the result. Edits to files take effect at once.

    The suite at a path that has a virtual environment of its own (`.venv`, `venv`, `env`, or Poetry's) runs
    in that one's Python, with its packages and plugins; `python` names another: an interpreter, or the folder
    of an environment.
    Raises CannotRun, with a sentence that says why, when there is nothing to run.
    """
    options = RunOptions(
        each=each,
        only=only,
        without=without,
        times=times,
        new_process=new_process,
        fixtures=tuple(fixtures),
        backend=backend,
        timeout=timeout,
        python=None if python is None else str(python),
    )
    paths = [each for each in what if isinstance(each, str | Path)]
    if len(paths) < len(what):
        result = _run_functions(what, options, which)
    else:
        result = _run_suite(paths, options, which)
    NOTEBOOK.last_run = dataclasses.replace(result, guess=guess)
    return NOTEBOOK.last_run


def _run_suite(paths: Sequence[str | Path], options: RunOptions, which: str) -> Run:
    """Run the suite at the path that is given; without one, the workspace's."""
    if len(paths) > 1:
        raise BadInput(f"Expected one path, found {len(paths)}: run them one after the other")
    folder = Path(paths[0]).expanduser() if paths else _folder()
    options = dataclasses.replace(options, own_settings=bool(paths), python=_python(paths, options))
    arguments = [str(folder.resolve())] if paths else suite.arguments_for(folder, which)
    with _progress_bar() if options.each else contextlib.nullcontext(silent) as bar:
        return suite.run(folder, arguments, options, on_progress=bar)


def _python(paths: Sequence[str | Path], options: RunOptions) -> str | None:
    """Return the Python that is named, or that of the environment that the suite at a path has of its own."""
    if options.python is not None or not paths or options.new_process:
        return options.python
    found = interpreters.find(Path(paths[0]).expanduser())
    return None if found is None else str(found)


def _run_functions(tests: Sequence[Any], options: RunOptions, which: str) -> Run:
    """Run tests of cells. Raises BadInput for an option that says something of a suite."""
    heeded = RunOptions(backend=options.backend, timeout=options.timeout)
    names = (each.name for each in dataclasses.fields(RunOptions))
    further = [name for name in names if getattr(options, name) != getattr(heeded, name)]
    if further or which != "toc":
        raise BadInput(
            f"lab.run(test_one, …) runs the tests that are given, in this notebook: leave "
            f"`{further[0] if further else 'which'}` out"
        )
    return run_functions(*tests, backend=options.backend, timeout=options.timeout)


def _folder() -> Path:
    """Return the workspace's folder. Raises CannotRun when it is not there."""
    if not NOTEBOOK.workspace.exists():
        raise CannotRun("There is no workspace yet: run the lesson's first cell, or lab.workspace()")
    return NOTEBOOK.workspace.folder


def explain() -> Explanations:
    """Explain the cross-loop failures of the last run. Raises ValueError when there is none, or no record."""
    if NOTEBOOK.last_run is None:
        raise BadInput("Nothing has run yet in this notebook: run lab.run() first")
    return NOTEBOOK.last_run.explain()


def matrix(backend: str | None = None) -> _matrix.Matrix:
    """Run the 28 in every combination of the four loop faults, and show which change fixes it.

    The runs are of throw-away copies: the workspace stays as it is. `backend` is what `lab.run` takes.
    Interrupt it (Kernel > Interrupt), and what was measured until then is shown.
    """
    with _progress_bar() as bar:
        return _matrix.measure(backend, on_progress=bar)


def combination(*names: str, backend: str | None = None) -> Run:
    """Run the 28 in a throw-away copy with exactly these faults, and show the grid.

    The incident's `swallowing-probe` is in as well, as in `lab.matrix`. Raises ValueError for a name that
    does not exist.
    """
    return _matrix.combination([*_matrix.HELD, *names], backend)


def interleavings(
    *operations: engine.Operation,
    driver: str = "motor",
    replica_set: bool = False,
    attempts: int | None = None,
    processes: bool = False,
    schedule: str | None = None,
    folder: str | Path | None = None,
) -> engine.Orders:
    """Run two to four operations of the workspace's backend under every order of their database commands.

    `tocdemo.explorer.engine` makes operations (`add`, `rename`, `replace_toc`); any function of the module
    `toc_transactions` and a book's id will do that gives something to await. `driver`, `replica_set`,
    `attempts` and `processes` are those of `engine.explore`. With `schedule`, such as "ABAB", that one
    order is run again. `folder` names another copy of the backend. Raises engine.CannotExplore, with a
    sentence that says why.
    """
    where = Path(folder) if folder is not None else _folder()
    if schedule is None:
        do = functools.partial(engine.explore, where, operations)
    else:
        do = functools.partial(engine.replay, where, operations, schedule)
    return do(driver=driver, replica_set=replica_set, attempts=attempts, processes=processes)


def panel() -> Any:
    """Show a switch for each of the report's changes, and the grid of 28 that follows at once.

    It needs ipywidgets; `lab.combination` does the same by a call.
    """
    from .switches import Panel

    return Panel()


def neighbours(backend: str | None = None) -> _neighbours.Effects:
    """Run the neighbours in throw-away copies, with each fault alone and with all of the incident."""
    with _progress_bar() as bar:
        return _neighbours.measure(backend, on_progress=bar)


def coverage(
    module: str = sources.APP,
    *,
    which: str = "toc",
    also: Sequence[str] = (),
    backend: str | None = None,
    timeout: float = 30.0,
) -> _coverage.Coverage:
    """Run the workspace's tests, and show which lines of one of its modules they reach.

    `module` is a path in the workspace; `which`, `backend` and `timeout` are those of `lab.run`. `also` names
    further test files of the workspace. Raises ValueError for a module or a test file that is not there, and
    CannotRun when the tests cannot run to their end.
    """
    folder = _folder()
    for path in also:
        if not (folder / path).is_file():
            raise BadInput(f"There is no test file {path!r} in {folder}")
    arguments = [*suite.arguments_for(folder, which), *(str(folder / path) for path in also)]
    return _coverage.measure(folder, module, arguments, backend=backend, timeout=timeout)


def five_ways() -> ways.Ways:
    """Measure five ways to change a book while others do, on a standalone and on a replica set."""
    return ways.measure()


def kill_between_writes(backend: str) -> kills.Aftermath:
    """Kill a process that runs the workspace's backend between two writes, and say what it left.

    `backend` is what `lab.run` takes.
    """
    return kills.kill_between_writes(_folder(), backend)


def recorded_versions() -> versions.Versions:
    """Show the record of other versions. `python -m tocdemo matrix --versions` measures it again."""
    return versions.recorded()


@contextlib.contextmanager
def _progress_bar() -> Iterator[Any]:
    """Show a bar that follows the run and goes away when it ends."""
    handle = display(HTML("<progress></progress> It begins …"), display_id=True)

    def show(done: int, total: int, left: float) -> None:
        if handle is not None:
            label = f"{done} of {total}, about {left:.0f} s left" if done else f"0 of {total}"
            handle.update(HTML(f"<progress value='{done}' max='{total}'></progress> {label}"))

    try:
        yield show
    finally:
        if handle is not None:
            handle.update(HTML(""))


def guess(
    words: str = "", *, passed: int | None = None, failed: int | None = None, errors: int | None = None
) -> Counts | None:
    """Note what you expect: in words, or how many tests pass, fail, and have an error in a fixture.

    `lab.run(guess=...)` shows the numbers beside the result. Without anything there is no prediction, which
    stops nothing. Raises BadInput for what is no number of tests, and for a number that has no name.
    """
    numbers = (passed, failed, errors)
    if not isinstance(words, str):
        raise BadInput(f"Expected words, or named numbers, such as lab.guess(passed=27); found {words!r}")
    if any(number is not None and (type(number) is not int or number < 0) for number in numbers):
        raise BadInput(f"Expected numbers of tests, such as lab.guess(passed=27, failed=1); found {numbers}")
    counted = any(number is not None for number in numbers)
    if words or not counted:
        print(f"Your prediction: {words}" if words else "No prediction this time.")
    return Counts(passed or 0, failed or 0, errors or 0) if counted else None


def script(code: str, expect: str | None = None, may_fail: bool = False) -> worker.Script:
    """Run Python code in a process of its own, and show what it printed; `expect` is its expected error.

    With `may_fail` it may end as it will: for a cell that is not to say the result before it is run.
    """
    return worker.script(inspect.cleandoc(code), expect, may_fail)


@contextlib.contextmanager
def database() -> Iterator[databases.Database]:
    """Give a fresh database (`.uri`, `.name`) on the embedded server, and drop it in the end."""
    with databases.open_database(databases.chosen_backend()) as own:
        yield own
