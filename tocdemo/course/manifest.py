"""The course's manifest, `lessons/course.toml`, and its contracts: what each run in a lesson must show.

Read by the notebook builder and by the tests, which hold every executed notebook to it. It knows the shape of
a notebook's outputs, and neither how they came about nor how notebooks are built.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

RUN_TYPE = "application/vnd.tocdemo.run+json"
EXPECTED_TYPE = "application/vnd.tocdemo.expected+json"
ORDERS_TYPE = "application/vnd.tocdemo.orders+json"
CELL_ID = re.compile(r"^[A-Za-z0-9_-]{1,64}$")  # nbformat 4.5
MAY_RAISE = "raises-exception"  # the tag that Jupyter itself knows
_OUTCOMES = ("passed", "failed", "errors", "skipped")


class CourseError(ValueError):
    """The manifest or a lesson is not as it should be; the message says where, and what was expected."""


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

    `task` says what to do, `afterwards` what must be true then: a sentence for each claim that is checked,
    by the claim's name. `files` are the files that the task is about, `start` the faults that the learner's
    copy begins with, `given` the texts of files that lie beside it then, by their paths. `hints` come in
    order, the last is nearly the solution. The solution takes `faults` out of `files`; without faults it is
    the file `solutions/NAME.diff`, beside the manifest. `others` is a word about other right ways.
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


@dataclass(frozen=True)
class Lesson:
    """One lesson: its file is `lessons/SLUG.md`, its notebook `notebooks/SLUG.ipynb`.

    An `optional` lesson has no number, and stands outside the order of the others.
    """

    slug: str
    title: str
    minutes: int
    optional: bool = False
    runs: tuple[RunContract, ...] = ()
    expected: tuple[ExpectedContract, ...] = ()
    orders: tuple[OrdersContract, ...] = ()
    exercises: tuple[Exercise, ...] = ()

    @property
    def contract_cells(self) -> set[str]:
        """The ids of the cells for which the manifest says what they must show."""
        return {contract.cell for contract in (*self.runs, *self.expected, *self.orders)}


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
    _only(table, where, "slug", "title", "minutes", "optional", "run", "expected", "orders", "exercise")
    slug = _get(table, "slug", str, where)
    where = f"{where} ({slug})"
    optional = table.get("optional", False)
    if not isinstance(optional, bool):
        raise CourseError(f"{where}: expected optional = true, or nothing; found {optional!r}")
    if not re.fullmatch(r"[a-z]\w+" if optional else r"\d\d_\w+", slug):
        like = "fixtures_that_outlive_their_loop, without a number" if optional else "01_alone_and_together"
        raise CourseError(f"{where}: expected a slug like {like}")
    return Lesson(
        slug=slug,
        title=_get(table, "title", str, where),
        minutes=_get(table, "minutes", int, where),
        optional=optional,
        runs=tuple(_run(entry, f"{where}, run") for entry in table.get("run", [])),
        expected=tuple(_expected(entry, f"{where}, expected") for entry in table.get("expected", [])),
        orders=tuple(_orders(entry, f"{where}, orders") for entry in table.get("orders", [])),
        exercises=tuple(_exercise(entry, slug, f"{where}, exercise") for entry in table.get("exercise", [])),
    )


def _exercise(table: Mapping, lesson: str, where: str) -> Exercise:
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
    _only(table, where, "cell", *_OUTCOMES, "error", "every_error", "passed_tests")
    cell = _cell(table, where)
    where = f"{where} {cell}"
    counts = {outcome: _range(table.get(outcome, 0), f"{where}, {outcome}") for outcome in _OUTCOMES}
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
    counts = {key: _range(table.get(key), f"{where} {cell}, {key}") for key in ("orders", "losing")}
    return OrdersContract(cell, **counts)


def _cell(table: Mapping, where: str) -> str:
    cell = _get(table, "cell", str, where)
    if not CELL_ID.match(cell):
        raise CourseError(f"{where}: a cell's id has 1 to 64 letters, digits, - or _, not {cell!r}")
    return cell


def _range(value: int | Mapping, where: str) -> Range:
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


def _get(table: Mapping, key: str, kind: type, where: str) -> str | int:
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


# --- holding a notebook to it ------------------------------------------------------------------------------


def violations(lesson: Lesson, cells: Iterable[Mapping]) -> list[str]:
    """Return what the executed `cells` (nbformat 4) show against the lesson's contract, if anything.

    Runs, expected errors and unexpected errors are looked for in every cell, explorations where there is a
    contract for one. Several contracts for one cell are met by its outputs in order.
    """
    cells = [cell for cell in cells if cell["cell_type"] == "code"]
    present = {cell["id"] for cell in cells}
    found = [
        f"cell {cell}: in the contract, and not in the notebook"
        for cell in sorted(lesson.contract_cells - present)
    ]
    for cell in cells:
        found += [f"cell {cell['id']}: {text}" for text in _cell_violations(lesson, cell)]
    return found


def _cell_violations(lesson: Lesson, cell: Mapping) -> list[str]:
    runs = [contract for contract in lesson.runs if contract.cell == cell["id"]]
    expected = [contract for contract in lesson.expected if contract.cell == cell["id"]]
    orders = [contract for contract in lesson.orders if contract.cell == cell["id"]]
    shown = _bundles(cell, ORDERS_TYPE) if orders else []  # a lesson may show more than it is held to
    return [
        *_error_violations(cell),
        *_pair("exploration", orders, shown, _orders_violations),
        *_pair("run", runs, _bundles(cell, RUN_TYPE), _run_violations),
        *_pair("expected error", expected, _bundles(cell, EXPECTED_TYPE), _expected_violations),
    ]


def _error_violations(cell: Mapping) -> list[str]:
    errors = [output for output in cell["outputs"] if output["output_type"] == "error"]
    may_raise = MAY_RAISE in cell["metadata"].get("tags", [])
    if may_raise and not errors:
        return [f"tagged {MAY_RAISE}, and raised nothing"]
    return [] if may_raise else [f"raised {error['ename']}: {error['evalue']}" for error in errors]


def _bundles(cell: Mapping, mime_type: str) -> list[Mapping]:
    return [output["data"][mime_type] for output in cell["outputs"] if mime_type in output.get("data", {})]


def _pair(what: str, contracts: list, shown: list[Mapping], compare) -> list[str]:
    if len(contracts) != len(shown):
        return [f"the contract has {len(contracts)} {what}(s), the cell showed {len(shown)}"]
    return [
        text for contract, bundle in zip(contracts, shown, strict=True) for text in compare(contract, bundle)
    ]


def _run_violations(contract: RunContract, run: Mapping) -> list[str]:
    found = [
        f"{outcome} must be {getattr(contract, outcome)}, was {run.get(outcome, 0)}"
        for outcome in _OUTCOMES
        if run.get(outcome, 0) not in getattr(contract, outcome)
    ]
    lines = run.get("error_lines", {})
    for error in contract.error:
        count = sum(times for line, times in lines.items() if error.text in line)
        if count == 0 and (error.count is None or 0 not in error.count):
            found.append(f"no error line contains {error.text!r}; the lines were {list(lines)}")
        elif error.count is not None and count not in error.count:
            found.append(f"{error.text!r} must be in the error lines of {error.count} tests, was in {count}")
    found += [
        f"every error line must contain {contract.every_error!r}; one was {line!r}"
        for line in lines
        if contract.every_error not in line
    ]
    names = tuple(name.rpartition("::")[2] for name in run.get("passed_tests", []))
    if contract.passed_tests is not None and sorted(contract.passed_tests) != sorted(names):
        found.append(f"the tests that pass must be {list(contract.passed_tests)}, were {list(names)}")
    return found


def _orders_violations(contract: OrdersContract, shown: Mapping) -> list[str]:
    return [
        f"{what} must be {getattr(contract, what)}, was {shown[what]}"
        for what in ("orders", "losing")
        if shown[what] not in getattr(contract, what)
    ]


def _expected_violations(contract: ExpectedContract, error: Mapping) -> list[str]:
    if error["type"] == contract.type and re.search(contract.match, error["message"]):
        return []
    return [
        f"must show {contract.type} matching {contract.match!r}, showed {error['type']}: {error['message']}"
    ]
