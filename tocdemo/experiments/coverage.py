"""Coverage inline: which lines of one module of the backend a run of the tests reaches.

coverage.py measures in the thread of the run alone, from before the suite's first import. Here is also how
it looks. Knows nothing of the workspace and of faults: what runs, and in which state, is given.
"""

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import coverage
import pytest

from tocdemo.display.tables import attributes, paragraph, unfolding
from tocdemo.errors import BadInput, CannotRun
from tocdemo.runner import suite
from tocdemo.runner.result import Run

MODULE_LEVEL = "outside of any function"
_ALL = "Every statement was reached."
_BOX = (
    "max-height:32em;overflow:auto;font-family:var(--jp-code-font-family, monospace);"
    "font-size:var(--jp-code-font-size, 13px);line-height:1.35;color:var(--jp-content-font-color0);"
    "border:1px solid var(--jp-border-color2, #bbb);margin:4px 0"
)
# What stands in the margin, and its colour. The mark says what the colour says.
_REACHED, _MISSED = "+", "!"
_EDGES = {
    _REACHED: ("var(--jp-success-color1, #1a7f37)", "rgba(46, 160, 67, 0.12)"),
    _MISSED: ("var(--jp-error-color1, #b3261e)", "rgba(248, 81, 73, 0.22)"),
    " ": ("transparent", "transparent"),
}


@dataclass(frozen=True)
class Coverage:
    """The lines of a module that a run reached. In a notebook it shows itself as the module, line by line.

    `lines` is the module's source, `statements` the numbers (from 1) of the lines on which a statement
    begins, `missed` those of them that the run did not reach.
    """

    path: str
    lines: tuple[str, ...]
    statements: tuple[int, ...]
    missed: tuple[int, ...]
    run: Run = field(repr=False)

    @property
    def percent(self) -> float:
        """How many of 100 statements were reached; 100 for a module without statements."""
        total = len(self.statements)
        return 100 * (total - len(self.missed)) / total if total else 100.0

    @property
    def left_out(self) -> dict[str, tuple[int, ...]]:
        """The numbers of the missed lines, for each function that has some, by its name, in their order."""
        return {name: tuple(numbers) for name, (numbers, _) in self._by_function().items()}

    def summary(self) -> str:
        """Return the percentage and the counts, in a line. A percentage that is not whole is cut off."""
        reached = len(self.statements) - len(self.missed)
        return (
            f"{self.path}: {int(self.percent)} %, {reached} of {len(self.statements)} statements reached "
            f"({self.run.counts})"
        )

    def _by_function(self) -> dict[str, tuple[list[int], range]]:
        """Return the missed lines of each function that has some, and all of its lines."""
        functions = list(_functions("\n".join(self.lines)))
        found: dict[str, tuple[list[int], range]] = {}
        for number in self.missed:
            around = [(name, lines) for name, lines in functions if number in lines]
            name, lines = around[-1] if around else (MODULE_LEVEL, range(0))
            found.setdefault(name, ([], lines))[0].append(number)
        return found

    def _marks(self) -> list[str]:
        """Return a mark for each line: a statement's further lines have the mark of its first."""
        marks = [" "] * len(self.lines)
        for first, last in _extents("\n".join(self.lines), self.statements):
            mark = _MISSED if first in self.missed else _REACHED
            marks[first - 1 : last] = [mark] * (last - first + 1)
        return marks

    def __str__(self) -> str:
        if not self.missed:
            return f"{self.summary()}\n{_ALL}"
        words = [f"  {name}: {_ranges(numbers)}" for name, numbers in self.left_out.items()]
        return "\n".join([self.summary(), "Lines left out:", *words])

    def _repr_html_(self) -> str:
        marks = self._marks()
        rows = [_html_line(number, *row) for number, row in enumerate(zip(marks, self.lines, strict=True), 1)]
        head = "Lines left out, by function (a click shows the function):" if self.missed else _ALL
        functions = [
            _unfolding(f"{name}: {_ranges(numbers)}", [rows[line - 1] for line in lines])
            for name, (numbers, lines) in self._by_function().items()
        ]
        return "".join(
            (
                paragraph(f"<b>{escape(self.summary())}</b>"),
                paragraph(head),
                *functions,
                paragraph(
                    f"The whole module: <code>{_REACHED}</code> reached, <code>{_MISSED}</code> not reached, "
                    "no mark: not a statement"
                ),
                _listing(rows, f"{self.path}, line by line"),
            )
        )


