"""The live record of a run: where the run is now, and every loop, client and lock that was seen, by number.

It is told what happens and notes it at its place in the run. How that is seen, and what it means when a test
fails, it must not know. It keeps no object alive.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import FrameType
from typing import Any

from ..recording import Place, Ran
from .entries import ClientEntry, LoopEntry
from .graph import stored
from .sites import Sites


class Ledger:
    """Notes what happens in one run of pytest whose root folder is `root`.

    `phase`, `test` and `fixtures` (innermost last) say where the run is, `thread` is the thread of the tests.
    `ran` says which loop ran where, and when first; `call_loops` maps a test to the loop that ran its call.
    `loop_at_start` says whether a loop ran in this thread when the record began.
    """

    def __init__(self, root: str) -> None:
        self.sites = Sites(root)
        self.phase = "collection"
        self.test: str | None = None
        self.fixtures: list[str] = []
        self.thread = threading.get_ident()
        self.loop_at_start = asyncio._get_running_loop() is not None
        self.loops: list[LoopEntry] = []
        self.clients: list[ClientEntry] = []
        self.ran: dict[tuple[int, str | None, str, str | None], float] = {}
        self.call_loops: dict[str, int] = {}
        self._began = time.perf_counter()
        self._made: list[LoopEntry] = []
        self._loop_ids: dict[int, LoopEntry] = {}
        self._client_ids: dict[int, ClientEntry] = {}
        self._primitives: dict[int, tuple[weakref.ref, int, Place]] = {}

    # -- now -----------------------------------------------------------------------------------------------

    def begin_phase(self, phase: str, test: str | None) -> float:
        """Note that the run has come to this phase of this test; return when."""
        self.phase, self.test = phase, test
        if self.fixtures:
            self.fixtures.clear()
        self.thread = threading.get_ident()
        return self.now()

    def now(self) -> float:
        """Return the seconds since the record began."""
        return time.perf_counter() - self._began

    @property
    def fixture(self) -> str | None:
        """The fixture that is being set up now, or None."""
        return self.fixtures[-1] if self.fixtures else None

    def place(self, frame: FrameType | None = None) -> Place:
        """Return where the run is now; with a frame also the project's line that led to it."""
        site = self.sites.nearest(frame) if frame is not None else None
        if site is None:
            return Place(self.now(), self.phase, self.test, self.fixture)
        return self._place_at(*site)

    def _place_made(self, frame: FrameType) -> Place:
        """Return where an object is made: the line of the fixture or module that asked for it."""
        for step in self.sites.steps(frame):
            if self.sites.kind(step.file) == "project" and step.function in ("<module>", self.fixture):
                return self._place_at(step.file, step.line, step.function)
        return self.place(frame)

    def _called_at(self, frame: FrameType, made: Place) -> str:
        site = self.sites.nearest(frame)
        called = f"{self.sites.shown(site[0])}:{site[1]}" if site is not None else ""
        return called if called != f"{made.file}:{made.line}" else ""

    def _place_at(self, file: str, line: int, function: str) -> Place:
        shown = self.sites.shown(file)
        return Place(self.now(), self.phase, self.test, self.fixture, shown, line, function)

    # -- loops ---------------------------------------------------------------------------------------------

    def loop_entry(self, loop: Any) -> LoopEntry:
        """Return the entry of a loop, with a number."""
        return self.numbered(self._seen(loop))

    def numbered(self, entry: LoopEntry) -> LoopEntry:
        """Give the entry the next number if it has none; return it."""
        if not entry.number:
            self.loops.append(entry)
            entry.number = len(self.loops)
        return entry

    def all_loops(self) -> list[LoopEntry]:
        """Return every loop by its number; those that nobody ever ran come last."""
        for entry in self._made:
            self.numbered(entry)
        return self.loops

    def _seen(self, loop: Any, made: Place | None = None) -> LoopEntry:
        """Return the entry of a loop; one that was never seen gets a new one, without a number."""
        entry = self._loop_ids.get(id(loop))
        if entry is not None and entry.ref() is loop:
            return entry
        kind = f"{type(loop).__module__}.{type(loop).__qualname__}"
        entry = LoopEntry(weakref.ref(loop), kind, threading.current_thread().name, made)
        entry.gone = made is None and loop.is_closed()
        self._made.append(entry)
        self._loop_ids[id(loop)] = entry
        return entry

    def loop_number(self, number: int) -> LoopEntry:
        """Return the loop with this number."""
        return self.loops[number - 1]

    def running(self) -> LoopEntry | None:
        """Return the loop that runs in this thread now, or None."""
        loop = asyncio._get_running_loop()
        return None if loop is None else self.loop_entry(loop)

    def loop_made(self, loop: Any, frame: FrameType) -> None:
        """Note a new loop, made in this frame."""
        self._loop_ids.pop(id(loop), None)
        self._seen(loop, made=self.place(frame))

    def loop_runs(self, loop: Any) -> None:
        """Note that a loop is about to run, unless another one runs: then it will not."""
        if asyncio._get_running_loop() is not None:
            return
        entry = self.loop_entry(loop)
        key = (entry.number, self.test, self.phase, self.fixtures[-1] if self.fixtures else None)
        if key not in self.ran:
            self.ran[key] = self.now()
            if self.phase == "call" and self.test is not None:
                entry.tests.append(self.test)
                self.call_loops.setdefault(self.test, entry.number)

    def frozen_ran(self) -> Iterator[Ran]:
        """Yield which loop ran where, as the record has it."""
        for (loop, test, phase, fixture), at in self.ran.items():
            yield Ran(loop, Place(at, phase, test, fixture))

    def loop_closed(self, loop: Any, frame: FrameType) -> LoopEntry | None:
        """Note that a loop was closed in this frame; return its entry, or None if this is no news."""
        entry = self._seen(loop)
        if entry.closed is not None or entry.gone or not loop.is_closed():
            return None
        entry.closed = self.place(frame)
        return entry

    # -- clients -------------------------------------------------------------------------------------------

    def client_entry(self, value: Any) -> ClientEntry | None:
        """Return the entry of this very object (clients of one address are equal, so never by equality)."""
        entry = self._client_ids.get(id(value))
        return entry if entry is not None and entry.ref() is value else None

    def client_number(self, number: int) -> ClientEntry:
        """Return the client with this number."""
        return self.clients[number - 1]

    def client_made(self, client: Any, stores_loop: bool, frame: FrameType) -> None:
        """Note a new client, made in this frame, unless it is known."""
        if self.client_entry(client) is None:
            made = self._place_made(frame)
            entry = self._add_client(client, stores_loop, made)
            entry.called_at = self._called_at(frame, made)

    def _add_client(
        self, client: Any, stores_loop: bool, made: Place | None, ref: Callable[[], Any] | None = None
    ) -> ClientEntry:
        kind = f"{type(client).__module__}.{type(client).__qualname__}"
        entry = ClientEntry(len(self.clients) + 1, ref or weakref.ref(client), kind, stores_loop, made)
        entry.ran_at_creation = asyncio._get_running_loop() is not None
        self.clients.append(entry)
        self._client_ids[id(client)] = entry
        return entry

    def client_bound(self, client: Any, loop: Any, at_creation: bool, frame: FrameType) -> None:
        """Note the binding of a client to a loop, in this frame; only the first one counts."""
        entry = self.client_entry(client)
        if entry is None or entry.loop is not None or not hasattr(loop, "is_closed"):
            return
        entry.loop = self.loop_entry(loop).number
        entry.bound = self.place(frame)
        entry.at_creation = at_creation

    def client_closed(self, client: Any, frame: FrameType) -> None:
        """Note that a client is closed in this frame; only the first time counts."""
        entry = self.client_entry(client)
        if entry is not None and entry.closed is None:
            entry.closed = self.place(frame)

    def adopt(self, thing: Any, loop: int, holder: tuple[str, str] | None = None) -> ClientEntry | None:
        """Count an object that was found to hold this loop among the clients.

        `holder` is the module and the name in it that mean this very object. Return None for an object that
        has no such name and cannot be referred to weakly: it would be kept alive.
        """
        entry = self.client_entry(thing)
        if entry is None:
            ref = _reference(thing, holder)
            if ref is None:
                return None
            entry = self._add_client(thing, True, None, ref)
        if entry.loop is None and entry.stores_loop:
            entry.loop = loop
        return entry

    # -- asyncio's locks, events and queues ----------------------------------------------------------------

    def primitive_bound(self, primitive: Any, loop: Any, frame: FrameType) -> None:
        """Note the binding of a lock, event or queue to a loop, in this frame."""
        key = id(primitive)
        ref = weakref.ref(primitive, lambda _: self._primitives.pop(key, None))
        self._primitives[key] = (ref, self.loop_entry(loop).number, self.place(frame))

    def misused_primitive(self, primitive: Any) -> int:
        """Count a lock that was used on a wrong loop among the clients; return the number of its own loop."""
        entry = self.client_entry(primitive)
        if entry is None:
            entry = self._add_client(primitive, True, None)
            _, entry.loop, entry.bound = self._primitives.pop(id(primitive), (None, None, None))
        if entry.loop is None:
            entry.loop = self.loop_entry(primitive._loop).number
        return entry.loop


def _reference(thing: Any, holder: tuple[str, str] | None) -> Callable[[], Any] | None:
    """Return a function that finds the object as long as others keep it: weakly, or by its module's name.

    An object of neither kind (asyncpg's pool) is found by what refers to a part of it, such as its queue.
    """
    try:
        return weakref.ref(thing)
    except TypeError:
        if holder is None:
            return _by_its_part(thing)
    module, name, key = *holder, id(thing)

    def found() -> Any:
        value = vars(sys.modules[module]).get(name) if module in sys.modules else None
        return value if id(value) == key else None

    return found


def _by_its_part(thing: Any) -> Callable[[], Any] | None:
    """Return a function that finds the object by a part that it stores, while both are alive."""
    key, kind = id(thing), type(thing)
    for part in stored(thing).values():
        with suppress(TypeError):
            ref = weakref.ref(part)
            return lambda: next((o for o in _referrers(ref()) if id(o) == key and type(o) is kind), None)
    return None


def _referrers(part: Any) -> list[Any]:
    return gc.get_referrers(part) if part is not None else []
