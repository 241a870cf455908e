"""The course's own faults: each is named, and who follows the change lines ends with 28 green.

These tests stand on the laboratory's faults; the plugin itself knows nothing of them.
"""

from __future__ import annotations

import re

import pytest

from tocdemo.loopwatch.static.check import check
from tocdemo.subject import faults

from .projects import QUICKLY, Outcome, Watch, forget

pytest_plugins = ["pytester"]

INCIDENT = ("static-app-imports", "static-test-imports", "sync-fixture", "unbound-client")


def lay_out(pytester: pytest.Pytester, names: tuple[str, ...]) -> None:
    for name, text in faults.with_faults(names).items():
        path = pytester.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def run_suite(pytester: pytest.Pytester) -> Outcome:
    watch = Watch()
    forget("app", "tests", "conftest")
    result = pytester.runpytest_inprocess(*QUICKLY, plugins=[watch])
    counts = result.parseoutcomes()
    assert watch.recording is not None
    failed = counts.get("failed", 0) + counts.get("errors", 0)
    return Outcome(watch.recording, counts.get("passed", 0), failed, result.stdout.str())


def follow(pytester: pytest.Pytester, text: str) -> int:
    """Do what the change lines of an explanation say, knowing nothing else; return how many files changed."""
    changes = re.findall(r"(\S+):(\d+): write `(.+?)` there, and (.+?) wherever", text)
    for file, line, statement, names in changes:
        path = pytester.path / file
        lines = path.read_text().splitlines(keepends=True)
        lines[int(line) - 1] = statement + "\n"
        body = "".join(lines)
        for name in names.split(", "):
            body = re.sub(rf"(?<![\w.]){name.rpartition('.')[2]}\b", name, body)
        path.write_text(body)
    for name, file in re.findall(r"`@pytest_asyncio.fixture` and `async def (\w+)` \((\S+?):\d+\)", text):
        path = pytester.path / file
        before = re.compile(rf"@pytest\.fixture\ndef {name}\b")
        path.write_text(
            before.sub(
                f"@pytest_asyncio.fixture\nasync def {name}", "import pytest_asyncio\n" + path.read_text()
            )
        )
        changes.append((file,))
    return len(changes)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (
            ("static-app-imports",),
            ["held as:   app.db.toc_transactions._client, books_collection, copied from app.db.base"],
        ),
        (
            ("static-test-imports",),
            ["held as:   tests.test_db.test_toc_transactions.books_collection, copied from"],
        ),
        (("sync-fixture",), ["motor_reinit_db is a sync fixture, in which no loop runs"]),
        (
            INCIDENT,
            [
                "app.db.toc_transactions._client, books_collection, copied from app.db.base",
                "tests.test_db.test_toc_transactions.books_collection, copied from app.db.base",
                "is another object now, made in motor_reinit_db",
            ],
        ),
    ],
)
def test_the_explanation_names_the_fault_and_its_change_lines_lead_to_28_green(pytester, names, says):
    lay_out(pytester, names)
    outcome = run_suite(pytester)
    assert outcome.failed >= 24
    assert len(outcome.recording.explanations) == outcome.failed
    full = next(iter(outcome.recording.explanations.values()))
    for words in says:
        assert words in full
    assert follow(pytester, full) >= 1
    outcome = run_suite(pytester)
    assert (outcome.passed, outcome.failed) == (28, 0), outcome.text


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ((), []),
        (("static-app-imports",), ["copied-name"]),
        (("static-test-imports",), ["copied-name"]),
        (("sync-fixture",), ["loop-in-sync-fixture"]),
        (INCIDENT, ["copied-name", "copied-name"]),
    ],
)
def test_the_checker_finds_the_faults_and_nothing_in_the_fixed_state(pytester, names, found):
    lay_out(pytester, names)
    assert [finding.rule for finding in check(pytester.path)] == found
