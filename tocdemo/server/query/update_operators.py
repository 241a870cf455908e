"""The update operators: each changes a document, which it may, at a path.

It must not know how an update is put together: positional paths come here as exact ones.

Source: "Update Operators" in MongoDB's manual.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from typing import Any

from bson import Decimal128, Int64, Timestamp

from ..errors import CommandError
from .matching import compile_query
from .paths import child, container, put, set_path
from .values import MISSING, Document, is_number, order_key, sort_documents

Operator = Callable[[Document, str, Any], None]


def _unset(document: Document, path: str, _operand: Any) -> None:
    holder, last = container(document, path, create=False)
    if isinstance(holder, dict):
        holder.pop(last, None)
    elif isinstance(holder, list) and last < len(holder):
        holder[last] = None


def _arithmetic(operator: str, combine: Callable[[Any, Any], Any]) -> Operator:
    def change(document: Document, path: str, operand: Any) -> None:
        if not is_number(operand):
            message = f"Cannot {operator[1:]} with non-numeric argument: {{{path}: {operand!r}}}"
            raise CommandError(14, message)
        holder, last = container(document, path, create=True)
        current = child(holder, last)
        if current is MISSING:
            current = type(operand)(0) if operator == "$mul" and not isinstance(operand, Decimal128) else 0
            if operator == "$inc":
                put(holder, last, operand)
                return
        if not is_number(current):
            message = f"Cannot apply {operator} to a value of non-numeric type at '{path}'"
            raise CommandError(14, message)
        put(holder, last, _numeric(current, operand, combine, operator))

    return change


def _numeric(one: Any, other: Any, combine: Callable[[Any, Any], Any], operator: str) -> Any:
    """Combine two numbers; the result has the wider of their BSON types."""
    if isinstance(one, Decimal128) or isinstance(other, Decimal128):
        numbers = [n.to_decimal() if isinstance(n, Decimal128) else n for n in (one, other)]
        numbers = [Decimal128(str(n)).to_decimal() if isinstance(n, float) else n for n in numbers]
        return Decimal128(combine(*numbers))
    result = combine(one, other)
    if isinstance(result, float):
        return result
    if not -(2**63) <= result < 2**63:
        raise CommandError(
            2, f"Failed to apply {operator} operations to current value: the result is over 64 bits"
        )
    wide = isinstance(one, Int64) or isinstance(other, Int64) or not -(2**31) <= result < 2**31
    return Int64(result) if wide else int(result)


def _bound(keep_operand: Callable[[Any, Any], bool]) -> Operator:
    def change(document: Document, path: str, operand: Any) -> None:
        holder, last = container(document, path, create=True)
        current = child(holder, last)
        if current is MISSING or keep_operand(order_key(operand), order_key(current)):
            put(holder, last, operand)

    return change


def _bit(document: Document, path: str, operand: Any) -> None:
    holder, last = container(document, path, create=True)
    current = child(holder, last)
    value = 0 if current is MISSING else current
    if not isinstance(operand, dict) or not operand or isinstance(value, bool) or not isinstance(value, int):
        raise CommandError(2, f"$bit needs an integer field and {{and|or|xor: integer}} at '{path}'")
    for name, mask in operand.items():
        if name not in ("and", "or", "xor") or not isinstance(mask, int) or isinstance(mask, bool):
            raise CommandError(2, f"The $bit modifier only supports 'and', 'or', and 'xor', not '{name}'")
        combine = {"and": int.__and__, "or": int.__or__, "xor": int.__xor__}[name]
        value = _numeric(value, mask, combine, "$bit")
    put(holder, last, value)


def _rename(document: Document, path: str, operand: Any) -> None:
    if not isinstance(operand, str):
        raise CommandError(2, f"The 'to' field for $rename must be a string: {path}")
    holder, last = container(document, path, create=False)
    if isinstance(holder, list):
        raise CommandError(2, f"The source field '{path}' of $rename cannot be an array element")
    if holder is not None and last in holder:
        set_path(document, operand, holder.pop(last))


def _current_date(document: Document, path: str, operand: Any) -> None:
    kind = (
        operand.get("$type") if isinstance(operand, dict) else "date" if isinstance(operand, bool) else None
    )
    if kind not in ("date", "timestamp"):
        raise CommandError(2, "$currentDate takes true, {$type: 'date'} or {$type: 'timestamp'}")
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    value = now.replace(microsecond=now.microsecond // 1000 * 1000)
    set_path(document, path, Timestamp(int(time.time()), 1) if kind == "timestamp" else value)


def _array(document: Document, path: str, operator: str, *, create: bool) -> list[Any] | None:
    holder, last = container(document, path, create=create)
    if holder is None:
        return None
    current = child(holder, last)
    if current is MISSING:
        if not create:
            return None
        current = []
        put(holder, last, current)
    if not isinstance(current, list):
        raise CommandError(2, f"Cannot apply {operator} to a non-array value at '{path}'")
    return current


_PUSH_CLAUSES = {"$each", "$position", "$slice", "$sort"}


def _push(document: Document, path: str, operand: Any) -> None:
    array = _array(document, path, "$push", create=True)
    assert array is not None
    if not isinstance(operand, dict) or "$each" not in operand:
        array.append(operand)
        return
    for unknown in set(operand) - _PUSH_CLAUSES:
        raise CommandError(2, f"Unrecognized clause in $push: {unknown}")
    items = _each(operand, "$push")
    position = _whole(operand.get("$position", len(array)), "$position")
    array[position:position] = items
    if "$sort" in operand:
        array[:] = _sorted_items(array, operand["$sort"])
    if "$slice" in operand:
        size = _whole(operand["$slice"], "$slice")
        array[:] = array[:size] if size >= 0 else array[size:]


def _each(operand: Document, operator: str) -> list[Any]:
    if not isinstance(operand["$each"], list):
        raise CommandError(14, f"The argument to $each in {operator} must be an array")
    return operand["$each"]


def _whole(value: Any, clause: str) -> int:
    if not is_number(value) or isinstance(value, Decimal128) or value != value // 1:
        raise CommandError(2, f"The value for {clause} must be an integer value but was given {value!r}")
    return int(value)


def _sorted_items(array: list[Any], order: Any) -> list[Any]:
    if isinstance(order, dict):
        return sort_documents(array, order)
    if order not in (1, -1):
        raise CommandError(2, "The $sort element value must be either 1 or -1")
    return sorted(array, key=order_key, reverse=order < 0)


def _add_to_set(document: Document, path: str, operand: Any) -> None:
    array = _array(document, path, "$addToSet", create=True)
    assert array is not None
    several = isinstance(operand, dict) and "$each" in operand
    present = set(map(order_key, array))
    for item in _each(operand, "$addToSet") if several else [operand]:
        if order_key(item) not in present:
            present.add(order_key(item))
            array.append(item)


def _pop(document: Document, path: str, operand: Any) -> None:
    if operand not in (1, -1):
        raise CommandError(9, f"$pop expects 1 or -1, found: {operand!r}")
    array = _array(document, path, "$pop", create=False)
    if array:
        array.pop(-1 if operand == 1 else 0)


def _pull(document: Document, path: str, operand: Any) -> None:
    array = _array(document, path, "$pull", create=False)
    if array is None:
        return
    operators = isinstance(operand, dict) and next(iter(operand), "").startswith("$")
    if isinstance(operand, dict) and not operators:
        query = compile_query(operand)
        array[:] = [item for item in array if not (isinstance(item, dict) and query(item))]
        return
    test = compile_query({"item": operand})
    array[:] = [item for item in array if not test({"item": item})]


def _pull_all(document: Document, path: str, operand: Any) -> None:
    if not isinstance(operand, list):
        raise CommandError(2, "$pullAll requires an array argument")
    array = _array(document, path, "$pullAll", create=False)
    if array is not None:
        unwanted = set(map(order_key, operand))
        array[:] = [item for item in array if order_key(item) not in unwanted]


OPERATORS: dict[str, Operator] = {
    "$set": set_path,
    "$setOnInsert": set_path,
    "$unset": _unset,
    "$inc": _arithmetic("$inc", lambda a, b: a + b),
    "$mul": _arithmetic("$mul", lambda a, b: a * b),
    "$min": _bound(lambda new, old: new < old),
    "$max": _bound(lambda new, old: new > old),
    "$bit": _bit,
    "$rename": _rename,
    "$currentDate": _current_date,
    "$push": _push,
    "$addToSet": _add_to_set,
    "$pop": _pop,
    "$pull": _pull,
    "$pullAll": _pull_all,
}
