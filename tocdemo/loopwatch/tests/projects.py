"""Small projects that show the bug with one library each, and a runner that gives their record.

Each project is a dictionary of file names and texts; the tests write it to a fresh folder and run it.
"""

from __future__ import annotations

import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from textwrap import dedent

# Imported here once: pytester forgets what a run in this process imports, and to import it again takes long.
import aiohttp  # noqa: F401
import aiosqlite  # noqa: F401
import httpx  # noqa: F401
import motor.motor_asyncio  # noqa: F401
import pytest
import redis.asyncio  # noqa: F401
import sqlalchemy.ext.asyncio  # noqa: F401

from tocdemo.loopwatch import Recording, Watch

# Hypothesis' plugin would be imported anew, with rewritten assertions, in each run: three seconds.
QUICKLY = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:xdist")
INI = "[pytest]\nasyncio_mode = strict\nasyncio_default_fixture_loop_scope = function\n"


needs_loop_scope = pytest.mark.skipif(
    tuple(map(int, version("pytest-asyncio").split(".")[:2])) < (0, 26),
    reason="this pytest-asyncio has no loop scope for fixtures and tests apart from their scope",
)


@dataclass(frozen=True)
class Outcome:
    """What a run gave: its record, how many tests passed and failed, and what pytest printed."""

    recording: Recording
    passed: int
    failed: int
    text: str

    def explanation(self, test: str) -> str:
        """Return the explanation of the test with this name ("" if it has none)."""
        return next((t for n, t in self.recording.explanations.items() if n.endswith("::" + test)), "")


def write(pytester: pytest.Pytester, files: dict[str, str]) -> None:
    """Write the files; folders become packages, and pytest.ini is added if it is not among them."""
    for name, text in {"pytest.ini": INI, **files}.items():
        path = pytester.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in path.relative_to(pytester.path).parents:
            if str(folder) != ".":
                (pytester.path / folder / "__init__.py").touch()
        path.write_text(dedent(text))


def run(pytester: pytest.Pytester, files: dict[str, str], *args: str) -> Outcome:
    """Run pytest on the project, in this process, with a fresh `Watch`."""
    write(pytester, files)
    watch = Watch()
    result = pytester.runpytest_inprocess(*QUICKLY, *args, plugins=[watch])
    counts = result.parseoutcomes()
    assert watch.recording is not None
    failed = counts.get("failed", 0) + counts.get("errors", 0)
    return Outcome(watch.recording, counts.get("passed", 0), failed, result.stdout.str())


def forget(*packages: str) -> None:
    """Take modules of a project out of `sys.modules`, so that the next run imports them anew."""
    for name in [name for name in sys.modules if name.split(".")[0] in packages]:
        del sys.modules[name]


@contextmanager
def line_server(answer: type[socketserver.StreamRequestHandler]) -> Iterator[int]:
    """Serve `answer` on a free port of the loopback, in a thread; yield the port."""
    server = Server(("127.0.0.1", 0), answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


class Server(socketserver.ThreadingTCPServer):
    """Says nothing of clients that are cut off: that is what the tests are about."""

    daemon_threads = True

    def handle_error(self, request, client_address) -> None:
        pass


class Http(socketserver.StreamRequestHandler):
    """Answers every HTTP request with "ok" and keeps the connection open."""

    def handle(self) -> None:
        while line := self.rfile.readline():
            if line == b"\r\n":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok")


class Redis(socketserver.StreamRequestHandler):
    """Answers as Redis does to what a client sends here: PING with +PONG, the rest with +OK."""

    def handle(self) -> None:
        while head := self.rfile.readline():
            words = []
            for _ in range(int(head[1:])):
                self.rfile.readline()
                words.append(self.rfile.readline().strip().upper())
            if words[0] == b"HELLO":
                self.wfile.write(b"-ERR unknown command\r\n")
            else:
                self.wfile.write(b"+PONG\r\n" if words[0] == b"PING" else b"+OK\r\n")


def incident(driver_import: str, client: str) -> dict[str, str]:
    """The incident in small: a client made at import, copies of its names, a fixture that rebinds them."""
    return {
        "app/db/base.py": f"""
            {driver_import}

            _client = {client}
            books_collection = _client["db"]["books"]
            """,
        "app/db/toc.py": """
            from .base import _client, books_collection


            async def find(book):
                return await books_collection.find_one({"_id": book})


            async def ping():
                return await _client.admin.command("ping")
            """,
        "tests/conftest.py": f"""
            import pytest
            {driver_import}

            from app.db import base


            @pytest.fixture
            def reinit():
                base._client = {client}
                base.books_collection = base._client["db"]["books"]
            """,
        "tests/test_toc.py": """
            import pytest

            from app.db.base import books_collection
            from app.db.toc import find, ping

            pytestmark = pytest.mark.asyncio


            async def test_one(reinit):
                assert await find(1) is None


            async def test_none(reinit):
                pass


            async def test_two(reinit):
                assert await find(2) is None


            async def test_three(reinit):
                assert await ping()


            async def test_own(reinit):
                assert await books_collection.find_one({"_id": 4}) is None
            """,
    }
