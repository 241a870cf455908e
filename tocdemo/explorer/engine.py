"""The explorer: run two to four operations of the backend under every order of their database commands.

It covers all orders of the data commands on `books` (and of the commits), executed one at a time; not the
Python interleavings between two awaits. It knows the server's gate, and neither how a backend is loaded nor
how results look.

How a command finds its operation: each operation runs in a context of its own, a context variable names it
(Motor carries the context into its executor), a command listener notes the connection and the request id of
the command, and the gate sees the same two at the frame. How quiet is known: every operation is held at the
gate, blocked in the server, waiting for a lock, or finished; nothing is decided by a time-out. Timers are
let run out.
"""

import asyncio
import collections
import contextlib
import functools
import inspect
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bson import ObjectId

from tocdemo.runner import threads
from tocdemo.runner.databases import PREFIX, Database
from tocdemo.server import EmbeddedServer, GateState, Pending

from . import backend, processes
from .backend import CannotExplore, Notes, Operation, Sent
from .operations import OWNER
from .orders import USED_UP, Order, Orders, Step

NAME = f"{PREFIX}explorer"
DATA_COMMANDS = ("find", "insert", "update", "delete", "findAndModify", "aggregate", "count", "distinct")
# An abort is no step: it runs as soon as it is sent, and takes back what nobody saw.
COMMIT = "commitTransaction"
LETTERS = "ABCD"
MOST_STEPS = 100  # of one order
MOST = 20_000  # orders; beyond it, nobody waits for the end
BOOKS_AT_ONCE = 100  # books that are made by one command
LOOK_AGAIN = 0.002  # seconds: after this the state is looked at again, never taken for quiet
SAFETY_NET = 30.0  # seconds without any quiet state: the operations wait for something unknown


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

    async def once(explorer: _Explorer) -> list[_Ending]:
        ending, _ = await explorer.run(schedule)
        if ending.schedule != schedule:
            raise CannotExplore(
                f"The schedule {schedule!r} ends early: the whole order is {ending.schedule!r}"
            )
        return [ending]

    options = _Options(driver, replica_set, attempts, processes)
    return _in_thread(Path(folder), operations, options, once, "this one order")


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
        self, gate: Any, books: Any, notes: Notes, attempts: int | None, stopped: threading.Event
    ) -> None:
        self.gate, self.books, self.notes = gate, books, notes
        self.attempts, self.stopped = attempts, stopped
        self.operations: dict[str, Callable[[str], Awaitable[Any]]] = {}
        self.told_later = False  # whether a command can be held before it is known whose it is
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._over = 0  # operations of the present order that came to an end
        self._new_books: list[ObjectId] = []

    def look_again(self) -> None:
        """Look at the state once more; called on any thread."""
        self._loop.call_soon_threadsafe(self._changed.set)

    async def run(self, schedule: str) -> tuple[_Ending, list[list[str]]]:
        """Follow `schedule`, then always the first choice. Returns how it ended, and each step's choices."""
        book = await self._new_book()
        self._over = 0
        self.notes.clear()
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
        broken = [each for each in given if isinstance(each, CannotExplore)]
        if broken:
            raise broken[0]
        return _Ending(book, tuple(steps), tuple(map(backend.told, given))), choices

    async def orders(self, endings: Sequence[_Ending]) -> tuple[Order, ...]:
        """Return the orders with what is in their books by now."""
        found = await self.books.find({}, {"table_of_contents": 1}).to_list(None)
        stored = {book["_id"]: book["table_of_contents"] for book in found}
        return tuple(ending.order(stored[ending.book]) for ending in endings)

    def _is_step(self, pending: Pending) -> bool:
        if not self.told_later and _sent(pending) not in self.notes.owners:
            return False
        on_books = pending.collection == "books" and pending.command in DATA_COMMANDS
        return on_books or pending.command == COMMIT

    async def _new_book(self) -> ObjectId:
        if not self._new_books:
            self._new_books = [ObjectId() for _ in range(BOOKS_AT_ONCE)]
            chapters = [{"id": f"ch{n}", "title": f"Chapter {n}", "level": 1, "order": n} for n in (1, 2)]
            book = {"owner_id": OWNER, "table_of_contents": {"version": 1, "chapters": chapters}}
            await self.books.insert_many([{"_id": each, **book} for each in self._new_books])
        return self._new_books.pop()

    def _start(self, letter: str, book: ObjectId) -> asyncio.Task:
        async def operation() -> Any:
            try:
                return await self.operations[letter](str(book))
            finally:
                self._over += 1
                self._changed.set()

        return self._loop.create_task(operation(), context=backend.context_of(letter))

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
        released: Pending | None = None
        while True:
            state = await self._quiet(tasks)
            if released is not None:
                waits = any(each.ticket == released.ticket for each in state.blocked)
                effect = "" if waits else self.notes.effects.get(_sent(released), "")
                steps[-1] = steps[-1]._replace(waits=waits, effect=effect)
            held = {self.notes.owners[_sent(each)]: each for each in state.held}
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
            released = held[wanted]
            self.gate.release(released)

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
        waiting = {self.notes.owners.get(_sent(each)) for each in (*state.held, *state.blocked)}
        if None in waiting:
            return False
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


def _sent(pending: Pending) -> Sent:
    return pending.connection_id, pending.request_id


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


# --- the thread and the server -----------------------------------------------------------------------------


def _in_thread(
    folder: Path,
    operations: Sequence[Operation],
    options: _Options,
    work: Callable[[_Explorer], Awaitable[list[_Ending]]],
    what: str,
) -> Orders:
    """Do `work(explorer)` on an event loop of its own: a notebook's thread has one that runs already."""
    if not 2 <= len(operations) <= len(LETTERS):
        raise CannotExplore(f"Expected two to four operations, found {len(operations)}")
    options.check()
    stopped = threading.Event()
    begin = time.perf_counter()
    orders = threads.do(
        lambda: asyncio.run(_work(folder, operations, options, stopped, work)),
        "tocdemo-explorer",
        stopped.set,
    )
    return Orders(orders, options.coverage(what), options.attempts, time.perf_counter() - begin)


async def _work(
    folder: Path,
    operations: Sequence[Operation],
    options: _Options,
    stopped: threading.Event,
    work: Callable[[_Explorer], Awaitable[list[_Ending]]],
) -> tuple[Order, ...]:
    lettered = dict(zip(LETTERS, operations, strict=False))
    notes = Notes()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(EmbeddedServer(replica_set="rs0" if options.replica_set else None))
        database = Database(server.uri, NAME, options.driver)
        opened = stack.enter_context(backend.opened(folder, database, notes))
        explorer = _Explorer(server.gate, opened.base.books_collection, notes, options.attempts, stopped)
        if options.processes:
            explorer.told_later = True
            notes.on_sending = explorer.look_again
            others = processes.Processes(folder, database, lettered, notes)
            stack.callback(others.close)
            explorer.operations = {each: functools.partial(others.run, each) for each in lettered}
        else:
            explorer.operations = {
                letter: functools.partial(operation, opened.toc) for letter, operation in lettered.items()
            }
        try:
            return await explorer.orders(await work(explorer))
        finally:
            await opened.close_client(opened.base._client)
