"""`python -m tocdemo.loopwatch check PATH`: the static checker from a terminal."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from .static.check import check


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0 if nothing was found, 1 if something was, 2 if there is nothing to check."""
    parser = argparse.ArgumentParser(prog="python -m tocdemo.loopwatch", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    checking = commands.add_parser(
        "check", help="read a project's source for what makes cross-loop failures possible"
    )
    checking.add_argument("path", metavar="PATH", help="a folder, or a Python file")
    checking.add_argument("--json", action="store_true", help="print the findings as a JSON list")
    options = parser.parse_args(argv)
    try:
        findings = check(options.path)
    except FileNotFoundError as error:
        print(f"loopwatch: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    elif findings:
        print("\n".join(map(str, findings)))
    else:
        print("loopwatch: found nothing")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
