"""Adds a `Watch` to a run of pytest, with what its options say, unless it has one already."""

from __future__ import annotations

import pytest

from .plugin import Watch


def start(config: pytest.Config, begun: bool = False) -> None:
    """Register a `Watch` and begin; `begun` says that pytest now calls a new plugin's hooks by itself."""
    manager = config.pluginmanager
    if any(isinstance(plugin, Watch) for plugin in manager.get_plugins()):
        return
    options = config.known_args_namespace
    watch = Watch(
        json=getattr(options, "loopwatch_json", None), report=getattr(options, "loopwatch_report", None)
    )
    manager.register(watch, "loopwatch-watch")
    if not begun:
        watch.pytest_load_initial_conftests(config)
