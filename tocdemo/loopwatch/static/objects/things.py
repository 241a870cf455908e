"""What an expression of the project makes: a client, a lock, or what the project's own code builds from one.

It follows names, factories and constructors through the project's files. It must not know tests or rules.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from ..names import FUNCTIONS, body, keyword, last_name, walk
from ..project import Def, File, Project, Target
from ..sources import dotted
from .libraries import LOOPS, WRAPPERS, Maker, maker

_FREE = {"NullPool", "StaticPool"}  # pools of SQLAlchemy that keep no connection, or only SQLite's
_DERIVE = {
    "get_database",
    "get_collection",
    "get_default_database",
    "connect",
    "begin",
    "acquire",
    "pipeline",
}
_DERIVE |= {"execution_options", "with_options", "pubsub", "unary_unary", "connection"}
_DOCUMENTS = {"motor", "pymongo"}  # a database or collection is an attribute or an item of the client
_DRIVERS = re.compile(r"\+(asyncpg|psycopg|psycopg_async|aiomysql|asyncmy)\b|^postgres(ql)?://|^mysql://")


@dataclass(frozen=True)
class Thing:
    """An object of an event loop: `maker` made it, at this place; `kept` is the name that has it first.

    `via` is the project's class or function that makes it; `sure` is False where the database is likely.
    """

    maker: Maker
    file: File
    line: int
    via: str = ""
    kept: str = ""
    sure: bool = True


class Things:
    """Answers what expressions make, with the versions that are installed."""

    def __init__(self, project: Project, installed: Mapping[str, str], python: tuple[int, int]) -> None:
        self.project = project
        self._installed = dict(installed)
        self._python = python
        self._returned: dict[str, Thing | None] = {}
        self._fields: dict[tuple[str, str], dict[str, Thing]] = {}
        self._named: dict[str, Thing | None] = {}
        self._local: dict[Def, dict[str, Thing]] = {}

    def of(self, file: File, node: ast.expr | None, names: Mapping[str, Thing] | None = None) -> Thing | None:
        """Return what the expression makes or names; `names` are the local names that are known already."""
        if isinstance(node, ast.Await):
            inner = node.value
            if isinstance(inner, ast.Call) and self._is_method(file, inner, names):
                return None if last_name(inner.func) not in _DERIVE else self.of(file, inner, names)
            return self.of(file, inner, names)
        if isinstance(node, ast.NamedExpr):
            return self.of(file, node.value, names)
        if isinstance(node, ast.IfExp):
            return self.of(file, node.body, names) or self.of(file, node.orelse, names)
        if isinstance(node, (ast.BoolOp, ast.List, ast.Tuple, ast.Set, ast.Dict)):
            parts = node.elts if isinstance(node, (ast.List, ast.Tuple, ast.Set)) else node.values
            return next((t for part in parts if (t := self.of(file, part, names))), None)
        if isinstance(node, ast.Subscript):
            return self.of(file, node.value, names)
        if isinstance(node, (ast.Name, ast.Attribute)):
            return self._name(file, node, names)
        return self._call(file, node, names) if isinstance(node, ast.Call) else None

    def named(self, root: str) -> Thing | None:
        """Return what "module.name" is bound to at import."""
        if root not in self._named:
            self._named[root] = None
            target = self.project.resolve(root)
            for value in (
                reversed(target.file.values.get(target.name, [])) if target and not target.rest else ()
            ):
                if found := self.of(target.file, value):  # type: ignore[union-attr]
                    self._named[root] = found if found.kept else replace(found, kept=root)
                    break
        return self._named[root]

    def given(self, function: Def, names: Mapping[str, Thing] | None = None) -> Thing | None:
        """Return what the function returns or yields; `names` are its parameters, if known."""
        if names:
            return self._given(function, self._read_local(function, dict(names)))
        if function.name not in self._returned:
            self._returned[function.name] = None
            self._returned[function.name] = self._given(function, self.local(function))
        return self._returned[function.name]

    def _given(self, function: Def, names: Mapping[str, Thing]) -> Thing | None:
        values = [n.value for n in body(function.node) if isinstance(n, (ast.Return, ast.Yield))]
        found = next((found for value in values if (found := self.of(function.file, value, names))), None)
        return found or self._closed_over(function, values, names)

    @staticmethod
    def _closed_over(
        function: Def, values: list[ast.expr | None], names: Mapping[str, Thing]
    ) -> Thing | None:
        """Return what a function that is made in this one, and given away, uses of its names."""
        given = {value.id for value in values if isinstance(value, ast.Name)}
        inner = [n for n in body(function.node) if isinstance(n, FUNCTIONS) and n.name in given]
        used = [n.id for node in inner for n in walk(node) if isinstance(n, ast.Name)]
        return next((names[name] for name in used if name in names), None)

    def local(self, function: Def) -> dict[str, Thing]:
        """Return what the names of the function are bound to in its body."""
        if function not in self._local:
            self._local[function] = {}
            self._read_local(function, self._local[function])
        return self._local[function]

    def _read_local(self, function: Def, found: dict[str, Thing]) -> dict[str, Thing]:
        for names, value in bindings(function.node):
            if thing := self.of(function.file, value, found):
                found.update(dict.fromkeys(names, thing))
        return found

    def fields(self, file: File, owner: ast.ClassDef) -> dict[str, Thing]:
        """Return what an instance of the class makes for itself: the attribute to the thing."""
        key = (file.module, owner.name)
        if key not in self._fields:
            self._fields[key] = {}
            self._fields[key] = dict(self._made_fields(file, owner))
        return self._fields[key]

    def _made_fields(self, file: File, owner: ast.ClassDef) -> Iterator[tuple[str, Thing]]:
        for base in owner.bases:
            target = self.project.target(file, base)
            if target and target.class_ and target.is_class:
                yield from self.fields(target.file, target.class_).items()
        for child in owner.body:
            if isinstance(child, (ast.Assign, ast.AnnAssign)) and isinstance(child.value, ast.Call):
                factory = keyword(child.value, "default_factory")
                if factory is not None and (made := self._maker(file, factory)):
                    target_ = child.target if isinstance(child, ast.AnnAssign) else child.targets[0]
                    yield last_name(target_), Thing(made, file, child.lineno, owner.name)
            elif isinstance(child, FUNCTIONS) and child.name in ("__init__", "__post_init__", "__new__"):
                yield from self._assigned_fields(Def(file, child, owner))
            elif isinstance(child, FUNCTIONS):
                yield from self._lazy_fields(Def(file, child, owner))

    def _assigned_fields(self, function: Def) -> Iterator[tuple[str, Thing]]:
        names = self.local(function)
        for node in body(function.node):
            if isinstance(node, (ast.Assign, ast.AnnAssign)):
                thing = self.of(function.file, node.value, names)
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    if thing and not thing.kept and isinstance(target, ast.Attribute):
                        yield target.attr, thing

    def _lazy_fields(self, function: Def) -> Iterator[tuple[str, Thing]]:
        """An attribute that a method fills once: `if self._client is None: self._client = …`."""
        for node in body(function.node):
            if isinstance(node, ast.If):
                asked = {n.attr for n in walk(node.test) if isinstance(n, ast.Attribute)}
                for inner in walk(node):
                    if isinstance(inner, ast.Assign) and last_name(inner.targets[0]) in asked:
                        target = inner.targets[0]
                        thing = self.of(function.file, inner.value, self.local(function))
                        if thing and not thing.kept and (dotted(target) or [""])[0] == "self":
                            yield last_name(target), thing

    def _name(self, file: File, node: ast.expr, names: Mapping[str, Thing] | None) -> Thing | None:
        chain = dotted(node)
        if chain is None:
            inner = node.value if isinstance(node, ast.Attribute) else None
            return self._member(self.of(file, inner, names), node)
        if names and chain[0] in names:
            return names[chain[0]] if len(chain) == 1 else self._member(names[chain[0]], node)
        target = self.project.target(file, node)
        if target is None or target.name in target.file.classes:
            return None
        thing = self.named(target.root)
        return thing if thing is None or not target.rest else self._member(thing, node)

    @staticmethod
    def _member(thing: Thing | None, node: ast.expr) -> Thing | None:
        return thing if thing and thing.maker.library in _DOCUMENTS else None

    def _is_method(self, file: File, call: ast.Call, names: Mapping[str, Thing] | None) -> bool:
        func = call.func
        return isinstance(func, ast.Attribute) and self.of(file, func.value, names) is not None

    def _maker(self, file: File, node: ast.expr) -> Maker | None:
        full = file.full_name(node)
        return maker(full, self._installed, self._python) if full else None

    def _call(self, file: File, call: ast.Call, names: Mapping[str, Thing] | None) -> Thing | None:
        made = self._maker(file, call.func)
        if made is not None:
            pool = keyword(call, "connection_pool") or keyword(call, "connector")
            given = self.of(file, pool, names) if pool is not None else None
            if given is not None:
                return given
            return self._bound(Thing(made, file, call.lineno), call)
        full = file.full_name(call.func) or ""
        if full == "collections.defaultdict" and call.args and (made := self._maker(file, call.args[0])):
            return Thing(made, file, call.lineno) if made.name not in LOOPS else None
        arguments = [*call.args, *(k.value for k in call.keywords)]
        if full in WRAPPERS:
            return next((t for part in arguments if (t := self.of(file, part, names))), None)
        derived = isinstance(call.func, ast.Attribute) and call.func.attr in _DERIVE
        found = self.of(file, getattr(call.func, "value", None), names) if derived else None
        return found or self._own(file, call, arguments, names)

    def _own(
        self, file: File, call: ast.Call, arguments: list[ast.expr], names: Mapping[str, Thing] | None
    ) -> Thing | None:
        """Return what a function or class of the project makes."""
        chain = dotted(call.func)
        if chain is None or (names and chain[0] in names):
            return None
        target = self.project.target(file, call.func)
        if target is None:
            return None
        if target.class_ and not target.rest:
            own = next(iter(self.fields(target.file, target.class_).values()), None)
            own = own or next((t for part in arguments if (t := self.of(file, part, names))), None)
            return replace(own, via=target.name) if own and not own.kept else own
        function = target.function
        found = self.given(function) if function else None
        if found is None or function is None:
            return None
        return found if found.kept or found.via else replace(found, via=function.node.name)

    def _bound(self, thing: Thing, call: ast.Call) -> Thing | None:
        """Return the thing unless the arguments say that nothing of it is bound to a loop."""
        library = thing.maker.library
        if thing.maker.noun == "semaphore":  # of one with more places nobody may ever have to wait
            places = call.args[0] if call.args else keyword(call, "value")
            return thing if places is None or getattr(places, "value", 0) == 1 else None
        if library == "httpx":
            return (
                None
                if any(k.arg in ("transport", "app", "mounts") or k.arg is None for k in call.keywords)
                else thing
            )
        if library == "openai":
            return None if keyword(call, "http_client") is not None else thing
        if thing.maker.database_url:
            if last_name(keyword(call, "poolclass") or call) in _FREE:
                return None
            return self._database(thing, call)
        return thing

    def _database(self, thing: Thing, call: ast.Call) -> Thing | None:
        """SQLite's driver has a thread in place of a loop; of an unknown address the project's texts tell."""
        address = call.args[0] if call.args else keyword(call, "url")
        text = self.text(thing.file, address) if address is not None else None
        if (text is not None and "://" in text) or (text and "+" in text):
            return thing if _DRIVERS.search(text) else None
        if self._sqlite or not self._drivers:
            return None
        return replace(thing, sure=False)

    @cached_property
    def _sqlite(self) -> bool:
        return any("sqlite" in file.text for file in self.project.files)

    @cached_property
    def _drivers(self) -> bool:
        return any(re.search(r"\+(asyncpg|psycopg|aiomysql|asyncmy)\b", f.text) for f in self.project.files)

    def text(self, file: File, node: ast.expr, depth: int = 0) -> str | None:
        """Return the text that the expression stands for, with gaps where it is not known; None at all."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if isinstance(node, ast.JoinedStr):
            return "".join(self.text(file, part, depth) or "" for part in node.values)
        if isinstance(node, ast.FormattedValue):
            return self.text(file, node.value, depth)
        if isinstance(node, ast.Call) and not (file.full_name(node.func) or "").startswith("os."):
            return (
                self.text(file, node.args[0], depth)
                if node.args and last_name(node.func) in ("create", "str")
                else None
            )
        if isinstance(node, ast.Name) and depth < 5:
            target = self.project.target(file, node)
            values = target.file.values.get(target.name, []) if target and not target.rest else []
            return self.text(target.file, values[-1], depth + 1) if target and values else None
        return None


