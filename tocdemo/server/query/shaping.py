"""Documents in a new shape: fields kept, left out and computed, at any depth and through arrays.

It must not know where a shape is wanted: `$project`, `$addFields` and find's projection share it.

Source: "$project", "$addFields" and "Project Fields to Return" in MongoDB's manual; codes from
`projection_parser.cpp` of MongoDB 6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import CommandError, expect
from .expressions import Evaluate, check_name, compile_operand, is_known, truthy
from .values import MISSING, Document, is_number, is_text

Shape = Callable[[Document], Document]
_Tree = dict[str, Any]  # a name to True, False, a function that computes, or the tree below it


def _grow(tree: _Tree, path: str, leaf: Any, collisions: tuple[int, int]) -> None:
    """Put a leaf into a tree at a dotted path; `collisions` are the codes where the path is taken."""
    *parents, last = path.split(".")
    node = tree
    expect(path != "", 40352, "FieldPath cannot be constructed with empty string")
    expect(not path.endswith("."), 40353, "FieldPath must not end with a '.'.")
    for part in parents:
        node = node.setdefault(check_name(part), {})
        expect(isinstance(node, dict), collisions[0], f"Path collision at {path} remaining portion {last}")
    expect(check_name(last) not in node, collisions[1], f"Path collision at {path}")
    node[last] = leaf


def compile_fields(fields: Any, stage: str) -> Shape:
    """Make a function that sets computed fields, as `$addFields` does."""
    expect(isinstance(fields, dict), 40272, f"{stage} specification stage must be an object")
    expect(bool(fields), 40177, f"Invalid {stage}: it must have at least one field")
    tree: _Tree = {}
    for path, value in fields.items():
        _add_field(tree, path, value)
    return lambda document: _set(document, tree, document)


def _add_field(tree: _Tree, path: str, value: Any) -> None:
    """A nested document means the same as dotted paths."""
    names = list(value) if isinstance(value, dict) else []
    operators = [name for name in names if name.startswith("$")]
    if not names or operators:
        expect(len(names) < 2, 40181, f"an expression must contain exactly one field, not {names}")
        _grow(tree, path, compile_operand(value), (40176, 40176))
        return
    for name in names:
        expect("." not in name, 40183, f"cannot use dotted field name '{name}' in a sub object")
        _add_field(tree, f"{path}.{name}", value[name])


def _project_field(tree: _Tree, path: str, value: Any, kinds: dict[Any, None]) -> None:
    """Numbers and booleans are flags here. `kinds` gathers what the projection consists of, in its order:
    flags, and None for what is computed; the flag of the _id does not count.
    """
    code = 31310
    if isinstance(value, dict):
        name = next(iter(value), "")
        if len(value) != 1 or not name.startswith("$"):
            expect(value != {}, 51270, f"An empty sub-projection is not a valid value: {path}")
            for name, inner in value.items():
                _project_field(tree, f"{path}.{name}", inner, kinds)
            return
        code = 31252
        expect(is_known(name), 168 if name == "$elemMatch" else 31325, f"Unknown expression {name}")
    flag = truthy(value) if isinstance(value, bool) or is_number(value) else None
    _grow(tree, path, compile_operand(value) if flag is None else flag, (31249, 31250))
    if path != "_id" or flag is None:
        kinds[flag] = None
        if len(kinds) > 1 and False in kinds:
            code = {True: 31253, False: 31254, None: code}[flag]
            raise CommandError(code, f"Cannot mix exclusion with anything else in a projection: {path}")


def compile_shape(spec: Document, *, keep: bool = True) -> Shape:
    """Make a function of a projection: it keeps the fields that are named, or all others, and computes.
    `keep` decides where no field does.
    """
    tree: _Tree = {}
    kinds: dict[Any, None] = {}
    for path, value in spec.items():
        _project_field(tree, path, value, kinds)
    identity = tree.pop("_id", None)
    if kinds:
        keep = False not in kinds
    elif identity is not None:
        keep = identity is not False
    if identity is not None or keep:
        tree = {"_id": keep if identity is None else identity, **tree}
    if keep and tree.get("_id") is False:
        del tree["_id"]
    computed = _computed(tree)
    take = _include if keep else _exclude

    def shape(document: Document) -> Document:
        result = take(document, tree)
        return _set(result, computed, document) if computed else result

    return shape


def _computed(tree: _Tree) -> _Tree:
    below = {name: _computed(branch) if isinstance(branch, dict) else branch for name, branch in tree.items()}
    return {name: branch for name, branch in below.items() if branch and branch is not True}


def _include(value: Document, tree: _Tree) -> Document:
    result: Document = {}
    for name, item in value.items():
        branch = tree.get(name)
        if branch is True:
            result[name] = item
        elif isinstance(branch, dict) and isinstance(item, dict | list):
            result[name] = _include(item, branch) if isinstance(item, dict) else _each(item, branch, _include)
    return result


def _exclude(value: Document, tree: _Tree) -> Document:
    result: Document = {}
    for name, item in value.items():
        branch = tree.get(name)
        if branch is False:
            continue
        if isinstance(branch, dict) and isinstance(item, dict | list):
            item = _exclude(item, branch) if isinstance(item, dict) else _each(item, branch, _exclude)
        result[name] = item
    return result


def _each(items: list[Any], tree: _Tree, change: Callable[[Any, _Tree], Any]) -> list[Any]:
    result: list[Any] = []
    filled = change is _include and bool(_computed(tree))
    for item in items:
        if isinstance(item, dict):
            result.append(change(item, tree))
        elif isinstance(item, list):
            result.append(_each(item, tree, change))
        elif change is _exclude:
            result.append(item)
        elif filled:
            result.append({})  # a computed field takes the value's place
    return result


def _set(value: Any, tree: _Tree, document: Document) -> Any:
    """A value with the computed fields of a tree in it; in an array, in each of its items."""
    if isinstance(value, list):
        return [_set(item, tree, document) for item in value]
    result = dict(value) if isinstance(value, dict) else {}
    for name, branch in tree.items():
        new = _set(result.get(name), branch, document) if isinstance(branch, dict) else branch(document, {})
        if new is MISSING:
            result.pop(name, None)
        else:
            result[name] = new
    return result


def compile_unset(paths: Any) -> Shape:
    """Make a function that leaves out the fields at one path or several."""
    expect(
        isinstance(paths, list) or is_text(paths), 31002, "$unset specification must be a string or an array"
    )
    names = paths if isinstance(paths, list) else [paths]
    expect(bool(names), 31119, "$unset specification must have at least one field")
    expect(all(map(is_text, names)), 31120, "$unset takes an array of strings")
    return compile_shape(dict.fromkeys(names, False))


def compile_root(new_root: Any) -> Shape:
    """Make a function that puts a computed document in a document's place."""
    evaluate: Evaluate = compile_operand(new_root)

    def replace(document: Document) -> Document:
        root = evaluate(document, {})
        if not isinstance(root, dict):
            message = "'newRoot' expression must evaluate to an object, but resulting value was: "
            raise CommandError(40228, f"{message}{root}")
        return root

    return replace
