"""The entry: `python3 -m tocdemo COMMAND` from a clean clone.

It finds the interpreter that holds what the course needs (`bootstrap`), goes on in it, and calls the command
line (`cli`). Like `bootstrap`, it parses on Python 3.6, so that an old Python gets a sentence and not a
syntax error.
"""

import os
import sys

if not __package__:  # run as `python3 path/to/tocdemo`: put the project, not this folder, on the path
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

NO_PROJECT = (
    "this installation holds the package without the lessons: clone the project and run "
    "`python3 -m tocdemo start` there; here, `pytest -p tocdemo.loopwatch` and "
    "`python -m tocdemo.loopwatch check PATH` work"
)


def main(argv: "list[str]") -> int:
    """Set up when needed, run the command, return the exit code (0 as expected, 1 not, 2 could not run)."""
    try:  # the imports are in it, too: Ctrl-C comes at any moment
        from tocdemo import bootstrap
        from tocdemo.bootstrap import streams

        streams.make_usable()
        try:
            return _run(argv)
        except bootstrap.SetupError as error:
            print("tocdemo: " + str(error), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ntocdemo: interrupted", file=sys.stderr)
        return 130


def _run(argv: "list[str]") -> int:
    from tocdemo import bootstrap

    bootstrap.end_hand_over()
    bootstrap.require_python()
    if not bootstrap.has_project():
        raise bootstrap.SetupError(NO_PROJECT)
    from tocdemo import cli  # only now: it is written for the Pythons that passed the check

    python = bootstrap.ready_python() if cli.names_command(argv) else None
    if python is None and sys.flags.optimize:  # without `assert` a test says nothing
        python = sys.executable
    if python is not None:
        return bootstrap.hand_over(python, argv)
    return cli.main(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
