"""Reads a project's source: its modules, what they make at import, copy, and rebind.

It runs nothing of the project and imports nothing of it. It must not know what is right and what is wrong.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .sources import Origin, Source, absolute, assigned_names, dotted

SKIPPED = {"site-packages", "node_modules", "__pycache__", "venv", "env", "build", "dist"}
CLIENTS = {
    "motor.motor_asyncio.AsyncIOMotorClient": "motor",
    "pymongo.AsyncMongoClient": "pymongo",
    "pymongo.asynchronous.mongo_client.AsyncMongoClient": "pymongo",
    "aiohttp.ClientSession": "aiohttp",
    "httpx.AsyncClient": "httpx",
    "redis.asyncio.Redis": "redis",
    "redis.asyncio.from_url": "redis",
    "redis.asyncio.Redis.from_url": "redis",
    "sqlalchemy.ext.asyncio.create_async_engine": "SQLAlchemy",
}
LOCKS = {
    f"asyncio.{name}": "asyncio"
    for name in ("Lock", "Event", "Condition", "Semaphore", "BoundedSemaphore", "Queue", "Barrier")
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Made:
    """A module-level name that is bound at import to a client, session or lock of `library`."""

    name: str
    line: int
    library: str


class File:
    """One parsed file: its module name, its imports, and its functions."""

    def __init__(self, path: Path, module: str, is_package: bool) -> None:
        self.path = path
        self.module = module
        self.package = module if is_package else module.rpartition(".")[0]
        text = path.read_text(encoding="utf-8", errors="replace")
        self.source = Source(text)

    @cached_property
    def copies(self) -> dict[str, Origin]:
        """The names that module-level `from … import` statements bind."""
        return {n: o for n, o in self.source.origins(self.package or None).items() if o.origin == "imported"}

    @cached_property
    def aliases(self) -> dict[str, str]:
        """What each imported name stands for, as an absolute name; imports in functions count too."""
        found = {}
        for node in ast.walk(self.source.tree):
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


class Project:
    """All Python files below a folder, or one file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = [_file(path) for path in _python_files(root)]
        self.by_module = {file.module: file for file in self.files}

    def shown(self, file: File) -> str:
        """Return the file's path relative to the folder that is checked."""
        base = self.root if self.root.is_dir() else self.root.parent
        return file.path.relative_to(base).as_posix()

    @cached_property
    def makers(self) -> dict[str, str]:
        """Constructors and the project's functions that return a new client: absolute name to library."""
        found = dict(CLIENTS)
        for _ in range(3):
            for file in self.files:
                for function in file.functions:
                    for node in ast.walk(function):
                        if isinstance(node, ast.Return) and isinstance(node.value, ast.Call):
                            library = found.get(file.full_name(node.value.func) or "")
                            if library:
                                found.setdefault(f"{file.module}.{function.name}", library)
        return found

    @cached_property
    def made(self) -> dict[str, Made]:
        """What is made at import: "module.name" to `Made`, with what is taken from it (`client["db"]`)."""
        found: dict[str, Made] = {}
        for file in self.files:
            for node in file.source.statements:
                if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
                    continue
                if library := self._library(file, node.value, found):
                    for name in assigned_names(node):
                        found[f"{file.module}.{name}"] = Made(name, node.lineno, library)
        return found

    def _library(self, file: File, value: ast.expr, found: dict[str, Made]) -> str | None:
        if isinstance(value, ast.Call):
            name = file.full_name(value.func) or ""
            if library := self.makers.get(name) or LOCKS.get(name):
                return library
        while isinstance(value, ast.Call | ast.Subscript | ast.Attribute):
            value = value.func if isinstance(value, ast.Call) else value.value
        root = file.full_name(value) if isinstance(value, ast.Name) else None
        return found[root].library if root in found else None

    @cached_property
    def rebound(self) -> dict[str, tuple[File, int]]:
        """Which "module.name" is given another value after the import, and one place where."""
        found: dict[str, tuple[File, int]] = {}
        for file in self.files:
            for name, line in _rebindings(file):
                found.setdefault(name, (file, line))
        return found

    def root_of(self, origin: Origin) -> str | None:
        """Follow copies of copies: return the "module.name" that the imported name comes from."""
        for _ in range(6):
            if origin.source is None:
                return None
            file = self.by_module.get(origin.source)
            further = file.copies.get(origin.source_name) if file else None
            if further is None:
                return f"{origin.source}.{origin.source_name}"
            origin = further
        return None


def _python_files(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    return sorted(
        path
        for path in root.rglob("*.py")
        if not any(p in SKIPPED or p.startswith(".") for p in path.relative_to(root).parts[:-1])
    )


def _file(path: Path) -> File:
    """Name the module as Python does: from the first folder upwards that is not a package."""
    parts = [] if path.name == "__init__.py" else [path.stem]
    folder = path.resolve().parent
    while (folder / "__init__.py").exists():
        parts.insert(0, folder.name)
        folder = folder.parent
    return File(path, ".".join(parts) or path.stem, path.name == "__init__.py")


def _rebindings(file: File) -> Iterator[tuple[str, int]]:
    """Yield each "module.name" that the file sets from outside, from a function, or by patching."""
    for function in file.functions:
        declared = {
            name for node in ast.walk(function) if isinstance(node, ast.Global) for name in node.names
        }
        for node in ast.walk(function):
            if isinstance(node, ast.Assign | ast.AnnAssign):
                yield from (
                    (f"{file.module}.{n}", node.lineno) for n in assigned_names(node) if n in declared
                )
    for node in ast.walk(file.source.tree):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                for part in target.elts if isinstance(target, ast.Tuple) else [target]:
                    if isinstance(part, ast.Attribute) and (name := file.full_name(part)):
                        yield name, node.lineno
        elif isinstance(node, ast.Call) and (name := _patched(file, node)):
            yield name, node.lineno


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
