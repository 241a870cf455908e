"""Searches the loaded modules for names that lead to a client, and finds out where each name comes from.

The explainer and the snapshot of "who holds what" use it. It reads modules' dictionaries and their source.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..recording import Holder
from ..static.sources import Origin, Source
from .graph import behind, is_kind
from .ledger import ClientEntry, Ledger


@dataclass(frozen=True)
class Name:
    """A module-level name that leads to `client`. `root` is the module that made it as `root_name`.

    `now` is the client behind the root's name at this moment. `stale` says that the root's name means another
    object.
    """

    module: str
    name: str
    kind: str
    file: str | None
    client: ClientEntry
    origin: Origin | None
    root: str | None = None
    root_name: str | None = None
    root_line: int | None = None
    stale: bool = False
    now: ClientEntry | None = None

    def holder(self) -> Holder:
        """Return this as plain data for the record."""
        imported = self.origin is not None and self.origin.origin == "imported"
        return Holder(
            module=self.module,
            name=self.name,
            kind=self.kind,
            client=self.client.number,
            loop=self.client.loop,
            file=self.file,
            line=self.origin.line if self.origin else None,
            origin=self.origin.origin if self.origin else "unknown",
            source=self.root if imported else None,
            source_name=self.root_name if imported else None,
            stale=self.stale,
        )


def names(ledger: Ledger) -> list[Name]:
    """Return every name in the project's loaded modules that leads to a client, module by module."""
    found = []
    seen = set()
    for module_name, module in ledger.sites.project_modules():
        if id(module) in seen:
            continue
        seen.add(id(module))
        for name, value in list(vars(module).items()):
            if name.startswith("__") or name.startswith("@"):
                continue
            for part, inside in _parts_of(module_name, value):
                hit = behind(part, ledger.client_entry)
                if hit is not None:
                    client, path = hit
                    owned = path if _is_owner(ledger, part) or path.startswith("()") else ""
                    shown = name + inside + owned
                    found.append(_described(ledger, module_name, module, name, shown, value, client))
    return found


def _parts_of(module: str, value: Any) -> list[tuple[Any, str]]:
    """Return the value itself; of a class that the module defines, its attributes."""
    if type(value).__module__.startswith("_pytest."):  # a fixture's definition leads nowhere
        return []
    if is_kind(value, type):
        if value.__module__ != module:
            return []
        return [(part, f".{name}") for name, part in list(vars(value).items()) if not name.startswith("__")]
    return [(value, "")]


def _is_owner(ledger: Ledger, value: Any) -> bool:
    """Whether the value is an object of the project that keeps a client, not a part of its library."""
    if is_kind(value, (dict, list, tuple, set)):
        return True
    module = sys.modules.get(type(value).__module__)
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and ledger.sites.kind(file) == "project"


def _described(
    ledger: Ledger, module_name: str, module: Any, name: str, shown: str, value: Any, client: ClientEntry
) -> Name:
    file = getattr(module, "__file__", None)
    kind = type(value).__name__
    origin = _origin(module, name)
    plain = Name(module_name, shown, kind, ledger.sites.shown(file) if file else None, client, origin)
    if origin is None or origin.origin != "imported":
        return plain
    root, root_name, root_line = _root(origin)
    source = sys.modules.get(root or "")
    if source is None or root_name not in vars(source):
        return plain
    current = vars(source)[root_name]
    hit = behind(current, ledger.client_entry)
    return Name(
        module_name,
        shown,
        kind,
        plain.file,
        client,
        origin,
        root,
        root_name,
        root_line,
        stale=current is not value,
        now=hit[0] if hit else None,
    )


def _origin(module: Any, name: str) -> Origin | None:
    file = getattr(module, "__file__", None)
    if not isinstance(file, str):
        return None
    return Source.of(file).origin(name, package_of(module))


def package_of(module: Any) -> str | None:
    """Return the package against which the module's relative imports are resolved."""
    package = getattr(module, "__package__", None)
    if package:
        return package
    spec = getattr(module, "__spec__", None)
    return getattr(spec, "parent", None) or None


def _root(origin: Origin) -> tuple[str | None, str | None, int | None]:
    """Follow copies of copies to the module that does not import the name from anywhere."""
    for _ in range(6):
        source, name = origin.source, origin.source_name
        module = sys.modules.get(source or "")
        further = _origin(module, name) if module is not None and name else None
        if further is None:
            return source, name, None
        if further.origin != "imported":
            return source, name, further.line
        origin = further
    return origin.source, origin.source_name, None


def stale_by_module(found: list[Name], client: ClientEntry) -> Iterator[tuple[Name, list[Name]]]:
    """Yield, for each module with stale names of this client, its first stale name and all of them."""
    grouped: dict[str, list[Name]] = {}
    for entry in found:
        if entry.client is client and entry.stale:
            grouped.setdefault(entry.module, []).append(entry)
    for entries in grouped.values():
        yield entries[0], entries
