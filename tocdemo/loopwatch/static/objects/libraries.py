"""What is known of libraries: which calls make an object of an event loop, and when it takes its loop.

Every entry was read in the source of the version that is named; what is not here, is not known.
It must not know how a project uses what it makes.
"""

from __future__ import annotations

from dataclasses import dataclass

MADE = "made"  # takes its loop when it is made
USED = "used"  # takes its loop when it is first used
WAITS = "waits"  # takes its loop when a task first has to wait for it


@dataclass(frozen=True)
class Maker:
    """A constructor or factory of `library`: the `noun` for what it makes, and when that takes its loop.

    `needs_loop` says that the call raises where no loop runs, `database_url` that it depends on the database
    whether there is a loop at all. `read_in` is the source of all this.
    """

    name: str
    library: str
    noun: str
    binds: str
    read_in: str
    needs_loop: bool = False
    database_url: bool = False


_MIXIN = "CPython 3.10, asyncio/mixins.py: _LoopBoundMixin._get_loop"
_MAKERS = (
    *(
        Maker(f"asyncio.{n}", "asyncio", n.lower(), WAITS, _MIXIN)
        for n in ("Lock", "Event", "Condition", "Queue")
    ),
    *(Maker(f"asyncio.{n}", "asyncio", "queue", WAITS, _MIXIN) for n in ("PriorityQueue", "LifoQueue")),
    *(
        Maker(f"asyncio.{n}", "asyncio", "semaphore", WAITS, _MIXIN)
        for n in ("Semaphore", "BoundedSemaphore")
    ),
    Maker(
        "anyio.Event", "anyio", "event", WAITS, "AnyIO 4.16.0, _backends/_asyncio.py: Event holds asyncio's"
    ),
    Maker("asyncio.Barrier", "asyncio", "barrier", WAITS, "CPython 3.11, asyncio/locks.py: Barrier"),
    Maker("asyncio.Future", "asyncio", "future", MADE, "CPython 3.11, asyncio/futures.py: Future.__init__"),
    Maker(
        "asyncio.create_task", "asyncio", "task", MADE, "CPython 3.11, asyncio/tasks.py: create_task", True
    ),
    Maker("asyncio.open_connection", "asyncio", "connection", MADE, "CPython 3.11, asyncio/streams.py"),
    Maker("asyncio.start_server", "asyncio", "server", MADE, "CPython 3.11, asyncio/streams.py"),
    Maker(
        "motor.motor_asyncio.AsyncIOMotorClient",
        "motor",
        "client",
        USED,
        "Motor 3.7.1, core.py: AgnosticClient.io_loop",
    ),
    Maker(
        "pymongo.AsyncMongoClient", "pymongo", "client", USED, "PyMongo 4.20.0, asynchronous/mongo_client.py"
    ),
    Maker(
        "pymongo.asynchronous.mongo_client.AsyncMongoClient",
        "pymongo",
        "client",
        USED,
        "PyMongo 4.20.0, asynchronous/mongo_client.py",
    ),
    Maker("aiohttp.ClientSession", "aiohttp", "session", MADE, "aiohttp 3.10.0 to 3.14.5, client.py", True),
    Maker(
        "aiohttp.TCPConnector", "aiohttp", "connector", MADE, "aiohttp 3.10.0 to 3.14.5, connector.py", True
    ),
    Maker("httpx.AsyncClient", "httpx", "client", USED, "HTTPX 0.28.1 and HTTPCore 1.0.9: kept connections"),
    Maker(
        "openai.AsyncOpenAI", "openai", "client", USED, "OpenAI 3.57.0, _base_client.py: holds HTTPX's client"
    ),
    Maker("openai.AsyncAzureOpenAI", "openai", "client", USED, "OpenAI 3.57.0, _base_client.py"),
    *(
        Maker(
            f"redis.asyncio.{n}",
            "redis",
            noun,
            USED,
            "redis-py 8.1.0, asyncio/connection.py: kept connections",
        )
        for n, noun in (
            ("Redis", "client"),
            ("StrictRedis", "client"),
            ("from_url", "client"),
            ("Redis.from_url", "client"),
            ("StrictRedis.from_url", "client"),
            ("client.Redis", "client"),
            ("client.Redis.from_url", "client"),
            ("RedisCluster", "client"),
            ("RedisCluster.from_url", "client"),
            ("ConnectionPool", "pool"),
            ("ConnectionPool.from_url", "pool"),
            ("BlockingConnectionPool", "pool"),
            ("BlockingConnectionPool.from_url", "pool"),
        )
    ),
    *(
        Maker(
            f"sqlalchemy.ext.asyncio.{n}",
            "SQLAlchemy",
            "engine",
            USED,
            "SQLAlchemy 2.1.9: pooled connections of the driver",
            database_url=True,
        )
        for n in ("create_async_engine", "engine.create_async_engine")
    ),
    Maker(
        "databases.Database",
        "databases",
        "database",
        USED,
        "databases 0.9.0, core.py: connections",
        database_url=True,
    ),
    Maker("asyncpg.create_pool", "asyncpg", "pool", MADE, "asyncpg 0.32.0, pool.py: Pool.__init__"),
    Maker("asyncpg.connect", "asyncpg", "connection", MADE, "asyncpg 0.32.0, connection.py: connect"),
    Maker(
        "psycopg_pool.AsyncConnectionPool", "psycopg-pool", "pool", USED, "psycopg-pool 3.3.3, pool_async.py"
    ),
    Maker("aiomysql.create_pool", "aiomysql", "pool", MADE, "aiomysql 0.3.2, pool.py: _create_pool"),
    Maker("aiomysql.connect", "aiomysql", "connection", MADE, "aiomysql 0.3.2, connection.py"),
    Maker("asyncmy.create_pool", "asyncmy", "pool", MADE, "asyncmy 0.2.18, pool.pyx: Pool.__init__"),
    Maker(
        "aiokafka.AIOKafkaProducer",
        "aiokafka",
        "producer",
        MADE,
        "aiokafka 0.14.0, producer/producer.py",
        True,
    ),
    Maker(
        "aiokafka.AIOKafkaConsumer",
        "aiokafka",
        "consumer",
        MADE,
        "aiokafka 0.14.0, consumer/consumer.py",
        True,
    ),
    Maker(
        "grpc.aio.insecure_channel",
        "grpcio",
        "channel",
        MADE,
        "grpcio 1.85.3, aio/_channel.py: Channel.__init__",
    ),
    Maker(
        "grpc.aio.secure_channel",
        "grpcio",
        "channel",
        MADE,
        "grpcio 1.85.3, aio/_channel.py: Channel.__init__",
    ),
    Maker(
        "elasticsearch.AsyncElasticsearch",
        "elasticsearch",
        "client",
        USED,
        "elastic-transport 9.4.2, _node/_http_aiohttp.py",
    ),
    Maker("nats.connect", "nats-py", "client", USED, "nats-py 2.16.0, aio/client.py"),
    Maker("nats.aio.client.Client", "nats-py", "client", USED, "nats-py 2.16.0, aio/client.py"),
    Maker("aio_pika.connect_robust", "aio-pika", "connection", MADE, "aio-pika 10.2.1, robust_connection.py"),
    Maker("aio_pika.connect", "aio-pika", "connection", MADE, "aio-pika 10.2.1, connection.py"),
    Maker("aiorwlock.RWLock", "aiorwlock", "lock", USED, "aiorwlock 1.5.1, __init__.py: _get_loop"),
    Maker("aiomqtt.Client", "aiomqtt", "client", MADE, "aiomqtt 2.5.1, client.py: Client.__init__", True),
)
MAKERS = {maker.name: maker for maker in _MAKERS}
LOOPS = {
    name: Maker(name, "asyncio", "loop", MADE, "CPython, asyncio/events.py")
    for name in ("asyncio.get_event_loop", "asyncio.new_event_loop")
}
# What gives the object back in other clothes: a factory of sessions belongs to its engine's loop.
WRAPPERS = {
    "sqlalchemy.ext.asyncio.async_sessionmaker",
    "sqlalchemy.ext.asyncio.AsyncSession",
    "sqlalchemy.ext.asyncio.async_scoped_session",
    "sqlalchemy.orm.sessionmaker",
    "functools.partial",
}
# What a library's tests use in its place: nothing is opened then, and nothing is bound.
REPLACED_BY = {
    "httpx": ("respx", "httpx_mock", "pytest_httpx", "vcr", "pook"),
    "openai": ("respx", "httpx_mock", "pytest_httpx", "vcr", "pook"),
    "aiohttp": ("aioresponses", "vcr", "pook"),
    "redis": ("fakeredis",),
    "motor": ("mongomock_motor",),
    "elasticsearch": ("vcr",),
}
# Calls that store their client in the project's own classes: the name to the keyword that brings the client.
INITIALIZERS = {
    "beanie.init_beanie": "Beanie 1 and 2 keep the database in the document classes",
    "tortoise.Tortoise.init": "Tortoise keeps its connections in a registry of its own",
}
LIVE_VERBS = {
    "close",
    "aclose",
    "dispose",
    "disconnect",
    "shutdown",
    "terminate",
    "stop",
    "reset",
    "cache_clear",
}
LIVE_VERBS |= {
    "close_connections",
    "close_all",
    "cache_reset",
    "_reset",
    "clear",
    "wait_closed",
    "drain",
    "expire",
}
# Verbs that mean something else with these: an event that is cleared, a writer that is drained, lives on.
SPARED = {"clear": {"event"}, "drain": {"connection"}, "expire": {"client"}, "reset": {"event"}}


def maker(name: str, installed: dict[str, str], python: tuple[int, int]) -> Maker | None:
    """Return what the call of `name` (absolute) makes with these versions, None if nothing is known of it.

    Motor took its loop when it was made until 2.5.1; aiohttp took the current loop without complaint until
    3.9.5; asyncio's locks took the current loop when they were made until Python 3.9.
    """
    found = MAKERS.get(name) or LOOPS.get(name)
    if found is None:
        return None
    if found.binds == WAITS and python < (3, 10):
        return _with(found, binds=MADE)
    have = installed.get(found.library)
    if have is None:
        return found
    if found.library == "motor" and _version(have) < (3,):
        return _with(found, binds=MADE, read_in="Motor 2.5.1, core.py: AgnosticClient.__init__")
    if found.library == "aiohttp" and _version(have) < (3, 10):
        return _with(found, needs_loop=False, read_in="aiohttp 3.8.6 and 3.9.5, helpers.py: get_running_loop")
    return found


def _with(maker: Maker, **changes: object) -> Maker:
    return Maker(**{**vars(maker), **changes})  # type: ignore[arg-type]


def _version(text: str) -> tuple[int, ...]:
    numbers = []
    for part in text.split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)
