"""Fixtures, scopes, copies and imports: what is on the wrong loop though it was not made once for all."""

from __future__ import annotations

from . import Shape

SHAPES = [
    Shape(
        "a session at import",
        "aiohttp: no running event loop",
        """
        == api.py
        import aiohttp

        session = aiohttp.ClientSession()  # !needs-running-loop


        async def get(url):
            async with session.get(url) as answer:
                return await answer.text()
        """,
        """
        == api.py
        import asyncio

        import aiohttp

        try:
            asyncio.get_running_loop()
            session = aiohttp.ClientSession()
        except RuntimeError:
            session = None


        async def get(url):
            async with aiohttp.ClientSession() as own, own.get(url) as answer:
                return await answer.text()


        if __name__ == "__main__":
            aiohttp.ClientSession()
        """,
        {"aiohttp": "3.14.5"},
    ),
    Shape(
        "a producer in a class body",
        "aiokafka 689",
        """
        == events.py
        from aiokafka import AIOKafkaProducer


        class Events:
            producer = AIOKafkaProducer(bootstrap_servers="localhost")  # !needs-running-loop
        """,
        """
        == events.py
        from aiokafka import AIOKafkaProducer


        class Events:
            def __init__(self):
                self.producer = AIOKafkaProducer(bootstrap_servers="localhost")
        """,
    ),
    Shape(
        "a session-wide pool, tests with a loop each",
        "pytest-asyncio 706",
        """
        == conftest.py
        import asyncpg
        import pytest_asyncio


        @pytest_asyncio.fixture(scope="session")
        async def pool():  # !loop-scopes-differ
            pool = await asyncpg.create_pool()
            yield pool
            await pool.close()
        == test_it.py
        import pytest


        @pytest.mark.asyncio
        async def test_one(pool):
            await pool.fetch("select 1")
        """,
        """
        == conftest.py
        import asyncpg
        import pytest_asyncio


        @pytest_asyncio.fixture(scope="session")
        async def pool():
            pool = await asyncpg.create_pool()
            yield pool
            await pool.close()
        == test_it.py
        import pytest


        @pytest.mark.asyncio(loop_scope="session")
        async def test_one(pool):
            await pool.fetch("select 1")
        """,
    ),
    Shape(
        "a session-wide engine that makes the tables, and sessions with a loop each",
        "pytest-asyncio 957",
        """
        == conftest.py
        import pytest_asyncio
        from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine


        @pytest_asyncio.fixture(scope="session", loop_scope="session")
        async def engine():  # !loop-scopes-differ
            engine = create_async_engine("postgresql+asyncpg://localhost/db")
            async with engine.begin() as connection:
                await connection.run_sync(print)
            yield engine
            await engine.dispose()


        @pytest_asyncio.fixture
        async def session(engine):
            async with AsyncSession(engine) as session:
                yield session
        == test_it.py
        import pytest


        @pytest.mark.asyncio
        async def test_one(session):
            await session.execute("select 1")
        """,
        """
        == conftest.py
        import pytest_asyncio
        from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine


        @pytest_asyncio.fixture(scope="session", loop_scope="session")
        async def engine():
            engine = create_async_engine("sqlite+aiosqlite:///test.db")
            async with engine.begin() as connection:
                await connection.run_sync(print)
            yield engine
            await engine.dispose()


        @pytest_asyncio.fixture
        async def session(engine):
            async with AsyncSession(engine) as session:
                yield session
        == test_it.py
        import pytest


        @pytest.mark.asyncio
        async def test_one(session):
            await session.execute("select 1")
        """,
    ),
    Shape(
        "a hook that moves all tests to one loop",
        "pytest-asyncio 744",
        """
        == pytest.ini
        [pytest]
        asyncio_mode = auto
        == conftest.py
        import asyncpg
        import pytest


        @pytest.fixture(scope="session")
        async def pool():  # !loop-scopes-differ
            yield await asyncpg.create_pool()
        == test_it.py
        async def test_one(pool):
            await pool.fetch("select 1")
        """,
        """
        == pytest.ini
        [pytest]
        asyncio_mode = auto
        == conftest.py
        import asyncpg
        import pytest
        from pytest_asyncio import is_async_test


        def pytest_collection_modifyitems(items):
            for item in items:
                if is_async_test(item):
                    item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


        @pytest.fixture(scope="session")
        async def pool():
            yield await asyncpg.create_pool()
        == test_it.py
        async def test_one(pool):
            await pool.fetch("select 1")
        """,
    ),
    Shape(
        "a fixture that outlives its loop",
        "pytest-asyncio 171",
        """
        == tox.ini
        [pytest]
        asyncio_default_fixture_loop_scope = function
        == test_it.py
        import pytest
        import pytest_asyncio


        @pytest_asyncio.fixture(scope="module")
        async def number():  # !fixture-outlives-loop
            return 1


        @pytest.mark.asyncio
        async def test_one(number):
            assert number == 1
        """,
        """
        == tox.ini
        [pytest]
        asyncio_default_fixture_loop_scope = module
        == test_it.py
        import pytest
        import pytest_asyncio


        @pytest_asyncio.fixture(scope="module")
        async def number():
            return 1


        @pytest.mark.asyncio
        async def test_one(number):
            assert number == 1
        """,
    ),
    Shape(
        "pytest-asyncio 0.21: a session-wide fixture without a session-wide event_loop",
        "pytest-asyncio 68",
        """
        == test_it.py
        import pytest
        import pytest_asyncio


        @pytest_asyncio.fixture(scope="session")
        async def number():  # !fixture-outlives-loop
            return 1


        @pytest.mark.asyncio
        async def test_one(number):
            assert number == 1
        """,
        """
        == test_it.py
        import asyncio

        import pytest
        import pytest_asyncio


        @pytest.fixture(scope="session")
        def event_loop():
            loop = asyncio.new_event_loop()
            yield loop
            loop.close()


        @pytest_asyncio.fixture(scope="session")
        async def number():
            return 1


        @pytest.mark.asyncio
        async def test_one(number):
            assert number == 1
        """,
        {"pytest-asyncio": "0.21.2"},
    ),
    Shape(
        "pytest-asyncio 0.23 ignores loop_scope",
        "pytest-asyncio 868",
        """
        == test_it.py
        import asyncpg
        import pytest
        import pytest_asyncio


        @pytest_asyncio.fixture(scope="session")
        async def pool():  # !loop-scopes-differ
            return await asyncpg.create_pool()


        @pytest.mark.asyncio(loop_scope="session")  # !loop-scope-unknown
        async def test_one(pool):
            await pool.fetch("select 1")
        """,
        """
        == test_it.py
        import asyncpg
        import pytest
        import pytest_asyncio


        @pytest_asyncio.fixture(scope="session")
        async def pool():
            return await asyncpg.create_pool()


        @pytest.mark.asyncio(scope="session")
        async def test_one(pool):
            await pool.fetch("select 1")
        """,
        {"pytest-asyncio": "0.23.8"},
    ),
    Shape(
        "event_loop is gone",
        "elasticsearch-py 2969",
        """
        == test_it.py
        import pytest


        @pytest.mark.asyncio
        async def test_one(event_loop):  # !event-loop-asked-for
            assert event_loop.is_running()
        """,
        """
        == test_it.py
        import asyncio

        import pytest


        @pytest.mark.asyncio
        async def test_one():
            assert asyncio.get_running_loop().is_running()
        """,
    ),
    Shape(
        "an override of event_loop that nobody runs on any more",
        "pytest-asyncio 1106",
        """
        == conftest.py
        import asyncio

        import pytest


        @pytest.fixture(scope="session")
        def event_loop():  # !event-loop-override
            loop = asyncio.new_event_loop()
            yield loop
            loop.close()
        == test_it.py
        import pytest


        @pytest.mark.asyncio
        async def test_one():
            pass
        """,
        """
        == conftest.py
        import asyncio

        import pytest


        @pytest.fixture
        def event_loop():
            loop = asyncio.new_event_loop()
            yield loop
            loop.close()
        == test_it.py
        import asyncio


        def test_one(event_loop):
            event_loop.run_until_complete(asyncio.sleep(0))
        """,
    ),
    Shape(
        "a sync fixture asks for the running loop; a function inside it may",
        "starlette 1315, a comment",
        """
        == test_it.py
        import asyncio

        import pytest


        @pytest.fixture
        def when():
            loop = asyncio.get_running_loop()  # !loop-in-sync-fixture
            return loop.time()
        """,
        """
        == test_it.py
        import asyncio

        import pytest


        @pytest.fixture
        def when():
            async def later():
                return asyncio.get_running_loop().time()

            return later
        """,
    ),
    Shape(
        "a session in a sync fixture; made in a coroutine that the fixture gives it is right",
        "aiohttp: no running event loop",
        """
        == test_it.py
        import aiohttp
        import pytest


        @pytest.fixture
        def session():
            return aiohttp.ClientSession()  # !client-in-sync-fixture
        """,
        """
        == test_it.py
        import aiohttp
        import pytest


        @pytest.fixture
        def session():
            async def make():
                return aiohttp.ClientSession()

            return make
        """,
        {"aiohttp": "3.14.5"},
    ),
    Shape(
        "an async fixture that nobody awaits",
        "pytest-asyncio 762",
        """
        == test_it.py
        import httpx
        import pytest


        @pytest.fixture
        async def client():  # !async-fixture-not-run
            async with httpx.AsyncClient() as client:
                yield client


        @pytest.mark.asyncio
        async def test_one(client):
            await client.get("https://a.example")
        """,
        """
        == setup.cfg
        [tool:pytest]
        addopts = -q --asyncio-mode=auto
        == test_it.py
        import httpx
        import pytest


        @pytest.fixture
        async def client():
            async with httpx.AsyncClient() as client:
                yield client


        @pytest.mark.asyncio
        async def test_one(client):
            await client.get("https://a.example")
        """,
    ),
    Shape(
        "a fixture that makes a client and yields nothing",
        "a common slip",
        """
        == test_it.py
        import httpx
        import pytest
        import pytest_asyncio


        @pytest_asyncio.fixture
        async def client():  # !fixture-gives-nothing
            client = httpx.AsyncClient()
            yield
            await client.aclose()


        @pytest.mark.asyncio
        async def test_one(client):
            await client.get("https://a.example")
        """,
        """
        == test_it.py
        import httpx
        import pytest
        import pytest_asyncio


        @pytest_asyncio.fixture
        async def client():
            client = httpx.AsyncClient()
            yield client
            await client.aclose()


        @pytest.mark.asyncio
        async def test_one(client):
            await client.get("https://a.example")
        """,
    ),
    Shape(
        "a session-wide fixture that leaves a pool in a module",
        "pytest-asyncio 844",
        """
        == app/__init__.py
        == app/db.py
        import asyncpg

        pool = None


        async def connect():
            global pool
            pool = await asyncpg.create_pool()


        async def one():
            return await pool.fetchval("select 1")
        == tests/conftest.py
        import pytest_asyncio

        from app import db


        @pytest_asyncio.fixture(scope="session", autouse=True)
        async def connected():  # !client-left-behind
            await db.connect()
            yield
        == tests/test_it.py
        import pytest

        from app import db


        @pytest.mark.asyncio
        async def test_one():
            assert await db.one() == 1
        """,
        """
        == app/__init__.py
        == app/db.py
        import asyncpg

        pool = None


        async def connect():
            global pool
            pool = await asyncpg.create_pool()


        async def one():
            return await pool.fetchval("select 1")
        == tests/conftest.py
        import pytest_asyncio

        from app import db


        @pytest_asyncio.fixture(autouse=True)
        async def connected():
            await db.connect()
            yield
        == tests/test_it.py
        import pytest

        from app import db


        @pytest.mark.asyncio
        async def test_one():
            assert await db.one() == 1
        """,
    ),
    Shape(
        "a fixture that leaves its client in a module, and a test that does without the fixture",
        "a bound client that was left behind",
        """
        == app/__init__.py
        == app/db.py
        client = None


        async def find():
            return await client.db.books.find_one({})
        == test_it.py
        import pytest
        import pytest_asyncio
        from pymongo import AsyncMongoClient

        from app import db


        @pytest_asyncio.fixture
        async def mongo():  # !client-left-behind
            db.client = AsyncMongoClient()
            yield db.client


        @pytest.mark.asyncio
        async def test_one(mongo):
            await db.find()


        @pytest.mark.asyncio
        async def test_without():
            await db.find()
        """,
        """
        == app/__init__.py
        == app/db.py
        client = None


        async def find():
            return await client.db.books.find_one({})
        == test_it.py
        import pytest
        import pytest_asyncio
        from pymongo import AsyncMongoClient

        from app import db


        @pytest_asyncio.fixture
        async def mongo():
            db.client = AsyncMongoClient()
            yield db.client


        @pytest.mark.asyncio
        async def test_one(mongo):
            await db.find()


        @pytest.mark.asyncio
        async def test_two(mongo):
            await db.find()
        """,
    ),
    Shape(
        "Beanie's classes, initialised for the session",
        "beanie: init_beanie in a session fixture",
        """
        == conftest.py
        import pytest_asyncio
        from beanie import init_beanie
        from pymongo import AsyncMongoClient


        @pytest_asyncio.fixture(scope="session", autouse=True)
        async def documents():  # !client-left-behind
            client = AsyncMongoClient()
            await init_beanie(database=client.db, document_models=[])
            yield
        == test_it.py
        import pytest


        @pytest.mark.asyncio
        async def test_one():
            pass
        """,
        """
        == conftest.py
        import pytest_asyncio
        from beanie import init_beanie
        from pymongo import AsyncMongoClient


        @pytest_asyncio.fixture(autouse=True)
        async def documents():
            client = AsyncMongoClient()
            await init_beanie(database=client.db, document_models=[])
            yield
        == test_it.py
        import pytest


        @pytest.mark.asyncio
        async def test_one():
            pass
        """,
    ),
    Shape(
        "a name copied while it is None",
        "a copy of a placeholder",
        """
        == app/__init__.py
        == app/db.py
        import asyncpg

        pool = None


        async def connect():
            global pool
            pool = await asyncpg.create_pool()
        == app/users.py
        from .db import pool  # !copied-name


        async def users():
            return await pool.fetch("select * from users")
        """,
        """
        == app/__init__.py
        == app/db.py
        import asyncpg

        pool = None


        async def connect():
            global pool
            pool = await asyncpg.create_pool()
        == app/users.py
        from . import db


        async def users():
            return await db.pool.fetch("select * from users")
        """,
    ),
    Shape(
        "a copied client; the test that patches the copy knows of it",
        "the incident",
        """
        == app/__init__.py
        == app/base.py
        from motor.motor_asyncio import AsyncIOMotorClient

        client = AsyncIOMotorClient()
        == app/toc.py
        from .base import client  # !copied-name


        async def ping():
            return await client.admin.command("ping")
        == test_toc.py
        import pytest
        from motor.motor_asyncio import AsyncIOMotorClient

        from app import base, toc


        @pytest.fixture(autouse=True)
        def fresh():
            base.client = AsyncIOMotorClient()
        """,
        """
        == app/__init__.py
        == app/base.py
        from motor.motor_asyncio import AsyncIOMotorClient

        client = AsyncIOMotorClient()
        == app/toc.py
        from .base import client


        async def ping():
            return await client.admin.command("ping")
        == test_toc.py
        import pytest
        from motor.motor_asyncio import AsyncIOMotorClient

        from app import base, toc


        @pytest.fixture(autouse=True)
        def fresh(monkeypatch):
            client = AsyncIOMotorClient()
            monkeypatch.setattr(base, "client", client)
            monkeypatch.setattr(toc, "client", client)
        """,
    ),
]
