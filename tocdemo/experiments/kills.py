"""A process killed between two writes: do the book and the audit log still agree?

The process runs the backend's own `update_toc_with_transaction` on a copy of the backend in some folder; all
that is changed is that it stops before its second write. Knows nothing of faults and of tests.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from tocdemo.runner import databases, environment
from tocdemo.server import EmbeddedServer

# Seconds after which the server gives up a transaction whose client is dead. MongoDB's own limit is 60
# ("Runtime Limit" under "Production Considerations" in its manual); nobody wants to wait so long here.
LIFETIME = 3.0

# It writes the book, says so, and waits for its end before it writes the entry.
_SCRIPT = """
import asyncio, sys
from app.db import audit_log, toc_transactions

async def stop(*args, **kwargs):
    print("between", flush=True)
    await asyncio.sleep(3600)

audit_log.record = stop
change = {"chapters": [{"title": "A new chapter"}]}
asyncio.run(toc_transactions.update_toc_with_transaction(sys.argv[1], change, "user_1"))
"""


@dataclass(frozen=True)
class Aftermath:
    """What a killed writer left: how many changes are in the book, and how many entries are in the log."""

    topology: str
    changes: int
    entries: int

    @property
    def agree(self) -> bool:
        """Whether the log has an entry for each change, and no other."""
        return self.changes == self.entries

    def __str__(self) -> str:
        verdict = "they agree" if self.agree else "they DISAGREE"
        found = f"changes in the book: {self.changes}, entries in the log: {self.entries}"
        return f"{self.topology}: {found}: {verdict}"


def _client(uri: str) -> MongoClient[dict[str, Any]]:
    return MongoClient(uri)


def kill_between_writes(folder: Path, backend: str) -> Aftermath:
    """Start a process that changes a book, kill it between its two writes, and look at what is there.

    `folder` holds the backend, `backend` is what `lab.run` takes. Raises RuntimeError with the process's last
    words when it did not come that far, and databases.NoDatabase.
    """
    with _given(backend) as uri, databases.open_database(uri) as own, _client(own.uri) as client:
        database = client[own.name]
        book: dict[str, Any] = {"owner_id": "user_1", "table_of_contents": {"version": 1, "chapters": []}}
        book_id = database["books"].insert_one(book).inserted_id
        database.create_collection("audit_log")
        _kill_when_between(folder, own, str(book_id))
        (book,) = database["books"].find({"_id": book_id})
        version = book["table_of_contents"]["version"]
        entries = database["audit_log"].count_documents({"book_id": str(book_id)})
        topology = "replica set" if "setName" in client.admin.command("hello") else "standalone"
    return Aftermath(topology, version - 1, entries)


@contextlib.contextmanager
def _given(backend: str) -> Iterator[str]:
    """The backend itself; but for "replica-set" the URI of a server whose transactions live for LIFETIME."""
    if backend != "replica-set":
        yield backend
        return
    with EmbeddedServer(replica_set="rs0", transaction_lifetime=LIFETIME) as server:
        yield server.uri


def _kill_when_between(folder: Path, own: databases.Database, book_id: str) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, book_id],
        cwd=folder,
        env=environment.of_child(own.environment() | {"PYTHONDONTWRITEBYTECODE": "1"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    with child:
        assert child.stdout is not None and child.stderr is not None  # noqa: PT018 (they are pipes)
        said = child.stdout.readline()
        child.kill()
        if said.strip() != "between":
            raise RuntimeError(f"The process did not come between its writes: {child.stderr.read()[-2000:]}")
