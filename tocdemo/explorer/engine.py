"""The explorer: run two to four operations of the backend under every order of their database commands.

It covers all orders of the data commands on `books` (and of the commits), executed one at a time; not the
Python interleavings between two awaits. Knows nothing of how one order is run, nor of how orders look.
"""

import asyncio
import contextlib
import functools
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tocdemo.errors import CannotExplore
from tocdemo.runner import threads
from tocdemo.runner.databases import PREFIX, Database
from tocdemo.server import EmbeddedServer

from . import backend
from .backend import Notes, Operation
from .orders import LETTERS, Order, Orders
from .processes import Processes
from .stepper import Ending, Signal, Stepper

NAME = f"{PREFIX}explorer"
MOST = 20_000  # orders; beyond it, nobody waits for the end


def explore(
    folder: Path,
    operations: Sequence[Operation],
    *,
    driver: str = "motor",
    replica_set: bool = False,
    attempts: int | None = None,
    processes: bool = False,
) -> Orders:
    """Run the operations of the backend in `folder` under every order of their commands on `books`.

    An operation is called with the module `toc_transactions` and a book's id; `add`, `rename` and
    `replace_toc` make some. There may be two to four. `driver` is "motor" or "pymongo". With `replica_set`
    the server is a replica set of one; then a transaction's commit is a step, too. With `attempts=K` an
    operation that reads for the K+1st time is ended there, and its result is "used up K attempts". With
    `processes` each operation runs in a Python process of its own; then it must be one that can be pickled.

    Each order starts from a new book. The server is one of our own, also when TOCDEMO_MONGO_URI is set: a
    real one has no gate. Random waits before another attempt, the backend's and the driver's, are left out.
    Raises CannotExplore, also beyond MOST orders.
    """
    options = _Options(driver, replica_set, attempts, processes)
    return _in_thread(Path(folder), operations, options, _all_orders, "every order")


def replay(
    folder: Path,
    operations: Sequence[Operation],
    schedule: str,
    *,
    driver: str = "motor",
    replica_set: bool = False,
    attempts: int | None = None,
    processes: bool = False,
) -> Orders:
    """Run one order again, given the whole `schedule` that an Order names, such as "ABAB".

    Raises CannotExplore when the operations have no such order.
    """

    async def once(stepper: Stepper) -> list[Ending]:
        ending, _ = await stepper.run(schedule)
        if ending.schedule != schedule:
            raise CannotExplore(
                f"The schedule {schedule!r} ends early: the whole order is {ending.schedule!r}"
            )
        return [ending]

    options = _Options(driver, replica_set, attempts, processes)
    return _in_thread(Path(folder), operations, options, once, "this one order")


async def _all_orders(stepper: Stepper) -> list[Ending]:
    """Depth first: run a prefix to its end, then go back to the last step that had another choice."""
    endings: list[Ending] = []
    prefix = ""
    while len(endings) < MOST:
        ending, choices = await stepper.run(prefix)
        endings.append(ending)
        for place in reversed(range(len(choices))):
            later = [letter for letter in choices[place] if letter > ending.schedule[place]]
            if later:
                prefix = ending.schedule[:place] + later[0]
                break
        else:
            return endings
    raise CannotExplore(f"There are more than {MOST} orders: explore fewer operations, or give `attempts`")


@dataclass(frozen=True)
class _Options:
    driver: str
    replica_set: bool
    attempts: int | None
    processes: bool

    def check(self) -> None:
        if self.driver not in ("motor", "pymongo"):
            raise CannotExplore(f"Expected the driver 'motor' or 'pymongo', found {self.driver!r}")
        if self.attempts is not None and self.attempts < 1:
            raise CannotExplore(f"Expected attempts=1 or more, found {self.attempts}")

    def coverage(self, what: str) -> str:
        server = "a replica set" if self.replica_set else "a standalone"
        commits = " and of the commits" if self.replica_set else ""
        processes = ", each operation in a process of its own" if self.processes else ""
        bound = f" An operation ends after {self.attempts} attempts." if self.attempts else ""
        return (
            f"Covered: {what} of the data commands on `books`{commits}, one at a time, with "
            f"{self.driver} on {server}{processes}. "
            f"Not covered: what Python may do between two awaits.{bound}"
        )


# --- the thread and the server -----------------------------------------------------------------------------

Work = Callable[[Stepper], Awaitable[list[Ending]]]


def _in_thread(
    folder: Path, operations: Sequence[Operation], options: _Options, work: Work, what: str
) -> Orders:
    """Do `work` on an event loop of its own: a notebook's thread has one that runs already."""
    if not 2 <= len(operations) <= len(LETTERS):
        raise CannotExplore(f"Expected two to four operations, found {len(operations)}")
    options.check()
    lettered = dict(zip(LETTERS, operations, strict=False))
    stopped = threading.Event()
    begin = time.perf_counter()
    orders = threads.do(
        lambda: asyncio.run(_work(folder, lettered, options, stopped, work)),
        "tocdemo-explorer",
        stopped.set,
    )
    return Orders(orders, options.coverage(what), options.attempts, time.perf_counter() - begin)


async def _work(
    folder: Path, operations: Mapping[str, Operation], options: _Options, stopped: threading.Event, work: Work
) -> tuple[Order, ...]:
    changed = Signal()
    notes = Notes(changed.send) if options.processes else Notes()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(EmbeddedServer(replica_set="rs0" if options.replica_set else None))
        database = Database(server.uri, NAME, options.driver)
        opened = stack.enter_context(backend.opened(folder, database, notes))
        calls: dict[str, Callable[[str], Awaitable[Any]]]
        if options.processes:
            processes = Processes(folder, database, operations, notes)
            stack.callback(processes.close)
            calls = {letter: functools.partial(processes.run, letter) for letter in operations}
        else:
            calls = {letter: functools.partial(call, opened.toc) for letter, call in operations.items()}
        stepper = Stepper(
            calls,
            opened.base.books_collection,
            server.gate,
            notes,
            changed,
            stopped,
            attempts=options.attempts,
            told_later=options.processes,
        )
        try:
            return await stepper.orders(await work(stepper))
        finally:
            await opened.close_client(opened.base._client)
