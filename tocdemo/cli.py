"""The subcommands of `python -m tocdemo`.

They expect that the environment is ready. A subcommand is a small function that takes
the arguments after its own name, imports what it needs when it is called, and returns an exit code: 0 as
expected, 1 not as expected, 2 could not run. To add one, write the function and name it in `COMMANDS`.
"""

import argparse
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tocdemo import bootstrap
from tocdemo.benchmarks import BENCHMARKS
from tocdemo.bootstrap import locking, pythons, streams
from tocdemo.errors import TocdemoError

ROOT = Path(__file__).resolve().parent.parent


# --- the course --------------------------------------------------------------------------------------------


def start(argv: list[str]) -> int:
    """Open JupyterLab on the first lesson that is not done."""
    parser = _parser("start", start, epilog="Further arguments go to `jupyter lab` as they are.")
    parser.add_argument(
        "--port", type=_port, help="listen on this port (default: the first free one from 8888 on)"
    )
    parser.add_argument("--no-browser", action="store_true", help="print the address, open no browser")
    parser.add_argument("--prepare", action="store_true", help="renew your copies of the lessons, no more")
    parser.add_argument("--run", nargs=argparse.REMAINDER, help="prepare, and become this command of a hub")
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
    parser = _parser("test", test, epilog="Further arguments go to pytest as they are.")
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
    parser = _parser("lock", lock)
    parser.add_argument(
        "--upgrade", action="store_true", help="take the newest versions that the pins allow, not the locked"
    )
    options = parser.parse_args(argv)
    bootstrap.add_group("versions")
    print(*locking.make(str(ROOT), upgrade=options.upgrade), sep="\n")
    return 0


def build(argv: list[str]) -> int:
    """Build notebooks/ and the instructors' guide from lessons/, the picture of the house from the code."""
    parser = _parser("build", build)
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


# --- the laboratory ----------------------------------------------------------------------------------------


