"""The rules for fixtures and their loops, with an example of each.

It must not know how a rule finds anything.
"""

from __future__ import annotations

from .rule import Rule

RULES = (
    Rule(
        "client-left-behind",
        "A fixture puts its client under a name of the project, where tests on another loop find it.",
        """
        == db.py
        pool = None
        == test_it.py
        import asyncpg, db, pytest, pytest_asyncio
        @pytest_asyncio.fixture(scope="session")
        async def pool():
            db.pool = await asyncpg.create_pool()
        @pytest.mark.asyncio
        async def test_one(pool):
            await db.pool.fetch("select 1")
        """,
        """
        == db.py
        pool = None
        == test_it.py
        import asyncpg, db, pytest, pytest_asyncio
        @pytest_asyncio.fixture
        async def pool():
            db.pool = await asyncpg.create_pool()
        @pytest.mark.asyncio
        async def test_one(pool):
            await db.pool.fetch("select 1")
        """,
    ),
    Rule(
        "loop-scopes-differ",
        "An async fixture gives an object of its loop to tests that run on another.",
        """
        == test_it.py
        import asyncpg, pytest, pytest_asyncio
        @pytest_asyncio.fixture(scope="session")
        async def pool():
            return await asyncpg.create_pool()
        @pytest.mark.asyncio
        async def test_one(pool):
            await pool.fetch("select 1")
        """,
        """
        == test_it.py
        import asyncpg, pytest, pytest_asyncio
        @pytest_asyncio.fixture(scope="session")
        async def pool():
            return await asyncpg.create_pool()
        @pytest.mark.asyncio(loop_scope="session")
        async def test_one(pool):
            await pool.fetch("select 1")
        """,
    ),
    Rule(
        "fixture-outlives-loop",
        "An async fixture is kept for longer than its loop: a ScopeMismatch.",
        """
        == test_it.py
        import pytest, pytest_asyncio
        @pytest_asyncio.fixture(scope="session", loop_scope="function")
        async def number():
            return 1
        @pytest.mark.asyncio
        async def test_one(number):
            assert number
        """,
        """
        == test_it.py
        import pytest, pytest_asyncio
        @pytest_asyncio.fixture(scope="session", loop_scope="session")
        async def number():
            return 1
        @pytest.mark.asyncio
        async def test_one(number):
            assert number
        """,
    ),
    Rule(
        "fixture-gives-nothing",
        "A fixture makes its object and yields nothing, and a test uses it: it is None there.",
        """
        == test_it.py
        import httpx, pytest, pytest_asyncio
        @pytest_asyncio.fixture
        async def client():
            client = httpx.AsyncClient()
            yield
        @pytest.mark.asyncio
        async def test_one(client):
            await client.get("/")
        """,
        """
        == test_it.py
        import httpx, pytest, pytest_asyncio
        @pytest_asyncio.fixture
        async def client():
            client = httpx.AsyncClient()
            yield client
        @pytest.mark.asyncio
        async def test_one(client):
            await client.get("/")
        """,
    ),
    Rule(
        "async-fixture-not-run",
        "An async fixture has pytest's own decorator in strict mode: nothing awaits it for an asyncio test.",
        """
        == test_it.py
        import pytest
        @pytest.fixture
        async def number():
            return 1
        @pytest.mark.asyncio
        async def test_one(number):
            assert number == 1
        """,
        """
        == test_it.py
        import pytest, pytest_asyncio
        @pytest_asyncio.fixture
        async def number():
            return 1
        @pytest.mark.asyncio
        async def test_one(number):
            assert number == 1
        """,
    ),
    Rule(
        "loop-in-sync-fixture",
        "A sync fixture asks for the loop: none runs in it, and the current one is not the test's.",
        """
        == test_it.py
        import asyncio, pytest
        @pytest.fixture
        def loop():
            return asyncio.get_running_loop()
        """,
        """
        == test_it.py
        import asyncio, pytest_asyncio
        @pytest_asyncio.fixture
        async def loop():
            return asyncio.get_running_loop()
        """,
    ),
    Rule(
        "client-in-sync-fixture",
        "A sync fixture makes an object that takes its loop when it is made.",
        """
        == test_it.py
        import aiohttp, pytest
        @pytest.fixture
        def session():
            return aiohttp.ClientSession()
        """,
        """
        == test_it.py
        import aiohttp, pytest_asyncio
        @pytest_asyncio.fixture
        async def session():
            return aiohttp.ClientSession()
        """,
        (("aiohttp", "3.14.5"),),
    ),
    Rule(
        "event-loop-override",
        "The fixture `event_loop` is overridden, which pytest-asyncio has removed in 1.0.",
        """
        == conftest.py
        import asyncio, pytest
        @pytest.fixture(scope="session")
        def event_loop():
            yield asyncio.new_event_loop()
        """,
        """
        == pytest.ini
        [pytest]
        asyncio_default_test_loop_scope = session
        """,
    ),
    Rule(
        "event-loop-asked-for",
        "A test or fixture asks for the fixture `event_loop`, which pytest-asyncio has removed in 1.0.",
        """
        == test_it.py
        import pytest
        @pytest.mark.asyncio
        async def test_one(event_loop):
            event_loop.time()
        """,
        """
        == test_it.py
        import asyncio, pytest
        @pytest.mark.asyncio
        async def test_one():
            asyncio.get_running_loop().time()
        """,
    ),
    Rule(
        "loop-scope-unknown",
        "`loop_scope` is given to a pytest-asyncio that does not know it (before 0.24).",
        """
        == test_it.py
        import pytest
        @pytest.mark.asyncio(loop_scope="session")
        async def test_one():
            pass
        """,
        """
        == test_it.py
        import pytest
        @pytest.mark.asyncio(scope="session")
        async def test_one():
            pass
        """,
        (("pytest-asyncio", "0.23.8"),),
    ),
)
