"""How an outcome looks: a symbol and a word that say what the colours say. It knows nothing of runs."""

from typing import NamedTuple


class Look(NamedTuple):
    """The look of one outcome. The contrast of its colours is at least 4.5 to 1, on light and on dark."""

    symbol: str
    word: str
    background: str
    colour: str


LOOKS = {
    "passed": Look("✓", "passed", "#1a7f37", "#ffffff"),
    "failed": Look("✗", "failed", "#b3261e", "#ffffff"),
    "error": Look("E", "error", "#8a4b00", "#ffffff"),
    "skipped": Look("s", "skipped", "#57606a", "#ffffff"),
    "unfinished": Look("?", "unfinished", "#6e40c9", "#ffffff"),
}


def verdict(good: bool) -> Look:
    """Return the look of what went well, or did not."""
    return LOOKS["passed" if good else "failed"]
