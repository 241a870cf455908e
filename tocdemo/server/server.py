"""The server itself: a listening socket, a thread for each connection, start and stop.

Tests, lessons and `serve` create one. It must not know what a command does: it moves frames between sockets and
the dispatcher.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading

from . import framing
from .commands import Dispatcher

_BACKLOG = 1024


class EmbeddedServer:
    """A MongoDB-compatible server on 127.0.0.1.

    Args:
        port: TCP port, 0 for a free one.
        replica_set: the replica set's name, or None for a standalone.
    """

    def __init__(self, port: int = 0, replica_set: str | None = None) -> None:
        self.host = "127.0.0.1"
        self.port = port
        self.replica_set = replica_set
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        self._closing = False
        self._ids = itertools.count(1)

    @property
    def uri(self) -> str:
        """The connection string, for example `mongodb://127.0.0.1:27017/?replicaSet=rs0`."""
        options = f"?replicaSet={self.replica_set}" if self.replica_set else ""
        return f"mongodb://{self.host}:{self.port}/{options}"

    def start(self) -> EmbeddedServer:
        """Listen and serve in daemon threads. Returns self."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.host, self.port))
        listener.listen(_BACKLOG)
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._dispatcher = Dispatcher(f"{self.host}:{self.port}", self.replica_set)
        self._acceptor = threading.Thread(target=self._accept, name="tocdemo-server", daemon=True)
        self._acceptor.start()
        return self

    def stop(self) -> None:
        """Close every socket and wait for every thread. Stopping twice is allowed."""
        if self._listener is None or self._acceptor is None:
            return
        self._closing = True
        with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 1):
            pass  # wakes accept()
        self._acceptor.join()
        self._listener.close()
        self._listener = None
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

    def _accept(self) -> None:
        assert self._listener is not None
        while True:
            connection, _ = self._listener.accept()
            if self._closing:
                connection.close()
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            with self._lock:
                self._connections[connection] = thread
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            self._exchange(connection)
        except (framing.ProtocolError, OSError):
            pass
        finally:
            connection.close()
            with self._lock:
                del self._connections[connection]

    def _exchange(self, connection: socket.socket) -> None:
        def receive(size: int) -> bytes:
            data = b""
            while len(data) < size:
                piece = connection.recv(min(size - len(data), 1 << 20))
                if not piece:
                    break
                data = data + piece if data else piece
            return data

        while frame := framing.read_frame(receive):
            try:
                request = framing.parse(frame)
                reply = self._dispatcher.run(request)
            except framing.MalformedRequest as error:
                request = error.request
                reply = {"ok": 0.0, "errmsg": str(error), "code": error.code}
            if request.wants_reply:
                connection.sendall(framing.encode_reply(request, reply, next(self._ids)))
