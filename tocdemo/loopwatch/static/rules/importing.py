"""`needs-running-loop`: what is made at import and raises there, because no loop runs.

It must not know tests: such a module cannot be imported by any of them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..context import Context, article
from ..findings import Finding
from ..names import FUNCTIONS, defaults, keyword, walk
from ..objects.kept import import_time
from ..objects.libraries import maker
from ..project import File


def needs_running_loop(context: Context) -> Iterator[Finding]:
    """Find calls that need a running loop where none runs: at import, in class bodies and defaults."""
    for file in context.project.files:
        seen: set[int] = set()
        for statement in import_time(file):
            for call, where in _calls(statement):
                if call.lineno not in seen and (found := _finding(context, file, call, where)):
                    seen.add(call.lineno)
                    yield found


def _calls(statement: ast.stmt) -> Iterator[tuple[ast.Call, str]]:
    if isinstance(statement, FUNCTIONS):
        for name, value in defaults(statement):
            yield from (
                (n, f"as the default of {name}")
                for n in [value, *walk(value, False)]
                if isinstance(n, ast.Call)
            )
    elif isinstance(statement, ast.ClassDef):
        for child in statement.body:
            if isinstance(child, FUNCTIONS):
                yield from _calls(child)
            elif not isinstance(child, ast.ClassDef):
                yield from (
                    (n, f"in the body of {statement.name}")
                    for n in walk(child, False)
                    if isinstance(n, ast.Call)
                )
    elif isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Expr)):
        yield from ((n, "at import") for n in walk(statement, False) if isinstance(n, ast.Call))


def _finding(context: Context, file: File, call: ast.Call, where: str) -> Finding | None:
    name = file.full_name(call.func) or ""
    if name == "asyncio.get_running_loop":
        why = f"calls {name}() {where}, where no loop runs: RuntimeError"
        return context.finding("needs-running-loop", file, call.lineno, why, "call it in a coroutine")
    made = maker(name, dict(context.installed), context.python)
    if (
        made is None
        or not made.needs_loop
        or keyword(call, "loop") is not None
        or keyword(call, "connector") is not None
    ):
        return None
    have = context.installed.get(made.library)
    version = f" {have}" if have else " (3.10 and later)" if made.library == "aiohttp" else ""
    library = "" if made.library == "asyncio" else f" of {made.library}{version}"
    why = (
        f"makes {article(made.noun)}{library} {where}, where no loop runs: "
        "it asks for the running loop, and raises RuntimeError"
    )
    return context.finding(
        "needs-running-loop", file, call.lineno, why, "make it in a coroutine, such as an async fixture"
    )
