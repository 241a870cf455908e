"""The objects of event loops that a project keeps beyond one test: where, under which name, made by what.

A module's global, a class body, a default argument, a cache. It must not know tests or rules.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..names import FUNCTIONS, body, called, defaults, last_name, walk
from ..project import Def, File, Project, Rebinding, Target
from ..sources import assigned_names, dotted
from .things import Thing, Things

MODULE, CLASS, DEFAULT, CACHE, ONCE, LATER = "module", "class", "default", "cache", "once", "later"
ONCE_A_CLASS = {"setUpClass", "tearDownClass", "setUpModule", "tearDownModule"}
ONCE_A_CLASS |= {"setup_class", "teardown_class", "setup_module", "teardown_module"}
_CACHES = {"lru_cache", "cache", "cached", "singleton", "cache_resource"}
LOOP_CALLS = {"asyncio.get_running_loop", "asyncio.get_event_loop", "asyncio._get_running_loop"}
LOOP_CALLS |= {"asyncio.current_task", "sniffio.current_async_library"}


@dataclass(frozen=True)
class Kept:
    """`name` is what the code calls it, `root` is its one name in the project: "module.name".

    The root of a cached factory is "module.factory()", that of a default "module.function(parameter)".
    """

    root: str
    name: str
    place: str
    file: File
    line: int
    thing: Thing


def knows_loops(file: File, node: ast.AST) -> bool:
    """Whether the code below the node asks for the loop or the task that runs: then it knows what it does."""
    return file.asks_for_loops and any(
        isinstance(n, ast.Call) and (file.full_name(n.func) or "") in LOOP_CALLS for n in walk(node)
    )


def import_time(file: File) -> Iterator[ast.stmt]:
    """Yield the statements that run at import; none of a script, nor of a `try` that asks for the loop."""
    yield from _statements(file, file.source.tree)


def _statements(file: File, node: ast.AST) -> Iterator[ast.stmt]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _not_imported(child):
            continue
        if isinstance(child, ast.Try) and knows_loops(file, child):
            continue
        if isinstance(child, ast.stmt):
            yield child
            if not isinstance(child, (*FUNCTIONS, ast.ClassDef)):
                yield from _statements(file, child)
        elif isinstance(child, ast.ExceptHandler):
            yield from _statements(file, child)


def _not_imported(node: ast.If) -> bool:
    names = {n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)}
    names |= {n.attr for n in ast.walk(node.test) if isinstance(n, ast.Attribute)}
    return bool(names & {"__name__", "TYPE_CHECKING"})


def find_kept(project: Project, things: Things) -> list[Kept]:
    """Return all kept objects; what is derived from one (`books = client["db"]`) has its `thing.kept`."""
    found: list[Kept] = []
    for file in project.files:
        found += _module_level(file, things)
        found += _class_bodies(file, things)
        found += _singletons(file, things)
        for function in file.defs.values():
            found += _defaults(function, things)
            found += _cached(function, things)
            found += _decorated(function, project, things)
    found += _lazy(project, things)
    known = {kept.root for kept in found}
    return found + [kept for kept in _later(project, things) if kept.root not in known]


def _module_level(file: File, things: Things) -> Iterator[Kept]:
    for node in import_time(file):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            for name in assigned_names(node):
                thing = things.named(f"{file.module}.{name}") if things.of(file, node.value) else None
                if thing:
                    yield Kept(f"{file.module}.{name}", name, MODULE, file, node.lineno, thing)
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            chain = dotted(target) or []
            thing = things.of(file, node.value) if chain[1:2] == ["state"] and len(chain) == 3 else None
            if thing and not thing.kept:
                root = ".".join((file.module, *chain))
                yield Kept(root, ".".join(chain), MODULE, file, node.lineno, replace(thing, kept=root))


def _class_bodies(file: File, things: Things) -> Iterator[Kept]:
    for owner in file.classes.values():
        for node in owner.body:
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and (thing := things.of(file, node.value)):
                for name in assigned_names(node):
                    root = f"{file.module}.{owner.name}.{name}"
                    thing = thing if thing.kept else replace(thing, kept=root)
                    yield Kept(root, f"{owner.name}.{name}", CLASS, file, node.lineno, thing)


def _singletons(file: File, things: Things) -> Iterator[Kept]:
    """What the one instance of a class holds, that `__new__` makes once."""
    for owner in file.classes.values():
        if not _is_single(file, owner, things.project):
            continue
        for name, thing in things.fields(file, owner).items():
            root = f"{file.module}.{owner.name}().{name}"
            thing = replace(thing, kept=root)
            yield Kept(root, f"{owner.name}().{name}", CACHE, thing.file, thing.line, thing)


def _is_single(file: File, owner: ast.ClassDef, project: Project) -> bool:
    """Whether the class has one instance: its `__new__` fills an attribute once, or its metaclass's call."""
    makers = [file.defs.get(f"{owner.name}.__new__")]
    for keyword in owner.keywords:
        target = project.target(file, keyword.value) if keyword.arg == "metaclass" else None
        if target is not None and target.is_class:
            makers.append(target.file.defs.get(f"{target.name}.__call__"))
    return any(
        isinstance(node, ast.If) and _sets_class(node)
        for maker in makers
        if maker is not None
        for node in body(maker.node)
    )


def _sets_class(node: ast.AST) -> bool:
    """Whether an attribute of `cls`, or an item of one, is set below the node."""
    return any(
        isinstance(n, (ast.Attribute, ast.Subscript))
        and isinstance(n.ctx, ast.Store)
        and (dotted(n.value if isinstance(n, ast.Subscript) else n) or [""])[0] == "cls"
        for n in walk(node)
    )


