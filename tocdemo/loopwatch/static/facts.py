"""What one function does with the project's names: what it calls, which kept objects it uses, sets or closes.

It reads one body at a time. It must not know tests, loops or rules.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .names import called, last_name, walk
from .objects.kept import Kept, fills_once
from .objects.libraries import LIVE_VERBS, LOOPS, MAKERS, WRAPPERS
from .objects.things import bindings, made_class
from .project import Def, File, Project, Target
from .routes import VERBS, requested_path
from .sources import dotted

RUNNERS = {"asyncio.run", "anyio.run", "asyncio.Runner.run", "uvloop.run"}
_CONCURRENT = {"gather", "create_task", "ensure_future", "TaskGroup", "create_task_group", "as_completed"}
_CONCURRENT |= {"start_soon"}
_LOOP_CALLS = {
    "create_task",
    "create_future",
    "run_in_executor",
    "call_soon",
    "call_later",
    "call_soon_threadsafe",
}
_PATCHING = {"setattr", "patch", "object", "delattr"}


@dataclass(frozen=True)
class Request:
    """A request that the function sends: its path as written, and the name of the client that sends it."""

    path: str
    line: int
    client: str


@dataclass(frozen=True)
class Run:
    """A call that runs coroutines of these functions on a loop of its own: `asyncio.run(work())`."""

    functions: tuple[Def, ...]
    line: int


@dataclass
class Facts:
    """`uses` and `closes` are roots of kept objects, `sets` are names that are given a new value."""

    uses: dict[str, int] = field(default_factory=dict)
    closes: set[str] = field(default_factory=set)
    sets: set[str] = field(default_factory=set)
    calls: dict[Def, int] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    concurrent: bool = False


@dataclass(frozen=True)
class Given:
    """What a function's parameters are: instances of the project's classes, or kept objects (by root)."""

    instances: Mapping[str, Target] = field(default_factory=dict)
    held: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{sorted((n, t.root) for n, t in self.instances.items())} {sorted(self.held.items())}"


class Reader:
    """Reads the facts of functions, with what the project keeps."""

    def __init__(self, project: Project, kept: list[Kept]) -> None:
        self.project = project
        self.kept = {k.root: k for k in kept}
        self._facts: dict[str, Facts] = {}
        self.overridden = set(self._overrides())

    def facts(self, function: Def, given: Given | None = None) -> Facts:
        """Return the facts of the function; `given` is what its parameters are known to be."""
        given = given or Given()
        key = f"{function.name}:{function.node.lineno} {given.key}"
        if key not in self._facts:
            self._facts[key] = _Body(self, function, given).read()
        return self._facts[key]

    def factory(self, function: Def) -> str | None:
        """Return the root of the kept object that the function returns or yields, None if it is another's."""
        return _Body(self, function, Given()).factory(function)

    def _overrides(self) -> Iterator[str]:
        """FastAPI's `app.dependency_overrides[get_db] = …`: the dependency is not called then."""
        for file in self.project.files:
            for node in walk(file.source.tree) if "dependency_overrides" in file.text else ():
                if isinstance(node, ast.Subscript) and last_name(node.value) == "dependency_overrides":
                    target = self.project.target(file, node.slice)
                    if target is not None:
                        yield target.full


