"""Inline runs: a pytest suite run by ipytest inside this process, in a thread of its own.

pytest-asyncio cannot start a loop in a thread that runs one, and a notebook's main thread does. So the suite
runs in a thread of its own, on freshly imported modules, while the main thread waits, minds the clock and
takes interrupts. Knows nothing of faults and lessons.
"""

import contextlib
import dataclasses
import io
import os
import tempfile
import threading
import time
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import ipytest
import pytest

from tocdemo.errors import CannotRun
from tocdemo.loopwatch import Watch

from . import environment, stopping
from .database_plugin import GivenDatabase
from .fresh import as_before
from .reporting.reporter import Reporter
from .result import Run, TestResult
from .stopping import Current, RunThread

# No cache folder, no plugin that wants the process's own standard error, none that makes failures slow.
OPTIONS = (
    "-p",
    "no:cacheprovider",
    "-p",
    "no:faulthandler",
    "-p",
    "no:unraisableexception",
    "--capture=sys",
    "--tb=no",
    "--color=no",
    "-q",
)


def run(
    target: Path,
    *,
    arguments: Sequence[str] = (),
    fixtures: Sequence[Any] = (),
    plugins: Sequence[Any] = (),
    backend: str | None = None,
    timeout: float = 30.0,
    title: str = "together",
    on_result: Callable[[TestResult], None] = lambda result: None,
    allow_none: bool = False,
    own_settings: bool = False,
) -> Run:
    """Run the pytest suite in `target` (a folder or a file) inside this process, and return what it showed.

    `arguments` are pytest's; node ids are relative to `target`. `fixtures` are pytest fixtures, given to the
    suite in place of its conftest's of the same name. `plugins` are further pytest plugins. `backend` is what
    `databases.open_database` takes; with None the suite looks after its database itself. A test that takes
    longer than `timeout` seconds is stopped and fails. `on_result` is called in the run's thread after each
    test. With `allow_none` a run without any result is fine. With `own_settings` pytest's variables in the
    environment hold, and plugins that change the order of tests. On Ctrl-C (KeyboardInterrupt) the run is
    stopped, and what was measured so far is returned, with a note.

    Raises CannotRun when there is no such target, when pytest could not use its arguments, and when an
    earlier run's test still holds its thread.
    """
    target = target.resolve()
    if not target.exists():
        raise CannotRun(f"There is nothing to run at {target}")
    stopping.wait_for_earlier()
    current = Current()
    reporter, watch = Reporter(current, on_result), Watch()
    folder = target if target.is_dir() else target.parent
    given = [
        *([GivenDatabase(backend)] if backend is not None else []),
        watch,
        reporter,
        *plugins,
        *([_GivenFixtures(fixtures)] if fixtures else []),
    ]
    blocked = () if own_settings else environment.REORDERING
    options = [*OPTIONS, *(word for name in blocked for word in ("-p", f"no:{name}"))]
    exit_code: list[int] = []
    complaints = io.StringIO()
    begin = time.perf_counter()

    def work() -> None:
        with as_before(folder), contextlib.redirect_stderr(complaints):
            if not own_settings:
                environment.shield()
            try:
                exit_code.append(_main([*options, *(arguments or [str(target)])], given))
            except Exception as error:
                if not reporter.results:
                    raise
                reporter.failure = error  # a test can break what pytest itself needs, such as sys.stdout

    note = RunThread(work, current).finish(timeout)
    seconds = time.perf_counter() - begin
    results = _with_loops(reporter.results, watch)
    if not note and not results and not (allow_none and exit_code and exit_code[0] in (0, 1, 5)):
        code = exit_code[0] if exit_code else None
        raise CannotRun(reporter.why_nothing_ran(target, code, complaints.getvalue()))
    return Run(
        results=results,
        seconds=seconds,
        title=title,
        text=reporter.text.getvalue(),
        note=note or reporter.note(exit_code[0] if exit_code else 3),
        remark=" ".join(reporter.remarks),
        recording=watch.recording,
    )


def _main(arguments: list[str], plugins: list[Any]) -> int:
    """Call ipytest with arguments that it does not format and a module that holds no test."""
    module = types.ModuleType("tocdemo_inline_run")
    literal = [argument.replace("{", "{{").replace("}", "}}") for argument in arguments]
    with tempfile.TemporaryDirectory(prefix="tocdemo-") as scratch, _module_file_in(Path(scratch)):
        return int(
            ipytest.run(
                *literal,
                module=module,
                plugins=plugins,
                run_in_thread=False,
                raise_on_error=False,
                addopts=(),
                defopts=False,
                coverage=False,
            )
        )


@contextlib.contextmanager
def _module_file_in(folder: Path) -> Iterator[None]:
    """Let ipytest (0.14) keep its module file in `folder`: a killed run would leave it where it works."""
    keeper = ipytest._impl.random_module_path
    before = getattr(keeper, "_filename", None)
    keeper._filename = str(folder / f"t_{os.getpid()}_{threading.get_ident()}.py")
    try:
        yield
    finally:
        keeper._filename = before


class _GivenFixtures:
    """A pytest plugin: fixtures of the notebook, which come in place of a conftest's of the same name."""

    def __init__(self, fixtures: Sequence[Any]) -> None:
        self.module = types.ModuleType("tocdemo_given_fixtures")
        for fixture in fixtures:
            name = getattr(fixture, "__name__", None) or getattr(fixture, "name", None)
            if name is None or "fixture" not in type(fixture).__name__.lower():
                raise CannotRun(f"{fixture!r} is not a pytest fixture: decorate it with @pytest.fixture")
            setattr(self.module, name, fixture)
        self.names = [name for name in vars(self.module) if not name.startswith("__")]

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        config.pluginmanager.register(self.module, "tocdemo_given_fixtures")

    @pytest.hookimpl(tryfirst=True)
    def pytest_plugin_registered(self, plugin: Any) -> None:
        # A conftest's fixture would shadow the given one, so it goes before pytest reads it.
        if Path(getattr(plugin, "__file__", None) or "").name == "conftest.py":
            for name in self.names:
                if hasattr(plugin, name):
                    delattr(plugin, name)


def _with_loops(results: dict[str, TestResult], watch: Watch) -> tuple[TestResult, ...]:
    """Return the results, each with the number of the event loop that the test ran on."""
    tests = watch.recording.tests if watch.recording else ()
    loops = {test.nodeid: test.loop for test in tests}
    return tuple(dataclasses.replace(each, loop=loops.get(each.nodeid)) for each in results.values())
