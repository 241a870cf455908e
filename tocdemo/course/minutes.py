"""How long a lesson takes a reader, counted from its text: words, lines of code, exercises.

The rates are what the course plans with; nobody has measured them in a room. It knows the shape of a lesson's
text, and nothing of the manifest's own minutes.
"""

import re
from dataclasses import dataclass

WORDS_A_MINUTE = 150  # slower than a novel: technical, and for readers with another first language
LINES_A_MINUTE = 20
MINUTES_AN_EXERCISE = 4
_CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Counted:
    """What there is to read, and to do, in a lesson."""

    words: int
    lines: int
    exercises: int

    @property
    def minutes(self) -> float:
        """The minutes that this takes at the rates above."""
        reading = self.words / WORDS_A_MINUTE + self.lines / LINES_A_MINUTE
        return reading + self.exercises * MINUTES_AN_EXERCISE


def counted(text: str, exercises: int) -> Counted:
    """Count the words and the lines of code of a lesson's text; `exercises` is how many it has."""
    code = [line for block in _CODE.findall(text) for line in block.splitlines()[1:-1] if line.strip()]
    return Counted(len(re.findall(r"\w[\w'’-]*", _CODE.sub("", text))), len(code), exercises)
