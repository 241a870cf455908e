"""Says, for a failing test, what belonged to which other loop, which names hold it, and what to change.

It says what it does not know. It must be asked while the failure's traceback is alive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..live.culprit import Culprit
from ..live.entries import ClientEntry
from ..live.holders import Copied, HolderEntry, HoldingFixture, holders, holding_fixture
from ..live.ledger import Ledger
from ..live.uses import Uses
from ..recording import short_name
from .advice import advice
from .cause import Cause, Causes, Failure
from .loop_errors import loop_error
from .words import line, when, where

MOST = 3


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
                cause.key, failure, lambda: self._head(cause), lambda: self._cross_loop(cause, failure)
            )
        said = loop_error(self._ledger, failure)
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

    def _head(self, cause: Cause) -> str:
        thing = self._called(cause.thing, "an object that was not found in the frames")
        who = "this test" if cause.phase == "call" else f"this test's {cause.phase}"
        runs = f"runs on loop #{cause.running}" if cause.running else "runs on no loop that was seen"
        return f"loopwatch: {thing} belongs to {self._loop_text(cause.loop)}; {who} {runs}"

    def _called(self, thing: Culprit, otherwise: str) -> str:
        """Return what the code calls the thing; where no line named it, the name of its holder."""
        if thing.name == "something":
            return otherwise
        if thing.client is not None and thing.name in (thing.kind, thing.client.short):
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
        found = self.note_holders(failure.nodeid)
        client = cause.thing.client
        leading: list[HolderEntry] = []
        fixture = None
        if client is not None:
            leading = _of_client(found, client, cause.thing.holder)
            fixture = holding_fixture(failure.item, client)
            if leading:
                self._client_names[client.number] = leading[0].name
        yield line("bound", self._bound(cause))
        yield from _held_lines(leading, fixture, cause.thing.holder)
        yield from _detour_lines(cause)
        yield from _change_lines(advice(client, leading, fixture, self._called(cause.thing, "the object")))

    def _bound(self, cause: Cause) -> str:
        client = cause.thing.client
        if client is not None and client.bound is not None:
            how = "when it was made" if client.at_creation else "at its first use"
            return f"{how}, {where(client.bound)}"
        ran = self._ran_text(cause.loop) if cause.loop else "not known when"
        made = f"; the {client.short} was made {where(client.made)}" if client and client.made else ""
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


def _of_client(
    found: list[HolderEntry], client: ClientEntry, used: tuple[str, str] | None
) -> list[HolderEntry]:
    """Return the holders of the client: first that which the code `used`, then others of its module."""
    module, name = used or (None, None)
    mine = [entry for entry in found if entry.client is client]
    return sorted(
        mine, key=lambda entry: ((entry.module, entry.name) != (module, name), entry.module != module)
    )


def _held_lines(
    leading: list[HolderEntry], fixture: HoldingFixture | None, used: tuple[str, str] | None
) -> Iterator[str]:
    """Yield what holds the client: a fixture, and names of modules, those of one module in one line."""
    if fixture and (not leading or fixture.scope != "function"):
        yield line("held as", f"fixture `{fixture.name}` (scope {fixture.scope})")
    by_module: dict[tuple[Any, ...], list[HolderEntry]] = {}
    for entry in leading:
        source = entry.copied.module if entry.copied else None
        by_module.setdefault((entry.module, source, entry.stale), []).append(entry)
    groups = list(by_module.values())
    for entries in groups[:MOST]:
        yield line("held as", _names_text(entries))
        copied = entries[0].copied
        if copied is not None and copied.stale:
            yield line("", _now_text(copied))
    if len(groups) > MOST:
        rest = [f"{entry.module}.{entry.name}" for entries in groups[MOST:] for entry in entries]
        yield line("", f"and {len(rest)} more: " + ", ".join(rest[:6]))
    if not leading and not fixture:
        yield line("held as", ".".join(used) if used else "not known: no module's name leads to it")


def _names_text(entries: list[HolderEntry]) -> str:
    """Say where names of one module come from: all were made there, or copied from the same module."""
    first, origin = entries[0], entries[0].origin
    text = f"{first.module}.{first.name}" + "".join(f", {entry.name}" for entry in entries[1:])
    if origin is None:
        return f"{text} (where it comes from is not known)"
    lines = sorted({entry.origin.line for entry in entries if entry.origin})
    at = f"line {lines[0]}" if len(lines) == 1 else "lines " + ", ".join(map(str, lines))
    if origin.origin != "imported":
        return f"{text}, made there ({at})"
    names = ", ".join(_written(entry) for entry in sorted(entries, key=lambda entry: entry.name))
    source = first.copied.module if first.copied else origin.source
    return f"{text}, copied from {source} by `from {origin.written} import {names}` ({at})"


def _written(entry: HolderEntry) -> str:
    name = entry.origin.source_name if entry.origin and entry.origin.source_name else entry.name
    return name if name == entry.name else f"{name} as {entry.name}"


def _now_text(copied: Copied) -> str:
    text = f"{copied.module.rpartition('.')[2]}.{copied.name} is another object now"
    if copied.now is None:
        return f"{text}, with no client behind it"
    made = ""
    if copied.now.made is not None:
        fixture = copied.now.made.fixture
        made = f", made in {fixture}" if fixture else f", made {where(copied.now.made)}"
    bound = f"bound to loop #{copied.now.loop}" if copied.now.loop else "not bound yet"
    return f"{text}{made}, {bound}"


def _detour_lines(cause: Cause) -> Iterator[str]:
    """Yield how the error came to the test where it was not raised there: returned, or swallowed."""
    if cause.returned:
        name, number = cause.returned
        how = "as gather(return_exceptions=True) returns it"
        yield line("kept", f"the error is in `{name}` (line {number}), {how}")
    ended = [(use, use.swallowed) for use in cause.swallowed if use.swallowed]
    for use, by in ended[:2]:
        text = f"{use.error!r} of {use.name} at {use.place.file}:{use.place.line}"
        yield line("swallowed", f"{text}, by the `except` at {by.file}:{by.line}")
    if cause.swallowed and not ended and not cause.returned:
        use = cause.swallowed[0]
        text = f"{use.error!r} at {use.place.file}:{use.place.line}"
        yield line("swallowed", f"{text}; by what is not known")


def _change_lines(advised: Iterable[str]) -> Iterator[str]:
    first, *others = advised
    yield line("change", first)
    for more in others[:MOST]:
        yield line("", more)
    if len(others) > MOST:
        yield line("", f"and {len(others) - MOST} more modules in the same way")
