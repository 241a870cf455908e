"""Work in a thread of its own: a notebook's thread runs an event loop already, and can start no other.

It minds no clock: a run of tests, which does, has a thread of its own kind.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

STEP = 0.1  # seconds: an interrupt that is no signal (on Windows) does not wake a waiting thread

Result = TypeVar("Result")


def do(work: Callable[[], Result], name: str, stop: Callable[[], None] = lambda: None) -> Result:
    """Call `work` in a thread of this name; return what it returns, or raise what it raises.

    When the caller is interrupted, `stop` is called, and the end of the thread is waited for all the same.
    """
    # Not Thread.join: interrupted, Python 3.11's takes the thread for ended (bpo-45274's repair).
    future: Future[Result] = Future()

    def run() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    try:
        threading.Thread(target=run, name=name, daemon=True).start()
        while not future.done():
            wait([future], timeout=STEP)
        return future.result()
    finally:
        stop()
        if not future.cancel():  # it has begun
            wait([future])
