"""The explorer: run two to four operations of the backend under every order of their database commands.

Tests hold the backend's concurrency by it, and notebooks may call it. It covers all orders of the data
commands on `books`, executed one at a time; not the Python interleavings between two awaits. It knows the
server's gate and the drivers' command listeners, and loads a copy of the backend that lies in some folder.

How a command finds its operation: each operation runs in a context of its own, a context variable names it
(Motor carries the context into its executor), a command listener notes the request id that the driver gives
the command, and the gate sees the same id in the frame. How quiet is known: every operation is held at the
gate, blocked in the server, waiting for a lock, or finished; nothing is decided by a time-out. Timers are
let run out.
"""

import asyncio
import collections
import contextlib
import contextvars
import importlib
import inspect
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import monitoring

from tocdemo.server import EmbeddedServer, Pending

from . import inline

DATABASE = "toctest_interleavings"
COMMANDS = ("find", "insert", "update", "delete", "findAndModify", "aggregate", "count", "distinct")
LETTERS = "ABCD"
LOOK_AGAIN = 0.002  # seconds: after this the state is looked at again, never taken for quiet
SAFETY_NET = 30.0  # seconds without any quiet state: the operations wait for something unknown

Operation = Callable[[Any, str], Awaitable[Any]]
_operation: contextvars.ContextVar[str | None] = contextvars.ContextVar("operation", default=None)


class CannotExplore(Exception):
    """The operations cannot be explored, or a schedule does not fit them; the message says why."""


@dataclass(frozen=True)
class Order:
    """One order: its steps such as ("A", "find"), what each operation gave, and the titles in the book.

    `results` holds "done" or the error's text, for each operation.
    """

    steps: tuple[tuple[str, str], ...]
    results: tuple[str, ...]
    titles: tuple[str, ...]
    version: int

    @property
    def schedule(self) -> str:
        """The letters of the operations in order; `replay` takes it."""
        return "".join(letter for letter, _ in self.steps)

    @property
    def loses(self) -> bool:
        """Whether a change is missing although its caller was told that it was done.

        Every change raises the version by one, so the version counts those that are in the book.
        """
        return self.version - 1 < self.results.count("done")

    def __str__(self) -> str:
        steps = "  ".join(f"{letter} {command}" for letter, command in self.steps)
        return f"{steps}  ->  {', '.join(self.titles)}{'  LOST' if self.loses else ''}"


@dataclass(frozen=True)
class Orders:
    """Every order of some operations, in the order of their schedules."""

    orders: tuple[Order, ...]

    @property
    def losing(self) -> tuple[Order, ...]:
        """The orders in which a change was lost silently."""
        return tuple(order for order in self.orders if order.loses)

    def outcomes(self) -> dict[tuple[tuple[str, ...], tuple[str, ...], int], list[Order]]:
        """Return the orders with equal results, titles and version, grouped by these."""
        groups: dict[Any, list[Order]] = collections.defaultdict(list)
        for order in self.orders:
            groups[order.results, order.titles, order.version].append(order)
        return dict(groups)

    def __str__(self) -> str:
        lines = [
            f"{len(self.orders)} orders of the data commands on `books`, one command at a time; "
            f"{len(self.losing)} lose a change"
        ]
        for (results, titles, _), orders in self.outcomes().items():
            told = "" if set(results) == {"done"} else f" ({'; '.join(results)})"
            mark = "LOST" if orders[0].loses else "kept"
            lines.append(f"{len(orders):>4}  {mark}  {', '.join(titles)}{told}, such as {orders[0].schedule}")
        return "\n".join(lines)


def add(title: str) -> Operation:
    """Return the operation that adds a chapter of this title."""
    return lambda toc, book: toc.add_chapter_with_transaction(book, {"title": title, "level": 1}, "user_1")


def rename(chapter: str, title: str) -> Operation:
    """Return the operation that gives the chapter with this id another title. The book has ch1 and ch2."""
    return lambda toc, book: toc.update_chapter_with_transaction(book, chapter, {"title": title}, "user_1")


def explore(folder: Path, operations: Sequence[Operation], *, driver: str = "motor") -> Orders:
    """Run the operations of the backend in `folder` under every order of their commands on `books`.

    An operation is called with the module `toc_transactions` and a book's id; `add` and `rename` make some.
    There may be two to four. `driver` is "motor" or "pymongo". Each order starts from a new book. The server
    is one of our own, also when TOCDEMO_MONGO_URI is set: a real one has no gate. The backend's random wait
    before another attempt is left out. Raises CannotExplore.
    """
    return Orders(tuple(_in_thread(folder, operations, driver, _all_orders)))


