"""One order of commands: run the operations, and let their commands go on in the order of a schedule.

How a command finds its operation: each operation runs in a context of its own, a context variable names it
(Motor carries the context into its executor), a command listener notes the connection and the request id of
the command, and the gate sees the same two at the frame. How quiet is known: every operation is held at the
gate, blocked in the server, waiting for a lock, or finished; nothing is decided by a time-out. Timers are
let run out. Knows the server's gate, and not which orders there are.
"""

import asyncio
import inspect
import threading
import types
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bson import ObjectId

from tocdemo.errors import CannotExplore
from tocdemo.server import Gate, GateState, Pending

from . import backend
from .backend import Notes, Sent
from .operations import new_book
from .orders import COMMIT, USED_UP, Order, Step

# An abort is no step: it runs as soon as it is sent, and takes back what nobody saw.
DATA_COMMANDS = ("find", "insert", "update", "delete", "findAndModify", "aggregate", "count", "distinct")
MOST_STEPS = 100  # of one order
BOOKS_AT_ONCE = 100  # books that are made by one command
LOOK_AGAIN = 0.002  # seconds: after this the state is looked at again, never taken for quiet
SAFETY_NET = 30.0  # seconds without any quiet state: the operations wait for something unknown

Choices = list[list[str]]  # for each step, the letters of the operations that could go on


@dataclass(frozen=True)
class Ending:
    """An order that was run: all but the book, which is read with all others in the end."""

    book: ObjectId
    steps: tuple[Step, ...]
    results: tuple[str, ...]

    @property
    def schedule(self) -> str:
        """The letters of the operations in order."""
        return "".join(step.letter for step in self.steps)

    def order(self, stored: Mapping[str, Any]) -> Order:
        """Return the order, given the table of contents that is stored in its book."""
        titles = tuple(sorted(chapter["title"] for chapter in stored["chapters"]))
        return Order(self.steps, self.results, titles, stored["version"])


