"""The explorer: run two to four operations of the backend under every order of their database commands.

`lab.interleavings` calls it, and tests hold the backend's concurrency by it. It covers all orders of the data
commands on `books` (and of the commits), executed one at a time; not the Python interleavings between two
awaits. It knows the server's gate and the drivers' command listeners, and loads a copy of the backend that
lies in some folder; how its results look is for `orders_picture`.

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
import dataclasses
import importlib
import inspect
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from bson import ObjectId
from pymongo import monitoring
from pymongo.errors import OperationFailure

from tocdemo.server import EmbeddedServer, GateState, Pending

from . import inline, orders_picture
from .databases import PREFIX, Database

NAME = f"{PREFIX}explorer"
DATA_COMMANDS = ("find", "insert", "update", "delete", "findAndModify", "aggregate", "count", "distinct")
# An abort is not gated: it only takes back what nobody saw.
COMMIT = "commitTransaction"
LETTERS = "ABCD"
MOST_STEPS = 100  # of one order
MOST = 20_000  # orders; beyond it, nobody waits for the end
BOOKS_AT_ONCE = 100  # books that are made by one command
LOOK_AGAIN = 0.002  # seconds: after this the state is looked at again, never taken for quiet
SAFETY_NET = 30.0  # seconds without any quiet state: the operations wait for something unknown

Operation = Callable[[Any, str], Awaitable[Any]]
_operation: contextvars.ContextVar[str | None] = contextvars.ContextVar("operation", default=None)


class CannotExplore(Exception):
    """The operations cannot be explored, or a schedule does not fit them; the message says why."""


class Step(NamedTuple):
    """A command of an operation, such as A's "find"; `waits` when it met a document that was claimed.

    A command that waited comes a second time, as the step in which it goes on.
    """

    letter: str
    command: str
    waits: bool = False


@dataclass(frozen=True)
class Order:
    """One order: its steps, what each operation gave, and the titles and the version in the book at the end.

    `results` holds for each operation "done", the error's text, or "used up K attempts".
    """

    steps: tuple[Step, ...]
    results: tuple[str, ...]
    titles: tuple[str, ...]
    version: int

    @property
    def schedule(self) -> str:
        """The letters of the operations in order; `replay` takes it."""
        return "".join(step.letter for step in self.steps)

    @property
    def loses(self) -> bool:
        """Whether a change is missing although its caller was told that it was done.

        Every change raises the version by one, so the version counts those that are in the book.
        """
        return self.version - 1 < self.results.count("done")

    @property
    def used_up(self) -> bool:
        """Whether an operation was ended because it had made all the attempts that it was given."""
        return any(result.startswith(USED_UP) for result in self.results)

    @property
    def fails(self) -> bool:
        """Whether a caller got an error of the operation's own."""
        return any(result != "done" and not result.startswith(USED_UP) for result in self.results)

    def __str__(self) -> str:
        return orders_picture.order_line(self)


USED_UP = "used up "


