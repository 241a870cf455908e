"""The faults of the incident: small, named source transforms that put back what was fixed.

A fault works on the syntax tree (libcst) of one or two files, so that it yields real source that a lesson can
show and a learner can edit. Faults compose in any order. It knows
the backend's text, not how it is run.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import libcst as cst

from tocdemo.display.code import unified_diff
from tocdemo.errors import BadInput, NothingToChange

from . import sources
from .transforms import (
    copy_names,
    drop_guard,
    drop_io_loop,
    drop_read_back,
    make_fixture_sync,
    swallow_probe,
    transact_once,
    without_unused_imports,
)

Files = Mapping[str, str]


@dataclass(frozen=True)
class Fault:
    """A named way to break the fixed backend.

    `sentence` says what the fault does to the source, `fix` what is so without it. `transforms` holds a
    function from source text to source text for each path that the fault changes.
    """

    name: str
    sentence: str
    fix: str
    transforms: Mapping[str, Callable[[cst.Module], cst.Module]]

    def apply(self, files: Files) -> dict[str, str]:
        """Return `files` with the fault put in. Raises NothingToChange when a file has nothing to change."""
        return dict(files) | {path: apply_to(self.name, path, files[path]) for path in self.transforms}


def with_faults(names: Iterable[str]) -> dict[str, str]:
    """Return the backend's files with the named faults, in any order. Raises ValueError for a bad name."""
    wanted = {get(name).name for name in names}
    files = dict(sources.fixed())
    for path in files:
        here = frozenset(name for name in wanted if path in FAULTS[name].transforms)
        files[path] = _file_with(path, here)
    return files


def get(name: str) -> Fault:
    """Return the fault of that name. Raises ValueError that lists the names when there is none."""
    if name not in FAULTS:
        raise BadInput(f"There is no fault {name!r}. The faults: {', '.join(FAULTS)}")
    return FAULTS[name]


def state(name: str) -> tuple[str, ...]:
    """Return the names of a state's faults. Raises ValueError when there is no such state."""
    name = "fixed" if name == "mended" else name  # its name in the course's first versions
    if name not in STATES:
        raise BadInput(f"There is no state {name!r}. The states: {', '.join(STATES)}")
    return STATES[name]


def faults_in(path: str, text: str) -> frozenset[str] | None:
    """Return the faults that `text`, a version of the file `path`, has; None when it is in no known state."""
    for faults in _combinations(path):
        if _file_with(path, faults) == text:
            return faults
    return None


def diff(name: str) -> str:
    """Return what the fault changes, as a unified diff from the fixed source to the faulty one."""
    before, after = with_faults([]), with_faults([name])
    return "".join(unified_diff(path, before[path], after[path]) for path in FAULTS[name].transforms)


def _file_with(path: str, faults: frozenset[str]) -> str:
    text = sources.fixed()[path]
    for name in sorted(faults):
        text = apply_to(name, path, text)
    return text


@cache
def apply_to(name: str, path: str, text: str) -> str:
    """Return the text of the file `path` with one fault put in. Raises NothingToChange."""
    fault = FAULTS[name]
    after = without_unused_imports(fault.transforms[path](cst.parse_module(text))).code
    if after == text:
        raise NothingToChange(
            f"{name}: found nothing to change in {path}. Is the fault there already, or was the file edited? "
            f"The fault is: {fault.sentence}"
        )
    return after


def _combinations(path: str) -> list[frozenset[str]]:
    combinations: list[frozenset[str]] = [frozenset()]
    for name, fault in FAULTS.items():
        if path in fault.transforms:
            combinations += [each | {name} for each in combinations]
    return combinations


FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault(
            "static-app-imports",
            "app/db/toc_transactions.py imports the client and the collection themselves, once",
            "app/db/toc_transactions.py imports the module `base` and asks it each time",
            {sources.APP: copy_names},
        ),
        Fault(
            "static-test-imports",
            "the test file imports the collection itself, once",
            "the test file imports the module `base` and asks it each time",
            {sources.SUITE: copy_names},
        ),
        Fault(
            "sync-fixture",
            "the fixture motor_reinit_db is a plain function, which pytest runs outside any event loop",
            "the fixture motor_reinit_db is async, and runs on the event loop of its test",
            {sources.CONFTEST: make_fixture_sync},
        ),
        Fault(
            "unbound-client",
            "the fixture makes its client without io_loop",
            "the fixture passes io_loop=asyncio.get_running_loop() to the client",
            {sources.CONFTEST: drop_io_loop},
        ),
        Fault(
            "swallowing-probe",
            "update_toc asks for the topology under `except Exception`, which swallows every error",
            "update_toc asks for the topology, and an error comes through",
            {sources.APP: swallow_probe},
        ),
        Fault(
            "unguarded-write",
            "add, update, delete and reorder write without a guard, and test 25 does not read the book back",
            "each write is a compare-and-swap on the version, with a retry, and test 25 reads the book back",
            {sources.APP: drop_guard, sources.SUITE: drop_read_back},
        ),
        Fault(
            "transaction-without-retry",
            "where the topology has transactions, each operation runs in one, which is tried once",
            "only what writes two documents needs a transaction, and a write conflict starts it again",
            {sources.APP: transact_once},
        ),
    )
}

STATES: dict[str, tuple[str, ...]] = {
    "fixed": (),
    "incident": (
        "static-app-imports",
        "static-test-imports",
        "sync-fixture",
        "unbound-client",
        "swallowing-probe",
    ),
    "as-fixed": ("unguarded-write",),
}
