"""Five ways to add a chapter to a book while others do the same: what each loses, and what each costs.

Each way is a short function over a driver that a lesson can show. `measure` runs each of them with several
writers at once, with Motor and with PyMongo, on a standalone and on a replica set. Knows the shape of a book,
and nothing of the backend.
"""

import asyncio
import inspect
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from bson import ObjectId
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient, monitoring

from tocdemo.display.code import preformatted
from tocdemo.display.tables import head, html_table, text_table, words
from tocdemo.runner import databases, threads
from tocdemo.runner.result import error_line

WRITERS = 6
ROUNDS = 5

Way = Callable[[Any, Any, str], Awaitable[None]]


class Overtaken(Exception):
    """Another writer was first: the book has no longer the version that was read."""


async def nothing(books: Any, book_id: Any, title: str) -> None:
    """Read, change, write."""
    toc = await _read(books, book_id)
    await books.update_one({"_id": book_id}, _with_chapter(toc, title))


async def guard(books: Any, book_id: Any, title: str) -> None:
    """Write only if the version is still the one that was read: a compare-and-swap, tried once."""
    toc = await _read(books, book_id)
    unchanged = {"_id": book_id, "table_of_contents.version": toc["version"]}
    result = await books.update_one(unchanged, _with_chapter(toc, title))
    if result.matched_count == 0:
        raise Overtaken("the book has another version by now")


async def guard_and_retry(books: Any, book_id: Any, title: str) -> None:
    """The same, and whoever was overtaken reads again. Somebody has won each time, so it ends."""
    for _ in range(64):
        try:
            return await guard(books, book_id, title)
        except Overtaken:
            continue
    raise Overtaken("overtaken 64 times")


async def transaction(books: Any, book_id: Any, title: str) -> None:
    """Read and write in one transaction, tried once."""
    session = await _awaited(books.database.client.start_session())
    async with session, await _awaited(session.start_transaction()):
        toc = await _read(books, book_id, session)
        await books.update_one({"_id": book_id}, _with_chapter(toc, title), session=session)


async def transaction_and_retry(books: Any, book_id: Any, title: str) -> None:
    """The same, with the driver's retry: a write conflict starts the transaction again."""

    async def read_and_write(session: Any) -> None:
        toc = await _read(books, book_id, session)
        await books.update_one({"_id": book_id}, _with_chapter(toc, title), session=session)

    async with await _awaited(books.database.client.start_session()) as session:
        await session.with_transaction(read_and_write)


async def _awaited(result: Any) -> Any:
    """Return the result: what Motor awaits and PyMongo gives at once, or the other way round."""
    return await result if inspect.isawaitable(result) else result


async def _read(books: Any, book_id: Any, session: Any = None) -> dict:
    return (await books.find_one({"_id": book_id}, session=session))["table_of_contents"]


def _with_chapter(toc: dict, title: str) -> dict:
    """Return the update that stores `toc` with one chapter more and the next version."""
    chapters = [*toc["chapters"], {"id": title, "title": title}]
    return {"$set": {"table_of_contents": {**toc, "version": toc["version"] + 1, "chapters": chapters}}}


WAYS: dict[str, Way] = {
    way.__name__.replace("_", " "): way
    for way in (nothing, guard, guard_and_retry, transaction, transaction_and_retry)
}


# Each driver's client, by the name that a table shows.
DRIVERS: dict[str, Callable[..., Any]] = {"Motor": AsyncIOMotorClient, "PyMongo": AsyncMongoClient}


def adding(way: Way, title: str) -> Callable[[Any, str], Awaitable[None]]:
    """Return the operation for `lab.interleavings` that adds a chapter of this title in this way."""
    return lambda toc, book_id: way(toc.base.books_collection, ObjectId(book_id), title)


@dataclass(frozen=True)
class Row:
    """What one way did with a driver on a topology: ROUNDS rounds of WRITERS writers, a chapter each.

    `lost` counts chapters that are missing although the writer was told that they were written, `errors` the
    writers that got an error, by its text. `commands` is how many data commands a chapter that is there has
    cost, `milliseconds` the median time of a round; both are None when no chapter was written.
    """

    way: str
    topology: str
    driver: str
    writers: int
    lost: int
    errors: dict[str, int]
    commands: float | None
    milliseconds: float | None

    def words(self) -> list[str]:
        """Return the row as a table shows it."""
        wrong = sum(self.errors.values())
        return [
            self.way,
            self.topology,
            self.driver,
            f"{self.lost} of {self.writers}",
            f"{wrong} of {self.writers}",
            "-" if self.commands is None else f"{self.commands:.1f}",
            "-" if self.milliseconds is None else f"{self.milliseconds:.0f}",
        ]


