"""The server by itself, in the foreground: arguments, signals and exit statuses.

It must not know more of the server than how to start and to stop it.
"""

from __future__ import annotations

import argparse
import errno
import signal
import sys
import threading
from types import FrameType

from .server import EmbeddedServer


def serve(host: str = "127.0.0.1", port: int = 27017, replica_set: str | None = None) -> int:
    """Serve until SIGINT or SIGTERM, on a loopback address and a TCP port (0 for a free one), as a replica
    set of that name or, with None, as a standalone. The first line of standard output is the URI.

    Returns an exit status: 0 after a signal, 2 when it could not listen (a line on standard error says why).
    """
    try:
        server = EmbeddedServer(port, replica_set, host=host).start()
    except ValueError as error:
        print(f"tocdemo serve: {error}", file=sys.stderr)
        return 2
    except (OSError, OverflowError) as error:
        print(f"tocdemo serve: {_explain(error, host, port)}", file=sys.stderr)
        return 2
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    previous = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        print(server.uri, flush=True)
        print("Everything is kept in memory and gone at the end. Ctrl+C ends it.", flush=True)
        while not ended.wait(0.5):  # in steps, so that a signal is seen on every system
            pass
    finally:
        server.stop()
        for number, handler in previous.items():
            signal.signal(number, handler)
    return 0


def _explain(error: Exception, host: str, port: int) -> str:
    if getattr(error, "errno", None) == errno.EADDRINUSE:
        return f"port {port} on {host} is taken by another program; choose another one, or 0 for any free one"
    if getattr(error, "errno", None) == errno.EACCES:
        return f"port {port} needs more rights than you have; choose one from 1024, or 0 for any free one"
    return f"cannot listen on {host}, port {port}: {error}"


def main(argv: list[str] | None = None) -> int:
    """Parse arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m tocdemo serve", description=__doc__.split("\n")[0])
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=27017, help="default 27017; 0 for a free one")
    parser.add_argument(
        "--replica-set", metavar="NAME", help="be a replica set of one member, with transactions"
    )
    options = parser.parse_args(argv)
    return serve(options.host, options.port, options.replica_set)


if __name__ == "__main__":
    sys.exit(main())
