"""How a suite is run: in this process or in a new one, as its options say.

Where the suite lies, and in which state, is for the caller to say.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tocdemo.errors import CannotRun
from tocdemo.subject import sources

from . import local, worker
from .options import RunOptions
from .progress import Progress, silent
from .result import Run, TestResult


def arguments_for(folder: Path) -> list[str]:
    """Return pytest's arguments for the 28 in a copy of the backend."""
    return [str(folder / sources.SUITE)]


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
    `local.run`: in a new process there can be none of them. Raises CannotRun, and BadInput for an option that
    means nothing.
    """
    options = dataclasses.replace(options, **changes)
    if not options.new_process:
        return local.run(
            folder, arguments, options, plugins=plugins, on_progress=on_progress, on_result=on_result
        )
    if plugins:
        raise CannotRun("Plugins of this process are not there in a new one: run without new_process")
    return worker.run(folder, arguments, options)
