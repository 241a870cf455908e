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

from tocdemo.subject import sources

from . import inline, worker
from .result import Run, together


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
) -> Run:
    """Run the tests that `arguments` name, together. `only` narrows them to tests of one name.

    `without` leaves the tests of one name out, and does nothing where there is none. With `times` each test
    comes so many times in the run, with its fixtures. `options` are those of `inline.run`. Raises
    inline.CannotRun, also when no test is named `only`.
    """
    arguments = list(arguments)
    chosen = _Chosen(only, without)
    if new_process:
        if options.get("fixtures"):
            raise inline.CannotRun(
                "Fixtures of a notebook are not there in a new process: run without new_process"
            )
        if times != 1:
            raise inline.CannotRun(
                "Tests are repeated in this process: run without new_process, or without times"
            )
        if chosen.narrows:
            arguments = chosen.of(collect(folder, arguments))
        return worker.run(folder, arguments, options.get("backend"))
    plugins = [*options.pop("plugins", ()), *([chosen] if chosen.narrows else [])]
    if times != 1:
        plugins.append(_Repeat(times))
        options.setdefault("title", f"{only or 'each test'}, {times} times")
    if only is not None:
        options.setdefault("title", only)
    run = inline.run(folder, arguments=arguments, plugins=plugins, allow_none=chosen.narrows, **options)
    if chosen.missing:
        raise inline.CannotRun(chosen.missing)
    return run


def run_each(
    folder: Path,
    arguments: Sequence[str],
    *,
    on_progress: Callable[[int, int, float], None] = lambda done, total, left: None,
    **options: Any,
) -> Run:
    """Run each test alone, on fresh modules, and return all results as one run.

    `on_progress` is called with the number of tests done, their total, and the seconds that are left, by
    estimate. An interrupt ends it; what was measured until then is returned, with a note.
    """
    nodes = collect(folder, list(arguments))
    done: list[Run] = []
    begin = time.perf_counter()
    on_progress(0, len(nodes), 0.0)
    for number, node in enumerate(nodes, 1):
        done.append(inline.run(folder, arguments=[node], **options))
        if done[-1].note:
            break
        taken = time.perf_counter() - begin
        on_progress(number, len(nodes), taken / number * (len(nodes) - number))
    whole = together(done, title="each alone")
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


class _Chosen:
    """A pytest plugin that keeps the tests of one name, or all others."""

    def __init__(self, only: str | None, without: str | None) -> None:
        self.only, self.without = only, without
        self.missing = ""  # says so when there is none to keep

    @property
    def narrows(self) -> bool:
        """Whether anything is left out at all."""
        return self.only is not None or self.without is not None

    def of(self, nodes: list[str]) -> list[str]:
        """Return the node ids that are kept. Raises inline.CannotRun when there is none."""
        kept = [node for node in nodes if self._keeps(node)]
        self._note(nodes, kept)
        if self.missing:
            raise inline.CannotRun(self.missing)
        return kept

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        nodes = {_node(item): item for item in items}
        kept = [node for node in nodes if self._keeps(node)]
        self._note(list(nodes), kept)
        items[:] = [nodes[node] for node in kept]

    def _keeps(self, node: str) -> bool:
        return (self.only is None or _is_named(node, self.only)) and not (
            self.without is not None and _is_named(node, self.without)
        )

    def _note(self, nodes: list[str], kept: list[str]) -> None:
        if nodes and not kept:
            there = ", ".join(dict.fromkeys(_name(node).partition("[")[0] for node in nodes))
            self.missing = (
                f"No test is left without {self.without!r}"
                if self.only is None
                else f"No test is named {self.only!r}; there are {there}"
            )


class _Repeat:
    """A pytest plugin that lets each test come several times, as if it had a parameter."""

    def __init__(self, times: int) -> None:
        if times < 1:
            raise inline.CannotRun(f"Expected times=1 or more, found {times}")
        self.times = times

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        metafunc.fixturenames.append("tocdemo_time")
        metafunc.parametrize("tocdemo_time", range(1, self.times + 1))


class _Collector:
    """A pytest plugin that notes which tests there are."""

    def __init__(self) -> None:
        self.nodes: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.nodes += map(_node, session.items)


def _node(item: pytest.Item) -> str:
    """Return the test's node id with its absolute path."""
    _, separator, rest = item.nodeid.partition("::")
    return f"{item.path}{separator}{rest}"


def _is_named(node: str, name: str) -> bool:
    return name in (node, _name(node), _name(node).partition("[")[0])


def _name(node: str) -> str:
    return node.rpartition("::")[2]
