"""Questions to a single change of the learner's backend: alone, overtaken, and when something fails.

A module of Motor's is changed for what no database does by itself. It knows nothing of orders.
"""

import asyncio
import dataclasses
import importlib
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from motor import motor_asyncio
from pymongo import errors

from tocdemo.explorer import operations

from .notes import Notes, error_text

OWNER = "user_1"
MOST_ATTEMPTS = 1000  # of a change that is overtaken each time; the course's own code makes 64
_WRITES = ("update_one", "replace_one", "find_one_and_update", "find_one_and_replace", "update_many")
_COLLECTION = motor_asyncio.AsyncIOMotorCollection


class _Endless(BaseException):
    """A change that never gives up; no `except Exception` takes it."""


async def delete(toc: Any, book: str) -> Any:
    """Delete the second chapter."""
    return await toc.delete_chapter_with_transaction(book, "ch2", OWNER)


async def reorder(toc: Any, book: str) -> Any:
    """Turn the two chapters round."""
    return await toc.reorder_chapters_with_transaction(book, [{"id": "ch2", "order": 1}], OWNER)


OPERATIONS: dict[str, Callable[[Any, str], Awaitable[Any]]] = {
    "add": operations.add("New"),
    "rename": operations.rename("ch1", "Better"),
    "delete": delete,
    "reorder": reorder,
    "replace": operations.replace_toc("Only"),
}
_EXPECTING = operations.replace_toc("Only", expected_version=1)
# What an operation has left behind, seen in the chapters that are stored.
_DONE: dict[str, Callable[[list[dict[str, Any]]], bool]] = {
    "add": lambda chapters: any(each.get("title") == "New" for each in chapters),
    "rename": lambda chapters: any(each.get("title") == "Better" for each in chapters),
    "delete": lambda chapters: all(each.get("id") != "ch2" for each in chapters),
    "reorder": lambda chapters: chapters[0].get("id") == "ch2",
}
# Books as they may be before the first change of all, or late.
_STARTS: dict[str, dict[str, Any]] = {
    "without a table of contents": {},
    "without a version": {"table_of_contents": {"chapters": []}},
    "with version 1000000000": {"table_of_contents": {"version": 1_000_000_000, "chapters": []}},
}
_FAILURES = (
    errors.AutoReconnect("the network is down"),
    errors.NetworkTimeout("the answer took too long"),
    errors.ServerSelectionTimeoutError("no server was found"),
    errors.OperationFailure("not authorized on admin", 13),
)
_CONFLICTS = 5  # that a transaction gets before it comes through
_HELD = 20  # turns of the event loop for which a write is held
_AN_HOUR = 3600.0


