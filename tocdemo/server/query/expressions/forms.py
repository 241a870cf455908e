"""The operators that decide by themselves what they evaluate, and with which variables.

It must not know the other operators: it is handed the compiler.

Source: "Conditional", "Variable" and "Array Expression Operators" in MongoDB's manual; codes from
`expression.cpp` of MongoDB 6 and 7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ...errors import CommandError, expect
from ..ordering import sort_documents
from ..values import MISSING, Document, is_text, order_key, type_name
from .converting import truthy
from .table import (
    Check,
    Compile,
    Constant,
    Evaluate,
    Form,
    Named,
    Scope,
    Variables,
    arguments,
    is_null,
)


def _spec(required: dict[str, int], optional: tuple[str, ...], not_document: int, unknown: int) -> Named:
    return Named(lambda: None, required, optional, not_document, unknown)


_COND = _spec({"if": 17080, "then": 17081, "else": 17082}, (), 16020, 17083)
_FILTER = _spec({"input": 28648, "cond": 28650}, ("as", "limit"), 28646, 28647)
_LIMIT = Check("int32", 327391, 327391)
_GET = _spec({"field": 3041702, "input": 3041703}, (), 3041702, 3041701)
_LET = _spec({"vars": 16876, "in": 16877}, (), 16874, 16875)
_MAP = _spec({"input": 16880, "in": 16882}, ("as",), 16878, 16879)
_REDUCE = _spec({"input": 40077, "initialValue": 40078, "in": 40079}, (), 40075, 40076)
_SET = _spec({"field": 4161102, "value": 4161103, "input": 4161109}, (), 4161100, 4161101)
_SORT = _spec({"input": 2942502, "sortBy": 2942503}, (), 2942500, 2942501)
_SWITCH = _spec({"branches": 40068}, ("default",), 40060, 40067)
_BRANCH = _spec({"case": 40064, "then": 40065}, (), 40062, 40063)
_UNSET = _spec({"field": 4161102, "input": 4161109}, (), 4161100, 4161101)


def _name(name: Any) -> str:
    """A variable's name that a user may give."""
    expect(isinstance(name, str) and name != "", 16866, "empty variable names are not allowed")
    if name == "CURRENT":
        return name
    letters = [letter.isascii() and not letter.isalnum() and letter != "_" for letter in name]
    expect("a" <= name[0] <= "z" or name[0] > "\x7f", 16867, f"'{name}' starts with an invalid character")
    expect(not any(letters), 16868, f"'{name}' contains an invalid character for a variable name")
    return name


def _literal(operand: Any, scope: Scope, compile: Compile) -> Evaluate:
    return Constant(operand)


def _logical(combine: Callable[[Iterable[bool]], bool]) -> Form:
    """`$and` and `$or`, which stop as soon as they know."""

    def form(operand: Any, scope: Scope, compile: Compile) -> Evaluate:
        tests = [compile(part, scope) for part in (operand if isinstance(operand, list) else [operand])]
        return lambda document, variables: combine(truthy(test(document, variables)) for test in tests)

    return form


def _cond(operand: Any, scope: Scope, compile: Compile) -> Evaluate:
    if isinstance(operand, dict):
        operand = [arguments("$cond", operand, _COND)[name] for name in ("if", "then", "else")]
    count = len(operand) if isinstance(operand, list) else 1
    expect(count == 3, 16020, f"Expression $cond takes exactly 3 arguments. {count} were passed in.")
    test, then, otherwise = (compile(part, scope) for part in operand)
    return lambda document, variables: (then if truthy(test(document, variables)) else otherwise)(
        document, variables
    )


def _if_null(operand: Any, scope: Scope, compile: Compile) -> Evaluate:
    count = len(operand) if isinstance(operand, list) else 1
    expect(count >= 2, 1257300, f"$ifNull needs at least two arguments, had: {count}")
    parts = [compile(part, scope) for part in operand]

    def evaluate(document: Document, variables: Variables) -> Any:
        for part in parts[:-1]:
            value = part(document, variables)
            if not is_null(value):
                return value
        return parts[-1](document, variables)

    return evaluate


def _switch(operand: Any, scope: Scope, compile: Compile) -> Evaluate:
    given = arguments("$switch", operand, _SWITCH)
    rows = given["branches"]
    expect(isinstance(rows, list), 40061, f"$switch's 'branches' must be an array, not {type_name(rows)}")
    expect(bool(rows), 40068, "$switch requires at least one branch.")
    checked = [arguments("$switch's branch", row, _BRANCH) for row in rows]
    branches = [(compile(row["case"], scope), compile(row["then"], scope)) for row in checked]
    default = compile(given["default"], scope) if "default" in given else None

    def evaluate(document: Document, variables: Variables) -> Any:
        for case, then in branches:
            if truthy(case(document, variables)):
                return then(document, variables)
        if default is None:
            raise CommandError(
                40066, "$switch could not find a matching branch, and no default was specified."
            )
        return default(document, variables)

    return evaluate


def _let(operand: Any, scope: Scope, compile: Compile) -> Evaluate:
    given = arguments("$let", operand, _LET)
    expect(isinstance(given["vars"], dict), 10065, "invalid parameter: expected an object (vars)")
    values = {_name(name): compile(value, scope) for name, value in given["vars"].items()}
    body = compile(given["in"], scope | values.keys())

    def evaluate(document: Document, variables: Variables) -> Any:
        new = {name: value(document, variables) for name, value in values.items()}
        return body(document, {**variables, **new})

    return evaluate


def _each(operator: str, code: int, value: Any) -> list[Any] | None:
    """The items of the array that an operator goes through; None for null."""
    message = f"input to {operator} must be an array not {type_name(value)}"
    expect(is_null(value) or isinstance(value, list), code, message)
    return None if is_null(value) else value


