"""The cell magic `%%tests`, and the function that runs tests which are in the notebook already.

It tells the engine (`runner.cells`) what a cell is called and what its options mean, and shows errors as a
notebook shows those of any cell. How tests are collected and run it must not know.
"""

import argparse
import contextlib
import dataclasses
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from traceback import extract_tb
from typing import Any, NoReturn

from IPython import get_ipython

from tocdemo.errors import CannotRun
from tocdemo.experiments import coverage as _coverage
from tocdemo.runner import cells
from tocdemo.runner.cells import Cell, defined_twice, in_cells
from tocdemo.runner.result import Run

from .notebook import NOTEBOOK

ABOUT = """\
Run the tests of this cell, and no others. Sync and async tests work, with or without
@pytest.mark.asyncio; so do test classes, unittest's too, parametrized tests, marks, and the
fixtures of this notebook, of whichever cell. The cell's names are in the notebook afterwards,
as those of any cell. Each async test has an event loop of its own."""
EXAMPLES = """\
With --in, the tests run as if they lay in that folder: its conftest and its pytest.ini hold,
`app` is the one there, and modules are imported afresh. Nothing is written there. An async test
runs without a mark there, too; an async fixture needs what the folder's pytest.ini says.

Examples:
  %%tests
  %%tests -k "rename and not slow" --timeout 5
  %%tests --in workspace --coverage app/db/toc_transactions.py"""


@dataclass(frozen=True)
class CoveredRun(cells.CellRun):
    """A run of cells' tests that shows, below the rest, which lines of a module it reached."""

    coverage: _coverage.Coverage = field(kw_only=True)

    def __str__(self) -> str:
        return f"{super().__str__()}\n\n{self.coverage}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(include, exclude)
        return bundle | {"text/html": bundle["text/html"] + self.coverage._repr_html_()}


def run_functions(
    *tests: Any, folder: str | Path | None = None, backend: str | None = None, timeout: float = 30.0
) -> cells.CellRun:
    """Run test functions and test classes that cells of this notebook have defined, whatever their names.

    Those of a cell `%%tests --in PATH` run in that folder again, on fresh modules; `folder` names another.
    `backend` is "embedded", "replica-set", "pymongo", "mock" or a MongoDB URI. A test is stopped after
    `timeout` seconds. Raises CannotRun, with a sentence that says why, for what is no test of a cell.
    """
    shell = get_ipython()
    namespace = shell.user_ns if shell else getattr(tests[0], "__globals__", {}) if tests else {}
    options = cells.CellOptions(
        folder=None if folder is None else _found(str(folder)),
        backend=backend,
        timeout=timeout,
        label=_label(shell),
    )
    try:
        NOTEBOOK.last_run = done = cells.run_functions(tests, namespace, options)
    finally:
        _let_ipython_know(shell)
    return done


def load_ipython_extension(shell: Any) -> None:
    """Register the magic `%%tests`."""

    def tests(line: str, cell: str | None = None) -> Run | None:
        try:
            return _run_cell(shell, line, cell)
        except BaseException as error:
            _raise_shown(shell, error)

    tests.__doc__ = _parser().format_help()
    shell.register_magic_function(tests, "line_cell", "tests")


# --- what the first line says ------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """A parser that answers with a sentence, and does not end the process."""

    def error(self, message: str) -> NoReturn:
        raise CannotRun(f"%%tests cannot be read: {message}. `%tests --help` lists its options")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="%%tests",
        description=ABOUT,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument(
        "--in", dest="folder", metavar="PATH", help="run them beside the suite in this folder"
    )
    parser.add_argument(
        "-k", dest="keyword", metavar="EXPR", default="", help="only the tests that fit, as in pytest"
    )
    parser.add_argument("--coverage", metavar="MODULE", help="show which lines of this module they reach")
    parser.add_argument(
        "--timeout", metavar="S", type=_seconds, default=30.0, help="stop a test after S seconds (30)"
    )
    parser.add_argument(
        "--backend",
        metavar="NAME",
        help="with a database: embedded, replica-set, pymongo, mock or a MongoDB URI",
    )
    parser.add_argument("--help", action="store_true", help="show this, and run nothing")
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError(text)
    return seconds


_seconds.__name__ = "number of seconds"  # what argparse calls it in its message


def _options(line: str) -> argparse.Namespace:
    """Return what the magic's line says. Raises CannotRun for a line that cannot be read."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise CannotRun(f"%%tests cannot be read: {error} in {line!r}") from error
    options, unknown = _parser().parse_known_args(words)
    if unknown and not unknown[0].startswith("-"):
        raise CannotRun(
            f"%%tests cannot be read from {unknown[0]!r} on: put quotes around a path or an expression of "
            f'several words, as in -k "add and not slow"'
        )
    if unknown:
        raise CannotRun(
            f"%%tests has no option {unknown[0]!r}; it has --in, -k, --coverage, --timeout, --backend and "
            f"--help. Of pytest's own options only -k is there: the grid shows each test, its traceback, and "
            f"what it printed"
        )
    return options


def _found(path: str) -> Path:
    """Return the path as seen from the notebook's folder, or from the one in which the workspace is."""
    here = Path(path).expanduser()
    beside_workspace = NOTEBOOK.workspace.folder.parent.parent / here
    return beside_workspace if not here.exists() and beside_workspace.exists() else here


