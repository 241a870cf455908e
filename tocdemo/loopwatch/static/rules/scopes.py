"""Rules that compare the loop of a fixture with the loops of the tests that get what it makes.

It must not know what is made at import; that is `rules.kept`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..context import Context, article, names_of
from ..findings import Finding
from ..names import body, last_name, parameters, walk
from ..objects.kept import LATER, Kept
from ..objects.libraries import INITIALIZERS, MADE, WAITS
from ..objects.things import Thing
from ..project import Def
from ..settings import SCOPES
from ..suite import ASYNCIO, SYNC, Fixture, LoopKey, Test


@dataclass
class _Clash:
    fixture: Fixture
    thing: Thing
    loop: str
    tests: list[tuple[Test, str]] = field(default_factory=list)


def scopes(context: Context) -> Iterator[Finding]:
    """Find fixtures whose loop is not the loop of those who get their object."""
    yield from _differ(context)
    yield from _outlive(context)
    yield from _left_behind(context)


# -- given to the test -------------------------------------------------------------------------------------


def _differ(context: Context) -> Iterator[Finding]:
    suite = context.suite
    clashes: dict[int, _Clash] = {}
    for same in suite.fixtures.values():
        for fixture in same:
            thing = _given(context, fixture) if fixture.loop else None
            if thing and not thing.kept:
                _compare(context, fixture, thing, clashes)
    for clash in clashes.values():
        yield _clash(context, clash)


def _given(context: Context, fixture: Fixture, depth: int = 0) -> Thing | None:
    """Return what the fixture gives, also what it makes from another fixture's object."""
    names = {}
    for parameter in parameters(fixture.node):
        other = context.suite.fixture(fixture.code, parameter.arg) if depth < 4 else None
        if other is not None and (thing := _given(context, other, depth + 1)):
            names[parameter.arg] = thing
    return context.things.given(fixture.code, names)


def _compare(context: Context, fixture: Fixture, thing: Thing, clashes: dict[int, _Clash]) -> None:
    suite = context.suite
    early = thing.maker.binds == MADE or _uses_own(context, fixture, thing)
    shared: dict[LoopKey, list[tuple[Test, str, LoopKey]]] = {}
    for test in suite.tests:
        if fixture not in suite.used(test) or test.kind not in (ASYNCIO, SYNC):
            continue
        own = suite.fixture_loop(test, fixture) or "function"
        for _, scope in _users(context, test, fixture):
            key = suite.key(test, scope)
            if early and key != suite.key(test, own):
                _note(clashes, fixture, thing, own, test, scope)
            elif not early and thing.maker.binds != WAITS:
                shared.setdefault(suite.key(test, fixture.scope), []).append((test, scope, key))
    for uses in shared.values():
        if len({key for _, _, key in uses}) > 1 and fixture.scope != "function":
            for test, scope, _ in uses:
                own = suite.fixture_loop(test, fixture) or "function"
                _note(clashes, fixture, thing, own, test, scope)


def _note(
    clashes: dict[int, _Clash], fixture: Fixture, thing: Thing, own: str, test: Test, scope: str
) -> None:
    clash = clashes.setdefault(id(fixture), _Clash(fixture, thing, own))
    if all(known is not test for known, _ in clash.tests):
        clash.tests.append((test, scope))


def _users(context: Context, test: Test, fixture: Fixture) -> Iterator[tuple[Def, str]]:
    """Yield who asks for the fixture by name and uses what it gives, with the scope of the loop on which."""
    suite = context.suite
    on_test = suite.loop_scope(test) if test.kind == ASYNCIO else None
    if on_test and _takes(context, test.code, fixture):
        yield test.code, on_test
    for other in suite.used(test):
        if other is fixture or not _takes(context, other.code, fixture):
            continue
        scope = suite.fixture_loop(test, other) if other.code.is_async else on_test
        if scope:
            yield other.code, scope


def _takes(context: Context, user: Def, fixture: Fixture) -> bool:
    if context.suite.fixture(user, fixture.name) is not fixture:
        return False
    if not any(p.arg == fixture.name for p in parameters(user.node)):
        return False
    return any(
        isinstance(n, ast.Name) and n.id == fixture.name and isinstance(n.ctx, ast.Load)
        for n in body(user.node, True)
    )


