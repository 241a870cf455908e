"""How the explanations write a line, and where in a run something happened.

It knows the values of the record only.
"""

from __future__ import annotations

from ..recording import Place, short_name


def line(label: str, text: str) -> str:
    """Return a line of an explanation; without a label it goes on with the line above."""
    return f"  {label + ':' if label else '':<10} {text}".rstrip()


def when(place: Place) -> str:
    """Return when in the run something happened."""
    if place.test is None:
        return f"at {place.phase}"
    if place.phase == "teardown":
        return f"at the teardown of {short_name(place.test)}"
    return f"in {short_name(place.test)} ({place.fixture or place.phase})"


def where(place: Place) -> str:
    """Return in which line and when in the run something happened."""
    at = f"{place.file}:{place.line}, " if place.file else ""
    if place.test is None:
        return f"{at}at import" if place.phase == "collection" else f"{at}at {place.phase}"
    if place.fixture:
        return f"{at}in fixture {place.fixture} for {short_name(place.test)}"
    return f"{at}in {short_name(place.test)} ({place.phase})"
