"""A command's `let` variables, put into its filters and pipelines as constants before these are compiled.

It must not know what an expression means, but for the operators that give a name a new meaning.

Source: the `let` field of the commands in MongoDB's manual.
"""

from __future__ import annotations

from typing import Any

from ..values import Document
from .compiling import compile_operand, walk


def bind_pipeline(stages: Any, variables: Document | None) -> Any:
    """The stages with the command's `let` variables put in where an expression names them (`$$name`)."""
    if not variables or not isinstance(stages, list):
        return stages
    return [_bind_stage(stage, variables) if isinstance(stage, dict) else stage for stage in stages]


def _bind_stage(stage: Document, variables: Document) -> Document:
    return {
        name: bind_query(options, variables) if name == "$match" else _bind(options, variables)
        for name, options in stage.items()
    }


def bind_query(query: Any, variables: Document | None) -> Any:
    """The filter with the `let` variables put into its `$expr`: elsewhere `$$name` is a plain string."""
    if not variables or not isinstance(query, dict):
        return query
    bound: Document = {}
    for name, value in query.items():
        if name == "$expr":
            bound[name] = _bind(value, variables)
        elif name in ("$and", "$or", "$nor") and isinstance(value, list):
            bound[name] = [bind_query(part, variables) for part in value]
        else:
            bound[name] = value
    return bound


def _bind(expression: Any, variables: Document) -> Any:
    if isinstance(expression, dict):
        if "$literal" in expression:
            return expression
        return {name: _bind(value, _visible(name, value, variables)) for name, value in expression.items()}
    if isinstance(expression, list):
        return [_bind(item, variables) for item in expression]
    if isinstance(expression, str) and expression.startswith("$$"):
        name, *path = expression[2:].split(".")
        if name in variables:
            return {"$literal": walk(compile_operand(variables[name])({}, {}), path)}
    return expression


def _visible(operator: str, options: Any, variables: Document) -> Document:
    """The variables that an operator does not hide by its own of the same name."""
    own: set[str] = set()
    if operator == "$let" and isinstance(options, dict) and isinstance(options.get("vars"), dict):
        own = set(options["vars"])
    elif operator in ("$map", "$filter") and isinstance(options, dict):
        own = {str(options.get("as", "this"))}
    elif operator == "$reduce":
        own = {"this", "value"}
    return {name: value for name, value in variables.items() if name not in own}
