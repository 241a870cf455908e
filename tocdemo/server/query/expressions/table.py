"""What the table of operators holds for each name: a function, the shape of its arguments, the error codes.

It must not know how an expression is compiled: a form, which decides by itself what it evaluates, is handed
the compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ...errors import CommandError, expect
from ..numbers import to_whole
from ..values import MISSING, Document, is_number, type_name

Variables = dict[str, Any]
Scope = frozenset[str]  # the names of the variables that an expression may use
Evaluate = Callable[[Document, Variables], Any]
Compile = Callable[[Any, Scope], Evaluate]
Form = Callable[[Any, Scope, Compile], Evaluate]
# What a null or missing argument does: it makes the result null whatever the others are; it does so unless
# one before it is wrong; it does so as the first argument; it is an argument like any other.
Nulls = Literal["any", "in order", "first", "none"]


@dataclass(frozen=True)
class Constant:
    """An expression whose value is known before there is a document."""

    value: Any

    def __call__(self, document: Document, variables: Variables) -> Any:
        return self.value


@dataclass(frozen=True)
class Check:
    """The type that an argument must have ("any" for every one), with the code for another; for "int32" and
    "int64" also the code for a number that is not whole or does not fit.
    """

    kind: str
    code: int
    range_code: int = 0

    def __call__(self, name: str, value: Any) -> Any:
        """The value, an int for an integer. CommandError for a wrong one."""
        found = type_name(value)
        if self.kind == "any":
            return value
        known = is_number(value) if self.kind in ("number", "int32", "int64") else found == self.kind
        expect(known, self.code, f"{name} needs an argument of type {self.kind}, but found {found}: {value}")
        if not self.range_code:
            return value
        whole = to_whole(value, int(self.kind[3:]))
        if whole is None:
            raise CommandError(
                self.range_code, f"{name} needs an argument of type {self.kind}, but found: {value}"
            )
        return whole


@dataclass(frozen=True)
class Plain:
    """An operator with positional arguments, `least` to `most` of them (None: any number), and their checks:
    the last one counts for all that follow. `count_code` replaces the usual code for a wrong number.
    """

    function: Callable[..., Any]
    checks: tuple[Check, ...] = ()
    least: int = 1
    most: int | None = 1
    nulls: Nulls = "any"
    count_code: int = 0


@dataclass(frozen=True)
class Named:
    """An operator whose argument is a document: required names with the codes for their absence, optional
    names, the codes for an argument that is no document or has another name in it, and checks by name.
    """

    function: Callable[..., Any]
    required: Mapping[str, int]
    optional: tuple[str, ...]
    not_document: int
    unknown: int
    checks: Mapping[str, Check] | None = None
    nulls: Nulls = "any"


def over(function: Callable[[list[Any]], Any]) -> Plain:
    """An accumulator as an expression: over the items of its one array, or over its arguments."""

    def apply(*values: Any) -> Any:
        return function(values[0] if len(values) == 1 and isinstance(values[0], list) else list(values))

    return Plain(apply, (), 0, None, "none")


def is_null(value: Any) -> bool:
    """Whether a value is null or missing."""
    return value is None or value is MISSING


def arguments(name: str, operand: Any, operator: Named) -> Document:
    """The argument of an operator with named ones, checked."""
    found = type_name(operand)
    expect(
        isinstance(operand, dict), operator.not_document, f"{name} only supports an object, found: {found}"
    )
    for key in operand:
        known = key in operator.required or key in operator.optional
        expect(known, operator.unknown, f"{name} found an unknown argument: {key}")
    for key, code in operator.required.items():
        expect(key in operand, code, f"{name} requires '{key}' to be specified")
    return operand
