"""The text beside the drawings: what a place, a loop, a client or a holder of a `Recording` is called.

It reads the values of a record and returns plain words; it knows no drawing.
"""

from __future__ import annotations

from ..recording import Client, Holder, Loop, Place, short_name


def place_words(place: Place) -> str:
    """Return the file and line of a place, or the phase where no line is known."""
    return f"{place.file}:{place.line}" if place.file else place.phase


def where(place: Place | None) -> str:
    """Return where in the run, and in which line, something happened."""
    if place is None:
        return "before the record"
    line = f", {place.file}:{place.line}" if place.file else ""
    if place.test is None:
        return ("at import" if place.phase == "collection" else "at the end of the run") + line
    if place.fixture and not place.fixture.startswith("_"):
        return f"in {place.fixture} for {short_name(place.test)}{line}"
    return f"in the {place.phase} of {short_name(place.test)}{line}"


def loop_words(loop: Loop) -> str:
    """Return a loop's number and kind, and where it was made and closed."""
    closed = f"closed {where(loop.closed)}" if loop.closed else "left open"
    return f"loop #{loop.number} ({loop.kind}): made {where(loop.made)}; {closed}"


def short_kind(client: Client) -> str:
    """Return the class of a client without its module."""
    return client.kind.rpartition(".")[2]


def made_words(client: Client) -> str:
    """Return where a client was made."""
    return f"made {where(client.made)}" if client.made else "made where is not known"


def made_briefly(client: Client) -> str:
    """Return where a client was made, in a few words if a fixture made it."""
    made = client.made
    if made is None or made.fixture is None or made.file is None:
        return made_words(client)
    return f"made in {made.fixture}, {made.file.rpartition('/')[2]}:{made.line}"


def client_words(client: Client) -> str:
    """Return a client's number and class, where it was made, and to which loop it was bound where."""
    bound = f"bound to loop #{client.loop}" if client.loop else "bound to no loop"
    at = f" {where(client.bound)}" if client.bound else ""
    return f"client {client.number}, {short_kind(client)}: {made_words(client)}; {bound}{at}"


def origin_words(holder: Holder) -> str:
    """Return where a holder's name comes from, and whether it is stale."""
    if holder.origin == "assigned":
        return f"made here, line {holder.line}"
    if holder.origin != "imported":
        return "origin not known"
    words = f"copied from {holder.source}.{holder.source_name}, line {holder.line}"
    return f"stale: {words}, which is another object now" if holder.stale else words


def holder_words(holder: Holder) -> str:
    """Return a holder's full name, where it comes from, and the client that it leads to."""
    return f"{holder.module}.{holder.name}: {origin_words(holder)}; leads to client {holder.client}"