def _uses_own(context: Context, fixture: Fixture, thing: Thing) -> bool:
    """Whether the fixture's own body awaits something of its object before it gives it away."""
    names = {n for n, t in context.things.local(fixture.code).items() if t.line == thing.line}
    given = min((n.lineno for n in body(fixture.node) if isinstance(n, ast.Yield)), default=10**9)
    for node in body(fixture.node):
        parts: list[ast.expr] = []
        if isinstance(node, ast.Await):
            parts = [node.value]
        elif isinstance(node, ast.AsyncWith):
            parts = [item.context_expr for item in node.items]
        if isinstance(node, ast.Call) and last_name(node.func) in ("create_task", "ensure_future"):
            given_away = {n.id for argument in node.args for n in walk(argument) if isinstance(n, ast.Name)}
            if node.lineno < given and given_away & names:
                return True
        for part in parts:
            attributes = [n.value for n in [part, *walk(part)] if isinstance(n, ast.Attribute)]
            if part.lineno < given and any(isinstance(a, ast.Name) and a.id in names for a in attributes):
                return True
    return False


def _clash(context: Context, clash: _Clash) -> Finding:
    fixture, (test, scope) = clash.fixture, clash.tests[0]
    more = f" and {len(clash.tests) - 1} more" if len(clash.tests) > 1 else ""
    maker = clash.thing.maker
    likely = "" if maker.binds == MADE else ", and it likely stays with the first loop that it was used on"
    same = clash.loop == scope
    loops = "each on a loop of its own" if same else f"on the {scope}'s"
    loop = clash.loop
    if context.dialect.loop_scope_keyword:
        change = (
            f'give the tests `@pytest.mark.asyncio(loop_scope="{loop}")`, or the fixture '
            f'`loop_scope="{scope}"` and `scope="{scope}"`'
        )
    elif context.dialect.version >= (0, 23):
        change = f'give the tests `@pytest.mark.asyncio(scope="{loop}")`, or the fixture `scope="{scope}"`'
    else:
        change = f'give the fixture `scope="{scope}"`'
    return context.finding(
        "loop-scopes-differ",
        fixture.file,
        fixture.node.lineno,
        f"the fixture {fixture.node.name} runs on the {loop}'s loop, {test.name}{more} {loops}"
        f": what it gives to the test, {article(maker.noun)} of {maker.library}, belongs to another loop"
        f"{likely}",
        change,
    )


# -- scope and loop of one fixture -------------------------------------------------------------------------


def _outlive(context: Context) -> Iterator[Finding]:
    suite = context.suite
    used = {id(f): f for test in suite.tests if test.kind in (ASYNCIO, SYNC) for f in suite.used(test)}
    for fixture in used.values():
        loop = fixture.loop
        if loop == "function" and (override := suite.override(fixture.code)):
            loop = override
        if loop is None or SCOPES.index(fixture.scope) <= SCOPES.index(loop):
            continue
        if context.dialect.loop_scope_keyword:
            change = f'give it `loop_scope="{fixture.scope}"`, and its tests the same, or `scope="{loop}"`'
        else:
            change = (
                f'give it `scope="{loop}"`, or define a fixture `event_loop` with `scope="{fixture.scope}"`'
            )
        yield context.finding(
            "fixture-outlives-loop",
            fixture.file,
            fixture.node.lineno,
            f"the fixture {fixture.node.name} is kept for the {fixture.scope}, but its loop only for "
            f"the {loop}: pytest stops at it with a ScopeMismatch",
            change,
        )


# -- left in a module --------------------------------------------------------------------------------------


def _left_behind(context: Context) -> Iterator[Finding]:
    """A fixture puts its client under a name of the project, and tests on another loop use that name."""
    later = {kept.root: kept for kept in context.kept if kept.place == LATER}
    for same in context.suite.fixtures.values():
        for fixture in same:
            sets = context.reach.below(fixture.code).sets if later else set()
            for root in sorted(sets & set(later)):
                if not _only_setter(context, root, fixture):
                    continue
                yield from _kept_too_long(context, fixture, later[root])
            yield from _initialized(context, fixture)


