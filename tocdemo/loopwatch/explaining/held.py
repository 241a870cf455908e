"""Says what holds an object: names of modules, where each comes from, and fixtures.

A name is "made there" only where a statement of the source gives it a value that makes something.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from typing import Any

from ..live.entries import ClientEntry
from ..live.graph import is_carrier
from ..live.holders import Copied, HolderEntry, HoldingFixture
from ..static.sources import Source
from .words import line, where
from .writing import SET_UPS, assigned, attribute_lines, closure_line, set_up, setters

MOST = 3
_IN_CLOSURE = re.compile(r"\(\)<(\w+)>")
_DEFAULT = re.compile(r"\((\w+)=\)")


def of_client(
    found: list[HolderEntry], client: ClientEntry, used: tuple[str, str] | None
) -> list[HolderEntry]:
    """Return the holders of the client: first that which the code `used`, then others of its module."""
    module, name = used or (None, None)
    mine = [entry for entry in found if entry.client is client]
    return sorted(
        mine, key=lambda entry: ((entry.module, entry.name) != (module, name), entry.module != module)
    )


def short(entry: HolderEntry) -> str:
    """Return the name as far as one can write it: what is in a closure or a default has no name there."""
    return re.split(r"\(\)<|\(\w+=\)", entry.name)[0]


def is_of_its_library(entry: HolderEntry) -> bool:
    """Whether one can call the object by this name: it is the client's own, or leads on to it in the name."""
    root, *attributes = entry.root.split(".")
    value = vars(sys.modules[entry.module]).get(root) if entry.module in sys.modules else None
    for attribute in attributes:
        value = vars(value).get(attribute) if isinstance(value, type) else None
    package = type(value).__module__.partition(".")[0]
    return entry.name != entry.root or package == entry.client.kind.partition(".")[0]


def held_lines(
    leading: list[HolderEntry], fixture: HoldingFixture | None, defined: str, used: tuple[str, str] | None
) -> Iterator[str]:
    """Yield what holds the client: a fixture, and names of modules, those of one module in one line.

    `defined` is the file and line of the fixture's function, "" where it is not known.
    """
    if fixture and (not leading or fixture.scope != "function"):
        at = f", defined in {defined}" if defined else ""
        yield line("held as", f"fixture `{fixture.name}` (scope {fixture.scope}){at}")
    by_module: dict[tuple[Any, ...], list[HolderEntry]] = {}
    for entry in leading:
        source = entry.copied.module if entry.copied else None
        by_module.setdefault((entry.module, source, entry.stale, _way_inside(entry)), []).append(entry)
    groups = list(by_module.values())
    for entries in groups[:MOST]:
        yield line("held as", _names_text(entries))
        copied = entries[0].copied
        if copied is not None and copied.stale:
            yield line("", _now_text(copied))
    if len(groups) > MOST:
        rest = [f"{entry.module}.{short(entry)}" for entries in groups[MOST:] for entry in entries]
        yield line("", f"and {len(rest)} more: " + ", ".join(rest[:6]))
    if not leading and not fixture:
        yield line("held as", ".".join(used) if used else "not found: no name of a loaded module leads to it")


def _way_inside(entry: HolderEntry) -> str:
    """Say how a function has the object, where it is one that has it."""
    if found := _IN_CLOSURE.search(entry.name):
        return f", which has it in its closure as `{found[1]}`{_closure_place(entry, found[1])}"
    if found := _DEFAULT.search(entry.name):
        return f", of which it is the default of `{found[1]}`"
    return ""


def _closure_place(entry: HolderEntry, name: str) -> str:
    """Return the line that gave the variable its value, where the source of the function tells."""
    code = getattr(getattr(sys.modules.get(entry.module), entry.root, None), "__code__", None)
    if code is None:
        return ""
    number = closure_line(Source.of(code.co_filename), code.co_firstlineno, name)
    here = code.co_filename == getattr(sys.modules.get(entry.module), "__file__", None)
    return f" ({entry.file}:{number})" if number and here else ""


