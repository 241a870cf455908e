"""Small questions about syntax trees: which names a function binds, what a call is given, what is nested.

It knows no file and no project.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import Union

from .sources import dotted

Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_NESTED = (*FUNCTIONS, ast.Lambda, ast.ClassDef)


def walk(node: ast.AST, nested: bool = True) -> list[ast.AST]:
    """Return what is below the node, in the order of the lines, also in `nested` functions or not."""
    return _once(node, "_below" if nested else "_own", lambda: _below(ast.iter_child_nodes(node), nested))


def body(node: ast.AST, nested: bool = False) -> list[ast.AST]:
    """Return what is in the function's body: no decorators, defaults or annotations."""
    return _once(node, "_body" if nested else "_own_body", lambda: _below(getattr(node, "body", []), nested))


def _once(node: ast.AST, name: str, read: Callable[[], list[ast.AST]]) -> list[ast.AST]:
    """Keep the list with the node itself: the same functions are read by many rules."""
    kept = vars(node).get(name)
    if kept is None:
        kept = vars(node)[name] = read()
    return kept


def _below(children: Iterable[ast.AST], nested: bool) -> list[ast.AST]:
    found: list[ast.AST] = []
    waiting = list(children)[::-1]
    while waiting:
        node = waiting.pop()
        found.append(node)
        if nested or not isinstance(node, _NESTED):
            waiting += list(ast.iter_child_nodes(node))[::-1]
    return found


def bound_names(function: Function) -> Iterator[str]:
    """Yield the names that the function and those in it bind themselves; not what they call global."""
    outside = {n for node in walk(function) if isinstance(node, ast.Global) for n in node.names}
    for node in walk(function):
        if isinstance(node, ast.arg) and node.arg not in outside:
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id not in outside:
            yield node.id


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """Return the value that the call gives for the keyword, or None."""
    return next((k.value for k in call.keywords if k.arg == name), None)


def constants(node: ast.expr) -> dict[str, object]:
    """Return the keywords of a call whose values are constants; nothing of what is no call."""
    if not isinstance(node, ast.Call):
        return {}
    return {k.arg: k.value.value for k in node.keywords if k.arg and isinstance(k.value, ast.Constant)}


def called(node: ast.expr) -> ast.expr:
    """Return the decorator without its call: `fixture` of `fixture(scope="session")`."""
    return node.func if isinstance(node, ast.Call) else node


def last_name(node: ast.expr) -> str:
    """Return `c` of `a.b.c`, also of `f(x).c`; "" of anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return (dotted(node) or [""])[-1]


def parameters(function: Function) -> list[ast.arg]:
    """Return the function's parameters that have names of their own, `self` and `cls` too."""
    args = function.args
    return [*args.posonlyargs, *args.args, *args.kwonlyargs]


def defaults(function: Function) -> Iterator[tuple[str, ast.expr]]:
    """Yield each parameter that has a default, with it."""
    args = function.args
    positional = [*args.posonlyargs, *args.args]
    for parameter, value in zip(reversed(positional), reversed(args.defaults)):
        yield parameter.arg, value
    for parameter, default in zip(args.kwonlyargs, args.kw_defaults):
        if default is not None:
            yield parameter.arg, default
