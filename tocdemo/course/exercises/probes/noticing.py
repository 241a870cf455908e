"""The question of what a project's tests notice: each runs again and again, each time with another lie.

The lies are told between a driver and its network (PyMongo 4.20, below Motor, too), so they need no knowledge
of the project: what it writes is lost, what it reads is altered. A client of another driver hears the truth.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.cursor import AsyncCursor
from pymongo.synchronous.collection import Collection
from pymongo.synchronous.cursor import Cursor

from tocdemo.runner import fresh

from ..trials import BROKEN, CLAIMED, INVENTED, LIES, LOST, NOTHING, TRUTH, TURNED, altered, field_of
from .notes import Notes
from .suite import Ends, Report, run_pytest
from .together import name_of

_COLLECTION: Any = Collection  # Any: mypy forbids to replace methods
_CURSOR: Any = Cursor
_ASYNC_COLLECTION: Any = AsyncCollection
_ASYNC_CURSOR: Any = AsyncCursor


def look(folder: Path, notes: Notes, *, fields: Sequence[str] | None, driver: str) -> None:
    """Run the tests below `folder` with each lie. `fields` are altered one by one; without these, all are.

    `driver` is what the clients that hear lies call themselves: "Motor", or "async", as PyMongo's own do.
    """
    liar = _Liar(driver)
    liar.install()
    if fields is None:
        with fresh.as_before(folder):
            run_pytest([str(folder)], "embedded", [_Phases(notes, liar, [TRUTH])])
        fields = sorted(liar.fields)
    notes.add("fields", fields=list(fields))
    lies = [TRUTH, *LIES, *map(altered, fields)]
    with fresh.as_before(folder):
        code, words = run_pytest([str(folder)], "embedded", [_Lies(notes, liar, lies)])
    notes.add("pytest", code=code, words=words)


class _Liar:
    """Stands between the drivers and the database; tells `lie` while it is set, and the truth else."""

    def __init__(self, driver: str) -> None:
        self.driver = driver
        self.lie = TRUTH
        self.heard = False  # whether such a client has asked for anything since the test began
        self.fields: set[str] = set()  # of all that was read

    def install(self) -> None:
        """Stand there from now on."""
        self._stand_below_motor()
        self._stand_below_pymongo_async()

    def _stand_below_motor(self) -> None:
        insert, update = _COLLECTION._insert_one, _COLLECTION._update_retryable
        modify, send = _COLLECTION._find_and_modify, _CURSOR._send_message

        def lying_insert(collection: Any, document: Any, *args: Any, **options: Any) -> Any:
            if self._hears(collection.database.client) == LOST:
                return document.get("_id")
            return insert(collection, document, *args, **options)

        def lying_update(collection: Any, *args: Any, **options: Any) -> Any:
            lie = self._hears(collection.database.client)
            if lie == LOST:
                return dict(_CHANGED)
            told = update(collection, *args, **options)
            return dict(_CHANGED) if lie == CLAIMED else told

        def lying_modify(collection: Any, *args: Any, **options: Any) -> Any:
            lie = self._hears(collection.database.client)
            found = modify(collection, *args, **options)
            return next(iter(self._told(lie, {}, [found] if found else [])), None)

        def lying_send(cursor: Any, operation: Any) -> None:
            lie = self._hears(cursor._collection.database.client)
            send(cursor, operation)
            self._alter(cursor, operation, lie)

        _COLLECTION._insert_one, _COLLECTION._update_retryable = lying_insert, lying_update
        _COLLECTION._find_and_modify, _CURSOR._send_message = lying_modify, lying_send

    def _stand_below_pymongo_async(self) -> None:
        insert, update = _ASYNC_COLLECTION._insert_one, _ASYNC_COLLECTION._update_retryable
        modify, send = _ASYNC_COLLECTION._find_and_modify, _ASYNC_CURSOR._send_message

        async def lying_insert(collection: Any, document: Any, *args: Any, **options: Any) -> Any:
            if self._hears(collection.database.client) == LOST:
                return document.get("_id")
            return await insert(collection, document, *args, **options)

        async def lying_update(collection: Any, *args: Any, **options: Any) -> Any:
            lie = self._hears(collection.database.client)
            if lie == LOST:
                return dict(_CHANGED)
            told = await update(collection, *args, **options)
            return dict(_CHANGED) if lie == CLAIMED else told

        async def lying_modify(collection: Any, *args: Any, **options: Any) -> Any:
            lie = self._hears(collection.database.client)
            found = await modify(collection, *args, **options)
            return next(iter(self._told(lie, {}, [found] if found else [])), None)

        async def lying_send(cursor: Any, operation: Any) -> None:
            lie = self._hears(cursor._collection.database.client)
            await send(cursor, operation)
            self._alter(cursor, operation, lie)

        _ASYNC_COLLECTION._insert_one, _ASYNC_COLLECTION._update_retryable = lying_insert, lying_update
        _ASYNC_COLLECTION._find_and_modify, _ASYNC_CURSOR._send_message = lying_modify, lying_send

    def _alter(self, cursor: Any, operation: Any, lie: str) -> None:
        asked = getattr(operation, "spec", None) or {}
        found = self._told(lie, asked, list(cursor._data))
        cursor._data.clear()
        cursor._data.extend(found)

    def _hears(self, client: Any) -> str:
        driver = client.options.pool_options.metadata["driver"]["name"].split("|")
        if self.driver not in driver:
            return TRUTH
        self.heard = True
        if self.lie == BROKEN:
            raise RuntimeError("Event loop is closed")
        return self.lie

    def _told(self, lie: str, asked: dict[str, Any], found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for document in found:
            self.fields |= document.keys() - {"_id"}
        if lie == NOTHING:
            return []
        if lie == INVENTED and not found:
            return [{name: value for name, value in asked.items() if not name.startswith("$")}]
        if lie == TURNED:
            return found[::-1]
        field = field_of(lie)
        return [
            {**document, field: _another(document[field])} if field in document else document
            for document in found
        ]


_CHANGED = {"n": 1, "nModified": 1, "updatedExisting": True, "ok": 1.0}


def _another(value: Any) -> Any:
    """Return a value of the same kind that is not this one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1000
    return f"{value}?" if isinstance(value, str) else None


class _Phases(Ends):
    """A pytest plugin: the lies are told in the tests, and not in their fixtures."""

    def __init__(self, notes: Notes, liar: _Liar, lies: list[str]) -> None:
        super().__init__(notes)
        self.liar, self.lies = liar, lies

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[Any]:
        self.liar.lie, self.liar.heard = _lie_of(item), False
        try:
            return (yield)
        finally:
            self.liar.lie = TRUTH


class _Lies(_Phases):
    """A pytest plugin: each test comes once with each lie, the truth first."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        metafunc.fixturenames.append("tocdemo_lie")
        metafunc.parametrize("tocdemo_lie", self.lies)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self.notes.add("begins", test=name_of(item))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo) -> Report:
        report = yield
        if call.when == "call":
            ended = {"outcome": report.outcome, "heard": self.liar.heard, **self.notes.failure_of(call)}
            self.notes.add("told", test=name_of(item), lie=_lie_of(item), **ended)
        return report


def _lie_of(item: Any) -> str:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("tocdemo_lie", TRUTH) if callspec else TRUTH
