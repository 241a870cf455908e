"""The verbs of a notebook: put, mend, show and run, each in a line, each showing what it did.

`from tocdemo import lab` gives them. They work on the learner's workspace and display results; what they do
is done by `workspace`, `suite` and `processes`.
"""

import contextlib
import dataclasses
import importlib
import inspect
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from IPython.display import HTML, display

from tocdemo.experiments import coverage as _coverage
from tocdemo.experiments import kills, versions, ways
from tocdemo.experiments import matrix as _matrix
from tocdemo.experiments import neighbours as _neighbours
from tocdemo.explorer import engine
from tocdemo.runner import databases, grid, inline, suite, worker
from tocdemo.runner.result import Explanations, Guess, Run
from tocdemo.subject import faults as _faults
from tocdemo.subject import sources
from tocdemo.subject import workspace as _workspace


class NothingRaised(AssertionError):
    """An error that belongs to the lesson did not come."""


def workspace(
    state: str = "incident",
    *,
    without: Sequence[str] = (),
    faults: Sequence[str] | None = None,
    neighbours: bool = False,
) -> _workspace.Report:
    """Put the workspace into a state, and show which faults it has then.

    `state` is "incident", "mended" or "as-fixed"; `without` names faults to leave out of it; `faults` names
    them exactly, instead. With `neighbours` the 26 tests of the questions and the users are there, too. A
    file that you edited is kept in a backup first. Raises ValueError for a name that does not exist.
    """
    if faults is not None:
        return _workspace.put(faults, neighbours=neighbours)
    names = _faults.state(state)
    for name in without:
        if _faults.get(name).name not in names:
            raise ValueError(
                f"The state {state!r} has no fault {name!r}; it has {', '.join(names) or 'none'}"
            )
    title = f"{state} without {', '.join(without)}" if without else state
    kept = [name for name in names if name not in without]
    return _workspace.put(kept, title, neighbours=neighbours)


def folder() -> Path:
    """Return the workspace's folder."""
    return _workspace.folder()


def mend(fault: str) -> _workspace.Report:
    """Take a fault out of the workspace and show the change; your own edit that did so stays as it is."""
    return _workspace.mend(fault)


def diff(fault: str) -> _workspace.Report:
    """Show what mending a fault changes, from the faulty source to the mended one, without doing it."""
    found = _faults.get(fault)
    before, after = _faults.with_faults([fault]), sources.mended()
    shown = tuple(_faults.unified_diff(path, before[path], after[path]) for path in found.transforms)
    return _workspace.Report(f"Mending {fault!r}: {found.mend}", shown)


def run(
    target: str | Path | None = None,
    *,
    which: str = "toc",
    each: bool = False,
    only: str | None = None,
    without: str | None = None,
    times: int = 1,
    fixtures: Sequence[Any] = (),
    backend: str | None = None,
    timeout: float = 30.0,
    guess: Guess | None = None,
    new_process: bool = False,
) -> Run:
    """Run the workspace's 28 tests, or the pytest suite at the path `target`, in this notebook.

    `which` is "toc" (the 28), "neighbours" (the 26, when they are in the workspace) or "all" (the 54). `each`
    runs every test alone; `only` runs the tests of one name, `without` all but those; with `times` each comes
    so many times; `new_process` runs them in a fresh Python process. `fixtures` are fixtures that a cell
    defined, used in place of the suite's own. `backend` is "embedded", "replica-set", "pymongo", "mock" or a
    MongoDB URI. A test is stopped after `timeout` seconds.
    `guess` is what `lab.guess` gave: it is shown beside the result. Edits to files take effect at once.
    Raises CannotRun, with a sentence that says why, when there is nothing to run.
    """
    if target is None and not _workspace.folder().exists():
        raise inline.CannotRun("There is no workspace yet: run lab.workspace() first")
    folder = Path(target) if target is not None else _workspace.folder()
    arguments = [str(folder.resolve())] if target is not None else _neighbours.arguments_for(folder, which)
    options = {"fixtures": fixtures, "backend": backend, "timeout": timeout}
    if each and times != 1:
        raise inline.CannotRun("Give `each` or `times`, not both")
    if each:
        with _progress_bar() as bar:
            result = suite.run_each(folder, arguments, on_progress=bar, **options)
    else:
        chosen = {"only": only, "without": without, "times": times, "new_process": new_process}
        result = suite.run(folder, arguments, **chosen, **options)
    result = dataclasses.replace(result, guess=guess)
    _last_run[:] = [result]
    return result


