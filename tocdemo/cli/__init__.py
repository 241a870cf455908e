"""The subcommands of `python -m tocdemo`.

They expect that the environment is ready. A subcommand is a small function that takes
the arguments after its own name, imports what it needs when it is called, and returns an exit code: 0 as
expected, 1 not as expected, 2 could not run. To add one, write the function and name it in `COMMANDS`.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tocdemo import bootstrap
from tocdemo.bootstrap import locking, pythons, streams
from tocdemo.errors import TocdemoError

from . import laboratory
from .parsing import parser_of, summary_of

ROOT = Path(__file__).resolve().parents[2]


# --- the course --------------------------------------------------------------------------------------------


def start(argv: list[str]) -> int:
    """Open JupyterLab on the first lesson that is not done."""
    parser = parser_of("start", start, epilog="Further arguments go to `jupyter lab` as they are.")
    parser.add_argument(
        "--port", type=_port, help="listen on this port (default: the first free one from 8888 on)"
    )
    parser.add_argument("--no-browser", action="store_true", help="print the address, open no browser")
    parser.add_argument(
        "--prepare",
        action="store_true",
        help="bring your copies of the lessons up to date, and start nothing",
    )
    parser.add_argument(
        "--run", nargs=argparse.REMAINDER, help="prepare, and become this command, such as a hub's server"
    )
    options, further = parser.parse_known_args(argv)
    begin = time.time()
    from tocdemo.course import copies, jupyter, lessons, progress

    lessons.require_writable()
    changed = [each for each in copies.renew_all() if each.what not in ("made", "unchanged")]
    print("".join(f"{each}\n" for each in changed), end="")
    if options.prepare:
        return 0
    lesson = progress.next_lesson() or lessons.all_of()[0]
    root, document = jupyter.place_of(lessons.notebook_of(lesson), ROOT)
    if options.run:
        return jupyter.become(
            ROOT, options.run, {**jupyter.environment(), **jupyter.for_a_hub(root, document)}
        )
    command = jupyter.lab_command(root, document, *further)
    if _is_root() and not any(
        each.startswith(("--allow-root", "--ServerApp.allow_root")) for each in further
    ):
        print("You are root, as in a container: JupyterLab is started with --allow-root.", file=sys.stderr)
        command.append("--allow-root")
    if options.no_browser:
        command.append("--no-browser")
    if options.port is not None:
        jupyter.require_free(options.port)
        command += [f"--ServerApp.port={options.port}", "--ServerApp.port_retries=0"]
    env = {**jupyter.environment(), **jupyter.without_home(ROOT)}
    with jupyter.telling(ROOT, env, begin):
        return 2 if _run_child(command, env=env) else 0


# By pytest-xdist: a worker a core, within reason, since many tests start processes of their own. Each gets a
# piece of the list, and steals from the others in the end: a fixture for a whole file is made once, mostly.
ALL_TESTS = ("-n", "auto", "--maxprocesses", "4", "--dist", "worksteal")


def test(argv: list[str]) -> int:
    """Run every test and every notebook, on several cores; or give pytest's arguments, and it gets those."""
    parser = parser_of("test", test, epilog="Further arguments go to pytest as they are.")
    parser.add_argument(
        "--pythons",
        action="store_true",
        help="on each supported Python that is on this machine, in an environment of its own",
    )
    parser.add_argument(
        "--python", action="append", choices=pythons.SUPPORTED, help="the same, on this one (can be repeated)"
    )
    options, further = parser.parse_known_args(argv)
    if options.pythons or options.python:
        versions = pythons.SUPPORTED if options.pythons else tuple(options.python)
        return pythons.test(versions, [str(ROOT / "tocdemo"), "test", *(further or ALL_TESTS)])
    bootstrap.add_group("dev")
    code = _run_child([sys.executable, "-m", "pytest", *(further or ALL_TESTS)])
    return code if code in (0, 1) else 2


