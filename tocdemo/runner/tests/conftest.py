"""What several test files of this room need of pytest."""

import pytest

from . import watched


@pytest.fixture
def only_new_children(monkeypatch):
    """Let `watched.children` tell of those processes alone that begin from now on."""
    monkeypatch.setattr(watched, "OTHERS", frozenset(watched.children()))
