"""How many minutes a lesson takes: computed from its words, its lines of code, and what its cells ran.

    minutes = words / 145  +  lines of code x 4 s  +  seconds of the runs

It says nothing of the change that a learner makes: that takes as long as it takes. It must not know what a
lesson teaches.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tocdemo.errors import CourseError

# Words a minute, of readers whose first language is another. College students who learn English read 29 words
# a minute faster after 13 weeks of practice, which was 25 %: from 116 to 145 (A. C-S. Chang, "The effect of a
# timed reading activity on EFL learners", Reading in a Foreign Language 22(2), 2010, its abstract). The mean
# of adults, for non-fiction, is 238 (M. Brysbaert, Journal of Memory and Language 109, 2019, its abstract).
WORDS_A_MINUTE = 145
# No study is behind this one: it is what a short line takes that is read and not written.
SECONDS_A_LINE = 4
# Minutes: more is no lesson, but two.
MOST = 12
SECONDS = "lessons/seconds.toml"

_CODE = re.compile(r"^```python.*?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
# What nobody reads as a word: where a link leads, a mark, a tag, and the rows of a table, which is looked up.
_NO_WORDS = re.compile(r"\]\([^)]*\)|\[\^[^\]]+\]|<[^>]+>|^\|.*$", re.MULTILINE)
_WORD = re.compile(r"[^\W_][\w'’.-]*")


@dataclass(frozen=True)
class Length:
    """What a lesson's time is made of: words that are read, lines of code, seconds that its cells ran."""

    words: int
    lines: int
    seconds: float

    @property
    def minutes(self) -> int:
        """The whole minutes, one at least."""
        seconds = self.words * 60 / WORDS_A_MINUTE + self.lines * SECONDS_A_LINE + self.seconds
        return max(1, round(seconds / 60))


def of(text: str, seconds: float) -> Length:
    """Return the length of a lesson: `text` is its Markdown, `seconds` what its cells ran in all."""
    lines = sum(bool(line.strip()) for code in _CODE.findall(text) for line in code.splitlines())
    words = len(_WORD.findall(_NO_WORDS.sub(" ", _FENCE.sub("", text))))
    return Length(words, lines, seconds)


def recorded(root: Path) -> dict[str, float]:
    """Return the seconds that each lesson's cells ran, by its slug; empty without a record.

    Raises CourseError when the record is not understood.
    """
    file = root / SECONDS
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))["seconds"]
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise CourseError(f"{file}: expected a table [seconds]: {error}") from error
    wrong = [slug for slug, value in table.items() if not isinstance(value, int | float) or value < 0]
    if wrong:
        raise CourseError(f"{file}: expected a number of seconds for {wrong[0]}, found {table[wrong[0]]!r}")
    return table


def record_text(seconds: Mapping[str, float], where: str) -> str:
    """Return the text of a record; `where` says on what and when it was measured."""
    rows = [f'"{slug}" = {value:.1f}' for slug, value in sorted(seconds.items())]
    head = (
        "# The seconds that each lesson's cells ran. `python3 -m tocdemo build --measure` writes this file."
    )
    return "\n".join([head, f"# Last: {where}.", "", "[seconds]", *rows, ""])
