"""Errors that come no straight way: swallowed, returned, turned into others; nested loops; no loop."""

from __future__ import annotations

import subprocess
import sys

import pytest

from .projects import INI, needs_loop_scope, run, write

pytest_plugins = ["pytester"]

# What every async client has in small: it keeps the loop of its first use, and fails on a closed one.
STORE = """
    import asyncio


    class Store:
        loop = None

        async def get(self, key):
            self.loop = self.loop or asyncio.get_running_loop()
            return await self.loop.run_in_executor(None, str, key)


    store = Store()
    """


def test_an_error_that_an_except_swallowed_is_explained_and_the_except_named(pytester):
    outcome = run(
        pytester,
        {
            "store.py": STORE,
            "service.py": """
                from store import store


                async def name():
                    try:
                        return await store.get("name")
                    except Exception:
                        return None
                """,
            "test_service.py": """
                import pytest
                from service import name


                @pytest.mark.asyncio
                @pytest.mark.parametrize("n", [1, 2])
                async def test_name(n):
                    assert await name() == "name"
                """,
        },
    )
    assert (outcome.passed, outcome.failed) == (1, 1)
    assert "assert None == 'name'" in outcome.text
    text = outcome.explanation("test_name[2]")
    assert "belongs to loop #1, closed at the teardown of test_name[1]; this test runs on loop #2" in text
    assert "swallowed: 'RuntimeError: Event loop is closed'" in text
    assert "by the `except` at service.py:8" in text


def test_an_error_that_gather_returned_is_explained(pytester):
    outcome = run(
        pytester,
        {
            "store.py": STORE,
            "test_gather.py": """
                import asyncio
                import pytest
                from store import store


                @pytest.mark.asyncio
                @pytest.mark.parametrize("n", [1, 2])
                async def test_two(n):
                    answers = await asyncio.gather(store.get(1), store.get(2), return_exceptions=True)
                    assert answers == ["1", "2"]
                """,
        },
    )
    text = outcome.explanation("test_two[2]")
    assert "belongs to loop #1" in text
    assert "the error is in `answers` (line 11), as gather(return_exceptions=True) returns it" in text


def test_an_error_that_came_back_as_another_one_is_explained(pytester):
    outcome = run(
        pytester,
        {
            "store.py": STORE,
            "test_other.py": """
                import pytest
                from store import store


                @pytest.mark.asyncio
                @pytest.mark.parametrize("n", [1, 2])
                async def test_other(n):
                    try:
                        await store.get(1)
                    except RuntimeError:
                        raise ValueError("the database is down") from None
                """,
        },
    )
    assert "ValueError: the database is down" in outcome.text
    assert "belongs to loop #1, closed at the teardown of test_other[1]" in outcome.explanation(
        "test_other[2]"
    )


def test_a_failure_of_another_kind_is_not_explained(pytester):
    outcome = run(
        pytester,
        {
            "test_plain.py": """
                import pytest


                @pytest.mark.asyncio
                async def test_loop():
                    pass


                @pytest.mark.asyncio
                async def test_closed_door():
                    raise RuntimeError("the door is closed")
                """
        },
    )
    assert outcome.failed == 1
    assert outcome.recording.explanations == {}


def test_a_finalizer_that_meets_a_closed_loop_is_not_blamed_on_the_test_that_is_on(pytester):
    outcome = run(
        pytester,
        {
            "test_del.py": """
                import asyncio
                import contextlib
                import pytest

                kept = []


                class Stream:
                    def __init__(self):
                        self.loop = asyncio.get_running_loop()

                    def __del__(self):
                        with contextlib.suppress(RuntimeError):
                            self.loop.call_soon(print)


                @pytest.mark.asyncio
                async def test_open():
                    kept.append(Stream())


                def test_other():
                    kept.clear()
                    assert False
                """
        },
    )
    assert [use.background for use in outcome.recording.uses] == [True]
    assert outcome.recording.explanations == {}


@needs_loop_scope
def test_a_session_fixture_that_keeps_a_client_is_named_with_its_scope(pytester):
    outcome = run(
        pytester,
        {
            "test_scope.py": """
                import asyncio
                import pytest
                import pytest_asyncio
                from motor.motor_asyncio import AsyncIOMotorClient


                @pytest_asyncio.fixture(scope="session", loop_scope="session")
                async def client():
                    client = AsyncIOMotorClient("mongodb://127.0.0.1:9")
                    assert client.io_loop is asyncio.get_running_loop()
                    return client


                @pytest.mark.asyncio
                async def test_use(client):
                    await client.admin.command("ping")
                """
        },
    )
    text = outcome.explanation("test_use")
    assert (
        "client belongs to loop #1, which is open but not the one that runs; this test runs on loop #2"
        in text
    )
    assert "in fixture client for test_use" in text
    assert "held as:   fixture `client` (scope session), defined in test_scope.py:9" in text
    assert (
        "make `client` anew for each test, on its loop: test_scope.py:8: write `@pytest_asyncio.fixture`"
        in text
    )
    assert (
        "let the tests run on the loop of `client`: in pytest.ini, set `asyncio_default_test_loop_scope"
        in text
    )


@needs_loop_scope
def test_an_async_fixture_on_another_loop_than_its_test_is_told_to_share_it(pytester):
    outcome = run(
        pytester,
        {
            "test_scope.py": """
                import asyncio
                import pytest
                import pytest_asyncio
                from motor.motor_asyncio import AsyncIOMotorClient


                @pytest_asyncio.fixture
                async def client():
                    client = AsyncIOMotorClient("mongodb://127.0.0.1:9")
                    assert client.io_loop is asyncio.get_running_loop()
                    return client


                @pytest.mark.asyncio(loop_scope="session")
                async def test_use(client):
                    await client.admin.command("ping")
                """
        },
    )
    text = outcome.explanation("test_use")
    assert "held as:   fixture `client` (scope function)" in text
    assert (
        "`client` runs on a loop already, and not on that of the tests; give both the same `loop_scope`"
        in text
    )
    assert "or in an async fixture" not in text


