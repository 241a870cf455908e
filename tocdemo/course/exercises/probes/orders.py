"""The question of two writers: which orders of their commands lose a change, and what a single one does.

It runs the learner's operations alone, then overtaken each time, then two at once in every order. The
explorer knows the orders; a module of Motor's is changed for what the explorer does not do.
"""

import asyncio
import importlib
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bson import ObjectId
from motor import motor_asyncio
from pymongo import MongoClient
from pymongo.errors import AutoReconnect

from tocdemo.errors import CannotExplore
from tocdemo.explorer import engine, operations
from tocdemo.explorer.orders import COMMIT, DONE, Order, Orders
from tocdemo.runner import databases

from .notes import Notes, error_text

OWNER = "user_1"
MOST_ATTEMPTS = 1000  # of a change that is overtaken each time; the course's own code makes 64
MOST_TRIES = 3  # writes after one read: more make too many orders to try them all
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


def look(
    folder: Path,
    notes: Notes,
    *,
    pairs: list[list[str]],
    replica_set: bool = False,
    attempts: int | None = None,
    also: list[str],
) -> None:
    """Look at single changes as `also` says (such as "alone"), then at the `pairs` in every order."""
    with databases.open_database("replica-set" if replica_set else "embedded") as own:
        os.environ.update(own.environment())
        sys.path.insert(0, str(folder))
        with MongoClient[dict[str, Any]](own.uri) as client:
            backend = _Backend(notes, client[own.name])
            for name in also:
                asyncio.run(getattr(backend, name)())
        # The explorer loads it afresh.
        sys.path.remove(str(folder))
    if backend.most_tries > MOST_TRIES:
        return
    in_processes = not replica_set
    for pair in pairs:
        if _explore(folder, notes, pair, replica_set, attempts) and in_processes:
            in_processes = False  # once is enough: it takes long
            _explore_processes(folder, notes, pair)


def _explore(folder: Path, notes: Notes, pair: list[str], replica_set: bool, attempts: int | None) -> bool:
    """Note the orders of a pair. Returns whether they lose nothing, and are fewer than two free changes have.

    Then one change waits for the other, perhaps in this process only.
    """
    try:
        operations = [OPERATIONS[name] for name in pair]
        orders = engine.explore(folder, operations, replica_set=replica_set, attempts=attempts)
    except CannotExplore as error:
        notes.add("orders", pair=pair, error=str(error))
        return False
    _note_orders(notes, pair, orders, processes=False)
    return len(orders.orders) < 6 and not _losing(orders)


def _explore_processes(folder: Path, notes: Notes, pair: list[str]) -> None:
    try:
        orders = engine.explore(folder, [OPERATIONS[name] for name in pair], processes=True)
        _note_orders(notes, pair, orders, processes=True)
    except CannotExplore as error:
        notes.add("orders", pair=pair, error=str(error))


def _note_orders(notes: Notes, pair: list[str], orders: Orders, *, processes: bool) -> None:
    losing = _losing(orders)
    notes.add(
        "orders",
        pair=pair,
        processes=processes,
        count=len(orders.orders),
        losing=len(losing),
        failing=len(orders.failing),
        lost=_words(losing[0], pair) if losing else "",
        failed=_words(orders.failing[0], pair) if orders.failing else "",
        loser=_loser(losing[0], pair) if losing else "",
        refused=_refused(orders.failing[0], pair) if orders.failing else ("", ""),
    )


def _losing(orders: Orders) -> list[Order]:
    """Return the orders that lose a change: by the version, or since one after the other gives other titles.

    The version counts the changes that are stored, if each was made to what the one before it had stored.
    """
    serial = {order.titles for order in orders.orders if _is_serial(order.schedule)}
    return [
        order
        for order in orders.orders
        if order.loses or (set(order.results) == {DONE} and order.titles not in serial)
    ]


def _is_serial(schedule: str) -> bool:
    return list(schedule) in (sorted(schedule), sorted(schedule, reverse=True))


def _loser(order: Order, pair: list[str]) -> str:
    """Return the operation that did not store what it said; else the last writer, over the other's."""
    writes = [step for step in order.steps if step.command not in ("find", COMMIT)]
    for name, letter, told in zip(pair, "AB", order.results, strict=True):
        own = [step for step in writes if step.letter == letter]
        if told == DONE and own and own[-1].effect:
            return name
    stored = [step.letter for step in writes if not step.effect]
    return pair["AB".index(stored[-1])] if stored else pair[0]


def _refused(order: Order, pair: list[str]) -> tuple[str, str]:
    """Return the operation whose caller got an error, and the error."""
    told = dict(zip(pair, order.results, strict=True))
    return next(
        (name, told[name]) for name in pair if told[name] != "done" and not told[name].startswith("used up")
    )


