"""What a file's source says: where its names come from, which `except` covers a line, what a line uses.

It reads text and abstract syntax trees only; it runs nothing, and it knows no other file.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_TRIES = (ast.Try, getattr(ast, "TryStar", ast.Try))  # `except*` came with Python 3.11
CATCHES_ALL = {"Exception", "BaseException", "RuntimeError"}


@dataclass(frozen=True)
class Origin:
    """How a module got a name: "assigned" there, or "imported" from `source`, which calls it `source_name`.

    `source` is an absolute module name, None where it cannot be known; `written` is how the import statement
    writes it.
    """

    origin: str
    line: int
    source: str | None = None
    source_name: str = ""
    written: str = ""


class Source:
    """One parsed file. All questions about a file that cannot be parsed are answered with "nothing"."""

    def __init__(self, text: str) -> None:
        try:
            self.tree = ast.parse(text)
        except (SyntaxError, ValueError):
            self.tree = ast.parse("")

    @classmethod
    def of(cls, filename: str) -> Source:
        """Return the parsed file, also of a notebook's cell that `linecache` knows."""
        return _parsed("".join(linecache.getlines(filename)))

    def origin(self, name: str, package: str | None) -> Origin | None:
        """Return where the module-level name comes from (the last statement that binds it), or None."""
        return self.origins(package).get(name)

    def origins(self, package: str | None) -> dict[str, Origin]:
        """Return where each module-level name comes from; relative imports are seen from `package`."""
        found: dict[str, Origin] = {}
        for node in _module_level(self.tree):
            if isinstance(node, ast.ImportFrom):
                source = absolute(node.module, node.level, package)
                written = "." * node.level + (node.module or "")
                for alias in node.names:
                    origin = Origin("imported", node.lineno, source, alias.name, written)
                    found[alias.asname or alias.name] = origin
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                for target in assigned_names(node):
                    found[target] = Origin("assigned", node.lineno)
            elif isinstance(node, _DEFINITIONS):
                found[node.name] = Origin("assigned", node.lineno)
        return found

    def handler(self, line: int) -> int | None:
        """Return the line of the innermost `except` or `suppress` that ends an error of this line."""
        best = None
        for start, end, handler in self._guards:
            if start <= line <= end and (best is None or start > best[0]):
                best = (start, handler)
        return best[1] if best else None

    @cached_property
    def _guards(self) -> list[tuple[int, int, int]]:
        return list(_guards(self.tree))

    def chains(self, first: int, last: int) -> list[list[str]]:
        """Return the dotted names in these lines, longest first: ["base", "books", "find"] is one."""
        return [chain for start, end, chain in self._chains if start <= last and end >= first]

    @cached_property
    def _chains(self) -> list[tuple[int, int, list[str]]]:
        found = []
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.Name, ast.Attribute)) and (chain := dotted(node)):
                found.append((node.lineno, node.end_lineno or node.lineno, chain))
        return sorted(found, key=lambda entry: -len(entry[2]))

    @property
    def statements(self) -> Iterator[ast.stmt]:
        """The statements that run at import, in the order of the lines."""
        return _module_level(self.tree)

    @cached_property
    def functions(self) -> dict[str, list[ast.FunctionDef | ast.AsyncFunctionDef]]:
        """Every function of the file by its name, in the order of the lines."""
        found: dict[str, list[ast.FunctionDef | ast.AsyncFunctionDef]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                found.setdefault(node.name, []).append(node)
        return found

    def function_at(self, line: int, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """Return the function called `name` that contains `line`, or None."""
        for node in self.functions.get(name, ()):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if first <= line <= (node.end_lineno or line):
                return node
        return None


@lru_cache(maxsize=64)
def _parsed(text: str) -> Source:
    return Source(text)


def absolute(module: str | None, level: int, package: str | None) -> str | None:
    """Return the absolute name of what `from <dots><module> import …` names, seen from `package`."""
    if level == 0:
        return module
    if package is None:
        return None
    parts = package.split(".")
    if level - 1 >= len(parts):
        return None
    base = parts[: len(parts) - (level - 1)]
    return ".".join([*base, *([module] if module else [])])


def dotted(node: ast.expr) -> list[str] | None:
    """Return ["a", "b", "c"] for the expression `a.b.c`, None for anything else."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return [node.id, *reversed(names)]


def assigned_names(node: ast.Assign | ast.AnnAssign) -> Iterator[str]:
    """Yield the plain names to which the statement assigns."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    for target in targets:
        for part in target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]:
            if isinstance(part, ast.Name):
                yield part.id


def _module_level(tree: ast.AST) -> Iterator[ast.stmt]:
    """Yield the statements that run at import, also those below `if`, `try` and `with`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.stmt):
            yield node
            if not isinstance(node, _DEFINITIONS):
                yield from _module_level(node)
        elif isinstance(node, ast.ExceptHandler):
            yield from _module_level(node)


def _guards(tree: ast.AST) -> Iterator[tuple[int, int, int]]:
    """Yield (first line, last line, line of the handler) of each block whose RuntimeErrors end there."""
    for node in ast.walk(tree):
        if isinstance(node, _TRIES):
            for handler in node.handlers:
                if _catches(handler) and not _reraises(handler):
                    yield node.body[0].lineno, node.body[-1].end_lineno or 0, handler.lineno
                    break
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                call = item.context_expr
                if isinstance(call, ast.Call) and (dotted(call.func) or [""])[-1] == "suppress":
                    yield node.body[0].lineno, node.end_lineno or 0, node.lineno


def _catches(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any((dotted(t) or [""])[-1] in CATCHES_ALL for t in types)


def _reraises(handler: ast.ExceptHandler) -> bool:
    """Whether the handler ends in a bare `raise`; one that raises something else is still the place."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def is_fixture(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a decorator of the function is called `fixture` (pytest's or pytest_asyncio's)."""
    for decorator in node.decorator_list:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        if (dotted(target) or [""])[-1] == "fixture":
            return True
    return False


def module_import(origin: Origin, root: str) -> tuple[str, str]:
    """Return the statement that imports the module `root` itself, and the name under which it is then known.

    `origin` is the import that copied a name; the statement is written as that one is, where it names `root`.
    """
    written = origin.written
    if root != origin.source or not written.strip("."):
        written = root
    parent, _, last = written.rpartition(".")
    if not parent and not written.startswith("."):
        return f"import {written}", written
    dots = written[: len(written) - len(written.lstrip("."))]
    return f"from {parent if parent.strip('.') else dots} import {last}", last
