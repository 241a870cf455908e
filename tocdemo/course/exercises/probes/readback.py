"""The question of a test that has to find a lost update: what it says when one is lost, and when none is.

The learner's test runs three times, on the course's own app: as it is, and twice so that an update is lost
for certain, if it makes two at once. The course's app is known, so its parts may be replaced.
"""

import asyncio
import importlib
from pathlib import Path
from typing import Any

import pytest

from .notes import Notes
from .suite import Ends, Report, run_pytest

WAIT = 1.0  # seconds that an update waits for the other; then the test does not make two at once
MODES = ("nothing is lost", "the first is lost", "the second is lost")


def look(folder: Path, notes: Notes, *, suite: str, test: str) -> None:
    """Run one test of the file `suite` in each of MODES."""
    code, words = run_pytest([str(folder / suite)], "embedded", [_Modes(notes, test)])
    notes.add("pytest", code=code, words=words)


class _Modes(Ends):
    """A pytest plugin: the test comes once in each mode, and no other test comes."""

    def __init__(self, notes: Notes, test: str) -> None:
        super().__init__(notes)
        self.test = test
        self.loser = _Loser()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if metafunc.function.__name__ == self.test:
            metafunc.fixturenames.append("tocdemo_mode")
            metafunc.parametrize("tocdemo_mode", MODES)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.name.partition("[")[0] == self.test]
        self.notes.add("collected", tests=[item.name for item in items])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self.notes.add("begins", test=self.test)
        self.loser.begin(MODES.index(_mode_of(item)))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo) -> Report:
        report = yield
        self.notes.add(
            "report",
            mode=_mode_of(item),
            phase=call.when,
            outcome=report.outcome,
            met=self.loser.met,
            **self.notes.failure_of(call),
        )
        return report


def _mode_of(item: Any) -> Any:
    return item.callspec.params["tocdemo_mode"]


class _Loser:
    """Replaces how the course's app writes: two that have both read write one after the other, unguarded."""

    def __init__(self) -> None:
        self.met = False  # whether both updates were under way at one time, when nothing kept them
        self._write: Any = None

    def begin(self, mode: int) -> None:
        """Let the update of the chapter `mode` (1 or 2) be lost from now on; with 0, none."""
        toc: Any = importlib.import_module("app.db.toc_transactions")
        base = importlib.import_module("app.db.base")
        self._write = self._write or toc._write_toc
        toc._write_toc = self._write
        if mode == 0:
            self._watch(toc)
        if mode == 0 or not self.met:
            return
        arrived: list[int] = []
        both, first_is_written = asyncio.Event(), asyncio.Event()

        async def losing(condition: dict, new: dict, session: Any = None) -> bool:
            which = await _changed(base, condition, new)
            arrived.append(which)
            if len(arrived) == 2:
                both.set()
            if not await _came(both):
                arrived.remove(which)
                return await self._write(condition, new, session=session)
            own = {"_id": condition["_id"]}
            if which == mode:  # this one is lost: it writes first
                written = await self._write(own, new, session=session)
                first_is_written.set()
                return written
            await _came(first_is_written)
            return await self._write(own, new, session=session)

        toc._write_toc = losing

    def _watch(self, toc: Any) -> None:
        change = toc._change_chapters
        under_way: list[Any] = []

        async def watched(*arguments: Any) -> Any:
            self.met = self.met or bool(under_way)
            under_way.append(arguments)
            try:
                return await change(*arguments)
            finally:
                under_way.remove(arguments)

        toc._change_chapters = watched


async def _came(event: asyncio.Event) -> bool:
    try:
        await asyncio.wait_for(event.wait(), WAIT)
    except TimeoutError:
        return False
    return True


async def _changed(base: Any, condition: dict, new: dict) -> int:
    """Return the number of the chapter that `new` changes, from 1; 0 when there is none."""
    book = await base.books_collection.find_one({"_id": condition["_id"]})
    chapters = (book.get("table_of_contents") or {}).get("chapters", [])
    for number, (old, now) in enumerate(zip(chapters, new["chapters"], strict=False), 1):
        if old.get("title") != now.get("title"):
            return number
    return 0