def lock(argv: list[str]) -> int:
    """Lock what the pins pull in, each package with its hashes: `locks/` (asks the package index)."""
    parser = parser_of("lock", lock)
    parser.add_argument(
        "--upgrade", action="store_true", help="take the newest versions that the pins allow, not the locked"
    )
    options = parser.parse_args(argv)
    bootstrap.add_group("versions")
    print(*locking.make(str(ROOT), upgrade=options.upgrade), sep="\n")
    return 0


def build(argv: list[str]) -> int:
    """Build notebooks/ and the instructors' guide from lessons/, the picture of the house from the code."""
    parser = parser_of("build", build)
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 when they differ")
    parser.add_argument(
        "--unmarked", action="store_true", help="list the sentences that claim something and bear no mark"
    )
    parser.add_argument(
        "--measure",
        nargs="*",
        metavar="LESSON",
        help="run these notebooks (all, without a name), and record how many seconds they take",
    )
    options = parser.parse_args(argv)
    bootstrap.add_group("dev")
    from tocdemo.course import build as notebooks
    from tocdemo.course import guide, house

    if options.unmarked:
        return notebooks.tell_unmarked(ROOT)
    if options.measure is not None:
        notebooks.measure(ROOT, options.measure)
    all_made = (notebooks, house, guide)
    return max(made.check(ROOT) if options.check else made.build(ROOT) for made in all_made)


def site(argv: list[str]) -> int:
    """Build the whole course as pages to read, each output from a run, and say where they are."""
    from tocdemo.site import command

    return command.main(argv, COMMANDS, lambda: bootstrap.add_group("site"))


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "start": start,
    "test": test,
    "run": laboratory.run,
    "matrix": laboratory.matrix,
    "workspace": laboratory.workspace,
    "check": laboratory.check,
    "progress": laboratory.progress,
    "watch": laboratory.watch,
    "doctor": laboratory.doctor,
    "build": build,
    "site": site,
    "lock": lock,
    "serve": laboratory.serve,
    "bench": laboratory.bench,
}


# --- dispatch ----------------------------------------------------------------------------------------------


def names_command(argv: list[str]) -> bool:
    """Whether the first argument is a subcommand, so that its environment has to be ready."""
    return bool(argv) and argv[0] in COMMANDS


def main(argv: list[str]) -> int:
    """Run the subcommand that `argv` names and return its exit code; usage errors exit with 2 (argparse)."""
    summaries = "\n".join(f"  {name:10} {summary_of(function)}" for name, function in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="python3 -m tocdemo",
        description="A course in notebooks about one bug: RuntimeError: Event loop is closed.",
        epilog=f"commands:\n{summaries}\n\n`python3 -m tocdemo COMMAND --help` tells more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    if not argv:
        parser.print_help()
        return 0
    name = parser.parse_args(argv[:1]).command
    try:
        code = COMMANDS[name](argv[1:])
        sys.stdout.flush()
        return code
    except TocdemoError as error:
        print(f"tocdemo {name}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read what is printed has read enough
        streams.discard()
        return 0
    except OSError as error:
        why = streams.sentence(error)
        if why is None:
            raise
        print(f"tocdemo {name}: {why}", file=sys.stderr)
        streams.discard()
        return 2


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _run_child(command: list[str], env: dict[str, str] | None = None) -> int:
    """Run a command in the project's root and return its exit code; Ctrl-C is the child's affair."""
    child = subprocess.Popen(command, cwd=ROOT, env=env)
    # The terminal sends Ctrl-C to both. A no-op function, not SIG_IGN: a child would inherit that.
    interrupt = signal.signal(signal.SIGINT, lambda *_: None)
    terminate = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    try:
        return child.wait()
    finally:
        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGTERM, terminate)


def _port(text: str) -> int:
    if text.isdigit() and 0 < int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected a port number from 1 to 65535, found {text!r}")
