"""A run as a value, and how it looks: a grid with a cell for each test, the counts, the distinct errors.

Nothing here runs a test. The grid is an HTML table without a script; a symbol says what a colour says.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any

from tocdemo.display.code import preformatted
from tocdemo.display.grid import Box, html_grid
from tocdemo.display.looks import LOOKS
from tocdemo.display.tables import LEFT, Cell, head, html_table, paragraph, unfolding, words
from tocdemo.errors import BadInput
from tocdemo.loopwatch import Recording, pictures

COLUMNS = 14  # of the grid
OUTCOMES = ("passed", "failed", "error", "skipped", "unfinished")
_GAP = "margin:6px 0"


@dataclass(frozen=True)
class TestResult:
    """One test of a run.

    `outcome` is "passed", "failed", "error" (a failure in a fixture), "skipped" or "unfinished" (it began,
    and did not end), `seconds` its duration with fixtures, `error` the error's type and the first line of its
    message (empty when it passed), `trace` the traceback of the first test with that error, and `loop` the
    number, from 1, of its event loop. `place` says in which file and line of the suite the error arose, and
    `code` is what stands there.
    """

    __test__ = False  # for pytest: this is not a test class

    nodeid: str
    outcome: str
    seconds: float = 0.0
    error: str = ""
    trace: str = ""
    loop: int | None = None
    place: str = ""
    code: str = ""

    @property
    def name(self) -> str:
        """The test's name, without its file."""
        return self.nodeid.rpartition("::")[2]


@dataclass(frozen=True)
class Counts:
    """How many tests passed, failed, had an error in a fixture, were skipped, and did not end."""

    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0
    unfinished: int = 0

    @classmethod
    def parse(cls, text: str) -> "Counts":
        """Return the counts that a text such as "2 passed, 26 failed" names. Raises BadInput for another."""
        named: dict[str, int] = {}
        for part in text.split(","):
            found = re.fullmatch(r"\s*(\d+)\s+(passed|failed|errors?|skipped|unfinished)\s*", part)
            if not found:
                raise BadInput(f'Expected counts such as "2 passed, 26 failed", found {text!r}')
            named[{"error": "errors"}.get(found[2], found[2])] = int(found[1])
        return cls(**named)

    @property
    def total(self) -> int:
        """How many tests there are."""
        return self.passed + self.failed + self.errors + self.skipped + self.unfinished

    @property
    def short(self) -> str:
        """The counts in short, such as "2 P, 26 F"."""
        numbers = zip(
            (self.passed, self.failed, self.errors, self.skipped, self.unfinished), "PFESU", strict=True
        )
        return ", ".join(f"{number} {letter}" for number, letter in numbers if number)

    def __str__(self) -> str:
        errors = "error" if self.errors == 1 else "errors"
        words = {
            "passed": self.passed,
            "failed": self.failed,
            errors: self.errors,
            "skipped": self.skipped,
            "unfinished": self.unfinished,
        }
        return ", ".join(f"{number} {word}" for word, number in words.items() if number) or "no tests"


@dataclass(frozen=True)
class Run:
    """A run of a test suite. In a notebook it shows itself as a grid, a cell for each test.

    `text` is pytest's own output, `note` says why the run did not come to its end (or is empty), `remark`
    what else there is to say of it, `recording` holds the events of event loops and clients (or is None, for
    a run in another process).
    """

    results: tuple[TestResult, ...]
    seconds: float
    title: str = "together"
    text: str = ""
    note: str = ""
    remark: str = ""
    guess: Counts | None = None
    recording: Recording | None = field(default=None, repr=False)

    @property
    def counts(self) -> Counts:
        """How many tests had which outcome."""
        number = Counter(result.outcome for result in self.results)
        return Counts(*(number[outcome] for outcome in OUTCOMES))

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
    def unfinished(self) -> int:
        """How many tests began, and did not end."""
        return self.counts.unfinished

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

    @property
    def places(self) -> dict[str, str]:
        """Where each distinct error first arose: the file, the line, and what stands there."""
        found: dict[str, str] = {}
        for result in self.results:
            if result.error and result.place:
                found.setdefault(result.error, ": ".join(filter(None, (result.place, result.code))))
        return found

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
        full, more = [], 0
        for text in self._recorded().explanations.values():
            # A test and its fixtures may fail for a cause each.
            own = [part for part in _parts(text) if "\n  the same cause as in " not in part]
            full += own
            more += not own
        return Explanations(tuple(full), more)

    def summary(self) -> str:
        """Return the count line, like pytest's last one."""
        return f"{self.counts} in {self.seconds:.2f} s"

    def is_as(self, expected: Counts | None) -> bool:
        """Return whether the run has these counts; without counts, whether all passed."""
        return self.green if expected is None else not self.note and self.counts == expected

    def listing(self) -> str:
        """Return the run as lines for a terminal: every test, then the symbols and the counts."""
        width = max((len(result.name) for result in self.results), default=0)
        lines = [
            f"{number:3}  {result.name:{width}}  {result.outcome:7} {_with_place(result)}".rstrip()
            for number, result in enumerate(self.results, 1)
        ]
        return "\n".join([*lines, str(self)])

    def to_json(self) -> dict[str, Any]:
        """Return the run as plain data: the counts, the distinct errors, and every test."""
        tests = [
            {key: value for key, value in asdict(each).items() if key != "trace"} | {"name": each.name}
            for each in self.results
        ]
        said = {"seconds": round(self.seconds, 4), "note": self.note, "remark": self.remark}
        return self.contract() | said | {"tests": tests}

    def contract(self) -> dict[str, Any]:
        """Return what a lesson's manifest is held to."""
        return {
            "passed": self.passed,
            "failed": self.failed,
            "errors": self.errors,
            "skipped": self.skipped,
            "unfinished": self.unfinished,
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


@dataclass(frozen=True)
class Explanations:
    """What loopwatch says of a run's failures: a text for each cause, and how many more tests share one."""

    texts: tuple[str, ...]
    more: int = 0

    def __str__(self) -> str:
        if not self.texts:
            return "No test failed because of another event loop."
        tests = "test" if self.more == 1 else "tests"
        tail = [f"{self.more} more {tests} failed for the same cause."] if self.more else []
        return "\n\n".join([*self.texts, *tail])

    def _repr_html_(self) -> str:
        return preformatted(str(self))


def _parts(explanation: str) -> list[str]:
    """Return what loopwatch says of each failure of one test: each begins with its name."""
    first, *others = explanation.split("\n\nloopwatch: ")
    return [first, *(f"loopwatch: {other}" for other in others)]


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
        remark=" ".join(dict.fromkeys(run.remark for run in runs if run.remark)),
    )


