"""What an exploration costs: seconds, and the ratio to the same commands sent one after the other, ungated.

The floor is the same driver, server and number of finds and
updates, taken in turn with the exploration. The null ratio, of two floors of a round, says how much is noise.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence

from bson import ObjectId

from tocdemo.explorer import backend, engine, operations
from tocdemo.runner.databases import Database
from tocdemo.server import EmbeddedServer
from tocdemo.subject import sources


def main(argv: Sequence[str] | None = None) -> int:
    """Explore three guarded adds in `--rounds` rounds, and print the medians. Returns 0."""
    parser = argparse.ArgumentParser(prog="python -m tocdemo bench explorer", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how many rounds (default 5)")
    parser.add_argument("--driver", default="motor", choices=["motor", "pymongo"], help="default: motor")
    options = parser.parse_args(argv)
    if options.rounds < 1:
        parser.error(f"expected at least 1 round, found {options.rounds}")
    three = [operations.add(title) for title in ("One", "Two", "Three")]
    rounds = []
    for _ in range(options.rounds):
        found = engine.explore(sources.BACKEND, three, driver=options.driver)
        floors = [_floor(found.commands, options.driver) for _ in range(2)]
        rounds.append((found.seconds, *floors))
    explored, floor, again = zip(*rounds, strict=True)
    print(f"{len(found.orders)} orders of three adds, {found.commands} commands, {options.driver}")
    print(f"  exploration           {statistics.median(explored):6.2f} s")
    print(f"  the commands alone    {statistics.median(floor):6.2f} s")
    print(f"  ratio                 {_ratio(explored, floor):6.2f}")
    print(f"  null: floor / floor   {_ratio(again, floor):6.2f}")
    return 0


def _ratio(above: Sequence[float], below: Sequence[float]) -> float:
    return statistics.median(one / other for one, other in zip(above, below, strict=True))


def _floor(commands: int, driver: str) -> float:
    """Return the seconds that so many finds and updates take, one after the other, on a new server."""

    async def work(backend: backend.Backend) -> float:
        books, book = backend.base.books_collection, ObjectId()
        chapters = [{"id": f"ch{number}", "title": "A title"} for number in range(4)]
        await books.insert_one({"_id": book, "table_of_contents": {"version": 1, "chapters": chapters}})
        begin = time.perf_counter()
        for _ in range(commands // 2):
            found = await books.find_one({"_id": book})
            guard = {"_id": book, "table_of_contents.version": 1}
            await books.update_one(guard, {"$set": {"table_of_contents": found["table_of_contents"]}})
        seconds = time.perf_counter() - begin
        await backend.close_client(backend.base._client)
        return seconds

    with EmbeddedServer() as server:
        database = Database(server.uri, engine.NAME, driver)
        with backend.opened(sources.BACKEND, database, backend.Notes()) as opened:
            return asyncio.run(work(opened))
