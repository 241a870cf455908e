"""The question of a small suite with one fixture: how its tests end, and who used which client, and when."""

from pathlib import Path

from .notes import Notes
from .spies import Spies
from .suite import Watch, run_pytest


def look(folder: Path, notes: Notes, *, suite: str) -> None:
    """Run the file `suite`, and note every use of a client of Motor's in it."""
    spies = Spies(notes, refresh=False)
    spies.install()
    code, words = run_pytest([str(folder / suite)], "embedded", [Watch(notes, spies, "", [])])
    notes.add("uses", uses=list(spies.uses.values()))
    notes.add("pytest", code=code, words=words)
