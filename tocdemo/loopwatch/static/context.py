"""What every rule may look at: the project, its suite, what it keeps, and what the tests reach.

It must not know any rule.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from .facts import Reader
from .findings import Finding
from .objects.kept import Kept, find_kept
from .objects.things import Things
from .project import Def, File, Project
from .reach import Reach
from .settings import Dialect
from .suite import Suite


class Context:
    """One check: `installed` has the packages' versions by name; `python` is the one that runs the tests."""

    def __init__(
        self,
        paths: Sequence[Path],
        installed: Mapping[str, str],
        python: tuple[int, int] = sys.version_info[:2],
    ) -> None:
        self.installed = installed
        self.python = python
        self.project = Project(paths)
        self.dialect = Dialect.of(installed)
        self.suite = Suite(self.project, self.dialect)
        self.things = Things(self.project, installed, python)

    @cached_property
    def kept(self) -> list[Kept]:
        return find_kept(self.project, self.things)

    @cached_property
    def reach(self) -> Reach:
        return Reach(self.suite, Reader(self.project, self.kept, self.things))

    def finding(self, rule: str, file: File, line: int, why: str, change: str) -> Finding:
        """Return a finding at a line of a file of the project."""
        return Finding(rule, self.project.shown(file), line, why, change)

    def place(self, code: Def, line: int | None = None) -> str:
        """Return "file:line" of a function, or of a line in its file."""
        return f"{self.project.shown(code.file)}:{line or code.node.lineno}"


def article(noun: str) -> str:
    """Return the noun with "a" or "an"."""
    return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"


def names_of(names: Sequence[str], most: int = 2) -> str:
    """Return "a", "a and b", or "a, b and 3 more"."""
    if len(names) <= most:
        return " and ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"