class Backend:
    """The learner's backend, loaded once, and questions to a single operation of it."""

    def __init__(self, notes: Notes, database: Any) -> None:
        self.notes = notes
        self.database = database
        self.most_tries = 0
        real_sleep = asyncio.sleep
        asyncio.sleep = lambda delay, result=None: real_sleep(0, result)  # a wait would only make it slower
        self.toc = importlib.import_module("app.db.toc_transactions")
        self.base: Any = importlib.import_module("app.db.base")

    async def alone(self) -> None:
        """Change a book by each of two operations, undisturbed."""
        for name in ("add", "replace"):
            self._new_client()
            book = self._new_book()
            told = await self._told(OPERATIONS[name], book)
            self.notes.add("alone", operation=name, **told, **self._stored(book))

    async def awaited(self) -> None:
        """Change a book by each operation, and hold its write: does the operation return before it?"""
        for name, operation in OPERATIONS.items():
            self._new_client()
            under_way: list[str] = []
            undo = _hold(under_way)
            try:
                told = await self._told(operation, self._new_book())
            finally:
                undo()
            self.notes.add("awaited", operation=name, early=told["told"] == "done" and bool(under_way))

    async def overtaken(self) -> None:
        """Change a book while somebody else is always first: another change is stored before each write.

        The operations come one after the other, as long as each ends by itself.
        """
        for name in _DONE:
            if not await self._overtaken(name):
                break

    async def _overtaken(self, name: str) -> bool:
        self._new_client()
        book = self._new_book()
        sent: list[str] = []
        undo = _overtake(sent, lambda: self._change_by_another(book, sent.count("w")))
        try:
            told = await self._told(OPERATIONS[name], book)
        finally:
            undo()
        most_tries = max(map(len, "".join(sent).split("r")), default=0)
        self.most_tries = max(self.most_tries, most_tries)
        chapters = self._chapters(book)
        self.notes.add(
            "overtaken",
            operation=name,
            **told,
            **self._stored(book),
            attempts=sent.count("w"),
            most_tries=most_tries,
            stored=_DONE[name](chapters),
            overwritten=f"By another, {sent.count('w')}" not in [each.get("title") for each in chapters],
        )
        return not told.get("endless") and not told["told"].startswith("RecursionError")

    async def starts(self) -> None:
        """Change books of other kinds, alone and when another change is stored before the first write."""
        for start, toc in _STARTS.items():
            for name in ("add", "replace"):
                for overtaken in (False, True):
                    await self._started(start, toc, name, overtaken)

    async def _started(self, start: str, toc: dict[str, Any], name: str, overtaken: bool) -> None:
        self._new_client()
        book = self._insert({"owner_id": OWNER, **toc})
        before = toc.get("table_of_contents", {}).get("version", 0)
        sent: list[str] = []

        def change() -> None:
            if overtaken and sent.count("w") == 1:
                self._store_by_another(book, before + 1)

        undo = _overtake(sent, change)
        try:
            told = await self._told(OPERATIONS[name], book)
        finally:
            undo()
        changes = self._stored(book)["version"] - before
        if not (overtaken and "w" not in sent):
            self.notes.add(
                "started", start=start, operation=name, overtaken=overtaken, **told, changes=changes
            )

    async def two_writes(self) -> None:
        """Replace a table of contents, and let the entry in the audit log fail when it is written."""
        await self._two_writes("")
        await self._two_writes(" with an `expected_version`", operation=_EXPECTING)
        await self._two_writes(" after write conflicts", conflicts=_CONFLICTS)
        given = self.base.settings
        self.base.settings = dataclasses.replace(given, uri=given.uri.partition("?")[0])
        try:
            await self._two_writes(" with a URI that names no replica set")
        finally:
            self.base.settings = given

    async def _two_writes(
        self, when: str, operation: Callable = OPERATIONS["replace"], conflicts: int = 0
    ) -> None:
        self._new_client()
        book = self._new_book()
        audit_log = importlib.import_module("app.db.audit_log")
        record = audit_log.record

        async def record_and_fail(*args: Any, **options: Any) -> None:
            await record(*args, **options)
            raise OSError("the disk of the log is full")

        self._replace(record, record_and_fail)
        undo = _conflict(conflicts)
        try:
            told = await self._told(operation, book)
        finally:
            undo()
            self._replace(record_and_fail, record)
        self.notes.add("two_writes", when=when, **told, **self._stored(book))

    async def question(self) -> None:
        """Make changes while the question for the topology fails, in several ways."""
        for operation in ("replace", "add"):
            for failure in _FAILURES:
                await self._question(operation, failure)

    async def _question(self, operation: str, failure: Exception) -> None:
        self._new_client()
        book = self._new_book()
        database: Any = motor_asyncio.AsyncIOMotorDatabase  # Any: mypy forbids to replace a method
        command = database.command
        asked: list[str] = []

        def failing(self: Any, name: Any, *args: Any, **options: Any) -> Any:
            word = name if isinstance(name, str) else next(iter(name), "")
            if str(word).lower() in ("hello", "ismaster"):
                asked.append(word)
                raise failure
            return command(self, name, *args, **options)

        database.command = failing
        try:
            told = await self._told(OPERATIONS[operation], book)
        finally:
            database.command = command
        self.notes.add(
            "question",
            operation=operation,
            failure=type(failure).__name__,
            **told,
            **self._stored(book),
            asked=len(asked),
        )

    async def _told(self, operation: Callable, book: str) -> dict[str, Any]:
        try:
            await operation(self.toc, book)
        except _Endless:
            return {"told": "", "endless": True}
        except Exception as error:
            return {"told": error_text(error), "place": self.notes.place_of(error)}
        return {"told": "done"}

    def _new_client(self) -> None:
        """Let `base` hold a client of its own for this loop."""
        base, driver = self.base, importlib.import_module("app.db.driver")
        base._client = driver.make_client(base.settings)
        base._database = base._client[base.settings.database_name]
        for name in ("books", "audit_log", "questions", "users"):
            setattr(base, f"{name}_collection", base._database[name])

    def _new_book(self) -> str:
        chapters = [{"id": f"ch{n}", "title": f"Chapter {n}", "order": n} for n in (1, 2, 3)]
        return self._insert({"owner_id": OWNER, "table_of_contents": {"version": 1, "chapters": chapters}})

    def _insert(self, book: dict[str, Any]) -> str:
        self.database.audit_log.delete_many({})
        self.database.audit_log.insert_one({"book_id": "another"})  # so that the collection is there
        return str(self.database.books.insert_one(book).inserted_id)

    def _toc(self, book: str) -> dict[str, Any]:
        return self.database.books.find_one({"_id": ObjectId(book)}).get("table_of_contents") or {}

    def _stored(self, book: str) -> dict[str, int]:
        """Return the version of a book, and how many entries the audit log has for it."""
        entries = self.database.audit_log.count_documents({"book_id": book})
        return {"version": self._toc(book).get("version", 0), "entries": entries}

    def _chapters(self, book: str) -> list[dict[str, Any]]:
        return self._toc(book)["chapters"]

    def _change_by_another(self, book: str, number: int) -> None:
        """Change a book as the backend does: its third chapter, the version, and when it was."""
        toc = "table_of_contents"
        change = {f"{toc}.chapters.2.title": f"By another, {number}", f"{toc}.updated_at": datetime.now(UTC)}
        self.database.books.update_one(
            {"_id": ObjectId(book)},
            {"$set": {**change, "updated_at": datetime.now(UTC)}, "$inc": {f"{toc}.version": 1}},
        )

    def _store_by_another(self, book: str, version: int) -> None:
        """Give a book a table of contents of another's, with one chapter."""
        now = datetime.now(UTC)
        chapters = [{"id": "another", "title": "By another", "order": 1}]
        toc = {"version": version, "chapters": chapters, "updated_at": now}
        self.database.books.update_one(
            {"_id": ObjectId(book)}, {"$set": {"table_of_contents": toc, "updated_at": now}}
        )

    def _replace(self, old: Any, new: Any) -> None:
        """Put `new` in the place of `old` wherever a module of the app has it."""
        for name, module in list(sys.modules.items()):
            if name == "app" or name.startswith("app."):
                for key, value in list(vars(module).items()):
                    if value is old:
                        setattr(module, key, new)


