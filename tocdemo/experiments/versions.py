"""The same question on other versions: each driver with each pytest-asyncio, in an environment of its own.

Environments are made by uv and kept below `.tocdemo/versions`. The suites run as plain pytest processes on
the embedded server, and their results are read from JUnit files. What was measured last is kept in
`versions.json`. Knows nothing of notebooks.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import date
from html import escape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tocdemo.display.tables import LEFT, head, html_table, paragraph, text_table, words
from tocdemo.errors import CannotBuild
from tocdemo.runner import databases, environment
from tocdemo.runner.progress import Progress, reporter, silent
from tocdemo.runner.result import Counts, TestResult
from tocdemo.subject import faults, sources

FILE = Path(__file__).with_name("versions.json")
CACHE = Path(__file__).resolve().parents[2] / ".tocdemo" / "versions"
LIMIT = 300.0  # seconds that making an environment, or a run of the 28, may take

# What is left of the incident in each state. The guard is in, so that the race plays no part.
STATES: Mapping[str, tuple[str, ...]] = {
    "incident": faults.state("incident"),
    "dynamic, sync fixture": ("sync-fixture", "unbound-client", "swallowing-probe"),
    "dynamic, async fixture": ("unbound-client", "swallowing-probe"),
}
# Starts pytest with the arguments of the process, as `python -m pytest` does.
STARTER = "import sys\n\nimport pytest\n\nsys.exit(pytest.main(sys.argv[1:]))\n"
# Python 3.10 has no datetime.UTC, and the backend is written for 3.11.
_OLDER_PYTHON = "import datetime\n\ndatetime.UTC = datetime.timezone.utc\n"
_PLUGINS = ("-p", "no:cacheprovider", "-p", "older_python")


@dataclass(frozen=True)
class Driver:
    """A driver as it was released: its name in the table, its pins, and the Python that it runs on."""

    title: str
    name: str  # what DATABASE_DRIVER is set to
    pins: tuple[str, ...]
    python: str


DRIVERS = (
    Driver("Motor 2.5.1", "motor", ("motor==2.5.1", "pymongo==3.13.0"), "3.10"),
    Driver("Motor 3.0.0", "motor", ("motor==3.0.0", "pymongo==4.8.0"), "3.10"),  # no later PyMongo imports
    Driver("Motor 3.7.1", "motor", ("motor==3.7.1", "pymongo==4.20.0"), "3.11"),
    Driver("PyMongo Async 4.13.2", "pymongo", ("pymongo==4.13.2",), "3.11"),
    Driver("PyMongo Async 4.20.0", "pymongo", ("pymongo==4.20.0",), "3.11"),
)
# pytest-asyncio, and a pytest that it works with.
PLUGINS = (
    ("0.21.2", "8.4.2"),
    ("0.23.8", "8.4.2"),
    ("0.26.0", "8.4.2"),
    ("1.1.0", "8.4.2"),
    ("1.5.0", "9.2.0"),
)


@dataclass(frozen=True)
class Case:
    """What is run in each environment: the faults that are in, and the program that starts pytest."""

    faults: tuple[str, ...]
    starter: str = STARTER


@dataclass(frozen=True)
class Pair:
    """A driver with a pytest-asyncio: `counts` maps each state to (passed, failed, errors).

    `why` says why there are no counts, when the pair could not be measured.
    """

    driver: str
    python: str
    pytest_asyncio: str
    pytest: str
    counts: Mapping[str, tuple[int, int, int]]
    why: str = ""


@dataclass(frozen=True)
class Versions:
    """What was measured, and on which day (ISO). In a notebook it shows itself as a table."""

    measured_on: str
    pairs: tuple[Pair, ...]
    columns: tuple[str, ...] = tuple(STATES)
    command: str = "python -m tocdemo matrix --versions"

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, which is what the data file holds."""
        return {"measured_on": self.measured_on, "pairs": [asdict(pair) for pair in self.pairs]}

    def __str__(self) -> str:
        rows = [self._heads(), *map(self._row, self.pairs)]
        lines = text_table(rows)
        return "\n".join([self._label(), *lines, *(f"{p.driver}: {p.why}" for p in self.pairs if p.why)])

    def _repr_html_(self) -> str:
        rows = [[head(each) for each in self._heads()]]
        for _, group in itertools.groupby(self.pairs, key=lambda pair: (pair.driver, pair.python)):
            pairs = list(group)
            for pair in pairs:
                # One cell for the driver and one for its Python, beside all the rows that share them.
                shared = [words(word, rows=len(pairs)) for word in self._row(pair)[:2]]
                others = [words(word, f"{LEFT};white-space:nowrap", pair.why) for word in self._row(pair)[2:]]
                rows.append([*(shared if pair is pairs[0] else []), *others])
        return paragraph(f"<b>{escape(self._label())}</b>") + html_table(rows, striped=True)

    def _label(self) -> str:
        return f"Recorded on {self.measured_on}. To measure again: {self.command}"

    def _heads(self) -> list[str]:
        return ["driver", "Python", "pytest-asyncio", "pytest", *self.columns]

    def _row(self, pair: Pair) -> list[str]:
        counts = [
            Counts(*pair.counts[name]).short if name in pair.counts else "not measured"
            for name in self.columns
        ]
        return [pair.driver, pair.python, pair.pytest_asyncio, pair.pytest, *counts]


