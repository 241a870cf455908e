"""Runs test suites of well-known libraries with loopwatch and without: the outcomes must be the same.

The suites are those of the source packages on PyPI, at fixed versions, each in an environment made by uv.
`python -m tocdemo.loopwatch.tests.corpus.healthy` prints a line for each.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .environments import environment

ROOT = Path(__file__).resolve().parents[4]
COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed|xpassed)")
PLAIN = ("-q", "-p", "no:cacheprovider", "-W", "ignore", "-o", "addopts=")


@dataclass(frozen=True)
class Healthy:
    """A library's source package, what its suite needs besides, and the arguments for pytest."""

    package: str
    needs: tuple[str, ...]
    args: tuple[str, ...] = ("tests",)


SUITES = (
    Healthy("asgiref==3.10.0", ("pytest", "pytest-asyncio")),
    Healthy("janus==2.0.0", ("pytest", "pytest-asyncio")),
    Healthy("aiosignal==1.4.0", ("pytest", "pytest-asyncio")),
    Healthy("aiofiles==25.1.0", ("pytest", "pytest-asyncio")),
    Healthy("async-timeout==5.0.1", ("pytest", "pytest-asyncio")),
    Healthy("sniffio==1.3.1", ("pytest", "curio"), ("sniffio",)),
    Healthy("aiorwlock==1.5.0", ("pytest", "pytest-asyncio")),
)


@dataclass(frozen=True)
class Compared:
    """The outcome counts without loopwatch and with it, and how many failures it explained."""

    bare: dict[str, int]
    watched: dict[str, int]
    explanations: int


def compared(suite: Healthy, folder: Path) -> Compared:
    """Run one suite twice; raise CalledProcessError if its package cannot be had."""
    python = environment(folder / "environments", (suite.package, *suite.needs, "pip"))
    home = _unpacked(suite, folder, python)
    record = home / "loopwatch.json"
    bare = _counts(python, home, suite.args)
    watched = _counts(python, home, (*suite.args, "-p", "tocdemo.loopwatch", f"--loopwatch-json={record}"))
    explanations = json.loads(record.read_text())["explanations"] if record.exists() else {}
    return Compared(bare, watched, len(explanations))


def _unpacked(suite: Healthy, folder: Path, python: Path) -> Path:
    target = folder / "sources" / suite.package
    target.mkdir(parents=True, exist_ok=True)
    download = ["download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    subprocess.run(
        [python, "-m", "pip", *download, "-d", str(target), suite.package], check=True, capture_output=True
    )
    (archive,) = target.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        files.extractall(target, filter="data")
    return next(path for path in target.iterdir() if path.is_dir())


def _counts(python: Path, home: Path, args: tuple[str, ...]) -> dict[str, int]:
    done = subprocess.run(
        [python, "-m", "pytest", *PLAIN, *args],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    last = done.stdout.strip().splitlines()[-1:] or [done.stderr.strip()[-200:]]
    return {kind.rstrip("s"): int(number) for number, kind in COUNT.findall(last[0])}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        for each in SUITES:
            try:
                found = compared(each, Path(name))
            except subprocess.CalledProcessError as error:
                print(f"{each.package:<22} could not be had: {str(error.stderr)[-200:]}", flush=True)
                continue
            same = "the same" if found.bare == found.watched else "NOT the same"
            same = same if found.bare else "ran no test"
            print(f"{each.package:<22} {same}: {found.bare}; {found.watched}; {found.explanations} explained")
            sys.stdout.flush()