def _map(operand: Any, scope: Scope, compile: Compile) -> Evaluate:
    given = arguments("$map", operand, _MAP)
    source, name = compile(given["input"], scope), _name(given.get("as", "this"))
    body = compile(given["in"], scope | {name})

    def evaluate(document: Document, variables: Variables) -> Any:
        items = _each("$map", 16883, source(document, variables))
        if items is None:
            return None
        results = [body(document, {**variables, name: item}) for item in items]
        return [None if result is MISSING else result for result in results]

    return evaluate


def _filter(operand: Any, scope: Scope, compile: Compile) -> Evaluate:
    given = arguments("$filter", operand, _FILTER)
    source, name = compile(given["input"], scope), _name(given.get("as", "this"))
    test, limit = compile(given["cond"], scope | {name}), compile(given.get("limit"), scope)

    def evaluate(document: Document, variables: Variables) -> Any:
        items, most = _each("$filter", 28651, source(document, variables)), limit(document, variables)
        if items is None:
            return None
        count = len(items) if is_null(most) else _LIMIT("$filter's limit", most)
        expect(count > 0 or not items, 327392, f"$filter: limit must be greater than 0: {count}")
        return [item for item in items if truthy(test(document, {**variables, name: item}))][:count]

    return evaluate


def _reduce(operand: Any, scope: Scope, compile: Compile) -> Evaluate:
    given = arguments("$reduce", operand, _REDUCE)
    source, initial = compile(given["input"], scope), compile(given["initialValue"], scope)
    body = compile(given["in"], scope | {"this", "value"})

    def evaluate(document: Document, variables: Variables) -> Any:
        items = _each("$reduce", 40080, source(document, variables))
        if items is None:
            return None
        value = initial(document, variables)
        for item in items:
            value = body(document, {**variables, "this": item, "value": value})
        return value

    return evaluate


def _field(operator: str, codes: tuple[int, int, int], field: Any) -> str:
    """The name of a field, which must be a constant."""
    message = f"'{field}' is a field path reference which is not allowed in this context"
    expect(not is_text(field) or not field.startswith("$"), codes[0], message)
    if isinstance(field, dict) and list(field) in (["$literal"], ["$const"]):
        (field,) = field.values()
    else:
        message = f"{operator} requires 'field' to evaluate to a constant, but got a non-constant argument"
        expect(not isinstance(field, dict | list), codes[1], message)
    message = f"{operator} requires 'field' to evaluate to type String, but got {type_name(field)}"
    expect(is_text(field), codes[2], message)
    return field


def _get_field(operand: Any, scope: Scope, compile: Compile) -> Evaluate:
    short = not isinstance(operand, dict) or next(iter(operand), "").startswith("$")
    given = {"field": operand, "input": "$$CURRENT"} if short else arguments("$getField", operand, _GET)
    name = _field("$getField", (5654600, 5654601, 5654602), given["field"])
    source = compile(given["input"], scope)

    def evaluate(document: Document, variables: Variables) -> Any:
        value = source(document, variables)
        if isinstance(value, dict):
            return value.get(name, MISSING)
        return None if value is None else MISSING

    return evaluate


def _set_field(operand: Any, scope: Scope, compile: Compile) -> Evaluate:
    return _changed_field("$setField", arguments("$setField", operand, _SET), scope, compile)


def _unset_field(operand: Any, scope: Scope, compile: Compile) -> Evaluate:
    given = {**arguments("$unsetField", operand, _UNSET), "value": "$$REMOVE"}
    return _changed_field("$unsetField", given, scope, compile)


def _changed_field(operator: str, given: Document, scope: Scope, compile: Compile) -> Evaluate:
    name = _field(operator, (4161108, 4161106, 4161107), given["field"])
    source, new = compile(given["input"], scope), compile(given["value"], scope)

    def evaluate(document: Document, variables: Variables) -> Any:
        holder = source(document, variables)
        if is_null(holder):
            return None
        expect(isinstance(holder, dict), 4161105, f"{operator} requires 'input' to evaluate to type Object")
        result = {**holder, name: new(document, variables)}
        return {key: value for key, value in result.items() if value is not MISSING}

    return evaluate


def _sort_array(operand: Any, scope: Scope, compile: Compile) -> Evaluate:
    given = arguments("$sortArray", operand, _SORT)
    source, order = compile(given["input"], scope), given["sortBy"]
    number = isinstance(order, int | float) and not isinstance(order, bool)
    expect(number or isinstance(order, dict), 2942507, "The $sort is invalid: use 1/-1 or {field: 1/-1}")
    directions = list(order.values()) if isinstance(order, dict) else [order]
    code = 2942505 if isinstance(order, dict) else 2942506
    valid = bool(directions) and all(not isinstance(way, bool) and way in (1, -1) for way in directions)
    expect(valid, code, "The $sort element value must be either 1 or -1")

    def evaluate(document: Document, variables: Variables) -> Any:
        items = source(document, variables)
        if is_null(items):
            return None
        message = f"The input argument to $sortArray must be an array, but was of type: {type_name(items)}"
        expect(isinstance(items, list), 2942504, message)
        if isinstance(order, dict):
            return sort_documents(items, order)
        return sorted(items, key=order_key, reverse=order < 0)

    return evaluate


FORMS: dict[str, Form] = {
    "$and": _logical(all),
    "$cond": _cond,
    "$const": _literal,
    "$filter": _filter,
    "$getField": _get_field,
    "$ifNull": _if_null,
    "$let": _let,
    "$literal": _literal,
    "$map": _map,
    "$or": _logical(any),
    "$reduce": _reduce,
    "$setField": _set_field,
    "$sortArray": _sort_array,
    "$switch": _switch,
    "$unsetField": _unset_field,
}
