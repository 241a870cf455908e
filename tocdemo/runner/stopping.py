"""A thread that runs a suite, can be told to stop, and minds how long each of its tests takes.

It knows threads, asyncio and the interrupt of a cell, and of pytest only how a session is stopped.
"""

import asyncio
import contextlib
import ctypes
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tocdemo.errors import CannotRun

STEP = 0.02  # seconds between two looks at the worker thread
ENDING = 10.0  # seconds that the next run gives an interrupted one that is past its tests
GRACE = 0.7  # seconds that an interrupted run gets to end before the cell returns without it


class _Stopped(Exception):
    """Raised in the worker thread, in a test that computes and does not await, to end that test alone."""


@dataclass
class Current:
    """What a thread tells of its run: the test that runs, since when, and why it was stopped."""

    test: str | None = None
    since: float = 0.0
    stopped: str = ""
    session: pytest.Session | None = None


def wait_for_earlier() -> None:
    """Give runs that were interrupted a moment to end. Raises CannotRun when one does not."""
    for thread in threading.enumerate():
        if not isinstance(thread, RunThread):
            continue
        # Between tests nothing hangs: on a busy machine the run only takes longer to end.
        thread.join(GRACE if thread.current.test else ENDING)
        if thread.is_alive():
            raise CannotRun(
                f"The test {thread.current.test} of an earlier run still holds its thread. Wait until it "
                f"ends, or restart the kernel (Kernel > Restart)."
            )


class RunThread(threading.Thread):
    """A thread that does `work`, and can be told to stop. `current` is what `work` tells of the run."""

    def __init__(self, work: Callable[[], None], current: Current) -> None:
        super().__init__(name="tocdemo-run", daemon=True)
        self.current = current
        self._work = work
        self._failure: BaseException | None = None
        self._done = threading.Event()
        self._streams = (sys.stdin, sys.stdout, sys.stderr)

    def run(self) -> None:
        """Do the work, in the thread."""
        try:
            self._work()
        except BaseException as error:
            self._failure = error
        finally:
            self._done.set()

    def finish(self, timeout: float) -> str:
        """Begin, and wait for the end; stop tests that take longer than `timeout` s. Returns a note."""
        self.start()
        try:
            note = self._watch(timeout)
        except KeyboardInterrupt:
            note = self._interrupted()
        if self._failure is not None:
            raise self._failure
        return note

    def _watch(self, timeout: float) -> str:
        asked: tuple[str, float] | None = None
        while not self._done.wait(STEP):
            current, now = self.current.test, time.monotonic()
            if current is None or now - self.current.since < timeout:
                continue
            if asked is None or asked[0] != current:
                self.current.stopped = f"Stopped after {timeout:g} s: the test did not end by itself"
                asked = (current, now)
                self._stop_current()
            elif now - asked[1] > 2 * GRACE:
                return self._given_up(f"The test {current} did not end within {timeout:g} s.")
        return ""

    def _interrupted(self) -> str:
        self.current.stopped = "Interrupted"
        if self.current.session is not None:
            self.current.session.shouldstop = "interrupted"
        end = time.monotonic() + GRACE
        self._stop_current()
        while not self._done.wait(STEP):
            if time.monotonic() > end:
                return self._given_up("Interrupted.")
        return "Interrupted: what was measured until then is shown."

    def _given_up(self, why: str) -> str:
        # pytest still captures in that thread; without this, what later cells print would be lost.
        sys.stdin, sys.stdout, sys.stderr = self._streams
        if self.current.test is None:
            return f"{why} The run is still ending; the next run waits for it."
        if self.current.session is not None:
            self.current.session.shouldstop = "given up"
        return (
            f"{why} It cannot be stopped from outside: it sits in C code or swallows the cancellation. The "
            f"test {self.current.test} still holds its thread; the next run waits for it, or says so."
        )

    def _stop_current(self) -> None:
        """Cancel what awaits on the thread's event loop; where nothing does, raise in the running test."""
        loop = self._running_loop()
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it was closed just now
                loop.call_soon_threadsafe(_cancel_all, loop)
            if self._done.wait(0.1) or _is_waiting(self.ident):
                return
        if self.current.test is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self.ident or 0), ctypes.py_object(_Stopped)
            )

    def _running_loop(self) -> asyncio.AbstractEventLoop | None:
        frame = sys._current_frames().get(self.ident or 0)
        while frame is not None:
            candidate = frame.f_locals.get("self") if frame.f_code.co_name == "run_forever" else None
            if isinstance(candidate, asyncio.AbstractEventLoop):
                return candidate
            frame = frame.f_back
        return None


def _is_waiting(thread_id: int | None) -> bool:
    """Whether the thread's innermost Python frame is its event loop's wait for something to happen."""
    frame = sys._current_frames().get(thread_id or 0)
    return frame is not None and frame.f_code.co_name == "select"


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()
