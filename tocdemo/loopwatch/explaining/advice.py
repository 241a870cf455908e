"""What to change when something was used on another loop than its own: alternatives, each of which is enough.

Each is such that a machine can follow it to the letter. Where no way is known that leads to green, there is
none. How the failure was found, it must not know.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..live.entries import ClientEntry
from ..live.holders import Copied, HolderEntry, HoldingFixture
from ..live.ledger import Ledger
from ..static.sources import Source, module_import
from .fixtures import asked_for_by_all, joined, narrowed, widened, written
from .renewing import renewed
from .sharing import lone_test_client, shared
from .suite import Suite

_RUNNERS = ("run", "run_until_complete", "async_to_sync")


@dataclass(frozen=True)
class Found:
    """What is known of an object: the client's entry, what leads to it, and what the code calls it."""

    client: ClientEntry | None
    leading: list[HolderEntry]
    fixture: HoldingFixture | None
    called: str
    running: int | None


def advice(found: Found, suite: Suite, ledger: Ledger) -> list[list[str]]:
    """Return the alternatives, each as its lines."""
    stale = [(each, each.copied) for each in found.leading if each.copied is not None and each.copied.stale]
    if stale:
        modules = dict.fromkeys(entry.module for entry, _ in stale)
        return [[_refer_to_module([each for each in stale if each[0].module == m]) for m in modules]]
    if found.client is None or suite.kind == "import":
        return []
    return [lines for lines in _alternatives(found, found.client, suite, ledger) if lines]


def _alternatives(
    found: Found, client: ClientEntry, suite: Suite, ledger: Ledger
) -> Iterator[list[str] | None]:
    made = client.made
    fixture = found.fixture or _setting_fixture(client, suite, ledger)
    if made and made.fixture and client.at_creation and not client.ran_at_creation:
        yield [
            f"make {made.fixture} an async fixture ({made.file}:{made.line}; `@pytest_asyncio.fixture`,"
            f" `async def`): {client.short} binds when it is made, and no loop runs in a sync fixture"
        ]
    elif fixture is not None and fixture.scope != "function":
        if suite.kind == "asyncio":
            yield narrowed(suite, ledger, fixture)
            yield widened(suite, fixture)
    elif fixture is not None:
        if suite.kind == "asyncio":
            yield joined(suite, ledger, fixture)
    elif made and made.fixture and (lines := asked_for_by_all(suite, ledger, made.fixture)):
        yield lines
    elif any(entry.module == "__main__" for entry in found.leading):
        yield _in_a_notebook(found.leading)
    elif found.leading:
        enough = _one_loop_a_test(suite, ledger, found.running)
        if enough:
            yield renewed(suite, client, found.leading)
        if enough or suite.kind in ("sync", "unittest"):
            yield shared(suite, ledger, client)


def _setting_fixture(client: ClientEntry, suite: Suite, ledger: Ledger) -> HoldingFixture | None:
    """Return the wide fixture of this test that made the client and put it into a name, or None."""
    name = client.made.fixture if client.made is not None else None
    if name is None or name not in getattr(suite.item, "fixturenames", ()):
        return None
    definition = suite.definition(name)
    if definition is None or definition.scope == "function" or written(suite, ledger, definition) is None:
        return None
    return HoldingFixture(name, definition.scope, definition)


def _one_loop_a_test(suite: Suite, ledger: Ledger, running: int | None) -> bool:
    """Whether, as far as is known, each test uses one loop: then one object for each test is enough."""
    if suite.kind in ("asyncio", "anyio", "isolated"):
        return running is None or ledger.call_loops.get(suite.item.nodeid) in (None, running)
    if lone_test_client(suite, ledger) is not None:
        return False
    counts: dict[Any, set[int]] = {}
    for loop, test, phase, _ in ledger.ran:
        if phase == "call":
            counts.setdefault(test, set()).add(loop)
    return all(len(loops) == 1 for loops in counts.values()) and _runs_written(suite) < 2


def _runs_written(suite: Suite) -> int:
    """Count how often the test's own text runs something on a loop."""
    function = getattr(suite.item, "function", None)
    code = getattr(function, "__code__", None)
    node = Source.of(code.co_filename).function_at(code.co_firstlineno, code.co_name) if code else None
    calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)] if node is not None else []
    names = [c.func.attr if isinstance(c.func, ast.Attribute) else getattr(c.func, "id", "") for c in calls]
    return sum(name in _RUNNERS for name in names)


def _refer_to_module(stale: list[tuple[HolderEntry, Copied]]) -> str:
    """Advise a module with stale names to name the other module instead."""
    first, copied = stale[0]
    statement, module = module_import(copied.origin, copied.module)
    uses = ", ".join(f"{module}.{copied.name}" for _, copied in stale)
    line = min(copied.origin.line for _, copied in stale)
    return f"{first.file}:{line}: write `{statement}` there, and {uses} wherever the bare name is used"


def _in_a_notebook(leading: list[HolderEntry]) -> list[str]:
    """Advise on a client that a cell made: there is no file in which a fixture could set it."""
    made = next((e for e in leading if e.origin is not None and e.origin.origin == "assigned"), leading[0])
    place = f"{made.file}:{made.origin.line}" if made.origin else made.module
    return [
        f"{place} makes {made.name} once, and each test has a loop of its own: make it in an async fixture"
        f" (`@pytest_asyncio.fixture`)",
        f"that sets {made.module}.{made.name} for each test, or give all its users one loop"
        f' (`loop_scope="session"` on tests and fixtures)',
    ]
