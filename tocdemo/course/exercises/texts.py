"""The learner's files as texts: read whatever they hold, parsed, and asked where something stands.

A file that cannot be read or parsed is a `Problem` with its place, never an error. It knows nothing of what
an exercise asks for.
"""

import ast
import io
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from .verdict import Part, Problem

MOST_BYTES = 500_000  # no file of the course is a tenth of it; parsing much more would take long

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Text:
    """A Python file of the learner's that parses."""

    path: str
    text: str
    tree: ast.Module = field(repr=False, compare=False)

    @cached_property
    def lines(self) -> list[str]:
        """The lines as Python counts them: not every character that Unicode breaks lines at is one."""
        return self.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")

    def line(self, number: int | None) -> str:
        """Return the line of this number (from 1), without its end; empty when there is none."""
        return self.lines[number - 1] if number and 0 < number <= len(self.lines) else ""

    def functions(self) -> dict[str, Function]:
        """Return the functions of the module itself, by their names. Of two of one name, the last counts."""
        return {node.name: node for node in self.tree.body if isinstance(node, Function)}

    def part(self, done: bool, sentence: str, line: int | None = None) -> Part:
        """Return a part about this file, and one of its lines."""
        return Part(done, sentence, self.path, line, self.line(line))

    def binding(self, name: str) -> int | None:
        """Return the line that gives the module's `name` its object, if one does.

        A function that does so, by `global`, comes before the module's own statements, which are older.
        """
        setting = [node for node in ast.walk(self.tree) if isinstance(node, Function) and _sets(node, name)]
        lines = [
            node.lineno
            for each in setting
            for node in ast.walk(each)
            if isinstance(node, ast.stmt) and name in _bound(node)
        ]
        own = [node.lineno for node in _statements(self.tree.body) if name in _bound(node)]
        return lines[0] if lines else own[-1] if own else None


def read(folder: Path, path: str) -> Text | Problem:
    """Return the Python file `path` of `folder`, parsed, or what is wrong with it."""
    raw = read_bytes(folder, path)
    if isinstance(raw, Problem):
        return raw
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
        text = raw.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        what = "is no text in UTF-8" if isinstance(error, UnicodeDecodeError) else f"cannot be read: {error}"
        return Problem(f"this line {what}. Nothing else was judged.", path, _undecodable_line(raw))
    return parsed(path, text.removeprefix("\ufeff"))


def read_bytes(folder: Path, path: str) -> bytes | Problem:
    """Return what the file `path` of `folder` holds, or why that cannot be had."""
    file = folder / path
    try:
        if file.is_dir():
            return Problem("there is a folder of this name, where a file should be.", path)
        if file.exists() and not file.is_file():
            return Problem("this is no ordinary file: not read.", path)
        size = file.stat().st_size
        if size > MOST_BYTES:
            return Problem(f"this file has {size:,} bytes, far more than any of the course: not read.", path)
        return file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        what = "there is no such file" if folder.is_dir() else f"there is no folder {folder}"
        return Problem(f"{what}.", path)
    except OSError as error:
        return Problem(f"this file cannot be read: {error.strerror or error}.", path)


def parsed(path: str, text: str) -> Text | Problem:
    """Return the text of a Python file, parsed, or what is wrong with it."""
    if "\0" in text:
        line = text[: text.find("\0")].count("\n") + 1
        return Problem("this line holds a null character, which is no Python.", path, line)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an invalid escape, say: not ours to tell
            tree = ast.parse(text)
            compile(tree, path, "exec", dont_inherit=True)  # `return` outside a function, and the like
    except SyntaxError as error:
        return _syntax_problem(path, text, error)
    except (ValueError, RecursionError, MemoryError) as error:
        return Problem(f"Python cannot read this file: {type(error).__name__}.", path)
    return Text(path, text, tree)


def _syntax_problem(path: str, text: str, error: SyntaxError) -> Problem:
    line = error.lineno or 1
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    stands = lines[line - 1] if line <= len(lines) else ""
    shown: tuple[str, ...] = ()
    if stands.strip():
        column = max((error.offset or 1) - 1, 0)
        caret = "".join("\t" if char == "\t" else " " for char in stands[:column]).ljust(column)
        start = max(0, column - 100)
        shown = (stands[start : start + 160], f"{caret[start:]}^")
    message = error.msg or "invalid syntax"
    return Problem(f"this line is no Python yet ({message}). Nothing else was judged.", path, line, shown)


def _undecodable_line(raw: bytes) -> int | None:
    for number, line in enumerate(raw.split(b"\n"), 1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            return number
    return None


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run at the module's level, those below `if` and `try` among them."""
    for node in body:
        yield node
        for part in ("body", "orelse", "finalbody"):
            if not isinstance(node, Function | ast.ClassDef):
                yield from _statements(getattr(node, part, []))
        for handler in getattr(node, "handlers", []):
            yield from _statements(handler.body)


def _sets(function: Function, name: str) -> bool:
    return any(isinstance(node, ast.Global) and name in node.names for node in ast.walk(function))


def _bound(node: ast.stmt) -> set[str]:
    if isinstance(node, Function | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
    return set()