def measure(
    folder: Path, module: str, arguments: Sequence[str], *, backend: str | None = None, timeout: float = 30.0
) -> Coverage:
    """Run the tests that pytest's `arguments` name, and return what they reach of `module`.

    `module` is a path relative to `folder`, which holds the backend. Raises BadInput when there is no such
    module or it does not parse, and CannotRun when the tests cannot run, or were stopped before their end.
    """
    return of_run(
        folder,
        module,
        lambda plugins: suite.run(folder, arguments, backend=backend, timeout=timeout, plugins=plugins),
    )


def of_run(folder: Path, module: str, do: Callable[[tuple[Any, ...]], Run]) -> Coverage:
    """Return what a run reaches of `module`, a path relative to `folder`.

    `do` makes the run, with the pytest plugins that it is given. Raises what `measure` does.
    """
    file = (folder / module).resolve()
    if file.suffix != ".py" or not file.is_file() or not file.is_relative_to(folder.resolve()):
        raise BadInput(
            f"There is no module {module!r} in {folder}; expected a path such as app/db/toc_transactions.py"
        )
    try:
        ast.parse(file.read_bytes())
    except SyntaxError as error:
        raise BadInput(f"{module} is not Python: line {error.lineno}, {error.msg}") from error
    tracer = _Tracer(file)
    run = do((tracer,))
    if run.note or tracer.found is None:
        raise CannotRun(f"The run did not reach its end, so its coverage is not known. {run.note}")
    statements, missed, text = tracer.found
    return Coverage(module, tuple(text.splitlines()), statements, missed, run)


class _Tracer:
    """A pytest plugin that measures one file from before the first conftest until the run's end.

    coverage.py (7.17) that writes no file keeps what it found for each thread, so it is asked in the run's.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.found: tuple[tuple[int, ...], tuple[int, ...], str] | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_load_initial_conftests(self, early_config: pytest.Config) -> None:
        self._coverage = coverage.Coverage(data_file=None, config_file=False, include=[str(self.file)])
        # A module that no test imports is a result, and no reason to warn.
        self._coverage.set_option("run:disable_warnings", ["no-data-collected", "module-not-measured"])
        self._text = self.file.read_text(encoding="utf-8")
        early_config.add_cleanup(self._coverage.stop)
        self._coverage.start()

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        self._coverage.stop()
        _, statements, _, missed, _ = self._coverage.analysis2(str(self.file))
        self.found = tuple(statements), tuple(missed), self._text


def _functions(text: str) -> Iterator[tuple[str, range]]:
    """Yield the name and the lines of each function, an inner one after the one around it."""

    def walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, range]]:
        for child in ast.iter_child_nodes(node):
            name = prefix
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}.{child.name}" if prefix else child.name
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield name, range(child.lineno, (child.end_lineno or child.lineno) + 1)
            yield from walk(child, name)

    yield from walk(ast.parse(text), "")


def _extents(text: str, statements: Sequence[int]) -> Iterable[tuple[int, int]]:
    """Return the first and the last line of each statement; of one with a body, its head alone."""
    last = {number: number for number in statements}  # coverage.py counts an `except`, too; the tree does not
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.stmt):
            first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
            body = getattr(node, "body", None)
            if first in last:
                last[first] = max(first, body[0].lineno - 1) if body else node.end_lineno or first
    return last.items()


def _ranges(numbers: Sequence[int]) -> str:
    """Return "line 3" or "lines 3, 7": every one by itself, as between two there may be no statement."""
    word = "line" if len(numbers) == 1 else "lines"
    return f"{word} {', '.join(map(str, numbers))}"


def _unfolding(words: str, rows: Sequence[str]) -> str:
    return unfolding(words, _listing(rows, words)) if rows else paragraph(escape(words))


def _listing(rows: Sequence[str], label: str) -> str:
    """Return lines of source in a box of their own, which scrolls, also by the keyboard."""
    box = attributes(tabindex="0", role="group", aria_label=label, style=_BOX)
    # As wide as its longest line, so that the colours do not end where a narrow window does.
    inner = attributes(style="display:inline-block;min-width:100%")
    return f"<div{box}><div{inner}>{''.join(rows)}</div></div>"


def _html_line(number: int, mark: str, line: str) -> str:
    edge, background = _EDGES[mark]
    words = {_REACHED: "reached", _MISSED: "not reached"}.get(mark, "")
    style = f"white-space:pre;border-left:4px solid {edge};background:{background};padding-left:6px"
    return f"<div{attributes(style=style, title=words)}>{mark} {number:>4}  {escape(line)}</div>"
