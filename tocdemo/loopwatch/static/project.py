"""Reads a project's source: its modules, their functions and names, and what is put into them later.

It runs nothing of the project and imports nothing of it. It must not know what is right and what is wrong.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .names import FUNCTIONS, Function, bound_names, walk
from .settings import common_folder
from .sources import Origin, Source, absolute, assigned_names, dotted

SKIPPED = {"site-packages", "node_modules", "__pycache__", "venv", "env", "build", "dist"}


@dataclass(frozen=True, eq=False)
class Def:
    """A function at module level, or a method; `owner` is its class."""

    file: File
    node: Function
    owner: ast.ClassDef | None = None

    @property
    def name(self) -> str:
        own = f"{self.owner.name}.{self.node.name}" if self.owner else self.node.name
        return f"{self.file.module}.{own}"

    @property
    def is_async(self) -> bool:
        return isinstance(self.node, ast.AsyncFunctionDef)

    @cached_property
    def local(self) -> frozenset[str]:
        """The names that are the function's own: its parameters, and what it assigns."""
        return frozenset(bound_names(self.node))


class File:
    """One parsed file: its module name, its imports, and its functions."""

    def __init__(self, path: Path, module: str, package: str) -> None:
        self.path = path
        self.module = module
        self.package = package
        self.text = path.read_text(encoding="utf-8", errors="replace")
        self.source = Source(self.text)

    @cached_property
    def copies(self) -> dict[str, Origin]:
        """The names that module-level `from … import` statements bind."""
        return {n: o for n, o in self.source.origins(self.package or None).items() if o.origin == "imported"}

    @cached_property
    def aliases(self) -> dict[str, str]:
        """What each imported name stands for, as an absolute name; imports in functions count too."""
        found = {}
        for node in walk(self.source.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    found[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom):
                base = absolute(node.module, node.level, self.package or None)
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{base}.{alias.name}" if base else alias.name
        return found

    def full_name(self, node: ast.expr) -> str | None:
        """Return the absolute dotted name that `a.b.c` stands for in this file, or None."""
        chain = dotted(node)
        if chain is None:
            return None
        return ".".join([self.aliases.get(chain[0], f"{self.module}.{chain[0]}"), *chain[1:]])

    @property
    def functions(self) -> Iterator[Function]:
        for found in self.source.functions.values():
            yield from found

    @cached_property
    def asks_for_loops(self) -> bool:
        """Whether the text has a word with which a loop or a task is asked for."""
        return any(word in self.text for word in ("_running_loop", "_event_loop", "current_"))

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        return {node.name: node for node in self.source.statements if isinstance(node, ast.ClassDef)}

    @cached_property
    def defs(self) -> dict[str, Def]:
        """The functions of the module and of its classes, by "name" or "Class.name"."""
        found = {}
        for node in self.source.statements:
            if isinstance(node, FUNCTIONS):
                found[node.name] = Def(self, node)
            elif isinstance(node, ast.ClassDef):
                for child in node.body:
                    if isinstance(child, FUNCTIONS):
                        found[f"{node.name}.{child.name}"] = Def(self, child, node)
        return found

    @cached_property
    def values(self) -> dict[str, list[ast.expr]]:
        """What is assigned at module level: the name to the values, in the order of the lines."""
        found: dict[str, list[ast.expr]] = {}
        for node in self.source.statements:
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
                for name in assigned_names(node):
                    found.setdefault(name, []).append(node.value)
        return found


@dataclass(frozen=True, eq=False)
class Target:
    """What an absolute name leads to: a name of a module, and the attributes that are looked up on it."""

    file: File
    name: str
    rest: tuple[str, ...] = ()

    @property
    def root(self) -> str:
        return f"{self.file.module}.{self.name}"

    @property
    def function(self) -> Def | None:
        """The function or method that the whole name leads to."""
        return self.file.defs.get(".".join((self.name, *self.rest)))

    @property
    def full(self) -> str:
        return ".".join((self.root, *self.rest))

    @property
    def is_class(self) -> bool:
        """Whether the whole name leads to a class of the project."""
        return not self.rest and self.name in self.file.classes

    @property
    def class_(self) -> ast.ClassDef | None:
        return self.file.classes.get(self.name)


@dataclass(frozen=True, eq=False)
class Rebinding:
    """A place that puts another object under a name of a module or class, after the import."""

    file: File
    line: int
    function: Def | None
    value: ast.expr | None = None
    patch: bool = False


class Project:
    """All Python files below some folders, and single files."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.base = common_folder(paths)
        self.files = _files(paths, self.base)
        self.by_module = _by_module(self.files, self.base)

    def shown(self, file: File) -> str:
        """Return the file's path relative to the current folder, or else to the folder that is checked."""
        path = file.path.absolute()
        for base in (Path.cwd(), self.base):
            if path.is_relative_to(base) and self.base.is_relative_to(base):
                return path.relative_to(base).as_posix()
        return path.as_posix()

    def resolve(self, full: str, depth: int = 0) -> Target | None:
        """Follow an absolute name, through copies of copies, to the module of the project that defines it."""
        parts = full.split(".")
        for cut in range(len(parts) - 1, 0, -1):
            file = self.by_module.get(".".join(parts[:cut]))
            if file is None:
                continue
            name, rest = parts[cut], parts[cut + 1 :]
            copied = file.copies.get(name)
            if copied is not None and copied.source is not None and depth < 8:
                further = ".".join([copied.source, copied.source_name, *rest])
                return None if further == full else self.resolve(further, depth + 1)
            return Target(file, name, tuple(rest))
        return None

    def target(self, file: File, node: ast.expr) -> Target | None:
        """Return what `a.b.c` leads to, seen from the module level of the file."""
        full = file.full_name(node)
        return self.resolve(full) if full else None

    def slot(self, full: str) -> str | None:
        """Return the one name of what an assignment to `full` sets: "module.name" or "module.Class.name"."""
        owner, _, name = full.rpartition(".")
        if not owner:
            return None
        if owner in self.by_module:
            return f"{self.by_module[owner].module}.{name}"
        target = self.resolve(owner)
        if target is None or (target.rest and target.name not in target.file.classes):
            return None
        return ".".join((target.root, *target.rest, name))

    @cached_property
    def rebound(self) -> dict[str, list[Rebinding]]:
        """Which "module.name" is given another value after the import, and where."""
        found: dict[str, list[Rebinding]] = {}
        for file in self.files:
            for full, rebinding in _rebindings(file):
                name = self.slot(full)
                if name:
                    found.setdefault(name, []).append(rebinding)
        return found

    @cached_property
    def rebound_by(self) -> dict[int, list[tuple[str, Rebinding]]]:
        """The rebindings by the function (its node's id) that does them."""
        found: dict[int, list[tuple[str, Rebinding]]] = {}
        for name, places in self.rebound.items():
            for place in places:
                if place.function is not None:
                    found.setdefault(id(place.function.node), []).append((name, place))
        return found


def _files(paths: Sequence[Path], base: Path) -> list[File]:
    found = sorted({path for given in paths for path in _python_files(given)})
    named = [(path, *_module_name(path, base)) for path in found]
    counts = Counter(module for _, module, _ in named)
    return [
        File(path, module if counts[module] == 1 else _dotted_path(path, base), package)
        for path, module, package in named
    ]


def _by_module(files: list[File], base: Path) -> dict[str, File]:
    """Name the files as imports do: by their packages, or by the end of their path if one file has it."""
    found = {file.module: file for file in files}
    shorter: dict[str, list[File]] = {}
    for file in files:
        parts = _dotted_path(file.path, base).split(".")
        for begin in range(len(parts)):
            shorter.setdefault(".".join(parts[begin:]), []).append(file)
    for name, same in shorter.items():
        if len(same) == 1:
            found.setdefault(name, same[0])
    return found


def _python_files(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    return [
        path
        for path in root.rglob("*.py")
        if not any(p in SKIPPED or p.startswith(".") for p in path.relative_to(root).parts[:-1])
    ]


def _dotted_path(path: Path, base: Path) -> str:
    parts = list(path.absolute().relative_to(base).with_suffix("").parts)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return ".".join(parts)


def _module_name(path: Path, base: Path) -> tuple[str, str]:
    """Name the module, and its package, as Python does: from the first folder that is not a package."""
    is_package = path.name == "__init__.py"
    parts = [] if is_package else [path.stem]
    folder = path.resolve().parent
    while (folder / "__init__.py").exists() and folder.parent != folder:
        parts.insert(0, folder.name)
        folder = folder.parent
    module = ".".join(parts) or path.stem
    package = module if is_package else module.rpartition(".")[0]
    return module, package or _dotted_path(path, base).rpartition(".")[0]


def _rebindings(file: File) -> Iterator[tuple[str, Rebinding]]:
    """Yield each absolute name that the file sets from outside, from a function, or by patching."""
    inside: set[int] = set()
    for function in file.defs.values():
        for node in walk(function.node):
            inside.add(id(node))
            yield from _sets(file, function, node)
    for node in walk(file.source.tree):
        if id(node) not in inside:
            yield from _sets(file, None, node)


def _sets(file: File, function: Def | None, node: ast.AST) -> Iterator[tuple[str, Rebinding]]:
    if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            for part in target.elts if isinstance(target, ast.Tuple) else [target]:
                if full := _set_name(file, function, part):
                    yield full, Rebinding(file, node.lineno, function, node.value)
    elif isinstance(node, ast.Call) and (full := _patched(file, node)):
        yield full, Rebinding(file, node.lineno, function, patch=True)


def _set_name(file: File, function: Def | None, part: ast.expr) -> str | None:
    if isinstance(part, ast.Name):
        if function is None or part.id in function.local:
            return None
        return f"{file.module}.{part.id}"
    chain = dotted(part) if isinstance(part, ast.Attribute) else None
    if chain is None:
        return None
    if function and function.owner and chain[0] in ("cls", function.owner.name) and len(chain) == 2:
        return f"{file.module}.{function.owner.name}.{chain[1]}"
    if function and chain[0] in function.local and chain[0] not in file.aliases:
        return None
    return file.full_name(part)


def _patched(file: File, call: ast.Call) -> str | None:
    """Return what `setattr(module, "name", …)`, `monkeypatch.setattr` or `patch("module.name")` sets."""
    called = (dotted(call.func) or [""])[-1]
    if called not in ("setattr", "patch", "object") or not call.args:
        return None
    first = call.args[0]
    if isinstance(first, ast.Constant) and isinstance(first.value, str) and called != "object":
        return first.value
    second = call.args[1] if len(call.args) > 1 else None
    base = file.full_name(first)
    if base and isinstance(second, ast.Constant) and isinstance(second.value, str):
        return f"{base}.{second.value}"
    return None
