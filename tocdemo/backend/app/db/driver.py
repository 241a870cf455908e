"""The one module that knows which driver the backend runs on, and where the drivers differ.

`base` makes its client here, and so do the tests. Nothing else imports a driver.
"""

import inspect
from typing import Any

from ..settings import Settings

# A test that cannot reach its database says so after three seconds, not after the driver's thirty.
SERVER_SELECTION_TIMEOUT_MS = 3000


def make_client(settings: Settings, **options: Any) -> Any:
    """Make an asynchronous client for `settings.uri` with the driver that the settings name.

    `options` are the driver's own, such as Motor's `io_loop`, which the other drivers do not have.
    Raises ValueError when the driver's name is not known.
    """
    options.setdefault("serverSelectionTimeoutMS", SERVER_SELECTION_TIMEOUT_MS)
    if settings.driver == "motor":
        from motor.motor_asyncio import AsyncIOMotorClient

        return AsyncIOMotorClient(settings.uri, **options)
    options.pop("io_loop", None)
    if settings.driver == "pymongo":
        from pymongo import AsyncMongoClient

        return AsyncMongoClient(settings.uri, **options)
    if settings.driver == "mongomock":
        from mongomock_motor import AsyncMongoMockClient

        return AsyncMongoMockClient(settings.uri)
    raise ValueError(f"DATABASE_DRIVER is {settings.driver!r}; expected motor, pymongo or mongomock")


async def start_session(client: Any) -> Any:
    """Start a session: Motor's `start_session` is awaited, PyMongo's is not."""
    session = client.start_session()
    return await session if inspect.isawaitable(session) else session


async def start_transaction(session: Any) -> Any:
    """Start a transaction, and return its context manager: PyMongo's is awaited, Motor's is not."""
    transaction = session.start_transaction()
    return await transaction if inspect.isawaitable(transaction) else transaction


async def close_client(client: Any) -> None:
    """Close the client: PyMongo's `close` is awaited, Motor's is not."""
    closing = client.close()
    if inspect.isawaitable(closing):
        await closing


async def supports_transactions(client: Any) -> bool:
    """Ask the server whether it has transactions: a replica set or a sharded cluster, not a standalone.

    mongomock-motor does not answer `hello` (NotImplementedError): it counts as a standalone.
    """
    try:
        hello = await client.admin.command("hello")
    except NotImplementedError:
        return False
    return "setName" in hello or hello.get("msg") == "isdbgrid"