def run(argv: list[str]) -> int:
    """Run the 28 tests in a throw-away copy, with chosen faults."""
    parser = _parser("run", run)
    _add_state(parser, "fixed")
    parser.add_argument("--fault", action="append", default=[], metavar="NAME", help="put this fault in, too")
    parser.add_argument("--each", action="store_true", help="run each test alone")
    parser.add_argument("--only", metavar="TEST", help="run the test of this name, and no other")
    parser.add_argument(
        "--backend", metavar="NAME", help="embedded (default), replica-set, pymongo, mock, or a MongoDB URI"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, and nothing else")
    parser.add_argument(
        "--expect", metavar="COUNTS", help='such as "2 passed, 26 failed"; default: all passed'
    )
    options = parser.parse_args(argv)
    from tocdemo.runner import suite
    from tocdemo.runner.options import RunOptions
    from tocdemo.runner.progress import on_a_line
    from tocdemo.runner.result import Counts
    from tocdemo.subject import faults

    expected = Counts.parse(options.expect) if options.expect else None
    files = faults.with_faults(dict.fromkeys([*faults.state(options.state), *options.fault]))
    how = RunOptions(each=options.each, only=options.only, backend=options.backend)
    result = suite.run_copy(files, options=how, on_progress=on_a_line(options.json))
    print(json.dumps(result.to_json(), indent=2) if options.json else result.listing())
    return 0 if result.is_as(expected) else 1


def matrix(argv: list[str]) -> int:
    """Run the 28 in every combination of the four loop faults: which change fixes it?"""
    parser = _parser("matrix", matrix)
    parser.add_argument(
        "--backend", metavar="NAME", help="embedded (default), replica-set, pymongo, mock, or a MongoDB URI"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, and nothing else")
    parser.add_argument(
        "--versions", action="store_true", help="ask it of other versions, and record the answer (minutes)"
    )
    options = parser.parse_args(argv)
    from tocdemo.experiments import matrix as measuring
    from tocdemo.runner.progress import on_a_line

    if options.versions:
        if options.backend:
            parser.error("--versions brings its own drivers: leave --backend out")
        return _versions(as_json=options.json)
    result = measuring.measure(options.backend, on_progress=on_a_line(options.json))
    print(json.dumps(result.to_json(), indent=2) if options.json else result)
    return 0 if result.whole else 1


def _versions(as_json: bool) -> int:
    if shutil.which("uv") is None:
        bootstrap.add_group("versions")
    from tocdemo.experiments import versions
    from tocdemo.runner.progress import on_a_line

    measured = versions.measure(on_a_line(as_json))
    if not any(pair.why for pair in measured.pairs):
        versions.record(measured)
    print(json.dumps(measured.to_json(), indent=2) if as_json else measured)
    return 1 if any(pair.why for pair in measured.pairs) else 0


def workspace(argv: list[str]) -> int:
    """Make a lesson's workspace, as its first cell does, or put it back to its start; or list them all."""
    parser = _parser("workspace", workspace)
    parser.add_argument("lesson", nargs="?", metavar="LESSON", help="such as 03_the_async_fixture, or 03")
    parser.add_argument(
        "--reset", action="store_true", help="put it to its start; what you wrote is kept first"
    )
    options = parser.parse_args(argv)
    from tocdemo.course import lessons

    if options.lesson is None:
        if options.reset:
            parser.error("--reset takes the lesson whose workspace is to be put back")
        print(lessons.told())
        return 0
    lesson = lessons.get(options.lesson)
    own = lessons.workspace_of(lesson)
    print(own.reset(lesson.start) if options.reset and own.exists() else own.open(lesson.start))
    return 0


def progress(argv: list[str]) -> int:
    """Show which lessons are done, what is open in the others, and which is next; or carry it elsewhere."""
    parser = _parser("progress", progress)
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--json", action="store_true", help="print one JSON object, and nothing else")
    way.add_argument(
        "--export", type=Path, metavar="FILE", help="write your edits and ticks to this new file"
    )
    way.add_argument(
        "--import", type=Path, metavar="FILE", dest="brought", help="take over such a file of yours"
    )
    options = parser.parse_args(argv)
    if options.export or options.brought:
        from tocdemo.course import carrying

        print(carrying.export(options.export) if options.export else carrying.bring(options.brought))
        return 0
    from tocdemo.course import progress as kept

    print(json.dumps(kept.to_json(), indent=2) if options.json else kept.told())
    return 0


def doctor(argv: list[str]) -> int:
    """Say whether this machine is ready for the course, and what to do; it names no user and no password."""
    parser = _parser("doctor", doctor)
    parser.add_argument("--json", action="store_true", help="print one JSON object, and nothing else")
    options = parser.parse_args(argv)
    from tocdemo.doctor import examining

    found = examining.examine()
    print(json.dumps(found.to_json(), indent=2) if options.json else found)
    return found.exit_code


def check(argv: list[str]) -> int:
    """Say of a lesson's exercises which are done in its workspace, and what is missing."""
    parser = _parser("check", check)
    parser.add_argument("lesson", metavar="LESSON", help="such as 03_the_async_fixture")
    parser.add_argument("--json", action="store_true", help="print one JSON list, and nothing else")
    options = parser.parse_args(argv)
    from tocdemo.course import judging, lessons

    lesson = lessons.get(options.lesson)
    verdicts = judging.judge(lesson, lessons.workspace_of(lesson).required().folder)
    if options.json:
        print(json.dumps([verdict.to_json() for verdict in verdicts.all], indent=2))
    else:
        print(str(verdicts) or f"{lesson.slug} has no exercises.")
    return 0 if all(verdict.done for verdict in verdicts.all) else 1


def watch(argv: list[str]) -> int:
    """Follow the files in this terminal: save one in your editor, and the grid is there."""
    return _main_of("tocdemo.course.watch", argv)


def _add_state(parser: argparse.ArgumentParser, default: str | None) -> None:
    parser.add_argument("--state", default=default, metavar="NAME", help="fixed, incident or as-fixed")


def serve(argv: list[str]) -> int:
    """Run the embedded MongoDB-compatible server by itself."""
    return _main_of("tocdemo.server.serve", argv)


def bench(argv: list[str]) -> int:
    """Measure, and print ratios: `bench server`, `loopwatch`, `lab`, `explorer`, `watching` or `hub`."""
    parser = _parser("bench", bench, epilog="Further arguments go to the benchmark.")
    parser.add_argument("what", choices=BENCHMARKS)
    options, further = parser.parse_known_args(argv[:1])
    return _main_of(BENCHMARKS[options.what], further + argv[1:])


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "start": start,
    "test": test,
    "run": run,
    "matrix": matrix,
    "workspace": workspace,
    "check": check,
    "progress": progress,
    "watch": watch,
    "doctor": doctor,
    "build": build,
    "site": site,
    "lock": lock,
    "serve": serve,
    "bench": bench,
}


# --- dispatch ----------------------------------------------------------------------------------------------


def names_command(argv: list[str]) -> bool:
    """Whether the first argument is a subcommand, so that its environment has to be ready."""
    return bool(argv) and argv[0] in COMMANDS


def main(argv: list[str]) -> int:
    """Run the subcommand that `argv` names and return its exit code; usage errors exit with 2 (argparse)."""
    summaries = "\n".join(f"  {name:10} {_summary(function)}" for name, function in COMMANDS.items())
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


def _summary(function: Callable) -> str:
    return (function.__doc__ or "-").splitlines()[0]  # python -OO leaves the docstring out


def _parser(name: str, function: Callable, epilog: str | None = None) -> argparse.ArgumentParser:
    prog = f"python3 -m tocdemo {name}"
    return argparse.ArgumentParser(prog=prog, description=_summary(function), epilog=epilog)


def _main_of(module: str, argv: list[str]) -> int:
    return importlib.import_module(module).main(argv) or 0


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
