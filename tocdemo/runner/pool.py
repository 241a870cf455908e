"""Several runs side by side, each in one of a few Python processes.

It shares the runs out, tells how far they are, and keeps what was measured when it is interrupted. What is
run, and where its files come from, is for the caller to say.
"""

import contextlib
import os
import queue
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from .progress import Progress, reporter
from .result import Run
from .worker import Worker

# A process a core, within reason: in a workshop many learners measure at once on one machine.
PROCESSES = min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)

# A job is called with `run`, a function like `suite.run` that does it in a process, and returns the run.
Job = Callable[..., Run]


@dataclass(frozen=True)
class Measured:
    """The runs that ended, by their jobs' places; `note` says why some did not (or is empty)."""

    runs: dict[int, Run]
    seconds: float
    note: str


def share_out(jobs: Sequence[Job], on_progress: Progress) -> Measured:
    """Do the jobs in PROCESSES processes, and return their runs.

    `on_progress` gets the number of runs done, their total, and the seconds left, by estimate. An interrupt,
    or a run that was stopped, ends it; what was measured until then is returned. Raises what a job raises.
    """
    done: dict[int, Run] = {}
    note, begin = "", time.perf_counter()
    ended = reporter(len(jobs), on_progress)
    try:
        with contextlib.closing(_as_they_end(jobs)) as runs:
            for place, run in runs:
                if run.note:
                    note = f"Stopped after {len(done)} of {len(jobs)} runs: {run.note}"
                    break
                done[place] = run
                ended(len(done))
    except KeyboardInterrupt:
        note = f"Stopped after {len(done)} of {len(jobs)} runs."
    return Measured(dict(sorted(done.items())), time.perf_counter() - begin, note)


def _as_they_end(jobs: Sequence[Job]) -> Generator[tuple[int, Run], None, None]:
    """Yield the place and the run of each job, as they end."""
    idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()

    def do(job: Job) -> Run:
        worker = idle.get()
        try:
            return job(run=worker.run)
        finally:
            idle.put(worker)

    with contextlib.ExitStack() as stack:
        for _ in range(min(PROCESSES, len(jobs))):
            idle.put(stack.enter_context(Worker()))
        threads = ThreadPoolExecutor(idle.qsize())
        # Runs under way may end, so that they drop their databases; those that wait are left out.
        stack.callback(threads.shutdown, cancel_futures=True)
        places = {threads.submit(do, job): place for place, job in enumerate(jobs)}
        for future in as_completed(places):
            yield places[future], future.result()
