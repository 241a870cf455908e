"""The course's manifest, `lessons/course.toml`: its lessons in order, their contracts and their exercises.

A contract says what a run in a lesson must show. It knows neither how notebooks are built nor how they run.
"""

import itertools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tocdemo.errors import BadInput, CourseError
from tocdemo.subject import changes, faults
from tocdemo.subject.workspace import Start

CELL_ID = re.compile(r"^[A-Za-z0-9_-]{1,64}$")  # nbformat 4.5
Kind = TypeVar("Kind", str, int)
OUTCOMES = ("passed", "failed", "errors", "skipped")


@dataclass(frozen=True)
class Range:
    """A count that must lie between two bounds, both included."""

    min: int
    max: int

    def __contains__(self, count: int) -> bool:
        return self.min <= count <= self.max

    def __str__(self) -> str:
        return str(self.min) if self.min == self.max else f"{self.min} to {self.max}"


@dataclass(frozen=True)
class ErrorLine:
    """Some error lines of a run must contain `text`; in `count` tests, when a count is given."""

    text: str
    count: Range | None = None


@dataclass(frozen=True)
class RunContract:
    """What one run must show. A count that the manifest does not name must be 0.

    Each of its error lines must contain `every_error`: for a run that may fail, but in one way only.
    """

    cell: str
    passed: Range
    failed: Range
    errors: Range
    skipped: Range
    error: tuple[ErrorLine, ...] = ()
    passed_tests: tuple[str, ...] | None = None
    every_error: str = ""


@dataclass(frozen=True)
class ExpectedContract:
    """What an expected error (`lab.expected`) must be: its type's name, a pattern found in its message."""

    cell: str
    type: str
    match: str = ""


@dataclass(frozen=True)
class OrdersContract:
    """How many orders an exploration must run, and how many of them must lose a change."""

    cell: str
    orders: Range
    losing: Range


@dataclass(frozen=True)
class Exercise:
    """A change that a lesson asks its learner to make. Its `name` is unique in the course.

    `task` says what to do, `afterwards` what must be true then: a sentence for each claim that is checked, by
    the claim's name. `files` are the files that the task is about, `start` the faults that the learner's copy
    begins with, `given` the texts of files that lie beside it then, by their paths; without a `backend`, they
    are all that is there. `hints` come in order,
    the last is nearly the solution. The solution takes `faults` out of `files`; without faults it is the file
    `solutions/NAME.diff`, beside the manifest. `others` is a word about other right ways.
    """

    name: str
    lesson: str
    task: str
    afterwards: Mapping[str, str]
    files: tuple[str, ...]
    start: tuple[str, ...]
    given: Mapping[str, str]
    hints: tuple[str, ...]
    faults: tuple[str, ...]
    others: str
    backend: bool = True

    @property
    def begins(self) -> Start:
        """What a learner's copy begins with."""
        return Start(self.start, given=self.given, backend=self.backend)


@dataclass(frozen=True)
class Lesson:
    """One lesson: its file is `lessons/SLUG.md`, its notebook `notebooks/SLUG.ipynb`.

    An `optional` lesson has no number, and stands outside the order of the others. Its workspace begins with
    `start`.
    """

    slug: str
    title: str
    optional: bool = False
    runs: tuple[RunContract, ...] = ()
    expected: tuple[ExpectedContract, ...] = ()
    orders: tuple[OrdersContract, ...] = ()
    exercises: tuple[Exercise, ...] = ()
    start: Start = field(default_factory=Start)

    @property
    def contract_cells(self) -> set[str]:
        """The ids of the cells for which the manifest says what they must show."""
        cells = ([each.cell for each in kind] for kind in (self.runs, self.expected, self.orders))
        return set(itertools.chain.from_iterable(cells))


# --- reading the manifest ----------------------------------------------------------------------------------


