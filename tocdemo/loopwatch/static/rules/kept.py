"""Rules for what is made once and kept: at import, in a class body, as a default, in a cache.

A finding needs two loops on which the tests reach the object, one if it took another's when it was made.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..context import Context, article, names_of
from ..findings import Finding
from ..objects.kept import CACHE, CLASS, DEFAULT, LATER, MODULE, ONCE, ONCE_A_CLASS, Kept, is_reset
from ..objects.libraries import MADE, REPLACED_BY, USED, WAITS
from ..reach import Use

RULES = {
    MODULE: "made-at-import",
    CLASS: "made-in-class-body",
    DEFAULT: "made-as-default",
    CACHE: "kept-in-cache",
    ONCE: "made-in-class-set-up",
}
_WHERE = {
    MODULE: "made at import",
    CLASS: "made in the class body",
    DEFAULT: "made once, as a default argument",
    CACHE: "made once and then kept",
    ONCE: "made once for the class or module, before its tests",
}
_BINDS = {
    MADE: "takes its loop when it is made",
    USED: "takes its loop when it is first used",
    WAITS: "takes its loop when a task first has to wait for it",
}


def kept_objects(context: Context) -> Iterator[Finding]:
    """Find kept objects that tests use on several loops."""
    groups: dict[str, list[Kept]] = {}
    for kept in context.kept:
        groups.setdefault(kept.thing.kept or kept.root, []).append(kept)
    for root, group in groups.items():
        origin = next((kept for kept in group if kept.root == root), group[0])
        if origin.place == LATER or (origin.thing.maker.needs_loop and origin.place != CACHE):
            continue
        roots = {kept.root for kept in group}
        uses = [use for name in roots for use in context.reach.uses.get(name, [])]
        if origin.thing.maker.binds == WAITS:
            uses = [use for use in uses if use.waits]
        if _is_shared(origin, uses) and not _is_handled(context, origin, roots):
            yield _finding(context, origin, uses)


def _is_shared(kept: Kept, uses: list[Use]) -> bool:
    loops = {use.key for use in uses}
    bound_already = kept.thing.maker.binds == MADE and kept.place != CACHE
    return len(loops) > (0 if bound_already else 1)


def _is_handled(context: Context, kept: Kept, roots: set[str]) -> bool:
    """Whether the tests close it, set its name, or put something else in its place."""
    cleared = context.reach.cleared
    if roots & (cleared.closes | cleared.sets):
        return True
    side = [file for file in context.project.files if context.suite.is_test_side(file)]
    for name, places in context.project.rebound.items():
        touched = any(name == root or name.startswith(root + ".") for root in roots)
        others = [p for p in places if p.function is None or p.function.node.name not in ONCE_A_CLASS]
        if touched and any(p.patch or (p.file in side and is_reset(p, name)) for p in others):
            return True
    words = REPLACED_BY.get(kept.thing.maker.library, ())
    if any(word in file.text for file in side for word in words):
        return True
    factory = kept.root.removesuffix("()")
    return any(p.patch for p in context.project.rebound.get(factory, []))


def _finding(context: Context, kept: Kept, uses: list[Use]) -> Finding:
    maker = kept.thing.maker
    first: dict[str, Use] = {}
    for use in uses:
        first.setdefault(use.test.name, use)
    names = list(first)
    use = uses[0]
    through = "" if use.function.node is use.test.code.node else f" ({context.place(use.function, use.line)})"
    via = f", in {kept.thing.via}" if kept.thing.via else ""
    loops = len({u.key for u in uses})
    many = f"on {loops} loops" if loops > 1 else "on a loop of its own"
    whose = "" if kept.thing.sure else " (if its database is not SQLite)"
    verb = "uses" if len(names) == 1 else "use"
    why = (
        f"{kept.name}, {article(maker.noun)} of {maker.library}{via}, is {_WHERE[kept.place]}, and "
        f"{names_of(names)} {verb} it{through} {many}; it {_BINDS[maker.binds]}{whose}"
    )
    likely = (
        ", so that all but the first are likely to fail"
        if loops > 1
        else ", so that the test is likely to fail"
    )
    return context.finding(RULES[kept.place], kept.file, kept.line, why + likely, _change(kept))


_CLOSING = (", and close it afterwards", ", once the object is closed")


def _change(kept: Kept) -> str:
    # A lock, an event or a queue has no `close`.
    and_close, once_closed = ("", "") if kept.thing.maker.binds == WAITS else _CLOSING
    if kept.place == ONCE:
        return f"make it before each test, in `asyncSetUp` or an async fixture{and_close}"
    if kept.place == DEFAULT:
        return f"write `{kept.name}=None`, and make the {kept.thing.maker.noun} in the function"
    if kept.place == CACHE and kept.root.endswith("()"):
        return f"call `{kept.name[:-2]}.cache_clear()` in a fixture after each test{once_closed}"
    if kept.place == CACHE:
        return f"empty {kept.root} in a fixture after each test{once_closed}"
    return f"let an async fixture make it for each test, and put it under {kept.root}{and_close}"
