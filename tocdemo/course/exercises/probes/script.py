"""The question of a script: what it prints, how it ends, and what it asks of the database, and how.

The script is run as a program, with a database of its own whose collection `library.books` holds some books:
their number cannot be known to the script.
"""

import asyncio
import os
import random
import runpy
import sys
import threading
from pathlib import Path
from typing import Any

from motor import motor_asyncio
from pymongo import MongoClient, monitoring

from tocdemo.runner import databases

from .notes import Notes
from .suite import Kept

READS = ("aggregate", "count", "find")


def look(folder: Path, notes: Notes, *, script: str) -> None:
    """Run the script of that path."""
    asked = _Asked()
    with databases.open_database("embedded") as own:
        os.environ.update(own.environment())
        books = random.randint(101, 399)
        with MongoClient[dict[str, Any]](own.uri) as client:
            client["library"]["books"].insert_many([{"n": number} for number in range(books)])
        monitoring.register(asked)
        before = asyncio_as_it_is()
        made = _count_motor_clients()
        printed = Kept()
        run_program(folder / script, [], printed, notes)
        notes.add(
            "script",
            printed=printed.getvalue(),
            books=books,
            motor_clients=len(made),
            asked=asked.answered,
            patched=patched_since(before),
        )


def run_program(file: Path, arguments: list[str], printed: Kept, notes: Notes) -> None:
    """Run a Python file as a program, and note the error that it ends with, if there is one."""
    sys.argv[:] = [str(file), *arguments]
    sys.path.insert(0, str(file.parent))
    streams, sys.stdout, sys.stderr = (sys.stdout, sys.stderr), printed, Kept()
    try:
        runpy.run_path(str(file), run_name="__main__")
    except SystemExit as end:
        if end.code not in (None, 0):
            notes.add("exit", code=end.code)
    except BaseException as error:
        notes.raised("raised", error)
    finally:
        sys.stdout, sys.stderr = streams


def asyncio_as_it_is() -> dict[str, Any]:
    """Return what nest_asyncio and its like replace (nest_asyncio 1.6), as it is now."""
    return {
        "asyncio.run": asyncio.run,
        "asyncio.Task": asyncio.Task,
        "asyncio.Future": asyncio.Future,
        "asyncio.Runner.run": asyncio.Runner.run,
        "asyncio.BaseEventLoop.run_until_complete": asyncio.BaseEventLoop.run_until_complete,
    }


def patched_since(before: dict[str, Any]) -> list[str]:
    """Return the names of what has become another object since `before`."""
    now = asyncio_as_it_is()
    return [name for name, value in before.items() if now[name] is not value]


def _count_motor_clients() -> list[Any]:
    made: list[Any] = []
    kind: Any = motor_asyncio.AsyncIOMotorClient  # Any: mypy forbids to replace a method
    make = kind.__init__

    def counting_init(client: Any, *args: Any, **options: Any) -> None:
        made.append(client)
        make(client, *args, **options)

    kind.__init__ = counting_init
    return made


class _Asked(monitoring.CommandListener):
    """Notes the reads that the server answered. Motor sends from a thread of its executor."""

    def __init__(self) -> None:
        self.answered: list[str] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Nothing: it counts when it is answered."""

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        if event.command_name in READS and threading.current_thread() is not threading.main_thread():
            self.answered.append(event.command_name)

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing, as above."""
