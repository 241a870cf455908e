"""A run as a value: what each test did, what the run as a whole showed, and how that looks.

In a notebook a run is a grid with a cell for each test, its counts, and its distinct errors. Nothing here
runs a test.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from tocdemo.display import tables
from tocdemo.display.code import preformatted
from tocdemo.display.looks import LOOKS
from tocdemo.display.markup import Markup, bold, element, joined, paragraph, unfolding
from tocdemo.errors import BadInput
from tocdemo.loopwatch import Recording, pictures

IN_A_ROW = 14  # cells of the grid
_GRID = tables.Layout(
    "border-collapse:collapse;margin:4px 0",
    cell="width:2.1em;height:2.1em;text-align:center;padding:0;border:2px solid transparent;font-weight:bold;"
    "background-clip:padding-box",
    row="background:none",
)
_ERRORS = tables.Layout(tables.PLAIN.table, cell=tables.LEFT, row="background:none")
_HEADS = ("#", "test", "outcome", "seconds", "loop", "error")


@dataclass(frozen=True)
class TestResult:
    """One test of a run.

    `outcome` is "passed", "failed", "error" (a failure in a fixture) or "skipped", `seconds` its duration
    with fixtures, `error` the error's type and the first line of its message (empty when it passed), `trace`
    the traceback of the first test with that error, and `loop` the number of the event loop that it ran on,
    from 1.
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
class Counts:
    """How many tests passed, failed in the test itself, had an error in a fixture, and were skipped."""

    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0

    @classmethod
    def of(cls, results: Iterable[TestResult]) -> "Counts":
        """Count the outcomes of these tests."""
        outcomes = Counter(result.outcome for result in results)
        return cls(outcomes["passed"], outcomes["failed"], outcomes["error"], outcomes["skipped"])

    @classmethod
    def parse(cls, text: str) -> "Counts":
        """Read what `str` writes, such as "2 passed, 26 failed". Raises BadInput when it is not that."""
        counts: dict[str, int] = {}
        for part in text.split(","):
            found = re.fullmatch(r"\s*(\d+)\s+(passed|failed|errors?|skipped)\s*", part)
            if not found:
                raise BadInput(f'Expected counts such as "2 passed, 26 failed", found {text!r}')
            counts["errors" if found[2] == "error" else found[2]] = int(found[1])
        return cls(**counts)

    @property
    def total(self) -> int:
        """How many tests there are."""
        return sum(asdict(self).values())

    @property
    def short(self) -> str:
        """The counts in short, such as "2 P, 26 F"; what is 0 is left out."""
        return ", ".join(f"{count} {word[0].upper()}" for word, count in asdict(self).items() if count)

    def __str__(self) -> str:
        words = [
            f"{count} {'error' if word == 'errors' and count == 1 else word}"
            for word, count in asdict(self).items()
            if count
        ]
        return ", ".join(words) or "no tests"


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
        return preformatted(str(self))


