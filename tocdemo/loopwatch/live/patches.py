"""Attributes that are replaced for the length of a run and put back, and code that runs after an import.

It must know neither what is replaced nor why.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.abc import Loader, MetaPathFinder
from types import ModuleType
from typing import Any

_MISSING = object()


class Patches:
    """Replaced attributes of classes and modules; `undo` puts back every one, newest first."""

    def __init__(self) -> None:
        self._done: list[tuple[Any, str, Any, Any]] = []

    def replace(self, owner: Any, name: str, value: Any) -> None:
        """Set `owner.name` to `value` and remember what the owner itself (not a base class) had there."""
        before = vars(owner).get(name, _MISSING)
        setattr(owner, name, value)
        self._done.append((owner, name, before, value))

    def undo(self) -> None:
        """Put everything back. What somebody else has replaced in the meantime is theirs and stays."""
        while self._done:
            owner, name, before, ours = self._done.pop()
            if vars(owner).get(name, _MISSING) is not ours:
                continue
            if before is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)


class AfterImport(MetaPathFinder):
    """Runs `actions[name](module)` as soon as module `name` has been imported; at once if it is already."""

    def __init__(self, actions: Mapping[str, Callable[[ModuleType], None]]) -> None:
        self._actions = actions

    def install(self) -> None:
        """Act on the modules that are loaded and watch for the others."""
        for name, action in self._actions.items():
            if (module := sys.modules.get(name)) is not None:
                action(module)
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Watch no longer. Calling it twice does no harm."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, fullname, path=None, target=None):
        """Let the other finders find the module, and wrap its loader (importlib's protocol)."""
        action = self._actions.get(fullname)
        if action is None:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _ThenAct(spec.loader, action)
                return spec
        return None


class _ThenAct(Loader):
    """Loads a module as `inner` does, then acts on it. It leaves the module with `inner` as its loader."""

    def __init__(self, inner: Any, action: Callable[[ModuleType], None]) -> None:
        self._inner = inner
        self._action = action

    def create_module(self, spec):
        return self._inner.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self._inner
        self._inner.exec_module(module)
        self._action(module)
