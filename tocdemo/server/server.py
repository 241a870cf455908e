"""The server itself: a listening socket on loopback, a thread for each connection, start and stop.

It must not know what a command does: it moves frames between sockets and the dispatcher, and sees to it that
no thread and no socket outlives `stop()`.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import os
import socket
import struct
import sys
import threading
import time
from typing import Any

from bson import ObjectId

from . import framing, peers
from .commandlog import CommandLog
from .context import Connection, Identity
from .dispatcher import Dispatcher
from .errors import CloseConnection, error_reply
from .framing import Request
from .gate import Gate
from .sessions import LIFETIME_SECONDS

_BACKLOG = 1024
# On Windows SO_REUSEADDR would let two servers share a port (Python's `asyncio.create_server` says so, too).
_OWN_PORT = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
_MAX_CONNECTIONS = 1000
_STALL_SECONDS = 30.0  # for the rest of a frame that began, and for a reply that nobody reads
_FIRST_PIECE = 16 * 1024  # a larger buffer costs each small frame 2 µs
_PIECE = 64 * 1024
_MAX_UNFINISHED_BYTES = 512 * 1024 * 1024  # of all the frames that are still arriving


class EmbeddedServer:
    """A MongoDB-compatible server in this process, for tests and lessons.

    `port` is a TCP port, 0 for a free one, which it names once the server was started. `replica_set` is the
    replica set's name; None makes a standalone, which has no transactions. `host` is a loopback address:
    ValueError for another one. `transaction_lifetime` is MongoDB's transactionLifetimeLimitSeconds: a
    transaction that did not end so many seconds after its start is aborted, its client there or gone. With
    `streaming` drivers monitor the server as they do a MongoDB from 4.4 on, by a hello that is answered again
    and again; it costs each client one connection and a thread more. Without it they ask every ten seconds.

    On Linux it serves only the programs of the user who started it; the others get error 13 (Unauthorized).
    Elsewhere every user of the machine can read and write what is in it.

    Its `gate` holds commands, its `log` lists those that arrived: see the modules `gate` and `commandlog`.
    """

    def __init__(
        self,
        port: int = 0,
        replica_set: str | None = None,
        *,
        host: str = "127.0.0.1",
        transaction_lifetime: float = LIFETIME_SECONDS,
        streaming: bool = False,
    ) -> None:
        check_loopback(host)
        self.host = host
        self.port = port
        self.replica_set = replica_set
        self.gate = Gate()
        self.log = CommandLog()
        self._lifetime = transaction_lifetime
        self._process_id = ObjectId() if streaming else None
        self._dispatcher: Dispatcher | None = None
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._own_user_only = False
        self._lock = threading.Lock()
        self._budget = _Budget()
        self._closing = False
        self._ids = itertools.count(1)

    @property
    def uri(self) -> str:
        """The connection string, for example `mongodb://127.0.0.1:27017/?replicaSet=rs0`."""
        options = f"?replicaSet={self.replica_set}" if self.replica_set else ""
        return f"mongodb://{self._address}/{options}"

    @property
    def _address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def start(self) -> EmbeddedServer:
        """Listen, serve in daemon threads, and return the server itself.

        OSError when the port is taken, OverflowError for a number that no port can have, RuntimeError when
        the server was started before.
        """
        if self._listener is not None or self._closing:
            raise RuntimeError("this server was started already; make a new EmbeddedServer")
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, _OWN_PORT, 1)
            listener.bind((self.host, self.port))
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._own_user_only = peers.are_told()
        identity = Identity(self._address, self.replica_set, time.monotonic(), self._process_id)
        self._dispatcher = Dispatcher(identity, self._lifetime, self.gate, self.log)
        self._acceptor = threading.Thread(
            target=self._accept, args=(listener,), name=f"tocdemo-server-{self.port}", daemon=True
        )
        self._acceptor.start()
        return self

    def stop(self) -> None:
        """Close every socket and wait for every thread; what was stored is gone. Twice is allowed."""
        if self._listener is None or self._acceptor is None or self._dispatcher is None:
            return
        self._closing = True
        with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 1):
            pass  # wakes accept(), which no close() would do on every system
        self._acceptor.join()
        self._listener.close()
        self._listener = None
        self._dispatcher.close()
        with self._lock:
            connections = dict(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in connections.values():
            thread.join(5)

    def __enter__(self) -> EmbeddedServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # for example too many open files: the client sees its connection refused
                if self._closing:
                    return
                threading.Event().wait(0.02)
                continue
            with self._lock:
                crowded = len(self._connections) >= _MAX_CONNECTIONS
            if self._closing or crowded:
                connection.close()
                if self._closing:
                    return
                continue
            self._begin(connection)

    def _begin(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _limit_sending(connection)
        number = next(self._ids)
        name = f"tocdemo-connection-{number}"
        thread = threading.Thread(target=self._serve, args=(connection, number), name=name, daemon=True)
        with self._lock:
            self._connections[connection] = thread
        try:
            thread.start()
        except RuntimeError:  # the system gives no more threads
            with self._lock:
                del self._connections[connection]
            connection.close()

    def _serve(self, connection: socket.socket, number: int) -> None:
        assert self._dispatcher is not None
        state = Connection(number)
        try:
            self._exchange(connection, state, self._runner_for(connection))
        except (framing.ProtocolError, CloseConnection, OSError):
            pass
        finally:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
            self._dispatcher.sent(state)
            with self._lock:
                del self._connections[connection]

    def _runner_for(self, connection: socket.socket) -> Dispatcher | _Refusal:
        assert self._dispatcher is not None
        if not self._own_user_only:
            return self._dispatcher
        user = peers.user_of_peer(connection)
        return self._dispatcher if user == os.geteuid() else _Refusal()

    def _exchange(
        self, connection: socket.socket, state: Connection, dispatcher: Dispatcher | _Refusal
    ) -> None:
        """Answer one request after the other until the client goes."""
        response_ids = itertools.count(1)
        receive = _Receiver(connection, self._budget)
        while frame := framing.read_frame(receive):
            more, awaits = True, 0.0
            while more:
                try:
                    request = framing.parse(frame)
                    if "maxAwaitTimeMS" in request.command:
                        awaits = dispatcher.patience(request)
                        if awaits > 0 and not _stays(connection, awaits):
                            return
                    reply = dispatcher.run(request, state)
                except framing.MalformedRequest as error:
                    request, reply = error.request, error_reply(error.code, str(error))
                streams = awaits > 0 and reply["ok"] == 1
                more = request.exhaust_allowed and (streams or _has_next_batch(reply))
                if request.wants_reply:
                    number = next(response_ids) & 0x7FFFFFFF
                    connection.sendall(framing.encode_reply(request, reply, number, more_to_come=more))
                dispatcher.sent(state)


def _stays(connection: socket.socket, seconds: float) -> bool:
    """Wait so long; at once False when the client goes, or says something that it should not."""
    connection.settimeout(seconds)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        connection.settimeout(None)
        return True
    return False


class _Refusal:
    """Answers the programs of other users."""

    def patience(self, _request: Request) -> float:
        """They wait for nothing."""
        return 0.0

    def run(self, _request: Request, _connection: Connection) -> dict[str, Any]:
        """Error 13 for every command, the greeting, too."""
        message = "this embedded server answers only the user who started it; start one of your own"
        return error_reply(13, message)

    def sent(self, _connection: Connection) -> None:
        """Nothing waits for it."""


def _has_next_batch(reply: dict[str, Any]) -> bool:
    """Whether the reply is a getMore's, and the cursor is not at its end."""
    cursor = reply.get("cursor")
    return isinstance(cursor, dict) and "nextBatch" in cursor and cursor["id"] != 0


