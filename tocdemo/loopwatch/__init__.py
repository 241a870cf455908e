"""A pytest plugin that records the event loops and async clients of a run and explains cross-loop failures.

`pytest -p tocdemo.loopwatch` uses it on any project; in Python, give a `Watch()` to pytest as a plugin and
read its `recording`. It knows asyncio, pytest and the drivers' names, and nothing of the course.
"""

from __future__ import annotations

import pytest

from .plugin import Watch
from .recording import Recording

__all__ = ["Recording", "Watch"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--loopwatch-json FILE`."""
    group = parser.getgroup("loopwatch", "the record of event loops")
    group.addoption(
        "--loopwatch-json",
        metavar="FILE",
        help="write the record of the event loops to FILE (with xdist: one a worker); write it with `=`, "
        "or pytest takes an existing FILE for something to collect",
    )


def _register(config: pytest.Config) -> Watch | None:
    """Add a `Watch` unless the run has one already; return it if it was added."""
    manager = config.pluginmanager
    if any(isinstance(plugin, Watch) for plugin in manager.get_plugins()):
        return None
    watch = Watch(json=getattr(config.known_args_namespace, "loopwatch_json", None))
    manager.register(watch, "loopwatch-watch")
    return watch


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Begin before the conftests are imported (`-p tocdemo.loopwatch`)."""
    watch = _register(early_config)
    if watch is not None:
        watch.pytest_load_initial_conftests(early_config)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Begin at least here (`pytest_plugins = ["tocdemo.loopwatch"]` in a conftest)."""
    _register(config)
