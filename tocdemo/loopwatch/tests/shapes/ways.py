"""The ways on which a kept object reaches a test: attributes, dependencies, routes, singletons, tasks."""

from __future__ import annotations

from . import Shape

SHAPES = [
    Shape(
        "an attribute that a constructor takes from a module; a test that gives its own",
        "redis-py 3351",
        """
        == pyproject.toml
        [tool.pytest.ini_options]
        asyncio_mode = "auto"
        == src/shop/__init__.py
        == src/shop/store.py
        from redis import asyncio as aioredis

        redis = aioredis.from_url("redis://localhost")  # !made-at-import
        == src/shop/carts.py
        from .store import redis


        class Carts:
            def __init__(self, client=None):
                self.client = client or redis

            async def add(self, user, item):
                await self.client.rpush(user, item)
        == tests/test_carts.py
        import pytest
        from shop.carts import Carts


        @pytest.fixture
        def carts():
            return Carts()


        async def test_add(carts):
            await carts.add("a", "x")


        async def test_add_more(carts):
            await carts.add("b", "y")
        """,
        """
        == pyproject.toml
        [tool.pytest.ini_options]
        asyncio_mode = "auto"
        == src/shop/__init__.py
        == src/shop/store.py
        from redis import asyncio as aioredis

        redis = aioredis.from_url("redis://localhost")
        == src/shop/carts.py
        from .store import redis


        class Carts:
            def __init__(self, client=None):
                self.client = client or redis

            async def add(self, user, item):
                await self.client.rpush(user, item)
        == tests/test_carts.py
        import pytest
        from shop.carts import Carts


        @pytest.fixture
        def carts(redis_of_this_test):
            return Carts(redis_of_this_test)


        async def test_add(carts):
            await carts.add("a", "x")


        async def test_add_more(carts):
            await carts.add("b", "y")
        """,
    ),
    Shape(
        "a singleton",
        "pygqlc 82",
        """
        == bot.py
        import httpx


        class Bot:
            _instance = None

            def __new__(cls):
                if cls._instance is None:
                    cls._instance = super().__new__(cls)
                    cls._instance.http = httpx.AsyncClient()  # !kept-in-cache
                return cls._instance

            async def call(self, method):
                return await self.http.post(method)
        == test_bot.py
        import pytest
        from bot import Bot

        pytestmark = pytest.mark.anyio


        async def test_a():
            await Bot().call("a")


        async def test_b():
            await Bot().call("b")
        """,
        """
        == bot.py
        import httpx


        class Bot:
            _instance = None

            def __new__(cls):
                if cls._instance is None:
                    cls._instance = super().__new__(cls)
                    cls._instance.http = httpx.AsyncClient()
                return cls._instance

            async def call(self, method):
                return await self.http.post(method)

            async def name(self):
                return "bot"
        == test_bot.py
        import pytest
        from bot import Bot

        pytestmark = pytest.mark.anyio


        async def test_a():
            assert await Bot().name()


        async def test_b():
            assert await Bot().name()
        """,
    ),
    Shape(
        "an instance at import that makes its client at the first call",
        "browser-use 5764",
        """
        == service.py
        from redis.asyncio import Redis


        class Store:
            def __init__(self):
                self._redis = None

            def connection(self):
                if self._redis is None:
                    self._redis = Redis()
                return self._redis

            async def get(self):
                return await self.connection().ping()


        store = Store()  # !made-at-import
        == test_service.py
        import pytest
        from service import store


        @pytest.mark.asyncio
        async def test_get():
            assert await store.get()


        @pytest.mark.asyncio
        async def test_get_again():
            assert await store.get()
        """,
        """
        == service.py
        from redis.asyncio import Redis


        class Store:
            def __init__(self):
                self._redis = None

            def connection(self):
                if self._redis is None:
                    self._redis = Redis()
                return self._redis

            async def get(self):
                return await self.connection().ping()
        == test_service.py
        import pytest
        from service import Store


        @pytest.mark.asyncio
        async def test_get():
            assert await Store().get()


        @pytest.mark.asyncio
        async def test_get_again():
            assert await Store().get()
        """,
    ),
    Shape(
        "a cached factory as a dependency, two requests of a TestClient",
        "redis-py 3351, a cached dependency",
        """
        == main.py
        from functools import cache
        from typing import Annotated

        from fastapi import Depends, FastAPI
        from redis.asyncio import Redis


        @cache
        def get_redis():
            return Redis()  # !kept-in-cache


        app = FastAPI()


        @app.get("/items")
        async def items(redis: Annotated[Redis, Depends(get_redis)]):
            return await redis.ping()
        == test_items.py
        from fastapi.testclient import TestClient
        from main import app


        def test_items():
            assert TestClient(app).get("/items").json()
            assert TestClient(app).get("/items").json()
        """,
        """
        == main.py
        from typing import Annotated

        from fastapi import Depends, FastAPI
        from redis.asyncio import Redis


        def get_redis():
            return Redis()


        app = FastAPI()


        @app.get("/items")
        async def items(redis: Annotated[Redis, Depends(get_redis)]):
            return await redis.ping()
        == test_items.py
        from fastapi.testclient import TestClient
        from main import app


        def test_items():
            assert TestClient(app).get("/items").json()
            assert TestClient(app).get("/items").json()
        """,
    ),
    Shape(
        "a client in the state of an application",
        "a client in app.state, made at import",
        """
        == main.py
        from fastapi import FastAPI, Request
        from redis.asyncio import Redis

        app = FastAPI()
        app.state.redis = Redis()  # !made-at-import


        @app.get("/items")
        async def items(request: Request):
            return await request.app.state.redis.ping()
        == test_items.py
        from fastapi.testclient import TestClient
        from main import app

        client = TestClient(app)


        def test_items():
            assert client.get("/items")


        def test_items_again():
            assert client.get("/items")
        """,
        """
        == main.py
        from contextlib import asynccontextmanager

        from fastapi import FastAPI, Request
        from redis.asyncio import Redis


        @asynccontextmanager
        async def lifespan(app):
            app.state.redis = Redis()
            yield
            await app.state.redis.aclose()


        app = FastAPI(lifespan=lifespan)


        @app.get("/items")
        async def items(request: Request):
            return await request.app.state.redis.ping()
        == test_items.py
        from fastapi.testclient import TestClient
        from main import app


        def test_items():
            with TestClient(app) as client:
                assert client.get("/items")


        def test_items_again():
            with TestClient(app) as client:
                assert client.get("/items")
        """,
    ),
    Shape(
        "a lock that handlers of Starlette want at once; a TestClient for each test",
        "starlette 1315",
        """
        == service.py
        import asyncio

        from starlette.applications import Starlette
        from starlette.routing import Route

        lock = asyncio.Lock()  # !made-at-import


        async def work():
            async with lock:
                await asyncio.sleep(0)


        async def home(request):
            await asyncio.gather(work(), work())


        app = Starlette(routes=[Route("/", home)])
        == test_service.py
        import pytest
        from service import app
        from starlette.testclient import TestClient


        @pytest.fixture
        def client():
            with TestClient(app) as client:
                yield client


        def test_home(client):
            assert client.get("/")


        def test_home_again(client):
            assert client.get("/")
        """,
        """
        == service.py
        import asyncio

        from starlette.applications import Starlette
        from starlette.routing import Route

        lock = asyncio.Lock()


        async def work():
            async with lock:
                await asyncio.sleep(0)


        async def other():
            await asyncio.sleep(0)


        async def home(request):
            await asyncio.gather(work(), other())


        app = Starlette(routes=[Route("/", home)])
        == test_service.py
        import pytest
        from service import app
        from starlette.testclient import TestClient


        @pytest.fixture
        def client():
            with TestClient(app) as client:
                yield client


        def test_home(client):
            assert client.get("/")


        def test_home_again(client):
            assert client.get("/")
        """,
    ),
    Shape(
        "a function that a fixture gives, and a session inside it",
        "pytest-asyncio 762",
        """
        == conftest.py
        import aiohttp
        import pytest_asyncio


        @pytest_asyncio.fixture(scope="session", loop_scope="session")
        async def session():
            async with aiohttp.ClientSession() as session:
                yield session


        @pytest_asyncio.fixture(scope="session", loop_scope="session")
        async def ask(session):  # !loop-scopes-differ
            async def inner(url):
                async with session.get(url) as answer:
                    return await answer.text()

            return inner
        == test_it.py
        import pytest


        @pytest.mark.asyncio
        async def test_one(ask):
            assert await ask("http://localhost")
        """,
        """
        == conftest.py
        import aiohttp
        import pytest_asyncio


        @pytest_asyncio.fixture
        async def session():
            async with aiohttp.ClientSession() as session:
                yield session


        @pytest_asyncio.fixture
        async def ask(session):
            async def inner(url):
                async with session.get(url) as answer:
                    return await answer.text()

            return inner
        == test_it.py
        import pytest


        @pytest.mark.asyncio
        async def test_one(ask):
            assert await ask("http://localhost")
        """,
    ),
    Shape(
        "a connection that is asked for once; a client for a class of unittest",
        "cpython 83794, a comment",
        """
        == test_unit.py
        import unittest

        import httpx


        class Tests(unittest.IsolatedAsyncioTestCase):
            @classmethod
            def setUpClass(cls):
                cls.client = httpx.AsyncClient()  # !made-in-class-set-up

            async def test_one(self):
                await self.client.get("http://localhost")

            async def test_two(self):
                await self.client.get("http://localhost")
        == api.py
        import asyncio

        _writer = None


        async def connected():
            global _writer
            if _writer is None:
                _, _writer = await asyncio.open_connection("127.0.0.1", 1)  # !kept-in-cache
            return _writer


        async def ping():
            writer = await connected()
            await writer.drain()
        == test_api.py
        import pytest
        from api import ping


        @pytest.mark.asyncio
        async def test_ping():
            await ping()


        @pytest.mark.asyncio
        async def test_ping_again():
            await ping()
        """,
        """
        == test_unit.py
        import unittest

        import httpx


        class Tests(unittest.IsolatedAsyncioTestCase):
            async def asyncSetUp(self):
                self.client = httpx.AsyncClient()

            async def test_one(self):
                await self.client.get("http://localhost")

            async def test_two(self):
                await self.client.get("http://localhost")
        == api.py
        import asyncio


        async def ping():
            _, writer = await asyncio.open_connection("127.0.0.1", 1)
            await writer.drain()
        == test_api.py
        import pytest
        from api import ping


        @pytest.mark.asyncio
        async def test_ping():
            await ping()


        @pytest.mark.asyncio
        async def test_ping_again():
            await ping()
        """,
    ),
    Shape(
        "a semaphore with one place, and one with places for all",
        "cognee 2938",
        """
        == test_it.py
        import asyncio

        import pytest

        slots = asyncio.Semaphore(1)  # !made-at-import


        async def work():
            async with slots:
                await asyncio.sleep(0)


        @pytest.mark.asyncio
        @pytest.mark.parametrize("count", [2, 3])
        async def test_many(count):
            await asyncio.gather(*(work() for _ in range(count)))
        """,
        """
        == test_it.py
        import asyncio

        import pytest

        slots = asyncio.Semaphore(10)


        async def work():
            async with slots:
                await asyncio.sleep(0)


        @pytest.mark.asyncio
        @pytest.mark.parametrize("count", [2, 3])
        async def test_many(count):
            await asyncio.gather(*(work() for _ in range(count)))
        """,
    ),
    Shape(
        "an engine that is disposed of at the end of the session, or after each test",
        "tracecat 285",
        """
        == db.py
        from sqlalchemy.ext.asyncio import create_async_engine

        engine = create_async_engine("postgresql+asyncpg://localhost/db")  # !made-at-import


        async def one():
            async with engine.connect() as connection:
                return await connection.scalar("select 1")
        == conftest.py
        import pytest_asyncio
        from db import engine


        @pytest_asyncio.fixture(scope="session", autouse=True)
        async def closed():
            yield
            await engine.dispose()
        == test_db.py
        import db
        import pytest


        @pytest.mark.asyncio
        async def test_one():
            assert await db.one()


        @pytest.mark.asyncio
        async def test_one_again():
            assert await db.one()
        """,
        """
        == db.py
        from sqlalchemy.ext.asyncio import create_async_engine

        engine = create_async_engine("postgresql+asyncpg://localhost/db")


        async def one():
            async with engine.connect() as connection:
                return await connection.scalar("select 1")
        == conftest.py
        import pytest_asyncio
        from db import engine


        @pytest_asyncio.fixture(autouse=True)
        async def closed():
            yield
            await engine.dispose()
        == test_db.py
        import db
        import pytest


        @pytest.mark.asyncio
        async def test_one():
            assert await db.one()


        @pytest.mark.asyncio
        async def test_one_again():
            assert await db.one()
        """,
    ),
]
