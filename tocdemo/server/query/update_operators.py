"""The update operators: each changes a document, which it may, at a path.

It must not know how an update is put together: positional paths come here as exact ones.

Source: "Update Operators" in MongoDB's manual.
"""

from __future__ import annotations

import datetime
import operator
import time
from collections.abc import Callable
from typing import Any

from bson import Timestamp

from ..errors import CommandError, expect
from .matching import compile_query
from .numbers import combine, to_whole
from .ordering import sort_documents
from .paths import child, container, put, set_path
from .values import MISSING, Document, Predicate, is_number, order_key, type_name

Operator = Callable[[Document, str, Any], None]
Check = Callable[[str, Any], Any]


def _unset(document: Document, path: str, _operand: Any) -> None:
    holder, last = container(document, path, create=False)
    if isinstance(holder, dict):
        holder.pop(last, None)
    elif isinstance(holder, list) and last < len(holder):
        holder[last] = None


def _arithmetic(name: str, combination: Callable[[Any, Any], Any]) -> Operator:
    def change(document: Document, path: str, operand: Any) -> None:
        holder, last = container(document, path, create=True)
        current = child(holder, last)
        if current is MISSING:
            put(holder, last, operand if name == "$inc" else combine(combination, [0, operand]))
            return
        expect(is_number(current), 14, f"Cannot apply {name} to a value of non-numeric type at '{path}'")
        try:
            put(holder, last, combine(combination, (current, operand), strict=True))
        except OverflowError:
            message = f"Failed to apply {name} operations to current value ({current}): over 64 bits"
            raise CommandError(2, message) from None

    return change


def _check_number(name: str) -> Check:
    def check(path: str, operand: Any) -> None:
        expect(
            is_number(operand), 14, f"Cannot {name[1:]} with non-numeric argument: {{{path}: {operand!r}}}"
        )

    return check


def _bound(keep_operand: Callable[[Any, Any], bool]) -> Operator:
    def change(document: Document, path: str, operand: Any) -> None:
        holder, last = container(document, path, create=True)
        current = child(holder, last)
        if current is MISSING or keep_operand(order_key(operand), order_key(current)):
            put(holder, last, operand)

    return change


_BITS: dict[str, Callable[[Any, Any], Any]] = {"and": int.__and__, "or": int.__or__, "xor": int.__xor__}


def _bit(document: Document, path: str, operand: Any) -> None:
    holder, last = container(document, path, create=True)
    current = child(holder, last)
    value = 0 if current is MISSING else current
    whole = type_name(value) in ("int", "long")
    expect(whole, 2, f"Cannot apply $bit to a value of non-integral type at '{path}'")
    for name, mask in operand.items():
        value = combine(_BITS[name], (value, mask))
    put(holder, last, value)


def _check_bit(path: str, operand: Any) -> None:
    expect(isinstance(operand, dict) and operand != {}, 2, f"$bit needs {{and|or|xor: integer}} at '{path}'")
    for name, mask in operand.items():
        known = name in _BITS and type_name(mask) in ("int", "long")
        expect(known, 2, f"The $bit modifier only supports 'and', 'or', and 'xor', not '{name}'")


def _check_rename(path: str, operand: Any) -> None:
    expect(isinstance(operand, str), 2, f"The 'to' field for $rename must be a string: {path}")
    for place, name in ((path, "source"), (operand, "destination")):
        dynamic = any(part == "$" or part.startswith("$[") for part in place.split("."))
        expect(not dynamic, 2, f"The {name} field for $rename may not be dynamic: {place}")
    expect(operand != path, 2, f"The source and target field for $rename must differ: {path}")


def _rename(document: Document, path: str, operand: Any) -> None:
    holder = _renamed_holder(document, path, "source")
    last = path.rpartition(".")[2]
    if holder is not None and last in holder:
        _renamed_holder(document, operand, "destination")
        set_path(document, operand, holder.pop(last))


def _renamed_holder(document: Document, path: str, which: str) -> Document | None:
    """The document that has a path's last part, None if the way to it is not there. No way goes through an
    array, nor from a source through a plain value.
    """
    holder: Any = document
    for part in path.split(".")[:-1]:
        holder = holder.get(part, MISSING)
        if isinstance(holder, list):
            raise CommandError(2, f"The {which} field cannot be an array element: '{path}'")
        if holder is MISSING:
            return None
        if not isinstance(holder, dict):
            where = f"cannot use the part ({part} of {path}) to traverse the element"
            raise CommandError(28, f"{where} ({{{part}: {holder!r}}})")
    return holder


def _check_current_date(path: str, operand: Any) -> None:
    known = isinstance(operand, bool) or operand in ({"$type": "date"}, {"$type": "timestamp"})
    expect(known, 2, "$currentDate takes true, {$type: 'date'} or {$type: 'timestamp'}")


def _current_date(document: Document, path: str, operand: Any) -> None:
    kind = operand["$type"] if isinstance(operand, dict) else "date"
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


