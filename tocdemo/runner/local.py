"""A suite in this process: all of its tests together, or each alone, narrowed to some or repeated.

What is narrowed and repeated is done by pytest plugins, in the run itself. Where the suite lies, and in which
state, is for the caller to say.
"""

import dataclasses
import difflib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tocdemo.errors import CannotRun

from . import inline, result
from .options import RunOptions
from .progress import Progress, reporter, silent
from .result import Run, TestResult


def run(
    folder: Path,
    arguments: Sequence[str],
    options: RunOptions,
    *,
    plugins: Sequence[Any] = (),
    on_progress: Progress = silent,
    on_result: Callable[[TestResult], None] = lambda result: None,
) -> Run:
    """Run the tests that pytest's `arguments` name, as `options` say (but for `new_process`).

    `plugins` are further pytest plugins. `on_progress` follows a run of each test alone; an interrupt ends
    it, and what was measured until then is returned, with a note. `on_result` is called in the run's thread
    after each test. Raises CannotRun, also when no test is named `only`.
    """
    how = _How(folder, options, tuple(plugins), on_result)
    if options.each:
        return _each(how, arguments, on_progress)
    chosen = Chosen(options.only, options.without)
    whole = how.run(arguments, options.heading, [chosen] if chosen.narrows else [], chosen.narrows)
    if chosen.missing:
        raise CannotRun(chosen.missing)
    return whole


def _each(how: "_How", arguments: Sequence[str], on_progress: Progress) -> Run:
    begin = time.perf_counter()
    nodes = collect(how.folder, arguments, own_settings=how.options.own_settings)
    nodes = Chosen(how.options.only, how.options.without).of(nodes)
    ended = reporter(len(nodes), on_progress)
    done: list[Run] = []
    for node in nodes:
        done.append(how.run([node], how.options.heading))
        if done[-1].note:
            break
        ended(len(done))
    whole = result.together(done, title=how.options.heading)
    return dataclasses.replace(whole, seconds=time.perf_counter() - begin)


@dataclasses.dataclass(frozen=True)
class _How:
    """What all runs of one call have in common."""

    folder: Path
    options: RunOptions
    plugins: tuple[Any, ...]
    on_result: Callable[[TestResult], None]

    def run(
        self, arguments: Sequence[str], title: str, narrowing: Sequence[Any] = (), allow_none: bool = False
    ) -> Run:
        repeat = [_Repeat(self.options.times)] if self.options.times > 1 else []
        return inline.run(
            self.folder,
            arguments=arguments,
            fixtures=self.options.fixtures,
            plugins=[*self.plugins, *narrowing, *repeat],
            backend=self.options.backend,
            timeout=self.options.timeout,
            title=title,
            on_result=self.on_result,
            allow_none=allow_none,
            own_settings=self.options.own_settings,
        )


def collect(folder: Path, arguments: Sequence[str], *, own_settings: bool = False) -> list[str]:
    """Return the node ids, with absolute paths, of the tests that `arguments` name. Runs none of them."""
    collector = _Collector()
    failed = inline.run(
        folder,
        arguments=[*arguments, "--collect-only"],
        plugins=[collector],
        allow_none=True,
        own_settings=own_settings,
    )
    if failed.results:
        first = failed.results[0]
        where = f"{first.place}: " if first.place else ""
        raise CannotRun(f"pytest could not import the tests. {where}{first.error}\n    {first.code}".rstrip())
    return collector.nodes


class Chosen:
    """A pytest plugin that keeps the tests of one name, or all others; `of` does the same with node ids."""

    def __init__(self, only: str | None, without: str | None) -> None:
        self.only, self.without = only, without
        self.missing = ""  # says so when there is none to keep

    @property
    def narrows(self) -> bool:
        """Whether anything is left out at all."""
        return self.only is not None or self.without is not None

    def of(self, nodes: list[str]) -> list[str]:
        """Return the node ids that are kept. Raises CannotRun when there is none."""
        kept = [node for node in nodes if self._keeps(node)]
        self._note(nodes, kept)
        if self.missing:
            raise CannotRun(self.missing)
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
            self.missing = (
                f"No test is left without {self.without!r}"
                if self.only is None
                else _unknown(self.only, list(dict.fromkeys(_name(node).partition("[")[0] for node in nodes)))
            )


def _unknown(name: str, names: list[str]) -> str:
    """Return what is said of a name that no test has."""
    close = difflib.get_close_matches(name, names, n=1)
    there = f"here are {', '.join(names)}"
    meant = f": did you mean {close[0]}? T" if close else "; t"
    return f"No test is named {name!r}{meant}{there}"


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
        self.nodes += map(_node, session.items)


def _node(item: pytest.Item) -> str:
    """Return the test's node id with its absolute path."""
    _, separator, rest = item.nodeid.partition("::")
    return f"{item.path}{separator}{rest}"


def _is_named(node: str, name: str) -> bool:
    return name in (node, _name(node), _name(node).partition("[")[0])


def _name(node: str) -> str:
    return node.rpartition("::")[2]
