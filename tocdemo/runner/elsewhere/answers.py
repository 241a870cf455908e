"""What another Python has told of its run, read from its lines of JSON into the values of this one.

It knows the lines and the values, and neither how a process is started nor how it ends.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tocdemo.loopwatch.recording import Client, Fixture, Holder, Loop, Place, Ran, Recording, Test, Use

_PARTS: dict[str, type] = {
    "loops": Loop,
    "tests": Test,
    "fixtures": Fixture,
    "ran": Ran,
    "clients": Client,
    "uses": Use,
    "holders": Holder,
}
_PLACES = ("made", "closed", "first", "bound", "place", "swallowed")


class Lines:
    """The lines of a file that grows: each is read once, when it is whole."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._begun = ""
        self._position = 0

    def new(self) -> Iterator[dict[str, Any]]:
        """Yield what was written since the last time."""
        if not self._file.exists():
            return
        with self._file.open(encoding="utf-8") as file:
            file.seek(self._position)
            *whole, self._begun = (self._begun + file.read()).split("\n")
            self._position = file.tell()
        yield from map(json.loads, whole)


def recording_of(told: Mapping[str, Any]) -> Recording:
    """Return the recording that `Recording.to_json` wrote."""
    plain = {name: value for name, value in told.items() if name != "loopwatch"}
    for name, kind in _PARTS.items():
        plain[name] = tuple(_part(kind, each) for each in plain[name])
    return Recording(**plain)


def _part(kind: type, told: Mapping[str, Any]) -> Any:
    values: dict[str, Any] = dict(told)
    for name in _PLACES:
        if values.get(name):
            values[name] = Place(**values[name])
    if "phases" in values:
        values["phases"] = {phase: tuple(times) for phase, times in values["phases"].items()}
    return kind(**values)
