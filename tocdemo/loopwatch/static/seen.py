"""What the names in one function lead to: kept objects, functions and classes of the project.

It follows local names, attributes and what functions return. It must not know what is done with them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .names import Function, defaults, last_name, parameters, walk
from .objects.kept import Kept
from .objects.libraries import MAKERS, WRAPPERS
from .objects.things import bindings, made_class
from .project import Def, File, Project, Target
from .sources import dotted


@dataclass(frozen=True)
class Given:
    """What a function's parameters are: instances of the project's classes, or kept objects (by root)."""

    instances: Mapping[str, Target] = field(default_factory=dict)
    held: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{sorted((n, t.root) for n, t in self.instances.items())} {sorted(self.held.items())}"


DEPENDS = {"Depends", "Security"}


class Seen:
    """The names of one function, with what its parameters are known to be."""

    overridden: frozenset[str] = frozenset()  # dependencies in whose place the tests put others

    def __init__(self, project: Project, kept: Mapping[str, Kept], function: Def, given: Given) -> None:
        self.project, self.kept = project, kept
        self.function, self.file = function, function.file
        self.instances = dict(given.instances)
        self.held = dict(given.held)  # a local name to the root of what it is, or is taken from
        self.same = set(given.held)  # the names that are the object itself

    def read_names(self) -> None:
        for names, value in bindings(self.function.node):
            inner = value.value if isinstance(value, ast.Await) else value
            if root := self._holds(inner):
                self.held.update(dict.fromkeys(names, root))
                self.same |= set(names) if self.root(inner) else set()
            elif target := self._instance(inner):
                self.instances.update(dict.fromkeys(names, target))

    def _dependencies(self) -> None:
        """FastAPI's `client=Depends(get_client)`, also in `Annotated`: it is what the function gives."""
        for name, value in [*defaults(self.function.node), *_annotated(self.function.node)]:
            called = value.args[0] if isinstance(value, ast.Call) and value.args else None
            if called is not None and isinstance(value, ast.Call) and last_name(value.func) in DEPENDS:
                target = self.target(called)
                function = target.function if target is not None else None
                if function is not None and function.name not in self.overridden:
                    cached = f"{function.name}()"
                    root = cached if cached in self.kept else self.factory(function)
                    if root is not None:
                        self.held[name] = root

    def _own_default(self) -> None:
        for name in {a.arg for a in walk(self.function.node) if isinstance(a, ast.arg)}:
            root = f"{self.function.name}({name})"
            if root in self.kept:
                self.held[name] = root
                self.same.add(name)

    def _holds(self, node: ast.expr) -> str | None:
        """Return the root of the kept object that the expression gives: a name, an item, a factory's call."""
        while isinstance(node, (ast.Subscript, ast.Call, ast.Attribute)):
            if (root := self.root(node) or self._built_from(node)) is not None:
                return root
            node = node.func if isinstance(node, ast.Call) else node.value
        return self.root(node)

    def _built_from(self, node: ast.expr) -> str | None:
        """Return the kept object from which the call makes another: `Redis(connection_pool=pool)`."""
        if not isinstance(node, ast.Call):
            return None
        full = self.file.full_name(node.func) or ""
        target = self.target(node.func)
        if full not in MAKERS and full not in WRAPPERS and not (target and target.is_class):
            return None
        arguments = (*node.args, *(k.value for k in node.keywords))
        return next((root for argument in arguments if (root := self.root(argument))), None)

    def root(self, node: ast.expr) -> str | None:
        if isinstance(node, ast.Call):
            target = self.target(node.func)
            function = target.function if target else None
            if function is None:
                return None
            root = f"{function.name}()"
            if root in self.kept:
                return root
            return self.factory(function)
        chain = dotted(node)
        if chain is None:
            return None
        if len(chain) == 1 and chain[0] in self.held:
            return self.held[chain[0]]
        if chain[-3:-1] == ["app", "state"] and len(chain) > 3:  # request.app.state.pool
            states = [root for root in self.kept if root.endswith(f".state.{chain[-1]}")]
            return states[0] if len(states) == 1 else None
        owner = self.function.owner if chain[0] == "self" and len(chain) == 2 else None
        own = self._attribute(owner, chain[1]) if owner is not None else None
        target = self.target(node) if own is None else None
        found = target.full if target is not None else own
        return found if found in self.kept else None

    def _attribute(self, owner: ast.ClassDef, name: str) -> str | None:
        """Return the kept object that `self.name` is: of a singleton, or taken from outside by `__init__`."""
        single = f"{self.file.module}.{owner.name}().{name}"
        begin = self.file.defs.get(f"{owner.name}.__init__")
        if single in self.kept or begin is None:
            return single if single in self.kept else None
        for node in walk(begin.node):
            if isinstance(node, ast.Assign) and dotted(node.targets[0]) == ["self", name]:
                parts = node.value.values if isinstance(node.value, ast.BoolOp) else [node.value]
                for part in parts:
                    chain = dotted(part)
                    target = (
                        self.project.target(self.file, part)
                        if chain and chain[0] not in begin.local
                        else None
                    )
                    if target is not None and target.full in self.kept:
                        return None if len(parts) > 1 and self._is_given(owner) else target.full
        return None

    def _is_given(self, owner: ast.ClassDef) -> bool:
        """Whether any code makes an instance with arguments: then the object may be another."""
        return any(
            isinstance(node, ast.Call) and last_name(node.func) == owner.name and (node.args or node.keywords)
            for file in self.project.files
            if owner.name in file.text
            for node in walk(file.source.tree)
        )

    def factory(self, function: Def, depth: int = 0) -> str | None:
        """Return the kept object that a function of the project returns (`return _client`)."""
        for node in walk(function.node):
            if isinstance(node, (ast.Return, ast.Yield)) and node.value is not None and depth < 4:
                value = node.value.value if isinstance(node.value, ast.Await) else node.value
                chain = dotted(value)
                if chain is not None and (chain[0] in ("self", "cls") or chain[0] not in function.local):
                    target = self._seen(function, value)
                    root = target.full if target else ""
                    if root in self.kept:
                        return root
                if isinstance(value, ast.Call) and last_name(value.func) in ("setdefault", "get"):
                    value = getattr(value.func, "value", value)
                    target = self._seen(function, value)
                    if target is not None and target.full in self.kept:
                        return target.full
                if isinstance(value, ast.Subscript):
                    while isinstance(value, ast.Subscript):  # SERVICES[kind][name]
                        value = value.value
                    target = self._seen(function, value)
                    if target is not None and target.root in self.kept:
                        return target.root
                if isinstance(value, ast.Call):
                    target = self._seen(function, value.func)
                    inner = target.function if target else None
                    if inner is not None and inner is not function:
                        cached = f"{inner.name}()"
                        if cached in self.kept:
                            return cached
                        if (found := self.factory(inner, depth + 1)) is not None:
                            return found
        return None

    def _seen(self, function: Def, node: ast.expr) -> Target | None:
        chain = dotted(node)
        if chain and chain[0] in ("self", "cls") and function.owner:
            return self._member(function.file, function.owner, chain[1:]) if chain[1:] else None
        return self.project.target(function.file, node)

    def target(self, node: ast.expr) -> Target | None:
        """Return what `a.b.c` leads to, seen from inside the function."""
        chain = dotted(node)
        if chain is None:
            inner = node.value if isinstance(node, ast.Attribute) else None
            made = self._instance(inner) if inner is not None else None
            return self._method(made, [node.attr]) if made and isinstance(node, ast.Attribute) else None
        if chain[0] in ("self", "cls") and self.function.owner and len(chain) > 1:
            return self._member(self.file, self.function.owner, chain[1:])
        if chain[0] in self.instances:
            return self._method(self.instances[chain[0]], chain[1:])
        if chain[0] in self.function.local and chain[0] not in self.file.aliases:
            return None
        target = self.project.target(self.file, node)
        if target and target.rest and target.name not in target.file.classes:
            made = self._value(target)
            if made is not None:
                return self._method(made, list(target.rest)) or target
        return target

    def _value(self, target: Target) -> Target | None:
        """Return the class of which a module's global is an instance."""
        for value in target.file.values.get(target.name, []):
            made = self.project.target(target.file, value.func) if isinstance(value, ast.Call) else None
            if made is not None and made.is_class:
                return made
        return None

    def _instance(self, node: ast.expr | None) -> Target | None:
        """Return the class of which the expression makes or names an instance."""
        if isinstance(node, ast.Call):
            target = self.target(node.func)
            if target and target.is_class:
                return target
            if target and target.function is not None:
                return self._made_by(target.function)
            return None
        if isinstance(node, ast.Name) and node.id in self.instances:
            return self.instances[node.id]
        target = self.target(node) if isinstance(node, (ast.Name, ast.Attribute)) else None
        return self._value(target) if target and not target.rest else None

    def _made_by(self, function: Def) -> Target | None:
        return made_class(self.project, function)

    def _method(self, made: Target, names: list[str]) -> Target | None:
        return self._member(made.file, made.file.classes[made.name], names) if names else made

    def _member(self, file: File, owner: ast.ClassDef, names: list[str], depth: int = 0) -> Target | None:
        """Return the method or attribute of a class, or of a class of the project above it."""
        known = f"{file.module}.{owner.name}.{names[0]}" in self.kept
        if known or f"{owner.name}.{names[0]}" in file.defs or depth > 5:
            return Target(file, owner.name, tuple(names))
        for base in owner.bases:
            target = self.project.target(file, base)
            found = None
            if target is not None and target.class_ and target.is_class:
                found = self._member(target.file, target.class_, names, depth + 1)
            if found is not None:
                return found
        return None

    def same_object(self, node: ast.expr) -> str | None:
        """Return the root of the kept object that the expression is, not of one that it is taken from."""
        if isinstance(node, ast.Name) and node.id in self.held and node.id not in self.same:
            return None
        target = self.target(node) if isinstance(node, (ast.Name, ast.Attribute)) else None
        if target is not None and target.function is not None:  # get_client.cache_clear()
            return f"{target.function.name}()" if f"{target.function.name}()" in self.kept else None
        return self.root(node)


def _annotated(function: Function) -> Iterator[tuple[str, ast.expr]]:
    """Yield each parameter with the calls in its annotation: `Annotated[Client, Depends(get_client)]`."""
    for parameter in parameters(function):
        for node in walk(parameter):
            if isinstance(node, ast.Call):
                yield parameter.arg, node
