"""The question of a test for lines that no other test reaches: does it lead there, and does it look?

The learner's tests run on the course's app as it is, or on one that returns where it should refuse, or that
goes on there as if the orders were right.
"""

import importlib
from pathlib import Path
from typing import Any

import pytest

from .notes import Notes
from .suite import Ends, Report, run_pytest

AS_IT_IS, NOT_REFUSING, GOING_ON = MODES = ("as it is", "not refusing", "going on")


def look(folder: Path, notes: Notes, *, suite: str, mode: str) -> None:
    """Run the tests of the file `suite` in one of MODES."""
    code, words = run_pytest([str(folder / suite)], "embedded", [_Mode(notes, mode)])
    notes.add("pytest", code=code, words=words)


class _Mode(Ends):
    """A pytest plugin: the app refuses, or returns in place of it."""

    def __init__(self, notes: Notes, mode: str) -> None:
        super().__init__(notes)
        self.mode = mode
        self.refused = 0
        self._swallowed = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Watch the app before a test imports a name from it."""
        toc: Any = importlib.import_module("app.db.toc_transactions")
        orders, change = toc._orders, toc._change_chapters

        def watched_orders(chapter_orders: Any) -> Any:
            try:
                return orders(chapter_orders)
            except ValueError:
                self.refused += 1
                if self.mode == AS_IT_IS:
                    raise
                self._swallowed = self.mode == NOT_REFUSING
                return {}

        async def watched_change(*args: Any) -> Any:
            if self._swallowed:
                self._swallowed = False
                return []
            return await change(*args)

        toc._orders, toc._change_chapters = watched_orders, watched_change

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self.refused, self._swallowed = 0, False
        self.notes.add("begins", test=item.originalname if isinstance(item, pytest.Function) else item.name)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo) -> Report:
        report = yield
        self.notes.add(
            "report",
            test=item.nodeid.rpartition("::")[2].partition("[")[0],
            mode=self.mode,
            phase=call.when,
            outcome="skipped" if getattr(report, "wasxfail", None) is not None else report.outcome,
            refused=self.refused,
            **self.notes.failure_of(call),
        )
        return report
