"""Says, for a failing test, what belonged to which other loop, which names hold it, and what to change.

It says what it does not know. It must be asked while the failure's traceback is alive.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..live.culprit import Culprit
from ..live.entries import ClientEntry, UseEntry
from ..live.holders import HolderEntry, holders, holding_fixture
from ..live.ledger import Ledger
from ..live.uses import Uses
from ..recording import Place, short_name
from .adjacent import adjacent
from .advice import Found, advice
from .cause import Cause, Causes, Failure
from .fixtures import written
from .held import MOST, held_lines, is_of_its_library, of_client, short
from .loop_errors import loop_error
from .suite import Suite
from .words import line, when, where


class Explainer:
    """Explains the failures of one run, each distinct cause in full once.

    `holders` is what was found when it was first looked for, during the test `holders_at`.
    """

    def __init__(self, ledger: Ledger, uses: Uses) -> None:
        self.holders: list[HolderEntry] | None = None
        self.holders_at: str | None = None
        self._ledger = ledger
        self._causes = Causes(ledger, uses)
        self._explained: dict[tuple[Any, ...], str] = {}
        self._client_names: dict[int, str] = {}

    def explain(self, failure: Failure) -> str | None:
        """Return the text for a failed phase, or None if event loops have nothing to do with it."""
        cause = self._causes.of(failure)
        if cause is not None:
            return self._once(
                cause.key,
                failure,
                lambda: self._head(cause, failure),
                lambda: self._cross_loop(cause, failure),
            )
        said = loop_error(self._ledger, failure) or adjacent(self._ledger, failure)
        if said is not None:
            key, (head, *lines) = said
            return self._once(key, failure, lambda: f"loopwatch: {head}", lambda: lines)
        return None

    def note_holders(self, test: str | None) -> list[HolderEntry]:
        """Search the modules' names now. What is found first, during `test`, goes into the record."""
        found = holders(self._ledger)
        if self.holders is None:
            self.holders, self.holders_at = found, test
        return found

    def _once(
        self,
        key: tuple[Any, ...],
        failure: Failure,
        head: Callable[[], str],
        full: Callable[[], Iterable[str]],
    ) -> str:
        """Explain a cause in full the first time, then refer to it. The head may need what `full` finds."""
        before = self._explained.get(key)
        if before is not None:
            return f"{head()}\n  the same cause as in {before}, which has the full explanation"
        self._explained[key] = failure.nodeid
        lines = list(full())
        return "\n".join([head(), *lines])

    # -- the first line ------------------------------------------------------------------------------------

    def _head(self, cause: Cause, failure: Failure) -> str:
        thing = self._called(cause.thing, "an object that was not found in the frames")
        return (
            f"loopwatch: {thing} belongs to {self._loop_text(cause.loop)}; {self._runs_text(cause, failure)}"
        )

    def _runs_text(self, cause: Cause, failure: Failure) -> str:
        """Say on which loop it was used: the test's own, or one that runs beside it."""
        who = "this test" if cause.phase == "call" else f"this test's {cause.phase}"
        if not cause.running:
            return f"{who} runs on no loop that was seen"
        entry = self._ledger.loop_number(cause.running)
        if entry.thread != threading.current_thread().name:
            return f"it was used on loop #{cause.running}, which runs in the thread {entry.thread!r}"
        if Suite(failure.item).kind in ("sync", "unittest"):
            return f"{who} used it on loop #{cause.running}"
        return f"{who} runs on loop #{cause.running}"

    def _called(self, thing: Culprit, otherwise: str) -> str:
        """Return what the code calls the thing; where no line named it, the name of its holder."""
        if thing.name == "something":
            return otherwise
        said = thing.name in (thing.kind, thing.client.short if thing.client else "")
        if thing.client is not None and (said or thing.name.split(".")[0] == "self"):
            return self._client_names.get(thing.client.number, thing.name)
        return thing.name

    def _loop_text(self, number: int | None) -> str:
        if number is None:
            return "a loop that is not known"
        entry = self._ledger.loop_number(number)
        if entry.closed is not None:
            return f"loop #{number}, closed {when(entry.closed)}"
        if entry.gone:
            return f"loop #{number}, closed before the record began"
        return f"loop #{number}, which is open but not the one that runs"

    # -- the lines below it --------------------------------------------------------------------------------

    def _cross_loop(self, cause: Cause, failure: Failure) -> Iterator[str]:
        self.note_holders(failure.nodeid)
        client, suite = cause.thing.client, Suite(failure.item)
        leading: list[HolderEntry] = []
        fixture, defined = None, ""
        if client is not None:
            leading = of_client(holders(self._ledger, client), client, cause.thing.holder)
            fixture = holding_fixture(failure.item, client)
            source = written(suite, self._ledger, fixture.definition) if fixture else None
            defined = f"{source.file}:{source.function.lineno}" if source else ""
            names = [short(entry) for entry in leading if is_of_its_library(entry)]
            names += [fixture.name] if fixture else []
            if names:
                self._client_names[client.number] = names[0]
        yield line("bound", self._bound(cause))
        if client and client.made and client.bound and where(client.made) != where(client.bound):
            yield line("made", made_text(client, client.made))
        yield from held_lines(leading, fixture, defined, cause.thing.holder)
        yield from _detour_lines(cause)
        called = self._called(cause.thing, "the object")
        found = Found(client, leading, fixture, called, cause.running)
        alternatives = advice(found, suite, self._ledger)
        yield from _change_lines(alternatives) if alternatives else self._note_lines(failure)

    def _note_lines(self, failure: Failure) -> Iterator[str]:
        """Say, where no advice is known, how many loops ran in the test's call: none of them outlives it."""
        ran = {loop for loop, test, phase, _ in self._ledger.ran if (test, phase) == (failure.nodeid, "call")}
        if len(ran) > 1:
            numbers = ", ".join(f"#{number}" for number in sorted(ran))
            yield line("note", f"loops {numbers} ran in this test's call: what binds to one serves no other")

    def _bound(self, cause: Cause) -> str:
        client = cause.thing.client
        if client is not None and client.bound is not None:
            how = "when it was made" if client.at_creation else "at its first use"
            return f"{how}, {where(client.bound)}"
        ran = self._ran_text(cause.loop) if cause.loop else "not known when"
        made = (
            f"; the {client.short} was made {made_text(client, client.made)}"
            if client and client.made
            else ""
        )
        return f"{ran} (the binding itself was not seen){made}"

    def _ran_text(self, number: int) -> str:
        entry = self._ledger.loop_number(number)
        if entry.tests:
            more = f" and {len(set(entry.tests)) - 1} more" if len(set(entry.tests)) > 1 else ""
            return f"while loop #{number} ran, in {short_name(entry.tests[0])}{more}"
        for loop, test, phase, fixture in self._ledger.ran:
            if loop == number and test:
                return f"while loop #{number} ran, in {fixture or phase} of {short_name(test)}"
        return f"not known when: loop #{number} did not run in any test of this record"