HEADS = ("way", "topology", "driver", "lost", "errors", "commands for a chapter", "ms for a round")


@dataclass(frozen=True)
class Ways:
    """The table of the ways. In a notebook it shows itself."""

    rows: tuple[Row, ...]

    def row(self, way: str, topology: str, driver: str = "Motor") -> Row:
        """Return the row of this way, topology and driver. Raises KeyError when it was not measured."""
        for row in self.rows:
            if (row.way, row.topology, row.driver) == (way, topology, driver):
                return row
        raise KeyError(f"No row for {way!r} on {topology!r} with {driver}")

    @property
    def errors(self) -> dict[str, int]:
        """The distinct errors of all rows, each with its number."""
        return dict(sum((Counter(row.errors) for row in self.rows), Counter()).most_common())

    def __str__(self) -> str:
        lines = text_table([HEADS, *(row.words() for row in self.rows)])
        return "\n".join([*lines, "", *(f"{count} × {error}" for error, count in self.errors.items())])

    def _repr_html_(self) -> str:
        style = "text-align:left;padding:2px 14px 2px 0"
        rows = [[head(each, style) for each in HEADS]]
        rows += [[words(word, style) for word in row.words()] for row in self.rows]
        told = preformatted("\n".join(f"{count} × {error}" for error, count in self.errors.items()))
        return html_table(rows, striped=True) + told


def measure() -> Ways:
    """Measure the five ways with each driver and topology, in a thread with event loops of its own.

    With TOCDEMO_MONGO_URI, on the deployment there, too. Raises databases.NoDatabase.
    """
    chosen = databases.chosen_backend()
    backends = {"standalone": "embedded", "replica set": "replica-set"}
    if chosen not in databases.BACKENDS:
        backends["TOCDEMO_MONGO_URI"] = chosen

    def work() -> list[Row]:
        found: list[Row] = []
        for topology, backend in backends.items():
            with databases.open_database(backend) as database:
                for driver in DRIVERS:
                    found += asyncio.run(_rows(topology, driver, database))
        return found

    found = threads.do(work, "tocdemo-ways")
    order = list(WAYS)
    return Ways(tuple(sorted(found, key=lambda row: order.index(row.way))))


async def _rows(topology: str, driver: str, database: databases.Database) -> list[Row]:
    sent = _Sent()
    client = DRIVERS[driver](database.uri, event_listeners=[sent])
    try:
        return [await _row(way, topology, driver, client[database.name]["books"], sent) for way in WAYS]
    finally:
        await _awaited(client.close())


async def _row(name: str, topology: str, driver: str, books: Any, sent: "_Sent") -> Row:
    errors: Counter[str] = Counter()
    kept, lost, commands, times = 0, 0, 0, []
    for _ in range(ROUNDS):
        book_id = (await books.insert_one({"table_of_contents": {"version": 1, "chapters": []}})).inserted_id
        writers = [WAYS[name](books, book_id, f"Chapter {number}") for number in range(WRITERS)]
        sent.commands, begin = 0, time.perf_counter()
        given = await asyncio.gather(*writers, return_exceptions=True)
        times.append(time.perf_counter() - begin)
        commands += sent.commands
        wrong = [error_line(error) for error in given if error is not None]
        errors.update(wrong)
        there = len((await _read(books, book_id))["chapters"])
        kept += there
        lost += WRITERS - len(wrong) - there
    return Row(
        way=name,
        topology=topology,
        driver=driver,
        writers=ROUNDS * WRITERS,
        lost=lost,
        errors=dict(errors),
        commands=commands / kept if kept else None,
        milliseconds=statistics.median(times) * 1000 if kept else None,
    )


class _Sent(monitoring.CommandListener):
    """Counts the commands that the client sends, with those that end a transaction."""

    def __init__(self) -> None:
        self.commands = 0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.commands += 1

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing: it is counted."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing, as above."""
