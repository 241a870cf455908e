"""The static checker: finds in a project's source what makes cross-loop failures possible.

It runs nothing of the project, so it cannot know whether a finding makes a given run fail.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .context import Context
from .findings import Finding
from .objects.libraries import MAKERS
from .rules.copies import copied_names
from .rules.fixtures import fixtures
from .rules.importing import needs_running_loop
from .rules.kept import kept_objects
from .rules.scopes import scopes

RULES = (copied_names, fixtures, scopes, kept_objects, needs_running_loop)


def check(
    *paths: str | Path,
    installed: Mapping[str, str] | None = None,
    python: tuple[int, int] = sys.version_info[:2],
) -> list[Finding]:
    """Return what is found in the Python files below the paths (folders or files), by file and line.

    `installed` has the versions of the drivers and of pytest-asyncio by package name, by default those that
    are installed here. `python` is the version that runs the tests. FileNotFoundError is raised if there is
    nothing at a path, BadConfiguration if pytest's configuration cannot be read.
    """
    for path in paths:
        if not Path(path).exists():
            raise FileNotFoundError(
                f"there is no file or folder {path}; give the folder of the project to check"
            )
    context = Context(
        [Path(path) for path in paths], _installed() if installed is None else installed, python
    )
    found = {finding for rule in RULES for finding in rule(context)}
    return sorted(found, key=lambda f: (f.file, f.line, f.rule, f.why))


def _installed() -> dict[str, str]:
    found = {}
    for name in sorted({maker.library for maker in MAKERS.values()} | {"pytest-asyncio"}):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
