"""The command `python3 -m tocdemo site`: its arguments, and what it says.

It knows the site's builder, which it imports when its packages are there, and not who installs them.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Command = Callable[[list[str]], int]
HANDED_ON = ("test",)  # their arguments are another program's
ROOT = Path(__file__).resolve().parents[2]


def main(argv: Sequence[str], commands: Mapping[str, Command], prepare: Callable[[], object]) -> int:
    """Build the site and print where it is; return 0. `commands` are those of the command line.

    `prepare` is called when the arguments are known, and before anything needs the site's packages.
    """
    description = (commands["site"].__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python3 -m tocdemo site", description=description)
    parser.add_argument(
        "--output", metavar="FOLDER", type=Path, help="put the pages here: a new folder, or a site of before"
    )
    parser.add_argument(
        "--repository", metavar="ADDRESS", help="of the course on GitHub, in place of pyproject.toml's"
    )
    options = parser.parse_args(argv)
    prepare()
    from .build import build

    made = build(
        ROOT,
        commands,
        HANDED_ON,
        repository=options.repository,
        output=options.output,
        on_progress=print,
    )
    print(f"{made / 'index.html'}: open it in a browser, no server is needed")
    return 0
