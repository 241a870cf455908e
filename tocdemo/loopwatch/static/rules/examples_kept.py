"""The rules for what is made once, at import or later, with an example of each.

It must not know how a rule finds anything.
"""

from __future__ import annotations

from .rule import Rule

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
)
