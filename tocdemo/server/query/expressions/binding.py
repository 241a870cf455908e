"""A command's `let` variables, put into its filters and pipelines as constants before these are compiled.

It must not know what an expression means, but for the operators that give a name a new meaning.

Source: the `let` field of the commands in MongoDB's manual.
"""

from __future__ import annotations

from typing import Any

from ..values import Document
from .compiling import compile_operand, walk

_BODIES = {
    "$filter": "cond",
    "$let": "in",
    "$map": "in",
    "$reduce": "in",
}  # where their own variables are known


def bind_pipeline(stages: Any, variables: Document | None) -> Any:
    """The stages with the command's `let` variables put in where an expression names them (`$$name`)."""
    if not variables or not isinstance(stages, list):
        return stages
    return [_bind_stage(stage, variables) if isinstance(stage, dict) else stage for stage in stages]


def _bind_stage(stage: Document, variables: Document) -> Document:
    bound: Document = {}
    for name, options in stage.items():
        if name == "$match":
            bound[name] = bind_query(options, variables)
        elif name == "$facet" and isinstance(options, dict):
            bound[name] = {key: bind_pipeline(inner, variables) for key, inner in options.items()}
        elif name in ("$lookup", "$unionWith") and isinstance(options, dict):
            inner = _without(variables, options.get("let"))
            bound[name] = {
                key: bind_pipeline(value, inner) if key == "pipeline" else _bind(value, variables)
                for key, value in options.items()
            }
        else:
            bound[name] = _bind(options, variables)
    return bound


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
        return {name: _bind_operand(name, value, variables) for name, value in expression.items()}
    if isinstance(expression, list):
        return [_bind(item, variables) for item in expression]
    if isinstance(expression, str) and expression.startswith("$$"):
        name, *path = expression[2:].split(".")
        if name in variables:
            return {"$literal": walk(compile_operand(variables[name])({}, {}), path)}
    return expression


def _bind_operand(operator: str, operand: Any, variables: Document) -> Any:
    """An operator's operand: in a body, its own variables hide those of the same name."""
    if operator not in _BODIES or not isinstance(operand, dict):
        return _bind(operand, variables)
    usual = ["this", "value"] if operator == "$reduce" else [operand.get("as", "this")]
    inner = _without(variables, operand.get("vars") if operator == "$let" else usual)
    body = _BODIES[operator]
    return {name: _bind(value, inner if name == body else variables) for name, value in operand.items()}


def _without(variables: Document, hidden: Any) -> Document:
    return {name: value for name, value in variables.items() if name not in (hidden or ())}
