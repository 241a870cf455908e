"""`python -m tocdemo.loopwatch check PATH…`: the static checker from a terminal."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from .static.check import check
from .static.findings import Finding
from .static.rules.catalogue import listing
from .static.settings import BadConfiguration


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0 if nothing was found, 1 if something was, 2 if the check could not run."""
    for stream in (sys.stdout, sys.stderr):  # what is quoted may not be in the output's encoding
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    options = _parser().parse_args(argv)
    if options.rules:
        print(listing(), end="")
        return 0
    if not options.paths:
        print("loopwatch: give the folders or files to check, or --rules", file=sys.stderr)
        return 2
    try:
        findings = check(*options.paths)
    except (BadConfiguration, OSError) as error:
        print(f"loopwatch: {error}", file=sys.stderr)
        return 2
    print(_shown(findings, "json" if options.json else options.format), end="")
    return 1 if findings else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tocdemo.loopwatch", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    checking = commands.add_parser(
        "check",
        help="read a project's source for what makes cross-loop failures possible",
        epilog="exit status: 0 nothing found, 1 something found, 2 the check could not run",
    )
    checking.add_argument("paths", metavar="PATH", nargs="*", help="folders, or Python files, of one project")
    checking.add_argument(
        "--format",
        choices=("text", "json", "github"),
        default="text",
        help="text (file:line: rule: sentence), a JSON list, or annotations for a GitHub workflow",
    )
    checking.add_argument("--json", action="store_true", help="the same as --format=json")
    checking.add_argument("--rules", action="store_true", help="list the rules, with an example of each")
    return parser


def _shown(findings: list[Finding], form: str) -> str:
    if form == "json":
        return json.dumps([asdict(finding) for finding in findings], indent=1) + "\n"
    if form == "github":
        return "".join(f"{finding.annotation()}\n" for finding in findings)
    return "".join(f"{finding}\n" for finding in findings) or "loopwatch: found nothing\n"


if __name__ == "__main__":
    sys.exit(main())