def bindings(function: ast.AST) -> Iterator[tuple[list[str], ast.expr]]:
    """Yield what the body binds to plain names, `with … as` too: the names and the expression."""
    for node in body(function):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield [t.id for t in targets if isinstance(t, ast.Name)], node.value
        elif isinstance(node, ast.NamedExpr) and isinstance(node.target, ast.Name):
            yield [node.target.id], node.value
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                if isinstance(item.optional_vars, ast.Name):
                    yield [item.optional_vars.id], item.context_expr


def made_class(project: Project, function: Def) -> Target | None:
    """Return the class of the project of which the function returns or yields an instance."""
    names = {name: value for names, value in bindings(function.node) for name in names}
    for node in walk(function.node):
        if isinstance(node, (ast.Return, ast.Yield)) and node.value is not None:
            value = node.value
            if isinstance(value, ast.Name) and value.id in names:
                value = names[value.id]
            target = project.target(function.file, value.func) if isinstance(value, ast.Call) else None
            if target is not None and target.is_class:
                return target
            if isinstance(value, ast.Name) and value.id not in function.local:
                target = project.target(function.file, value)
                for given in target.file.values.get(target.name, []) if target and not target.rest else []:
                    made = (
                        project.target(target.file, given.func)
                        if target and isinstance(given, ast.Call)
                        else None
                    )
                    if made and made.class_ and not made.rest:
                        return made
    return None
