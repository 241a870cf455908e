"""Sums the explanations of a run up: one line for each cause, with the number of tests that it made fail.

It reads the texts in the reports alone, so it works also where other processes ran the tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

SECTION = "loopwatch"
SAME = "  the same cause as in "


def summary(texts: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield a line for each cause, from the node ids of the failed tests and the texts of their reports."""
    full: dict[str, str] = {}
    counts: dict[str, set[str]] = {}
    for nodeid, text in texts:
        for part in text.split("\n\nloopwatch: "):
            head, _, rest = part.removeprefix("loopwatch: ").partition("\n")
            if rest.startswith(SAME):
                first = rest.removeprefix(SAME).partition(", which has")[0]
                counts.setdefault(first, set()).add(nodeid)
            else:
                full.setdefault(nodeid, head.partition(";")[0])
                counts.setdefault(nodeid, set()).add(nodeid)
    for nodeid, head in full.items():
        number = len(counts[nodeid])
        tests = "1 test" if number == 1 else f"{number} tests"
        yield f"loopwatch: {head} ({tests}; explained in {nodeid})"
