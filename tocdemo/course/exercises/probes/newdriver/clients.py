"""Spies for the clients of both drivers: which were made where, and closed by a call that came to its end."""

from typing import Any

from motor import motor_asyncio
from pymongo import AsyncMongoClient

from ..notes import caller
from ..spies import GO_BETWEENS, Spies

MOTOR, PYMONGO = "motor", "pymongo"
# Any: mypy forbids to replace methods, which is what a spy does.
_KINDS: dict[str, Any] = {MOTOR: motor_asyncio.AsyncIOMotorClient, PYMONGO: AsyncMongoClient}


class Clients(Spies):
    """Which clients were made, by which driver and where, and which were closed in which test.

    `place` is the innermost line of the learner's, `above` the one that asked the app's `driver` module. A
    client is closed when its `close` has come to its end; `asked` is where it was called.
    """

    def install(self) -> None:
        for driver, kind in _KINDS.items():
            self._watch_made(driver, kind)
        self._watch_closed()

    def _watch_made(self, driver: str, kind: Any) -> None:
        make = kind.__init__

        def spying_init(client: Any, *args: Any, **options: Any) -> None:
            frame = caller()
            places = {"place": self.notes.place_above(frame)}
            places["above"] = self.notes.place_above(frame, but=GO_BETWEENS)
            when = {"test": self.test, "phase": self.phase}
            make(client, *args, **options)  # one that fails has made no client
            self._clients.append(client)
            self.made.append({"driver": driver, **places, **when, "asked": None, "closed": None})

        kind.__init__ = spying_init

    def _watch_closed(self) -> None:
        close = _KINDS[PYMONGO].close

        def spying_close(client: Any) -> Any:
            entry = self.entry_of(client)
            if entry is not None:
                entry["asked"] = self.notes.place_above(caller(), but=GO_BETWEENS)
            return to_its_end(client)

        async def to_its_end(client: Any) -> None:
            await close(client)
            entry = self.entry_of(client)
            if entry is not None:
                entry["closed"] = self.test

        for name in ("close", "aclose"):
            setattr(_KINDS[PYMONGO], name, spying_close)
