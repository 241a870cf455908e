"""What one function does with the project's names: what it calls, which kept objects it uses, sets or closes.

It reads one body at a time. It must not know tests, loops or rules.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from .names import called, last_name, walk
from .objects.kept import Kept, fills_once
from .objects.libraries import LIVE_VERBS, LOOPS, SPARED
from .objects.things import Things
from .project import Def, Project, Target
from .routes import VERBS, requested_path
from .seen import DEPENDS, Given, Seen
from .sources import dotted

RUNNERS = {"asyncio.run", "anyio.run", "asyncio.Runner.run", "uvloop.run"}
_TASKS = {"gather", "create_task", "ensure_future", "as_completed", "start_soon", "wait_for"}
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
    """A request that the function sends: its path as written, and the name of the client that sends it.

    `made` is the full name of what makes the client in the same expression: `TestClient(app).get("/")`.
    """

    path: str
    line: int
    client: str
    made: str = ""


@dataclass(frozen=True)
class Run:
    """A call that runs coroutines of these functions on a loop of its own: `asyncio.run(work())`."""

    functions: tuple[Def, ...]
    line: int


@dataclass(frozen=True)
class Parallel:
    """A coroutine that becomes a task: its function, the kept objects that it names, how often at least."""

    function: Def | None
    roots: frozenset[str]
    times: int


@dataclass
class Facts:
    """`uses` and `closes` are roots of kept objects, `sets` are names that are given a new value."""

    uses: dict[str, int] = field(default_factory=dict)
    closes: set[str] = field(default_factory=set)
    sets: set[str] = field(default_factory=set)
    calls: dict[Def, int] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    parallel: list[Parallel] = field(default_factory=list)


class Reader:
    """Reads the facts of functions, with what the project keeps."""

    def __init__(self, project: Project, kept: list[Kept], things: Things) -> None:
        self.project = project
        self._things = things
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

    def leaves_alone(self, method: Def) -> bool:
        """Whether a method, with those of `self` that it calls, uses none of its object's clients."""
        fields = self._things.fields(method.file, method.owner) if method.owner is not None else {}
        return bool(fields) and not self._touches(method, set(fields), set())

    def _touches(self, method: Def, fields: set[str], seen: set[str]) -> bool:
        seen.add(method.name)
        for node in walk(method.node):
            if isinstance(node, ast.Attribute) and (dotted(node.value) or [""]) == ["self"]:
                other = method.file.defs.get(f"{method.owner.name}.{node.attr}") if method.owner else None
                further = other is not None and other.name not in seen and self._touches(other, fields, seen)
                if node.attr in fields or further:
                    return True
        return False

    def _overrides(self) -> Iterator[str]:
        """FastAPI's `app.dependency_overrides[get_db] = …`: the dependency is not called then."""
        for file in self.project.files:
            for node in walk(file.source.tree) if "dependency_overrides" in file.text else ():
                if isinstance(node, ast.Subscript) and last_name(node.value) == "dependency_overrides":
                    target = self.project.target(file, node.slice)
                    if target is not None:
                        yield target.full


