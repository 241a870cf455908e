"""Objects that no statement at module level names: in a decorator, in a singleton, in a nested dictionary."""

from __future__ import annotations

from . import Shape

_GATHERED = """
        == test_it.py
        import asyncio

        import pytest
        from it import work


        @pytest.mark.asyncio
        async def test_one():
            await asyncio.gather(work(1), work(2))


        @pytest.mark.asyncio
        async def test_two():
            await asyncio.gather(work(1), work(2))
        """
_ASKED = """
        == test_it.py
        import pytest
        from it import alive


        @pytest.mark.asyncio
        async def test_one():
            assert await alive()


        @pytest.mark.asyncio
        async def test_two():
            assert await alive()
        """

SHAPES = [
    Shape(
        "a decorator with arguments that makes a lock",
        "cognee 2938",
        """
        == it.py
        import asyncio
        import functools


        def one_at_a_time(name):
            lock = asyncio.Lock()

            def decorate(function):
                @functools.wraps(function)
                async def inner(*args):
                    async with lock:
                        return await function(*args)

                return inner

            return decorate


        @one_at_a_time("work")  # !made-at-import
        async def work(number):
            await asyncio.sleep(0)
        """
        + _GATHERED,
        """
        == it.py
        import asyncio
        import functools


        def one_at_a_time(name):
            def decorate(function):
                @functools.wraps(function)
                async def inner(*args):
                    async with asyncio.Lock():
                        return await function(*args)

                return inner

            return decorate


        @one_at_a_time("work")
        async def work(number):
            await asyncio.sleep(0)
        """
        + _GATHERED,
    ),
    Shape(
        "a class as a decorator that makes a semaphore",
        "cognee 2938",
        """
        == it.py
        import asyncio


        class Limited:
            def __init__(self, function):
                self.function = function
                self.gate = asyncio.Semaphore(1)

            async def __call__(self, *args):
                async with self.gate:
                    return await self.function(*args)


        @Limited  # !made-at-import
        async def work(number):
            await asyncio.sleep(0)
        """
        + _GATHERED,
        """
        == it.py
        import asyncio


        class Limited:
            def __init__(self, function):
                self.function = function

            async def __call__(self, *args):
                async with asyncio.Semaphore(1):
                    return await self.function(*args)


        @Limited
        async def work(number):
            await asyncio.sleep(0)
        """
        + _GATHERED,
    ),
    Shape(
        "the one instance of a class with a metaclass",
        "fastapi 3855",
        """
        == it.py
        from redis.asyncio import Redis


        class Single(type):
            _instances = {}

            def __call__(cls):
                if cls not in cls._instances:
                    cls._instances[cls] = super().__call__()
                return cls._instances[cls]


        class Store(metaclass=Single):
            def __init__(self):
                self.client = Redis()  # !kept-in-cache

            async def ping(self):
                return await self.client.ping()


        async def alive():
            return await Store().ping()
        """
        + _ASKED,
        """
        == it.py
        from redis.asyncio import Redis


        class Named(type):
            def __call__(cls):
                made = super().__call__()
                made.name = cls.__name__
                return made


        class Store(metaclass=Named):
            def __init__(self):
                self.client = Redis()

            async def ping(self):
                return await self.client.ping()


        async def alive():
            return await Store().ping()
        """
        + _ASKED,
    ),
    Shape(
        "a client in a dictionary of dictionaries",
        "aiocache 1056",
        """
        == it.py
        from redis.asyncio import Redis

        SERVICES = {"stores": {"cache": Redis()}}  # !made-at-import


        def service(kind, name):
            return SERVICES[kind][name]


        async def alive():
            cache = service("stores", "cache")
            return await cache.ping()
        """
        + _ASKED,
        """
        == it.py
        from redis.asyncio import Redis

        SERVICES = {"stores": {"cache": Redis}}


        def service(kind, name):
            return SERVICES[kind][name]()


        async def alive():
            cache = service("stores", "cache")
            return await cache.ping()
        """
        + _ASKED,
    ),
]
