"""A rule as the list of rules shows it: its name, what it says, and an example.

An example is a small project: a line `== name` begins a file. It must not know how a rule finds anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent, indent


@dataclass(frozen=True)
class Rule:
    """`says` is one sentence; `wrong` and `right` are projects, `needs` the versions it holds for."""

    name: str
    says: str
    wrong: str
    right: str
    needs: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        wrong, right = (indent(dedent(text).strip("\n"), "    ") for text in (self.wrong, self.right))
        only = "".join(f" (with {name} {version})" for name, version in self.needs)
        return f"{self.name}: {self.says}\n  found{only}:\n{wrong}\n  right:\n{right}\n"
