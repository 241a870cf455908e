"""What the plugin's tests share."""

import sys

import pytest


@pytest.fixture(autouse=True)
def _no_other_projects_modules(monkeypatch):
    """Let a small project be imported afresh, though another `tests` and `app` were run in this process."""
    for name in list(sys.modules):
        if name.partition(".")[0] in ("app", "tests", "conftest"):
            monkeypatch.delitem(sys.modules, name)
