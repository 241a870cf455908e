"""Writes code for an advice from the project's own source: what made an object, so that it can be made anew.

It reads syntax trees only. Where an expression cannot be moved without a guess, it says so by None.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass

from ..static.sources import Source, absolute, dotted

# Functions that pytest and unittest call once, before the tests of a module or of a class.
SET_UPS = ("setUpClass", "setup_class", "setup_module", "setUpModule")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True)
class Assigned:
    """A statement at the level of a module or of a class that gives a name its value."""

    line: int
    value: ast.expr

    @property
    def is_empty(self) -> bool:
        """Whether the value makes nothing: None, or another constant."""
        return isinstance(self.value, ast.Constant)

    @property
    def is_bare(self) -> bool:
        """Whether the value is a container with nothing in it."""
        value = self.value
        if isinstance(value, ast.Call) and not value.args and not value.keywords:
            return (dotted(value.func) or [""])[-1] in ("dict", "list", "set", "OrderedDict")
        return (isinstance(value, ast.Dict) and not value.keys) or (
            isinstance(value, ast.List) and not value.elts
        )


@dataclass(frozen=True)
class Moved:
    """An expression as another file may write it, with the import statements that it needs there."""

    code: str
    imports: tuple[str, ...]


def assigned(source: Source, root: str) -> Assigned | None:
    """Return the only statement that gives `root` ("name", or "Class.name") its value at import, or None."""
    holder, _, name = root.rpartition(".")
    body: list[ast.stmt] = list(source.statements)
    if holder:
        classes = [n for n in body if isinstance(n, ast.ClassDef) and n.name == holder]
        body = classes[-1].body if classes else []
    found = [node for node in body if name in _targets(node)]
    if len(found) != 1:
        return None
    value = getattr(found[0], "value", None)
    return Assigned(found[0].lineno, value) if isinstance(value, ast.expr) else None


def _targets(node: ast.stmt) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        targets = [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def set_up(source: Source, root: str, line: int) -> Assigned | None:
    """Return the statement of this line, if it sets `root` ("name", or "Class.name"), or None."""
    holder, _, name = root.rpartition(".")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assign) and node.lineno == line and len(node.targets) == 1:
            target = node.targets[0]
            inside = isinstance(target, ast.Attribute) and target.attr == name
            if inside and _names_class(target, holder) if holder else name in _targets(node):
                return Assigned(line, node.value)
    return None


def is_lazy(source: Source, root: str) -> bool:
    """Whether a function of the file that sets `root` asks first what it is, and so sets it when empty."""
    name = root.rpartition(".")[2]
    lines = setters(source, root)
    around = [f for found in source.functions.values() for f in found]
    setting = [f for f in around if any(f.lineno <= line <= (f.end_lineno or 0) for line in lines)]
    conditions = [n.test for f in setting for n in ast.walk(f) if isinstance(n, (ast.If, ast.IfExp))]
    conditions += [n for f in setting for n in ast.walk(f) if isinstance(n, ast.BoolOp)]
    asked = [n for condition in conditions for n in ast.walk(condition)]
    return any(name in (getattr(n, "id", None), getattr(n, "attr", None)) for n in asked)


def closure_line(source: Source, function: int, name: str) -> int | None:
    """Return the line in which a function around the one that begins in this line sets `name`, or None."""
    around = [
        node
        for node in ast.walk(source.tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.lineno < function <= (node.end_lineno or 0)
    ]
    for node in reversed(around):
        found = [n for n in ast.walk(node) if isinstance(n, ast.stmt) and name in _targets(n)]
        if found:
            return found[0].lineno if len(found) == 1 else None
    return None


def setters(source: Source, root: str) -> list[int]:
    """Return the lines of functions of this file that set `root` to more than a constant."""
    holder, _, name = root.rpartition(".")
    lines = set()
    for functions in source.functions.values():
        for function in functions:
            said = {n for node in ast.walk(function) if isinstance(node, ast.Global) for n in node.names}
            for node in ast.walk(function):
                if isinstance(node, ast.Assign) and not isinstance(node.value, ast.Constant):
                    for target in _flat(node.targets):
                        if holder:
                            mine = isinstance(target, ast.Attribute) and target.attr == name
                            mine = mine and _names_class(target, holder)
                        else:
                            mine = isinstance(target, ast.Name) and target.id == name and name in said
                        if mine:
                            lines.add(node.lineno)
    return sorted(lines)


def attribute_lines(source: Source, path: list[str]) -> list[int]:
    """Return the lines that set an attribute whose name ends so: `app.state.pool = …`, `self.pool = …`."""
    found = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assign):
            chains = [dotted(target) or [] for target in _flat(node.targets)]
            own = [chain for chain in chains if chain[-len(path) :] == path or chain == ["self", path[-1]]]
            found += [node.lineno] if any(len(chain) > 1 for chain in own) else []
    return found


def _flat(targets: list[ast.expr]) -> Iterator[ast.expr]:
    for target in targets:
        yield from _flat(target.elts) if isinstance(target, (ast.Tuple, ast.List)) else [target]


def _names_class(target: ast.expr, holder: str) -> bool:
    if not isinstance(target, ast.Attribute):
        return False
    return isinstance(target.value, ast.Name) and target.value.id in ("cls", holder)


def used_at_import(source: Source, name: str, apart_from: set[int]) -> list[int]:
    """Return the lines of statements that use the name at import, but for the statements in these lines."""
    return [
        node.lineno
        for node in source.tree.body
        if node.lineno not in apart_from and any(found == name for found in _names_at_import(node))
    ]


def _names_at_import(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name):
        yield node.id
    for field, value in ast.iter_fields(node):
        if isinstance(node, _FUNCTIONS) and field == "body":
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _names_at_import(child)


@dataclass(frozen=True)
class Home:
    """Where an expression stands: the file's source, its module, and the package of its relative imports."""

    source: Source
    module: str
    package: str | None


