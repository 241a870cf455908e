"""Finds what went wrong in a failed phase of a test: what was used, of which loop, while which loop ran.

It reads the uses that were noted, and the errors of the failure with their frames; so it must be asked while
these are alive. What to say of it and what to change, it must not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ..live.culprit import Culprit, culprit
from ..live.entries import UseEntry
from ..live.ledger import Ledger
from ..live.uses import Uses
from ..static.sources import Source

# What asyncio and the drivers write into such errors.
_CROSS_LOOP = (
    "Event loop is closed",
    "attached to a different loop",
    "is bound to a different event loop",
    "in different event loop",
    "belongs to a different loop",
)

# What libraries write into an error that may have another reason: aiohttp (helpers.TimerContext), uvloop
# (handles/handle.pyx), asyncpg (protocol.pyx). It counts only where an object of another loop is found.
_PERHAPS = (
    "Timeout context manager should be used inside a task",
    "the handler is closed",
    "another operation is in progress",
)


@dataclass(frozen=True)
class Failure:
    """The failed phase of a test: its error, and the test as pytest's item."""

    nodeid: str
    phase: str
    error: BaseException
    item: Any

    def errors(self) -> list[BaseException]:
        """Return the error, those that it came from, and those in its groups, each once."""
        return list(_chain(self.error))


@dataclass(frozen=True)
class Cause:
    """What went wrong, as far as found: the thing, its loop, and the loop that ran.

    `swallowed` are uses whose errors never reached the test; `returned` is the name of a variable whose value
    is the error, a line, and whether the function there asks for errors as values.
    """

    thing: Culprit
    loop: int | None
    running: int | None
    phase: str
    swallowed: tuple[UseEntry, ...] = ()
    returned: tuple[str, int, bool] | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """Two failures with the same key have one full explanation."""
        if self.thing.client is not None:
            return ("client", self.thing.client.number, self.loop)
        return ("object", self.thing.kind, self.thing.holder or self.thing.name, self.loop)


class Causes:
    """Finds the causes of one run's failures."""

    def __init__(self, ledger: Ledger, uses: Uses) -> None:
        self._ledger = ledger
        self._uses = uses

    def of(self, failure: Failure) -> Cause | None:
        """Return the cause of a failure, or None if nothing of another loop was used."""
        errors = failure.errors()
        raised = [use for error in errors if (use := self._uses.of(error)) is not None]
        shown = {use.number for use in raised}
        mine = [use for use in self._uses.entries if use.test == failure.nodeid and not use.background]
        swallowed = tuple(self._with_place(use) for use in mine if use.number not in shown)
        if raised:
            return self._from_use(min(raised, key=lambda use: use.number), failure, swallowed)
        for error in errors:
            if not isinstance(error, Exception) or isinstance(error, AssertionError):
                continue  # an assertion quotes what it compares
            if says(error, _CROSS_LOOP):
                return self._from_frames(error, failure, swallowed)
            if says(error, _PERHAPS):
                cause = self._from_frames(error, failure, swallowed)
                if cause.loop is not None and cause.loop != cause.running:
                    return cause
        returned = self._returned(failure, errors)
        if returned is not None:
            return returned
        return self._from_use(mine[0], failure, swallowed) if mine else None

    def _from_use(self, use: UseEntry, failure: Failure, swallowed: tuple[UseEntry, ...]) -> Cause:
        client = self._ledger.client_number(use.client) if use.client else None
        thing = Culprit(use.name, use.kind, client, use.holder, use.loop)
        running = use.running or ran_in(self._ledger, failure)
        return Cause(thing, use.loop, running, use.place.phase, swallowed)

    def _from_frames(self, error: BaseException, failure: Failure, swallowed: tuple[UseEntry, ...]) -> Cause:
        running = ran_in(self._ledger, failure)
        steps = self._ledger.sites.traceback(error.__traceback__)
        thing = culprit(self._ledger, steps, None, running)
        return Cause(thing, thing.loop, running, failure.phase, swallowed)

    def _returned(self, failure: Failure, errors: list[BaseException]) -> Cause | None:
        """Find an error that was never raised in the test: gather returned it, into a variable."""
        for name, line, gathered, error in self._errors_in_variables(errors):
            use = self._uses.of(error)
            if use is not None:
                cause = self._from_use(use, failure, ())
            elif says(error, _CROSS_LOOP):
                cause = self._from_frames(error, failure, ())
            else:
                continue
            return replace(cause, returned=(name, line, gathered))
        return None

    def _errors_in_variables(
        self, errors: list[BaseException]
    ) -> Iterator[tuple[str, int, bool, BaseException]]:
        """Yield the errors that variables of the project's frames have as values, with name and line.

        Between them stands whether the function asks for errors as values (`return_exceptions=True`).
        """
        for step in (s for error in errors for s in self._ledger.sites.traceback(error.__traceback__)):
            if self._ledger.sites.kind(step.file) == "project":
                keywords = [c for c in step.frame.f_code.co_consts if isinstance(c, tuple)]
                gathered = any("return_exceptions" in each for each in keywords)
                for name, value in list(step.frame.f_locals.items()):
                    yield from ((name, step.line, gathered, found) for found in _errors_in(value))

    def _with_place(self, use: UseEntry) -> UseEntry:
        """Find the `except` that ended this use's error: the innermost one around its stack."""
        if use.swallowed is None:
            for file, line, function in use.steps:
                handler = Source.of(file).handler(line)
                if handler is not None:
                    shown = self._ledger.sites.shown(file)
                    use.swallowed = replace(use.place, file=shown, line=handler, function=function)
                    break
        return use


def says(error: BaseException, phrases: Iterable[str]) -> bool:
    """Whether the error's text contains one of the phrases."""
    text = str(error)
    return any(phrase in text for phrase in phrases)


def ran_in(ledger: Ledger, failure: Failure) -> int | None:
    """Return the number of the loop that ran last in the failed phase of this test, or None."""
    for loop, test, phase, _ in reversed(ledger.ran):
        if test == failure.nodeid and phase == failure.phase:
            return loop
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    waiting: list[BaseException | None] = [error]
    seen = set()
    while waiting:
        current = waiting.pop(0)
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += [current.__cause__, current.__context__]
        grouped = getattr(current, "exceptions", ())  # Python 3.9 and 3.10 have no groups of their own
        if isinstance(grouped, tuple):
            waiting += [each for each in grouped if isinstance(each, BaseException)]


def _errors_in(value: Any) -> Iterator[BaseException]:
    for item in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(item, BaseException):
            yield from _chain(item)
