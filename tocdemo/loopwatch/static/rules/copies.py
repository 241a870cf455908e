"""`copied-name`: a name that is copied from a module, where another object is put under it later.

It must not know tests: a copy is stale whoever sets the original.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..context import Context
from ..findings import Finding
from ..names import walk
from ..objects.things import Thing
from ..project import File, Rebinding, Target
from ..sources import Origin, module_import


def copied_names(context: Context) -> Iterator[Finding]:
    """Find clients, sessions and locks that are copied at import and put in their place later."""
    for file in context.project.files:
        grouped: dict[tuple[int, str], list[tuple[str, Origin, Target]]] = {}
        for name, origin in file.copies.items():
            target = (
                context.project.resolve(f"{origin.source}.{origin.source_name}") if origin.source else None
            )
            if target and not target.rest and _is_stale(context, file, name, target):
                grouped.setdefault((origin.line, target.file.module), []).append((name, origin, target))
        for (line, module), copies in grouped.items():
            yield _finding(context, file, line, module, copies)


def _is_stale(context: Context, file: File, name: str, target: Target) -> bool:
    rebound = context.project.rebound
    if target.root not in rebound or any(
        place.function is not None for place in rebound.get(f"{file.module}.{name}", [])
    ):
        return False
    if context.things.named(target.root) is not None:
        return True
    return _placeholder(target) and _filled(context, target) is not None and _is_used(file, name)


def _placeholder(target: Target) -> bool:
    values = target.file.values.get(target.name, [])
    return bool(values) and all(isinstance(v, ast.Constant) and v.value is None for v in values)


def _filled(context: Context, target: Target) -> tuple[Rebinding, Thing] | None:
    """Return the place that puts a client where None is at import, and the client."""
    for place in context.project.rebound[target.root]:
        if place.function is not None and not place.patch:
            thing = context.things.of(place.file, place.value, context.things.local(place.function))
            if thing is not None:
                return place, thing
    return None


def _is_used(file: File, name: str) -> bool:
    return any(
        isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name
        for code in file.defs.values()
        if name not in code.local
        for node in walk(code.node)
    )


def _finding(
    context: Context, file: File, line: int, module: str, copies: list[tuple[str, Origin, Target]]
) -> Finding:
    target = copies[0][2]
    place = context.project.rebound[target.root][0]
    names = ", ".join(name for name, _, _ in copies)
    statement, short = module_import(copies[0][1], module)
    wanted = ", ".join(f"{short}.{t.name}" for _, _, t in copies)
    filled = None if context.things.named(target.root) else _filled(context, target)
    if filled is None:
        made = target.file.values[target.name][-1].lineno
        why = (
            f"copies {names} from {module}, where line {made} makes {target.name} at import; "
            f"{context.project.shown(place.file)}:{place.line} puts another object there, "
            "and the copy stays the old one"
        )
    else:
        place = filled[0]
        why = (
            f"copies {names} from {module}, where it is None at import; "
            f"{context.project.shown(place.file)}:{place.line} puts a {filled[1].maker.noun} of "
            f"{filled[1].maker.library} there later, and the copy stays None"
        )
    change = f"write `{statement}` there, and {wanted} wherever the bare name is used"
    return context.finding("copied-name", file, line, why, change)