def moved(home: Home, value: ast.expr, renewed: set[str], inside: bool) -> Moved | None:
    """Return the expression as another file writes it; `inside` as a function of the same file does.

    `renewed` are names of the module that get new values: these are never imported by name. None if the
    expression awaits something, makes a scope with names of its own, or uses names that are not the module's.
    """
    scopes = (ast.Await, ast.Lambda, ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp, ast.NamedExpr)
    names = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
    known = {*home.source.origins(home.package), *dict(_imports(home.source, home.package)), *dir(builtins)}
    if any(isinstance(node, scopes) for node in ast.walk(value)) or names - known:
        return None
    if inside:
        return Moved(ast.unparse(value), ())
    imports = {n: s for n, s in _imports(home.source, home.package) if n not in renewed}
    writer = _Qualified(imports, {*home.source.origins(home.package), *renewed}, home.module)
    code = ast.unparse(writer.visit(ast.parse(ast.unparse(value), mode="eval")))
    return Moved(code, tuple(dict.fromkeys(writer.needed)))


class _Qualified(ast.NodeTransformer):
    """Writes `name` as `module.name`, but for what an import statement can bring."""

    def __init__(self, imports: dict[str, str], own: set[str], module: str) -> None:
        self.needed: list[str] = []
        self._imports, self._own, self._module = imports, own, module

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in self._imports:
            self.needed.append(self._imports[node.id])
        elif node.id in self._own:
            self.needed.append(f"import {self._module}")
            return ast.parse(f"{self._module}.{node.id}", mode="eval").body
        return node


def _imports(source: Source, package: str | None) -> Iterator[tuple[str, str]]:
    """Yield the names that imports at module level bind, each with a statement that binds it anywhere."""
    for node in source.statements:
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                yield name, f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node.module, node.level, package)
            for alias in node.names if base else ():
                renamed = f" as {alias.asname}" if alias.asname else ""
                yield alias.asname or alias.name, f"from {base} import {alias.name}{renamed}"
