"""A pytest plugin that records the event loops and async clients of a run and explains cross-loop failures.

`pytest --loopwatch` uses it on any project where it is installed, `pytest -p tocdemo.loopwatch` wherever it
can be imported; in Python, give a `Watch()` to pytest as a plugin and read its `recording`. It knows asyncio,
pytest and the drivers' names, and nothing of the course.
"""

from __future__ import annotations

from typing import Any

import pytest

from .entry import add_options

__all__ = ["Recording", "Watch"]


def __getattr__(name: str) -> Any:
    """Import `Watch` and `Recording` when they are first asked for: a run without loopwatch needs neither."""
    if name == "Watch":
        from .plugin import Watch

        return Watch
    if name == "Recording":
        from .recording import Recording

        return Recording
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def pytest_addoption(parser: Any) -> None:
    """Add the options, unless the installed plugin did."""
    add_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: Any) -> None:
    """Begin before the conftests are imported (`-p tocdemo.loopwatch`)."""
    from .starting import start

    start(early_config)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: Any) -> None:
    """Begin at least here (`pytest_plugins = ["tocdemo.loopwatch"]` in a conftest)."""
    from .starting import start

    start(config, begun=True)