class Signal:
    """Something has changed: sent on any thread, waited for on the event loop that it is made on."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._sent = asyncio.Event()

    def send(self) -> None:
        """Wake who waits."""
        self._loop.call_soon_threadsafe(self._sent.set)

    def clear(self) -> None:
        """Forget what was sent before."""
        self._sent.clear()

    async def wait(self, seconds: float) -> None:
        """Wait until it is sent, or for so many seconds."""
        timer = self._loop.call_later(seconds, self._sent.set)
        await self._sent.wait()
        timer.cancel()


class Stepper:
    """Runs the operations once for each schedule that it is given, on one loop and one client.

    `operations` are called with the id of a book in the collection `books`. `notes` says whose each command
    is; with `told_later` a command can be held at the gate before that is known, and `changed` is sent when
    it is. An operation that begins more than `attempts` attempts is ended. `stopped` ends everything.
    """

    def __init__(
        self,
        operations: Mapping[str, Callable[[str], Awaitable[Any]]],
        books: Any,
        gate: Gate,
        notes: Notes,
        changed: Signal,
        stopped: threading.Event,
        *,
        attempts: int | None,
        told_later: bool,
    ) -> None:
        self._operations, self._books, self._gate, self._notes = operations, books, gate, notes
        self._changed, self._stopped = changed, stopped
        self._attempts, self._told_later = attempts, told_later
        self._over = 0  # operations of the present order that came to an end
        self._new_books: list[ObjectId] = []

    async def run(self, schedule: str) -> tuple[Ending, Choices]:
        """Follow `schedule`, then always the first choice. Returns how it ended, and each step's choices."""
        book = await self._new_book()
        self._over = 0
        self._notes.clear()
        tasks: dict[str, asyncio.Task] = {}
        end = self._gate.on_change(self._wake)
        try:
            with self._gate.hold(accepts=self._is_step, after_waiting=True):
                tasks |= {letter: self._start(letter, book) for letter in self._operations}
                steps, choices = await self._steps(schedule, tasks)
        finally:
            end()
            for task in tasks.values():
                task.cancel()  # those that are over do not mind
            given = await asyncio.gather(*tasks.values(), return_exceptions=True)
        for result in given:
            if isinstance(result, CannotExplore):
                raise result
        return Ending(book, tuple(steps), tuple(map(backend.told, given))), choices

    async def orders(self, endings: Sequence[Ending]) -> tuple[Order, ...]:
        """Return the orders with what is in their books by now."""
        documents = await self._books.find({}, {"table_of_contents": 1}).to_list(None)
        stored = {book["_id"]: book["table_of_contents"] for book in documents}
        return tuple(ending.order(stored[ending.book]) for ending in endings)

    def _is_step(self, pending: Pending) -> bool:
        if not self._told_later and _sent(pending) not in self._notes.owners:
            return False
        on_books = pending.collection == "books" and pending.command in DATA_COMMANDS
        return on_books or pending.command == COMMIT

    async def _new_book(self) -> ObjectId:
        if not self._new_books:
            self._new_books = [ObjectId() for _ in range(BOOKS_AT_ONCE)]
            await self._books.insert_many([{"_id": book, **new_book()} for book in self._new_books])
        return self._new_books.pop()

    def _start(self, letter: str, book: ObjectId) -> asyncio.Task:
        async def operation() -> Any:
            try:
                return await self._operations[letter](str(book))
            finally:
                self._over += 1
                self._changed.send()

        return asyncio.get_running_loop().create_task(operation(), context=backend.context_of(letter))

    def _wake(self, state: GateState) -> None:
        """Look at the state again when all may be quiet. The gate's threads call it at every change."""
        at_rest = len(state.held) + len(state.blocked) + self._over >= len(self._operations)
        if at_rest and not state.running:
            self._changed.send()

    async def _steps(self, schedule: str, tasks: Mapping[str, asyncio.Task]) -> tuple[list[Step], Choices]:
        steps: list[Step] = []
        choices: Choices = []
        attempts = _Attempts(self._attempts)
        released: Pending | None = None
        while True:
            state = await self._quiet(tasks)
            if released is not None:
                steps[-1] = self._with_effect(steps[-1], released, state)
            held = {self._notes.owners[_sent(pending)]: pending for pending in state.held}
            if not held:
                return steps, choices
            ended = [pending for letter, pending in held.items() if attempts.used_up(letter, pending)]
            if ended:
                self._gate.refuse(ended[0], _exhausted(self._attempts))
                continue
            letter = _next(schedule, len(steps), held)
            released = held[letter]
            attempts.note(letter, released)
            steps.append(Step(letter, released.command))
            choices.append(sorted(held))
            self._gate.release(released)

    def _with_effect(self, step: Step, pending: Pending, state: GateState) -> Step:
        """Return the step with what came of it: by now its command waits in the server, or was answered."""
        waits = any(blocked.ticket == pending.ticket for blocked in state.blocked)
        return step._replace(waits=waits, effect="" if waits else self._notes.effects.get(_sent(pending), ""))

    async def _quiet(self, tasks: Mapping[str, asyncio.Task]) -> GateState:
        """Wait until no operation can go on by itself. Nothing is held then only when all are over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + SAFETY_NET
        while not self._stopped.is_set() and loop.time() < end:
            self._changed.clear()
            state = self._gate.state
            if not state.running and self._at_rest(state, tasks):
                return state
            await self._changed.wait(LOOK_AGAIN)
        raise CannotExplore(f"Stopped, or not quiet within {SAFETY_NET:g} s: {self._gate.state}")

    def _at_rest(self, state: GateState, tasks: Mapping[str, asyncio.Task]) -> bool:
        """Whether each operation is held, blocked, over, or waits for a lock. Raises when they are stuck."""
        owners = [self._notes.owners.get(_sent(pending)) for pending in (*state.held, *state.blocked)]
        waiting = {letter for letter in owners if letter is not None}
        if None in owners:
            return False
        active = [letter for letter, task in tasks.items() if letter not in waiting and not task.done()]
        if not all(_waits_for_lock(tasks[letter]) for letter in active):
            return False
        if not state.held and len(active) + len(state.blocked) > 0:
            raise CannotExplore(f"Stuck: {sorted({*active, *waiting})} wait for each other")
        return True


def _next(schedule: str, place: int, held: Mapping[str, Pending]) -> str:
    """Return whose command is the next step. Raises CannotExplore when that one is not held."""
    if place == MOST_STEPS:
        raise CannotExplore(f"An order has no end after {MOST_STEPS} steps: give `attempts`")
    letter = schedule[place] if place < len(schedule) else min(held)
    if letter not in held:
        raise CannotExplore(
            f"Step {place + 1} of {schedule!r} is {letter!r}, but only {sorted(held)} can go on"
        )
    return letter


class _Attempts:
    """Counts the attempts of each operation: one begins with each command like the operation's first one."""

    def __init__(self, most: int | None) -> None:
        self.most = most
        self._first: dict[str, str] = {}
        self._tickets: dict[str, set[int]] = defaultdict(set)

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
    code: types.CodeType | None = None
    coroutine: Any = task.get_coro()
    while inspect.iscoroutine(coroutine):
        code = coroutine.cr_code
        if "pymongo" in Path(code.co_filename).parts:
            return False
        coroutine = coroutine.cr_await
    return code is not None and code.co_filename == asyncio.locks.__file__