@dataclass(frozen=True)
class Orders:
    """Orders of some operations, by their schedules. In a notebook they show themselves as diagrams.

    `covers` says what was explored; `attempts` is the bound that was given, if any; `seconds` how long it
    took.
    """

    orders: tuple[Order, ...]
    covers: str
    attempts: int | None = None
    seconds: float = dataclasses.field(default=0.0, compare=False)

    @property
    def losing(self) -> tuple[Order, ...]:
        """The orders in which a change was lost silently."""
        return tuple(order for order in self.orders if order.loses)

    @property
    def using_up(self) -> tuple[Order, ...]:
        """The orders in which an operation used up its attempts."""
        return tuple(order for order in self.orders if order.used_up)

    @property
    def failing(self) -> tuple[Order, ...]:
        """The orders in which a caller got an error of the operation's own."""
        return tuple(order for order in self.orders if order.fails)

    @property
    def commands(self) -> int:
        """How many gated commands were sent in all orders together."""
        return sum(not step.waits for order in self.orders for step in order.steps)

    def outcomes(self) -> dict[tuple[tuple[str, ...], tuple[str, ...], int], list[Order]]:
        """Return the orders with equal results, titles and version, grouped by these."""
        groups: dict[Any, list[Order]] = collections.defaultdict(list)
        for order in self.orders:
            groups[order.results, order.titles, order.version].append(order)
        return dict(groups)

    def __str__(self) -> str:
        return orders_picture.text(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {
            "text/plain": str(self),
            "text/html": orders_picture.html(self),
            "application/vnd.tocdemo.orders+json": self.to_json(),
        }

    def to_json(self) -> dict[str, Any]:
        """Return the counts as plain data."""
        return {
            "orders": len(self.orders),
            "losing": len(self.losing),
            "using_up": len(self.using_up),
            "failing": len(self.failing),
            "commands": self.commands,
            "covers": self.covers,
        }


def add(title: str) -> Operation:
    """Return the operation that adds a chapter of this title."""
    return lambda toc, book: toc.add_chapter_with_transaction(book, {"title": title, "level": 1}, OWNER)


def rename(chapter: str, title: str) -> Operation:
    """Return the operation that gives the chapter with this id another title. The book has ch1 and ch2."""
    return lambda toc, book: toc.update_chapter_with_transaction(book, chapter, {"title": title}, OWNER)


def replace_toc(*titles: str, expected_version: int | None = None) -> Operation:
    """Return the operation that replaces the whole table of contents. The book's version is 1."""
    chapters = [{"title": title, "level": 1} for title in titles]
    toc_data = {"chapters": chapters, "expected_version": expected_version}
    return lambda toc, book: toc.update_toc_with_transaction(book, toc_data, OWNER)


OWNER = "user_1"


def explore(
    folder: Path,
    operations: Sequence[Operation],
    *,
    driver: str = "motor",
    replica_set: bool = False,
    attempts: int | None = None,
) -> Orders:
    """Run the operations of the backend in `folder` under every order of their commands on `books`.

    An operation is called with the module `toc_transactions` and a book's id; `add`, `rename` and
    `replace_toc` make some. There may be two to four. `driver` is "motor" or "pymongo". With `replica_set`
    the server is a replica set of one; then a transaction's commit is a step, too. With `attempts=K` an
    operation that reads for the K+1st time is ended there, and its result is "used up K attempts".

    Each order starts from a new book. The server is one of our own, also when TOCDEMO_MONGO_URI is set: a
    real one has no gate. Random waits before another attempt, the backend's and the driver's, are left out.
    Raises CannotExplore, also beyond MOST orders.
    """
    return _in_thread(folder, operations, driver, replica_set, attempts, _all_orders)


def replay(
    folder: Path,
    operations: Sequence[Operation],
    schedule: str,
    *,
    driver: str = "motor",
    replica_set: bool = False,
    attempts: int | None = None,
) -> Orders:
    """Run one order again, given the whole `schedule` that an Order names, such as "ABAB".

    Raises CannotExplore when the operations have no such order.
    """

    async def once(explorer: _Explorer) -> list[_Ending]:
        ending, _ = await explorer.run(schedule)
        if ending.schedule != schedule:
            raise CannotExplore(
                f"The schedule {schedule!r} ends early: the whole order is {ending.schedule!r}"
            )
        return [ending]

    return _in_thread(folder, operations, driver, replica_set, attempts, once)


async def _all_orders(explorer: "_Explorer") -> "list[_Ending]":
    """Depth first: run a prefix to its end, then go back to the last step that had another choice."""
    endings, prefix = [], ""
    while len(endings) < MOST:
        ending, choices = await explorer.run(prefix)
        endings.append(ending)
        for place in reversed(range(len(choices))):
            later = [letter for letter in choices[place] if letter > ending.schedule[place]]
            if later:
                prefix = ending.schedule[:place] + later[0]
                break
        else:
            return endings
    raise CannotExplore(f"There are more than {MOST} orders: explore fewer operations, or give `attempts`")


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


@dataclass(frozen=True)
class _Ending:
    """An order that was run: all but the book, which is read with all others in the end."""

    book: ObjectId
    steps: tuple[Step, ...]
    results: tuple[str, ...]

    @property
    def schedule(self) -> str:
        return "".join(step.letter for step in self.steps)

    def order(self, stored: dict) -> Order:
        titles = tuple(sorted(chapter["title"] for chapter in stored["chapters"]))
        return Order(self.steps, self.results, titles, stored["version"])


class _Explorer:
    """Runs the operations once for each schedule that it is given, on one loop and one client."""

    def __init__(
        self,
        gate: Any,
        owners: _Owners,
        base: Any,
        toc: Any,
        operations: Sequence[Operation],
        attempts: int | None,
        stopped: threading.Event,
    ) -> None:
        self.gate, self.owners, self.base, self.toc = gate, owners, base, toc
        self.operations = dict(zip(LETTERS, operations, strict=False))
        self.attempts = attempts
        self.stopped = stopped
        self._changed = asyncio.Event()
        self._over = 0  # operations of the present order that came to an end
        self._books: list[ObjectId] = []

    async def run(self, schedule: str) -> tuple[_Ending, list[list[str]]]:
        """Follow `schedule`, then always the first choice. Returns how it ended, and each step's choices."""
        book = await self._new_book()
        self._loop = asyncio.get_running_loop()
        self._over = 0
        self.owners.by_request.clear()
        tasks: dict[str, asyncio.Task] = {}
        end = self.gate.on_change(self._wake)
        try:
            with self.gate.hold(accepts=self._is_step, after_waiting=True):
                tasks |= {letter: self._start(letter, book) for letter in self.operations}
                steps, choices = await self._steps(schedule, tasks)
        finally:
            end()
            for task in tasks.values():
                task.cancel()  # those that are over do not mind
            given = await asyncio.gather(*tasks.values(), return_exceptions=True)
        results = tuple(_told(each) for each in given)
        return _Ending(book, tuple(steps), results), choices

    async def orders(self, endings: Sequence[_Ending]) -> tuple[Order, ...]:
        """Return the orders with what is in their books by now."""
        found = await self.base.books_collection.find({}, {"table_of_contents": 1}).to_list(None)
        stored = {book["_id"]: book["table_of_contents"] for book in found}
        return tuple(ending.order(stored[ending.book]) for ending in endings)

    def _is_step(self, pending: Pending) -> bool:
        if pending.request_id not in self.owners.by_request:
            return False
        on_books = pending.collection == "books" and pending.command in DATA_COMMANDS
        return on_books or pending.command == COMMIT

    async def _new_book(self) -> ObjectId:
        if not self._books:
            self._books = [ObjectId() for _ in range(BOOKS_AT_ONCE)]
            chapters = [{"id": f"ch{n}", "title": f"Chapter {n}", "level": 1, "order": n} for n in (1, 2)]
            book = {"owner_id": OWNER, "table_of_contents": {"version": 1, "chapters": chapters}}
            await self.base.books_collection.insert_many([{"_id": each, **book} for each in self._books])
        return self._books.pop()

    def _start(self, letter: str, book: ObjectId) -> asyncio.Task:
        async def operation() -> Any:
            try:
                return await self.operations[letter](self.toc, str(book))
            finally:
                self._over += 1
                self._changed.set()

        context = contextvars.copy_context()
        context.run(_operation.set, letter)
        return self._loop.create_task(operation(), context=context)

    def _wake(self, state: GateState) -> None:
        """Called by the gate's threads at every change: wake the loop when all may be quiet."""
        at_rest = len(state.held) + len(state.blocked) + self._over >= len(self.operations)
        if at_rest and not state.running:
            self._loop.call_soon_threadsafe(self._changed.set)

    async def _steps(
        self, schedule: str, tasks: dict[str, asyncio.Task]
    ) -> tuple[list[Step], list[list[str]]]:
        steps: list[Step] = []
        choices: list[list[str]] = []
        begun = _Attempts(self.attempts)
        released = None
        while True:
            state = await self._quiet(tasks)
            if any(each.ticket == released for each in state.blocked):
                steps[-1] = steps[-1]._replace(waits=True)
            held = {self.owners.by_request[each.request_id]: each for each in state.held}
            if not held:
                return steps, choices
            done = [letter for letter, command in held.items() if begun.used_up(letter, command)]
            if done:
                self.gate.refuse(held[done[0]], _exhausted(self.attempts))
                continue
            if len(steps) == MOST_STEPS:
                raise CannotExplore(f"An order has no end after {MOST_STEPS} steps: give `attempts`")
            wanted = schedule[len(steps)] if len(steps) < len(schedule) else min(held)
            if wanted not in held:
                raise CannotExplore(
                    f"Step {len(steps) + 1} of {schedule!r} is {wanted!r}, but only {sorted(held)} can go on"
                )
            begun.note(wanted, held[wanted])
            steps.append(Step(wanted, held[wanted].command))
            choices.append(sorted(held))
            released = held[wanted].ticket
            self.gate.release(held[wanted])

    async def _quiet(self, tasks: dict[str, asyncio.Task]) -> GateState:
        """Wait until no operation can go on by itself. Nothing is held then only when all are over."""
        end = self._loop.time() + SAFETY_NET
        while not self.stopped.is_set() and self._loop.time() < end:
            self._changed.clear()
            state = self.gate.state
            if not state.running and self._at_rest(state, tasks):
                return state
            timer = self._loop.call_later(LOOK_AGAIN, self._changed.set)
            await self._changed.wait()
            timer.cancel()
        raise CannotExplore(f"Stopped, or not quiet within {SAFETY_NET:g} s: {self.gate.state}")

    def _at_rest(self, state: GateState, tasks: dict[str, asyncio.Task]) -> bool:
        """Whether each operation is held, blocked, over, or waits for a lock. Raises when they are stuck."""
        waiting = {self.owners.by_request.get(each.request_id) for each in (*state.held, *state.blocked)}
        active = [letter for letter, task in tasks.items() if letter not in waiting and not task.done()]
        if not all(_waits_for_lock(tasks[letter]) for letter in active):
            return False
        if not state.held and len(active) + len(state.blocked) > 0:
            raise CannotExplore(f"Stuck: {sorted({*active, *waiting})} wait for each other")
        return True


class _Attempts:
    """Counts the attempts of each operation: one begins with each command like the operation's first one."""

    def __init__(self, most: int | None) -> None:
        self.most = most
        self._first: dict[str, str] = {}
        self._tickets: dict[str, set[int]] = collections.defaultdict(set)

    def note(self, letter: str, command: Pending) -> None:
        """The operation goes on with this command. (One that waited for a document goes on twice.)"""
        if self._first.setdefault(letter, command.command) == command.command:
            self._tickets[letter].add(command.ticket)

    def used_up(self, letter: str, command: Pending) -> bool:
        """Whether this command would begin an attempt too many."""
        made = self._tickets[letter]
        return (
            self.most is not None
            and len(made) >= self.most
            and command.command == self._first[letter]
            and command.ticket not in made
        )


def _exhausted(attempts: int | None) -> str:
    return f"{USED_UP}{attempts} attempt{'' if attempts == 1 else 's'}"


def _told(given: Any) -> str:
    """Return what an operation's caller was told."""
    if not isinstance(given, BaseException):
        return "done"
    if isinstance(given, OperationFailure) and (given.details or {}).get("errmsg", "").startswith(USED_UP):
        return given.details["errmsg"]
    # PyMongo adds the whole reply, with the time of the cluster: no two of them are equal.
    return f"{type(given).__name__}: {str(given).partition(', full error: ')[0]}"


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


def _in_thread(
    folder: Path,
    operations: Sequence[Operation],
    driver: str,
    replica_set: bool,
    attempts: int | None,
    work: Callable[[_Explorer], Awaitable[list[_Ending]]],
) -> Orders:
    """Do `work(explorer)` on an event loop of its own: a notebook's thread has one that runs already."""
    if not 2 <= len(operations) <= len(LETTERS):
        raise CannotExplore(f"Expected two to four operations, found {len(operations)}")
    if driver not in ("motor", "pymongo"):
        raise CannotExplore(f"Expected the driver 'motor' or 'pymongo', found {driver!r}")
    if attempts is not None and attempts < 1:
        raise CannotExplore(f"Expected attempts=1 or more, found {attempts}")
    given: dict[str, Any] = {}
    begin = time.perf_counter()
    with (
        EmbeddedServer(replica_set="rs0" if replica_set else None) as server,
        _backend(Path(folder), Database(server.uri, NAME, driver)) as (owners, base, toc, close),
    ):
        stopped = threading.Event()

        async def main() -> tuple[Order, ...]:
            explorer = _Explorer(server.gate, owners, base, toc, operations, attempts, stopped)
            try:
                return await explorer.orders(await work(explorer))
            finally:
                await close(base._client)

        def run() -> None:
            try:
                given["orders"] = asyncio.run(main())
            except BaseException as error:
                given["error"] = error

        thread = threading.Thread(target=run, name="tocdemo-explorer", daemon=True)
        thread.start()
        try:
            thread.join()
        finally:  # an interrupt of the caller ends the exploration, too
            stopped.set()
            thread.join()
    if "error" in given:
        raise given["error"]
    covers = _coverage(driver, replica_set, attempts)
    return Orders(given["orders"], covers, attempts, time.perf_counter() - begin)


def _coverage(driver: str, replica_set: bool, attempts: int | None) -> str:
    server = "a replica set" if replica_set else "a standalone"
    commits = " and of the commits" if replica_set else ""
    bound = f" An operation ends after {attempts} attempts." if attempts else ""
    return (
        f"Covered: the orders of the data commands on `books`{commits}, one at a time, with {driver} on "
        f"{server}. Not covered: what Python may do between two awaits.{bound}"
    )


@contextlib.contextmanager
def _backend(folder: Path, database: Database) -> Iterator[tuple[_Owners, Any, Any, Callable]]:
    """Import the backend that lies in `folder` afresh, with a listener at its client from the start."""
    if not (folder / "app").is_dir():
        raise CannotExplore(f"There is no backend in {folder}: expected a folder `app` there")
    owners = _Owners()
    with inline.as_before(folder, None), pytest.MonkeyPatch.context() as patch:
        for name, value in database.environment().items():
            patch.setenv(name, value)
        patch.syspath_prepend(str(folder))
        drivers = importlib.import_module("app.db.driver")
        make_client = drivers.make_client
        drivers.make_client = lambda settings, **options: make_client(
            settings, event_listeners=[owners], **options
        )
        base = importlib.import_module("app.db.base")
        toc = importlib.import_module("app.db.toc_transactions")
        if hasattr(toc, "_back_off"):
            toc._back_off = _no_wait
        # PyMongo 4.16 and later wait by chance before with_transaction tries again.
        patch.setattr("pymongo.asynchronous.client_session._BACKOFF_MAX", 0, raising=False)
        yield owners, base, toc, drivers.close_client


async def _no_wait(attempt: int) -> None:
    """Stand for the backend's random wait, which would only make an exploration slower."""
