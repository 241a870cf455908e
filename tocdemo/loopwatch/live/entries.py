"""What a run is found to have while it goes on: its loops, its clients, and uses of things of other loops.

Entries change until the run ends; `frozen` then gives the plain value for the record. Objects are referred to
weakly, so that to watch them does not keep them alive. Nothing here knows how they are found.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..recording import Client, Loop, Place, Use


@dataclass
class LoopEntry:
    """A loop while it is watched. `gone` says that it was closed already when it was first seen.

    `number` is 0 until the loop first runs, is bound to or used: some versions of pytest-asyncio make loops
    that nobody ever runs, and those would only tear gaps into the numbers. `tests` ran on it.
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
        """Return the loop as the record has it."""
        return Loop(self.number, self.kind, self.thread, self.made, self.closed)


@dataclass
class ClientEntry:
    """A client while it is watched.

    `stores_loop` says that its library stores its loop where we can see it, `at_creation` that it was bound
    when it was made, `ran_at_creation` that a loop ran then. `called_at` is the project's own line that
    called the client's class, where the line of `made` is one that led to it.
    """

    number: int
    ref: Callable[[], Any]
    kind: str
    stores_loop: bool
    made: Place | None
    loop: int | None = None
    bound: Place | None = None
    at_creation: bool = False
    ran_at_creation: bool = False
    called_at: str = ""
    closed: Place | None = None

    @property
    def short(self) -> str:
        """The client's class without its module."""
        return self.kind.rpartition(".")[2]

    def frozen(self) -> Client:
        """Return the client as the record has it."""
        return Client(self.number, self.kind, self.made, self.loop, self.bound, self.closed)


@dataclass
class UseEntry:
    """A cross-loop use while the run goes on.

    `steps` are the (file, line, function) of the project's frames, innermost first; `holder` is the module
    and the name in it, where a module's name led to the thing.
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
        """Return the use as the record has it."""
        return Use(
            self.test, self.loop, self.running, self.name, self.kind, self.client, self.place, self.error,
            self.swallowed, self.count, self.background,
        )  # fmt: skip
