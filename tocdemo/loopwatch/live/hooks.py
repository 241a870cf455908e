"""Hooks in asyncio and in the drivers, from `start` to `stop`: they see loops, clients and locks at work.

What they see they tell to the ledger; a use of something of another loop they note at once. After `stop`
nothing of them is left. They know no test and no fixture.
"""

from __future__ import annotations

import functools
import sys
import weakref
from asyncio.base_events import BaseEventLoop
from collections.abc import Callable
from types import ModuleType
from typing import Any

from .adapters import ADAPTERS, Adapter
from .entries import LoopEntry
from .ledger import Ledger
from .patches import AfterImport, Patches
from .uses import Uses

if sys.version_info >= (3, 10):
    from asyncio.mixins import _LoopBoundMixin
else:
    _LoopBoundMixin = None  # a lock of Python 3.9 takes the current loop when it is made

# asyncio asks `_check_closed` in every method that needs an open loop; uvloop has no such method in Python.
_ASYNCIO_METHODS = ("_check_closed",)
_UVLOOP_METHODS = (
    "call_soon", "call_soon_threadsafe", "call_later", "call_at", "create_task", "run_in_executor",
    "run_until_complete", "run_forever", "add_reader", "add_writer",
)  # fmt: skip
_OWNER = "loopwatch"


class Hooks:
    """The hooks of one run. Each hides its frame from pytest's tracebacks, which so look as without it."""

    def __init__(self, ledger: Ledger, uses: Uses) -> None:
        self._ledger = ledger
        self._uses = uses
        self._patches = Patches()
        self._imports: AfterImport | None = None
        self._closed: list[weakref.ref] = []
        self._making: list[int] = []

    def start(self) -> None:
        """Begin to watch. What is replaced from here on, `stop` puts back."""
        try:
            self._watch_loops(BaseEventLoop)
            if _LoopBoundMixin is not None:
                self._watch_primitives(_LoopBoundMixin)
            actions: dict[str, Callable[[ModuleType], None]] = {"uvloop": self._watch_uvloop}
            for adapter in ADAPTERS:
                actions[adapter.module] = functools.partial(self._watch_clients, adapter)
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
        for loop in (ref() for ref in self._closed):
            for name in (*_ASYNCIO_METHODS, *_UVLOOP_METHODS) if loop is not None else ():
                if getattr(vars(loop).get(name), _OWNER, None) is self:
                    delattr(loop, name)

    # -- loops ---------------------------------------------------------------------------------------------

    def _watch_uvloop(self, module: ModuleType) -> None:
        if hasattr(module, "Loop"):
            self._watch_loops(module.Loop)

    def _watch_loops(self, cls: Any) -> None:
        init, run_forever, close = cls.__init__, cls.run_forever, cls.close
        plain_init = init is object.__init__

        @functools.wraps(init)
        def watched_init(loop, *args, **kwargs):
            __tracebackhide__ = True
            if not plain_init:
                init(loop, *args, **kwargs)
            self._ledger.loop_made(loop, sys._getframe(1))

        @functools.wraps(run_forever)
        def watched_run_forever(loop):
            __tracebackhide__ = True
            self._ledger.loop_runs(loop)
            return run_forever(loop)

        @functools.wraps(close)
        def watched_close(loop):
            __tracebackhide__ = True
            close(loop)
            entry = self._ledger.loop_closed(loop, sys._getframe(1))
            if entry is not None:
                self._guard(loop, entry)

        self._patches.replace(cls, "__init__", watched_init)
        self._patches.replace(cls, "run_forever", watched_run_forever)
        self._patches.replace(cls, "close", watched_close)

    def _guard(self, loop: Any, entry: LoopEntry) -> None:
        """Let the methods of a closed loop that need an open one note their use."""
        self._closed.append(entry.ref)
        for name in _ASYNCIO_METHODS if isinstance(loop, BaseEventLoop) else _UVLOOP_METHODS:
            setattr(loop, name, self._guarded(entry, getattr(type(loop), name)))

    def _guarded(self, entry: LoopEntry, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return what stands in for a method of a closed loop: it notes the use when the method raises."""

        def guarded(*args, **kwargs):
            __tracebackhide__ = True
            try:
                return method(entry.ref(), *args, **kwargs)
            except RuntimeError as error:
                self._uses.note(self._ledger.numbered(entry).number, error, sys._getframe(1))
                raise

        setattr(guarded, _OWNER, self)
        return guarded

    # -- clients -------------------------------------------------------------------------------------------

    def _watch_clients(self, adapter: Adapter, module: ModuleType) -> None:
        cls: Any = getattr(module, adapter.name, None)
        if not isinstance(cls, type):
            return
        self._watch_making(cls, bool(adapter.loop))
        if adapter.loop:
            self._watch_binding(cls, adapter.loop)
        for name in adapter.close:
            if (method := getattr(cls, name, None)) is not None:
                self._patches.replace(cls, name, self._watched_close(method))
        if adapter.check and callable(check := getattr(cls, adapter.check, None)):
            self._patches.replace(cls, adapter.check, self._watched_check(check))

    def _watch_making(self, cls: Any, stores_loop: bool) -> None:
        init = cls.__init__

        @functools.wraps(init)
        def watched(client, *args, **kwargs):
            __tracebackhide__ = True
            self._ledger.client_made(client, stores_loop, sys._getframe(1))
            self._making.append(id(client))
            try:
                init(client, *args, **kwargs)
            finally:
                self._making.pop()

        self._patches.replace(cls, "__init__", watched)

    def _watch_binding(self, cls: Any, attributes: tuple[str, ...]) -> None:
        set_attribute = cls.__setattr__

        @functools.wraps(set_attribute)
        def watched(client, name, value):
            set_attribute(client, name, value)
            if name in attributes and value is not None:
                self._ledger.client_bound(client, value, id(client) in self._making, sys._getframe(1))

        self._patches.replace(cls, "__setattr__", watched)

    def _watched_close(self, close: Any) -> Any:
        if isinstance(close, property):  # as Motor makes what it hands on to PyMongo
            return property(lambda client: functools.partial(self._watched_close(_getter(close)), client))

        @functools.wraps(close)
        def watched(client, *args, **kwargs):
            __tracebackhide__ = True
            self._ledger.client_closed(client, sys._getframe(1))
            return close(client, *args, **kwargs)

        return watched

    def _watched_check(self, check: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(check)
        async def watched(client):
            __tracebackhide__ = True
            try:
                return await check(client)
            except RuntimeError as error:
                entry, running = self._ledger.client_entry(client), self._ledger.running()
                loop = entry.loop if entry is not None else None
                if loop is not None and (running is None or running.number != loop):
                    self._uses.note(loop, error, sys._getframe(0), entry)
                raise

        return watched

    # -- asyncio's locks, events and queues ----------------------------------------------------------------

    def _watch_primitives(self, cls: Any) -> None:
        get_loop = cls._get_loop

        @functools.wraps(get_loop)
        def watched(primitive):
            __tracebackhide__ = True
            fresh = primitive._loop is None
            try:
                loop = get_loop(primitive)
            except RuntimeError as error:
                self._uses.note(self._ledger.misused_primitive(primitive), error, sys._getframe(1))
                raise
            if fresh and loop is not None:
                self._ledger.primitive_bound(primitive, loop, sys._getframe(1))
            return loop

        self._patches.replace(cls, "_get_loop", watched)


def _getter(prop: property) -> Callable[..., Any]:
    """Return a plain function for a property that yields a method."""
    return lambda client, *args, **kwargs: prop.__get__(client)(*args, **kwargs)
