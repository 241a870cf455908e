"""How a suite is run: in this process, in a new one, or in another Python, as its options say.

Where the suite lies, and in which state, is for the caller to say.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tocdemo.errors import BadInput, CannotRun
from tocdemo.subject import sources

from . import local, worker
from .elsewhere import process
from .options import RunOptions
from .progress import Progress, silent
from .result import Run, TestResult

Runner = Callable[..., Run]


def arguments_for(folder: Path, which: str = "toc") -> list[str]:
    """Return pytest's arguments for the 28 ("toc"), the 26 ("neighbours") or the 54 ("all") in `folder`.

    In a folder with another project, they are all of its tests.
    Raises BadInput when `which` is none of these, CannotRun when the neighbours are not there.
    """
    if which not in sources.SUITES:
        raise BadInput(f"There are no tests {which!r}; expected one of {', '.join(sources.SUITES)}")
    if _is_other_project(folder):
        return [str(folder)]
    paths = sources.SUITES[which]
    missing = [path for path in paths if path in sources.NEIGHBOURS and not (folder / path).exists()]
    if missing:
        raise CannotRun(f"There is no {missing[0]} in {folder}: run lab.workspace(…, neighbours=True) first")
    return [str(folder / path) for path in paths]


def _is_other_project(folder: Path) -> bool:
    return not sources.is_backend(folder) and any(folder.glob("*/*.py"))


def run(
    folder: Path,
    arguments: Sequence[str],
    options: RunOptions = RunOptions(),  # noqa: B008 (a frozen value)
    *,
    plugins: Sequence[Any] = (),
    on_progress: Progress = silent,
    on_result: Callable[[TestResult], None] = lambda result: None,
    **changes: Any,
) -> Run:
    """Run the tests that pytest's `arguments` name, and return what they showed.

    `changes` are options by name, such as `each=True`. `plugins`, `on_progress` and `on_result` are those of
    `local.run`: in a new process there can be none of them, in another Python no plugins. Raises CannotRun,
    and BadInput for an option that means nothing.
    """
    options = dataclasses.replace(options, **changes)
    if options.python is not None:
        if plugins:
            raise CannotRun("Plugins of this process are not there in another Python")
        return process.run(folder, arguments, options, on_progress=on_progress, on_result=on_result)
    if not options.new_process:
        return local.run(
            folder, arguments, options, plugins=plugins, on_progress=on_progress, on_result=on_result
        )
    if plugins:
        raise CannotRun("Plugins of this process are not there in a new one: run without new_process")
    return worker.run(folder, arguments, options)


def run_copy(files: Mapping[str, str], which: str = "toc", *, run: Runner = run, **options: Any) -> Run:
    """Run the tests of `which` in a throw-away copy of the backend that consists of these files.

    `run` does it, with the copy's folder, pytest's arguments and `options`: `suite.run`, or that of a Worker.
    """
    with sources.copied(files) as copy:
        return run(copy, arguments_for(copy, which), **options)