def replay(folder: Path, operations: Sequence[Operation], schedule: str, *, driver: str = "motor") -> Order:
    """Run one order again, given the whole `schedule` that an Order names, such as "ABAB".

    Raises CannotExplore when the operations have no such order.
    """

    async def once(explorer: _Explorer) -> Order:
        order, _ = await explorer.run(schedule)
        if order.schedule != schedule:
            raise CannotExplore(
                f"The schedule {schedule!r} ends early: the whole order is {order.schedule!r}"
            )
        return order

    return _in_thread(folder, operations, driver, once)


async def _all_orders(explorer: "_Explorer") -> list[Order]:
    """Depth first: run a prefix to its end, then go back to the last step that had another choice."""
    orders, prefix = [], ""
    while True:
        order, choices = await explorer.run(prefix)
        orders.append(order)
        for place in reversed(range(len(choices))):
            later = [letter for letter in choices[place] if letter > order.schedule[place]]
            if later:
                prefix = order.schedule[:place] + later[0]
                break
        else:
            return orders


class _Owners(monitoring.CommandListener):
    """Notes which operation each request id belongs to, on the thread (or task) that sends the command."""

    def __init__(self) -> None:
        self.by_request: dict[int, str] = {}

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        letter = _operation.get()
        if letter is not None:
            self.by_request[event.request_id] = letter

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing: the gate says when a command is over."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing, as above."""


class _Explorer:
    """Runs the operations once for each schedule that it is given, on one loop and one client."""

    def __init__(
        self, gate: Any, owners: _Owners, base: Any, toc: Any, operations: Sequence[Operation]
    ) -> None:
        self.gate, self.owners, self.base, self.toc = gate, owners, base, toc
        self.operations = dict(zip(LETTERS, operations, strict=False))
        self.stopped = threading.Event()

    async def run(self, schedule: str) -> tuple[Order, list[list[str]]]:
        """Follow `schedule`, then always the first choice. Returns the order, and each step's choices."""
        book = await self._new_book()
        changed = asyncio.Event()
        loop = asyncio.get_running_loop()
        end = self.gate.on_change(lambda state: loop.call_soon_threadsafe(changed.set))
        self.owners.by_request.clear()
        with self.gate.hold("books", COMMANDS, accepts=lambda p: p.request_id in self.owners.by_request):
            tasks = {letter: self._start(letter, book["_id"]) for letter in self.operations}
            for task in tasks.values():
                task.add_done_callback(lambda _: changed.set())
            try:
                steps, choices = await self._steps(schedule, tasks, changed)
            finally:
                end()
                for task in tasks.values():
                    task.cancel()
        given = await asyncio.gather(*tasks.values(), return_exceptions=True)
        results = tuple(f"{type(e).__name__}: {e}" if isinstance(e, Exception) else "done" for e in given)
        stored = (await self.base.books_collection.find_one({"_id": book["_id"]}))["table_of_contents"]
        titles = tuple(sorted(chapter["title"] for chapter in stored["chapters"]))
        return Order(tuple(steps), results, titles, stored["version"]), choices

    async def _new_book(self) -> dict:
        chapters = [{"id": f"ch{n}", "title": f"Chapter {n}", "level": 1, "order": n} for n in (1, 2)]
        book = {"owner_id": "user_1", "table_of_contents": {"version": 1, "chapters": chapters}}
        await self.base.books_collection.delete_many({})
        await self.base.books_collection.insert_one(book)
        return book

    def _start(self, letter: str, book_id: Any) -> asyncio.Task:
        async def operation() -> Any:
            return await self.operations[letter](self.toc, str(book_id))

        context = contextvars.copy_context()
        context.run(_operation.set, letter)
        return asyncio.get_running_loop().create_task(operation(), context=context)

    async def _steps(
        self, schedule: str, tasks: dict[str, asyncio.Task], changed: asyncio.Event
    ) -> tuple[list[tuple[str, str]], list[list[str]]]:
        steps: list[tuple[str, str]] = []
        choices: list[list[str]] = []
        while True:
            held = await self._quiet(tasks, changed)
            if not held:
                return steps, choices
            wanted = schedule[len(steps)] if len(steps) < len(schedule) else min(held)
            if wanted not in held:
                raise CannotExplore(
                    f"Step {len(steps) + 1} of {schedule!r} is {wanted!r}, but only {sorted(held)} can go on"
                )
            steps.append((wanted, held[wanted].command))
            choices.append(sorted(held))
            self.gate.release(held[wanted])

    async def _quiet(self, tasks: dict[str, asyncio.Task], changed: asyncio.Event) -> dict[str, Pending]:
        """Wait until no operation can go on by itself. Returns the held commands; none when all are over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + SAFETY_NET
        while not self.stopped.is_set() and loop.time() < end:
            changed.clear()
            state = self.gate.state
            held = {self.owners.by_request[each.request_id]: each for each in state.held}
            waiting = {self.owners.by_request.get(each.request_id) for each in state.blocked} | set(held)
            active = [letter for letter, task in tasks.items() if not task.done() and letter not in waiting]
            locked = [letter for letter in active if _waits_for_lock(tasks[letter])]
            if not state.running and len(locked) == len(active):
                if not held and not all(task.done() for task in tasks.values()):
                    raise CannotExplore(f"Stuck: {sorted(waiting | set(locked))} wait for each other")
                return held
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), LOOK_AGAIN)
        raise CannotExplore(f"Stopped, or not quiet within {SAFETY_NET:g} s: {self.gate.state}")


def _waits_for_lock(task: asyncio.Task) -> bool:
    """Whether the operation waits for a lock of asyncio's that is its own, not one inside the driver."""
    waiter = getattr(task, "_fut_waiter", None)
    if waiter is None or waiter.done():
        return False
    code, coroutine = None, task.get_coro()
    while inspect.iscoroutine(coroutine):
        code = coroutine.cr_code
        if "pymongo" in Path(code.co_filename).parts:
            return False
        coroutine = coroutine.cr_await
    return code is not None and code.co_filename == asyncio.locks.__file__


