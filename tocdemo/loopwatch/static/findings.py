"""What a rule says: where, which rule, what was read there, and what to change.

It must not know any rule.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing to change: `rule` is its kind, `file` is relative to the current or the checked folder."""

    rule: str
    file: str
    line: int
    why: str
    change: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.why}\n    change: {self.change}"

    def annotation(self) -> str:
        """Return the finding as a workflow command that a CI shows beside the line."""
        text = _escaped(f"{self.why}\nchange: {self.change}")
        place = f"file={_property(self.file)},line={self.line},title={_property(self.rule)}"
        return f"::warning {place}::{text}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
