"""How an outcome looks: a symbol, a word and a pair of colours. The symbol says what the colour says.

Knows the four outcomes of a test by their names, and not how tests are run.
"""

from typing import NamedTuple


class Look(NamedTuple):
    """The symbol and the word of an outcome, and the colours of its box and of the text in it."""

    symbol: str
    word: str
    background: str
    colour: str

    @property
    def style(self) -> str:
        """The two colours as CSS."""
        return f"background-color:{self.background};color:{self.colour}"


# The contrast of each pair of colours is at least 4.5 to 1, on light and dark.
LOOKS = {
    "passed": Look("✓", "passed", "#1a7f37", "#ffffff"),
    "failed": Look("✗", "failed", "#b3261e", "#ffffff"),
    "error": Look("E", "error", "#8a4b00", "#ffffff"),
    "skipped": Look("s", "skipped", "#57606a", "#ffffff"),
}