# --- the thread, the server and the backend's modules ------------------------------------------------------


def _in_thread(folder: Path, operations: Sequence[Operation], driver: str, work: Callable) -> Any:
    """Do `work(explorer)` on an event loop of its own: a notebook's thread has one that runs already."""
    if not 2 <= len(operations) <= len(LETTERS):
        raise CannotExplore(f"Expected two to four operations, found {len(operations)}")
    if driver not in ("motor", "pymongo"):
        raise CannotExplore(f"Expected the driver 'motor' or 'pymongo', found {driver!r}")
    given: dict[str, Any] = {}
    with EmbeddedServer() as server, _backend(Path(folder), server.uri, driver) as (owners, base, toc, close):
        explorer = _Explorer(server.gate, owners, base, toc, operations)

        async def main() -> Any:
            try:
                return await work(explorer)
            finally:
                await close(base._client)

        def run() -> None:
            try:
                given["result"] = asyncio.run(main())
            except BaseException as error:
                given["error"] = error

        thread = threading.Thread(target=run, name="tocdemo-interleavings", daemon=True)
        thread.start()
        try:
            thread.join()
        finally:  # an interrupt of the caller ends the exploration, too
            explorer.stopped.set()
            thread.join()
    if "error" in given:
        raise given["error"]
    return given["result"]


@contextlib.contextmanager
def _backend(folder: Path, uri: str, driver: str) -> Iterator[tuple[_Owners, Any, Any, Callable]]:
    """Import the backend that lies in `folder` afresh, with a listener at its client from the start."""
    if not (folder / "app").is_dir():
        raise CannotExplore(f"There is no backend in {folder}: expected a folder `app` there")
    owners = _Owners()
    with inline.as_before(folder, None):
        os.environ.update(DATABASE_URI=uri, DATABASE_NAME=DATABASE, DATABASE_DRIVER=driver)
        sys.path.insert(0, str(folder))
        drivers = importlib.import_module("app.db.driver")
        make_client = drivers.make_client
        drivers.make_client = lambda settings, **options: make_client(
            settings, event_listeners=[owners], **options
        )
        base = importlib.import_module("app.db.base")
        toc = importlib.import_module("app.db.toc_transactions")
        if hasattr(toc, "_back_off"):
            toc._back_off = _no_wait
        yield owners, base, toc, drivers.close_client


async def _no_wait(attempt: int) -> None:
    """Stand for the backend's random wait, which would only make an exploration slower."""