def load(path: Path) -> tuple[Lesson, ...]:
    """Return the manifest's lessons in order; raise `CourseError` when anything in it is not understood."""
    try:
        manifest = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CourseError(f"{path}: there is no such file; it names the lessons, in order") from None
    except tomllib.TOMLDecodeError as error:
        raise CourseError(f"{path}: not valid TOML: {error}") from error
    _only(manifest, str(path), "lesson")
    lessons = tuple(
        _lesson(table, f"{path.name}, lesson {n}") for n, table in enumerate(manifest.get("lesson", []), 1)
    )
    slugs = [lesson.slug for lesson in lessons]
    names = [exercise.name for lesson in lessons for exercise in lesson.exercises]
    if len(set(names)) < len(names):
        raise CourseError(f"{path}: expected a name of its own for each exercise; found {names}")
    if lessons and lessons[0].optional:
        raise CourseError(f"{path}: the first lesson, {slugs[0]}, has the map; it cannot be optional")
    if not lessons or len(set(slugs)) < len(slugs):
        raise CourseError(
            f"{path}: expected one [[lesson]] per lesson, each with a slug of its own; found {slugs}"
        )
    return lessons


def _lesson(table: Mapping, where: str) -> Lesson:
    if "minutes" in table:
        raise CourseError(f"{where}: minutes are computed (`build --measure`): leave them out")
    _only(table, where, "slug", "title", "optional", "run", "expected", "orders", "exercise", "start")
    slug = _get(table, "slug", str, where)
    where = f"{where} ({slug})"
    optional = table.get("optional", False)
    if not isinstance(optional, bool):
        raise CourseError(f"{where}: expected optional = true, or nothing; found {optional!r}")
    if not re.fullmatch(r"[a-z]\w+" if optional else r"\d\d_\w+", slug):
        like = "fixtures_that_outlive_their_loop, without a number" if optional else "01_alone_and_together"
        raise CourseError(f"{where}: expected a slug like {like}")
    start = table.get("start", {})
    exercises = tuple(
        _exercise(entry, slug, f"{where}, exercise", backend=start.get("backend", True))
        for entry in table.get("exercise", [])
    )
    return Lesson(
        slug=slug,
        title=_get(table, "title", str, where),
        optional=optional,
        runs=tuple(_run(entry, f"{where}, run") for entry in table.get("run", [])),
        expected=tuple(_expected(entry, f"{where}, expected") for entry in table.get("expected", [])),
        orders=tuple(_orders(entry, f"{where}, orders") for entry in table.get("orders", [])),
        exercises=exercises,
        start=_start(start, exercises, f"{where}, start"),
    )


def _start(table: Mapping, exercises: tuple[Exercise, ...], where: str) -> Start:
    """Read what a lesson's workspace begins with: a state, changes made in it, further files."""
    _only(table, where, "state", "made", "faults", "neighbours", "backend")
    try:
        names = faults.state(table.get("state", "incident"))
        gone = changes.faults_of(_texts(table, "made", where))
        names = _texts(table, "faults", where) or tuple(name for name in names if name not in gone)
        for name in names:
            faults.get(name)
        return Start(
            names, bool(table.get("neighbours", False)), _given(exercises), bool(table.get("backend", True))
        )
    except BadInput as error:
        raise CourseError(f"{where}: {error}") from None


def _given(exercises: tuple[Exercise, ...]) -> dict[str, str]:
    return {path: text for exercise in exercises for path, text in exercise.given.items()}


def _exercise(table: Mapping, lesson: str, where: str, *, backend: bool) -> Exercise:
    keys = ("task", "afterwards", "files", "start", "given", "hints", "faults", "others")
    _only(table, where, "name", *keys)
    name = _get(table, "name", str, where)
    where = f"{where} {name}"
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise CourseError(f"{where}: expected a name such as async-fixture")
    hints = _texts(table, "hints", where)
    if not 2 <= len(hints) <= 4:
        raise CourseError(f"{where}: expected 2 to 4 hints, found {len(hints)}")
    if not table.get("afterwards") or not table.get("files"):
        raise CourseError(f"{where}: expected one file or more, and one sentence or more in `afterwards`")
    return Exercise(
        name=name,
        lesson=lesson,
        task=_get(table, "task", str, where).strip(),
        afterwards=_text_table(table, "afterwards", where),
        files=_texts(table, "files", where),
        start=_texts(table, "start", where),
        given=_text_table(table, "given", where),
        hints=hints,
        faults=_texts(table, "faults", where),
        others=_get(table, "others", str, where).strip(),
        backend=backend,
    )


