"""The live record of a run: from `start` to `stop` it numbers the loops, clients and locks that it sees.

The plugin tells it which test and fixture is on; the explainer reads it. It keeps objects by weak reference
only, and while it is stopped nothing of it is left in asyncio or in a driver.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
import time
import weakref
from asyncio.base_events import BaseEventLoop
from asyncio.mixins import _LoopBoundMixin
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType, ModuleType
from typing import Any

from ..recording import Client, Loop, Place, Ran, Use
from .adapters import ADAPTERS, Adapter
from .patches import AfterImport, Patches
from .sites import Sites

_UVLOOP_METHODS = (
    "call_soon", "call_soon_threadsafe", "call_later", "call_at", "create_task", "run_in_executor",
    "run_until_complete", "run_forever", "add_reader", "add_writer",
)  # fmt: skip
MARK = "_loopwatch_use"


@dataclass
class LoopEntry:
    """A loop while it is watched. `gone` says that it was closed already when it was first seen.

    `number` is 0 until the loop first runs, is bound to or used: some versions of pytest-asyncio make loops
    that nobody ever runs, and those would only tear gaps into the numbers.
    """

    ref: weakref.ref
    kind: str
    thread: str
    made: Place | None
    number: int = 0
    closed: Place | None = None
    gone: bool = False
    tests: list[str] = field(default_factory=list)

    def frozen(self) -> Loop:
        return Loop(self.number, self.kind, self.thread, self.made, self.closed)


@dataclass
class ClientEntry:
    """A client while it is watched.

    `keeps_loop` says whether its library stores its loop where we can see it.
    """

    number: int
    ref: Callable[[], Any]
    kind: str
    keeps_loop: bool
    made: Place | None
    loop: int | None = None
    bound: Place | None = None
    at_creation: bool = False
    ran_at_creation: bool = False
    closed: Place | None = None

    @property
    def short(self) -> str:
        return self.kind.rpartition(".")[2]

    def frozen(self) -> Client:
        return Client(self.number, self.kind, self.made, self.loop, self.bound, self.closed)


@dataclass
class UseEntry:
    """A cross-loop use while the run goes on.

    `steps` are the (file, line, function) of the project's frames.
    """

    number: int
    test: str | None
    loop: int
    running: int | None
    name: str
    kind: str
    client: int | None
    place: Place
    error: str
    background: bool
    steps: tuple[tuple[str, int, str], ...] = ()
    holder: tuple[str, str] | None = None
    swallowed: Place | None = None
    count: int = 1

    def frozen(self) -> Use:
        return Use(
            self.test, self.loop, self.running, self.name, self.kind, self.client, self.place, self.error,
            self.swallowed, self.count, self.background,
        )  # fmt: skip


class Ledger:
    """Watches a run. `culprit` is asked, at each cross-loop use, what was used: see `explain.culprit`."""

    def __init__(self, root: str, culprit: Callable[..., Any]) -> None:
        self.sites = Sites(root)
        self.phase = "collection"
        self.test: str | None = None
        self.fixtures: list[str] = []
        self.loops: list[LoopEntry] = []
        self._made: list[LoopEntry] = []
        self.clients: list[ClientEntry] = []
        self.uses: list[UseEntry] = []
        self.ran: dict[tuple[int, str | None, str, str | None], Ran] = {}
        self.call_loops: dict[str, int] = {}
        self._culprit = culprit
        self._began = time.perf_counter()
        self._loop_ids: dict[int, LoopEntry] = {}
        self._client_ids: dict[int, ClientEntry] = {}
        self._primitives: dict[int, tuple[weakref.ref, int, Place]] = {}
        self._uses_seen: dict[tuple, UseEntry] = {}
        self._patches = Patches()
        self._imports: AfterImport | None = None
        self._thread = threading.get_ident()
        self._making: list[int] = []
        self._busy = False

    # -- now -----------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Return the seconds since the record began."""
        return round(time.perf_counter() - self._began, 6)

    def place(self, frame: FrameType | None = None) -> Place:
        """Return where the run is now; with a frame also the project's line that led to it."""
        fixture = self.fixtures[-1] if self.fixtures else None
        site = self.sites.nearest(frame) if frame is not None else None
        if site is None:
            return Place(self.now(), self.phase, self.test, fixture)
        return self.place_at(*site)

    def place_made(self, frame: FrameType) -> Place:
        """Return where an object is made.

        The fixture's line or the module's that asked for it, past any helper.
        """
        fixture = self.fixtures[-1] if self.fixtures else None
        steps = [s for s in self.sites.steps(frame) if self.sites.kind(s.file) == "project"]
        for step in steps:
            if step.function == "<module>" or step.function == fixture:
                return self.place_at(step.file, step.line, step.function)
        return self.place(frame)

    def place_at(self, file: str, line: int, function: str) -> Place:
        """Return the place of a known line at this moment of the run."""
        fixture = self.fixtures[-1] if self.fixtures else None
        return Place(self.now(), self.phase, self.test, fixture, self.sites.shown(file), line, function)

    # -- start and stop ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to watch. What is replaced from here on, `stop` puts back."""
        try:
            self._watch_loops(BaseEventLoop)
            self._watch_primitives()
            actions = {}
            for adapter in ADAPTERS:
                actions[adapter.module] = functools.partial(self._watch_clients, adapter)
            actions["uvloop"] = self._watch_uvloop
            self._imports = AfterImport(actions)
            self._imports.install()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Put everything back. Calling it twice does no harm."""
        if self._imports is not None:
            self._imports.remove()
        self._patches.undo()
        for entry in self._made:
            loop = entry.ref()
            if loop is not None:
                for name in ("_check_closed", *_UVLOOP_METHODS):
                    if getattr(vars(loop).get(name), "loopwatch", None) is self:
                        delattr(loop, name)

    # -- loops ---------------------------------------------------------------------------------------------

    def _watch_uvloop(self, module: ModuleType) -> None:
        if hasattr(module, "Loop"):
            self._watch_loops(module.Loop)

    def _watch_loops(self, cls: type) -> None:
        init, run_forever, close = cls.__init__, cls.run_forever, cls.close
        plain_init = init is object.__init__

        @functools.wraps(init)
        def watched_init(loop, *args, **kwargs):
            __tracebackhide__ = True
            if not plain_init:
                init(loop, *args, **kwargs)
            self._loop_made(loop, sys._getframe(1))

        @functools.wraps(run_forever)
        def watched_run_forever(loop):
            __tracebackhide__ = True
            self._loop_runs(loop)
            return run_forever(loop)

        @functools.wraps(close)
        def watched_close(loop):
            __tracebackhide__ = True
            close(loop)
            self._loop_closed(loop, sys._getframe(1))

        self._patches.replace(cls, "__init__", watched_init)
        self._patches.replace(cls, "run_forever", watched_run_forever)
        self._patches.replace(cls, "close", watched_close)

    def loop_entry(self, loop: Any) -> LoopEntry:
        """Return the entry of a loop, with a number."""
        return self._number(self._seen(loop))

    def _number(self, entry: LoopEntry) -> LoopEntry:
        if not entry.number:
            self.loops.append(entry)
            entry.number = len(self.loops)
        return entry

    def all_loops(self) -> list[LoopEntry]:
        """Return every loop by its number; those that nobody ever ran come last."""
        for entry in self._made:
            self._number(entry)
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
        return self.loops[number - 1]

    def running(self) -> LoopEntry | None:
        """Return the loop that runs in this thread now, or None."""
        loop = asyncio._get_running_loop()
        return None if loop is None else self.loop_entry(loop)

    def _loop_made(self, loop: Any, frame: FrameType) -> None:
        self._loop_ids.pop(id(loop), None)
        self._seen(loop, made=self.place(frame))

    def _loop_runs(self, loop: Any) -> None:
        if asyncio._get_running_loop() is not None:
            return  # it will not run: another one does
        entry = self.loop_entry(loop)
        fixture = self.fixtures[-1] if self.fixtures else None
        key = (entry.number, self.test, self.phase, fixture)
        if key not in self.ran:
            self.ran[key] = Ran(entry.number, Place(self.now(), self.phase, self.test, fixture))
            if self.phase == "call" and self.test is not None:
                entry.tests.append(self.test)
                self.call_loops.setdefault(self.test, entry.number)

    def _loop_closed(self, loop: Any, frame: FrameType) -> None:
        entry = self._seen(loop)
        if entry.closed is not None or entry.gone or not loop.is_closed():
            return
        entry.closed = self.place(frame)
        if isinstance(loop, BaseEventLoop):
            loop._check_closed = self._guarded(entry, type(loop)._check_closed)
        else:
            for name in _UVLOOP_METHODS:
                setattr(loop, name, self._guarded(entry, getattr(type(loop), name)))

    def _guarded(self, entry: LoopEntry, method: Callable) -> Callable:
        """Return what stands in for a method of a closed loop: it notes the use when the method raises.

        asyncio asks `_check_closed` in every method that needs an open loop; uvloop has no such method in
        Python.
        """

        def guarded(*args, **kwargs):
            __tracebackhide__ = True  # pytest then shows the traceback as it is without us
            try:
                return method(entry.ref(), *args, **kwargs)
            except RuntimeError as error:
                self.used(self._number(entry).number, error, sys._getframe(1))
                raise

        guarded.loopwatch = self
        return guarded

    # -- clients -------------------------------------------------------------------------------------------

    def _watch_clients(self, adapter: Adapter, module: ModuleType) -> None:
        cls = getattr(module, adapter.name, None)
        if not isinstance(cls, type):
            return
        init, set_attribute = cls.__init__, cls.__setattr__

        @functools.wraps(init)
        def watched_init(client, *args, **kwargs):
            __tracebackhide__ = True
            self._client_made(client, adapter, sys._getframe(1))
            self._making.append(id(client))
            try:
                init(client, *args, **kwargs)
            finally:
                self._making.pop()

        self._patches.replace(cls, "__init__", watched_init)
        if adapter.loop:

            @functools.wraps(set_attribute)
            def watched_setattr(client, name, value):
                set_attribute(client, name, value)
                if name in adapter.loop and value is not None:
                    self._client_bound(client, value, sys._getframe(1))

            self._patches.replace(cls, "__setattr__", watched_setattr)
        for name in adapter.close:
            if (method := getattr(cls, name, None)) is not None:
                self._patches.replace(cls, name, self._watched_close(method))
        if adapter.check and callable(getattr(cls, adapter.check, None)):
            self._patches.replace(cls, adapter.check, self._watched_check(getattr(cls, adapter.check)))

    def _watched_close(self, close: Any) -> Any:
        if isinstance(close, property):  # as Motor makes what it hands on to PyMongo
            return property(lambda client: functools.partial(self._watched_close(_getter(close)), client))

        @functools.wraps(close)
        def watched(client, *args, **kwargs):
            __tracebackhide__ = True
            entry = self.client_entry(client)
            if entry is not None and entry.closed is None:
                entry.closed = self.place(sys._getframe(1))
            return close(client, *args, **kwargs)

        return watched

    def _watched_check(self, check: Callable) -> Callable:
        @functools.wraps(check)
        async def watched(client):
            __tracebackhide__ = True
            try:
                return await check(client)
            except RuntimeError as error:
                entry = self.client_entry(client)
                running = self.running()
                if (
                    entry is not None
                    and entry.loop is not None
                    and (not running or running.number != entry.loop)
                ):
                    self.used(entry.loop, error, sys._getframe(0))
                raise

        return watched

    def client_entry(self, value: Any) -> ClientEntry | None:
        """Return the entry of this very object (clients of one address are equal, so never by equality)."""
        entry = self._client_ids.get(id(value))
        return entry if entry is not None and entry.ref() is value else None

    def client_number(self, number: int) -> ClientEntry:
        return self.clients[number - 1]

    def _client_made(self, client: Any, adapter: Adapter, frame: FrameType) -> None:
        if self.client_entry(client) is None:
            self._add_client(client, bool(adapter.loop), self.place_made(frame))

    def _add_client(self, client: Any, keeps_loop: bool, made: Place | None) -> ClientEntry:
        kind = f"{type(client).__module__}.{type(client).__qualname__}"
        entry = ClientEntry(len(self.clients) + 1, weakref.ref(client), kind, keeps_loop, made)
        entry.ran_at_creation = asyncio._get_running_loop() is not None
        self.clients.append(entry)
        self._client_ids[id(client)] = entry
        return entry

    def _client_bound(self, client: Any, loop: Any, frame: FrameType) -> None:
        entry = self.client_entry(client)
        if entry is None or entry.loop is not None or not hasattr(loop, "is_closed"):
            return
        entry.loop = self.loop_entry(loop).number
        entry.bound = self.place(frame)
        entry.at_creation = id(client) in self._making

    # -- asyncio's locks, events and queues ----------------------------------------------------------------

    def _watch_primitives(self) -> None:
        get_loop = _LoopBoundMixin._get_loop

        @functools.wraps(get_loop)
        def watched(primitive):
            __tracebackhide__ = True
            fresh = primitive._loop is None
            try:
                loop = get_loop(primitive)
            except RuntimeError as error:
                self._primitive_misused(primitive, error, sys._getframe(1))
                raise
            if fresh and loop is not None:
                self._primitive_bound(primitive, loop, sys._getframe(1))
            return loop

        self._patches.replace(_LoopBoundMixin, "_get_loop", watched)

    def _primitive_bound(self, primitive: Any, loop: Any, frame: FrameType) -> None:
        key = id(primitive)
        ref = weakref.ref(primitive, lambda _: self._primitives.pop(key, None))
        self._primitives[key] = (ref, self.loop_entry(loop).number, self.place(frame))

    def _primitive_misused(self, primitive: Any, error: RuntimeError, frame: FrameType) -> None:
        entry = self.client_entry(primitive)
        if entry is None:
            entry = self._add_client(primitive, True, None)
            _, number, bound = self._primitives.pop(id(primitive), (None, None, None))
            entry.loop = number or self.loop_entry(primitive._loop).number
            entry.bound = bound
        self.used(entry.loop, error, frame)

    # -- uses ----------------------------------------------------------------------------------------------

    def used(self, loop: int, error: RuntimeError, frame: FrameType) -> None:
        """Note that something of loop `loop` was used where it must not be.

        `error` is what the code will get.
        """
        if self._busy:  # looking at the frames must not lead here again
            return
        self._busy = True
        try:
            self._note_use(loop, error, frame)
        finally:
            self._busy = False

    def _note_use(self, loop: int, error: RuntimeError, frame: FrameType) -> None:
        site = self.sites.nearest(frame)
        key = (self.test, self.phase, loop, site)
        entry = self._uses_seen.get(key)
        if entry is None:
            entry = self._uses_seen[key] = self._new_use(loop, error, frame)
            self.uses.append(entry)
        else:
            entry.count += 1
        with suppress(AttributeError):  # a class with slots; its error is then found by its frames alone
            setattr(error, MARK, entry.number)

    def _new_use(self, loop: int, error: RuntimeError, frame: FrameType) -> UseEntry:
        steps = self.sites.steps(frame)
        running = self.running()
        mine = tuple((s.file, s.line, s.function) for s in steps if self.sites.kind(s.file) == "project")
        elsewhere = threading.get_ident() != self._thread and not mine
        found = self._culprit(self, steps, loop, running.number if running else None)
        return UseEntry(
            number=len(self.uses),
            test=self.test,
            loop=loop,
            running=running.number if running else None,
            name=found.name,
            kind=found.kind,
            client=found.client.number if found.client else None,
            holder=found.holder,
            place=self.place(frame),
            error=f"{type(error).__name__}: {error}",
            background=elsewhere or any(step.function == "__del__" for step in steps),
            steps=mine,
        )

    def begin_phase(self, phase: str, test: str | None) -> None:
        """The run has come to this phase of this test."""
        self.phase, self.test = phase, test
        self.fixtures.clear()
        self._thread = threading.get_ident()


def _getter(prop: property) -> Callable:
    """Return a plain function for a property that yields a method."""
    return lambda client, *args, **kwargs: prop.fget(client)(*args, **kwargs)
