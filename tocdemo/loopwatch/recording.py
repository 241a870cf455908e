"""The record of one pytest run as plain values: loops, tests, fixtures, clients, and names that hold clients.

All of it can be written as JSON. Nothing here refers to a live object, and nothing here knows pytest, asyncio
or a driver.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TypeVar

SCHEMA = 1


@dataclass(frozen=True)
class Place:
    """When and where something happened.

    `at` is in seconds since the record began. `test` is a pytest node id, `phase` one of "collection",
    "setup", "call", "teardown" and "end". `file` is relative to pytest's root where it lies below it.
    Whatever was not seen is None.
    """

    at: float
    phase: str
    test: str | None = None
    fixture: str | None = None
    file: str | None = None
    line: int | None = None
    function: str | None = None


@dataclass(frozen=True)
class Loop:
    """An event loop.

    `made` is None for a loop that was there before the record began, `closed` for one left open.
    """

    number: int
    kind: str
    thread: str
    made: Place | None = None
    closed: Place | None = None


@dataclass(frozen=True)
class Ran:
    """Loop `loop` ran, once or often, in the phase of the test (and for the fixture) that `first` names."""

    loop: int
    first: Place


@dataclass(frozen=True)
class Test:
    """One test.

    `outcome` is "passed", "failed", "error" or "skipped", `error` the first line of its error. `phases` maps
    each phase to its begin and end in seconds since the record began. `loop` ran the test's call.
    """

    nodeid: str
    number: int
    outcome: str
    error: str | None
    phases: Mapping[str, tuple[float, float]]
    loop: int | None = None

    __test__ = False  # for pytest: this is no test class


@dataclass(frozen=True)
class Fixture:
    """One set-up of a fixture, for the test that asked first.

    `begin`, `ready` and `end` are in seconds since the record began; `end` is None if it was not torn down.
    """

    name: str
    scope: str
    test: str
    begin: float
    ready: float
    end: float | None = None


@dataclass(frozen=True)
class Client:
    """An async client, or a lock or other object that was used on a wrong loop.

    `loop` and `bound` are None as long as no binding was seen.
    """

    number: int
    kind: str
    made: Place | None = None
    loop: int | None = None
    bound: Place | None = None
    closed: Place | None = None


@dataclass(frozen=True)
class Use:
    """A use, in `test`, of something that belongs to loop `loop` while loop `running` ran.

    `name` is what the code calls it, `kind` its type, `swallowed` the place of the `except` that ended its
    error, `count` how often it happened in this test. `background` marks uses by a finalizer or by another
    thread.
    """

    test: str | None
    loop: int
    running: int | None
    name: str
    kind: str
    client: int | None
    place: Place
    error: str
    swallowed: Place | None = None
    count: int = 1
    background: bool = False


@dataclass(frozen=True)
class Holder:
    """A name in a module that leads to a client: `module`.`name`, of type `kind`, and behind it the client.

    `origin` is "assigned", "imported" or "unknown"; an imported name was copied from module `source`, which
    has it as `source_name`. `stale` says that the name there had come to mean another object.
    """

    module: str
    name: str
    kind: str
    client: int
    loop: int | None = None
    file: str | None = None
    line: int | None = None
    origin: str = "unknown"
    source: str | None = None
    source_name: str | None = None
    stale: bool = False


_Numbered = TypeVar("_Numbered", Loop, Client)


@dataclass(frozen=True)
class Recording:
    """Everything that the plugin saw in one run.

    `explanations` maps the node id of each explained test, or of a file that could not be imported, to its
    text. `holders` are those of the moment when the first test failed over another loop, or when the last
    test was over but not yet torn down; `holders_at` is that test's node id, or None if they were found at
    the end of the run.
    """

    python: str
    versions: Mapping[str, str]
    worker: str | None = None
    loops: tuple[Loop, ...] = ()
    tests: tuple[Test, ...] = ()
    fixtures: tuple[Fixture, ...] = ()
    ran: tuple[Ran, ...] = ()
    clients: tuple[Client, ...] = ()
    uses: tuple[Use, ...] = ()
    holders: tuple[Holder, ...] = ()
    holders_at: str | None = None
    explanations: Mapping[str, str] = field(default_factory=dict)

    def loop(self, number: int) -> Loop:
        """Return the loop with this number; raise KeyError if the record has none."""
        return _numbered(self.loops, number)

    def client(self, number: int) -> Client:
        """Return the client with this number; raise KeyError if the record has none."""
        return _numbered(self.clients, number)

    def to_json(self, indent: int | None = None) -> str:
        """Return the record as JSON: field for field, with `"loopwatch": 1`, the form's number, in front."""
        return json.dumps({"loopwatch": SCHEMA, **asdict(self)}, indent=indent)


def _numbered(items: tuple[_Numbered, ...], number: int) -> _Numbered:
    for item in items:
        if item.number == number:
            return item
    raise KeyError(number)


def short_name(nodeid: str) -> str:
    """Return the name of a test without its file and class."""
    return nodeid.rpartition("::")[2]
