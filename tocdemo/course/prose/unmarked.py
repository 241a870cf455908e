"""The sentences of the lessons that claim something and bear no mark: a list to work through, not a verdict.

A sentence is suspected by its words alone: a version, a number, or always, never, only. It must not know what
is true.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"^(?:\||#|    |<).*$", re.MULTILINE)  # rows of tables, headings, code, tags
_END = re.compile(r"(?<=[.!?:])((?:\[\^[^\]]+\]|[)\"*])*)\s+(?=[\"(*`\[A-Z])")
_BLOCK = re.compile(r"\n\s*\n|\n(?=- |\d+\. )")
_ITEM = re.compile(r"^\s*(?:- |\d+\. )")
_CLAIM = re.compile(r"\d+\.\d+|\b\d+\b|\b(?:always|never|only)\b", re.IGNORECASE)
# Names that hold a number, and claim nothing with it.
_NAMES = re.compile(
    r"\blessons? \d+(?: (?:and|to) \d+)?|\btests? \d+|\bchanges? \d(?: and \d)?|\bthe (?:28|27|26|54|29)\b"
    r"|`[^`]*`|\]\([^)]*\)|\b(?:Run|Put) \d+",
    re.IGNORECASE,
)
_MARK = re.compile(r"\[\^[\w.:-]+\]")


@dataclass(frozen=True)
class Sentence:
    """A sentence, the line of its text on which its paragraph begins, and whether it bears a mark."""

    line: int
    words: str
    marked: bool

    @property
    def claims(self) -> bool:
        """Whether its words say that something is so: of a version, in a number, or without exception."""
        return not self.words.rstrip(' *"').endswith("?") and bool(_CLAIM.search(_NAMES.sub(" ", self.words)))


def sentences(text: str) -> Iterator[Sentence]:
    """Yield the sentences of a lesson's text, in order. Code, headings and tables have none."""
    for hidden in (_FENCED, _COMMENT):
        text = hidden.sub(lambda found: "\n" * found[0].count("\n"), text)
    start = 0
    for block in [*_BLOCK.finditer(text), None]:
        paragraph = _ITEM.sub(_blank, text[start : block.start() if block else len(text)])
        line = text.count("\n", 0, start + len(paragraph) - len(paragraph.lstrip())) + 1
        for words in _split(" ".join(paragraph.split())):
            yield Sentence(line, _MARK.sub("", words), bool(_MARK.search(words)))
        start = block.end() if block else start


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"\S", " ", found[0])


def _split(paragraph: str) -> list[str]:
    parts, start = [], 0
    for end in _END.finditer(paragraph):
        parts.append(paragraph[start : end.end()].strip())
        start = end.end()
    return [part for part in [*parts, paragraph[start:].strip()] if part]


def unmarked(text: str) -> list[Sentence]:
    """Return the sentences that claim something, and bear no mark."""
    return [each for each in sentences(text) if each.claims and not each.marked]
