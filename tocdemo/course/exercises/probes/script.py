"""The question of a script: what it prints, how it ends, and what it asks of the database, and how.

The script is run as a program, with a database of its own whose collection `library.books` holds some books:
their number cannot be known to the script.
"""

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
    asyncios = Asyncio()
    asked = _Asked(asyncios)
    with databases.open_database("embedded") as own:
        os.environ.update(own.environment())
        books = random.randint(101, 399)
        with MongoClient[dict[str, Any]](own.uri) as client:
            client["library"]["books"].insert_many([{"n": number} for number in range(books)])
        monitoring.register(asked)
        made = _count_motor_clients()
        printed = Kept()
        run_program(folder / script, [], printed, notes)
        notes.add(
            "script",
            printed=printed.getvalue(),
            books=books,
            motor_clients=len(made),
            asked=asked.answered,
            patched=asyncios.patched(),
        )


def run_program(file: Path, arguments: list[str], printed: Kept, notes: Notes) -> Any:
    """Run a Python file as a program, and note the error that it ends with, if there is one.

    Returns what it passes to `sys.exit`: 0 for nothing.
    """
    sys.argv[:] = [str(file), *arguments]
    sys.path.insert(0, str(file.parent))
    streams, sys.stdout, sys.stderr = (sys.stdout, sys.stderr), printed, Kept()
    try:
        runpy.run_path(str(file), run_name="__main__")
    except SystemExit as end:
        if end.code not in (None, 0):
            notes.add("exit", code=end.code)
        return end.code or 0
    except BaseException as error:
        notes.raised("raised", error)
    finally:
        sys.stdout, sys.stderr = streams
    return 0


class Asyncio:
    """asyncio as it was, to say what has become another object since: at any of the looks."""

    def __init__(self) -> None:
        self._before = _functions_of_asyncio()
        self._changed: set[str] = set()

    def look(self) -> None:
        """See what is another object now, though it may be put back later."""
        now = _functions_of_asyncio()
        self._changed |= {name for name, value in self._before.items() if now.get(name) is not value}

    def patched(self) -> list[str]:
        """Return the names of what was another object, the shortest first."""
        self.look()
        return sorted(self._changed, key=lambda name: (len(name), name))


def _functions_of_asyncio() -> dict[str, Any]:
    """Return asyncio's functions and classes, and the methods of its classes, by their names."""
    found: dict[str, Any] = {}
    for path, module in list(sys.modules.items()):
        if path.partition(".")[0] == "asyncio":
            own = {name: value for name, value in list(vars(module).items()) if callable(value)}
            found |= {f"{path}.{name}": value for name, value in own.items()}
            for kind in own.values():
                if isinstance(kind, type) and kind.__module__.partition(".")[0] in ("asyncio", "_asyncio"):
                    methods = {name: each for name, each in vars(kind).items() if hasattr(each, "__get__")}
                    found |= {f"asyncio.{kind.__name__}.{name}": each for name, each in methods.items()}
    return found


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

    def __init__(self, asyncios: Asyncio) -> None:
        self.answered: list[str] = []
        self._asyncios = asyncios

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """It counts when it is answered; but asyncio may be patched now, and not any more at the end."""
        self._asyncios.look()

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        if event.command_name in READS and threading.current_thread() is not threading.main_thread():
            self.answered.append(event.command_name)

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing, as above."""
