"""Groups of documents: `$group` with its accumulators, and the stages that are short for it.

It must not know collections.

Source: "$group" and "Accumulators" in MongoDB's manual; codes from `accumulation_statement.cpp` and
`document_source_group.cpp` of MongoDB.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..errors import expect, not_implemented
from .expressions import Evaluate, compile_operand, distinct, extreme, merge_objects
from .numbers import mean, total
from .ordering import sort_documents
from .values import MISSING, Document, is_text, order_key

Stage = Callable[[list[Document]], list[Document]]


def _present(values: list[Any]) -> list[Any]:
    return [value for value in values if value is not MISSING]


def _nulled(value: Any) -> Any:
    return None if value is MISSING else value


_ACCUMULATORS: dict[str, Callable[[list[Any]], Any]] = {
    "$addToSet": lambda values: list(distinct(_present(values)).values()),
    "$avg": mean,
    "$count": total,
    "$first": lambda values: _nulled(values[0]),
    "$last": lambda values: _nulled(values[-1]),
    "$max": partial(extreme, max),
    "$mergeObjects": merge_objects,
    "$min": partial(extreme, min),
    "$push": _present,
    "$sum": total,
}
_NOT_IMPLEMENTED = frozenset({
    "$accumulator", "$bottom", "$bottomN", "$firstN", "$lastN", "$maxN", "$median", "$minN", "$percentile",
    "$stdDevPop", "$stdDevSamp", "$top", "$topN",
})  # fmt: skip


def _accumulator(name: str, spec: Any) -> tuple[Callable[[list[Any]], Any], Evaluate]:
    valid = isinstance(spec, dict) and next(iter(spec), "").startswith("$")
    expect(valid, 40234, f"The field '{name}' must be an accumulator object")
    expect("." not in name, 40235, f"The field name '{name}' cannot contain '.'")
    expect(not name.startswith("$"), 40236, f"The field name '{name}' cannot be an operator name")
    expect(len(spec) == 1, 40238, f"The field '{name}' must specify one accumulator")
    ((operator, operand),) = spec.items()
    if operator in _NOT_IMPLEMENTED:
        raise not_implemented(f"the accumulator {operator}")
    expect(operator in _ACCUMULATORS, 15952, f"unknown group operator '{operator}'")
    expect(not isinstance(operand, list), 40237, f"The {operator} accumulator is a unary operator")
    expect(operator != "$count" or operand == {}, 9, "$count takes no arguments, i.e. $count:{}")
    return _ACCUMULATORS[operator], compile_operand(1 if operator == "$count" else operand)


def compile_group(options: Any) -> Stage:
    """Make a function of `$group`."""
    expect(isinstance(options, dict), 15947, "a group's fields must be specified in an object")
    expect("_id" in options, 15955, "a group specification must include an _id")
    identity = compile_operand(options["_id"])
    fields = {name: _accumulator(name, spec) for name, spec in options.items() if name != "_id"}

    def group(documents: list[Document]) -> list[Document]:
        groups: dict[Any, tuple[Any, list[Document]]] = {}
        for document in documents:
            value = _nulled(identity(document, {}))
            groups.setdefault(order_key(value), (value, []))[1].append(document)
        return [
            {
                "_id": value,
                **{name: gather([of(one, {}) for one in members]) for name, (gather, of) in fields.items()},
            }
            for value, members in groups.values()
        ]

    return group


def compile_sort_by_count(options: Any) -> Stage:
    """Make a function of `$sortByCount`."""
    expect(isinstance(options, dict | str), 40149, "the sortByCount field must be a string or an object")
    first, code = (options, 40148) if isinstance(options, str) else (next(iter(options), ""), 40147)
    expect(first.startswith("$"), code, "the sortByCount field must be a $-prefixed path or an expression")
    group = compile_group({"_id": options, "count": {"$sum": 1}})
    return lambda documents: sort_documents(group(documents), {"count": -1})


def compile_count(options: Any) -> Stage:
    """Make a function of `$count`."""
    expect(is_text(options), 40156, "the count field must be a non-empty string")
    expect(options != "", 40157, "the count field must be a non-empty string")
    expect(not options.startswith("$"), 40158, "the count field cannot be a $-prefixed path")
    expect("." not in options, 40160, "the count field cannot contain '.'")
    return lambda documents: [{options: len(documents)}] if documents else []