def recorded(file: Path | None = None) -> Versions:
    """Return what a data file of the package holds (FILE, if none is named): the last full measurement."""
    data = json.loads((file or FILE).read_text(encoding="utf-8"))
    return Versions(data["measured_on"], tuple(Pair(**pair) for pair in data["pairs"]))


def record(measured: Versions, file: Path | None = None) -> None:
    """Write a data file (FILE, if none is named), whole or not at all."""
    sources.write_file(file or FILE, json.dumps(measured.to_json(), indent=1) + "\n")


def measure(
    on_progress: Progress = silent,
    *,
    drivers: Sequence[Driver] | None = None,
    cases: Mapping[str, Case] | None = None,
) -> Versions:
    """Measure every pair, as many at once as there are processors. A pair that fails says why.

    `on_progress` gets the number of pairs done, their total, and the seconds left, by estimate. `drivers` and
    `cases`, if given, come in place of DRIVERS and STATES. Environments that an earlier call made are used
    again. Raises CannotBuild when there is no uv.
    """
    uv = _uv()
    cases = cases or {state: Case(names) for state, names in STATES.items()}
    jobs = [(driver, plugin, pytest) for driver in drivers or DRIVERS for plugin, pytest in PLUGINS]
    found: dict[int, Pair] = {}
    tell = reporter(len(jobs), on_progress)
    with databases.open_database("embedded") as server, ThreadPoolExecutor(os.cpu_count()) as pool:
        futures = {
            pool.submit(_pair, *job, cases, uv=uv, uri=server.uri): place for place, job in enumerate(jobs)
        }
        try:
            for number, future in enumerate(as_completed(futures), 1):
                found[futures[future]] = future.result()
                tell(number)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return Versions(date.today().isoformat(), tuple(found[place] for place in sorted(found)), tuple(cases))


def _pair(driver: Driver, plugin: str, pytest: str, cases: Mapping[str, Case], *, uv: str, uri: str) -> Pair:
    counts, why = {}, ""
    try:
        python = _environment(driver, plugin, pytest, uv)
        for name, case in cases.items():
            counts[name] = run_with(python, case.faults, driver.name, uri, starter=case.starter)
    except CannotBuild as error:
        why = str(error)
    return Pair(driver.title, driver.python, plugin, pytest, counts, why)


def _environment(driver: Driver, plugin: str, pytest: str, uv: str) -> Path:
    """Return the Python of an environment with these versions; make it when it is not there yet."""
    pins = [*driver.pins, f"pytest-asyncio=={plugin}", f"pytest=={pytest}"]
    folder = CACHE / "_".join([f"python-{driver.python}", *pins]).replace("==", "-")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready = folder / "ready"
    if not ready.exists():
        shutil.rmtree(folder, ignore_errors=True)
        _call([uv, "venv", "--python", str(interpreter(driver.python)), str(folder)])
        _call([uv, "pip", "install", "--python", str(python), *pins])
        ready.touch()
    return python


