"""What lies between a save and the new grid, taken alternately with a bare run of the same suite.

The floor is `Worker.run` in a process that is as warm: what is above it are the notice of the save, the look
at the files and the way between threads. What a browser needs to draw is not in it.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tocdemo.runner import suite
from tocdemo.runner.options import RunOptions
from tocdemo.runner.watching.warm import Job, Warm
from tocdemo.runner.watching.watcher import Sight, Watcher
from tocdemo.runner.worker import Worker
from tocdemo.subject import faults, sources

GOAL = 0.6  # seconds from a save to the grid, as the median, in a browser
UNCOUNTED = 4  # rounds at the beginning, in which both ways and the spare process get warm


def main(argv: Sequence[str] | None = None) -> int:
    """Measure `--saves` saves on a copy in `--state`, and print the seconds. Returns 0."""
    parser = argparse.ArgumentParser(prog="python -m tocdemo bench watching", description=__doc__)
    parser.add_argument("--saves", type=int, default=20, help="how many saves (default 20)")
    parser.add_argument("--state", default="incident", choices=faults.STATES, help="default: incident")
    options = parser.parse_args(argv)
    if options.saves < 1:
        parser.error(f"expected at least 1 save, found {options.saves}")
    with tempfile.TemporaryDirectory(prefix="tocdemo-bench-") as name:
        folder = Path(name).resolve()
        sources.write(faults.with_faults(faults.state(options.state)), folder)
        watched, bare = _measure(folder, options.saves)
    print(f"The 28 in the state {options.state!r}, {options.saves} saves: seconds, median and worst")
    for what, seconds in (("from a save to the grid", watched), ("a bare run", bare)):
        print(f"  {what:24} {statistics.median(seconds):.3f}  {max(seconds):.3f}")
    above = statistics.median(one - other for one, other in zip(watched, bare, strict=True))
    ratio = statistics.median(one / other for one, other in zip(watched, bare, strict=True))
    print(
        f"  above the bare run       {above:.3f}, as a ratio {ratio:.2f}  (goal: a median of {GOAL} at most)"
    )
    return 0


def _measure(folder: Path, saves: int) -> tuple[list[float], list[float]]:
    """Return for each save the seconds to its grid, and those of a bare run just after it."""
    job = Job(folder, tuple(suite.arguments_for(folder)), RunOptions())
    last = _Last()
    watched, bare = [], []
    conftest = folder / sources.CONFTEST
    text = conftest.read_text(encoding="utf-8")
    with Watcher(folder, Warm(job), last), Worker() as worker:
        last.wait_for(1)
        for number in range(saves + UNCOUNTED):
            begin = time.perf_counter()
            conftest.write_text(f"{text}\n# save {number}\n", encoding="utf-8")
            watched.append(last.wait_for(number + 2) - begin)
            begin = time.perf_counter()
            worker.run(folder, job.arguments, job.options)
            bare.append(time.perf_counter() - begin)
    return watched[UNCOUNTED:], bare[UNCOUNTED:]


class _Last:
    """When the newest grid was there, and its number."""

    def __init__(self) -> None:
        self._told = threading.Condition()
        self._runs, self._at = 0, 0.0

    def __call__(self, sight: Sight) -> None:
        if not sight.running:
            with self._told:
                self._runs, self._at = sight.runs, time.perf_counter()
                self._told.notify_all()

    def wait_for(self, runs: int) -> float:
        """Wait for the run of this number, and return when it was there."""
        with self._told:
            self._told.wait_for(lambda: self._runs >= runs)
            return self._at
