"""The gate: hold commands before they run, see what is held or blocked, let them go in a chosen order.

It must not know what commands do: it knows them by name, collection and wire request id only. (A driver's
`CommandStartedEvent.request_id` is that id: so a listener can say which of several clients, tasks or
operations sent a held command.)

    with server.gate.hold(collection="books", commands=["find", "update"]):
        ...                                           # start operations in threads or tasks
        state = server.gate.wait_for(lambda state: len(state.held) == 2)
        server.gate.release(state.held[1])            # the second goes first
        server.gate.wait_for(lambda state: not state.running)
        server.gate.cut(state.held[0])                # the other's connection breaks, its command never runs

`refuse` answers a held command with an error instead, and leaves its connection.

Knowing without time-outs that all is quiet: at every moment each command that passed a gate in use is in
exactly one of three states. It is *held* (waits for `release` or `cut`), *blocked* (waits in the server for
a document that a transaction has claimed) or *running* (from its release until its reply is written). When
the end of a transaction frees a document, whoever was blocked on it is running before the commit's own reply
is written. So whoever runs n client operations may act when `len(held) + len(blocked) + finished == n and not
running`, where `finished` counts the operations that came to an end on the client's side: look at `state`
when that number changes, and whenever `on_change` tells of a change here.

The commands by which drivers watch a server on their own account (hello, endSessions) never meet the gate.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from .commandlog import CommandRecord
from .errors import CloseConnection, CommandError

UNGATED = frozenset({"hello", "ismaster", "endsessions"})
_State = Literal["held", "blocked", "running", "cut", "refused"]


@dataclass(frozen=True, slots=True)
class Pending:
    """One command at the gate or behind it: as the log shows it (see `CommandRecord`), with a ticket, a
    number that rises with every command that meets the gate.
    """

    ticket: int
    command: str
    database: str
    collection: str
    request_id: int
    connection_id: int


@dataclass(frozen=True, slots=True)
class GateState:
    """Every command that met the gate and is not yet answered, in the order of arrival."""

    held: tuple[Pending, ...] = ()
    blocked: tuple[Pending, ...] = ()
    running: tuple[Pending, ...] = ()


class Hold:
    """A rule that holds commands. The end of its `with` block, or `stop()`, lets all of them go."""

    def __init__(
        self,
        gate: Gate,
        collection: str | None,
        commands: frozenset[str] | None,
        accepts: Callable[[Pending], bool] | None,
        after_waiting: bool,
    ) -> None:
        self.after_waiting = after_waiting
        self._gate = gate
        self._collection = collection
        self._commands = commands
        self._accepts = accepts

    def applies(self, pending: Pending) -> bool:
        """Whether the rule holds this command."""
        return (
            (self._collection is None or pending.collection == self._collection)
            and (self._commands is None or pending.command.lower() in self._commands)
            and (self._accepts is None or self._accepts(pending))
        )

    def stop(self) -> None:
        """Hold no more, and release what no other rule holds."""
        self._gate._remove(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Gate:
    """The gate of one server, as the module's docstring tells. Its methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._holds: list[Hold] = []
        self._states: dict[int, tuple[Pending, _State]] = {}
        self._refusals: dict[int, str] = {}
        # A condition for each held command, so that a change does not wake all of them.
        self._decided: dict[int, threading.Condition] = {}
        self._tickets = 0
        self._listeners: list[Callable[[GateState], None]] = []

    # --- for those who direct

    def hold(
        self,
        collection: str | None = None,
        commands: Iterable[str] | None = None,
        accepts: Callable[[Pending], bool] | None = None,
        *,
        after_waiting: bool = False,
    ) -> Hold:
        """Hold every command that fits all that is given, from now on; the rule is a context manager.

        `collection` is a collection's name, None for any, and for commands without one; `commands` are names
        in any case, None for all. `accepts` is a further condition, called on the server's threads under the
        gate's lock: keep it short. `after_waiting` holds a command again when the document that it was
        blocked on is free: then several that waited for it go on in a chosen order, too. TypeError for a
        string instead of a list of names.
        """
        if isinstance(commands, str):
            raise TypeError('commands must be a list of names, for example ["find", "update"], not a string')
        names = None if commands is None else frozenset(name.lower() for name in commands)
        rule = Hold(self, collection, names, accepts, after_waiting)
        with self._lock:
            self._holds.append(rule)
        return rule

    @property
    def state(self) -> GateState:
        """What is held, blocked and running at this moment."""
        with self._lock:
            return self._snapshot()

    def release(self, pending: Pending) -> None:
        """Let a held command run. ValueError when it is not held (any more)."""
        self._decide(pending, "running")

    def cut(self, pending: Pending) -> None:
        """Close the connection of a held command, which then never runs: for the client, the server died.
        ValueError when it is not held (any more).
        """
        self._decide(pending, "cut")

    def refuse(self, pending: Pending, message: str) -> None:
        """Answer a held command with an error (11601, Interrupted), which no driver takes for a reason to
        try again. It does not run. ValueError when it is not held (any more).
        """
        with self._lock:
            self._decide(pending, "refused")
            self._refusals[pending.ticket] = message  # nobody reads it before the lock is free

    def wait_for(self, condition: Callable[[GateState], bool], timeout: float | None = None) -> GateState:
        """Wait until the condition holds of the state, and return that state.

        The condition is looked at now and after every change, under the gate's lock: keep it short. `timeout`
        is in seconds, as a safety net only; None waits for ever. TimeoutError, with the state, when it is
        over.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self._snapshot()), timeout):
                raise TimeoutError(f"the gate did not reach the state in {timeout} s: {self._snapshot()}")
            return self._snapshot()

    def on_change(self, listener: Callable[[GateState], None]) -> Callable[[], None]:
        """Call a function with the new state after every change, on the thread that made the change, until
        the function that is returned is called.

        The listener is called under the gate's lock: it must be short and must not call the gate's methods
        (`loop.call_soon_threadsafe(queue.put_nowait, state)` is the usual one).
        """
        with self._lock:
            self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    # --- for the server

    @property
    def in_use(self) -> bool:
        """Whether any rule holds or anything is pending: if not, commands need not come here."""
        return bool(self._holds or self._states)

    def arrive(self, record: CommandRecord) -> Pending:
        """Take in a command, on its connection's thread; returns when it may run. Raises as `pass_on`."""
        with self._lock:
            self._tickets += 1
            pending = Pending(
                ticket=self._tickets,
                command=record.command,
                database=record.database,
                collection=record.collection,
                request_id=record.request_id,
                connection_id=record.connection_id,
            )
            held = any(rule.applies(pending) for rule in self._holds)
            self._set(pending, "held" if held else "running")
            self.pass_on(pending)
            return pending

    def pass_on(self, pending: Pending) -> None:
        """Return at once, or when a command that is held may run. CloseConnection when it was cut,
        CommandError 11601 when it was refused.
        """
        with self._lock:
            if self._states[pending.ticket][1] == "held":
                self._decided[pending.ticket] = threading.Condition(self._lock)
                self._decided[pending.ticket].wait_for(lambda: self._states[pending.ticket][1] != "held")
                del self._decided[pending.ticket]
            decision = self._states[pending.ticket][1]
            if decision in ("cut", "refused"):
                del self._states[pending.ticket]
                self._announce()
                if decision == "cut":
                    raise CloseConnection
                raise CommandError(11601, self._refusals.pop(pending.ticket))

    def block(self, pending: Pending) -> None:
        """The command begins to wait for a document."""
        with self._lock:
            self._set(pending, "blocked")

    def unblock(self, pendings: Iterable[Pending]) -> None:
        """These commands can go on; those that a rule holds `after_waiting` only when they are released."""
        with self._lock:
            for pending in pendings:
                held = any(rule.after_waiting and rule.applies(pending) for rule in self._holds)
                self._set(pending, "held" if held else "running")

    def done(self, pending: Pending) -> None:
        """The command was answered."""
        with self._lock:
            self._states.pop(pending.ticket, None)
            self._announce()

    def close(self) -> None:
        """Cut everything that is held; the server stops."""
        with self._lock:
            self._holds.clear()
            for pending, state in list(self._states.values()):
                if state == "held":
                    self._set(pending, "cut")

    def _remove(self, rule: Hold) -> None:
        with self._lock:
            if rule in self._holds:
                self._holds.remove(rule)
            for pending, state in list(self._states.values()):
                if state == "held" and not any(other.applies(pending) for other in self._holds):
                    self._set(pending, "running")

    def _decide(self, pending: Pending, state: _State) -> None:
        with self._lock:
            known = self._states.get(pending.ticket)
            if known is None or known[1] != "held":
                raise ValueError(f"the gate does not hold {pending}")
            self._set(pending, state)

    def _set(self, pending: Pending, state: _State) -> None:
        self._states[pending.ticket] = (pending, state)
        if pending.ticket in self._decided:
            self._decided[pending.ticket].notify()
        self._announce()

    def _announce(self) -> None:
        self._changed.notify_all()
        if self._listeners:
            state = self._snapshot()
            for listener in list(self._listeners):
                listener(state)

    def _snapshot(self) -> GateState:
        by_state: dict[_State, list[Pending]] = {"held": [], "blocked": []}
        running: list[Pending] = []  # and what is cut or refused, until it is gone
        for pending, state in self._states.values():
            by_state.get(state, running).append(pending)
        return GateState(tuple(by_state["held"]), tuple(by_state["blocked"]), tuple(running))
