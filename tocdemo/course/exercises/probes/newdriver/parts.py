"""Questions to the functions of the app's `driver` module, one by one: what each does with a real client."""

import asyncio
import contextlib
import importlib
import inspect
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import InvalidOperation

from tocdemo.runner import databases

from ..notes import Notes, error_text
from .clients import PYMONGO, Clients

OWNER = "user_1"
_LIMIT = 8.0  # seconds for one function


def look(folder: Path, notes: Notes, clients: Clients) -> None:
    """Call each function of the app's `driver` module, and the one operation that needs a transaction."""
    sys.path.insert(0, str(folder))
    with databases.open_database("replica-set") as own, databases.open_database("embedded") as alone:
        os.environ.update(own.environment())
        driver: Any = importlib.import_module("app.db.driver")
        base: Any = importlib.import_module("app.db.base")
        with MongoClient[dict[str, Any]](own.uri) as client:
            asked = _Asked(notes, clients, driver, base, client[own.name], alone.uri)
            for name, question in asked.questions().items():
                asyncio.run(asked.ask(name, question))


class _Asked:
    """Calls functions of the app's `driver`, each on an event loop and with a client of its own."""

    def __init__(
        self, notes: Notes, clients: Clients, driver: Any, base: Any, database: Any, alone: str
    ) -> None:
        self.notes, self.clients = notes, clients
        self.driver, self.base = driver, base
        self.database, self.alone = database, alone

    def questions(self) -> dict[str, Callable[[Any], Awaitable[dict[str, Any]]]]:
        """Return a question for each function that the app has, by the function's name."""
        return {
            "start_session": self._session,
            "start_transaction": self._transaction,
            "supports_transactions": self._topology,
            "close_client": self._close,
            "update_toc_with_transaction": self._together,
        }

    async def ask(self, name: str, question: Callable[[Any], Awaitable[dict[str, Any]]]) -> None:
        """Note what a question brings, or the error that ends it."""
        client, told = None, {}
        try:
            client = self.driver.make_client(self.base.settings)
            told = await asyncio.wait_for(question(client), _LIMIT)
        except Exception as error:
            told = {"error": error_text(error), "place": self.notes.place_of(error)}
        self.notes.add("part", name=name, client=type(client).__name__, **told)

    async def _session(self, client: Any) -> dict[str, Any]:
        books = client[self.base.settings.database_name]["books"]
        async with await self.driver.start_session(client) as session:
            await books.insert_one({"by": "start_session"}, session=session)
            return {"found": session.client is client and not session.has_ended}

    async def _transaction(self, client: Any) -> dict[str, Any]:
        """Count what a transaction that ends well leaves, and one that does not."""
        books = client[self.base.settings.database_name]["books"]
        async with await _awaited(client.start_session()) as session:
            async with await self.driver.start_transaction(session):
                await books.insert_one({"by": "committed"}, session=session)
            try:
                async with await self.driver.start_transaction(session):
                    await books.insert_one({"by": "aborted"}, session=session)
                    raise _Aborted
            except _Aborted:
                pass
        count = self.database["books"].count_documents
        return {"committed": count({"by": "committed"}), "aborted": count({"by": "aborted"})}

    async def _topology(self, client: Any) -> dict[str, Any]:
        there = await self.driver.supports_transactions(client)
        alone = type(client)(self.alone)
        return {
            "replica_set": bool(there),
            "standalone": bool(await self.driver.supports_transactions(alone)),
        }

    async def _close(self, client: Any) -> dict[str, Any]:
        await client.admin.command("ping")
        await self.driver.close_client(client)
        entry = self.clients.entry_of(client)
        if entry is not None and entry["driver"] == PYMONGO:
            return {"closed": entry["closed"] is not None}
        try:
            await client.admin.command("ping")
        except InvalidOperation:
            return {"closed": True}
        return {"closed": False}

    async def _together(self, client: Any) -> dict[str, Any]:
        """Replace a table of contents while the entry in the audit log fails: is the book as it was?"""
        toc: Any = importlib.import_module("app.db.toc_transactions")
        audit_log: Any = importlib.import_module("app.db.audit_log")
        base = self.base
        base._client, base._database = client, client[base.settings.database_name]
        base.books_collection = base._database["books"]
        base.audit_log_collection = base._database["audit_log"]
        self.database["audit_log"].insert_one({"book_id": "another"})  # so that the collection is there
        book = {"owner_id": OWNER, "table_of_contents": {"version": 1, "chapters": []}}
        book_id = self.database["books"].insert_one(book).inserted_id
        record = audit_log.record

        async def record_and_fail(*args: Any, **options: Any) -> None:
            await record(*args, **options)
            raise _Aborted

        audit_log.record = record_and_fail
        with contextlib.suppress(_Aborted):
            await toc.update_toc_with_transaction(str(book_id), {"chapters": []}, OWNER)
        stored = self.database["books"].find_one({"_id": book_id})["table_of_contents"]["version"]
        entries = self.database["audit_log"].count_documents({"book_id": str(book_id)})
        return {"version": stored, "entries": entries}


class _Aborted(Exception):
    """Ends a transaction."""


async def _awaited(result: Any) -> Any:
    """Return the result, of a client of either driver."""
    return await result if inspect.isawaitable(result) else result