@dataclass(frozen=True)
class Run:
    """A run of a test suite. In a notebook it shows itself as a grid, a cell for each test.

    `text` is pytest's own output, `note` says what kept the run from its end (or is empty), `guess` is what a
    learner expected of it, `recording` holds the events of event loops and clients (or is None, when each
    test ran alone).
    """

    results: tuple[TestResult, ...]
    seconds: float
    title: str = "together"
    text: str = ""
    note: str = ""
    guess: Counts | None = None
    recording: Recording | None = field(default=None, repr=False)

    @property
    def counts(self) -> Counts:
        """How many tests had which outcome."""
        return Counts.of(self.results)

    @property
    def passed(self) -> int:
        """How many tests passed."""
        return self.counts.passed

    @property
    def failed(self) -> int:
        """How many tests failed in the test itself."""
        return self.counts.failed

    @property
    def errors(self) -> int:
        """How many tests could not run because a fixture failed (or their file could not be imported)."""
        return self.counts.errors

    @property
    def skipped(self) -> int:
        """How many tests were skipped."""
        return self.counts.skipped

    @property
    def total(self) -> int:
        """How many tests there are."""
        return len(self.results)

    @property
    def green(self) -> bool:
        """Whether there are tests, and every one passed."""
        return bool(self.results) and self.passed == self.total and not self.note

    @property
    def outcome(self) -> str:
        """What the run is shown as: "passed" when it is green, else the more frequent of the other two."""
        return "passed" if self.green else "error" if self.errors > self.failed else "failed"

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

    def explain(self) -> Explanations:
        """Return what loopwatch says of each distinct cross-loop failure."""
        texts = self._recorded().explanations.values()
        full = [text for text in texts if "\n  the same cause as in " not in text]
        return Explanations(tuple(full), more=len(texts) - len(full))

    def summary(self) -> str:
        """Return the count line, like pytest's last one."""
        return f"{self.counts} in {self.seconds:.2f} s"

    def to_json(self) -> dict[str, Any]:
        """Return the run as plain data: the counts, the distinct errors, and every test."""
        tests = [
            {key: value for key, value in asdict(each).items() if key != "trace"} | {"name": each.name}
            for each in self.results
        ]
        return self.contract() | {"seconds": round(self.seconds, 4), "note": self.note, "tests": tests}

    def contract(self) -> dict[str, Any]:
        """Return what a lesson's manifest is held to."""
        return asdict(self.counts) | {
            "total": self.total,
            "error_lines": self.error_lines,
            "passed_tests": self.passed_tests,
        }

    def _recorded(self) -> Recording:
        if self.recording is None:
            raise ValueError("This run has no record of its event loops: it ran test by test")
        return self.recording

    def __str__(self) -> str:
        return _text(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {
            "text/plain": str(self),
            "text/html": _html(self),
            "application/vnd.tocdemo.run+json": self.contract(),
        }


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


# --- how a run looks ---------------------------------------------------------------------------------------


def _text(run: Run) -> str:
    """Return the run as lines of text: the symbols in a row, the counts, the errors, the guess, the note."""
    symbols = "".join(LOOKS[result.outcome].symbol for result in run.results)
    lines = [f"{symbols}  {run.title}: {run.summary()}"]
    lines += [f"  {count} × {error}" for error, count in run.error_lines.items()]
    if run.guess is not None:
        lines.append(_verdict(run, run.guess))
    if run.note:
        lines.append(run.note)
    return "\n".join(lines)


def _html(run: Run) -> Markup:
    """Return the run as HTML: grid, counts and errors, and a table of all tests to unfold."""
    parts = [_grid(run), paragraph(bold(f"{run.title}: {run.summary()}"), margin="6px 0")]
    if run.error_lines:
        parts.append(_errors(run))
    if run.guess is not None:
        parts.append(paragraph(_verdict(run, run.guess), margin="6px 0"))
    if run.note:
        parts.append(paragraph(bold("Note:"), f" {run.note}", margin="6px 0"))
    what = "The test" if run.total == 1 else f"The {run.total} tests"
    return joined(*parts, unfolding(f"{what} as a table", _table(run)))


def _verdict(run: Run, guess: Counts) -> str:
    """Return what is to be said of a guess: only a whole run of so many tests can judge it."""
    if run.note:
        return f"You predicted {guess}. The run did not come to its end, so it cannot tell."
    if guess.total != run.total:
        guessed = f"{guess.total} test{'' if guess.total == 1 else 's'}"
        there = f"there {'is' if run.total == 1 else 'are'} {run.total}"
        return f"You predicted {guess}: that is {guessed}, and {there}."
    right = guess == run.counts
    verdict = "Your prediction was right." if right else "They differ: what did you not expect?"
    return f"You predicted: {guess}. Measured: {run.counts}. {verdict}"


def _grid(run: Run) -> Markup:
    cells = [_cell(number, result, run) for number, result in enumerate(run.results, 1)]
    rows = [cells[start : start + IN_A_ROW] for start in range(0, len(cells), IN_A_ROW)]
    return tables.html(rows, layout=_GRID, label=f"{run.title}: {run.summary()}")


def _cell(number: int, result: TestResult, run: Run) -> tables.Cell:
    look = LOOKS[result.outcome]
    lines = [f"{number}. {result.name}: {look.word}", result.error]
    if run.recording is not None:
        lines.append(run.recording.explanations.get(result.nodeid, ""))
    return tables.Cell(look.symbol, look.style, title="\n".join(line for line in lines if line))


def _errors(run: Run) -> Markup:
    rows = [
        (tables.Cell(f"{count} ×", "white-space:nowrap"), element("code", error))
        for error, count in run.error_lines.items()
    ]
    return tables.html(rows, layout=_ERRORS)


def _table(run: Run) -> Markup:
    return tables.html([_row(number, result) for number, result in enumerate(run.results, 1)], _HEADS)


def _row(number: int, result: TestResult) -> tuple[str, ...]:
    look = LOOKS[result.outcome]
    loop = "" if result.loop is None else f"#{result.loop}"
    outcome = f"{look.symbol} {look.word}"
    return str(number), result.name, outcome, f"{result.seconds:.3f}", loop, result.error