def _words(order: Order, pair: list[str]) -> str:
    """Return an order in words: what each step sends, and for which operation."""
    names = dict(zip("AB", pair if pair[0] != pair[1] else ["one", "two"], strict=True))
    return ", ".join(f"{names[step.letter]}: {step.command}" for step in order.steps)


class _Backend:
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

    async def overtaken(self) -> None:
        """Change a book while somebody else is always first: another change is stored before each write."""
        self._new_client()
        book = self._new_book()
        sent: list[str] = []
        undo = _overtake(sent, lambda: self._change_by_another(book, sent.count("w")))
        try:
            told = await self._told(OPERATIONS["add"], book)
        finally:
            undo()
        writes = "".join(sent).split("r")
        self.most_tries = max(map(len, writes), default=0)
        titles = self._titles(book)
        self.notes.add(
            "overtaken",
            **told,
            **self._stored(book),
            attempts=sent.count("w"),
            most_tries=self.most_tries,
            stored="New" in titles,
            overwritten=f"By another, {sent.count('w')}" not in titles,
        )

    async def two_writes(self) -> None:
        """Replace a table of contents, and let the entry in the audit log fail when it is written."""
        self._new_client()
        book = self._new_book()
        audit_log = importlib.import_module("app.db.audit_log")
        record = audit_log.record

        async def record_and_fail(*args: Any, **options: Any) -> None:
            await record(*args, **options)
            raise OSError("the disk of the log is full")

        self._replace(record, record_and_fail)
        try:
            told = await self._told(OPERATIONS["replace"], book)
        finally:
            self._replace(record_and_fail, record)
        self.notes.add("two_writes", **told, **self._stored(book))

    async def question(self) -> None:
        """Make changes while the question for the topology fails."""
        for operation in ("replace", "add"):
            await self._question(operation)

    async def _question(self, operation: str) -> None:
        self._new_client()
        book = self._new_book()
        database: Any = motor_asyncio.AsyncIOMotorDatabase  # Any: mypy forbids to replace a method
        command = database.command
        asked: list[str] = []

        def failing(self: Any, name: Any, *args: Any, **options: Any) -> Any:
            word = name if isinstance(name, str) else next(iter(name), "")
            if str(word).lower() in ("hello", "ismaster"):
                asked.append(word)
                raise AutoReconnect("the network is down")
            return command(self, name, *args, **options)

        database.command = failing
        try:
            told = await self._told(OPERATIONS[operation], book)
        finally:
            database.command = command
        self.notes.add("question", operation=operation, **told, **self._stored(book), asked=len(asked))

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
        chapters = [{"id": f"ch{n}", "title": f"Chapter {n}", "order": n} for n in (1, 2)]
        book = {"owner_id": OWNER, "table_of_contents": {"version": 1, "chapters": chapters}}
        self.database.audit_log.delete_many({})
        self.database.audit_log.insert_one({"book_id": "another"})  # so that the collection is there
        return str(self.database.books.insert_one(book).inserted_id)

    def _stored(self, book: str) -> dict[str, int]:
        """Return the version of a book, and how many entries the audit log has for it."""
        toc = self.database.books.find_one({"_id": ObjectId(book)})["table_of_contents"]
        entries = self.database.audit_log.count_documents({"book_id": book})
        return {"version": toc.get("version", 0), "chapters": len(toc["chapters"]), "entries": entries}

    def _titles(self, book: str) -> list[str]:
        toc = self.database.books.find_one({"_id": ObjectId(book)})["table_of_contents"]
        return [chapter["title"] for chapter in toc["chapters"]]

    def _change_by_another(self, book: str, number: int) -> None:
        """Change a book as the backend does: a chapter, the version, and when it was."""
        toc = "table_of_contents"
        change = {f"{toc}.chapters.1.title": f"By another, {number}", f"{toc}.updated_at": datetime.now(UTC)}
        self.database.books.update_one(
            {"_id": ObjectId(book)},
            {"$set": {**change, "updated_at": datetime.now(UTC)}, "$inc": {f"{toc}.version": 1}},
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
    before = {name: getattr(_COLLECTION, name) for name in (*_WRITES, "find_one", "find", "aggregate")}

    def write(name: str) -> Callable:
        def overtaken(self: Any, filter: Any, *args: Any, **options: Any) -> Any:
            sent.append("w")
            if sent.count("w") > MOST_ATTEMPTS:
                raise _Endless
            change()
            return before[name](self, filter, *args, **options)

        return overtaken

    def read(name: str) -> Callable:
        def noted(self: Any, *args: Any, **options: Any) -> Any:
            sent.append("r")
            return before[name](self, *args, **options)

        return noted

    for name in before:
        setattr(_COLLECTION, name, write(name) if name in _WRITES else read(name))

    def undo() -> None:
        for name, method in before.items():
            setattr(_COLLECTION, name, method)

    return undo