# --- the run -----------------------------------------------------------------------------------------------


def _run_cell(shell: Any, line: str, cell: str | None) -> Run | None:
    given = _options(line)
    if given.help:
        print(_parser().format_help())
        return None
    if cell is None:
        raise CannotRun("Write %%tests, with two %, into the first line of a cell, and the tests below it")
    options = cells.CellOptions(
        folder=None if given.folder is None else _found(given.folder),
        keyword=given.keyword,
        backend=given.backend,
        timeout=given.timeout,
        label=_label(shell),
    )
    source = Cell(_text(shell, line, cell), len(shell.history_manager.input_hist_raw) - 1)

    def run(plugins: tuple[Any, ...] = ()) -> cells.CellRun:
        return cells.run_cell(source, shell.user_ns, dataclasses.replace(options, plugins=plugins))

    try:
        done = run() if given.coverage is None else _covered(given.coverage, options.folder, run)
    finally:
        _let_ipython_know(shell)
    _warn_of_twins(source)
    NOTEBOOK.last_run = done
    return done


def _text(shell: Any, line: str, cell: str) -> str:
    """Return the cell as Python, each line where the cell has it: its first lines become comments."""
    whole = shell.history_manager.input_hist_raw[-1].rstrip()
    body = cell.rstrip()
    head = whole[: -len(body)] if body and whole.endswith(body) else f"%%tests {line}\n"
    comments = "".join(f"# {each}\n" for each in head.splitlines())
    return shell.transform_cell(f"{comments}{cell}")


def _covered(module: str, folder: Path | None, run: Callable[[tuple[Any, ...]], cells.CellRun]) -> CoveredRun:
    """Measure what a run reaches of a module, given as a path or as Python imports it."""
    path = module if module.endswith(".py") else f"{module.replace('.', '/')}.py"
    start = (folder or Path()).resolve()
    base = next((each for each in (start, *start.parents) if (each / path).is_file()), None)
    if base is None:
        raise CannotRun(
            f"There is no module {path} in {start}: --coverage takes a path such as app/db/base.py"
        )
    for name, loaded in list(sys.modules.items()):  # so that the run imports it: its lines are reached anew
        if getattr(loaded, "__file__", None) == str(base / path):
            del sys.modules[name]
    found = _coverage.of_run(base, path, run)
    fields = {each.name: getattr(found.run, each.name) for each in dataclasses.fields(found.run)}
    return CoveredRun(**fields, coverage=found)


def _warn_of_twins(source: Cell) -> None:
    for name, lines in defined_twice(source.text).items():
        where = " and ".join(map(str, lines))
        print(f"{name} is defined in lines {where}: only the last one ran.", file=sys.stderr)


# --- what a notebook shows ---------------------------------------------------------------------------------


def _label(shell: Any) -> Callable[[str], str | None]:
    """Return a function that gives what IPython calls the plain cell of a file name, such as "Cell In[4]"."""

    def label(file: str) -> str | None:
        name = shell.compile.format_code_name(file) if shell else None
        return " ".join(name) if name else None

    return label


def _let_ipython_know(shell: Any) -> None:
    """Let IPython's own tracebacks call the cells of tests what they are called."""
    # IPython 9 has no public way to name a cell that it did not compile itself.
    known = getattr(getattr(shell, "compile", None), "_filename_map", {})
    for file, name in in_cells(lambda file: None).items():
        known[file] = int(re.findall(r"\d+", name)[0])
    names = getattr(shell, "user_ns", {})
    helpers = {name: names[name] for name in names if name.startswith("@")}  # what rewritten assertions use
    getattr(shell, "user_ns_hidden", {}).update(helpers)  # they are not the learner's, so `%who` hides them


def _raise_shown(shell: Any, error: BaseException) -> NoReturn:
    """Raise the error so that it is shown as a cell's own: a sentence, or a traceback from the cell on."""
    if isinstance(error, SyntaxError):
        # IPython would show where this error was raised, and not only where the code is wrong.
        steps = extract_tb(cells.inside(error.__traceback__))
        own = [step for step in steps if not step.filename.startswith("<frozen importlib")]
        lines = shell.SyntaxTB.structured_traceback(type(error), error, own)
        raise _shown_as(lines, CannotRun(f"Nothing was run: {error}")) from None
    if isinstance(error, CannotRun):
        raise _shown_as([f"{type(error).__name__}: {error}"], error)
    traceback = cells.inside(error.__traceback__)
    if traceback is not None:
        raise _shown_as(shell.InteractiveTB.structured_traceback(type(error), error, traceback), error)
    if isinstance(error, KeyboardInterrupt):
        raise _shown_as(["KeyboardInterrupt"], error)
    raise error


def _shown_as(lines: list[str], error: BaseException) -> BaseException:
    shown: Any = error
    with contextlib.suppress(AttributeError):  # an error that takes no attribute is shown in full
        shown._render_traceback_ = lambda: lines
    return error
