"""Motor and PyMongo's `AsyncMongoClient` side by side: which calls differ, and how fast both are.

What is awaited is read from the installed classes; what only a call can show is tried on an embedded server.
It knows nothing of a project but its files.
"""

import ast
import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

from motor import motor_asyncio
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.cursor import AsyncCursor
from pymongo.asynchronous.database import AsyncDatabase

from tocdemo.display.tables import head, html_table, paragraph, scrolling, text_table, words
from tocdemo.runner import threads
from tocdemo.server import EmbeddedServer

# Each class of Motor's, and the one of PyMongo's that comes in its place.
PAIRS: Mapping[str, tuple[Any, Any]] = {
    "client": (motor_asyncio.AsyncIOMotorClient, AsyncMongoClient),
    "database": (motor_asyncio.AsyncIOMotorDatabase, AsyncDatabase),
    "collection": (motor_asyncio.AsyncIOMotorCollection, AsyncCollection),
    "session": (motor_asyncio.AsyncIOMotorClientSession, AsyncClientSession),
    "cursor": (motor_asyncio.AsyncIOMotorCursor, AsyncCursor),
}
# What MongoDB's guide "Migrate to PyMongo Async" lists of these under "Method Signature Changes" (its text
# since PyMongo 4.13). It names `MotorGridOut.stream_to_handler`, too, which is for Tornado.
IN_THE_GUIDE = ("io_loop=", "each", "to_list(0)")
AWAITED, CALLED, VALUE, MISSING = "awaited", "not awaited", "a value", "not there"
ROUNDS = 40
_MANY = 500  # documents of the long answer
_AT_ONCE = 20


@dataclass(frozen=True)
class Difference:
    """A call that is not the same in both: of which objects, its name, how each driver has it, and where a
    project makes it (`path:line`)."""

    owners: str
    name: str
    motor: str
    pymongo: str
    places: tuple[str, ...]

    def row(self) -> list[str]:
        """Return the difference as a table shows it."""
        guide = "yes" if self.name in IN_THE_GUIDE else ""
        return [self.owners, self.name, self.motor, self.pymongo, guide, ", ".join(self.places)]


@dataclass(frozen=True)
class Differences:
    """All differences, those that a project meets first; and what it calls that is the `same` in both."""

    rows: tuple[Difference, ...]
    same: tuple[str, ...]

    def _table(self) -> list[list[str]]:
        packages = {"Motor": "motor", "PyMongo": "pymongo"}
        versions = [f"{name} {version(package)}" for name, package in packages.items()]
        heads = ["of the", "name", *versions, "in the guide's list", "called in your workspace"]
        return [heads, *(row.row() for row in self.rows)]

    def _same(self) -> str:
        return f"Names that your workspace calls, and that are the same in both: {', '.join(self.same)}."

    def __str__(self) -> str:
        return "\n".join([*text_table(self._table()), self._same()])

    def _repr_html_(self) -> str:
        heads, *rows = self._table()
        cells = [[head(each) for each in heads], *([words(each) for each in row] for row in rows)]
        return scrolling(html_table(cells, striped=True), "both drivers") + paragraph(escape(self._same()))


def differences(folder: str | Path) -> Differences:
    """Compare both drivers, and look for the calls that differ in the project of that folder."""
    called = _calls(Path(folder))
    found: dict[tuple[str, str, str], list[str]] = {}  # the owners of a name, and how each driver has it
    same = set()
    for owner, (motor, pymongo) in PAIRS.items():
        for name in sorted(name for name in dir(motor) if not name.startswith("_") and name not in _SHOWN):
            of_motor, of_pymongo = _kind(motor, name), _kind(pymongo, name)
            if of_motor != of_pymongo:
                found.setdefault((name, of_motor, of_pymongo), []).append(owner)
            elif name in called and of_motor != VALUE:
                same.add(name)
    rows = [
        Difference(", ".join(owners), name, of_motor, of_pymongo, tuple(called.get(name, ())))
        for (name, of_motor, of_pymongo), owners in found.items()
    ]
    rows += [
        Difference(*tried, tuple(called.get(tried[1], ()))) for tried in threads.do(_tried, "tocdemo-drivers")
    ]
    rows.sort(key=lambda row: (not row.places, row.name not in IN_THE_GUIDE, row.name))
    return Differences(tuple(rows), tuple(sorted(same - {row.name for row in rows})))


def _kind(kind: Any, name: str) -> str:
    """Say how a class has a public name: as a method that is awaited or not, as a value, or not at all."""
    found = inspect.getattr_static(kind, name, None)
    if found is None:
        return MISSING
    if isinstance(found, property):  # so Motor (3.7) hands a plain method of PyMongo's on
        found = inspect.getattr_static(getattr(kind, "__delegate_class__", None), name, None)
    if isinstance(found, classmethod | staticmethod):
        found = found.__func__
    if not inspect.isfunction(found):
        return VALUE
    marked = getattr(found, "is_async_method", False) or getattr(found, "coroutine_annotation", False)
    return AWAITED if marked or inspect.iscoroutinefunction(found) else CALLED