class _Body(Seen):
    def __init__(self, reader: Reader, function: Def, given: Given) -> None:
        super().__init__(reader.project, reader.kept, function, given)
        self.reader = reader
        self.found = Facts()

    def read(self) -> Facts:
        self.overridden = frozenset(self.reader.overridden)
        self._own_default()
        self._dependencies()
        self.read_names()
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

    # -- what is done --------------------------------------------------------------------------------------

    def _closed(self, node: ast.AST) -> str | None:
        """Return the root of the kept object that the call closes, disposes of or clears."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            return None
        root = self.same_object(node.func.value) if node.func.attr in LIVE_VERBS else None
        maker = self.kept[root].thing.maker if root is not None else None
        spared = SPARED.get(node.func.attr)
        return None if maker is not None and spared is not None and maker.noun in spared else root

    def _awaited(self, node: ast.expr) -> None:
        """Note the kept objects in an expression that is awaited, and those that it closes."""
        for part in [node, *walk(node)]:
            root = self._closed(part)
            if root is not None:
                self.found.closes.add(root)
                return
        alone = {id(n) for part in [node, *walk(node)] for n in self._beside(part)}
        for part in [node, *walk(node)]:
            if id(part) in alone or not isinstance(part, ast.expr) or (root := self.root(part)) is None:
                continue
            if self.kept[root].thing.maker.name not in LOOPS:
                self.found.uses.setdefault(root, part.lineno)

    def _tasks(self, call: ast.Call) -> None:
        """Note what becomes a task: twice if the call, or the argument, stands in a loop or comprehension."""
        for argument in call.args:
            repeated = isinstance(argument, ast.Starred) or id(call) in self._repeated
            for node in [argument, *walk(argument)]:
                if not isinstance(node, (ast.Call, ast.Name, ast.Attribute)):
                    continue
                target = self.target(node.func if isinstance(node, ast.Call) else node)
                roots = frozenset(r for n in [node, *walk(node)] if (r := self._root_of(n)) is not None)
                function = target.function if target is not None else None
                if function is not None or roots:
                    self.found.parallel.append(Parallel(function, roots, 2 if repeated else 1))
                    break

    def _root_of(self, node: ast.AST) -> str | None:
        return self.root(node) if isinstance(node, ast.expr) else None

    @cached_property
    def _repeated(self) -> set[int]:
        loops = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)
        return {id(n) for node in walk(self.function.node) if isinstance(node, loops) for n in walk(node)}

    def _beside(self, node: ast.AST) -> list[ast.AST]:
        """Return the parts of a method's name if the method leaves the clients of its object alone."""
        target = self.target(node.func) if isinstance(node, ast.Call) else None
        method = target.function if target is not None else None
        if method is None or method.owner is None or not self.reader.leaves_alone(method):
            return []
        return [node.func, *walk(node.func)] if isinstance(node, ast.Call) else []

    def _entered(self, node: ast.expr) -> None:
        root = self.root(node)
        kept = self.kept.get(root) if root else None
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
        if name in _TASKS:
            self._tasks(call)
        if name in _PATCHING:
            return
        if closed := self._closed(call):
            self.found.closes.add(closed)
        if name in ("create_task", "ensure_future", "start_soon", "run_until_complete"):
            for argument in call.args:
                self._awaited(argument)
        if name in _LOOP_CALLS and isinstance(call.func, ast.Attribute) and self.function.is_async:
            root = self.root(call.func.value)
            if root and self.kept[root].thing.maker.name in LOOPS:
                self.found.uses.setdefault(root, call.lineno)
        self._callees(call)
        self._runs(call, name)
        if name in VERBS and (path := requested_path(call, name)) is not None:
            sender = getattr(call.func, "value", call.func)
            client = (dotted(sender) or [""])[0]
            made = self.file.full_name(sender.func) if isinstance(sender, ast.Call) else None
            self.found.requests.append(Request(path, call.lineno, client, made or ""))

    def _callees(self, call: ast.Call) -> None:
        for node in (call.func, *call.args, *(k.value for k in call.keywords)):
            if not isinstance(node, (ast.Name, ast.Attribute)):
                continue
            target = self.target(node)
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
        return last_name(call.func) in DEPENDS and function.name in self.reader.overridden

    def _runs(self, call: ast.Call, name: str) -> None:
        full = self.file.full_name(call.func) or ""
        ran: list[ast.expr] = []
        if full in RUNNERS or full.startswith("asyncio.Runner"):
            ran = list(call.args[:1])
        elif isinstance(call.func, ast.Call) and last_name(call.func.func) == "async_to_sync":
            ran = list(call.func.args[:1])
        functions = [t.function for node in ran if (t := self.target(called(node))) and t.function]
        if functions:
            self.found.runs.append(Run(tuple(f for f in functions if f), call.lineno))

    def _sets(self) -> None:
        for root, place in self.project.rebound_by.get(id(self.function.node), []):
            if place.patch or not fills_once(self.function, root):
                self.found.sets.add(root)