class _Receiver:
    """Reads exactly so many bytes. Memory grows with what arrives, not with what a header announces.

    Between two frames it waits for ever; once one began, its rest must come without long pauses. A frame of
    usual size takes a single system call.
    """

    def __init__(self, connection: socket.socket, budget: _Budget) -> None:
        self._connection = connection
        self._budget = budget
        self._buffer = b""

    def __call__(self, size: int) -> bytes:
        data = self._buffer or self._connection.recv(_FIRST_PIECE)
        if len(data) < size and data:
            data = self._rest(bytearray(data), size)
        self._buffer = data[size:]
        return data[:size]

    def _rest(self, data: bytearray, size: int) -> bytes:
        self._connection.settimeout(_STALL_SECONDS)
        taken = 0
        try:
            while len(data) < size:
                piece = self._connection.recv(min(size - len(data), _PIECE))
                if not piece:
                    break
                self._budget.take(len(piece))  # before `taken`, which counts what to give back
                taken += len(piece)
                data += piece
            self._connection.settimeout(None)
            return bytes(data)
        finally:
            self._budget.give(taken)


class _Budget:
    """How many bytes unfinished frames may hold, all connections together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held = 0

    def take(self, size: int) -> None:
        """Count bytes that arrived. ProtocolError, which ends the connection, when they are too many."""
        with self._lock:
            if self._held + size > _MAX_UNFINISHED_BYTES:
                raise framing.ProtocolError("too many bytes of unfinished messages")
            self._held += size

    def give(self, size: int) -> None:
        """The frame is whole, or its connection gone."""
        with self._lock:
            self._held -= size


def _limit_sending(connection: socket.socket) -> None:
    """Let a reply that nobody reads fail after a while.

    By a socket option, for a Python timeout costs two more system calls an exchange.
    """
    milliseconds = int(_STALL_SECONDS * 1000)
    windows = sys.platform == "win32"
    value = struct.pack("@i", milliseconds) if windows else struct.pack("@ll", int(_STALL_SECONDS), 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)


def check_loopback(host: str) -> None:
    """Refuse every address but a loopback one, by a ValueError with an explanation."""
    try:
        if ipaddress.ip_address(host).is_loopback:
            return
    except ValueError:
        if host == "localhost":
            return
    raise ValueError(
        f"the embedded server listens on loopback only (127.0.0.1 or ::1), not on {host!r}: it has no "
        "logins. To share a database between machines use a real MongoDB and set TOCDEMO_MONGO_URI."
    )
