"""A thread that runs a suite, can be told to stop, and minds how long each of its tests takes.

It knows threads, asyncio and the interrupt of a cell, and of pytest only how a session is stopped.
"""

import asyncio
import contextlib
import ctypes
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tocdemo.errors import CannotRun

STEP = 0.02  # seconds between two looks at the worker thread
ENDING = 10.0  # seconds that the next run gives an interrupted one that is past its tests
GRACE = 0.7  # seconds that an interrupted run gets to end before the cell returns without it


class Stopped(Exception):
    """Raised in the worker thread, in a test that computes and does not await, to end that test alone."""


@dataclass(eq=False)  # each is itself alone
class Phase:
    """The setup, the call or the teardown of one test: what can be stopped.

    `since` is when the test began; `stopped` says why the phase was stopped, and is empty when it was not.
    """

    test: str
    since: float
    is_teardown: bool = False
    stopped: str = ""


class Current:
    """What a thread tells of its run: the test that runs, and the phase that may be stopped.

    `test` and `since` hold from a test's begin to its end. `phase` is none whenever pytest itself is at work:
    then nothing is stopped. `latest` is the phase that runs or ran last.
    """

    def __init__(self) -> None:
        self.test: str | None = None
        self.since = 0.0
        self.session: pytest.Session | None = None
        self.phase: Phase | None = None
        self.latest: Phase | None = None
        self._raising = False

    def begin(self, test: str) -> None:
        """Note that a test begins."""
        self.test, self.since = test, time.monotonic()

    @contextlib.contextmanager
    def stoppable(self, is_teardown: bool = False) -> Iterator[None]:
        """Let the running test be stopped within this block, and nowhere else; for the run's own thread."""
        try:
            self.phase = self.latest = phase = Phase(self.test or "", self.since, is_teardown)
            yield
        except BaseException:
            self._leave()
            raise
        else:
            self._leave()
            phase.stopped = ""  # it ended by itself, just before it was stopped

    def raise_in(self, phase: Phase, thread_id: int, why: str) -> None:
        """Raise Stopped in the thread of the run, if this phase is still the one that runs there."""
        self._raising = True
        try:
            if self.phase is phase:
                phase.stopped = why
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(thread_id), ctypes.py_object(Stopped)
                )
        finally:
            self._raising = False

    def _leave(self) -> None:
        """End the phase. When this returns, no Stopped is on its way to the thread any more.

        No lock: an error that is raised from outside could come between taking and keeping it. The other
        thread first says that it is about to raise, and then looks at the phase; here it is the other way
        round, so that one of the two sees what the other did.
        """
        while True:
            with contextlib.suppress(Stopped):
                self.phase = None
                while self._raising:
                    time.sleep(0)
                # What was raised comes here at the latest: Python looks for it at each jump backwards. To
                # take it back (by NULL) instead lets CPython 3.11 look without end in code that is traced.
                for _ in range(3):
                    pass
                return


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
        last: Phase | None = None  # what was stopped last
        stopped_at = 0.0
        why = f"Stopped after {timeout:g} s: the test did not end by itself"
        while not self._done.wait(STEP):
            test, phase, now = self.current.test, self.current.phase, time.monotonic()
            if test is None or now - self.current.since < timeout:
                continue
            if last is None or last.test != test:
                if phase is not None:
                    last, stopped_at = phase, now
                    self._stop_phase(phase, why)
                elif now - self.current.since > timeout + ENDING:
                    return self._given_up(f"The test {test} did not end within {timeout:g} s.")
            elif now - stopped_at > 2 * GRACE:
                if phase in (None, last):
                    return self._given_up(f"The test {test} did not end within {timeout:g} s.")
                last, stopped_at = phase, now
                self._stop_phase(phase, why)
        return ""

    def _interrupted(self) -> str:
        end, last = time.monotonic() + GRACE, None
        while not self._done.wait(STEP):
            if self.current.session is not None:  # it may begin only now
                self.current.session.shouldstop = "interrupted"
            phase = self.current.phase
            # After what was stopped there is something to clear up: that gets the time that is left.
            if phase is not None and phase is not last and not (last and phase.is_teardown):
                last = phase
                self._stop_phase(phase, "Interrupted")
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

    def _stop_phase(self, phase: Phase, why: str) -> None:
        """Cancel what awaits on the thread's event loop; where nothing does, raise in the running test.

        When the phase has ended meanwhile, nothing is done: the next one has not taken too long.
        """
        loop = self._running_loop()
        if loop is not None:

            def cancel() -> None:  # in the run's own thread, so that it knows what runs
                if self.current.phase is phase:
                    phase.stopped = why
                    for task in asyncio.all_tasks(loop):
                        task.cancel()

            with contextlib.suppress(RuntimeError):  # it was closed just now
                loop.call_soon_threadsafe(cancel)
            if self._done.wait(0.1) or _is_waiting(self.ident):
                return
        self.current.raise_in(phase, self.ident or 0, why)

    def _running_loop(self) -> asyncio.AbstractEventLoop | None:
        frame = sys._current_frames().get(self.ident or 0)
        while frame is not None:
            candidate = frame.f_locals.get("self") if frame.f_code.co_name == "run_forever" else None
            if isinstance(candidate, asyncio.AbstractEventLoop):
                return candidate
            frame = frame.f_back
        return None


@contextlib.contextmanager
def stoppable(what: str) -> Iterator[None]:
    """Let the code in this block be stopped as a test of that name is, where a run's thread calls this."""
    thread = threading.current_thread()
    if not isinstance(thread, RunThread):
        yield
        return
    thread.current.begin(what)
    with thread.current.stoppable():
        yield
    thread.current.test = None


def _is_waiting(thread_id: int | None) -> bool:
    """Whether the thread's innermost Python frame is its event loop's wait for something to happen."""
    frame = sys._current_frames().get(thread_id or 0)
    return frame is not None and frame.f_code.co_name in ("select", "_poll")  # `_poll` is Windows'
