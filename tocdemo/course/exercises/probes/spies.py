"""What Motor's objects are asked by the learner's code: which client was made where, and who uses which.

The spies are put into Motor's classes, in a process that is thrown away. They know Motor, the backend's
module `base` and asyncio, and not pytest.
"""

import asyncio
import functools
import itertools
import sys
from collections.abc import Iterable
from types import CellType, FunctionType, MethodType, SimpleNamespace
from typing import Any

from motor import motor_asyncio
from pymongo import MongoClient

from .notes import Notes, caller

# Here a client is made for others, and used for others: the places above it are meant.
GO_BETWEENS = ("app/db/driver.py",)
# Any: mypy forbids to replace methods, which is what a spy does.
_CLIENT: Any = motor_asyncio.AsyncIOMotorClient
_DELEGATE: Any = MongoClient
_LOOP: Any = asyncio.base_events.BaseEventLoop
_MOST_PARTS = 10_000  # of what a module holds that are looked through
_KINDS = (_CLIENT, motor_asyncio.AsyncIOMotorDatabase, motor_asyncio.AsyncIOMotorCollection)


class Spies:
    """The spies and what they saw. `test` and `phase` are for the caller to set: where the run is.

    A use of an object whose client is not one that `base` holds at that moment is *stale*. It is noted, and
    answered by the fresh object in its place: so the code goes on, and shows its next use. Without `refresh`
    no use is taken for stale.
    """

    def __init__(self, notes: Notes, *, refresh: bool = True) -> None:
        self.notes = notes
        self.refresh = refresh
        self.test, self.phase = "", ""
        self.made: list[dict[str, Any]] = []
        self.uses: dict[tuple, dict[str, Any]] = {}
        self.test_loops: dict[str, int | None] = {}
        self._clients: list[Any] = []  # each in the place of its entry in `made`; kept, so that ids differ
        self._loops: list[asyncio.AbstractEventLoop] = []

    def install(self) -> None:
        """Put the spies into the classes, for good."""
        self._watch_clients()
        self._watch_ends()
        self._watch_loops()
        for kind in _KINDS:
            self._watch_uses(kind)

    def loop_number(self, loop: Any) -> int | None:
        """Return a number for an event loop, the same for the same loop; None for none."""
        if loop is None:
            return None
        for number, known in enumerate(self._loops):
            if known is loop:
                return number
        self._loops.append(loop)
        return len(self._loops) - 1

    def entry_of(self, client: Any) -> dict[str, Any] | None:
        """Return what is known of how a client was made, if it was seen."""
        for known, entry in zip(self._clients, self.made, strict=True):
            if known is client:
                return entry
        return None

    def _watch_clients(self) -> None:
        make = _CLIENT.__init__

        def spying_init(client: Any, *args: Any, **options: Any) -> None:
            given = options.get("io_loop")
            self._clients.append(client)
            self.made.append(
                {
                    "given": self.loop_number(given) if _is_loop(given) else None,
                    "running": self.loop_number(asyncio._get_running_loop()),
                    "place": self.notes.place_above(caller(), but=GO_BETWEENS),
                    "test": self.test,
                    "phase": self.phase,
                    "closed": False,
                }
            )
            make(client, *args, **options)

        _CLIENT.__init__ = spying_init

    def _watch_ends(self) -> None:
        # At PyMongo's client, behind Motor's: whoever only looks the method up has not called it.
        close = _DELEGATE.close

        def spying_close(delegate: Any) -> None:
            for client, entry in zip(self._clients, self.made, strict=True):
                # By its dictionary: a client that could not be made has no delegate, and asks itself for it.
                if vars(client).get("delegate") is delegate:
                    entry["closed"] = True
            close(delegate)

        _DELEGATE.close = spying_close

    def _watch_loops(self) -> None:
        run = _LOOP.run_forever

        def spying_run(loop: Any) -> None:
            if self.phase == "call":
                self.test_loops.setdefault(self.test, self.loop_number(loop))
            run(loop)

        _LOOP.run_forever = spying_run

    def _watch_uses(self, kind: Any) -> None:
        def spying_get(used: Any, name: str) -> Any:
            above = caller()
            if name.startswith("__") or not self.notes.is_own(above.f_code.co_filename):
                return object.__getattribute__(used, name)
            if kind is _CLIENT and name == "close":
                return object.__getattribute__(used, name)
            fresh = _fresh_for(used) if self.refresh else None
            self._note_use(above, name, used, stale=fresh is not None)
            return object.__getattribute__(used, name) if fresh is None else getattr(fresh, name)

        kind.__getattribute__ = spying_get

    def _note_use(self, frame: Any, name: str, used: Any, *, stale: bool) -> None:
        place = self.notes.place_above(frame, but=GO_BETWEENS)
        if place is None or self.phase == "":
            return
        test = "" if self.refresh else self.test
        entry = self.uses.setdefault(
            (place["file"], place["function"], place["line"], name, self.phase, test),
            {"stale": 0, "fresh": 0, "name": name, "phase": self.phase, "test": test, **place},
        )
        entry["stale" if stale else "fresh"] += 1
        client = client_of(used)
        made = self.entry_of(client)
        entry["made"] = made and made["phase"]
        bound, running = object.__getattribute__(client, "_io_loop"), asyncio._get_running_loop()
        entry["crosses"] = bound is not None and bound is not running


