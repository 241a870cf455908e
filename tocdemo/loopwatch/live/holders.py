"""Finds what leads to a client: names in the loaded modules, and where each comes from; a test's fixtures.

It reads modules' dictionaries and their source, and runs nothing of them. What failed, it must not know.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..recording import Holder
from ..static.sources import Origin, Source
from .entries import ClientEntry
from .graph import behind, is_kind
from .ledger import Ledger


@dataclass(frozen=True)
class Copied:
    """What an imported name is a copy of: `name` in `module`, which made it. `origin` is the import.

    `stale` says that the name there means another object now; `now` is the client behind it now.
    """

    origin: Origin
    module: str
    name: str
    stale: bool
    now: ClientEntry | None


@dataclass(frozen=True)
class HolderEntry:
    """A module-level name that leads to `client`, `kind` being the type of what it names.

    `copied` is None for a name that was not copied, or of which is not known from where.
    """

    module: str
    name: str
    kind: str
    file: str | None
    client: ClientEntry
    origin: Origin | None
    copied: Copied | None = None

    @property
    def stale(self) -> bool:
        """Whether the name that this one was copied from means another object now."""
        return self.copied is not None and self.copied.stale

    def frozen(self) -> Holder:
        """Return the holder as the record has it."""
        return Holder(
            module=self.module,
            name=self.name,
            kind=self.kind,
            client=self.client.number,
            loop=self.client.loop,
            file=self.file,
            line=self.origin.line if self.origin else None,
            origin=self.origin.origin if self.origin else "unknown",
            source=self.copied.module if self.copied else None,
            source_name=self.copied.name if self.copied else None,
            stale=self.stale,
        )


@dataclass(frozen=True)
class HoldingFixture:
    """A fixture whose value leads to a client: its name and its scope."""

    name: str
    scope: str


def holders(ledger: Ledger) -> list[HolderEntry]:
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
            for path, client in _paths(ledger, module_name, value):
                origin = _origin(module, name)
                file, copied = _shown_file(ledger, module), _copied(ledger, origin, value)
                kind = type(value).__name__
                found.append(HolderEntry(module_name, name + path, kind, file, client, origin, copied))
    return found


def _paths(ledger: Ledger, module: str, value: Any) -> Iterator[tuple[str, ClientEntry]]:
    """Yield the clients to which a module's value leads, each with the path as one writes it."""
    for part, inside in _parts_of(module, value):
        hit = behind(part, ledger.client_entry)
        if hit is not None:
            client, path = hit
            owned = path if _is_owner(ledger, part) or path.startswith("()") else ""
            yield inside + owned, client


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
    """Whether the value is an object of the project that stores a client, not a part of its library."""
    if is_kind(value, (dict, list, tuple, set)):
        return True
    module = sys.modules.get(type(value).__module__)
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and ledger.sites.kind(file) == "project"


def _shown_file(ledger: Ledger, module: Any) -> str | None:
    file = getattr(module, "__file__", None)
    return ledger.sites.shown(file) if file else None


def _origin(module: Any, name: str) -> Origin | None:
    file = getattr(module, "__file__", None)
    if not isinstance(file, str):
        return None
    return Source.of(file).origin(name, _package_of(module))


def _package_of(module: Any) -> str | None:
    """Return the package against which the module's relative imports are resolved."""
    package = getattr(module, "__package__", None)
    if package:
        return package
    spec = getattr(module, "__spec__", None)
    return getattr(spec, "parent", None) or None


def _copied(ledger: Ledger, origin: Origin | None, value: Any) -> Copied | None:
    """Return what an imported name that means `value` is a copy of; None where it cannot be looked up."""
    if origin is None or origin.origin != "imported":
        return None
    module_name, name = _root_name(origin)
    module = sys.modules.get(module_name or "")
    if module_name is None or module is None or name not in vars(module):
        return None
    current = vars(module)[name]
    hit = behind(current, ledger.client_entry)
    return Copied(origin, module_name, name, stale=current is not value, now=hit[0] if hit else None)


def _root_name(origin: Origin) -> tuple[str | None, str]:
    """Follow copies of copies to the module that does not import the name from anywhere."""
    for _ in range(6):
        module = sys.modules.get(origin.source or "")
        further = _origin(module, origin.source_name) if module is not None else None
        if further is None or further.origin != "imported":
            break
        origin = further
    return origin.source, origin.source_name


def holding_fixture(item: Any, client: ClientEntry) -> HoldingFixture | None:
    """Return a fixture of this test (a pytest item) that leads to the client, rather a wide one; or None."""
    value, found = client.ref(), None
    definitions = getattr(getattr(item, "_request", None), "_fixture_defs", None) or {}
    for name, definition in definitions.items():
        cached = getattr(definition, "cached_result", None)
        if cached is None or value is None or (found and definition.scope == "function"):
            continue
        if behind(cached[0], lambda part: part if part is value else None) is not None:
            found = HoldingFixture(name, definition.scope)
    return found
