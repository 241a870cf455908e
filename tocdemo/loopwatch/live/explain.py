"""Says, for a failing test, what belonged to which other loop, under which name, and what to change.

The plugin asks it once for each failed phase, while the traceback is alive. It reads the ledger, the frames
of the traceback and the loaded modules, and it says what it does not know.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ..recording import Place
from ..static.sources import Source, is_fixture, module_import
from .culprit import Culprit, culprit
from .graph import behind
from .ledger import MARK, ClientEntry, Ledger, LoopEntry, UseEntry
from .names import Name, names, stale_by_module
from .sites import Step

MOST = 3
CROSS_LOOP = re.compile(
    r"Event loop is closed|attached to a different loop|is bound to a different event loop"
    r"|in different event loop|belongs to a different loop"
)
NESTED = re.compile(
    r"(Runner\.run\(\)|asyncio\.run\(\)) cannot be called|another loop is running"
    r"|This event loop is already running"
)
NO_LOOP = re.compile(r"There is no current event loop|no running event loop")


@dataclass(frozen=True)
class Failure:
    """The failed phase of a test.

    Its error, and what pytest knows of the test (`funcargs`, fixture definitions).
    """

    nodeid: str
    phase: str
    error: BaseException
    item: Any


@dataclass(frozen=True)
class Cause:
    """What went wrong, as far as found.

    The thing, its loop, the running loop, the use, and errors that were kept.
    """

    thing: Culprit
    loop: int | None
    running: int | None
    phase: str
    swallowed: tuple[UseEntry, ...] = ()
    returned: tuple[str, int] | None = None

    @property
    def key(self) -> tuple:
        """Two failures with the same key have one full explanation."""
        if self.thing.client is not None:
            return ("client", self.thing.client.number, self.loop)
        return ("object", self.thing.kind, self.thing.holder or self.thing.name, self.loop)


class Explainer:
    """Explains the failures of one run, each distinct cause in full once."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._explained: dict[tuple, str] = {}
        self.names: list[Name] | None = None
        self.names_at: str | None = None
        self._held_names: dict[int, str] = {}

    def explain(self, failure: Failure) -> str | None:
        """Return the text for a failed phase, or None if event loops have nothing to do with it."""
        chain = list(_chain(failure.error))
        cause = self._cause(failure, chain)
        if cause is not None:
            return self._once(
                cause.key, failure, lambda: self._head(cause), lambda: self._cross_loop(cause, failure)
            )
        for error in chain:
            if isinstance(error, RuntimeError | DeprecationWarning):
                steps = self._ledger.sites.traceback(error.__traceback__)
                if NESTED.search(str(error)):
                    return self._plain(failure, "nested", steps, self._nested)
                if NO_LOOP.search(str(error)):
                    return self._plain(failure, "no loop", steps, self._no_loop)
        return None

    def note_names(self, test: str | None) -> list[Name]:
        """Search the modules' names now. What is found first, during `test`, goes into the record."""
        found = names(self._ledger)
        if self.names is None:
            self.names, self.names_at = found, test
        return found

    # -- what went wrong -----------------------------------------------------------------------------------

    def _cause(self, failure: Failure, chain: list[BaseException]) -> Cause | None:
        uses = self._ledger.uses
        shown = {getattr(error, MARK) for error in chain if isinstance(getattr(error, MARK, None), int)}
        mine = [use for use in uses if use.test == failure.nodeid and not use.background]
        swallowed = tuple(self._with_place(use) for use in mine if use.number not in shown)
        if shown:
            return self._from_use(uses[min(shown)], failure, swallowed)
        for error in chain:
            if CROSS_LOOP.search(str(error)) and isinstance(error, RuntimeError | ValueError):
                return self._from_frames(error, failure, swallowed)
        return self._kept(failure, chain, mine, swallowed)

    def _from_use(self, use: UseEntry, failure: Failure, swallowed: tuple[UseEntry, ...]) -> Cause:
        client = self._ledger.client_number(use.client) if use.client else None
        thing = Culprit(use.name, use.kind, client, use.holder, use.loop)
        running = use.running or self._ran_in(failure)
        return Cause(thing, use.loop, running, use.place.phase, swallowed)

    def _from_frames(self, error: BaseException, failure: Failure, swallowed: tuple[UseEntry, ...]) -> Cause:
        running = self._ran_in(failure)
        steps = self._ledger.sites.traceback(error.__traceback__)
        thing = culprit(self._ledger, steps, None, running)
        return Cause(thing, thing.loop, running, failure.phase, swallowed)

    def _kept(
        self,
        failure: Failure,
        chain: list[BaseException],
        mine: list[UseEntry],
        swallowed: tuple[UseEntry, ...],
    ) -> Cause | None:
        """Errors that never reached the test as such.

        Kept in a list by gather, or swallowed by an `except`.
        """
        for step in _all_steps(self._ledger, chain):
            if self._ledger.sites.kind(step.file) != "project":
                continue
            for name, value in list(step.frame.f_locals.items()):
                for error in _errors_in(value):
                    number = getattr(error, MARK, None)
                    if isinstance(number, int) and number < len(self._ledger.uses):
                        cause = self._from_use(self._ledger.uses[number], failure, ())
                    elif CROSS_LOOP.search(str(error)):
                        cause = self._from_frames(error, failure, ())
                    else:
                        continue
                    return replace(cause, returned=(name, step.line))
        return self._from_use(mine[0], failure, swallowed) if mine else None

    def _with_place(self, use: UseEntry) -> UseEntry:
        """Find the `except` that kept this use's error from the test: the innermost one around its stack."""
        if use.swallowed is None:
            for file, line, function in use.steps:
                kept_at = Source.of(file).handler(line)
                if kept_at is not None:
                    shown = self._ledger.sites.shown(file)
                    use.swallowed = replace(use.place, file=shown, line=kept_at, function=function)
                    break
        return use

    def _ran_in(self, failure: Failure) -> int | None:
        """Return the loop that ran last in the failed phase of this test."""
        for (loop, test, phase, _), _ran in reversed(self._ledger.ran.items()):
            if test == failure.nodeid and phase == failure.phase:
                return loop
        return None

    # -- the text ------------------------------------------------------------------------------------------

    def _once(
        self, key: tuple, failure: Failure, head: Callable[[], str], full: Callable[[], Iterable[str]]
    ) -> str:
        """Explain a cause in full the first time, then refer to it. The head may need what `full` finds."""
        before = self._explained.get(key)
        if before is not None:
            return f"{head()}\n  the same cause as in {before}, which has the full explanation"
        self._explained[key] = failure.nodeid
        lines = list(full())
        return "\n".join([head(), *lines])

    def _head(self, cause: Cause) -> str:
        thing = self._called(cause.thing, "an object that was not found in the frames")
        where = "this test" if cause.phase == "call" else f"this test's {cause.phase}"
        runs = f"runs on loop #{cause.running}" if cause.running else "runs on no loop that was seen"
        return f"loopwatch: {thing} belongs to {self._loop_text(cause.loop)}; {where} {runs}"

    def _called(self, thing: Culprit, otherwise: str) -> str:
        """Return what the code calls the thing; where no line named it, the name of its holder."""
        if thing.name == "something":
            return otherwise
        if thing.client is not None and thing.name in (thing.kind, thing.client.short):
            return self._held_names.get(thing.client.number, thing.name)
        return thing.name

    def _loop_text(self, number: int | None) -> str:
        if number is None:
            return "a loop that is not known"
        entry = self._ledger.loop_number(number)
        if entry.closed is not None:
            return f"loop #{number}, closed {_when(entry.closed)}"
        if entry.gone:
            return f"loop #{number}, closed before the record began"
        return f"loop #{number}, which is open but not the one that runs"

    def _cross_loop(self, cause: Cause, failure: Failure) -> Iterator[str]:
        found = self.note_names(failure.nodeid)
        client = cause.thing.client
        yield _line("bound", self._bound(cause))
        held = [entry for entry in found if entry.client is client] if client else []
        held.sort(
            key=lambda entry: (not _is_holder(entry, cause.thing), not _same_module(entry, cause.thing))
        )
        fixture = _holding_fixture(self._ledger, failure.item, client)
        if held:
            self._held_names[client.number] = held[0].name
        yield from self._held(held, fixture, client, cause)
        yield from self._kept_lines(cause)
        yield from self._change(cause, client, held, fixture)

    def _bound(self, cause: Cause) -> str:
        client = cause.thing.client
        if client is not None and client.bound is not None:
            how = "when it was made" if client.at_creation else "at its first use"
            return f"{how}, {_where(client.bound)}"
        ran = self._ran_text(cause.loop) if cause.loop else "not known when"
        made = f"; the {client.short} was made {_where(client.made)}" if client and client.made else ""
        return f"{ran} (the binding itself was not seen){made}"

    def _ran_text(self, number: int) -> str:
        entry: LoopEntry = self._ledger.loop_number(number)
        if entry.tests:
            more = f" and {len(set(entry.tests)) - 1} more" if len(set(entry.tests)) > 1 else ""
            return f"while loop #{number} ran, in {_short(entry.tests[0])}{more}"
        for (loop, test, phase, fixture), _ in self._ledger.ran.items():
            if loop == number and test:
                return f"while loop #{number} ran, in {fixture or phase} of {_short(test)}"
        return f"not known when: loop #{number} did not run in any test of this record"

    def _held(
        self, held: list[Name], fixture: tuple[str, str] | None, client: ClientEntry | None, cause: Cause
    ) -> Iterator[str]:
        if fixture and (not held or fixture[1] != "function"):
            yield _line("held as", f"fixture `{fixture[0]}` (scope {fixture[1]})")
        groups: dict[tuple, list[Name]] = {}
        for entry in held:
            groups.setdefault((entry.module, entry.root, entry.stale), []).append(entry)
        for entries in list(groups.values())[:MOST]:
            yield _line("held as", _name_text(entries))
            if entries[0].stale:
                yield _line("", _now_text(entries[0]))
        if len(groups) > MOST:
            rest = [f"{e.module}.{e.name}" for entries in list(groups.values())[MOST:] for e in entries]
            yield _line("", f"and {len(rest)} more: " + ", ".join(rest[:6]))
        if not held and not fixture:
            holder = cause.thing.holder
            known = f"{holder[0]}.{holder[1]}" if holder else "not known: no module's name leads to it"
            yield _line("held as", known)

    def _kept_lines(self, cause: Cause) -> Iterator[str]:
        if cause.returned:
            name, line = cause.returned
            yield _line(
                "kept",
                f"the error is in `{name}` (line {line}), as gather(return_exceptions=True) returns it",
            )
        kept = [use for use in cause.swallowed if use.swallowed]
        for use in kept[:2]:
            at, by = use.place, use.swallowed
            yield _line(
                "swallowed",
                f"{use.error!r} of {use.name} at {at.file}:{at.line}, by the `except` at {by.file}:{by.line}",
            )
        lost = [use for use in cause.swallowed if not use.swallowed]
        if lost and not kept and not cause.returned:
            at = lost[0].place
            yield _line("swallowed", f"{lost[0].error!r} at {at.file}:{at.line}; by what is not known")

    # -- what to change ------------------------------------------------------------------------------------

    def _change(
        self, cause: Cause, client: ClientEntry | None, held: list[Name], fixture: tuple[str, str] | None
    ) -> Iterator[str]:
        advice = list(self._advice(cause, client, held, fixture))
        yield _line("change", advice[0])
        for more in advice[1 : MOST + 1]:
            yield _line("", more)
        if len(advice) > MOST + 1:
            yield _line("", f"and {len(advice) - MOST - 1} more modules in the same way")

    def _advice(
        self, cause: Cause, client: ClientEntry | None, held: list[Name], fixture: tuple[str, str] | None
    ) -> Iterator[str]:
        stale = list(stale_by_module(held, client)) if client else []
        for first, entries in stale:
            yield _unstale(first, entries)
        if stale:
            return
        if client is not None and client.at_creation and not client.ran_at_creation and client.made.fixture:
            made = client.made
            yield (
                f"make {made.fixture} an async fixture ({made.file}:{made.line}; `@pytest_asyncio.fixture`,"
                f" `async def`): {client.short} binds when it is made, and no loop runs in a sync fixture"
            )
        elif fixture and fixture[1] != "function":
            yield (
                f'let fixture and tests share a loop: give `{fixture[0]}` the scope "function", or give the'
                f' tests `@pytest.mark.asyncio(loop_scope="{fixture[1]}")`'
            )
            yield f'and the fixture `loop_scope="{fixture[1]}"`, where it is made with pytest-asyncio'
        elif fixture and client.ran_at_creation and client.made and client.made.fixture == fixture[0]:
            yield (
                f"let fixture and tests share a loop: `{fixture[0]}` runs on a loop already, and not on that"
                f" of the tests; give both the same `loop_scope`"
            )
        elif held and not all(entry.origin is None for entry in held):
            yield from _made_once(held, client)
        else:
            thing = self._called(cause.thing, "the object")
            made = f" (it was made {_where(client.made)})" if client and client.made else ""
            yield f"make {thing} on the loop that uses it: in the test, or in an async fixture{made}"

    # -- errors without an object --------------------------------------------------------------------------

    def _plain(self, failure: Failure, kind: str, steps: list[Step], text: Any) -> str:
        mine = [s for s in steps if self._ledger.sites.kind(s.file) == "project"]
        project = next((s for s in mine if _sync_fixture(s)), mine[0] if mine else None)
        where = (project.file, project.line) if project else (None, None)
        head, *rest = text(failure, project, steps)
        return self._once((kind, *where), failure, lambda: f"loopwatch: {head}", lambda: rest)

    def _at(self, step: Step | None) -> str:
        return f"{self._ledger.sites.shown(step.file)}:{step.line}" if step else "a place outside the project"

    def _nested(self, failure: Failure, project: Step | None, steps: list[Step]) -> list[str]:
        running = self._ledger.running()
        if project is None:
            ran = f"loop #{running.number} runs in this thread already" if running else "a loop runs already"
            return [
                f"pytest was started in a thread where a loop runs, so the test's loop cannot run ({ran})",
                _line(
                    "change",
                    "run pytest in a thread of its own; in a notebook: ipytest.config(run_in_thread=True)",
                ),
            ]
        number = self._ran_in(failure)
        ran = f"loop #{number}" if number else "a loop"
        return [
            f"{self._at(project)}, in {project.function}, starts a loop while {ran} runs in the same thread",
            _line(
                "change",
                "`await` the coroutine there instead of running it; if the function must stay sync, call it",
            ),
            _line("", "with `await asyncio.to_thread(...)`, where a loop of its own can run"),
        ]

    def _no_loop(self, failure: Failure, project: Step | None, steps: list[Step]) -> list[str]:
        if project is None:
            return [
                "a running loop was asked for where none runs",
                _line("change", "not known: no frame of the project is in the traceback"),
            ]
        if node := _sync_fixture(project):
            return [
                f"{project.function} is a sync fixture, in which no loop runs; {self._at(project)} needs one",
                _line(
                    "change",
                    f"make it async: `@pytest_asyncio.fixture` and `async def {project.function}` "
                    f"({self._ledger.sites.shown(project.file)}:{node.lineno}); it then runs on a loop",
                ),
            ]
        what = "at import" if project.function == "<module>" else f"in {project.function}"
        change = "do it in a coroutine: an `async def` test, or an async fixture (`@pytest_asyncio.fixture`)"
        return [f"{self._at(project)} needs a loop, {what}, where none runs", _line("change", change)]


