"""Which kept objects the tests reach, and on how many event loops.

It joins the suite's loops with the facts of the functions. It must not know what a finding says.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from .facts import Facts, Given, Parallel, Reader, Request
from .names import parameters, walk
from .objects.kept import ONCE_A_CLASS
from .objects.libraries import WAITS
from .objects.things import bindings, made_class
from .project import Def
from .routes import Route, routes
from .suite import SYNC, Fixture, LoopKey, Suite, Test

_CLIENTS = {"fastapi.testclient.TestClient", "starlette.testclient.TestClient"}
_IN_PROCESS = ("ASGITransport", "AsyncClient(app=", "async_asgi_testclient")


@dataclass
class Walk:
    """What is reached from some functions: `uses` has the place of the first use of each root."""

    uses: dict[str, tuple[Def, int]] = field(default_factory=dict)
    closes: set[str] = field(default_factory=set)
    sets: set[str] = field(default_factory=set)
    parallel: list[Parallel] = field(default_factory=list)


@dataclass(frozen=True)
class Use:
    """A test, or one call in it, that uses a kept object on the loop `key`."""

    test: Test
    key: LoopKey
    function: Def
    line: int
    waits: bool


class Reach:
    """Walks from the tests through the project's functions."""

    def __init__(self, suite: Suite, reader: Reader) -> None:
        self.suite = suite
        self.reader = reader
        self.project = suite.project
        self._uses: dict[str, list[Use]] | None = None
        self._below: dict[Def, set[str]] = {}
        self._walks: dict[Def, Walk] = {}
        self._given: dict[Def, Given] = {}

    @property
    def uses(self) -> dict[str, list[Use]]:
        """The uses of each root, in the order of the tests."""
        if self._uses is None:
            self._uses = {}
            for test in self.suite.tests:
                for root, use in self._of_test(test):
                    self._uses.setdefault(root, []).append(use)
        return self._uses

    def walk(self, starts: Iterable[tuple[Def, Given]]) -> Walk:
        """Follow the calls from these functions."""
        found = Walk()
        for function, facts in self._follow(starts):
            for root, line in facts.uses.items():
                found.uses.setdefault(root, (function, line))
            found.closes |= facts.closes
            found.sets |= facts.sets
            found.parallel += facts.parallel
        return found

    def _follow(self, starts: Iterable[tuple[Def, Given]]) -> Iterator[tuple[Def, Facts]]:
        waiting = list(starts)
        seen: set[tuple[int, str]] = set()
        while waiting:
            function, given = waiting.pop()
            key = (id(function.node), given.key)
            if key not in seen:
                seen.add(key)
                facts = self.reader.facts(function, given)
                yield function, facts
                waiting += [(called, Given()) for called in facts.calls]

    def below(self, code: Def) -> Walk:
        """Return what is reached from a test or fixture."""
        if code not in self._walks:
            self._walks[code] = self.walk([(code, self.given(code))])
        return self._walks[code]

    def given(self, user: Def) -> Given:
        """Return what the fixtures give to the parameters of a test or fixture, as far as it is known."""
        if user not in self._given:
            self._given[user] = self._read_given(user)
        return self._given[user]

    def _read_given(self, user: Def) -> Given:
        instances, held = {}, {}
        for parameter in parameters(user.node):
            fixture = self.suite.fixture(user, parameter.arg)
            if fixture is None:
                continue
            if made := made_class(self.project, fixture.code):
                instances[parameter.arg] = made
            elif root := self.reader.factory(fixture.code):
                held[parameter.arg] = root
        return Given(instances, held)

    @cached_property
    def cleared(self) -> Walk:
        """What the tests' side closes or sets, in tests, fixtures, hooks and what they call.

        A fixture that is kept for longer than a test closes nothing between two tests. With a lifespan that
        runs, what the application's own functions close counts as well.
        """
        files = [file for file in self.project.files if self.suite.is_test_side(file)]
        codes = [code for file in files for code in file.defs.values()]
        starts = [(code, self.given(code)) for code in codes if code.node.name not in ONCE_A_CLASS]
        wide = {id(f.node): f for same in self.suite.fixtures.values() for f in same if f.scope != "function"}
        lifespan = any(
            word in file.text
            for file in files
            for word in ("LifespanManager", "with TestClient", "with fastapi")
        )
        if lifespan:
            starts += [(d, Given()) for file in self.project.files for d in file.defs.values()]
        found = self.walk(start for start in starts if id(start[0].node) not in wide)
        found.sets |= self.walk(start for start in starts if id(start[0].node) in wide).sets
        return found

    # -- one test ------------------------------------------------------------------------------------------

    def _of_test(self, test: Test) -> Iterator[tuple[str, Use]]:
        for fixture in self.suite.used(test):
            scope = self.suite.fixture_loop(test, fixture)
            if scope is not None:
                key = self.suite.key(test, scope)
                yield from self._reached(test, key, [(fixture.code, self.given(fixture.code))])
        if test.kind == SYNC:
            yield from self._of_sync(test)
            return
        scope = self.suite.loop_scope(test)
        key = self.suite.key(test, scope)
        starts = [(test.code, self.given(test.code)), *self._set_up(test)]
        requests = [r for _, facts in self._follow(starts) for r in facts.requests]
        handlers: list[Request] = []
        others: list[Request] = []
        for request in requests:
            (others if self._client(test, request) else handlers).append(request)
        if self._in_process:
            starts += [(h, Given()) for request in handlers for h in self._handlers(request)]
        yield from self._reached(test, key, starts)
        if test.many and scope == "function":
            yield from self._reached(test, (*key, "again"), starts)
        yield from self._requests(test, others)

    def _set_up(self, test: Test) -> Iterator[tuple[Def, Given]]:
        if test.code.owner:
            for name in ("asyncSetUp", "asyncTearDown"):
                function = test.code.file.defs.get(f"{test.code.owner.name}.{name}")
                if function:
                    yield function, Given()

    def _of_sync(self, test: Test) -> Iterator[tuple[str, Use]]:
        start = [(test.code, self.given(test.code))]
        again = ("again",) if test.many else ()
        for function, facts in self._follow(start):
            for number, run in enumerate(facts.runs):
                key = ("run", test.code.name, function.name, str(number))
                for one in {key, (*key, *again)}:
                    yield from self._reached(test, one, [(f, Given()) for f in run.functions])
            yield from self._requests(test, facts.requests)

    def _reached(
        self, test: Test, key: LoopKey, starts: list[tuple[Def, Given]]
    ) -> Iterator[tuple[str, Use]]:
        found = self.walk(starts)
        for root, (function, line) in found.uses.items():
            yield root, Use(test, key, function, line, self._waits(found, root))

    def _waits(self, found: Walk, root: str) -> bool:
        """Whether a task likely has to wait for it: two tasks want the lock, one the queue or event."""
        maker = self.reader.kept[root].thing.maker
        if maker.binds != WAITS:
            return False
        times = sum(
            p.times for p in found.parallel if root in p.roots or root in self._reached_by(p.function)
        )
        return times >= (2 if maker.noun in ("lock", "semaphore") else 1)

    def _reached_by(self, function: Def | None) -> set[str]:
        if function is None:
            return set()
        if function not in self._below:
            self._below[function] = set(self.walk([(function, Given())]).uses)
        return self._below[function]

    # -- requests ------------------------------------------------------------------------------------------

    @cached_property
    def _routes(self) -> list[Route]:
        return routes(self.project)

    @cached_property
    def _in_process(self) -> bool:
        return any(word in file.text for file in self.project.files for word in _IN_PROCESS)

    def _handlers(self, request: Request) -> list[Def]:
        return [route.function for route in self._routes if route.answers(request.path)]

    def _requests(self, test: Test, requests: Iterable[Request]) -> Iterator[tuple[str, Use]]:
        """A TestClient has a loop for each request, or for the block in which it was entered."""
        for request in requests:
            client = self._client(test, request)
            if client is None:
                continue
            key = client if client != ("request",) else ("request", test.code.name, str(request.line))
            starts = [(handler, Given()) for handler in self._handlers(request)]
            yield from self._reached(test, key, starts)
            if test.many and client == ("request",):
                yield from self._reached(test, (*key, "again"), starts)

    def _client(self, test: Test, request: Request) -> LoopKey | None:
        """Return the loop of the TestClient that sends the request: ("request",) if each has its own."""
        if self._makes_client(request.made):
            return ("request",)
        entered = self._test_client(test.code, request.client)
        if entered is not None:
            return ("block", test.code.name) if entered else ("request",)
        fixture = self.suite.fixture(test.code, request.client)
        if fixture is not None:
            return self._from_fixture(test, fixture)
        file = test.code.file
        if request.client not in test.code.local and (
            target := self.project.resolve(f"{file.module}.{request.client}")
        ):
            values = target.file.values.get(target.name, [])
            if any(
                self._makes_client(target.file.full_name(v.func)) for v in values if isinstance(v, ast.Call)
            ):
                return ("request",)
        return None

    def _from_fixture(self, test: Test, fixture: Fixture) -> LoopKey | None:
        for node in walk(fixture.node):
            if isinstance(node, ast.With) and any(
                self._is_client(fixture.code, i.context_expr) for i in node.items
            ):
                return ("fixture", *self.suite.key(test, fixture.scope))
        if any(self._is_client(fixture.code, node) for node in walk(fixture.node)):
            return ("request",)
        return None

    def _test_client(self, code: Def, name: str) -> bool | None:
        """Return whether the local name is a TestClient that was entered; None if it is none."""
        for node in walk(code.node):
            if isinstance(node, ast.With):
                for item in node.items:
                    if getattr(item.optional_vars, "id", None) == name and self._is_client(
                        code, item.context_expr
                    ):
                        return True
        known = any(name in names and self._is_client(code, value) for names, value in bindings(code.node))
        return False if known else None

    def _is_client(self, code: Def, node: ast.AST) -> bool:
        return isinstance(node, ast.Call) and self._makes_client(code.file.full_name(node.func))

    @staticmethod
    def _makes_client(full: str | None) -> bool:
        return full in _CLIENTS


__all__ = ["Reach", "Use", "Walk"]
