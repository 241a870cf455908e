"""`python -m tocdemo.loopwatch.tests.corpus`: measures how well the failures of the corpus are explained."""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from .case import cases
from .environments import environment
from .trial import Verdict, services, trial


def main(argv: Sequence[str] | None = None) -> int:
    """Run the cases, print the table; return 0 if every case is as its file says, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m tocdemo.loopwatch.tests.corpus", description=__doc__)
    parser.add_argument("name", nargs="*", help="only cases whose names contain one of these")
    parser.add_argument("-e", "--environments", action="store_true", help="also cases that need some, by uv")
    parser.add_argument("--record", metavar="FILE", help="also write the result, with date and versions")
    parser.add_argument("-v", "--verbose", action="store_true", help="print each explanation")
    options = parser.parse_args(argv)
    verdicts = []
    with services(), tempfile.TemporaryDirectory() as folder:
        for case in cases():
            if options.name and not any(name in case.name for name in options.name):
                continue
            if case.missing or (case.environment and not options.environments):
                print(f"{case.name:<34} not run here: {case.missing or 'an environment of its own'}")
                continue
            home = Path(folder).resolve()
            python = environment(home / "environments", case.environment) if case.environment else None
            verdict = trial(case, home / case.name, python)
            verdicts.append(verdict)
            _print(verdict, options.verbose)
    table = list(_table(verdicts))
    print("\n".join(table))
    if options.record:
        lines = [*_head(), *table, "", *map(_line, verdicts)]
        Path(options.record).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


def _head() -> list[str]:
    names = (
        "pytest",
        "pytest-asyncio",
        "anyio",
        "motor",
        "pymongo",
        "httpx",
        "starlette",
        "redis",
        "aiohttp",
    )
    installed = ", ".join(f"{name} {version(name)}" for name in names)
    return [f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {installed}", ""]


def _line(verdict: Verdict) -> str:
    """Return a verdict in a line, with a `+` for each alternative that led to green, a `-` for another."""
    marks = "".join("+" if green else "-" for green in verdict.followed) or "none"
    said = "recognised" if verdict.recognised else "NOT recognised"
    named = "named" if verdict.named else "not named"
    found = "found" if verdict.found else "not found"
    needs = f"; {' '.join(verdict.case.environment)}" if verdict.case.environment else ""
    words = f"{said:<15} {named:<10} advice {marks:<5} check {found:<10}"
    return f"{verdict.case.name:<34} {words} {verdict.case.report}{needs}"


def _print(verdict: Verdict, verbose: bool) -> None:
    print(_line(verdict), flush=True)
    if verbose:
        print(verdict.first.full or verdict.first.text)


def _table(verdicts: list[Verdict]) -> Iterator[str]:
    failing = [verdict for verdict in verdicts if verdict.case.kind != "healthy"]
    of = f"of {len(failing)}"
    yield f"recognised: {sum(v.recognised for v in failing)} {of}"
    yield f"names the object, and where it was made: {sum(v.named for v in failing)} {of}"
    yield f"an advice, followed, makes the suite green: {sum(v.green for v in failing)} {of}"
    yield f"advice that stays red, or runs fewer tests: {sum(v.red for v in failing)}"
    yield f"said what is false: {sum(bool(v.false) for v in failing)}"
    yield f"check finds it by reading: {sum(bool(v.found) for v in failing)} {of}"
    healthy = [verdict for verdict in verdicts if verdict.case.kind == "healthy"]
    said = sum(len(v.first.explanations) for v in healthy), sum(len(v.found) for v in healthy)
    yield f"explanations and findings in {len(healthy)} healthy: {said[0]} and {said[1]}"


if __name__ == "__main__":
    sys.exit(main())