def _calls(folder: Path) -> dict[str, list[str]]:
    """Return where the Python files of a project call a method, by its name; `io_loop=` is an argument.

    Environments and hidden folders are left out. Raises SyntaxError for a file that is no Python.
    """
    found: dict[str, list[str]] = {}
    for file in sorted(folder.rglob("*.py")):
        parts = file.relative_to(folder).parts
        if any(part.startswith(".") or part == "site-packages" for part in parts):
            continue
        path = "/".join(parts)
        for node in ast.walk(ast.parse(file.read_bytes(), str(file))):
            if isinstance(node, ast.Call):
                for name in _names_of(node):
                    place = f"{path}:{node.lineno}"
                    if place not in found.setdefault(name, []):
                        found[name].append(place)
    return found


def _names_of(call: ast.Call) -> Iterator[str]:
    if isinstance(call.func, ast.Attribute):
        yield call.func.attr
    yield from (f"{argument.arg}=" for argument in call.keywords if argument.arg == "io_loop")


def _tried() -> list[tuple[str, str, str, str]]:
    """Try what no class tells: an option, an argument, and a name that PyMongo takes for a database's."""
    with EmbeddedServer() as server:
        results = [asyncio.run(_try(kind, server.uri)) for kind in PAIRS["client"]]
    return [(owner, name, results[0][name], results[1][name]) for owner, name in _TRIED]


_SHOWN = ("io_loop",)  # below, by what it gives
_TRIED = (("client", "io_loop="), ("client", "client.io_loop"), ("cursor", "to_list(0)"))


async def _try(kind: Any, uri: str) -> dict[str, str]:
    client = kind(uri)

    async def with_loop() -> Any:
        await _awaited(kind(uri, io_loop=asyncio.get_running_loop()).close())

    async def value() -> Any:
        return client.io_loop

    async def nothing() -> Any:
        return await client["library"]["books"].find().to_list(0)

    told = {}
    for (_, name), question in zip(_TRIED, (with_loop, value, nothing), strict=True):
        try:
            answer = await question()
            told[name] = "taken" if answer is None else f"gives {_article(type(answer).__name__)}"
        except Exception as error:
            told[name] = f"raises {type(error).__name__}"
    await _awaited(client.close())
    return told


def _article(name: str) -> str:
    return f"an {name}" if name.lstrip("_")[0] in "AEIOU" else f"a {name}"


@dataclass(frozen=True)
class Speeds:
    """Microseconds of an operation with each driver, by its words: the best of some rounds."""

    figures: Mapping[str, tuple[float, float]]

    def _table(self) -> list[list[str]]:
        heads = ["µs for", "Motor", "AsyncMongoClient", "AsyncMongoClient / Motor"]
        lines = (
            [name, f"{motor:.0f}", f"{pymongo:.0f}", f"{pymongo / motor:.2f}"]
            for name, (motor, pymongo) in self.figures.items()
        )
        return [heads, *lines]

    def __str__(self) -> str:
        return "\n".join(text_table(self._table()))

    def _repr_html_(self) -> str:
        heads, *rows = self._table()
        return html_table([[head(each) for each in heads], *([words(each) for each in row] for row in rows)])


def speeds(rounds: int = ROUNDS) -> Speeds:
    """Measure both drivers on one embedded server, in rounds that alternate. The best round counts."""
    return threads.do(lambda: asyncio.run(_measured(rounds)), "tocdemo-speeds")


async def _measured(rounds: int) -> Speeds:
    with EmbeddedServer() as server:
        clients = [kind(server.uri) for kind in PAIRS["client"]]
        books = [client["library"]["books"] for client in clients]
        await books[0].insert_many([{"_id": number, "title": "A book"} for number in range(_MANY)])
        figures = {}
        for name, operation in OPERATIONS.items():
            times: list[list[float]] = [[], []]
            for turn in range(rounds + 1):
                for kept, collection in zip(times, books, strict=True):
                    begin = time.perf_counter()
                    await operation(collection)
                    if turn:  # the first round warms up
                        kept.append(time.perf_counter() - begin)
            figures[name] = (min(times[0]) * 1e6, min(times[1]) * 1e6)
        for client in clients:
            await _awaited(client.close())
    return Speeds(figures)


async def _insert(books: Any) -> None:
    await books.insert_one({"title": "Another"})


async def _find(books: Any) -> None:
    await books.find_one({"_id": 1})


async def _update(books: Any) -> None:
    await books.update_one({"_id": 1}, {"$inc": {"version": 1}})


async def _find_at_once(books: Any) -> None:
    await asyncio.gather(*(_find(books) for _ in range(_AT_ONCE)))


async def _find_many(books: Any) -> None:
    await books.find({"_id": {"$lt": _MANY}}).to_list(None)


OPERATIONS: Mapping[str, Callable[[Any], Coroutine[Any, Any, None]]] = {
    "insert_one": _insert,
    "find_one": _find,
    "update_one": _update,
    f"{_AT_ONCE} × find_one at once": _find_at_once,
    f"a list of {_MANY} documents": _find_many,
}


async def _awaited(result: Any) -> Any:
    """Return the result: what one driver awaits, the other gives at once."""
    return await result if inspect.isawaitable(result) else result