def client_of(used: Any) -> Any:
    """Return the client behind a client, a database or a collection of Motor's; None for anything else."""
    get = object.__getattribute__
    if isinstance(used, _KINDS[2]):
        used = get(used, "database")
    if isinstance(used, _KINDS[1]):
        used = get(used, "_client")
    return used if isinstance(used, _CLIENT) else None


def held_by(module: Any) -> dict[str, Any]:
    """Return the objects of Motor's that a module holds, by their names."""
    return {name: value for name, value in list(vars(module).items()) if isinstance(value, _KINDS)}


def kept_by(module: Any) -> dict[str, bool]:
    """Return the names of a module that lead to an object of Motor's, and whether each is that object itself.

    Others hold one in a container, a default, a closure, a bound method, or an attribute of the module's own.
    """
    return {
        name: isinstance(value, _KINDS)
        for name, value in list(vars(module).items())
        if _leads_to_motor(value, module.__name__)
    }


def _leads_to_motor(value: Any, module: str) -> bool:
    known: set[int] = set()
    ahead = [value]
    while ahead and len(known) < _MOST_PARTS:
        each = ahead.pop()
        if isinstance(each, _KINDS):
            return True
        if id(each) not in known:
            known.add(id(each))
            ahead += itertools.islice(_parts(each, module), _MOST_PARTS)
    return False


def _parts(value: Any, module: str) -> Iterable[Any]:
    """Return what an object of a module holds. What belongs to other modules is not looked into."""
    kind = type(value)
    if kind is dict:
        return value.values()
    if kind in (list, tuple, set, frozenset):
        return value
    if kind is functools.partial:
        return (value.func, *value.args, *value.keywords.values())
    if kind is MethodType:
        return (value.__self__,)
    if kind is FunctionType and value.__module__ == module:
        cells = [each for cell in value.__closure__ or () for each in _in_cell(cell)]
        return (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values(), *cells)
    own = value if isinstance(value, type) else kind
    if own is SimpleNamespace or own.__module__ == module:
        return getattr(value, "__dict__", {}).values()
    return ()


def _in_cell(cell: CellType) -> list[Any]:
    """Return what a cell of a closure holds; nothing when it is empty."""
    try:
        return [cell.cell_contents]
    except ValueError:
        return []


def _fresh_for(used: Any) -> Any:
    """Return what `base` holds now in the place of `used`; None when `used` is of its client already."""
    base = sys.modules.get("app.db.base")
    if base is None:
        return None
    held = [client_of(value) for value in held_by(base).values()]
    if not held or any(client_of(used) is client for client in held):
        return None
    client = getattr(base, "_client", None)
    client = client if isinstance(client, _CLIENT) else held[0]
    if isinstance(used, _CLIENT):
        return client
    if isinstance(used, _KINDS[1]):
        return client[used.name]
    return client[object.__getattribute__(used, "database").name][used.name]


def _is_loop(given: Any) -> bool:
    return isinstance(given, asyncio.AbstractEventLoop)
