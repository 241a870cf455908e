"""The subcommands that run, check, watch, serve and measure.

What they do stands in the rooms below; it must not be known here.
"""

import argparse
import json
import shutil
from pathlib import Path

from tocdemo import bootstrap
from tocdemo.benchmarks import BENCHMARKS

from .parsing import main_of, parser_of


def run(argv: list[str]) -> int:
    """Run the 28 tests in a throw-away copy, with chosen faults."""
    parser = parser_of("run", run)
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
    parser = parser_of("matrix", matrix)
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
    parser = parser_of("workspace", workspace)
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
    parser = parser_of("progress", progress)
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
    parser = parser_of("doctor", doctor)
    parser.add_argument("--json", action="store_true", help="print one JSON object, and nothing else")
    options = parser.parse_args(argv)
    from tocdemo.doctor import examining

    found = examining.examine()
    print(json.dumps(found.to_json(), indent=2) if options.json else found)
    return found.exit_code


def check(argv: list[str]) -> int:
    """Say of a lesson's exercises which are done in its workspace, and what is missing."""
    parser = parser_of("check", check)
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
    return main_of("tocdemo.course.watch", argv)


def _add_state(parser: argparse.ArgumentParser, default: str | None) -> None:
    parser.add_argument("--state", default=default, metavar="NAME", help="fixed, incident or as-fixed")


def serve(argv: list[str]) -> int:
    """Run the embedded MongoDB-compatible server by itself."""
    return main_of("tocdemo.server.serve", argv)


def bench(argv: list[str]) -> int:
    """Measure, and print ratios: `bench server`, `loopwatch`, `lab`, `explorer`, `watching` or `hub`."""
    parser = parser_of("bench", bench, epilog="Further arguments go to the benchmark.")
    parser.add_argument("what", choices=BENCHMARKS)
    options, further = parser.parse_known_args(argv[:1])
    return main_of(BENCHMARKS[options.what], further + argv[1:])
