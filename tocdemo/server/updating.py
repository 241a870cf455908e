"""Updates: a document and an update in, a new document out; the old one is never touched.

Storage calls `compile_update`. Written here rather than taken from mongomock, which changes documents in
place (a failed update stays half applied), turns Int64 into int and knows neither array filters nor most
positional paths.

Source: "Update Operators" in MongoDB's manual.
"""

from __future__ import annotations

import datetime
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

from bson import Decimal128, Int64, ObjectId, Timestamp

from .errors import CommandError
from .matching import compile_query, equality_fields, positional_index
from .pipelines import run_update_pipeline
from .values import MISSING, Document, copy_document, is_number, order_key, sort_documents

_MAX_ARRAY = 1_000_000  # `{"$set": {"a.1500000": 0}}` would fill the array up with nulls


class Update:
    """One update, checked and ready to be applied to many documents.

    Args:
        update: operators, a replacement document, or a pipeline (a list of stages).
        query: the filter it came with: `$` and upserts need it.
        array_filters: the `arrayFilters` of the statement.

    Raises:
        CommandError: for an update that MongoDB refuses before it looks at any document.
    """

    def __init__(self, update: Any, query: Document, array_filters: list[Document] | None = None) -> None:
        self.update = update
        self.query = query
        self.is_pipeline = isinstance(update, list)
        self._applied = False
        if not isinstance(update, dict | list):
            raise CommandError(9, "Update argument must be either an object or an array")
        self.is_replacement = isinstance(update, dict) and not next(iter(update), "").startswith("$")
        self._filters = _compile_array_filters(array_filters or [])
        if array_filters and (self.is_pipeline or self.is_replacement):
            raise CommandError(9, "arrayFilters may only be specified for an update with operators")
        if self.is_replacement:
            _check_replacement(update)
        elif not self.is_pipeline and (_check_operators(update) or array_filters):
            self._check_filters_used()

    def apply(self, document: Document) -> Document:
        """The document after the update.

        Raises:
            CommandError: the update does not fit this document (2, 14, 28, 40, 66 …).
        """
        result = self._changed(document, inserting=False)
        if "_id" not in result or order_key(result["_id"]) != order_key(document["_id"]):
            message = "Performing an update on the path '_id' would modify the immutable field '_id'"
            raise CommandError(66, message)
        return result

    def insert(self) -> Document:
        """The document that an upsert inserts when nothing matched."""
        seed: Document = {}
        fixed = equality_fields(self.query)
        if self.is_replacement:
            seed = {"_id": fixed["_id"]} if "_id" in fixed else {}
        else:
            for path, value in fixed.items():
                _set_path(seed, path, value)
        result = self._changed(seed, inserting=True)
        if "_id" in seed and order_key(result.get("_id")) != order_key(seed["_id"]):
            raise CommandError(
                66, "Performing an update on the path '_id' would modify the immutable field '_id'"
            )
        return {"_id": result.pop("_id", None) if "_id" in result else ObjectId(), **result}

    def _changed(self, document: Document, *, inserting: bool) -> Document:
        if self.is_replacement:
            identity = {"_id": document["_id"]} if "_id" in document else {}
            return {**identity, **copy_document(self.update)}
        if self.is_pipeline:
            changed = run_update_pipeline(document, self.update)
            identity = {"_id": document["_id"]} if "_id" in document else {}
            return {**identity, **changed}  # a pipeline may leave the _id out, which keeps it
        changed = copy_document(document)
        # The first document may have the operands themselves; no two documents may share a list.
        update = copy_document(self.update) if self._applied else self.update
        self._applied = True
        for operator, fields in update.items():
            if operator == "$setOnInsert" and not inserting:
                continue
            change = _OPERATORS[operator]
            for path, operand in fields.items():
                for exact in self._targets(changed, document, path, inserting):
                    change(changed, exact, operand)
        return changed

    def _targets(self, changed: Document, original: Document, path: str, inserting: bool) -> list[str]:
        """The exact paths that a path with `$`, `$[]` or `$[name]` stands for."""
        if "$" not in path:
            return [path]
        parts = path.split(".")
        if "$" in parts:
            position = parts.index("$")
            index = None if inserting else positional_index(self.query, original, parts[:position])
            if index is None:
                raise CommandError(2, "The positional operator did not find the match needed from the query.")
            parts[position] = str(index)
        return [".".join(exact) for exact in self._expand(changed, parts, 0)]

    def _expand(self, value: Any, parts: list[str], position: int) -> Iterator[list[str]]:
        if position == len(parts):
            yield parts
            return
        part = parts[position]
        if not part.startswith("$["):
            yield from self._expand(_child(value, part), parts, position + 1)
            return
        if not isinstance(value, list):
            path = ".".join(parts[:position])
            raise CommandError(
                2, f"The path '{path}' must exist in the document in order to apply array updates."
            )
        test = self._filters.get(part[2:-1], lambda item: True)
        for index, item in enumerate(value):
            if test(item):
                exact = [*parts[:position], str(index), *parts[position + 1 :]]
                yield from self._expand(item, exact, position + 1)

    def _check_filters_used(self) -> None:
        used = set()
        for fields in self.update.values():
            for path in fields:
                used |= {part[2:-1] for part in path.split(".") if part.startswith("$[") and part != "$[]"}
        for name in used - set(self._filters):
            raise CommandError(2, f"No array filter found for identifier '{name}'")
        for name in set(self._filters) - used:
            raise CommandError(9, f"The array filter for identifier '{name}' was not used in the update")