class _Body:
    def __init__(self, reader: Reader, function: Def, given: Given) -> None:
        self.reader, self.project = reader, reader.project
        self.function, self.file = function, function.file
        self.instances = dict(given.instances)
        self.held = dict(given.held)  # a local name to the root of what it is, or is taken from
        self.same = set(given.held)  # the names that are the object itself
        self.found = Facts()

    def read(self) -> Facts:
        self._aliases()
        self._own_default()
        for node in walk(self.function.node):
            if isinstance(node, (ast.Await, ast.AsyncFor)):
                self._awaited(node.value if isinstance(node, ast.Await) else node.iter)
            elif isinstance(node, ast.comprehension) and node.is_async:
                self._awaited(node.iter)
            elif isinstance(node, ast.AsyncWith):
                for item in node.items:
                    self._entered(item.context_expr)
            elif isinstance(node, ast.Call):
                self._call(node)
        self._sets()
        return self.found

    # -- names ---------------------------------------------------------------------------------------------

    def _aliases(self) -> None:
        for names, value in bindings(self.function.node):
            inner = value.value if isinstance(value, ast.Await) else value
            if root := self._holds(inner):
                self.held.update(dict.fromkeys(names, root))
                self.same |= set(names) if self._root(inner) else set()
            elif target := self._instance(inner):
                self.instances.update(dict.fromkeys(names, target))

    def _own_default(self) -> None:
        for name in {a.arg for a in walk(self.function.node) if isinstance(a, ast.arg)}:
            root = f"{self.function.name}({name})"
            if root in self.reader.kept:
                self.held[name] = root
                self.same.add(name)

    def _holds(self, node: ast.expr) -> str | None:
        """Return the root of the kept object that the expression gives: a name, an item, a factory's call."""
        while isinstance(node, (ast.Subscript, ast.Call, ast.Attribute)):
            if (root := self._root(node) or self._built_from(node)) is not None:
                return root
            node = node.func if isinstance(node, ast.Call) else node.value
        return self._root(node)

    def _built_from(self, node: ast.expr) -> str | None:
        """Return the kept object from which the call makes another: `Redis(connection_pool=pool)`."""
        if not isinstance(node, ast.Call):
            return None
        full = self.file.full_name(node.func) or ""
        target = self._target(node.func)
        if full not in MAKERS and full not in WRAPPERS and not (target and target.is_class):
            return None
        arguments = (*node.args, *(k.value for k in node.keywords))
        return next((root for argument in arguments if (root := self._root(argument))), None)

    def _root(self, node: ast.expr) -> str | None:
        if isinstance(node, ast.Call):
            target = self._target(node.func)
            function = target.function if target else None
            if function is None:
                return None
            root = f"{function.name}()"
            if root in self.reader.kept:
                return root
            return self.factory(function)
        chain = dotted(node)
        if chain is None:
            return None
        if len(chain) == 1 and chain[0] in self.held:
            return self.held[chain[0]]
        target = self._target(node)
        if target is None:
            return None
        root = target.full
        return root if root in self.reader.kept else None

    def factory(self, function: Def, depth: int = 0) -> str | None:
        """Return the kept object that a function of the project returns (`return _client`)."""
        for node in walk(function.node):
            if isinstance(node, (ast.Return, ast.Yield)) and node.value is not None and depth < 4:
                value = node.value.value if isinstance(node.value, ast.Await) else node.value
                chain = dotted(value)
                if chain is not None and (chain[0] in ("self", "cls") or chain[0] not in function.local):
                    target = self._seen(function, value)
                    root = target.full if target else ""
                    if root in self.reader.kept:
                        return root
                if isinstance(value, ast.Subscript):
                    target = self._seen(function, value.value)
                    if target is not None and target.root in self.reader.kept:
                        return target.root
                if isinstance(value, ast.Call):
                    target = self._seen(function, value.func)
                    inner = target.function if target else None
                    if inner is not None and inner is not function:
                        cached = f"{inner.name}()"
                        if cached in self.reader.kept:
                            return cached
                        if (found := self.factory(inner, depth + 1)) is not None:
                            return found
        return None

    def _seen(self, function: Def, node: ast.expr) -> Target | None:
        chain = dotted(node)
        if chain and chain[0] in ("self", "cls") and function.owner:
            return self._member(function.file, function.owner, chain[1:])
        return self.project.target(function.file, node)

    def _target(self, node: ast.expr) -> Target | None:
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
            target = self._target(node.func)
            if target and target.is_class:
                return target
            if target and target.function is not None:
                return self._made_by(target.function)
            return None
        if isinstance(node, ast.Name) and node.id in self.instances:
            return self.instances[node.id]
        target = self._target(node) if isinstance(node, (ast.Name, ast.Attribute)) else None
        return self._value(target) if target and not target.rest else None

    def _made_by(self, function: Def) -> Target | None:
        return made_class(self.project, function)

    def _method(self, made: Target, names: list[str]) -> Target | None:
        return self._member(made.file, made.file.classes[made.name], names) if names else made

    def _member(self, file: File, owner: ast.ClassDef, names: list[str], depth: int = 0) -> Target | None:
        """Return the method or attribute of a class, or of a class of the project above it."""
        known = f"{file.module}.{owner.name}.{names[0]}" in self.reader.kept
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

    def _same(self, node: ast.expr) -> str | None:
        """Return the root of the kept object that the expression is, not of one that it is taken from."""
        if isinstance(node, ast.Name) and node.id in self.held and node.id not in self.same:
            return None
        target = self._target(node) if isinstance(node, (ast.Name, ast.Attribute)) else None
        if target is not None and target.function is not None:  # get_client.cache_clear()
            return f"{target.function.name}()" if f"{target.function.name}()" in self.reader.kept else None
        return self._root(node)

    # -- what is done --------------------------------------------------------------------------------------

    def _closed(self, node: ast.AST) -> str | None:
        """Return the root of the kept object that the call closes, disposes of or clears."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            return None
        return self._same(node.func.value) if node.func.attr in LIVE_VERBS else None

    def _awaited(self, node: ast.expr) -> None:
        """Note the kept objects in an expression that is awaited, and those that it closes."""
        for part in [node, *walk(node)]:
            root = self._closed(part)
            if root is not None:
                self.found.closes.add(root)
                return
        for part in [node, *walk(node)]:
            if not isinstance(part, ast.expr) or (root := self._root(part)) is None:
                continue
            if self.reader.kept[root].thing.maker.name not in LOOPS:
                self.found.uses.setdefault(root, part.lineno)

    def _entered(self, node: ast.expr) -> None:
        root = self._root(node)
        kept = self.reader.kept.get(root) if root else None
        if (
            root
            and kept
            and kept.thing.maker.library in ("httpx", "aiohttp", "redis", "openai")
            and not kept.thing.via
        ):
            self.found.closes.add(root)  # `async with client:` closes it at the end
        else:
            self._awaited(node)

    def _call(self, call: ast.Call) -> None:
        name = last_name(call.func)
        self.found.concurrent |= name in _CONCURRENT
        if name in _PATCHING:
            return
        if closed := self._closed(call):
            self.found.closes.add(closed)
        if name in ("create_task", "ensure_future", "start_soon", "run_until_complete"):
            for argument in call.args:
                self._awaited(argument)
        if name in _LOOP_CALLS and isinstance(call.func, ast.Attribute) and self.function.is_async:
            root = self._root(call.func.value)
            if root and self.reader.kept[root].thing.maker.name in LOOPS:
                self.found.uses.setdefault(root, call.lineno)
        self._callees(call)
        self._runs(call, name)
        if name in VERBS and (path := requested_path(call, name)) is not None:
            client = (dotted(getattr(call.func, "value", call.func)) or [""])[0]
            self.found.requests.append(Request(path, call.lineno, client))

    def _callees(self, call: ast.Call) -> None:
        for node in (call.func, *call.args, *(k.value for k in call.keywords)):
            if not isinstance(node, (ast.Name, ast.Attribute)):
                continue
            target = self._target(node)
            if target is None:
                continue
            if target.class_ and not target.rest:
                made = self._member(target.file, target.class_, ["__init__"])
                target = made or target
            function = target.function
            if (
                function is None
                and target.rest
                and target.rest[-1] in ("delay", "apply", "apply_async", "__wrapped__")
            ):
                function = Target(target.file, target.name, target.rest[:-1]).function
            if function is None or self._is_depends_override(call, function):
                continue
            self.found.calls.setdefault(function, call.lineno)

    def _is_depends_override(self, call: ast.Call, function: Def) -> bool:
        return last_name(call.func) in ("Depends", "Security") and function.name in self.reader.overridden

    def _runs(self, call: ast.Call, name: str) -> None:
        full = self.file.full_name(call.func) or ""
        ran: list[ast.expr] = []
        if full in RUNNERS or full.startswith("asyncio.Runner"):
            ran = list(call.args[:1])
        elif isinstance(call.func, ast.Call) and last_name(call.func.func) == "async_to_sync":
            ran = list(call.func.args[:1])
        functions = [t.function for node in ran if (t := self._target(called(node))) and t.function]
        if functions:
            self.found.runs.append(Run(tuple(f for f in functions if f), call.lineno))

    def _sets(self) -> None:
        for root, place in self.project.rebound_by.get(id(self.function.node), []):
            if place.patch or not fills_once(self.function, root):
                self.found.sets.add(root)
