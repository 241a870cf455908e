"""What the search for a client may meet on its way."""

import weakref
from types import SimpleNamespace

from tocdemo.loopwatch.live.graph import behind


class Thing:
    """Unlike a SimpleNamespace, it can be referred to weakly."""


def test_a_dead_weak_proxy_does_not_end_the_search():
    wanted, gone = object(), Thing()
    holder = SimpleNamespace(proxy=weakref.proxy(gone), inner=SimpleNamespace(client=wanted))
    del gone
    found = behind(holder, lambda value: "client" if value is wanted else None)
    assert found == ("client", ".inner.client")
