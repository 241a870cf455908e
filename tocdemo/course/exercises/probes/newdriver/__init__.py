"""The question of the new driver: the clients that a run makes and closes, and what the app's `driver` does.

The clients of both drivers are watched, Motor's and PyMongo's asynchronous one, in a process that is thrown
away. It judges nothing, and knows nothing of names that are copied.
"""

from pathlib import Path

from ..notes import Notes
from ..suite import Watch, run_pytest
from . import parts
from .clients import Clients


def look(folder: Path, notes: Notes, *, suite: str = "", fixture: str = "", backend: str = "") -> None:
    """Run the file `suite` on `backend`, and watch `fixture`; without one, call the driver's functions."""
    clients = Clients(notes)
    clients.install()
    if not suite:
        parts.look(folder, notes, clients)
        return
    watch = Watch(notes, clients, fixture, [])
    code, words = run_pytest([str(folder / suite)], backend, [watch])
    notes.add("clients", clients=clients.made)
    notes.add("pytest", code=code, words=words)
