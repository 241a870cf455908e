"""Writes one statement of the source anew, with one call in it replaced.

It reads and makes syntax trees. What is a good replacement, it must not know.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from ..static.sources import Source


def rewritten(
    source: Source, line: int, names: tuple[str, ...], replace: Callable[[ast.Call], ast.expr | None]
) -> tuple[int, str] | None:
    """Replace the only call of one of these names in the statement of this line.

    Return the statement's first line and its new text in one line; None if the statement has a body, or if
    the call is not there, or not alone, or has no replacement.
    """
    statement = _statement(source, line)
    if statement is None:
        return None
    copy = ast.parse(ast.unparse(statement)).body[0]
    writer = _Replaced(names, replace)
    new = ast.fix_missing_locations(writer.visit(copy))
    if writer.count != 1:
        return None
    return statement.lineno, ast.unparse(new)


def _statement(source: Source, line: int) -> ast.stmt | None:
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.stmt) or hasattr(node, "body"):
            continue
        if node.lineno <= line <= (node.end_lineno or node.lineno):
            return node
    return None


class _Replaced(ast.NodeTransformer):
    def __init__(self, names: tuple[str, ...], replace: Callable[[ast.Call], ast.expr | None]) -> None:
        self.count = 0
        self._names, self._replace = names, replace

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        new = self._replace(node) if called in self._names else None
        if new is None:
            return node
        self.count += 1
        return new
