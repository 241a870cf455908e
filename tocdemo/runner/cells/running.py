"""Run the tests of notebook cells: those of a cell's text, or test functions that are there already.

A cell's tests run as if they lay in a folder, by an inline run like any other: on fresh modules, in a thread
of their own, each on its own event loop. It knows the text of cells, a namespace and pytest; it must not know
who keeps cells (IPython): what a plain cell's file name means is told by the caller.
"""

import asyncio
import atexit
import dataclasses
import inspect
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from pathlib import Path
from types import TracebackType
from typing import Any

from _pytest.fixtures import getfixturemarker

from tocdemo.display.code import preformatted
from tocdemo.display.tables import paragraph, unfolding
from tocdemo.errors import CannotRun

from .. import inline
from ..result import Run, TestResult
from ..stopping import RunThread, Stopped
from .plugin import Cells, CellTests
from .source import Cell, compiled, functions_of, in_cells, is_cell, keep, rewrite, text_of

# Cells that lie in no folder: nothing there but what makes async tests and async fixtures run without a mark.
CONFIGURATION = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
disable_test_id_escaping_and_forfeit_all_rights_to_community_support = true
"""
_SKIPPED_FOLDERS = {"__pycache__", "node_modules", "site-packages"}
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # pytest colours its text in a kernel, which sets FORCE_COLOR
_STEP = re.compile(r"(\S.*?)(?::|, line )\d+: in ")  # the first line of a traceback's step
_RUNNERS = {"_pytest", "pluggy", "pytest_asyncio", "loopwatch"}


@dataclass(frozen=True)
class CellOptions:
    """How to run the tests of cells.

    They run as if they lay in `folder`: its conftest and its pytest.ini hold, and `app` is the one there;
    with None they lie in an empty folder. `keyword` keeps the tests that pytest's `-k` would. `backend` is
    what `databases.open_database` takes; with None the tests get no database, or the folder's. A test is
    stopped after `timeout` seconds. `plugins` are further pytest plugins. `label` gives what the reader of a
    notebook calls the plain cell of a file name, such as "Cell In[4]"; and None for every other name.
    """

    folder: Path | None = None
    keyword: str = ""
    backend: str | None = None
    timeout: float = 30.0
    plugins: tuple[Any, ...] = ()
    label: Callable[[str], str | None] = lambda file: None


@dataclass(frozen=True)
class CellRun(Run):
    """A run of cells' tests. It shows the grid, and below it tracebacks, warnings, and what tests printed.

    `printed` is what each test printed, by its node id, where it printed anything. `warnings` are those that
    Python and pytest gave about the cells.
    """

    printed: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [super().__str__()]
        parts += [f"{head}\n{trace}" for head, trace in self._traces()]
        parts += [f"Warning: {text}" for text in self.warnings]
        parts += [f"{name} printed:\n{text.rstrip()}" for name, text in self._outputs()]
        return "\n\n".join(parts)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(include, exclude)
        parts = [f"{paragraph(escape(head))}{preformatted(trace)}" for head, trace in self._traces()]
        parts += [paragraph(f"<b>Warning:</b> {escape(text)}") for text in self.warnings]
        parts += [unfolding(f"{name} printed", preformatted(text)) for name, text in self._outputs()]
        return bundle | {"text/html": "".join([bundle["text/html"], *parts])}

    def _traces(self) -> list[tuple[str, str]]:
        """Return a heading and the traceback of each distinct error."""
        found = []
        for result in self.results:
            if result.trace:
                others = self.error_lines.get(result.error, 1) - 1
                more = f", and {others} more with the same error" if others else ""
                found.append((f"{result.name}{more}:", result.trace))
        return found

    def _outputs(self) -> list[tuple[str, str]]:
        return [
            (each.name, self.printed[each.nodeid]) for each in self.results if each.nodeid in self.printed
        ]


def run_cell(cell: Cell, namespace: dict[str, Any], options: CellOptions = CellOptions()) -> CellRun:
    """Execute a cell in `namespace`, as any cell, and run the tests that it defines; no others.

    They see the fixtures that are in the namespace. Raises SyntaxError when the text is not Python, whatever
    the cell's own code raises (`inside` finds the part of the traceback that is in the cell), and CannotRun
    when there is no test, or no such folder. Then nothing was run.
    """
    folder = _folder(options.folder)
    source = compiled(cell.text, keep(cell.text, str(folder / cell.name)))
    title = cell.name if options.folder is None else f"{cell.name}, in {_short(folder)}"
    return _run(folder, [CellTests(Path(source.file), source)], namespace, options, title)


def run_functions(
    tests: Sequence[Any],
    namespace: dict[str, Any],
    options: CellOptions = CellOptions(),
) -> CellRun:
    """Run test functions and test classes that cells have defined, whatever their names.

    They see the fixtures that are in the namespace. Those of a cell that ran in a folder run there again, on
    fresh modules: for this, their cell is executed again. Raises CannotRun for what is no test of a cell.
    """
    things = list(dict.fromkeys(tests))
    if not things:
        raise CannotRun("There is no test to run: give test functions, such as test_one")
    files = {thing: _file_of(thing, options.label) for thing in things}
    folder = _folder(options.folder or _common_folder(files))
    groups: dict[str, list[Any]] = {}
    for thing, file in files.items():
        groups.setdefault(file, []).append(thing)
    cells = [_tests_of(file, group, folder, options.label) for file, group in groups.items()]
    names = [thing.__name__ for thing in things]
    title = ", ".join(names) if len(names) <= 3 else f"{len(names)} tests of cells"
    return _run(folder, cells, namespace, options, title)


def inside(traceback: TracebackType | None) -> TracebackType | None:
    """Return the part of a traceback that begins in a cell of tests, or None when there is none."""
    while traceback is not None and not is_cell(traceback.tb_frame.f_code.co_filename):
        traceback = traceback.tb_next
    return traceback


# --- where the tests lie -----------------------------------------------------------------------------------


def _folder(wanted: Path | None) -> Path:
    """Return the folder in which tests are to lie: beside the conftest nearest to `wanted`."""
    if wanted is None:
        return _nowhere()
    folder = wanted.resolve()
    if folder.is_file():
        folder = folder.parent
    if not folder.is_dir():
        raise CannotRun(f"There is no folder {wanted}: name the folder of a suite, or a test file in it")
    if any((each / "conftest.py").is_file() for each in (folder, *folder.parents)):
        return folder
    below = sorted(folder.rglob("conftest.py"), key=lambda path: (len(path.parts), path))
    for path in below:
        parts = path.relative_to(folder).parts
        if not any(part.startswith(".") or part in _SKIPPED_FOLDERS for part in parts):
            return path.parent
    return folder


@cache
def _nowhere() -> Path:
    """The folder of the cells that lie in no folder. It is there as long as the process."""
    folder = Path(tempfile.mkdtemp(prefix="tocdemo-cells-")).resolve()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "pytest.ini").write_text(CONFIGURATION, encoding="utf-8")
    return folder


def _short(folder: Path) -> str:
    """Return a folder's last two names."""
    return "/".join(folder.parts[-2:])


