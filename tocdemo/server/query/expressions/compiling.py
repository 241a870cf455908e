"""Expressions become functions of a document: parsed and checked once, before there is any document.

It must not know stages or collections.

Source: "Aggregation Operators" and "Variables in Aggregation Expressions" in MongoDB's manual.
"""

from __future__ import annotations

import datetime
import operator
from collections.abc import Callable
from functools import partial
from typing import Any

from ...errors import CommandError, expect, not_implemented
from ..values import MISSING, Document, Key, Predicate, is_text, order_key
from . import arithmetic, arrays, converting, dates, strings
from .converting import truthy
from .forms import FORMS
from .table import Constant, Evaluate, Named, Plain, Scope, Variables, arguments, is_null


def _key(value: Any) -> Key:
    return (0.5,) if value is MISSING else order_key(value)  # a missing field comes before null here


def _compare(accept: Callable[[Any, Any], Any], one: Any, other: Any) -> Any:
    return accept(_key(one), _key(other))


OPERATORS: dict[str, Plain | Named] = {
    **arithmetic.OPERATORS,
    **arrays.OPERATORS,
    **converting.OPERATORS,
    **dates.OPERATORS,
    **strings.OPERATORS,
    "$cmp": Plain(partial(_compare, lambda a, b: (a > b) - (a < b)), (), 2, 2, "none"),
    "$eq": Plain(partial(_compare, operator.eq), (), 2, 2, "none"),
    "$gt": Plain(partial(_compare, operator.gt), (), 2, 2, "none"),
    "$gte": Plain(partial(_compare, operator.ge), (), 2, 2, "none"),
    "$lt": Plain(partial(_compare, operator.lt), (), 2, 2, "none"),
    "$lte": Plain(partial(_compare, operator.le), (), 2, 2, "none"),
    "$ne": Plain(partial(_compare, operator.ne), (), 2, 2, "none"),
    "$not": Plain(lambda value: not truthy(value), nulls="none"),
}
NOT_IMPLEMENTED = frozenset({
    "$acos", "$acosh", "$asin", "$asinh", "$atan", "$atan2", "$atanh", "$binarySize", "$bitAnd", "$bitNot",
    "$bitOr", "$bitXor", "$bsonSize", "$cos", "$cosh", "$dateToParts", "$degreesToRadians", "$firstN",
    "$function", "$lastN", "$log", "$maxN", "$median", "$meta", "$minN", "$percentile", "$radiansToDegrees",
    "$sin", "$sinh", "$stdDevPop", "$stdDevSamp", "$tan", "$tanh", "$toHashedIndexKey", "$tsIncrement",
    "$tsSecond", "$zip",
})  # fmt: skip


def is_known(name: str) -> bool:
    """Whether MongoDB has an operator of that name, be it implemented here or not."""
    return any(name in names for names in (OPERATORS, FORMS, dates.PARTS, NOT_IMPLEMENTED))


def compile_operand(expression: Any, scope: Scope = frozenset()) -> Evaluate:
    """Make a function of a document and variables of an expression; `scope` has the names of variables that
    it may use. CommandError for an expression that MongoDB refuses before it has a document, 168 for an
    operator that it does not know, 238 for one that only this server does not know.
    """
    if is_text(expression) and expression.startswith("$"):
        return _path(expression, scope)
    if isinstance(expression, list):
        return _array([compile_operand(item, scope) for item in expression])
    if not isinstance(expression, dict):
        return Constant(expression)
    if not next(iter(expression), "").startswith("$"):
        return _object(
            {check_name(name): compile_operand(value, scope) for name, value in expression.items()}
        )
    message = f"An object representing an expression must have exactly one field: {expression}"
    expect(len(expression) == 1, 15983, message)
    ((name, operand),) = expression.items()
    return _operator(name, operand, scope)


def check_name(name: str) -> str:
    """The name of a field in an object, or of a part of a path, if it may be one."""
    expect(name != "", 15998, "FieldPath field names may not be empty strings.")
    expect(not name.startswith("$"), 16410, f"FieldPath field names may not start with '$': {name}")
    expect("." not in name, 16412, f"FieldPath field names may not contain '.': {name}")
    return name


def _operator(name: str, operand: Any, scope: Scope) -> Evaluate:
    if name in FORMS:
        return FORMS[name](operand, scope, compile_operand)
    if name in dates.PARTS:
        return _date_part(name, operand, scope)
    if name in OPERATORS:
        known = OPERATORS[name]
        return (
            _named(name, known, operand, scope)
            if isinstance(known, Named)
            else _plain(name, known, operand, scope)
        )
    if name in NOT_IMPLEMENTED:
        raise not_implemented(f"the expression {name}")
    raise CommandError(168, f"Unrecognized expression '{name}'")


