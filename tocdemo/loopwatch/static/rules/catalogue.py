"""The names of the rules, what each of them says, and an example that it finds and one that is right.

An example is a small project: a line `== name` begins a file. It must not know how a rule finds anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent, indent


@dataclass(frozen=True)
class Rule:
    """`says` is one sentence; `wrong` and `right` are projects, `needs` the versions it holds for."""

    name: str
    says: str
    wrong: str
    right: str
    needs: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        wrong, right = (indent(dedent(text).strip("\n"), "    ") for text in (self.wrong, self.right))
        only = "".join(f" (with {name} {version})" for name, version in self.needs)
        return f"{self.name}: {self.says}\n  found{only}:\n{wrong}\n  right:\n{right}\n"


_USE = """
        @pytest.mark.asyncio
        async def test_one():
            await get("/one")

        @pytest.mark.asyncio
        async def test_two():
            await get("/two")
"""

RULES = (
    Rule(
        "made-at-import",
        "A client, pool, session, lock or queue is made at import, and tests use it on several loops.",
        """
        == test_it.py
        import httpx, pytest
        client = httpx.AsyncClient()
        async def get(path):
            return await client.get(path)
"""
        + _USE,
        """
        == test_it.py
        import httpx, pytest
        async def get(path):
            async with httpx.AsyncClient() as client:
                return await client.get(path)
"""
        + _USE,
    ),
    Rule(
        "made-in-class-body",
        "Such an object is made in a class body: all instances, in all tests, have the one.",
        """
        == test_it.py
        import httpx, pytest
        class Api:
            client = httpx.AsyncClient()
        async def get(path):
            return await Api.client.get(path)
"""
        + _USE,
        """
        == test_it.py
        import httpx, pytest
        class Api:
            def __init__(self):
                self.client = httpx.AsyncClient()
        async def get(path):
            return await Api().client.get(path)
"""
        + _USE,
    ),
    Rule(
        "made-in-class-set-up",
        "Such an object is made once for a class or module, in `setUpClass` and the like.",
        """
        == test_it.py
        import httpx, unittest
        class Tests(unittest.IsolatedAsyncioTestCase):
            @classmethod
            def setUpClass(cls):
                cls.client = httpx.AsyncClient()
            async def test_one(self):
                await self.client.get("/one")
            async def test_two(self):
                await self.client.get("/two")
        """,
        """
        == test_it.py
        import httpx, unittest
        class Tests(unittest.IsolatedAsyncioTestCase):
            def setUp(self):
                self.client = httpx.AsyncClient()
            async def test_one(self):
                await self.client.get("/one")
            async def test_two(self):
                await self.client.get("/two")
        """,
    ),
    Rule(
        "made-as-default",
        "Such an object is a default argument: it is made once, when the function is defined.",
        """
        == test_it.py
        import httpx, pytest
        async def get(path, client=httpx.AsyncClient()):
            return await client.get(path)
"""
        + _USE,
        """
        == test_it.py
        import httpx, pytest
        async def get(path, client=None):
            client = client or httpx.AsyncClient()
            return await client.get(path)
"""
        + _USE,
    ),
    Rule(
        "kept-in-cache",
        "Such an object is made at the first call and kept: by lru_cache, in a dictionary or global.",
        """
        == test_it.py
        import functools, httpx, pytest
        @functools.lru_cache
        def client():
            return httpx.AsyncClient()
        async def get(path):
            return await client().get(path)
"""
        + _USE,
        """
        == test_it.py
        import functools, httpx, pytest
        @functools.lru_cache
        def client():
            return httpx.AsyncClient()
        async def get(path):
            return await client().get(path)
        @pytest.fixture(autouse=True)
        def fresh():
            yield
            client.cache_clear()
"""
        + _USE,
    ),
    Rule(
        "needs-running-loop",
        "A call that needs a running loop stands where none runs: at import, in a class body, in a default.",
        """
        == api.py
        import aiokafka
        producer = aiokafka.AIOKafkaProducer()
        """,
        """
        == api.py
        import aiokafka
        async def make():
            return aiokafka.AIOKafkaProducer()
        """,
    ),
    Rule(
        "copied-name",
        "A name is copied from a module, where another object is put later: the copy stays the old one.",
        """
        == base.py
        import pymongo
        client = pymongo.AsyncMongoClient()
        == books.py
        from base import client
        == conftest.py
        import base, pymongo, pytest
        @pytest.fixture(autouse=True)
        def fresh():
            base.client = pymongo.AsyncMongoClient()
        """,
        """
        == base.py
        import pymongo
        client = pymongo.AsyncMongoClient()
        == books.py
        import base
        == conftest.py
        import base, pymongo, pytest
        @pytest.fixture(autouse=True)
        def fresh():
            base.client = pymongo.AsyncMongoClient()
        """,
    ),
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


def listing() -> str:
    """Return all rules with their examples, as text."""
    return "\n".join(map(str, RULES))
