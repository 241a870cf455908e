"""The backend as the explorer runs it: freshly imported, without random waits, telling who sends a command.

It knows the drivers' command listeners and the backend's modules; it knows nothing of schedules and gates.
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

from tocdemo.errors import CannotExplore
from tocdemo.runner.databases import Database
from tocdemo.runner.fresh import as_before
from tocdemo.runner.result import error_line

from .orders import DONE, USED_UP

# A command as the wire knows it: the server's number of the connection, and the request id.
Sent = tuple[int | None, int]
Operation = Callable[[Any, str], Awaitable[Any]]

_operation: contextvars.ContextVar[str | None] = contextvars.ContextVar("operation", default=None)


class Told(str):
    """What the caller of an operation was told, when it comes from another process."""


class Notes:
    """What is known of the commands that operations send: whose each is, and what came of it.

    `effects` has an entry only for a command that did nothing: "no match", or an error's name. `on_sending`
    is called after each note of a sender. All of it on the threads that send.
    """

    def __init__(self, on_sending: Callable[[], None] = lambda: None) -> None:
        self.owners: dict[Sent, str] = {}
        self.effects: dict[Sent, str] = {}
        self.on_sending = on_sending

    def sends(self, sent: Sent, letter: str) -> None:
        """The operation is about to send this command."""
        self.owners[sent] = letter
        self.on_sending()

    def did_nothing(self, sent: Sent, effect: str) -> None:
        """The command was answered, and nothing came of it."""
        self.effects[sent] = effect

    def clear(self) -> None:
        """Forget everything."""
        self.owners.clear()
        self.effects.clear()


@dataclass(frozen=True)
class Backend:
    """The modules `base` and `toc_transactions` of the backend, and the function that closes its client."""

    base: Any
    toc: Any
    close_client: Callable[[Any], Awaitable[None]]


@contextlib.contextmanager
def opened(folder: Path, database: Database, notes: Notes) -> Iterator[Backend]:
    """Import the backend that lies in `folder` afresh, with a listener at its client from the start.

    `notes` is told of each command that an operation sends. Raises CannotExplore when there is no backend.
    """
    if not (folder / "app").is_dir():
        raise CannotExplore(f"There is no backend in {folder}: expected a folder `app` there")
    with as_before(folder), pytest.MonkeyPatch.context() as patch:
        for name, value in database.environment().items():
            patch.setenv(name, value)
        patch.syspath_prepend(str(folder))
        drivers: Any = importlib.import_module("app.db.driver")
        make_client = drivers.make_client
        drivers.make_client = lambda settings, **options: make_client(
            settings, event_listeners=[_Listener(notes)], **options
        )
        base = importlib.import_module("app.db.base")
        toc: Any = importlib.import_module("app.db.toc_transactions")
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
        return DONE
    if isinstance(given, OperationFailure):
        said = (given.details or {}).get("errmsg", "")
        if said.startswith(USED_UP):
            return said
    return error_line(given)


class _Listener(monitoring.CommandListener):
    """Tells of each command, on the thread (or task) that sends it, whose it is and when it did nothing."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        letter = _operation.get()
        if letter is not None:
            self._notes.sends((event.server_connection_id, event.request_id), letter)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        if event.command_name in ("update", "delete") and event.reply.get("n") == 0:
            self._did_nothing(event, "no match")

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        self._did_nothing(event, event.failure.get("codeName") or "error")

    def _did_nothing(
        self, event: monitoring.CommandSucceededEvent | monitoring.CommandFailedEvent, effect: str
    ) -> None:
        if _operation.get() is not None:
            self._notes.did_nothing((event.server_connection_id, event.request_id), effect)


async def _no_wait(attempt: int) -> None:
    """Stand for the backend's random wait, which would only make an exploration slower."""