def _child(value: Any, part: str) -> Any:
    if isinstance(value, dict):
        return value.get(part, MISSING)
    if isinstance(value, list) and part.isdigit() and int(part) < len(value):
        return value[int(part)]
    return MISSING


def _compile_array_filters(filters: list[Document]) -> dict[str, Callable[[Any], bool]]:
    compiled: dict[str, Callable[[Any], bool]] = {}
    for condition in filters:
        names = {name.partition(".")[0] for name in _field_names(condition)}
        if len(names) != 1:
            raise CommandError(9, "Error parsing array filter: it must name exactly one top-level field")
        (name,) = names
        if name in compiled:
            raise CommandError(9, f"Found multiple array filters with the same top-level field name {name}")
        test = compile_query(condition)
        compiled[name] = lambda item, test=test, name=name: test({name: item})
    return compiled


def _field_names(condition: Document) -> Iterator[str]:
    for name, value in condition.items():
        if name in ("$and", "$or", "$nor"):
            for part in value:
                yield from _field_names(part)
        else:
            yield name


def _check_replacement(replacement: Document) -> None:
    for name in replacement:
        if name.startswith("$"):
            message = (
                f"The dollar ($) prefixed field '{name}' is not allowed in an update's replacement document"
            )
            raise CommandError(52, message)


def _check_operators(update: Document) -> bool:
    """Refuse operators and paths that cannot be; whether a path names array filters."""
    paths: list[str] = []
    for operator, fields in update.items():
        if operator not in _OPERATORS:
            known = "$set, $unset, $inc, $push …"
            raise CommandError(9, f"Unknown modifier: {operator}. Expected a valid update modifier ({known})")
        if not isinstance(fields, dict):
            message = f"Modifiers operate on fields but we found type {type(fields).__name__} instead"
            raise CommandError(9, f"{message}. For example: {{$mod: {{<field>: ...}}}}")
        for path, operand in fields.items():
            if "" in path.split("."):
                raise CommandError(
                    56, f"The update path '{path}' contains an empty field name, which is not allowed."
                )
            if path.startswith("$"):
                raise CommandError(
                    52, f"The dollar ($) prefixed field '{path}' in '{path}' is not valid for storage."
                )
            paths += [path, operand] if operator == "$rename" and isinstance(operand, str) else [path]
    if len(paths) < 2:
        return bool(paths) and "$[" in paths[0]
    paths.sort(key=lambda path: path.split("."))
    for one, other in itertools.pairwise(paths):
        if one == other or other.startswith(one + "."):
            message = f"Updating the path '{other}' would create a conflict at '{one}'"
            raise CommandError(40, message)
    return any("$[" in path for path in paths)


# --- walking paths ------------------------------------------------------------------------------------------


def _container(document: Document, path: str, *, create: bool) -> tuple[Any, Any]:
    """The dict or list that holds the path's last part, and that part (an int in a list); (None, None) if
    absent.
    """
    *parents, last = path.split(".")
    holder: Any = document
    for part in parents:
        following = _get(holder, part)
        if following is MISSING:
            if not create:
                return None, None
            following = {}
            _put(holder, _part(holder, part, path), following)
        if not isinstance(following, dict | list):
            if not create:
                return None, None
            raise CommandError(28, f"Cannot create field '{last}' in element {{{part}: {following!r}}}")
        holder = following
    if isinstance(holder, list) and not create and not last.isdigit():
        return None, None
    return holder, _part(holder, last, path)


