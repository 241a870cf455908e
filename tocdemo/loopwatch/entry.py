"""The plugin as pytest finds it by itself: off until asked for, and until then it imports nothing but pytest.

It knows pytest's hooks for options and the start of a run only.
"""

from __future__ import annotations

from typing import Any

import pytest

_ADDED = "_loopwatch_options"


def add_options(parser: Any) -> None:
    """Add loopwatch's options and its setting, once for a parser."""
    if getattr(parser, _ADDED, False):
        return
    setattr(parser, _ADDED, True)
    group = parser.getgroup("loopwatch", "the record of event loops")
    group.addoption(
        "--loopwatch", action="store_true", help="record event loops, and explain cross-loop failures"
    )
    group.addoption(
        "--loopwatch-json",
        metavar="FILE",
        help="write the record of the event loops to FILE (with xdist: one a worker); write it with `=`, "
        "or pytest takes an existing FILE for something to collect",
    )
    group.addoption(
        "--loopwatch-report",
        metavar="FILE",
        help="write timeline, holders and explanations to FILE, an HTML page (with xdist: one a worker)",
    )
    parser.addini("loopwatch", "record event loops, and explain cross-loop failures", "bool", default=False)


def asked_for(config: Any) -> bool:
    """Whether an option or the setting switches loopwatch on."""
    options = config.known_args_namespace
    names = ("loopwatch", "loopwatch_json", "loopwatch_report")
    return any(getattr(options, name, None) for name in names) or bool(config.getini("loopwatch"))


def pytest_addoption(parser: Any) -> None:
    """Add the options, unless `-p tocdemo.loopwatch` did."""
    add_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: Any) -> None:
    """Begin before the conftests are imported, if asked to."""
    if asked_for(early_config):
        from .starting import start  # not before: a run that does not ask must not pay for the import

        start(early_config)
