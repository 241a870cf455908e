"""The report's three changes, and the faults that are the lack of them: one name for each, everywhere.

The third change, dynamic references, is made in two places, so four names stand here. It knows the faults'
names, and not what they do to a file.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tocdemo.errors import BadInput


@dataclass(frozen=True)
class Change:
    """A change: the id that code uses, its number in the report, its name in a text, and what it does.

    `column` is its column in a table, with what stands there `before` and `after` it.
    """

    id: str
    number: int
    name: str
    does: str
    column: str
    before: str
    after: str


# By the fault that is there as long as the change is not made.
CHANGES = {
    "static-app-imports": Change(
        "app-references",
        3,
        "dynamic references in the app",
        "the app asks the module `base` for the client and the collection at each use",
        "app_imports",
        "static",
        "dynamic",
    ),
    "static-test-imports": Change(
        "test-references",
        3,
        "dynamic references in the tests",
        "the tests ask the module `base` for the collection at each use",
        "test_imports",
        "static",
        "dynamic",
    ),
    "sync-fixture": Change(
        "async-fixture",
        1,
        "the async fixture",
        "the fixture `motor_reinit_db` is async, and runs on the event loop of its test",
        "fixture",
        "sync",
        "async",
    ),
    "unbound-client": Change(
        "io-loop",
        2,
        "io_loop",
        "the fixture gives its client the running event loop: `io_loop=asyncio.get_running_loop()`",
        "io_loop",
        "no",
        "yes",
    ),
}


def in_order() -> list[tuple[str, Change]]:
    """Return each fault with its change, in the order in which the report makes the changes."""
    return sorted(CHANGES.items(), key=lambda pair: (pair[1].number, pair[1].id == "app-references"))


def faults_of(ids: Iterable[str]) -> frozenset[str]:
    """Return the faults that these changes take out. Raises BadInput for the id of no change."""
    known = {change.id: fault for fault, change in CHANGES.items()}
    unknown = [each for each in ids if each not in known]
    if unknown:
        raise BadInput(f"There is no change {unknown[0]!r}. The changes: {', '.join(sorted(known))}")
    return frozenset(known[each] for each in ids)


def settings(faults: Collection[str], switches: Collection[str]) -> dict[str, str | None]:
    """Return what stands in each change's column with these faults; None where it is no switch."""
    return {
        change.column: (change.before if fault in faults else change.after) if fault in switches else None
        for fault, change in CHANGES.items()
    }