def _common_folder(files: Mapping[Any, str]) -> Path | None:
    """Return the folder in which the tests ran first, if they ran in one."""
    folders = {thing: Path(file).parent for thing, file in files.items() if _ran_in_folder(file)}
    if len(set(folders.values())) > 1:
        places = ", ".join(f"{thing.__name__} in {_short(folder)}" for thing, folder in folders.items())
        raise CannotRun(f"These tests lie in different folders ({places}): run those of one folder at a time")
    return next(iter(folders.values()), None)


def _ran_in_folder(file: str) -> bool:
    return is_cell(file) and Path(file).parent != _nowhere()


# --- what is to run ----------------------------------------------------------------------------------------


def _file_of(thing: Any, label: Callable[[str], str | None]) -> str:
    """Return the file name of the cell that defines a test. Raises CannotRun for anything else."""
    functions = list(functions_of(thing)) if callable(thing) else []
    if not functions:
        raise CannotRun(
            f"Expected test functions or test classes, such as test_one; found {_shown(thing)}, of the type "
            f"{type(thing).__name__}"
        )
    if getfixturemarker(thing) is not None:
        raise CannotRun(f"{thing.__name__} is a fixture, and no test: a test has it as an argument")
    if inspect.isclass(thing) and not any(name.startswith("test") for name in dir(thing)):
        raise CannotRun(f"The class {thing.__name__} has no test: its methods must be named test_...")
    owner, _, name = thing.__qualname__.rpartition(".")
    if not inspect.isclass(thing) and owner and not owner.endswith("<locals>"):
        raise CannotRun(f"{name} is a method of {owner}: give the class, {owner}")
    file = functions[0].__code__.co_filename
    if not is_cell(file) and label(file) is None and Path(file).is_file():
        raise CannotRun(
            f"{thing.__name__} lies in the file {file}, not in a cell: give that path, and "
            f"only={thing.__name__!r}"
        )
    return file


def _shown(thing: Any) -> str:
    words = repr(thing)
    return words if len(words) <= 60 else f"{words[:57]}..."


def _tests_of(file: str, things: list[Any], folder: Path, label: Callable[[str], str | None]) -> CellTests:
    names = [thing.__name__ for thing in things]
    if _ran_in_folder(file):
        return CellTests(Path(file), compiled(text_of(file), file), only=names)
    if not is_cell(file) or Path(file).parent != folder:
        name = Path(file).name if is_cell(file) else label(file)
        for thing in things:
            for function in functions_of(thing):
                rewrite(function, str(folder / (name or "a cell")))
        file = next(functions_of(things[0])).__code__.co_filename
    return CellTests(Path(file), given=dict(zip(names, things, strict=True)))


# --- the run -----------------------------------------------------------------------------------------------