def _made_by_decorator(target: Target, things: Things) -> Thing | None:
    if target.function is not None:
        return things.given(target.function)
    owner = target.class_ if target.is_class else None
    return next(iter(things.fields(target.file, owner).values()), None) if owner is not None else None


def _decorated(function: Def, project: Project, things: Things) -> Iterator[Kept]:
    """What a decorator of the project made once, and the function that it gave back has in its closure."""
    for decorator in function.node.decorator_list if function.owner is None else ():
        target = project.target(function.file, called(decorator))
        thing = _made_by_decorator(target, things) if target is not None else None
        if thing is not None and not thing.kept:
            root, name = function.name, function.node.name
            thing = replace(thing, kept=root, via=thing.via or last_name(called(decorator)))
            yield Kept(root, name, MODULE, function.file, decorator.lineno, thing)


def _defaults(function: Def, things: Things) -> Iterator[Kept]:
    for parameter, value in defaults(function.node):
        thing = things.of(function.file, value)
        if thing and not thing.kept:
            root = f"{function.name}({parameter})"
            yield Kept(root, parameter, DEFAULT, function.file, value.lineno, replace(thing, kept=root))


def _cached(function: Def, things: Things) -> Iterator[Kept]:
    """A sync factory below a cache: all its callers get the one object."""
    decorators = {last_name(called(d)) for d in function.node.decorator_list}
    if not decorators & _CACHES or function.is_async or knows_loops(function.file, function.node):
        return
    if any("loop" in parameter.arg for parameter in function.node.args.args):
        return
    thing = things.given(function)
    if thing and not thing.kept:
        root = f"{function.name}()"
        name = f"{function.node.name}()"
        yield Kept(root, name, CACHE, function.file, thing.line, replace(thing, kept=root))


def _lazy(project: Project, things: Things) -> Iterator[Kept]:
    """A global or class attribute that a function fills once: `if _client is None: _client = …`."""
    for root, places in project.rebound.items():
        for place in places:
            function = place.function
            if function is None or place.value is None or not fills_once(function, root):
                continue
            if knows_loops(function.file, function.node):
                continue
            thing = things.of(function.file, place.value, things.local(function))
            if thing and (not thing.kept or thing.kept == root):
                name = root.rpartition(".")[2]
                yield Kept(root, name, CACHE, place.file, place.line, replace(thing, kept=root))
                break
    for file in project.files:
        for function in file.defs.values():
            yield from _filled_dict(function, project, things)


def _later(project: Project, things: Things) -> Iterator[Kept]:
    """A global or class attribute that a function sets at each call: `base.pool = await create_pool()`."""
    for root, places in project.rebound.items():
        for place in places:
            if place.function is None or place.value is None:
                continue
            thing = things.of(place.file, place.value, things.local(place.function))
            if thing and not thing.kept:
                name = root.rpartition(".")[2]
                once = place.function.node.name in ONCE_A_CLASS
                yield Kept(
                    root, name, ONCE if once else LATER, place.file, place.line, replace(thing, kept=root)
                )
                break


def _filled_dict(function: Def, project: Project, things: Things) -> Iterator[Kept]:
    """A module's dictionary that a function fills: `_clients[name] = …`, `_locks.setdefault(name, …)`."""
    if knows_loops(function.file, function.node):
        return
    for node in body(function.node):
        holder: ast.expr | None = None
        value: ast.expr | None = None
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            holder, value = node.targets[0].value, node.value
        elif isinstance(node, ast.Call) and last_name(node.func) == "setdefault" and len(node.args) == 2:
            holder, value = getattr(node.func, "value", None), node.args[1]
        chain = dotted(holder) if holder is not None else None
        if holder is None or chain is None or chain[0] in function.local:
            continue
        target = project.target(function.file, holder)
        if target is None or target.rest or not _is_dict(target.file, target.name):
            continue
        thing = things.of(function.file, value, things.local(function))
        if thing and not thing.kept:
            root = target.root
            yield Kept(root, target.name, CACHE, function.file, holder.lineno, replace(thing, kept=root))


def _is_dict(file: File, name: str) -> bool:
    values = file.values.get(name, [])
    return bool(values) and all(isinstance(v, (ast.Dict, ast.Call)) for v in values)


def fills_once(function: Def, root: str) -> bool:
    """Whether the function sets the name only below a question whether it is set already."""
    name = root.rpartition(".")[2]
    for node in body(function.node):
        if isinstance(node, ast.If) and name in _names(node.test) and _sets(node, name):
            return True
        if isinstance(node, ast.If) and name in _names(node.test) and _leaves(node):
            return True
    return False


def _leaves(node: ast.If) -> bool:
    return isinstance(node.body[-1], (ast.Return, ast.Raise))


def _names(node: ast.AST) -> set[str]:
    found = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    return found | {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}


def _sets(node: ast.AST, name: str) -> bool:
    return any(
        isinstance(n, (ast.Name, ast.Attribute))
        and isinstance(n.ctx, ast.Store)
        and name == (n.id if isinstance(n, ast.Name) else n.attr)
        for n in ast.walk(node)
    )


def is_reset(rebinding: Rebinding, root: str) -> bool:
    """Whether this place gives the name a new value each time, rather than once."""
    return rebinding.function is None or not fills_once(rebinding.function, root)
