"""Advises to let all users of an object share one loop, as far as the kind of the tests allows it.

It knows pytest-asyncio, anyio's plugin, and starlette's TestClient, by what they are; nothing is imported.
"""

from __future__ import annotations

from typing import Any

from ..live.entries import ClientEntry
from ..live.ledger import Ledger
from .fixtures import one_loop, written
from .suite import Suite, indented


def shared(suite: Suite, ledger: Ledger, client: ClientEntry | None) -> list[str] | None:
    """Return the lines of the advice, or None where no way to one loop is known."""
    if client is not None and client.loop and not any(loop == client.loop for loop, *_ in ledger.ran):
        return None  # its loop never ran: no other user can come to it
    if suite.kind == "asyncio" and _bound_in_async_test(suite, ledger, client):
        return one_loop(suite, "run all tests on one loop")
    if suite.kind == "anyio":
        return _anyio(suite, ledger)
    return _entered(suite, ledger) if suite.kind in ("sync", "unittest") else None


def _bound_in_async_test(suite: Suite, ledger: Ledger, client: ClientEntry | None) -> bool:
    """Whether the tests on whose loop the object was used are run by pytest-asyncio, too."""
    tests = ledger.loop_number(client.loop).tests if client is not None and client.loop else []
    items = {item.nodeid: item for item in suite.item.session.items}
    return all(Suite(items[test]).kind == "asyncio" for test in tests if test in items)


def _anyio(suite: Suite, ledger: Ledger) -> list[str] | None:
    """anyio's plugin keeps a loop as long as a fixture needs it (its documentation, "Testing")."""
    definition = suite.definition("anyio_backend")
    own = written(suite, ledger, definition) if definition is not None else None
    block = [
        "import pytest",
        "",
        "",
        '@pytest.fixture(scope="session", autouse=True)',
        "async def one_loop(anyio_backend):",
        "    yield",
    ]
    sentence = "run all tests on one loop"
    if own is not None:
        edit = own.edit(own.called, scope="session")
        return [f"{sentence}: {edit}, and add to {suite.conftest}:", *indented(block)] if edit else None
    backend = ["", "", '@pytest.fixture(scope="session")', "def anyio_backend():", '    return "asyncio"']
    return [f"{sentence}; add to {suite.conftest}:", *indented([*block, *backend])]


def _entered(suite: Suite, ledger: Ledger) -> list[str] | None:
    """starlette's TestClient makes a loop for each request, unless it is entered by `with` (its source)."""
    name = lone_test_client(suite, ledger)
    if name is None:
        return None
    block = [
        "import pytest",
        "",
        "",
        '@pytest.fixture(scope="module", autouse=True)',
        "def one_loop():",
        f"    with {name}:",
        "        yield",
    ]
    told = f"`{name}` makes a loop for each request, as long as it is not entered by `with`: enter it once"
    return [f"{told}; add to {suite.file}:", *indented(block)]


def test_clients(ledger: Ledger) -> list[tuple[str, str, Any]]:
    """Return every module, name and value of a module-level name that is a TestClient of starlette."""
    return [
        (module, name, value)
        for module, loaded in ledger.sites.project_modules()
        for name, value in list(vars(loaded).items())
        if is_test_client(value)
    ]


def is_test_client(value: Any) -> bool:
    """Whether the value is a TestClient of starlette."""
    classes = type(value).__mro__
    return any((c.__module__, c.__name__) == ("starlette.testclient", "TestClient") for c in classes)


def lone_test_client(suite: Suite, ledger: Ledger) -> str | None:
    """Return the name of the only TestClient, if it is one of the test's module and was never entered."""
    found = test_clients(ledger)
    module = getattr(getattr(suite.item, "module", None), "__name__", None)
    if len({id(value) for _, _, value in found}) != 1 or module not in [each for each, _, _ in found]:
        return None
    name, value = next((name, value) for each, name, value in found if each == module)
    return name if getattr(value, "portal", None) is None else None
