"""What was found: for each thing that was looked at whether it is ready, what was seen, and what to do.

It knows how findings look, as text, in a notebook and as JSON; it looks at nothing itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from tocdemo.display.tables import html_table, paragraph, text_table, words

State = Literal["ready", "not ready", "unknown"]
_SIGNS: dict[State, str] = {"ready": "✓", "not ready": "✗", "unknown": "?"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: its `name`, what was `seen`, and what to do (`remedy`) where needed.

    It is "unknown" when it could not be looked at.
    """

    name: str
    seen: str
    state: State = "ready"
    remedy: str = ""

    def to_json(self) -> dict[str, str]:
        """Return it as a value for JSON."""
        return {"name": self.name, "state": self.state, "seen": self.seen, "remedy": self.remedy}

    @property
    def told(self) -> str:
        """What was seen and what to do, as one line."""
        return f"{self.seen}; {self.remedy}" if self.remedy else self.seen


@dataclass(frozen=True)
class Findings:
    """All that was found, in `seconds`. In a notebook it shows itself."""

    all: tuple[Finding, ...]
    seconds: float

    @property
    def ready(self) -> bool:
        """Whether the course runs here: everything was looked at, and is ready."""
        return all(each.state == "ready" for each in self.all)

    @property
    def exit_code(self) -> int:
        """0 when all is ready, 1 when something is not, 2 when something could not be looked at."""
        states = {each.state for each in self.all}
        return 1 if "not ready" in states else 2 if "unknown" in states else 0

    @property
    def summary(self) -> str:
        """How it came out, in a sentence."""
        took = f"({len(self.all)} things looked at in {self.seconds:.0f} s)"
        if self.ready:
            return f"This machine is ready for the course {took}."
        left = [each.name for each in self.all if each.state != "ready"]
        return f"Not ready: {', '.join(left)} {took}."

    def __str__(self) -> str:
        rows = [[_SIGNS[each.state], each.name, each.told] for each in self.all]
        return "\n".join([*text_table(rows), self.summary])

    def _repr_html_(self) -> str:
        rows = [[words(f"{_SIGNS[each.state]} {each.state}"), *_cells(each)] for each in self.all]
        table = html_table(rows, label="what was looked at on this machine")
        return table + paragraph(f"<b>{escape(self.summary)}</b>")

    def to_json(self) -> dict[str, Any]:
        """Return all of it as a value for JSON."""
        findings = [each.to_json() for each in self.all]
        return {"ready": self.ready, "seconds": round(self.seconds, 1), "findings": findings}


def _cells(finding: Finding) -> Sequence[Any]:
    return words(finding.name), words(finding.told)
