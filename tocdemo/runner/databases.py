"""Where a run's database is: the embedded server, a mock without a server, or a real MongoDB.

It knows the server and the environment variables that the backend reads; it knows nothing of pytest.
"""

import contextlib
import errno
import getpass
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import unquote_plus

from dns.exception import DNSException
from pymongo import MongoClient
from pymongo.errors import ConfigurationError, InvalidURI, OperationFailure, PyMongoError
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

    uri: str = field(repr=False)  # it may hold a password, and a notebook shows what a cell ends with
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


# Seconds. A test that was stopped may leave a transaction open; until its end the next test's tidying waits,
# as it does on a MongoDB (60 s there, its default). Shorter than the 30 s that a test may take.
TRANSACTION_LIFETIME = 10.0


@cache
def _embedded_server(replica_set: str | None) -> EmbeddedServer:
    """One server for the process, started at its first use. It ends with the process."""
    for host in ("127.0.0.1", "::1"):  # some machines have but one of them
        server = EmbeddedServer(replica_set=replica_set, host=host, transaction_lifetime=TRANSACTION_LIFETIME)
        try:
            return server.start()
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
    raise NoDatabase(
        "The embedded server can listen neither on 127.0.0.1 nor on ::1. Switch this machine's loopback "
        "interface on, or set TOCDEMO_MONGO_URI to a real MongoDB."
    )


def _user() -> str:
    """Eight characters that stand for the user, so that users of one server do not meet."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        name = str(os.getuid())
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def _client(uri: str) -> MongoClient:
    # connectTimeoutMS holds for the DNS of mongodb+srv, too: PyMongo 4.20 waits 20 s by itself.
    return MongoClient(uri, serverSelectionTimeoutMS=ANSWER_WITHIN_MS, connectTimeoutMS=ANSWER_WITHIN_MS)


def _checked(uri: str) -> str:
    """Return `uri` when a MongoDB answers there and it names no database. Raises NoDatabase."""
    choices = f"Expected one of {', '.join(BACKENDS)}, or a URI such as mongodb://127.0.0.1:27017/"
    place = without_secrets(uri)
    if not uri.startswith(("mongodb://", "mongodb+srv://")):
        raise NoDatabase(f"There is no backend {place!r}. {choices}")
    try:
        named = parse_uri(uri, connect_timeout=ANSWER_WITHIN_MS / 1000)["database"]
        if named:
            named = _hidden(named, uri)
            raise NoDatabase(
                f"The URI names the database {named!r}. The tests drop the database that they use, so they "
                f"only use one of their own making: leave the name out of the URI. (To log in as a user of "
                f"that database, write ?authSource={named} instead.)"
            )
        with _client(uri) as client:
            client.admin.command("ping")
    except OperationFailure as error:
        raise NoDatabase(
            f"The MongoDB at {place} answers, and refuses the login: {_hidden(error, uri)}. Look at the "
            f"user, the password and authSource in the URI."
        ) from None
    except (InvalidURI, ConfigurationError, ValueError, OSError) as error:  # a port or file that is none
        if uri.startswith("mongodb+srv://") and isinstance(error.__cause__, DNSException):
            raise NoDatabase(f"{_no_answer(place)} Its name has no answer in DNS.") from None
        raise NoDatabase(f"The URI cannot be used: {_hidden(error, uri)}. {choices}") from None
    except PyMongoError as error:
        raise NoDatabase(f"{_no_answer(place)} ({_hidden(error, uri)[:100]})") from None
    return uri


def _no_answer(place: str) -> str:
    return (
        f"No MongoDB answers at {place} within {ANSWER_WITHIN_MS // 1000} s. Start one there, or leave "
        f"TOCDEMO_MONGO_URI unset to use the embedded server."
    )


# --- what nobody is to read ---------------------------------------------------------------------------------

_HOST = r"(?:[\w.%-]+|\[[0-9A-Fa-f:.]+\])(?::\d+)?"
_URI = re.compile(
    rf"""\s*["']?(?P<scheme>[A-Za-z][\w+.-]*)://(?:(?P<login>[^/?#]*)@)?(?P<hosts>{_HOST}(?:,{_HOST})*)"""
    r"(?:/[^?@]*)?(?:\?(?P<options>[^@]*))?"
)
_PLAIN = re.compile(r"[\w.:-]*")


def without_secrets(backend: str) -> str:
    """Return the name of a backend, or what of its URI is no secret: the scheme and the hosts.

    What cannot be told apart from a login (a password with an @ or a / in it, say) is left out, too.
    """
    if _PLAIN.fullmatch(backend):
        return backend
    uri = _URI.fullmatch(backend)
    if uri is None:
        return "(a text that may hold a password)"
    return f"{uri['scheme']}://{uri['hosts']}/"


def _hidden(words: object, uri: str) -> str:
    """Return a message in which no piece of the URI's login and options stands."""
    parsed, text = _URI.fullmatch(uri), str(words)
    if parsed is None:
        pieces = re.split(r"[/?@:&=;,]+", uri.partition("://")[2])
    else:
        options = [each.partition("=")[2] or each for each in re.split("[&;]", parsed["options"] or "")]
        pieces = [*(parsed["login"] or "").split(":"), *options, *re.split("[:,]", ",".join(options))]
    for piece in sorted({*pieces, *map(unquote_plus, pieces)} - {""}, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(piece)}(?!\w)", "…", text)
    return text
