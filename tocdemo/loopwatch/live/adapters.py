"""What loopwatch must be told about each library: which class is a client, and where it stores its loop.

Everything else is seen without help. It knows the libraries by name only: nothing here imports one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Adapter:
    """One client class: `module` and `name` say where it is defined.

    `loop` names the attributes in which an instance stores its loop (setting one is the binding), `close` the
    methods that close it, `check` a coroutine method that raises when it is called on another loop than its
    own.
    """

    module: str
    name: str
    loop: tuple[str, ...] = ()
    close: tuple[str, ...] = ("close",)
    check: str | None = None


ADAPTERS = (
    # Motor 2.5 sets io_loop when the client is made; since 3.0 _io_loop is set at the first use
    # (motor/core.py).
    Adapter("motor.motor_asyncio", "AsyncIOMotorClient", loop=("_io_loop", "io_loop")),
    # pymongo/asynchronous/mongo_client.py, _get_topology, since 4.13.
    Adapter(
        "pymongo.asynchronous.mongo_client",
        "AsyncMongoClient",
        loop=("_loop",),
        close=("close", "aclose"),
        check="_get_topology",
    ),
    Adapter("mongomock_motor", "AsyncMongoMockClient", close=()),
    Adapter("aiohttp.client", "ClientSession", loop=("_loop",)),
    Adapter("httpx._client", "AsyncClient", close=("aclose",)),
    Adapter("redis.asyncio.client", "Redis", close=("aclose",)),
    Adapter("sqlalchemy.ext.asyncio.engine", "AsyncEngine", close=("dispose",)),
)
