"""Notes each use of something that belongs to another loop, at the moment when its error is raised.

Only then are the frames alive that tell what was used. How such errors are caught, it must not know.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from types import FrameType
from typing import Any

from .culprit import culprit
from .entries import ClientEntry, UseEntry
from .ledger import Ledger

_MARK = "_loopwatch_use"


class Uses:
    """The cross-loop uses of a run, in the order in which they came: `entries`."""

    def __init__(self, ledger: Ledger) -> None:
        self.entries: list[UseEntry] = []
        self._ledger = ledger
        self._seen: dict[tuple[Any, ...], UseEntry] = {}
        self._busy = False

    def note(
        self, loop: int, error: RuntimeError, frame: FrameType, refused: ClientEntry | None = None
    ) -> None:
        """Note that something of loop `loop` was used where it must not be; `refused` is it, if known.

        `error` is what the code will get; it is marked, so that `of` knows it again.
        """
        if self._busy:  # looking at the frames must not lead here again
            return
        self._busy = True
        try:
            entry = self._entry(loop, error, frame, refused)
            with suppress(AttributeError):  # a class with slots; its error is then found by its frames alone
                setattr(error, _MARK, entry.number)
        finally:
            self._busy = False

    def of(self, error: BaseException) -> UseEntry | None:
        """Return the use at which this very error was raised, if it was noted, or None."""
        number = getattr(error, _MARK, None)
        return self.entries[number] if isinstance(number, int) and number < len(self.entries) else None

    def _entry(
        self, loop: int, error: RuntimeError, frame: FrameType, refused: ClientEntry | None
    ) -> UseEntry:
        """Return a new entry; for one more use at the same place, the entry that this place has."""
        ledger = self._ledger
        key = (ledger.test, ledger.phase, loop, ledger.sites.nearest(frame))
        entry = self._seen.get(key)
        if entry is not None:
            entry.count += 1
            return entry
        entry = self._seen[key] = self._new(loop, error, frame, refused)
        self.entries.append(entry)
        return entry

    def _new(self, loop: int, error: RuntimeError, frame: FrameType, refused: ClientEntry | None) -> UseEntry:
        ledger = self._ledger
        steps = ledger.sites.steps(frame)
        entry = ledger.running()
        running = entry.number if entry else None
        mine = tuple((s.file, s.line, s.function) for s in steps if ledger.sites.kind(s.file) == "project")
        elsewhere = threading.get_ident() != ledger.thread and not mine
        found = culprit(ledger, steps, loop, running, refused)
        return UseEntry(
            number=len(self.entries),
            test=ledger.test,
            loop=loop,
            running=running,
            name=found.name,
            kind=found.kind,
            client=found.client.number if found.client else None,
            holder=found.holder,
            place=ledger.place(frame),
            error=f"{type(error).__name__}: {error}",
            background=elsewhere or any(step.function == "__del__" for step in steps),
            steps=mine,
        )
