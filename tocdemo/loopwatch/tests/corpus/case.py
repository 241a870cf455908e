"""Reads a case: a small project in one text file, with what must be said of its failure.

The head is lines of `key: value`; each file of the project follows below its name, as in `-- store.py --`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent

CASES = Path(__file__).parent / "cases"
_FILE = re.compile(r"^-- (\S+) --\n", re.MULTILINE)
INI = """
    [pytest]
    asyncio_mode = strict
    asyncio_default_fixture_loop_scope = function
    """


@dataclass(frozen=True)
class Case:
    """One project, and what is expected of it.

    `report` names the public report whose shape it has. `kind` is "cross-loop", "no-loop", "nested",
    "adjacent" or "healthy". `object` is what the explanation's first line must name, `place` a file and line
    that it must name. At first `passed` tests pass; `tests` pass when an alternative was followed; `advice`
    is the number of alternatives. `environment` are requirements of an environment of its own; `never` are
    words that must not be said, since they would be false.
    """

    name: str
    report: str
    kind: str
    object: str
    place: str
    passed: int
    tests: int
    advice: int
    needs: tuple[str, ...]
    environment: tuple[str, ...]
    args: tuple[str, ...]
    never: tuple[str, ...]
    files: dict[str, str]

    @property
    def missing(self) -> str | None:
        """Return the first module that the case needs and that is not installed, or None."""
        return next((name for name in self.needs if find_spec(name.partition(".")[0]) is None), None)


def read(path: Path) -> Case:
    """Read one case; raise KeyError if its head lacks a key."""
    head, *parts = _FILE.split(path.read_text(encoding="utf-8"))
    said = dict(line.split(": ", 1) for line in head.strip().splitlines())
    files = dict(zip(parts[::2], parts[1::2], strict=True))
    return Case(
        name=path.stem,
        report=said["report"],
        kind=said["kind"],
        object=said.get("object", ""),
        place=said.get("place", ""),
        passed=int(said["passed"]),
        tests=int(said["tests"]),
        advice=int(said.get("advice", "1")),
        needs=tuple(said.get("needs", "" if "environment" in said else "pytest_asyncio").split()),
        environment=tuple(said.get("environment", "").split()),
        args=tuple(said.get("args", "").split()),
        never=tuple(said["never"].split(" | ")) if "never" in said else (),
        files=files if "ini" in said else {"pytest.ini": dedent(INI), **files},
    )


def cases() -> list[Case]:
    """Return every case, by name."""
    return [read(path) for path in sorted(CASES.glob("*.case"))]