def _run(
    folder: Path, cells: list[CellTests], namespace: dict[str, Any], options: CellOptions, title: str
) -> CellRun:
    if isinstance(threading.current_thread(), RunThread):
        raise CannotRun(
            "Tests are running already: %%tests runs the tests of its cell by itself, so that cell must not "
            "start a run. Do it in a cell of its own"
        )
    arguments = [str(folder), *(["-k", options.keyword] if options.keyword else [])]
    plugin = Cells(folder, cells, namespace)
    try:
        run = inline.run(
            folder,
            arguments=arguments,
            plugins=[*options.plugins, plugin],
            backend=options.backend,
            timeout=options.timeout,
            title=title,
            allow_none=True,
        )
    except CannotRun as error:
        words = _COLOUR.sub("", str(error)).strip()
        raise type(error)(words.removeprefix("ERROR: ")) from error
    _raise_failure(plugin, run, options)
    names = _names(plugin, options.label)
    if not run.results and not run.note:
        raise CannotRun(_named(_nothing_ran(plugin, options.keyword), names))
    shown = {each.name: getattr(run, each.name) for each in dataclasses.fields(run)}
    shown["results"] = tuple(_described(result, plugin) for result in run.results)
    done = CellRun(**shown, printed=plugin.printed, warnings=tuple(dict.fromkeys(plugin.warnings)))
    return _named(done, names)


def _described(result: TestResult, plugin: Cells) -> TestResult:
    """Return a result that says why it failed, and whose traceback has the steps that matter."""
    if result.nodeid in plugin.reasons:
        error, trace = plugin.reasons[result.nodeid]
        return dataclasses.replace(result, error=error, trace=trace)
    return dataclasses.replace(result, trace=_without_pytest(result.trace))


def _raise_failure(plugin: Cells, run: Run, options: CellOptions) -> None:
    """Raise what a cell's own code raised outside of its tests."""
    failure = plugin.failure
    if failure is None:
        return
    # The run itself stops code by such an error, or by cancelling it.
    if not isinstance(failure, asyncio.CancelledError | Stopped):
        raise failure
    if run.note:
        raise KeyboardInterrupt().with_traceback(inside(failure.__traceback__))
    raise CannotRun(
        f"The cell's own code did not end within {options.timeout:g} s, and was stopped: no test ran"
    )


def _nothing_ran(plugin: Cells, keyword: str) -> str:
    if plugin.skipped:
        return f"The cell skipped itself: {plugin.skipped}"
    names = ", ".join(dict.fromkeys(name.partition("[")[0] for name in plugin.names))
    if names:
        return f"No test of the cell fits -k {keyword!r}; there are {names}"
    what = "There is no test in this cell: tests are functions named test_... and classes named Test..."
    return f"{what} ({'; '.join(plugin.warnings)})" if plugin.warnings else what


# --- how places are named ----------------------------------------------------------------------------------


def _names(plugin: Cells, label: Callable[[str], str | None]) -> dict[str, str]:
    """Return how a run may write the places in cells, and what their reader calls them."""
    names = in_cells(label)
    for tests in plugin.cells:
        name = names.get(str(tests.file), tests.file.name)
        names[str(tests.file)] = names[tests.file.name] = name
        if tests.file.is_relative_to(plugin.root):
            names[tests.file.relative_to(plugin.root).as_posix()] = name
    return names


def _named(value: Any, names: Mapping[str, str]) -> Any:
    """Return a value whose texts, however deep, name cells as their reader does: "Cell In[5], line 3"."""
    longest = sorted(names, key=len, reverse=True)
    upwards = r"(?:\.\.(?:/\.\.)*(?=/))?"  # pytest writes some paths from where it was called
    pattern = re.compile(rf"{upwards}({'|'.join(map(re.escape, longest))})(?::(\d+))?")

    def name(found: re.Match[str]) -> str:
        line = f", line {found[2]}" if found[2] else ""
        return f"{names[found[1]]}{line}"

    def within(part: Any) -> Any:
        if isinstance(part, str):
            return pattern.sub(name, _COLOUR.sub("", part))
        if isinstance(part, tuple | list):
            return type(part)(map(within, part))
        if isinstance(part, dict):
            return {within(key): within(each) for key, each in part.items()}
        if dataclasses.is_dataclass(part) and not isinstance(part, type):
            fields = (each.name for each in dataclasses.fields(part) if each.init)
            return dataclasses.replace(part, **{each: within(getattr(part, each)) for each in fields})
        return part

    return within(value)


def _without_pytest(trace: str) -> str:
    """Return a traceback without the steps that are pytest's own, or the recorder's."""
    kept, shown = [], True
    for line in _COLOUR.sub("", trace).splitlines():
        step = _STEP.match(line)
        if step is not None:
            shown = _RUNNERS.isdisjoint(re.split(r"[/\\]", step[1]))
        if shown or line.startswith("E "):
            kept.append(line)
    return "\n".join(kept)
