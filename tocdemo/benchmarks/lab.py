"""What an inline run costs, as ratios to pytest on the same files, taken alternately in the same sitting.

The inline run carries loopwatch, as it does in a notebook; its two peers do not. The null ratio, of two equal
inline runs of each round, says how much is noise.
"""

import argparse
import contextlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tocdemo.runner import fresh, inline, suite
from tocdemo.subject import faults, sources

PROCESS_GOAL, MAIN_GOAL = 0.5, 1.3


def main(argv: Sequence[str] | None = None) -> int:
    """Measure `--rounds` rounds on a copy in `--state`, and print the medians. Returns 0."""
    parser = argparse.ArgumentParser(prog="python -m tocdemo bench lab", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="how many rounds (default 9)")
    parser.add_argument("--state", default="fixed", choices=faults.STATES, help="default: fixed")
    options = parser.parse_args(argv)
    if options.rounds < 1:
        parser.error(f"expected at least 1 round, found {options.rounds}")
    with tempfile.TemporaryDirectory(prefix="tocdemo-bench-") as name:
        folder = Path(name).resolve()
        sources.write(faults.with_faults(faults.state(options.state)), folder)
        rounds = _measure(folder, options.rounds)
    _report(rounds, options.state)
    return 0


def _measure(folder: Path, count: int) -> list[dict[str, float]]:
    """Return for each round the seconds of each way to run; a first round that warms up is not counted."""
    arguments = suite.arguments_for(folder)
    ways: dict[str, Callable[[], object]] = {
        "inline": lambda: inline.run(folder, arguments=arguments),
        "pytest.main": lambda: _pytest_main(folder, arguments),
        "inline again": lambda: inline.run(folder, arguments=arguments),
        "process": lambda: _process(folder, arguments),
    }
    rounds = []
    for number in range(count + 1):
        # Every other round goes backwards, so that no way always follows the same one.
        names = list(ways) if number % 2 else list(reversed(ways))
        rounds.append({name: _seconds(ways[name]) for name in names})
    return rounds[1:]


def _seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def _pytest_main(folder: Path, arguments: list[str]) -> None:
    """Call `pytest.main` on fresh modules in a thread, as plain as it can be."""
    codes: list[int] = []

    def work() -> None:
        silent = io.StringIO()
        # The same folder twice in one process: pytest needs the modules of the run before to be gone.
        with fresh.as_before(folder), contextlib.redirect_stdout(silent):
            codes.append(int(pytest.main(["-q", "-p", "no:cacheprovider", *arguments])))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    _require_a_run(codes[0] if codes else -1)


def _process(folder: Path, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, env=dict(os.environ), check=False)
    _require_a_run(done.returncode)


def _require_a_run(code: int) -> None:
    if code not in (0, 1):
        raise RuntimeError(f"pytest ended with {code}: there is nothing to compare with")


def _report(rounds: list[dict[str, float]], state: str) -> None:
    def median(name: str) -> float:
        return statistics.median(each[name] for each in rounds)

    def ratio(above: str, below: str) -> float:
        return statistics.median(each[above] / each[below] for each in rounds)

    print(f"The 28 in the state {state!r}; medians of {len(rounds)} rounds")
    for name in ("inline", "pytest.main", "process"):
        print(f"  {name:12} {median(name) * 1000:6.0f} ms")
    print(
        f"  inline / pytest.main, same process  {ratio('inline', 'pytest.main'):.2f}  (goal <= {MAIN_GOAL})"
    )
    print(f"  inline / pytest process             {ratio('inline', 'process'):.2f}  (goal < {PROCESS_GOAL})")
    print(f"  null: inline / inline               {ratio('inline', 'inline again'):.2f}")
