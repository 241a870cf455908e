"""Runs one case: as it is, and once for each alternative that its explanation names.

A run is in this process, or in an environment of its own that uv makes. Services that the projects talk to
are small servers on the loopback; their addresses are in environment variables.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tocdemo.loopwatch.static.check import check
from tocdemo.loopwatch.static.findings import Finding

from ..projects import Http, Redis, line_server
from .case import Case
from .follow import alternatives, follow
from .running import Ran, run_here

ROOT = Path(__file__).resolve().parents[4]


@dataclass(frozen=True)
class Verdict:
    """How a case went.

    `followed` has, for each alternative, whether it led to green with every test run; `found` is what `check`
    says of the project, which it only reads.
    """

    case: Case
    first: Ran
    followed: tuple[bool, ...]
    advised: tuple[str, ...]
    found: tuple[Finding, ...] = ()

    @property
    def recognised(self) -> bool:
        """Whether anything is said where something must be said, and nothing where nothing must."""
        return bool(self.first.explanations) is (self.case.kind != "healthy")

    @property
    def named(self) -> bool:
        """Whether the object is named in the first line, and its place in the text."""
        head, _, rest = self.first.full.partition("\n")
        file, _, number = self.case.place.partition(":")
        module = file.removesuffix(".py").replace("/", ".")
        there = re.search(rf"held as: +{re.escape(module)}\.\S.*\blines? (\d+, )*{number or 0}\b", rest)
        return (
            self.recognised and self.case.object in head and bool(self.case.place in self.first.full or there)
        )

    @property
    def false(self) -> list[str]:
        """Which words are said that are false of this case."""
        return [words for words in self.case.never if words in self.first.full]

    @property
    def green(self) -> bool:
        """Whether some alternative led to green."""
        return any(self.followed)

    @property
    def red(self) -> int:
        """How many alternatives did not lead to green, or made a test disappear."""
        return self.followed.count(False)


@contextlib.contextmanager
def services() -> Iterator[None]:
    """Serve HTTP, Redis and MongoDB on the loopback; say where in the environment."""
    from tocdemo.server import EmbeddedServer

    with line_server(Http) as http, line_server(Redis) as redis, EmbeddedServer() as mongo:
        said = {
            "CORPUS_HTTP": f"http://127.0.0.1:{http}/",
            "CORPUS_REDIS_PORT": str(redis),
            "CORPUS_MONGO": mongo.uri,
        }
        before = {name: os.environ.get(name) for name in said}
        os.environ.update(said)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def trial(case: Case, folder: Path, python: Path | None = None) -> Verdict:
    """Run the case in a new folder below `folder`, then with each alternative followed."""
    first = _run(_laid_out(case, folder / "first"), case, python)
    advised = alternatives(first.full)
    followed = []
    for number, advice in enumerate(advised):
        copy = _laid_out(case, folder / f"followed{number}")
        made = follow(copy, advice)
        again = _run(copy, case, python) if made else None
        followed.append(again is not None and (again.passed, again.failed) == (case.tests, 0))
    versions = {name: number for name, number in _pinned(case.environment)}
    found = check(_laid_out(case, folder / "read"), installed=versions or None)
    return Verdict(case, first, tuple(followed), tuple(advised), tuple(found))


def _pinned(requirements: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for requirement in requirements:
        name, _, number = requirement.partition("==")
        if number:
            yield name, number


def _laid_out(case: Case, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        for parent in path.relative_to(folder).parents:
            if str(parent) != ".":
                (folder / parent / "__init__.py").touch()
        path.write_text(text, encoding="utf-8")
    return folder


def _run(folder: Path, case: Case, python: Path | None) -> Ran:
    return _run_in(python, folder, case.args) if python else run_here(folder, case.args)


def _run_in(python: Path, folder: Path, args: tuple[str, ...]) -> Ran:
    """Run it in a process of another Python, in which only pytest and the case's libraries are installed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [python, "-m", "tocdemo.loopwatch.tests.corpus.inside", str(folder), *args],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the run in {python} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return Ran(**json.loads(done.stdout.splitlines()[-1]))
