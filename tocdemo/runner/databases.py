"""Where a run's database is: the embedded server, a mock without a server, or a real MongoDB.

It knows the server and the environment variables that the backend reads; it knows nothing of pytest.
"""

import contextlib
import getpass
import hashlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from pymongo import MongoClient
from pymongo.errors import ConfigurationError, InvalidURI, PyMongoError
from pymongo.uri_parser import parse_uri

from tocdemo.errors import NoDatabase
from tocdemo.server import EmbeddedServer

# The backend's tests drop their database, and refuse to when its name does not begin like this.
PREFIX = "toctest_"
BACKENDS = ("embedded", "replica-set", "pymongo", "mock")
ANSWER_WITHIN_MS = 3000


@dataclass(frozen=True)
class Database:
    """A database of a run's own: how to reach it, its name, and the driver to reach it with."""

    uri: str
    name: str
    driver: str

    def environment(self) -> dict[str, str]:
        """Return the environment variables that tell the backend about it."""
        return {
            "DATABASE_URI": self.uri,
            "DATABASE_NAME": self.name,
            "DATABASE_DRIVER": self.driver,
        }


def chosen_backend() -> str:
    """Return what the environment asks for: TOCDEMO_BACKEND, else TOCDEMO_MONGO_URI, else "embedded"."""
    return os.environ.get("TOCDEMO_BACKEND") or os.environ.get("TOCDEMO_MONGO_URI") or "embedded"


@contextlib.contextmanager
def open_database(backend: str) -> Iterator[Database]:
    """Give a new, empty database, and drop it in the end.

    `backend` is "embedded" (Motor and the embedded server), "replica-set" (the same, as a replica set of
    one), "pymongo" (PyMongo's AsyncMongoClient and the embedded server), "mock" (mongomock-motor, no server),
    or the URI of a real MongoDB, without a database name. Raises NoDatabase for anything else, or when
    nothing answers there within 3 seconds.
    """
    name = f"{PREFIX}{_user()}_{os.getpid()}_{secrets.token_hex(4)}"
    if backend == "mock":
        yield Database("mongodb://mock.invalid/", name, "mongomock")
        return
    if backend in BACKENDS:
        uri = _embedded_server("rs0" if backend == "replica-set" else None).uri
    else:
        uri = _checked(backend)
    try:
        yield Database(uri, name, "pymongo" if backend == "pymongo" else "motor")
    finally:
        # By now the server may be gone; then there is nothing to tidy up.
        with contextlib.suppress(PyMongoError), _client(uri) as client:
            client.drop_database(name)


@cache
def _embedded_server(replica_set: str | None) -> EmbeddedServer:
    """One server for the process, started at its first use. It ends with the process."""
    return EmbeddedServer(replica_set=replica_set).start()


def _user() -> str:
    """Eight characters that stand for the user, so that users of one server do not meet."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        name = str(os.getuid())
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def _client(uri: str) -> MongoClient:
    return MongoClient(uri, serverSelectionTimeoutMS=ANSWER_WITHIN_MS)


def _checked(uri: str) -> str:
    """Return `uri` when a MongoDB answers there and it names no database. Raises NoDatabase."""
    choices = f"Expected one of {', '.join(BACKENDS)}, or a URI such as mongodb://127.0.0.1:27017/"
    if not uri.startswith(("mongodb://", "mongodb+srv://")):
        raise NoDatabase(f"There is no backend {uri!r}. {choices}")
    try:
        named = parse_uri(uri)["database"]
        if named:
            raise NoDatabase(
                f"The URI names the database {named!r}. The tests drop the database that they use, so they "
                f"only use one of their own making: leave the name out of the URI. (To log in as a user of "
                f"that database, write ?authSource={named} instead.)"
            )
        with _client(uri) as client:
            client.admin.command("ping")
    except (InvalidURI, ConfigurationError, ValueError) as error:  # ValueError: a port that is no number
        raise NoDatabase(f"The URI cannot be used: {error}. {choices}") from error
    except PyMongoError as error:
        raise NoDatabase(
            f"No MongoDB answers at {without_password(uri)} within {ANSWER_WITHIN_MS // 1000} s. Start one "
            f"there, or leave TOCDEMO_MONGO_URI unset to use the embedded server. ({str(error)[:100]})"
        ) from error
    return uri


def without_password(backend: str) -> str:
    """Return the name of a backend, or its URI without the user and the password."""
    scheme, mark, rest = backend.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}" if mark else backend