def _only_setter(context: Context, root: str, fixture: Fixture) -> bool:
    """Whether no other code of the tests sets the name, so that what stands there is this fixture's."""
    codes = [f.code for same in context.suite.fixtures.values() for f in same if f is not fixture]
    codes += [test.code for test in context.suite.tests]
    return all(root not in context.reach.below(code).sets for code in codes)


def _kept_too_long(context: Context, fixture: Fixture, kept: Kept) -> Iterator[Finding]:
    suite, maker = context.suite, kept.thing.maker
    uses = context.reach.uses.get(kept.root, [])
    if maker.binds == WAITS:
        uses = [use for use in uses if use.waits]
    inside: dict[LoopKey, dict[LoopKey, Test]] = {}
    outside: list[Test] = []
    for use in uses:
        if fixture not in suite.used(use.test):
            outside.append(use.test)
            continue
        loop = suite.fixture_loop(use.test, fixture)
        keys = inside.setdefault(suite.key(use.test, fixture.scope), {})
        if loop and (maker.binds == MADE or fixture.code.is_async):
            keys.setdefault(suite.key(use.test, loop), use.test)
        keys[use.key] = use.test
    for keys in inside.values():
        if len(keys) > 1 and fixture.scope != "function":
            tests = list(dict.fromkeys(test.name for test in keys.values()))
            yield _left(
                context, fixture, kept, f"{names_of(tests)} use{'s' if len(tests) == 1 else ''} it there", ""
            )
            return
    if outside and inside and not fixture.autouse and not _cleans_up(context, fixture, kept.root):
        tests = list(dict.fromkeys(test.name for test in outside))
        verb = "finds" if len(tests) == 1 else "find"
        says = f"{names_of(tests)}, without the fixture, likely {verb} it there afterwards"
        yield _left(context, fixture, kept, says, "; let the fixture put back what was there before")


def _left(context: Context, fixture: Fixture, kept: Kept, says: str, more: str) -> Finding:
    maker = kept.thing.maker
    return context.finding(
        "client-left-behind",
        fixture.file,
        fixture.node.lineno,
        f"the fixture {fixture.node.name} puts {article(maker.noun)} of {maker.library} under {kept.root} "
        f"({context.project.shown(kept.file)}:{kept.line}) for the {fixture.scope}; {says}, on another loop",
        f'let every test have it made on its own loop: an async fixture with `scope="function"`{more}',
    )


def _cleans_up(context: Context, fixture: Fixture, root: str) -> bool:
    """Whether something after the `yield` sets the name, or closes what is there."""
    yields = [n.lineno for n in body(fixture.node) if isinstance(n, ast.Yield)]
    if not yields:
        return False
    walked = context.reach.below(fixture.code)
    places = [
        p for p in context.project.rebound.get(root, []) if p.function and p.function.node is fixture.node
    ]
    after = [p for p in places if p.line > max(yields)]
    return (
        bool(after)
        or root in walked.closes
        or len({id(p.function) for p in context.project.rebound[root]}) > 1
    )


def _initialized(context: Context, fixture: Fixture) -> Iterator[Finding]:
    """Beanie and Tortoise: the fixture gives nothing, and the library holds its loop's client."""
    if fixture.loop is None or fixture.scope == "function":
        return
    for node in body(fixture.node):
        name = (fixture.file.full_name(node.func) or "") if isinstance(node, ast.Call) else ""
        if name not in INITIALIZERS or not isinstance(node, ast.Call):
            continue
        if any("sqlite" in str(getattr(n, "value", "")) for n in walk(node)):
            continue
        tests = [
            test
            for test in context.suite.tests
            if test.kind == ASYNCIO
            and fixture in context.suite.used(test)
            and context.suite.key(test, context.suite.loop_scope(test))
            != context.suite.key(test, context.suite.fixture_loop(test, fixture) or "function")
        ]
        if tests:
            yield context.finding(
                "client-left-behind",
                fixture.file,
                fixture.node.lineno,
                f"the fixture {fixture.node.name} calls {name} on the {fixture.loop}'s loop "
                f"({INITIALIZERS[name]}), and {names_of([t.name for t in tests])} likely "
                f"{'uses' if len(tests) == 1 else 'use'} them on another loop",
                f'give the tests `loop_scope="{fixture.loop}"`, or the fixture `scope="function"`',
            )