def test_get_running_loop_in_a_sync_fixture_is_explained_by_the_fixture(pytester):
    outcome = run(
        pytester,
        {
            "test_sync.py": """
                import asyncio
                import pytest


                def helper():
                    return asyncio.get_running_loop()


                @pytest.fixture
                def loop():
                    return helper()


                @pytest.mark.asyncio
                async def test_loop(loop):
                    pass
                """
        },
    )
    text = outcome.explanation("test_loop")
    assert "loop is a sync fixture, in which no loop runs; test_sync.py:12 needs one" in text
    assert "make it async: `@pytest_asyncio.fixture` and `async def loop` (test_sync.py:11)" in text


def test_a_loop_that_is_started_inside_a_running_one_is_explained(pytester):
    outcome = run(
        pytester,
        {
            "test_nested.py": """
                import asyncio
                import pytest


                async def answer():
                    return 42


                def nested():
                    return asyncio.run(answer())


                @pytest.mark.asyncio
                @pytest.mark.filterwarnings("ignore")
                async def test_nested():
                    assert nested() == 42
                """
        },
    )
    text = outcome.explanation("test_nested")
    assert "test_nested.py:11, in nested, starts a loop while loop #1 runs in the same thread" in text
    assert "test_nested.py:17: write `assert await asyncio.to_thread(nested) == 42` there" in text


def test_pytest_started_on_a_running_loop_is_explained_as_in_a_notebook(pytester):
    """In a notebook's own thread a loop runs: this needs a process of its own."""
    write(
        pytester,
        {
            "pytest.ini": INI,
            "test_cell.py": """
                import pytest


                @pytest.mark.asyncio
                async def test_cell():
                    pass
                """,
            "notebook.py": """
                import asyncio
                import pytest


                async def cell():
                    pytest.main(["-q", "-p", "tocdemo.loopwatch", "test_cell.py"])


                asyncio.run(cell())
                """,
        },
    )
    done = subprocess.run(
        [sys.executable, "notebook.py"],
        cwd=pytester.path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "pytest was started in a thread where a loop runs" in done.stdout
    assert "ipytest.config(run_in_thread=True)" in done.stdout


@pytest.mark.parametrize("call", ["loop.run_until_complete(asyncio.sleep(0))", "loop.run_forever()"])
def test_a_second_loop_in_a_running_one_is_explained(pytester, call):
    outcome = run(
        pytester,
        {
            "test_second.py": f"""
                import asyncio
                import pytest


                @pytest.mark.asyncio
                @pytest.mark.filterwarnings("ignore")
                async def test_second():
                    loop = asyncio.new_event_loop()
                    try:
                        {call}
                    finally:
                        loop.close()
                """
        },
    )
    text = outcome.explanation("test_second")
    assert "test_second.py:11, in test_second, starts a loop while loop #1 runs in the same thread" in text


@pytest.mark.parametrize(
    ("made", "used", "held", "change"),
    [
        (
            "@functools.lru_cache(maxsize=2)\ndef get():\n    return CLIENT",
            "get()",
            "test_held.get(), made there (line 6)",
            "test_held.py:6: get keeps what it made: empty it before each test",
        ),
        (
            "class Service:\n    def __init__(self):\n        self.client = CLIENT\n\n\nservice = Service()",
            "service.client",
            "test_held.service.client, made there (line 10)",
            "test_held.py:10 makes service.client once",
        ),
        (
            "class Db:\n    client = CLIENT",
            "Db.client",
            "test_held.Db.client, made there (line 6)",
            "makes Db.client once",
        ),
        ("kept = {'main': CLIENT}", "kept['main']", "test_held.kept['main'], made there (line 5)", "line"),
    ],
)
def test_a_client_is_found_wherever_a_module_keeps_it(pytester, made, used, held, change):
    head = "import functools\nimport pytest\nfrom motor.motor_asyncio import AsyncIOMotorClient\n\n"
    test = f"""

@pytest.mark.asyncio
@pytest.mark.parametrize("n", [1, 2])
async def test_use(n):
    with pytest.raises(Exception, match="127.0.0.1:9"):
        await {used}.admin.command("ping")
"""
    client = "AsyncIOMotorClient('mongodb://127.0.0.1:9', serverSelectionTimeoutMS=5)"
    outcome = run(pytester, {"test_held.py": head + made.replace("CLIENT", client) + "\n" + test})
    assert (outcome.passed, outcome.failed) == (1, 1)
    text = outcome.explanation("test_use[2]")
    assert f"held as:   {held}" in text
    assert change in text


def test_a_sync_fixture_whose_client_binds_when_it_is_made_is_told_to_become_async(pytester):
    outcome = run(
        pytester,
        {
            "test_early.py": """
                import asyncio
                import pytest
                from motor.motor_asyncio import AsyncIOMotorClient


                @pytest.fixture
                def client():
                    return AsyncIOMotorClient("mongodb://127.0.0.1:9", io_loop=asyncio.new_event_loop())


                @pytest.mark.asyncio
                async def test_early(client):
                    await client.admin.command("ping")
                """
        },
    )
    text = outcome.explanation("test_early")
    assert "bound:     when it was made, test_early.py:9, in fixture client for test_early" in text
    assert "make client an async fixture (test_early.py:9; `@pytest_asyncio.fixture`, `async def`)" in text
