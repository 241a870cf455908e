"""The question of a small suite with one fixture: how its tests end, who used which client, what arrived."""

from pathlib import Path

from pymongo import monitoring

from .notes import Notes
from .spies import Spies
from .suite import Watch, run_pytest

_INSERTS = ("insert", "update")


def look(folder: Path, notes: Notes, *, suite: str) -> None:
    """Run the file `suite`, and note every use of a client of Motor's in it, and each insert that arrived."""
    spies = Spies(notes, refresh=False)
    spies.install()
    arrived = _Arrived(spies)
    monitoring.register(arrived)
    code, words = run_pytest([str(folder / suite)], "embedded", [Watch(notes, spies, "", [])])
    notes.add("uses", uses=list(spies.uses.values()), arrived=arrived.places)
    notes.add("pytest", code=code, words=words)


class _Arrived(monitoring.CommandListener):
    """Notes in which test and phase the server has answered an insert: a mock's never comes here."""

    def __init__(self, spies: Spies) -> None:
        self.places: list[dict[str, str]] = []
        self._spies = spies

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Nothing: it counts when it is answered."""

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        if event.command_name in _INSERTS:
            self.places.append({"test": self._spies.test, "phase": self._spies.phase})

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing, as above."""
