"""How far a run of many parts is. It knows nothing of what the parts are."""

import sys
import time
from collections.abc import Callable

# What is told: the number of parts that are done, their total, and the seconds left, by estimate.
Progress = Callable[[int, int, float], None]


def silent(done: int, total: int, left: float) -> None:
    """Tell nothing: for a run whose progress nobody follows."""


def on_a_line(quiet: bool) -> Progress:
    """Return what tells how far a run is, on one changing line; nothing without a terminal, or if `quiet`."""

    def show(done: int, total: int, left: float) -> None:
        end = "\r" if done < total else "\r\033[K"
        print(f"{done} of {total}, about {left:.0f} s left \033[K", end=end, file=sys.stderr, flush=True)

    return silent if quiet or not sys.stderr.isatty() else show


def reporter(total: int, on_progress: Progress) -> Callable[[int], None]:
    """Tell `on_progress` that nothing of `total` is done, and return what tells how many are.

    The seconds left are estimated from those that the parts took that are done.
    """
    begin = time.perf_counter()
    on_progress(0, total, 0.0)

    def tell(done: int) -> None:
        taken = time.perf_counter() - begin
        on_progress(done, total, taken / done * (total - done))

    return tell