def _sync_fixture(step: Step) -> ast.FunctionDef | None:
    node = Source.of(step.file).function_at(step.line, step.function)
    return node if isinstance(node, ast.FunctionDef) and is_fixture(node) else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, what it came from, and what its groups hold, each once."""
    waiting, seen = [error], set()
    while waiting:
        current = waiting.pop(0)
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += [current.__cause__, current.__context__]
        if isinstance(current, BaseExceptionGroup):
            waiting += current.exceptions


def _all_steps(ledger: Ledger, chain: list[BaseException]) -> Iterator[Step]:
    for error in chain:
        yield from ledger.sites.traceback(error.__traceback__)


def _errors_in(value: Any) -> Iterator[BaseException]:
    for item in value if isinstance(value, list | tuple) else [value]:
        if isinstance(item, BaseException):
            yield from _chain(item)


def _line(label: str, text: str) -> str:
    return f"  {label + ':' if label else '':<10} {text}"


def _short(nodeid: str) -> str:
    return nodeid.rpartition("::")[2]


def _when(place: Place) -> str:
    if place.test is None:
        return f"at {place.phase}"
    if place.phase == "teardown":
        return f"at the teardown of {_short(place.test)}"
    return f"in {_short(place.test)} ({place.fixture or place.phase})"


def _where(place: Place) -> str:
    line = f"{place.file}:{place.line}, " if place.file else ""
    if place.test is None:
        return f"{line}at import" if place.phase == "collection" else f"{line}at {place.phase}"
    if place.fixture:
        return f"{line}in fixture {place.fixture} for {_short(place.test)}"
    return f"{line}in {_short(place.test)} ({place.phase})"


def _same_module(entry: Name, thing: Culprit) -> bool:
    return thing.holder is not None and entry.module == thing.holder[0]


def _is_holder(entry: Name, thing: Culprit) -> bool:
    return thing.holder is not None and entry.module == thing.holder[0] and entry.name == thing.holder[1]


def _name_text(entries: list[Name]) -> str:
    """Say where names of one module come from: all were made there, or copied from the same module."""
    first = entries[0]
    text = f"{first.module}.{first.name}" + "".join(f", {entry.name}" for entry in entries[1:])
    if first.origin is None:
        return f"{text} (where it comes from is not known)"
    lines = sorted({entry.origin.line for entry in entries if entry.origin})
    where = f"line {lines[0]}" if len(lines) == 1 else "lines " + ", ".join(map(str, lines))
    if first.origin.origin != "imported":
        return f"{text}, made there ({where})"
    copied = ", ".join(_written(entry) for entry in sorted(entries, key=lambda entry: entry.name))
    statement = f"from {first.origin.written} import {copied}"
    return f"{text}, copied from {first.root or first.origin.source} by `{statement}` ({where})"


def _written(entry: Name) -> str:
    name = entry.origin.source_name
    return name if name == entry.name else f"{name} as {entry.name}"


def _now_text(entry: Name) -> str:
    tail = f"{entry.root.rpartition('.')[2]}.{entry.root_name}"
    now = entry.now
    if now is None:
        return f"{tail} is another object now, with no client behind it"
    made = ""
    if now.made is not None:
        made = f", made in {now.made.fixture}" if now.made.fixture else f", made {_where(now.made)}"
    bound = f"bound to loop #{now.loop}" if now.loop else "not bound yet"
    return f"{tail} is another object now{made}, {bound}"


def _unstale(first: Name, entries: list[Name]) -> str:
    statement, module = module_import(first.origin, first.root)
    uses = ", ".join(f"{module}.{entry.root_name}" for entry in entries)
    lines = sorted({entry.origin.line for entry in entries})
    return f"{first.file}:{lines[0]}: write `{statement}` there, and {uses} wherever the bare name is used"


def _made_once(held: list[Name], client: ClientEntry) -> Iterator[str]:
    """A client that is made at import and that nothing replaces."""
    made = next((e for e in held if e.origin is not None and e.origin.origin == "assigned"), held[0])
    place = f"{made.file}:{made.origin.line}" if made.origin else made.module
    if "()" in made.name:
        function = made.name.partition("()")[0]
        yield f"{place}: {function} keeps what it made, and each test has a loop of its own: call"
        yield (
            f"{function}.cache_clear() in a fixture before each test, or give all its users one loop"
            f' (`loop_scope="session"` on tests and fixtures)'
        )
        return
    yield (
        f"{place} makes {made.name} once, and each test has a loop of its own: make it in an async fixture"
        f" (`@pytest_asyncio.fixture`)"
    )
    yield (
        f"that sets {made.module}.{made.name} for each test, or give all its users one loop"
        f' (`loop_scope="session"` on tests and fixtures)'
    )


def _holding_fixture(ledger: Ledger, item: Any, client: ClientEntry | None) -> tuple[str, str] | None:
    """Return name and scope of a fixture of this test that keeps the client, rather a wide one; or None."""
    if client is None:
        return None
    found = None
    definitions = getattr(getattr(item, "_request", None), "_fixture_defs", None) or {}
    for name, definition in definitions.items():
        cached = getattr(definition, "cached_result", None)
        value = client.ref()
        if cached is None or value is None or (found and definition.scope == "function"):
            continue
        if _leads_to(ledger, cached[0], client):
            found = (name, definition.scope)
    return found


def _leads_to(ledger: Ledger, value: Any, client: ClientEntry) -> bool:
    return behind(value, lambda item: True if ledger.client_entry(item) is client else None) is not None
