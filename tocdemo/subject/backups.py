"""What a learner wrote, kept before it is replaced: `workspace-backups/LESSON/FILE/DAY_TIME.py`.

A folder that the file browser shows, outside the workspaces: who deletes a workspace does not lose it.
It knows files, and nothing of what is in them.
"""

import filecmp
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tocdemo.errors import BadInput

STAMP = "%Y-%m-%d_%H-%M-%S"


@dataclass(frozen=True)
class Backup:
    """A text that was kept: its `number` in the list, the file's path in the workspace, when, and where."""

    number: int
    path: str
    time: datetime
    place: Path


@dataclass(frozen=True)
class Backups:
    """The kept texts of one workspace, in `folder`."""

    folder: Path

    def keep(self, path: str, file: Path) -> Path:
        """Copy `file`, which is `path` in its workspace, and return the copy. An equal one is kept once."""
        place = self.folder / path
        place.mkdir(parents=True, exist_ok=True)
        for there in sorted(place.iterdir(), reverse=True):
            if filecmp.cmp(there, file, shallow=False):
                return there
        content = file.read_bytes()
        stamp = datetime.now().strftime(STAMP)
        for more in range(1, 1000):  # two in one second are told apart by a number
            name = f"{stamp}{'' if more == 1 else f'_{more}'}{file.suffix}"
            try:
                with (place / name).open("xb") as copy:
                    copy.write(content)
            except FileExistsError:
                continue
            return place / name
        raise BadInput(f"There are too many backups of this second in {place}: delete some")

    def all_of(self) -> list[Backup]:
        """Return what is kept, the oldest first; a number stays a text's own as long as none is deleted."""
        found = []
        for file in self.folder.rglob("*"):
            try:
                time = datetime.strptime(file.stem[:19], STAMP)
            except ValueError:  # not one of ours
                continue
            if file.is_file():
                found.append((time, file.name, file))
        return [
            Backup(number, file.parent.relative_to(self.folder).as_posix(), time, file)
            for number, (time, _, file) in enumerate(sorted(found), 1)
        ]

    def get(self, number: int) -> Backup:
        """Return the backup of that number. Raises BadInput, which lists the numbers, when there is none."""
        for backup in self.all_of():
            if backup.number == number:
                return backup
        last = len(self.all_of())
        known = f"the numbers go from 1 to {last}" if last else "nothing has been kept yet"
        raise BadInput(f"There is no backup {number!r}: {known}")