def _plain(name: str, known: Plain, operand: Any, scope: Scope) -> Evaluate:
    parts = operand if isinstance(operand, list) else [] if known.most == 0 and operand == {} else [operand]
    count, least, most = len(parts), known.least, known.most
    if count < least or (most is not None and count > most):
        exact = (
            f"exactly {least} arguments"
            if least == most
            else f"at least {least} arguments, and at most {most}"
        )
        code = known.count_code or (16020 if least == most else 28667)
        raise CommandError(code, f"Expression {name} takes {exact}. {count} were passed in.")
    compiled = [compile_operand(part, scope) for part in parts]

    def evaluate(document: Document, variables: Variables) -> Any:
        values = [part(document, variables) for part in compiled]
        looked_at = {"any": values, "first": values[:1]}.get(known.nulls, [])
        if any(map(is_null, looked_at)):
            return None
        if known.checks:
            for position, value in enumerate(values):
                if known.nulls == "in order" and is_null(value):
                    return None
                values[position] = known.checks[min(position, len(known.checks) - 1)](name, value)
        return known.function(*values)

    return evaluate if name == "$rand" else _folded(evaluate, compiled)


def _named(name: str, known: Named, operand: Any, scope: Scope) -> Evaluate:
    given = arguments(name, operand, known)
    compiled = {key: compile_operand(value, scope) for key, value in given.items()}

    def evaluate(document: Document, variables: Variables) -> Any:
        values = {key: part(document, variables) for key, part in compiled.items()}
        if known.nulls == "any" and any(map(is_null, values.values())):
            return None
        for key, check in (known.checks or {}).items():
            if key in values:
                values[key] = check(name, values[key])
        return known.function(**values)

    return _folded(evaluate, list(compiled.values()))


def _folded(evaluate: Evaluate, parts: list[Evaluate]) -> Evaluate:
    """What depends on constants alone is computed now, and wrong now, as MongoDB's optimizer does it."""
    return Constant(evaluate({}, {})) if all(isinstance(part, Constant) for part in parts) else evaluate


def _date_part(name: str, operand: Any, scope: Scope) -> Evaluate:
    function = dates.part(name)
    if isinstance(operand, dict) and not next(iter(operand), "").startswith("$"):
        return _named(name, Named(function, {"date": 40539}, ("timezone",), 40539, 40535), operand, scope)
    return _plain(name, Plain(function, count_code=40536), operand, scope)


def _array(items: list[Evaluate]) -> Evaluate:
    def evaluate(document: Document, variables: Variables) -> list[Any]:
        values = [item(document, variables) for item in items]
        return [None if value is MISSING else value for value in values]

    return _folded(evaluate, items)


def _object(fields: dict[str, Evaluate]) -> Evaluate:
    def evaluate(document: Document, variables: Variables) -> Document:
        values = {name: field(document, variables) for name, field in fields.items()}
        return {name: value for name, value in values.items() if value is not MISSING}

    return _folded(evaluate, list(fields.values()))


def _path(text: str, scope: Scope) -> Evaluate:
    expect(text not in ("$", "$$"), 16872, "'$' by itself is not a valid FieldPath")
    expect(not text.endswith("."), 40353, "FieldPath must not end with a '.'.")
    variable, *parts = text[2:].split(".") if text.startswith("$$") else ["CURRENT", *text[1:].split(".")]
    for part in parts:
        check_name(part)
    if variable in scope:
        return lambda document, variables: walk(variables[variable], parts)
    if variable in ("CURRENT", "ROOT"):
        if len(parts) == 1:
            (name,) = parts
            return lambda document, variables: document.get(name, MISSING)
        return lambda document, variables: walk(document, parts)
    if variable == "REMOVE":
        return Constant(MISSING)
    if variable == "NOW":
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        return Constant(now.replace(microsecond=now.microsecond // 1000 * 1000))
    if variable in ("CLUSTER_TIME", "USER_ROLES", "SEARCH_META"):
        raise not_implemented(f"the variable $${variable}")
    raise CommandError(17276, f"Use of undefined variable: {variable}")


def walk(value: Any, parts: list[str]) -> Any:
    """What a path reaches from a value; in an array it goes on in each of the documents."""
    for position, part in enumerate(parts):
        if isinstance(value, dict):
            value = value.get(part, MISSING)
        elif isinstance(value, list):
            found = (walk(item, parts[position:]) for item in value if isinstance(item, dict))
            return [item for item in found if item is not MISSING]
        else:
            return MISSING
    return value


def compile_condition(expression: Any) -> Predicate:
    """Make a predicate of the operand of `$expr`."""
    evaluate = compile_operand(expression)
    return lambda document: truthy(evaluate(document, {}))