def _part(holder: Any, part: str, path: str) -> Any:
    if isinstance(holder, dict):
        return part
    if not part.isdigit():
        raise CommandError(28, f"Cannot create field '{part}' in an array (path '{path}')")
    return int(part)


def _get(holder: Any, part: Any) -> Any:
    return _child(holder, str(part))


def _put(holder: Any, part: Any, value: Any) -> None:
    if isinstance(holder, list):
        if part > _MAX_ARRAY:
            raise CommandError(2, f"an array index may be {_MAX_ARRAY} at most, not {part}")
        holder.extend([None] * (part + 1 - len(holder)))
    holder[part] = value


def _set_path(document: Document, path: str, value: Any) -> None:
    holder, last = _container(document, path, create=True)
    _put(holder, last, value)


# --- operators: each changes `document` at `path` -----------------------------------------------------------


def _unset(document: Document, path: str, _operand: Any) -> None:
    holder, last = _container(document, path, create=False)
    if isinstance(holder, dict):
        holder.pop(last, None)
    elif isinstance(holder, list) and last < len(holder):
        holder[last] = None


def _arithmetic(operator: str, combine: Callable[[Any, Any], Any]) -> Callable[[Document, str, Any], None]:
    def change(document: Document, path: str, operand: Any) -> None:
        if not is_number(operand):
            message = f"Cannot {operator[1:]} with non-numeric argument: {{{path}: {operand!r}}}"
            raise CommandError(14, message)
        holder, last = _container(document, path, create=True)
        current = _get(holder, last)
        if current is MISSING:
            current = type(operand)(0) if operator == "$mul" and not isinstance(operand, Decimal128) else 0
            if operator == "$inc":
                _put(holder, last, operand)
                return
        if not is_number(current):
            message = f"Cannot apply {operator} to a value of non-numeric type at '{path}'"
            raise CommandError(14, message)
        _put(holder, last, _numeric(current, operand, combine, operator))

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


def _bound(keep_operand: Callable[[Any, Any], bool]) -> Callable[[Document, str, Any], None]:
    def change(document: Document, path: str, operand: Any) -> None:
        holder, last = _container(document, path, create=True)
        current = _get(holder, last)
        if current is MISSING or keep_operand(order_key(operand), order_key(current)):
            _put(holder, last, operand)

    return change


def _bit(document: Document, path: str, operand: Any) -> None:
    holder, last = _container(document, path, create=True)
    current = _get(holder, last)
    value = 0 if current is MISSING else current
    if not isinstance(operand, dict) or not operand or isinstance(value, bool) or not isinstance(value, int):
        raise CommandError(2, f"$bit needs an integer field and {{and|or|xor: integer}} at '{path}'")
    for name, mask in operand.items():
        if name not in ("and", "or", "xor") or not isinstance(mask, int) or isinstance(mask, bool):
            raise CommandError(2, f"The $bit modifier only supports 'and', 'or', and 'xor', not '{name}'")
        combine = {"and": int.__and__, "or": int.__or__, "xor": int.__xor__}[name]
        value = _numeric(value, mask, combine, "$bit")
    _put(holder, last, value)


def _rename(document: Document, path: str, operand: Any) -> None:
    if not isinstance(operand, str):
        raise CommandError(2, f"The 'to' field for $rename must be a string: {path}")
    holder, last = _container(document, path, create=False)
    if isinstance(holder, list):
        raise CommandError(2, f"The source field '{path}' of $rename cannot be an array element")
    if holder is not None and last in holder:
        _set_path(document, operand, holder.pop(last))


def _current_date(document: Document, path: str, operand: Any) -> None:
    kind = (
        operand.get("$type") if isinstance(operand, dict) else "date" if isinstance(operand, bool) else None
    )
    if kind not in ("date", "timestamp"):
        raise CommandError(2, "$currentDate takes true, {$type: 'date'} or {$type: 'timestamp'}")
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    value = now.replace(microsecond=now.microsecond // 1000 * 1000)
    _set_path(document, path, Timestamp(int(time.time()), 1) if kind == "timestamp" else value)


def _array(document: Document, path: str, operator: str, *, create: bool) -> list[Any] | None:
    holder, last = _container(document, path, create=create)
    if holder is None:
        return None
    current = _get(holder, last)
    if current is MISSING:
        if not create:
            return None
        current = []
        _put(holder, last, current)
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


_OPERATORS: dict[str, Callable[[Document, str, Any], None]] = {
    "$set": _set_path,
    "$setOnInsert": _set_path,
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
