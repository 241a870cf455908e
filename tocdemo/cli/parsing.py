"""What the subcommands share: the parser of one, its summary, and a room's own `main`.

It must not know any subcommand.
"""

import argparse
import importlib
from collections.abc import Callable


def summary_of(function: Callable) -> str:
    """Return the first line of a subcommand's docstring, which is its help."""
    return (function.__doc__ or "-").splitlines()[0]  # python -OO leaves the docstring out


def parser_of(name: str, function: Callable, epilog: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of the subcommand `name`, without arguments yet."""
    prog = f"python3 -m tocdemo {name}"
    return argparse.ArgumentParser(prog=prog, description=summary_of(function), epilog=epilog)


def main_of(module: str, argv: list[str]) -> int:
    """Run the `main` of a module, and return its exit code; None counts as 0."""
    return importlib.import_module(module).main(argv) or 0
