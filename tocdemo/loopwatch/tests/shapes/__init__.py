"""Small projects for the static checker: each wrong one has a right twin of the same shape.

A project is one text: a line `== name` begins a file. In a wrong one, `# !rule` at the end of a line says
that the rule must find that line; nothing else may be found, and nothing at all in the right one. They were
written afresh, in shapes that public reports show; the reports are named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent


@dataclass(frozen=True)
class Shape:
    """`seen` is the public report in which such a project failed; `installed` overrides the versions."""

    name: str
    seen: str
    wrong: str
    right: str
    installed: dict[str, str] = field(default_factory=dict)
    python: tuple[int, int] = (3, 12)


def write(text: str, folder: Path) -> list[tuple[str, str, int]]:
    """Write the project's files; return what must be found: rule, file and line."""
    expected = []
    for name, body in re.findall(r"^== (\S+)\n(.*?)(?=^== |\Z)", dedent(text).lstrip(), re.S | re.M):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = body.splitlines()
        for number, line in enumerate(lines, 1):
            if "# !" in line:
                expected += [(rule, name, number) for rule in re.findall(r"!([\w-]+)", line)]
        path.write_text(re.sub(r"  # !.*", "", body))
    return sorted(expected)
