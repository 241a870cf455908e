"""The handlers of web applications: which function answers a request's path.

It reads decorators only. It must not know tests.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from .names import constants, keyword, last_name, walk
from .project import Def, File, Project
from .sources import dotted

VERBS = {"get", "post", "put", "patch", "delete", "head", "options", "request", "websocket_connect", "stream"}

_LISTING = {"Route", "WebSocketRoute", "add_route", "add_api_route", "add_websocket_route"}


@dataclass(frozen=True, eq=False)
class Route:
    """A handler of a web application: what its path may be, and its function."""

    pattern: re.Pattern[str]
    function: Def

    def answers(self, path: str) -> bool:
        return self.pattern.search(path) is not None


def routes(project: Project) -> list[Route]:
    """Return the handlers that decorators such as `@router.get("/items/{id}")` register."""
    found = []
    for file in project.files:
        for function in file.defs.values():
            for decorator in function.node.decorator_list:
                if isinstance(decorator, ast.Call) and last_name(decorator.func) in {
                    *VERBS,
                    "route",
                    "api_route",
                    "websocket",
                }:
                    first = decorator.args[0] if decorator.args else keyword(decorator, "path")
                    if isinstance(first, ast.Constant) and isinstance(first.value, str):
                        path = _prefix(file, decorator.func) + first.value
                        found.append(Route(_pattern(path), function))
    return [*found, *(route for file in project.files for route in _listed(project, file))]


def _listed(project: Project, file: File) -> list[Route]:
    """Return the handlers of `Route("/path", function)` and `app.add_route("/path", function)`."""
    found = []
    for node in walk(file.source.tree):
        if isinstance(node, ast.Call) and last_name(node.func) in _LISTING and len(node.args) > 1:
            path, handler = node.args[0], node.args[1]
            target = project.target(file, handler)
            if isinstance(path, ast.Constant) and isinstance(path.value, str) and target and target.function:
                found.append(Route(_pattern(path.value), target.function))
    return found


def _prefix(file: File, func: ast.expr) -> str:
    chain = dotted(func) or [""]
    for value in file.values.get(chain[0], []):
        prefix = constants(value).get("prefix")
        if isinstance(prefix, str):
            return prefix
    return ""


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{[^}]*\}", path)
    text = "[^/]+".join(re.escape(part) for part in parts)
    begin = "^" if path.strip("/") == "" else ""
    return re.compile(f"{begin}{text}/?$")


def requested_path(call: ast.Call, verb: str) -> str | None:
    """Return the path of a request, with `{}` for what is not a constant; None if the call sends none."""
    place = 1 if verb in ("request", "stream") else 0
    value = call.args[place] if len(call.args) > place else keyword(call, "url")
    if isinstance(value, ast.Constant) and isinstance(value.value, str) and "/" in value.value:
        return re.sub(r"^https?://[^/]*", "", value.value).partition("?")[0]
    if isinstance(value, ast.JoinedStr):
        parts = [str(p.value) if isinstance(p, ast.Constant) else "{}" for p in value.values]
        return re.sub(r"^(https?://[^/]*|\{\}(?=/))", "", "".join(parts)).partition("?")[0]
    return None