def _names_text(entries: list[HolderEntry]) -> str:
    """Say where names of one module come from: all were made there, or copied from the same module."""
    first, origin = entries[0], entries[0].origin
    text = f"{first.module}.{short(first)}" + "".join(f", {short(entry)}" for entry in entries[1:])
    text += _way_inside(first)
    if origin is None:
        return f"{text} (where it comes from is not known)"
    if origin.origin != "imported":
        return f"{text}{_there(entries)}"
    source = first.copied.module if first.copied else origin.source
    lines = sorted({entry.origin.line for entry in entries if entry.origin})
    statements = [_import_text(first.module, number) for number in lines]
    return f"{text}, copied from {source} by {' and '.join(statements)} ({_lines(lines)})"


def _there(entries: list[HolderEntry]) -> str:
    """Say where what a name leads to was made: with it, or later, in an application or a dictionary."""
    first, made = entries[0], _made_text(entries)
    path, statement = first.name.removeprefix(first.root), assigned(_source(first.module), first.root)
    value = getattr(sys.modules.get(first.module), first.root, None)
    placed = _placed(first)
    if is_carrier(value) or (path.startswith("[") and statement is not None and statement.is_bare):
        return f"{', ' if placed else ''}{placed}; {first.root} is {made}"
    return f", {made}; `{path}` is {placed}" if placed else f", {made}"


def _placed(entry: HolderEntry) -> str:
    """Return "set at FILE:LINE" of what an object behind the name keeps, if one statement of it does that."""
    path = re.findall(r"\.(\w+)", entry.name.removeprefix(entry.root))[-2:]
    value = getattr(sys.modules.get(entry.module), entry.root, None)
    found = set()
    for module in dict.fromkeys((entry.module, type(value).__module__)) if path else ():
        file = getattr(sys.modules.get(module), "__file__", None) or ""
        found |= {(file, number) for number in attribute_lines(_source(module), path)}
    if len(found) != 1:
        return ""
    own = getattr(sys.modules.get(entry.module), "__file__", None) or ""
    root = own.removesuffix(entry.file or "")
    ((file, number),) = found
    return f"set at {file.removeprefix(root)}:{number}"


def _made_text(entries: list[HolderEntry]) -> str:
    """Say in which lines the names of a module got what they mean, as far as the source tells."""
    first = entries[0]
    source = _source(first.module)
    made = first.client.made
    if made and made.line and made.function in SET_UPS and set_up(source, first.root, made.line):
        return f"set in {_lines([made.line])}"
    found = [assigned(source, entry.root) for entry in entries]
    if any(each is not None and each.is_empty for each in found):
        lines = sorted({number for entry in entries for number in setters(source, entry.root)})
        return f"set in {_lines(lines)}" if lines else "set after the import"
    lines = sorted(
        each.line if each is not None else entry.origin.line
        for each, entry in zip(found, entries)
        if entry.origin is not None
    )
    if any(each is None for each in found) and first.root not in _definitions(source):
        return f"set after the import (its class or first value is in {_lines(lines)})"
    return f"made there ({_lines(lines)})"


def _definitions(source: Source) -> set[str]:
    return {
        node.name for node in source.statements if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }


def _lines(numbers: list[int]) -> str:
    unique = sorted(set(numbers))
    return f"line {unique[0]}" if len(unique) == 1 else "lines " + ", ".join(map(str, unique))


def _source(module: str) -> Source:
    return Source.of(getattr(sys.modules.get(module), "__file__", None) or "")


def _import_text(module: str, number: int) -> str:
    """Return the import statement of this line with all that it imports."""
    for node in _source(module).statements:
        if isinstance(node, ast.ImportFrom) and node.lineno == number:
            return f"`{ast.unparse(node)}`"
    return "an import"


def _now_text(copied: Copied) -> str:
    text = f"{copied.module.rpartition('.')[2]}.{copied.name} is another object now"
    if copied.now is None:
        return f"{text}, with no client behind it"
    made = ""
    if copied.now.made is not None:
        fixture = copied.now.made.fixture
        made = f", made in {fixture}" if fixture else f", made {where(copied.now.made)}"
    bound = f"bound to loop #{copied.now.loop}" if copied.now.loop else "not bound yet"
    return f"{text}{made}, {bound}"