# --- how a run looks ---------------------------------------------------------------------------------------


def _text(run: Run) -> str:
    """Return the run as lines: the symbols in a row, the counts, the errors, the guess, the note."""
    symbols = "".join(LOOKS[result.outcome].symbol for result in run.results)
    lines = [f"{symbols}  {run.title}: {run.summary()}"]
    for error, count in run.error_lines.items():
        lines.append(f"  {count} × {error}")
        lines += [f"      {first_place(run, error)}"] if error in run.places else []
    if run.guess is not None:
        lines.append(_guess_line(run, run.guess))
    lines += filter(None, (run.note, run.remark))
    return "\n".join(lines)


def _html(run: Run) -> str:
    """Return the run as HTML: grid, counts and errors, and a table of all tests to unfold."""
    parts = [_grid(run), paragraph(f"<b>{escape(run.title)}: {escape(run.summary())}</b>", _GAP)]
    if run.error_lines:
        parts.append(errors_table(run))
    if run.guess is not None:
        parts.append(paragraph(escape(_guess_line(run, run.guess)), _GAP))
    if run.note:
        parts.append(paragraph(f"<b>Note:</b> {escape(run.note)}", _GAP))
    if run.remark:
        parts.append(paragraph(escape(run.remark), _GAP))
    title = "The test" if run.total == 1 else f"The {run.total} tests"
    heads = [head(each) for each in ("#", "test", "outcome", "seconds", "loop", "error", "where")]
    rows = [_row(number, result) for number, result in enumerate(run.results, 1)]
    return "".join([*parts, unfolding(f"{title} as a table", html_table([heads, *rows], striped=True))])


def _grid(run: Run) -> str:
    boxes = [_box(number, result, run) for number, result in enumerate(run.results, 1)]
    return html_grid(boxes, COLUMNS, f"{run.title}: {run.summary()}")


def _box(number: int, result: TestResult, run: Run) -> Box:
    look = LOOKS[result.outcome]
    lines = [f"{number}. {result.name}: {look.word}", result.error, result.place]
    if run.recording is not None:
        lines.append(run.recording.explanations.get(result.nodeid, ""))
    return Box(look, [line for line in lines if line])


def errors_table(run: Run) -> str:
    """Return the distinct errors of a run as an HTML table: how often, what, and where first."""
    return html_table(_error(run, *each) for each in run.error_lines.items())


def _error(run: Run, error: str, count: int) -> list[Cell]:
    shown = [words(f"{count} ×", f"{LEFT};white-space:nowrap"), Cell(f"<code>{escape(error)}</code>")]
    return [*shown, words(first_place(run, error), LEFT)] if run.places else shown


def first_place(run: Run, error: str) -> str:
    """Return where an error arose, the first time when it came several times."""
    place = run.places.get(error, "")
    return f"first: {place}" if place and run.error_lines[error] > 1 else place


def _with_place(result: TestResult) -> str:
    return f"{result.error}  ({result.place})" if result.place else result.error


def _row(number: int, result: TestResult) -> list[Cell]:
    look = LOOKS[result.outcome]
    loop = "" if result.loop is None else f"#{result.loop}"
    told = (f"{look.symbol} {look.word}", f"{result.seconds:.3f}", loop, result.error, result.place)
    values = (number, result.name, *told)
    return [words(value) for value in values]


def _guess_line(run: Run, guess: Counts) -> str:
    said = f"You predicted: {guess}."
    if run.note:
        return f"{said} The run did not reach its end, so it is not compared."
    if guess.total != run.total:
        guessed = f"{guess.total} test{'' if guess.total == 1 else 's'}"
        there = f"there {'is' if run.total == 1 else 'are'} {run.total}"
        return f"You predicted {guess}: that is {guessed}, and {there}."
    right = guess == run.counts
    verdict = "Your prediction was right." if right else "They differ: what did you not expect?"
    return f"{said} Measured: {run.counts}. {verdict}"
