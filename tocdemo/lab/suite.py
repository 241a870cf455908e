"""How to run a suite: all tests together, each alone, or in a new process.

Notebooks and the command line call it; it puts together what `inline` and `processes` offer. Where the suite
lies, and in which state, is for the caller to say.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from . import inline, processes, runs, sources


def arguments_for(folder: Path) -> list[str]:
    """Return pytest's arguments for the 28 in a copy of the backend."""
    return [str(folder / sources.SUITE)]


def run(
    folder: Path,
    arguments: Sequence[str],
    *,
    only: str | None = None,
    without: str | None = None,
    times: int = 1,
    new_process: bool = False,
    **options: Any,
) -> runs.Run:
    """Run the tests that `arguments` name, together. `only` narrows them to tests of one name.

    `without` leaves the tests of one name out, and does nothing where there is none. With `times` each test
    comes so many times in the run, with its fixtures. `options` are those of `inline.run`. Raises
    inline.CannotRun, also when no test is named `only`.
    """
    arguments = list(arguments)
    if times != 1:
        options["plugins"] = [*options.get("plugins", ()), _Repeat(_checked_times(times, new_process))]
        options.setdefault("title", f"{only or 'each test'}, {times} times")
    if only is not None:
        nodes = collect(folder, arguments)
        arguments = [node for node in nodes if _is_named(node, only)]
        if not arguments:
            raise inline.CannotRun(f"No test is named {only!r}; there are {', '.join(map(_name, nodes))}")
        options.setdefault("title", only)
    if without is not None:
        nodes = collect(folder, arguments)
        arguments = [node for node in nodes if not _is_named(node, without)]
        if not arguments:
            raise inline.CannotRun(f"No test is left without {without!r}")
    if new_process and options.get("fixtures"):
        raise inline.CannotRun(
            "Fixtures of a notebook are not there in a new process: run without new_process"
        )
    if new_process:
        return processes.run(folder, arguments, options.get("backend"))
    return inline.run(folder, arguments=arguments, **options)


def run_each(
    folder: Path,
    arguments: Sequence[str],
    *,
    on_progress: Callable[[int, int, float], None] = lambda done, total, left: None,
    **options: Any,
) -> runs.Run:
    """Run each test alone, on fresh modules, and return all results as one run.

    `on_progress` is called with the number of tests done, their total, and the seconds that are left, by
    estimate. An interrupt ends it; what was measured until then is returned, with a note.
    """
    nodes = collect(folder, list(arguments))
    done: list[runs.Run] = []
    begin = time.perf_counter()
    on_progress(0, len(nodes), 0.0)
    for number, node in enumerate(nodes, 1):
        done.append(inline.run(folder, arguments=[node], **options))
        if done[-1].note:
            break
        taken = time.perf_counter() - begin
        on_progress(number, len(nodes), taken / number * (len(nodes) - number))
    whole = runs.together(done, title="each alone")
    return dataclasses.replace(whole, seconds=time.perf_counter() - begin)


def collect(folder: Path, arguments: Sequence[str]) -> list[str]:
    """Return the node ids, with absolute paths, of the tests that `arguments` name. Runs none of them."""
    collector = _Collector()
    failed = inline.run(
        folder, arguments=[*arguments, "--collect-only"], plugins=[collector], allow_none=True
    )
    if failed.results:
        raise inline.CannotRun(f"pytest could not import the tests: {failed.results[0].trace}")
    return collector.nodes


def _checked_times(times: int, new_process: bool) -> int:
    if new_process:
        raise inline.CannotRun(
            "Tests are repeated in this process: run without new_process, or without times"
        )
    if times < 1:
        raise inline.CannotRun(f"Expected times=1 or more, found {times}")
    return times


class _Repeat:
    """A pytest plugin that lets each test come several times, as if it had a parameter."""

    def __init__(self, times: int) -> None:
        self.times = times

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        metafunc.fixturenames.append("tocdemo_time")
        metafunc.parametrize("tocdemo_time", range(1, self.times + 1))


class _Collector:
    """A pytest plugin that notes which tests there are."""

    def __init__(self) -> None:
        self.nodes: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            _, separator, rest = item.nodeid.partition("::")
            self.nodes.append(f"{item.path}{separator}{rest}")


def _is_named(node: str, name: str) -> bool:
    return name in (node, _name(node), _name(node).partition("[")[0])


def _name(node: str) -> str:
    return node.rpartition("::")[2]
