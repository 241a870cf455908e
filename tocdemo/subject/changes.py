"""The report's changes that the faults of the incident are the lack of: one name for each, everywhere.

It knows the faults' names, and not what they do to a file.
"""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """A change: its name, the column that a table has for it, and what stands there before and after it."""

    name: str
    column: str
    before: str
    after: str


# By the fault that is there as long as the change is not made.
CHANGES = {
    "static-app-imports": Change("dynamic references in the app", "app_imports", "static", "dynamic"),
    "static-test-imports": Change("dynamic references in the tests", "test_imports", "static", "dynamic"),
    "sync-fixture": Change("an async fixture", "fixture", "sync", "async"),
    "unbound-client": Change("io_loop", "io_loop", "no", "yes"),
}


def settings(faults: Collection[str], switches: Collection[str]) -> dict[str, str | None]:
    """Return what stands in each change's column with these faults; None where it is no switch."""
    return {
        change.column: (change.before if fault in faults else change.after) if fault in switches else None
        for fault, change in CHANGES.items()
    }
