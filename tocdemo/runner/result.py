"""A run as a value: what each test did, and what the run as a whole showed.

`inline` and `processes` make runs; grids, checks and the command line read them. Nothing here runs a test.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from tocdemo.loopwatch import Recording, pictures

from . import grid

OUTCOMES = ("passed", "failed", "error", "skipped")


@dataclass(frozen=True)
class TestResult:
    """One test of a run.

    `outcome` is one of OUTCOMES ("error" is a failure in a fixture), `seconds` its duration with fixtures,
    `error` the error's type and the first line of its message (empty when it passed), `trace` the traceback
    of the first test with that error, and `loop` the number of the event loop that it ran on, from 1.
    """

    __test__ = False  # for pytest: this is not a test class

    nodeid: str
    outcome: str
    seconds: float = 0.0
    error: str = ""
    trace: str = ""
    loop: int | None = None

    @property
    def name(self) -> str:
        """The test's name, without its file."""
        return self.nodeid.rpartition("::")[2]


@dataclass(frozen=True)
class Guess:
    """What a learner expects of a run, as numbers of tests."""

    passed: int
    failed: int = 0
    errors: int = 0

    def __str__(self) -> str:
        return counted(passed=self.passed, failed=self.failed, errors=self.errors)


@dataclass(frozen=True)
class Run:
    """A run of a test suite. In a notebook it shows itself as a grid, a cell for each test.

    `text` is pytest's own output, `note` says what the run could not do (or is empty), `recording` holds the
    events of event loops and clients (or is None, for a run in another process).
    """

    results: tuple[TestResult, ...]
    seconds: float
    title: str = "together"
    text: str = ""
    note: str = ""
    guess: Guess | None = None
    recording: Recording | None = field(default=None, repr=False)

    @property
    def passed(self) -> int:
        """How many tests passed."""
        return self._count("passed")

    @property
    def failed(self) -> int:
        """How many tests failed in the test itself."""
        return self._count("failed")

    @property
    def errors(self) -> int:
        """How many tests could not run because a fixture failed (or their file could not be imported)."""
        return self._count("error")

    @property
    def skipped(self) -> int:
        """How many tests were skipped."""
        return self._count("skipped")

    @property
    def total(self) -> int:
        """How many tests there are."""
        return len(self.results)

    @property
    def green(self) -> bool:
        """Whether there are tests, and every one passed."""
        return bool(self.results) and self.passed == self.total and not self.note

    @property
    def passed_tests(self) -> list[str]:
        """The names of the tests that passed, in order."""
        return [result.name for result in self.results if result.outcome == "passed"]

    @property
    def error_lines(self) -> dict[str, int]:
        """The distinct errors, each with the number of tests that it came in, the most frequent first."""
        return dict(Counter(result.error for result in self.results if result.error).most_common())

    def trace(self, name: str) -> str:
        """Return the traceback of a test that failed. Raises KeyError when no test has that name."""
        result = next((each for each in self.results if name in (each.name, each.nodeid)), None)
        if result is None:
            raise KeyError(f"No test {name!r} in this run; it has {[each.name for each in self.results]}")
        same = [each.trace for each in self.results if each.error == result.error and each.trace]
        return result.trace or next(iter(same), result.error)

    def timeline(self) -> pictures.Picture:
        """Return the picture of the run's event loops: a lane for each, with the tests that ran on it."""
        return pictures.timeline(self._recorded())

    def who_holds_what(self) -> pictures.Picture:
        """Return the picture of the names that hold a client, the clients, and the event loops."""
        return pictures.who_holds_what(self._recorded())

    def explain(self) -> "Explanations":
        """Return what loopwatch says of each distinct cross-loop failure."""
        texts = self._recorded().explanations.values()
        full = [text for text in texts if "\n  the same cause as in " not in text]
        return Explanations(tuple(full), more=len(texts) - len(full))

    def summary(self) -> str:
        """Return the count line, like pytest's last one."""
        counts = counted(passed=self.passed, failed=self.failed, errors=self.errors, skipped=self.skipped)
        return f"{counts} in {self.seconds:.2f} s"

    def to_json(self) -> dict[str, Any]:
        """Return the run as plain data: the counts, the distinct errors, and every test."""
        tests = [
            {key: value for key, value in asdict(each).items() if key != "trace"} | {"name": each.name}
            for each in self.results
        ]
        return self.contract() | {"seconds": round(self.seconds, 4), "note": self.note, "tests": tests}

    def contract(self) -> dict[str, Any]:
        """Return what a lesson's manifest is held to."""
        return {
            "passed": self.passed,
            "failed": self.failed,
            "errors": self.errors,
            "skipped": self.skipped,
            "total": self.total,
            "error_lines": self.error_lines,
            "passed_tests": self.passed_tests,
        }

    def _count(self, outcome: str) -> int:
        return sum(result.outcome == outcome for result in self.results)

    def _recorded(self) -> Recording:
        if self.recording is None:
            raise ValueError("This run has no record of its event loops: it ran test by test")
        return self.recording

    def __str__(self) -> str:
        return grid.text(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {
            "text/plain": str(self),
            "text/html": grid.html(self),
            "application/vnd.tocdemo.run+json": self.contract(),
        }


@dataclass(frozen=True)
class Explanations:
    """What loopwatch says of a run's failures: a text for each cause, and how many more tests share one."""

    texts: tuple[str, ...]
    more: int = 0

    def __str__(self) -> str:
        if not self.texts:
            return "No test failed because of another event loop."
        tail = [f"{self.more} more tests failed for the same cause."] if self.more else []
        return "\n\n".join([*self.texts, *tail])

    def _repr_html_(self) -> str:
        return grid.preformatted(str(self))


def error_line(error: BaseException) -> str:
    """Return an error's type and the first line of its message.

    PyMongo (4.x) adds the server's whole reply, with the cluster's time: no two of those are equal. asyncio
    tells of a task with its name, its file and its callbacks: these differ from test to test, too.
    """
    message = str(error).partition(", full error: ")[0].strip().splitlines()
    if not message:
        return type(error).__name__
    return f"{type(error).__name__}: {_OF_A_TASK.sub('<…>', message[0])}"


_OF_A_TASK = re.compile(r"<(Task|Future) .*?>(?= got Future | attached to )")


def counted(**counts: int) -> str:
    """Return "2 passed, 26 failed" from numbers; what is 0 is left out, and "1 errors" is "1 error"."""
    words = [
        f"{count} {'error' if what == 'errors' and count == 1 else what}"
        for what, count in counts.items()
        if count
    ]
    return ", ".join(words) or "no tests"


def together(runs: Iterable[Run], title: str) -> Run:
    """Return one run that holds the results of several."""
    runs = list(runs)
    return Run(
        results=tuple(result for run in runs for result in run.results),
        seconds=sum(run.seconds for run in runs),
        title=title,
        text="\n".join(run.text for run in runs),
        note=" ".join(dict.fromkeys(run.note for run in runs if run.note)),
    )


def dump(run: Run) -> str:
    """Return the run's JSON text, on several lines."""
    return json.dumps(run.to_json(), indent=2)