def _texts(table: Mapping, key: str, where: str) -> tuple[str, ...]:
    texts = table.get(key, [])
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise CourseError(f"{where}: expected {key} = a list of texts, found {texts!r}")
    return tuple(texts)


def _text_table(table: Mapping, key: str, where: str) -> Mapping[str, str]:
    texts = table.get(key, {})
    if not isinstance(texts, Mapping) or not all(isinstance(text, str) and text for text in texts.values()):
        raise CourseError(f"{where}: expected {key} = a table of texts, found {texts!r}")
    return dict(texts)


def _run(table: Mapping, where: str) -> RunContract:
    _only(table, where, "cell", *OUTCOMES, "error", "every_error", "passed_tests")
    cell = _cell(table, where)
    where = f"{where} {cell}"
    counts = {outcome: _range(table.get(outcome, 0), f"{where}, {outcome}") for outcome in OUTCOMES}
    errors = table.get("error", [])
    errors = errors if isinstance(errors, list) else [errors]
    names = table.get("passed_tests")
    return RunContract(
        cell=cell,
        **counts,
        error=tuple(_error_line(entry, f"{where}, error") for entry in errors),
        passed_tests=None if names is None else tuple(names),
        every_error=_get(table, "every_error", str, where) if "every_error" in table else "",
    )


def _error_line(entry: str | Mapping, where: str) -> ErrorLine:
    if isinstance(entry, str):
        return ErrorLine(entry)
    if not isinstance(entry, Mapping):
        raise CourseError(f'{where}: expected a text or {{text = "...", count = 26}}, found {entry!r}')
    _only(entry, where, "text", "count")
    count = _range(entry["count"], f"{where}, count") if "count" in entry else None
    return ErrorLine(_get(entry, "text", str, where), count)


def _expected(table: Mapping, where: str) -> ExpectedContract:
    _only(table, where, "cell", "type", "match")
    contract = ExpectedContract(_cell(table, where), _get(table, "type", str, where), table.get("match", ""))
    try:
        re.compile(contract.match)
    except (re.error, TypeError) as error:
        raise CourseError(f"{where} {contract.cell}: match is no regular expression: {error}") from error
    return contract


def _orders(table: Mapping, where: str) -> OrdersContract:
    _only(table, where, "cell", "orders", "losing")
    cell = _cell(table, where)
    counts = {key: _range(table.get(key, ""), f"{where} {cell}, {key}") for key in ("orders", "losing")}
    return OrdersContract(cell, **counts)


def _cell(table: Mapping, where: str) -> str:
    cell = _get(table, "cell", str, where)
    if not CELL_ID.match(cell):
        raise CourseError(f"{where}: a cell's id has 1 to 64 letters, digits, - or _, not {cell!r}")
    return cell


def _range(value: object, where: str) -> Range:
    if isinstance(value, Mapping):
        _only(value, where, "min", "max")
        found = Range(_get(value, "min", int, where), _get(value, "max", int, where))
    elif isinstance(value, int) and not isinstance(value, bool):
        found = Range(value, value)
    else:
        raise CourseError(f"{where}: expected a number or {{min = 27, max = 28}}, found {value!r}")
    if not 0 <= found.min <= found.max:
        raise CourseError(f"{where}: expected 0 <= min <= max, found {found}")
    return found


def _get(table: Mapping, key: str, kind: type[Kind], where: str) -> Kind:
    value = table.get(key)
    if not isinstance(value, kind) or isinstance(value, bool) or (not value and kind is str):
        raise CourseError(
            f"{where}: expected {key} = {'a number' if kind is int else 'a text'}, found {value!r}"
        )
    return value


def _only(table: Mapping, where: str, *known: str) -> None:
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise CourseError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(known)}")
