"""Hear of an interrupt (Kernel > Interrupt) that comes while no cell runs.

ipykernel (7.4) lets the signal raise KeyboardInterrupt while it handles a message, and ignores it at all
other times. What belongs to no running cell can hear of it only then. It knows nothing of what it ends.
"""

import asyncio
import signal
import threading
from collections.abc import Callable

PAUSE = 0.2  # seconds until the next look whether the kernel is idle


class IdleInterrupt:
    """Calls `call` on the kernel's event loop when an interrupt comes that is for no cell."""

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        self._loop, self._call = loop, call
        self._wanted = False

    def arm(self) -> None:
        """Listen, from the moment on when the kernel is idle."""
        self._set(True)

    def disarm(self) -> None:
        """Listen no more: the kernel ignores the signal again."""
        self._set(False)

    def _set(self, wanted: bool) -> None:
        self._wanted = wanted
        self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        now = signal.getsignal(signal.SIGINT)
        if now not in (signal.SIG_IGN, self._heard):
            # A message is handled, and ipykernel puts back afterwards what was there before it.
            self._loop.call_later(PAUSE, self._settle)
        else:
            signal.signal(signal.SIGINT, self._heard if self._wanted else signal.SIG_IGN)

    def _heard(self, *_: object) -> None:
        if self._wanted:
            self._loop.call_soon_threadsafe(self._call)


def idle_interrupt(call: Callable[[], None]) -> IdleInterrupt | None:
    """Return a listener for the kernel that runs this cell; none where there is no such kernel."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    # Signals reach the main thread alone; a cell of a subshell runs in another.
    return IdleInterrupt(loop, call) if threading.current_thread() is threading.main_thread() else None
