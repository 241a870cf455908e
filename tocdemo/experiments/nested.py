"""pytest in a running loop, as in a notebook's kernel, without and with nest_asyncio, version by version.

Each run is a process of its own: nest_asyncio changes the whole process that it is applied in. Run as a
program, this module measures and writes `nested.json`. Knows nothing of notebooks.
"""

import dataclasses
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tocdemo.errors import CannotRun
from tocdemo.runner import environment
from tocdemo.runner.progress import Progress, silent
from tocdemo.runner.result import Run
from tocdemo.subject import sources

from . import versions

FILE = Path(__file__).with_name("nested.json")
COMMAND = "python -m tocdemo.experiments.nested"

# What ipytest does in a notebook's own thread: it calls pytest while the kernel's loop runs.
IN_A_LOOP = """\
import asyncio
import sys

import pytest


async def kernel():
    return pytest.main(sys.argv[1:])


sys.exit(asyncio.run(kernel()))
"""
PATCHED = IN_A_LOOP.replace("import pytest\n", "import nest_asyncio\nimport pytest\n").replace(
    "    return", "    nest_asyncio.apply()\n    return"
)
_STARTERS = {
    "in a process": versions.STARTER,
    "in a running loop": IN_A_LOOP,
    "with nest_asyncio": PATCHED,
}
_STATES = {"incident": "incident", "fixed": "dynamic, async fixture"}
CASES = {
    f"{state}, {way}": versions.Case(versions.STATES[name], starter)
    for state, name in _STATES.items()
    for way, starter in _STARTERS.items()
}
DRIVERS = (
    versions.Driver(
        "Motor 3.7.1, nest_asyncio 1.6.0",
        "motor",
        ("motor==3.7.1", "pymongo==4.20.0", "nest-asyncio==1.6.0"),
        "3.11",
    ),
)


def recorded() -> versions.Versions:
    """Return what the data file of the package holds: the last measurement."""
    return dataclasses.replace(versions.recorded(FILE), columns=tuple(CASES), command=COMMAND)


def measure(on_progress: Progress = silent) -> versions.Versions:
    """Measure every case with every pytest-asyncio. Raises what `versions.measure` raises."""
    found = versions.measure(on_progress, drivers=DRIVERS, cases=CASES)
    return dataclasses.replace(found, command=COMMAND)


def run(starter: Path) -> Run:
    """Run the 28 of a copy of the backend in a process of its own, in which `starter` starts pytest.

    `starter` is a Python program in the copy's folder, which calls pytest with `sys.argv[1:]`. Raises
    CannotRun with what the process said, when no test came to a result.
    """
    backend = starter.parent
    suite = backend / sources.SUITE
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="tocdemo-nested-") as folder:
        report = Path(folder) / "report.xml"
        child = subprocess.run(
            [
                *(sys.executable, str(starter), str(suite)),
                *("-q", "--tb=line", "-p", "no:cacheprovider", f"--junitxml={report}"),
            ],
            cwd=backend,
            env=environment.of_child({"PYTHONDONTWRITEBYTECODE": "1"}),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=versions.LIMIT,
        )
        results = versions.junit_results(report) if report.exists() else ()
    if not results:
        raise CannotRun(f"No test ran: {(child.stdout + child.stderr).strip()[-1000:]}")
    seconds = time.perf_counter() - begin
    return Run(results, seconds, title="in a process of its own", text=child.stdout)


def _main() -> int:
    def progress(done: int, total: int, left: float) -> None:
        print(f"{done} of {total} versions, about {left:.0f} s left", file=sys.stderr)

    try:
        measured = measure(progress)
    except versions.CannotBuild as error:
        print(error, file=sys.stderr)
        return 1
    print(measured)
    if any(pair.why for pair in measured.pairs):
        print(f"Not written to {FILE.name}: not every version could be measured", file=sys.stderr)
        return 1
    versions.record(measured, FILE)
    return 0


if __name__ == "__main__":
    sys.exit(_main())
