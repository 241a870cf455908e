"""A pytest plugin that ends a worker's process when its parent is gone.

A worker that waits for a question notices it by itself, since its standard input ends. In the middle of a
run, perhaps in a test that hangs, nobody reads there: so a thread waits for that end, and ends the process
with all that it has started. It knows nothing of tests.
"""

import functools
import os
import select
import signal
import threading

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Hold the lifeline from the process's first run on."""
    _hold()


@functools.cache
def _hold() -> None:
    if hasattr(select, "poll"):  # on Windows a worker ends after its run
        threading.Thread(target=_wait, name="tocdemo-lifeline", daemon=True).start()


def _wait() -> None:
    lifeline = select.poll()
    lifeline.register(0, 0)  # asked for nothing, it tells of the end alone
    lifeline.poll()
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