def _call(command: list[str]) -> None:
    environment = dict(os.environ) | {"UV_PYTHON_DOWNLOADS": "never"}
    environment.pop("VIRTUAL_ENV", None)
    child = subprocess.run(
        command, env=environment, capture_output=True, encoding="utf-8", errors="replace", timeout=LIMIT
    )
    if child.returncode:
        raise CannotBuild(f"{' '.join(command[1:3])} failed: {child.stderr.strip()[-400:]}")


def interpreter(version: str) -> Path:
    """Return a Python of that version, such as "3.10": this one, one on the PATH, or one that pyenv or
    the launcher `py` (of Windows) knows.

    Raises CannotBuild when there is none.
    """
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return Path(sys.executable)
    kept = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates = sorted(kept.glob(f"{version}.*/bin/python"))
    on_path = shutil.which(f"python{version}") or _known_to_py(version)
    # pyenv's shims are on the PATH for every version, and refuse to start: what pyenv keeps comes first.
    candidates = candidates or ([Path(on_path)] if on_path else [])
    if not candidates:
        raise CannotBuild(f"There is no Python {version} on the PATH or in {kept}: install one and try again")
    return candidates[-1]


def _known_to_py(version: str) -> str | None:
    if shutil.which("py") is None:
        return None
    command = ["py", f"-{version}", "-c", "import sys; print(sys.executable)"]
    told = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    return told.stdout.strip() or None


def _uv() -> str:
    found = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if found is None:
        raise CannotBuild("There is no uv, which makes the environments. Install it: pip install uv")
    return found


def run_with(
    python: Path, names: Iterable[str], driver: str, uri: str, *, starter: str = STARTER
) -> tuple[int, int, int]:
    """Run the 28 with these faults in a process of that Python. Returns (passed, failed, errors).

    `driver` is what DATABASE_DRIVER is set to, `uri` the server's. `starter` is the text of the program that
    starts pytest. Raises CannotBuild when the suite does not start there.
    """
    with tempfile.TemporaryDirectory(prefix="tocdemo-versions-") as folder:
        copy = Path(folder).resolve()
        files = faults.with_faults(names)
        files["pytest.ini"] = "[pytest]\nasyncio_mode = strict\n"  # this project's plugin is not there
        files["older_python.py"] = _OLDER_PYTHON
        files["starter.py"] = starter
        sources.write(files, copy)
        own = databases.Database(uri, f"{databases.PREFIX}{copy.name.replace('-', '_')}", driver)
        report = copy / "report.xml"
        child = subprocess.run(
            [
                str(python),
                "starter.py",
                sources.SUITE,
                "-q",
                "--tb=line",
                *_PLUGINS,
                f"--junitxml={report}",
            ],
            cwd=copy,
            env=environment.of_child(own.environment() | {"PYTHONPATH": str(copy)}),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=LIMIT,
        )
        if child.returncode not in (0, 1) or not report.exists():
            raise CannotBuild(f"The suite does not start: {(child.stdout + child.stderr).strip()[-400:]}")
        return read_junit(report)


def read_junit(report: Path) -> tuple[int, int, int]:
    """Return (passed, failed, errors) of a JUnit file, each test counted once, as in a Run."""
    found = [result.outcome for result in junit_results(report)]
    return found.count("passed"), found.count("failed"), found.count("error")


def junit_results(report: Path) -> tuple[TestResult, ...]:
    """Return the tests of a JUnit file in order; one whose teardown fails, too, is one test."""
    found: dict[str, TestResult] = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        told = {child.tag: child.get("message", "") for child in case}
        kind = next((tag for tag in ("failure", "error", "skipped") if tag in told), "passed")
        if name not in found or found[name].outcome != "failed":
            error = "" if kind in ("skipped", "passed") else _junit_error(told[kind])
            outcome = "failed" if kind == "failure" else kind
            found[name] = TestResult(name, outcome, float(case.get("time") or 0), error)
    return tuple(found.values())


def _junit_error(message: str) -> str:
    """pytest writes `failed on setup with "RuntimeError: ..."` for what fails in a fixture."""
    _, separator, rest = message.partition(' with "')
    return (rest.rstrip('"') if separator and message.startswith("failed on ") else message).partition("\n")[
        0
    ]
