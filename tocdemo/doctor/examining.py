"""Looking at everything: the checks that start processes side by side, and all in the order of the report.

It knows the checks by their names. One that fails or hangs keeps none of the others from being made.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from . import checks
from .findings import Finding, Findings
from .hiding import without_names

Check = Callable[[], Finding]
CHECKS: tuple[Check, ...] = (
    checks.project,
    checks.python,
    checks.packages,
    checks.files,
    checks.disk,
    checks.memory,
    checks.ports,
    checks.browser,
    checks.settings,
    checks.mongodb,
    checks.jupyterlab,
    checks.kernel,
    checks.tests,
)


def examine(made: Sequence[Check] = CHECKS) -> Findings:
    """Make the checks, and return what they found, in their order. It takes some seconds."""
    begin = time.monotonic()
    # In threads, in a notebook, too: a kernel's own thread has an event loop that is running.
    with ThreadPoolExecutor(len(made)) as pool:
        found = tuple(pool.map(_made, made))
    return Findings(found, time.monotonic() - begin)


def _made(check: Check) -> Finding:
    try:
        found = check()
    except Exception as error:
        name, seen = check.__name__, f"could not be looked at: {type(error).__name__}: {error}"
        found = Finding(name, " ".join(seen.split()), "unknown", "report this")
    return dataclasses.replace(found, seen=without_names(found.seen), remedy=without_names(found.remedy))
