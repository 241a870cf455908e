"""Aggregation expressions: their value for a document, `$expr` in a query, and a command's `let` variables.

It must not know stages or collections. Values are mongomock's; comparisons are ours, because mongomock's fail
on a missing field and take 1 for True.

Source: "Aggregation Operators" in MongoDB's manual.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from mongomock import aggregate, filtering

from ..errors import CommandError
from .values import MISSING, Document, Predicate, order_key

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": operator.eq,
    "$ne": operator.ne,
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_RESULT = "tocdemo result"


def evaluate(expression: Any, document: Document) -> Any:
    """The value of an expression for a document; MISSING when there is none."""
    if isinstance(expression, dict) and list(expression) == ["$literal"]:
        return expression["$literal"]
    if isinstance(expression, dict) and list(expression) == ["$setField"]:
        return _set_field(expression["$setField"], document)
    (result,) = aggregate.process_pipeline([document], None, [{"$addFields": {_RESULT: expression}}], None)
    return result.get(_RESULT, MISSING)


def _set_field(options: Document, document: Document) -> Any:
    """`$setField`, which alone can name a field with a dot or a dollar; mongomock has it not."""
    name = evaluate(options["field"], document)
    holder = evaluate(options["input"], document)
    if not isinstance(name, str) or not isinstance(holder, dict):
        raise CommandError(4161107, "$setField needs 'field', a constant string, and 'input', an object")
    return {**holder, name: evaluate(options["value"], document)}


def compile_expression(expression: Any) -> Predicate:
    """Make a predicate of the operand of `$expr`."""
    if isinstance(expression, dict) and len(expression) == 1:
        ((name, operands),) = expression.items()
        if name in _COMPARISONS and isinstance(operands, list) and len(operands) == 2:
            compare, (left, right) = _COMPARISONS[name], operands
            return lambda document: compare(_operand_key(left, document), _operand_key(right, document))
        if name in ("$and", "$or") and isinstance(operands, list):
            tests = [compile_expression(operand) for operand in operands]
            combine = all if name == "$and" else any
            return lambda document: combine(test(document) for test in tests)
    return lambda document: bool(filtering.filter_applies({"$expr": expression}, document))


def _operand_key(expression: Any, document: Document) -> tuple[Any, ...]:
    value = evaluate(expression, document)
    return (0.5,) if value is MISSING else order_key(value)  # a missing field comes before null here


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
        return {name: _bind(value, variables) for name, value in expression.items()}
    if isinstance(expression, list):
        return [_bind(item, variables) for item in expression]
    if isinstance(expression, str) and expression.startswith("$$"):
        name, *path = expression[2:].split(".")
        if name in variables:
            value = evaluate(variables[name], {})
            for part in path:
                value = value.get(part) if isinstance(value, dict) else None
            return {"$literal": value}
    return expression
