"""What is made at import, in a class body, as a default or in a cache, and used by tests with a loop each."""

from __future__ import annotations

from . import Shape

SHAPES = [
    Shape(
        "an HTTPX client of the application, used by its tests",
        "httpx 2473",
        """
        == app.py
        import httpx

        client = httpx.AsyncClient(base_url="https://api.example.org")  # !made-at-import


        async def user(name):
            answer = await client.get(f"/users/{name}")
            return answer.json()
        == test_app.py
        import pytest

        from app import user

        pytestmark = pytest.mark.asyncio


        async def test_ada():
            assert await user("ada")


        async def test_bob():
            assert await user("bob")
        """,
        """
        == app.py
        import httpx


        async def user(name):
            async with httpx.AsyncClient(base_url="https://api.example.org") as client:
                answer = await client.get(f"/users/{name}")
                return answer.json()
        == test_app.py
        import pytest

        from app import user

        pytestmark = pytest.mark.asyncio


        async def test_ada():
            assert await user("ada")


        async def test_bob():
            assert await user("bob")
        """,
    ),
    Shape(
        "an engine of a test module",
        "pytest-asyncio 402",
        """
        == pytest.ini
        [pytest]
        asyncio_mode = auto
        == test_sql.py
        from sqlalchemy import text
        from sqlalchemy.ext.asyncio import create_async_engine

        engine = create_async_engine("postgresql+asyncpg://u:p@localhost/db")  # !made-at-import


        async def test_echo():
            async with engine.begin() as connection:
                await connection.execute(text("select 1"))


        async def test_echo_again():
            async with engine.begin() as connection:
                await connection.execute(text("select 1"))
        """,
        """
        == pytest.ini
        [pytest]
        asyncio_mode = auto
        == test_sql.py
        from sqlalchemy import text
        from sqlalchemy.ext.asyncio import create_async_engine
        from sqlalchemy.pool import NullPool

        engine = create_async_engine("postgresql+asyncpg://u:p@localhost/db", poolclass=NullPool)


        async def test_echo():
            async with engine.begin() as connection:
                await connection.execute(text("select 1"))


        async def test_echo_again():
            async with engine.begin() as connection:
                await connection.execute(text("select 1"))
        """,
    ),
    Shape(
        "an engine behind a factory of sessions and a dependency",
        "starlette 1315",
        """
        == app/__init__.py
        == app/db.py
        from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
        from sqlalchemy.orm import sessionmaker

        URL = "postgresql+asyncpg://u:p@localhost/db"
        engine = create_async_engine(URL)  # !made-at-import
        Session = sessionmaker(engine, class_=AsyncSession)


        async def get_session():
            async with Session() as session:
                try:
                    yield session
                finally:
                    await session.close()
        == app/main.py
        from fastapi import Depends, FastAPI

        from .db import get_session

        app = FastAPI()


        @app.get("/items/{item}")
        async def item(item: int, session=Depends(get_session)):
            return await session.get(dict, item)
        == tests/test_main.py
        from fastapi.testclient import TestClient

        from app.main import app

        client = TestClient(app)


        def test_item():
            assert client.get("/items/1").status_code == 200


        def test_other_item():
            assert client.get("/items/2").status_code == 200
        """,
        """
        == app/__init__.py
        == app/db.py
        from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
        from sqlalchemy.orm import sessionmaker

        URL = "postgresql+asyncpg://u:p@localhost/db"
        engine = create_async_engine(URL)
        Session = sessionmaker(engine, class_=AsyncSession)


        async def get_session():
            async with Session() as session:
                yield session
        == app/main.py
        from fastapi import Depends, FastAPI

        from .db import get_session

        app = FastAPI()


        @app.get("/items/{item}")
        async def item(item: int, session=Depends(get_session)):
            return await session.get(dict, item)
        == tests/test_main.py
        from fastapi.testclient import TestClient

        from app.db import get_session
        from app.main import app


        class Fake:
            async def get(self, kind, item):
                return {}


        app.dependency_overrides[get_session] = lambda: Fake()
        client = TestClient(app)


        def test_item():
            assert client.get("/items/1").status_code == 200


        def test_other_item():
            assert client.get("/items/2").status_code == 200
        """,
    ),
    Shape(
        "two requests of a TestClient that was not entered, in one test",
        "elasticsearch-py 2410",
        """
        == web.py
        from elasticsearch import AsyncElasticsearch
        from fastapi import FastAPI

        search = AsyncElasticsearch("http://localhost:9200")  # !made-at-import
        app = FastAPI()


        @app.get("/filters")
        async def filters():
            return await search.search(index="a")
        == test_web.py
        import pytest
        from fastapi.testclient import TestClient

        from web import app


        @pytest.fixture()
        def client():
            return TestClient(app)


        def test_filters(client):
            client.get("/filters")
            client.get("/filters")
        """,
        """
        == web.py
        from elasticsearch import AsyncElasticsearch
        from fastapi import FastAPI

        search = AsyncElasticsearch("http://localhost:9200")
        app = FastAPI()


        @app.get("/filters")
        async def filters():
            return await search.search(index="a")
        == test_web.py
        import pytest
        from fastapi.testclient import TestClient

        from web import app


        @pytest.fixture(scope="session")
        def client():
            with TestClient(app) as entered:
                yield entered


        def test_filters(client):
            client.get("/filters")
            client.get("/filters")
        """,
    ),
    Shape(
        "a global search client and an ASGI client",
        "elasticsearch-py 2051",
        """
        == web.py
        from elasticsearch import AsyncElasticsearch
        from fastapi import FastAPI

        search = AsyncElasticsearch("http://localhost:9200")  # !made-at-import
        app = FastAPI()


        @app.get("/filters")
        async def filters():
            return await search.search(index="a")
        == test_web.py
        import pytest
        from httpx import ASGITransport, AsyncClient

        from web import app


        @pytest.mark.anyio
        async def test_filters():
            async with AsyncClient(transport=ASGITransport(app=app), base_url="http://t") as client:
                await client.get("/filters")


        @pytest.mark.anyio
        async def test_filters_again():
            async with AsyncClient(transport=ASGITransport(app=app), base_url="http://t") as client:
                await client.get("/filters")
        """,
        """
        == web.py
        from elasticsearch import AsyncElasticsearch
        from fastapi import FastAPI

        search = AsyncElasticsearch("http://localhost:9200")
        app = FastAPI()


        @app.get("/filters")
        async def filters():
            return await search.search(index="a")


        @app.get("/health")
        async def health():
            return "ok"
        == test_web.py
        import pytest
        from httpx import ASGITransport, AsyncClient

        from web import app


        @pytest.mark.anyio
        async def test_filters():
            async with AsyncClient(transport=ASGITransport(app=app), base_url="http://t") as client:
                await client.get("/filters")


        @pytest.mark.anyio
        async def test_health():
            async with AsyncClient(transport=ASGITransport(app=app), base_url="http://t") as client:
                await client.get("/health")
        """,
    ),
    Shape(
        "a pool of Redis connections, below a function that takes clients from it; unittest",
        "redis-py 2865",
        """
        == cache.py
        import redis.asyncio as aioredis

        pool = aioredis.ConnectionPool(host="localhost")  # !made-at-import


        def connection():
            return aioredis.Redis(connection_pool=pool)


        async def clear(pattern):
            client = aioredis.Redis(connection_pool=pool)
            for key in await client.keys():
                await client.delete(key)
        == test_cache.py
        from unittest import IsolatedAsyncioTestCase

        from cache import clear


        class HolidayTest(IsolatedAsyncioTestCase):
            async def asyncSetUp(self):
                await clear("key")

            async def test_one(self):
                pass

            async def test_two(self):
                pass
        """,
        """
        == cache.py
        import redis.asyncio as aioredis

        pool = aioredis.ConnectionPool(host="localhost")


        async def clear(pattern):
            client = aioredis.Redis(connection_pool=pool)
            for key in await client.keys():
                await client.delete(key)
        == test_cache.py
        from unittest import IsolatedAsyncioTestCase

        from cache import clear, pool


        class HolidayTest(IsolatedAsyncioTestCase):
            async def asyncSetUp(self):
                await clear("key")

            async def asyncTearDown(self):
                await pool.disconnect()

            async def test_one(self):
                pass

            async def test_two(self):
                pass
        """,
    ),
    Shape(
        "a Redis client of an application, without an entered TestClient",
        "redis-py 3351",
        """
        == main.py
        import redis.asyncio
        from fastapi import FastAPI

        app = FastAPI()
        store = redis.asyncio.Redis()  # !made-at-import


        @app.get("/items/{key}")
        async def read(key: str):
            return await store.get(key)
        == test_main.py
        from fastapi.testclient import TestClient

        from main import app


        def test_read():
            client = TestClient(app)
            for key in "ab":
                client.get(f"/items/{key}")
            client.get("/items/c")
        """,
        """
        == main.py
        import redis.asyncio
        from fastapi import FastAPI

        app = FastAPI()
        store = redis.asyncio.Redis()


        @app.get("/items/{key}")
        async def read(key: str):
            return await store.get(key)
        == test_main.py
        from fastapi.testclient import TestClient

        from main import app


        def test_read():
            with TestClient(app) as client:
                for key in "ab":
                    client.get(f"/items/{key}")
                client.get("/items/c")
        """,
    ),
    Shape(
        "a factory below lru_cache",
        "langchain 35817",
        """
        == clients.py
        from functools import lru_cache

        import httpx


        @lru_cache
        def get_client():
            return httpx.AsyncClient(timeout=3)  # !kept-in-cache


        async def ask(question):
            client = get_client()
            return await client.post("https://example.org", json=question)
        == test_clients.py
        import asyncio

        from clients import ask


        def test_first():
            asyncio.run(ask("a"))


        def test_second():
            asyncio.run(ask("b"))
        """,
        """
        == clients.py
        from functools import lru_cache

        import httpx


        @lru_cache
        def get_client():
            return httpx.AsyncClient(timeout=3)


        async def ask(question):
            client = get_client()
            return await client.post("https://example.org", json=question)
        == conftest.py
        import pytest

        from clients import get_client


        @pytest.fixture(autouse=True)
        def fresh():
            yield
            get_client.cache_clear()
        == test_clients.py
        import asyncio

        from clients import ask


        def test_first():
            asyncio.run(ask("a"))


        def test_second():
            asyncio.run(ask("b"))
        """,
    ),
    Shape(
        "a client that is made once, with no thought of loops",
        "rhesis 1953",
        """
        == invoker.py
        import httpx

        _client = None


        def http_client():
            global _client
            if _client is None or _client.is_closed:
                _client = httpx.AsyncClient()  # !kept-in-cache
            return _client


        async def invoke(url):
            return await http_client().get(url)
        == test_invoker.py
        import pytest

        from invoker import invoke


        @pytest.mark.asyncio
        @pytest.mark.parametrize("url", ["https://a.example", "https://b.example"])
        async def test_invoke(url):
            await invoke(url)
        """,
        """
        == invoker.py
        import asyncio

        import httpx

        _client = None
        _loop = None


        def http_client():
            global _client, _loop
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                loop = None
            if _client is None or _loop is not loop:
                _client = httpx.AsyncClient()
                _loop = loop
            return _client


        async def invoke(url):
            return await http_client().get(url)
        == test_invoker.py
        import pytest

        from invoker import invoke


        @pytest.mark.asyncio
        @pytest.mark.parametrize("url", ["https://a.example", "https://b.example"])
        async def test_invoke(url):
            await invoke(url)
        """,
    ),
    Shape(
        "a dictionary of locks that is never emptied",
        "reyn 1762",
        """
        == agents.py
        import asyncio

        _locks: dict[str, asyncio.Lock] = {}


        def lock_of(agent):
            if agent not in _locks:
                _locks[agent] = asyncio.Lock()  # !kept-in-cache
            return _locks[agent]


        async def send(agent):
            async with lock_of(agent):
                await asyncio.sleep(0)
        == test_agents.py
        import asyncio

        import pytest

        from agents import send


        @pytest.mark.asyncio
        async def test_two_at_once():
            await asyncio.gather(send("a"), send("a"))


        @pytest.mark.asyncio
        async def test_three_at_once():
            await asyncio.gather(send("a"), send("a"), send("a"))
        """,
        """
        == agents.py
        import asyncio

        _locks: dict[str, asyncio.Lock] = {}


        def lock_of(agent):
            if agent not in _locks:
                _locks[agent] = asyncio.Lock()
            return _locks[agent]


        async def send(agent):
            async with lock_of(agent):
                await asyncio.sleep(0)
        == test_agents.py
        import asyncio

        import pytest

        import agents
        from agents import send


        @pytest.fixture(autouse=True)
        def no_locks(monkeypatch):
            monkeypatch.setattr(agents, "_locks", {})


        @pytest.mark.asyncio
        async def test_two_at_once():
            await asyncio.gather(send("a"), send("a"))


        @pytest.mark.asyncio
        async def test_three_at_once():
            await asyncio.gather(send("a"), send("a"), send("a"))
        """,
    ),
    Shape(
        "a semaphore at import, contended in two tests; alone it does no harm",
        "cognee 2938",
        """
        == limits.py
        import asyncio

        slots = asyncio.Semaphore(1)  # !made-at-import


        async def work():
            async with slots:
                await asyncio.sleep(0)
        == test_limits.py
        import asyncio
        import unittest

        from limits import work


        class Limits(unittest.IsolatedAsyncioTestCase):
            async def test_two(self):
                await asyncio.gather(work(), work())

            async def test_three(self):
                async with asyncio.TaskGroup() as group:
                    for _ in range(3):
                        group.create_task(work())
        """,
        """
        == limits.py
        import asyncio

        slots = asyncio.Semaphore(1)


        async def work():
            async with slots:
                await asyncio.sleep(0)
        == test_limits.py
        import unittest

        from limits import work


        class Limits(unittest.IsolatedAsyncioTestCase):
            async def test_one(self):
                await work()

            async def test_another(self):
                await work()
        """,
    ),
    Shape(
        "a queue in a class body",
        "sse-starlette 140",
        """
        == bus.py
        import asyncio


        class Bus:
            waiting = asyncio.Queue()  # !made-in-class-body

            async def take(self):
                return await self.waiting.get()

            async def put(self, item):
                await self.waiting.put(item)
        == test_bus.py
        import asyncio

        import pytest

        from bus import Bus


        @pytest.fixture
        def bus():
            return Bus()


        @pytest.mark.asyncio
        async def test_take(bus):
            task = asyncio.create_task(bus.take())
            await bus.put(1)
            assert await task == 1


        @pytest.mark.asyncio
        async def test_take_later(bus):
            task = asyncio.create_task(bus.take())
            await bus.put(2)
            assert await task == 2
        """,
        """
        == bus.py
        import asyncio


        class Bus:
            def __init__(self):
                self.waiting = asyncio.Queue()

            async def take(self):
                return await self.waiting.get()

            async def put(self, item):
                await self.waiting.put(item)
        == test_bus.py
        import asyncio

        import pytest

        from bus import Bus


        @pytest.fixture
        def bus():
            return Bus()


        @pytest.mark.asyncio
        async def test_take(bus):
            task = asyncio.create_task(bus.take())
            await bus.put(1)
            assert await task == 1


        @pytest.mark.asyncio
        async def test_take_later(bus):
            task = asyncio.create_task(bus.take())
            await bus.put(2)
            assert await task == 2
        """,
    ),
    Shape(
        "a client as a default argument",
        "rebuilt from httpx 2473",
        """
        == fetch.py
        import httpx


        async def fetch(url, client=httpx.AsyncClient()):  # !made-as-default
            return (await client.get(url)).text
        == test_fetch.py
        import pytest

        import fetch

        pytestmark = [pytest.mark.asyncio]


        async def test_a():
            await fetch.fetch("https://a.example")


        async def test_b():
            await fetch.fetch("https://b.example")
        """,
        """
        == fetch.py
        import httpx


        async def fetch(url, client=None):
            if client is None:
                async with httpx.AsyncClient() as client:
                    return (await client.get(url)).text
            return (await client.get(url)).text
        == test_fetch.py
        import pytest

        import fetch

        pytestmark = [pytest.mark.asyncio]


        async def test_a():
            await fetch.fetch("https://a.example")


        async def test_b():
            await fetch.fetch("https://b.example")
        """,
    ),
    Shape(
        "a service at import, whose class makes the client",
        "aiomqtt 81",
        """
        == service.py
        import httpx


        class Weather:
            def __init__(self, base):
                self.base = base
                self._http = httpx.AsyncClient()

            async def today(self):
                return await self._http.get(self.base)
        == deps.py
        from service import Weather

        weather = Weather("https://w.example")  # !made-at-import
        == test_weather.py
        import pytest

        from deps import weather


        @pytest.mark.asyncio
        class TestWeather:
            async def test_today(self):
                assert await weather.today()

            async def test_today_again(self):
                assert await weather.today()
        """,
        """
        == service.py
        import httpx


        class Weather:
            def __init__(self, base):
                self.base = base
                self._http = httpx.AsyncClient()

            async def today(self):
                return await self._http.get(self.base)
        == test_weather.py
        import pytest

        from service import Weather


        @pytest.fixture
        def weather():
            return Weather("https://w.example")


        @pytest.mark.asyncio
        class TestWeather:
            async def test_today(self, weather):
                assert await weather.today()

            async def test_today_again(self, weather):
                assert await weather.today()
        """,
    ),
    Shape(
        "a pool in a class attribute, made at the first call",
        "pytest-asyncio 38",
        """
        == database.py
        import asyncpg


        class Database:
            pool = None

            @classmethod
            async def get(cls):
                if cls.pool is None:
                    cls.pool = await asyncpg.create_pool("postgres://localhost/db")  # !kept-in-cache
                return cls.pool


        async def count():
            pool = await Database.get()
            return await pool.fetchval("select 1")
        == test_database.py
        import pytest

        from database import count


        @pytest.mark.asyncio
        async def test_count():
            assert await count() == 1


        @pytest.mark.asyncio
        async def test_count_again():
            assert await count() == 1
        """,
        """
        == database.py
        import asyncpg


        class Database:
            pool = None

            @classmethod
            async def get(cls):
                if cls.pool is None:
                    cls.pool = await asyncpg.create_pool("postgres://localhost/db")
                return cls.pool

            @classmethod
            async def stop(cls):
                await cls.pool.close()
                cls.pool = None


        async def count():
            pool = await Database.get()
            return await pool.fetchval("select 1")
        == test_database.py
        import pytest
        import pytest_asyncio

        from database import Database, count


        @pytest_asyncio.fixture(autouse=True)
        async def stopped():
            yield
            await Database.stop()


        @pytest.mark.asyncio
        async def test_count():
            assert await count() == 1


        @pytest.mark.asyncio
        async def test_count_again():
            assert await count() == 1
        """,
    ),
    Shape(
        "a gRPC channel at import: it has its loop already",
        "grpc 32480",
        """
        == rpc.py
        import grpc.aio

        channel = grpc.aio.insecure_channel("localhost:1")  # !made-at-import


        async def call():
            return await channel.unary_unary("/a/b")(b"")
        == test_rpc.py
        import pytest

        import rpc


        @pytest.mark.asyncio
        async def test_call():
            await rpc.call()
        """,
        """
        == rpc.py
        import grpc.aio


        async def call():
            async with grpc.aio.insecure_channel("localhost:1") as channel:
                return await channel.unary_unary("/a/b")(b"")
        == test_rpc.py
        import pytest

        import rpc


        @pytest.mark.asyncio
        async def test_call():
            await rpc.call()
        """,
    ),
    Shape(
        "a loop of the application, asked for at import",
        "pytest-asyncio 310",
        """
        == jobs.py
        import asyncio

        LOOP = asyncio.get_event_loop()  # !made-at-import


        async def heavy(function):
            return await LOOP.run_in_executor(None, function)
        == test_jobs.py
        import pytest

        from jobs import heavy


        @pytest.mark.asyncio
        async def test_heavy():
            assert await heavy(int) == 0
        """,
        """
        == jobs.py
        import asyncio


        async def heavy(function):
            return await asyncio.get_running_loop().run_in_executor(None, function)
        == test_jobs.py
        import pytest

        from jobs import heavy


        @pytest.mark.asyncio
        async def test_heavy():
            assert await heavy(int) == 0
        """,
    ),
    Shape(
        "one loop for all tests: a client at import is right then",
        "pytest-asyncio 944",
        """
        == pyproject.toml
        [tool.pytest.ini_options]
        asyncio_mode = "auto"
        asyncio_default_fixture_loop_scope = "session"
        == test_it.py
        from motor.motor_asyncio import AsyncIOMotorClient

        books = AsyncIOMotorClient()["db"].books  # !made-at-import


        async def test_one():
            await books.find_one({})


        async def test_two():
            await books.find_one({})
        """,
        """
        == pyproject.toml
        [tool.pytest.ini_options]
        asyncio_mode = "auto"
        asyncio_default_fixture_loop_scope = "session"
        asyncio_default_test_loop_scope = "session"
        == test_it.py
        from motor.motor_asyncio import AsyncIOMotorClient

        books = AsyncIOMotorClient()["db"].books


        async def test_one():
            await books.find_one({})


        async def test_two():
            await books.find_one({})
        """,
    ),
    Shape(
        "a Celery task that runs a coroutine each time",
        "celery: asyncio.run in a task",
        """
        == tasks.py
        import asyncio

        from celery import shared_task
        from pymongo import AsyncMongoClient

        mongo = AsyncMongoClient()  # !made-at-import


        async def store(item):
            await mongo.db.items.insert_one(item)


        @shared_task
        def save(item):
            asyncio.run(store(item))
        == test_tasks.py
        from tasks import save


        def test_save():
            save.delay({})


        def test_save_more():
            save.apply(args=[{}])
        """,
        """
        == tasks.py
        import asyncio

        from celery import shared_task
        from pymongo import AsyncMongoClient


        async def store(item):
            async with AsyncMongoClient() as mongo:
                await mongo.db.items.insert_one(item)


        @shared_task
        def save(item):
            asyncio.run(store(item))
        == test_tasks.py
        from tasks import save


        def test_save():
            save.delay({})


        def test_save_more():
            save.apply(args=[{}])
        """,
    ),
]
