"""The backend as the explorer runs it: freshly imported, without random waits, telling who sends a command.

`explorer` uses it in its own process, `explorer_processes` in a process for each operation. It knows the
drivers' command listeners and the backend's modules; it knows nothing of orders and gates.
"""

import contextlib
import contextvars
import importlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pymongo import monitoring
from pymongo.errors import OperationFailure

from . import inline, runs
from .databases import Database

USED_UP = "used up "

# A command as the wire knows it: the server's number of the connection, and the request id.
Sent = tuple[int, int]
Note = Callable[[Sent, str], None]
Operation = Callable[[Any, str], Awaitable[Any]]

_operation: contextvars.ContextVar[str | None] = contextvars.ContextVar("operation", default=None)


class Told(str):
    """What the caller of an operation was told, when it comes from another process."""


class CannotExplore(Exception):
    """The operations cannot be explored, or a schedule does not fit them; the message says why."""


@dataclass(frozen=True)
class Backend:
    """The modules `base` and `toc_transactions` of the backend, and the function that closes its client."""

    base: Any
    toc: Any
    close_client: Callable[[Any], Awaitable[None]]


@contextlib.contextmanager
def opened(folder: Path, database: Database, note: Note) -> Iterator[Backend]:
    """Import the backend that lies in `folder` afresh, with a listener at its client from the start.

    `note` is called with each command that an operation sends, and the operation's letter, on the thread that
    sends it. Raises CannotExplore when there is no backend.
    """
    if not (folder / "app").is_dir():
        raise CannotExplore(f"There is no backend in {folder}: expected a folder `app` there")
    with inline.as_before(folder, None), pytest.MonkeyPatch.context() as patch:
        for name, value in database.environment().items():
            patch.setenv(name, value)
        patch.syspath_prepend(str(folder))
        drivers = importlib.import_module("app.db.driver")
        make_client = drivers.make_client
        drivers.make_client = lambda settings, **options: make_client(
            settings, event_listeners=[_Listener(note)], **options
        )
        base = importlib.import_module("app.db.base")
        toc = importlib.import_module("app.db.toc_transactions")
        if hasattr(toc, "_back_off"):
            toc._back_off = _no_wait
        # PyMongo 4.20 waits by chance before with_transaction tries again.
        patch.setattr("pymongo.asynchronous.client_session._BACKOFF_MAX", 0, raising=False)
        yield Backend(base, toc, drivers.close_client)


def context_of(letter: str) -> contextvars.Context:
    """Return a context in which what is sent belongs to the operation of this letter."""
    context = contextvars.copy_context()
    context.run(_operation.set, letter)
    return context


def told(given: Any) -> str:
    """Return what an operation's caller was told, given what it returned or raised."""
    if isinstance(given, Told):
        return str(given)
    if not isinstance(given, BaseException):
        return "done"
    if isinstance(given, OperationFailure) and (given.details or {}).get("errmsg", "").startswith(USED_UP):
        return given.details["errmsg"]
    return runs.error_line(given)


class _Listener(monitoring.CommandListener):
    """Tells of each command, on the thread (or task) that sends it, whose it is."""

    def __init__(self, note: Note) -> None:
        self._note = note

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        letter = _operation.get()
        if letter is not None:
            self._note((event.server_connection_id, event.request_id), letter)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing: the gate says when a command is over."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing, as above."""


async def _no_wait(attempt: int) -> None:
    """Stand for the backend's random wait, which would only make an exploration slower."""
