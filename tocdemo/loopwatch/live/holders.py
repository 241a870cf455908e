"""Finds what leads to a client: names in the loaded modules, and where each comes from; a test's fixtures.

It reads modules' dictionaries and their source, and runs nothing of them. What failed, it must not know.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..recording import Holder
from ..static.sources import Origin, Source
from .entries import ClientEntry
from .graph import behind, is_carrier, is_kind, trail
from .ledger import Ledger

SCOPES = ("session", "package", "module", "class", "function")
_STATE = re.compile(r"\._state\['(\w+)'\]")  # where starlette's State has what is written as `state.name`


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

    `copied` is None for a name that was not copied, or of which is not known from where. `root` is the name
    in the module, with the attribute where it is a class; what `name` has behind it leads on to the client.
    """

    module: str
    name: str
    kind: str
    file: str | None
    client: ClientEntry
    origin: Origin | None
    copied: Copied | None = None
    root: str = ""

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
    """A fixture whose value leads to a client: its name, its scope, and its definition as pytest has it."""

    name: str
    scope: str
    definition: Any


def holders(ledger: Ledger, wanted: ClientEntry | None = None) -> list[HolderEntry]:
    """Return every name in the project's loaded modules that leads to a client, module by module.

    For a `wanted` client it looks farther, and also into functions; then it returns those of this one only.
    """
    found = []
    seen = set()
    for module_name, module in ledger.sites.project_modules():
        if id(module) in seen:
            continue
        seen.add(id(module))
        for name, value in list(vars(module).items()):
            if name.startswith("__") or name.startswith("@"):
                continue
            for inside, path, client in _paths(ledger, module_name, value, wanted):
                origin = _origin(module, name)
                file, copied = _shown_file(ledger, module), _copied(ledger, origin, value)
                kind, root = type(value).__name__, name + inside
                found.append(HolderEntry(module_name, root + path, kind, file, client, origin, copied, root))
    return found


def _paths(
    ledger: Ledger, module: str, value: Any, wanted: ClientEntry | None
) -> Iterator[tuple[str, str, ClientEntry]]:
    """Yield the clients to which a module's value leads, each with the path as one writes it.

    The path is in two parts: the attribute of a class, and the rest.
    """
    for part, inside in _parts_of(module, value):
        hit = behind(part, ledger.client_entry) if wanted is None else _far(part, wanted)
        if hit is not None:
            client, path = hit
            owned = path if _is_owner(ledger, part) or path.startswith("(") else ""
            yield inside, _STATE.sub(r".\1", owned), client


def _far(part: Any, wanted: ClientEntry) -> tuple[ClientEntry, str] | None:
    target = wanted.ref()
    way = trail(part, lambda item: item is target) if target is not None else []
    return (wanted, way[-1][1]) if way else None


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
    if is_kind(value, (dict, list, tuple, set)) or is_carrier(value):
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
    """Return the fixture of this test (a pytest item) whose value leads to the client, or None.

    Of several it is the widest, and of those the one that was set up first: the others got it from there.
    """
    value = client.ref()
    definitions = getattr(getattr(item, "_request", None), "_fixture_defs", None) or {}
    found = [
        HoldingFixture(name, definition.scope, definition)
        for name, definition in definitions.items()
        if value is not None
        and (cached := getattr(definition, "cached_result", None)) is not None
        and trail(cached[0], lambda part: part is value)
    ]
    made = client.made.fixture if client.made is not None else None
    return min(found, key=lambda f: (f.name != made, SCOPES.index(f.scope)), default=None)