def _check_push(path: str, operand: Any) -> None:
    if not isinstance(operand, dict) or "$each" not in operand:
        return
    for unknown in set(operand) - _PUSH_CLAUSES:
        raise CommandError(2, f"Unrecognized clause in $push: {unknown}")
    found = type_name(operand["$each"])
    expect(
        found == "array", 2, f"The argument to $each in $push must be an array but it was of type: {found}"
    )
    for clause in {"$position", "$slice"} & set(operand):
        value = operand[clause]
        whole = is_number(value) and to_whole(value, 64) is not None
        expect(whole, 2, f"The value for {clause} must be an integer value, not {value!r}")
    order = operand.get("$sort", 1)
    directions = list(order.values()) if isinstance(order, dict) else [order]
    if not directions or not all(is_number(way) and to_whole(way) in (1, -1) for way in directions):
        raise CommandError(2, "The $sort element value must be either 1 or -1")
    for path in order if isinstance(order, dict) else ():
        expect(
            "" not in path.split("."), 2, f"The $sort field is a dotted field but has an empty part: {path}"
        )


def _push(document: Document, path: str, operand: Any) -> None:
    array = _array(document, path, "$push", create=True)
    assert array is not None
    if not isinstance(operand, dict) or "$each" not in operand:
        array.append(operand)
        return
    position = to_whole(operand.get("$position", len(array)), 64)
    array[position:position] = operand["$each"]
    order = operand.get("$sort")
    if isinstance(order, dict):
        array[:] = sort_documents(array, {path: to_whole(way) for path, way in order.items()})
    elif order is not None:
        array.sort(key=order_key, reverse=to_whole(order) == -1)
    if "$slice" in operand:
        size = to_whole(operand["$slice"], 64) or 0
        array[:] = array[:size] if size >= 0 else array[size:]


def _check_add_to_set(path: str, operand: Any) -> None:
    if not isinstance(operand, dict) or next(iter(operand), "") != "$each":
        return
    found = type_name(operand["$each"])
    expect(
        found == "array", 14, f"The argument to $each in $addToSet must be an array but is of type {found}"
    )
    expect(len(operand) == 1, 2, f"Found unexpected fields after $each in $addToSet: {operand}")


def _add_to_set(document: Document, path: str, operand: Any) -> None:
    array = _array(document, path, "$addToSet", create=True)
    assert array is not None
    several = isinstance(operand, dict) and next(iter(operand), "") == "$each"
    present = set(map(order_key, array))
    for item in operand["$each"] if several else [operand]:
        if order_key(item) not in present:
            present.add(order_key(item))
            array.append(item)


def _check_pop(path: str, operand: Any) -> None:
    expect(
        is_number(operand) and to_whole(operand) in (1, -1), 9, f"$pop expects 1 or -1, found: {operand!r}"
    )


def _pop(document: Document, path: str, operand: Any) -> None:
    array = _array(document, path, "$pop", create=False)
    if array:
        array.pop(-1 if to_whole(operand) == 1 else 0)


def _compile_pull(operand: Any) -> Predicate:
    """Whether an item goes: one that equals the operand, or a document that the operand as a query fits."""
    if isinstance(operand, dict) and not next(iter(operand), "").startswith("$"):
        query = compile_query(operand)
        return lambda item: isinstance(item, dict) and query(item)
    test = compile_query({"item": operand})
    return lambda item: test({"item": item})


def _pull(document: Document, path: str, operand: Any) -> None:
    array = _array(document, path, "$pull", create=False)
    if array is not None:
        unwanted = _compile_pull(operand)
        array[:] = [item for item in array if not unwanted(item)]


def _check_pull_all(path: str, operand: Any) -> None:
    found = type_name(operand)
    expect(found == "array", 2, f"$pullAll requires an array argument but was given a {found}")


def _pull_all(document: Document, path: str, operand: Any) -> None:
    array = _array(document, path, "$pullAll", create=False)
    if array is not None:
        unwanted = set(map(order_key, operand))
        array[:] = [item for item in array if order_key(item) not in unwanted]


OPERATORS: dict[str, Operator] = {
    "$set": set_path,
    "$setOnInsert": set_path,
    "$unset": _unset,
    "$inc": _arithmetic("$inc", operator.add),
    "$mul": _arithmetic("$mul", operator.mul),
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
# Those that, at a path without a dot, change nothing below the document's own fields.
TOP_ONLY = frozenset({
    "$set", "$setOnInsert", "$unset", "$inc", "$mul", "$min", "$max", "$bit", "$rename", "$currentDate",
})  # fmt: skip
# What an operator refuses before it has a document.
CHECKS: dict[str, Check] = {
    "$inc": _check_number("$inc"),
    "$mul": _check_number("$mul"),
    "$bit": _check_bit,
    "$rename": _check_rename,
    "$currentDate": _check_current_date,
    "$push": _check_push,
    "$addToSet": _check_add_to_set,
    "$pop": _check_pop,
    "$pull": lambda path, operand: _compile_pull(operand),
    "$pullAll": _check_pull_all,
}
