"""What `with_transaction` does in Motor and in PyMongo: beside an open transaction, and when a commit fails.

Each driver is measured on replica sets of its own, in this process, with a fail point for the commits. It
knows nothing of the backend.
"""

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient, MongoClient
from pymongo.errors import PyMongoError

from tocdemo.display.code import preformatted
from tocdemo.display.tables import text_table
from tocdemo.runner import threads
from tocdemo.server import EmbeddedServer

SECONDS = 1.0  # how long the other transaction is open
LABELS = ("TransientTransactionError", "UnknownTransactionCommitResult")
DRIVERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "Motor": ("motor", AsyncIOMotorClient),
    "PyMongo": ("pymongo", AsyncMongoClient),
}


@dataclass(frozen=True)
class Row:
    """What one driver did: `attempts` beside a transaction that was open for SECONDS; `committed`, by label,
    whether the caller's change was there after a commit that failed once with an error of that label."""

    driver: str
    attempts: int
    committed: dict[str, bool]

    def words(self) -> list[str]:
        """Return the row as a table shows it."""
        ends = ["tried again" if self.committed[label] else "the caller gets the error" for label in LABELS]
        return [self.driver, str(self.attempts), *ends]


@dataclass(frozen=True)
class Retries:
    """The table of the drivers. In a notebook it shows itself."""

    rows: tuple[Row, ...]

    def __str__(self) -> str:
        heads = [
            "with_transaction of",
            f"attempts in {SECONDS:.0f} s",
            *(f"commit: {each}" for each in LABELS),
        ]
        return "\n".join(text_table([heads, *(row.words() for row in self.rows)]))

    def _repr_html_(self) -> str:
        return preformatted(str(self))


def measure() -> Retries:
    """Measure both drivers, in a thread with an event loop of its own."""
    return Retries(tuple(threads.do(lambda: [_row(name) for name in DRIVERS], "tocdemo-retries")))


def _row(name: str) -> Row:
    package, make = DRIVERS[name]
    committed = {label: _commits_after(make, label) for label in LABELS}
    return Row(f"{name} {version(package)}", _attempts_beside(make), committed)


def _attempts_beside(make: Callable[[str], Any]) -> int:
    """Count the attempts of a writer while another transaction holds its document for SECONDS."""
    with EmbeddedServer(replica_set="rs0") as server, MongoClient[dict[str, Any]](server.uri) as other:
        books = other["library"]["books"]
        books.insert_one({"_id": 1})

        async def beside() -> int:
            with other.start_session() as session:
                session.start_transaction()
                books.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)
                writer = asyncio.create_task(_write(make, server.uri))
                await asyncio.sleep(SECONDS)
                await asyncio.to_thread(session.commit_transaction)
            return await writer

        return asyncio.run(beside())


def _commits_after(make: Callable[[str], Any], label: str) -> bool:
    """Return whether a writer gets its change in, although its first commit fails with this label."""
    with EmbeddedServer(replica_set="rs0") as server, MongoClient[dict[str, Any]](server.uri) as other:
        other["library"]["books"].insert_one({"_id": 1})
        data = {"failCommands": ["commitTransaction"], "errorCode": 251, "errorLabels": [label]}
        other.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=data)
        try:
            asyncio.run(_write(make, server.uri))
        except PyMongoError as error:
            if not error.has_error_label(label):
                raise
            return False
        return other["library"]["books"].find_one({"_id": 1, "n": 1}) is not None


async def _write(make: Callable[[str], Any], uri: str) -> int:
    """Change the document with `with_transaction`, and return how many attempts that took."""
    attempts = 0
    client = make(uri)

    async def change(session: Any) -> None:
        nonlocal attempts
        attempts += 1
        await client["library"]["books"].update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)

    try:
        async with await _awaited(client.start_session()) as session:
            await session.with_transaction(change)
    finally:
        await _awaited(client.close())
    return attempts


async def _awaited(result: Any) -> Any:
    """Return the result: what Motor awaits and PyMongo gives at once, or the other way round."""
    return await result if inspect.isawaitable(result) else result