# Like IPython's own `_`: the value of the last run, for `explain`.
_last_run: list[Run] = []


def explain() -> Explanations:
    """Explain the cross-loop failures of the last run. Raises ValueError when there is none, or no record."""
    if not _last_run:
        raise ValueError("Nothing has run yet in this notebook: run lab.run() first")
    return _last_run[0].explain()


def matrix(backend: str | None = None) -> _matrix.Matrix:
    """Run the 28 in every combination of the four loop faults, and show which change cures.

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
    if folder is None and not _workspace.folder().exists():
        raise inline.CannotRun("There is no workspace yet: run lab.workspace() first")
    where = Path(folder) if folder is not None else _workspace.folder()
    options = {"driver": driver, "replica_set": replica_set, "attempts": attempts, "processes": processes}
    if schedule is not None:
        return engine.replay(where, operations, schedule, **options)
    return engine.explore(where, operations, **options)


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
    folder = _workspace.folder()
    if not folder.exists():
        raise inline.CannotRun("There is no workspace yet: run lab.workspace() first")
    for path in also:
        if not (folder / path).is_file():
            raise ValueError(f"There is no test file {path!r} in {folder}")
    arguments = [*_neighbours.arguments_for(folder, which), *(str(folder / path) for path in also)]
    return _coverage.measure(folder, module, arguments, backend=backend, timeout=timeout)


def five_ways() -> ways.Ways:
    """Measure five ways to change a book while others do, on a standalone and on a replica set."""
    return ways.measure()


def kill_between_writes(backend: str) -> kills.Aftermath:
    """Kill a process that runs the workspace's backend between two writes, and say what it left.

    `backend` is what `lab.run` takes.
    """
    if not _workspace.folder().exists():
        raise inline.CannotRun("There is no workspace yet: run lab.workspace() first")
    return kills.kill_between_writes(_workspace.folder(), backend)


def recorded_versions() -> versions.Versions:
    """Show the record of other versions. `python -m tocdemo matrix --versions` measures it again."""
    return versions.recorded()


@contextlib.contextmanager
def _progress_bar() -> Iterator[Any]:
    """Show a bar that follows the run and goes away when it ends."""
    handle = display(HTML(""), display_id=True)

    def show(done: int, total: int, left: float) -> None:
        if handle is not None:
            label = f"{done} of {total}, about {left:.0f} s left" if done else f"0 of {total}"
            handle.update(HTML(f"<progress value='{done}' max='{total}'></progress> {label}"))

    try:
        yield show
    finally:
        if handle is not None:
            handle.update(HTML(""))


def guess(passed: int, failed: int = 0, errors: int = 0) -> Guess:
    """Note what you expect of the next run: how many tests pass, fail, and have an error in a fixture."""
    numbers = (passed, failed, errors)
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise ValueError(
            f"Expected numbers of tests, such as lab.guess(passed=28, failed=0); found {numbers}"
        )
    return Guess(*numbers)


@dataclass(frozen=True)
class ExpectedError:
    """An error that belongs to the lesson."""

    type: str
    message: str

    def __str__(self) -> str:
        return f"Expected error: {self.type}: {self.message}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {
            "text/plain": str(self),
            "application/vnd.tocdemo.expected+json": {"type": self.type, "message": self.message},
        }


@contextlib.contextmanager
def expected(kind: type[BaseException], match: str = "") -> Iterator[None]:
    """Show an error of this type, whose message holds `match`, and go on.

    Raises NothingRaised when no error comes; an error of another kind goes through.
    """
    try:
        yield
    except kind as error:
        if match not in str(error):
            raise
        display(ExpectedError(type(error).__name__, str(error)))
        return
    raise NothingRaised(f"Expected {kind.__name__} with {match!r} in its message, but nothing was raised")


def script(code: str, expect: str | None = None) -> worker.Script:
    """Run Python code in a process of its own, and show what it printed; `expect` is its expected error."""
    return worker.script(inspect.cleandoc(code), expect)


@contextlib.contextmanager
def database() -> Iterator[databases.Database]:
    """Give a fresh database (`.uri`, `.name`) on the embedded server, and drop it in the end."""
    with databases.open_database(databases.chosen_backend()) as own:
        yield own


@dataclass(frozen=True)
class Listing:
    """A piece of source: where it comes from, and its lines with their numbers."""

    title: str
    first: int
    lines: tuple[str, ...]

    def __str__(self) -> str:
        width = len(str(self.first + len(self.lines)))
        body = (f"{number:>{width}}  {line}" for number, line in enumerate(self.lines, self.first))
        return "\n".join([self.title, *(line.rstrip() for line in body)])

    def _repr_html_(self) -> str:
        return grid.preformatted(str(self))


def show(path: str, name: str | None = None) -> Listing:
    """Show a file of the workspace, or the function `name` in it.

    Raises ValueError when the file is not there, or has no such function.
    """
    file = _workspace.folder() / path
    if not file.is_file():
        raise ValueError(f"There is no {path} in {_workspace.folder()}")
    lines = file.read_text(encoding="utf-8").splitlines()
    if name is None:
        return Listing(path, 1, tuple(lines))
    first, last = _function_lines("\n".join(lines), name, path)
    return Listing(f"{path}, {name}", first, tuple(lines[first - 1 : last]))


def _function_lines(text: str, name: str, path: str) -> tuple[int, int]:
    import ast

    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            return min([node.lineno, *(each.lineno for each in node.decorator_list)]), node.end_lineno
    raise ValueError(f"There is no function {name!r} in {path}")


def source(where: str) -> Listing:
    """Show the installed source of an object, such as "motor.core:AgnosticClient.get_io_loop".

    The title says which version is installed. Raises ValueError when there is no such object.
    """
    module_name, _, path = where.partition(":")
    try:
        thing: Any = importlib.import_module(module_name)
        for part in path.split("."):
            thing = inspect.getattr_static(thing, part) if path else thing
    except (ImportError, AttributeError) as error:
        raise ValueError(f"There is no {where!r}: {error}") from error
    thing = thing.fget if isinstance(thing, property) else thing
    lines, first = inspect.getsourcelines(thing)
    package = module_name.partition(".")[0]
    installed = ", ".join(
        f"{name} {version(name)}" for name in dict.fromkeys(packages_distributions().get(package, []))
    )
    file = Path(inspect.getsourcefile(thing))
    _, inside, rest = file.as_posix().rpartition(f"/{package}/")
    place = f"{package}/{rest}, line {first}" if inside else f"{file.name}, line {first}"
    title = f"{installed}: {place}" if installed else place
    return Listing(title, first, tuple(line.rstrip("\n") for line in lines))


def load_ipython_extension(shell: Any) -> None:
    """Register the cell magic `%%workspace PATH`, which writes the cell's text to a file of the workspace."""

    def write_cell(line: str, cell: str) -> None:
        if not line.strip():
            raise _workspace.BadPath(f"Expected a path after %%workspace, such as {sources.CONFTEST}")
        try:
            display(_workspace.write(line.strip(), cell))
        except SyntaxError as error:
            print(
                f"Nothing was written: line {error.lineno} is not Python ({error.msg}): {error.text}",
                file=sys.stderr,
            )

    shell.register_magic_function(write_cell, "cell", "workspace")
