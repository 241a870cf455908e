"""What to change when something was used on another loop than its own.

The advice is such that a machine can follow it to the letter. It rests on what leads to the client, and on
how the client was made; how the failure was found, it must not know.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..live.entries import ClientEntry
from ..live.holders import Copied, HolderEntry, HoldingFixture
from ..static.sources import module_import
from .words import where

_SHARE = 'give all its users one loop (`loop_scope="session"` on tests and fixtures)'


def advice(
    client: ClientEntry | None, holders: list[HolderEntry], fixture: HoldingFixture | None, called: str
) -> Iterator[str]:
    """Yield what to change, line by line; after stale names, each line is of a module of its own.

    `holders` and `fixture` lead to the client; `called` is what the code calls the thing that was used.
    """
    stale = [(entry, entry.copied) for entry in holders if entry.copied is not None and entry.copied.stale]
    made = client.made if client is not None else None
    if stale:
        for module in dict.fromkeys(entry.module for entry, _ in stale):
            yield _refer_to_module([(entry, copied) for entry, copied in stale if entry.module == module])
    elif client and made and made.fixture and client.at_creation and not client.ran_at_creation:
        yield (
            f"make {made.fixture} an async fixture ({made.file}:{made.line}; `@pytest_asyncio.fixture`,"
            f" `async def`): {client.short} binds when it is made, and no loop runs in a sync fixture"
        )
    elif fixture and fixture.scope != "function":
        yield (
            f'let fixture and tests share a loop: give `{fixture.name}` the scope "function", or give the'
            f' tests `@pytest.mark.asyncio(loop_scope="{fixture.scope}")`'
        )
        yield f'and the fixture `loop_scope="{fixture.scope}"`, where it is made with pytest-asyncio'
    elif fixture and client and client.ran_at_creation and made and made.fixture == fixture.name:
        yield (
            f"let fixture and tests share a loop: `{fixture.name}` runs on a loop already, and not on that"
            f" of the tests; give both the same `loop_scope`"
        )
    elif any(entry.origin is not None for entry in holders):
        yield from _make_for_each_test(holders)
    else:
        place = f" (it was made {where(made)})" if made else ""
        yield f"make {called} on the loop that uses it: in the test, or in an async fixture{place}"


def _refer_to_module(stale: list[tuple[HolderEntry, Copied]]) -> str:
    """Advise a module with stale names to name the other module instead."""
    first, copied = stale[0]
    statement, module = module_import(copied.origin, copied.module)
    uses = ", ".join(f"{module}.{copied.name}" for _, copied in stale)
    line = min(copied.origin.line for _, copied in stale)
    return f"{first.file}:{line}: write `{statement}` there, and {uses} wherever the bare name is used"


def _make_for_each_test(holders: list[HolderEntry]) -> Iterator[str]:
    """Advise on a client that is made at import and that nothing replaces."""
    made = next((e for e in holders if e.origin is not None and e.origin.origin == "assigned"), holders[0])
    place = f"{made.file}:{made.origin.line}" if made.origin else made.module
    function, cached, _ = made.name.partition("()")
    if cached:
        yield f"{place}: {function} keeps what it made, and each test has a loop of its own: call"
        yield f"{function}.cache_clear() in a fixture before each test, or {_SHARE}"
        return
    yield (
        f"{place} makes {made.name} once, and each test has a loop of its own: make it in an async fixture"
        f" (`@pytest_asyncio.fixture`)"
    )
    yield f"that sets {made.module}.{made.name} for each test, or {_SHARE}"