def made_text(client: ClientEntry, made: Place) -> str:
    """Say where the client was made: the line that called its class, and the one that led there."""
    return f"{client.called_at}, called from {where(made)}" if client.called_at else where(made)


def _detour_lines(cause: Cause) -> Iterator[str]:
    """Yield how the error came to the test where it was not raised there: returned, or swallowed."""
    if cause.returned:
        name, number, gathered = cause.returned
        how = ", as gather(return_exceptions=True) returns it" if gathered else ""
        yield line("kept", f"the error is in `{name}` (line {number}){how}")
    ended = [(use, use.swallowed) for use in cause.swallowed if use.swallowed]
    for use, by in ended[:2]:
        text = f"{use.error!r} of {use.name}{_placed(use)}"
        yield line("swallowed", f"{text}, by the `except` at {by.file}:{by.line}")
    if cause.swallowed and not ended and not cause.returned:
        use = cause.swallowed[0]
        text = f"{use.error!r}{_placed(use)}"
        yield line("swallowed", f"{text}; by what is not known")


def _change_lines(alternatives: list[list[str]]) -> Iterator[str]:
    """Yield each alternative under a label of its own; of many modules to change, the first few."""
    for number, (first, *others) in enumerate(alternatives):
        yield line("or" if number else "change", first)
        block = any(other.startswith("    ") for other in others)
        shown = others if block else others[:MOST]
        yield from (line("", more) for more in shown)
        if len(others) > len(shown):
            yield line("", f"and {len(others) - MOST} more modules in the same way")


def _placed(use: UseEntry) -> str:
    place = use.place
    return f" at {place.file}:{place.line}" if place.file else ""