def _overtake(sent: list[str], change: Callable[[], None]) -> Callable[[], None]:
    """Call `change` before each write. `sent` gets an "r" for each read and a "w" for each write."""

    def write(method: Callable) -> Callable:
        def overtaken(self: Any, filter: Any, *args: Any, **options: Any) -> Any:
            sent.append("w")
            if sent.count("w") > MOST_ATTEMPTS:
                raise _Endless
            change()
            return method(self, filter, *args, **options)

        return overtaken

    def read(method: Callable) -> Callable:
        def noted(self: Any, *args: Any, **options: Any) -> Any:
            sent.append("r")
            return method(self, *args, **options)

        return noted

    return _instead(dict.fromkeys(_WRITES, write) | dict.fromkeys(("find_one", "find", "aggregate"), read))


def _hold(under_way: list[str]) -> Callable[[], None]:
    """Hold each write for some turns of the event loop, in which an hour goes by, and note it meanwhile."""

    def write(method: Callable) -> Callable:
        async def held(self: Any, *args: Any, **options: Any) -> Any:
            under_way.append("w")
            loop: Any = asyncio.get_running_loop()
            time = loop.time
            loop.time = lambda: time() + _AN_HOUR  # whoever waits some seconds only has waited now
            for _ in range(_HELD):
                await asyncio.sleep(0)
            try:
                return await method(self, *args, **options)
            finally:
                under_way.pop()

        return lambda *args, **options: asyncio.ensure_future(held(*args, **options))

    return _instead(dict.fromkeys(_WRITES, write))


def _conflict(times: int) -> Callable[[], None]:
    """Let so many writes in a transaction end with a write conflict, as a database does."""
    labels = {"errorLabels": ["TransientTransactionError"]}
    left = iter(range(times))

    def write(method: Callable) -> Callable:
        def conflicting(self: Any, *args: Any, **options: Any) -> Any:
            session = options.get("session")
            if session is not None and session.in_transaction and next(left, None) is not None:
                raise errors.OperationFailure("WriteConflict", 112, labels)
            return method(self, *args, **options)

        return conflicting

    return _instead(dict.fromkeys(_WRITES, write))


def _instead(changes: dict[str, Callable[[Callable], Callable]]) -> Callable[[], None]:
    """Change methods of Motor's collection, by their names. Returns what puts them back."""
    before = {name: getattr(_COLLECTION, name) for name in changes}
    for name, change in changes.items():
        setattr(_COLLECTION, name, change(before[name]))

    def undo() -> None:
        for name, method in before.items():
            setattr(_COLLECTION, name, method)

    return undo
