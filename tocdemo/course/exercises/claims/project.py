"""Claims about a project of any shape: its tests pass in every way, and still notice what they noticed.

Judged by what the tests do, never by how the project was changed.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from tocdemo.subject import sources

from .. import course_texts, helper, trials
from ..verdict import Part
from . import tests_of
from .evidence import PRESENT, Evidence
from .script import patching_line

LIMIT = 45.0  # seconds: the tests run a dozen times, or once with each lie
_DRIVERS = {"Motor": "Motor", "async": "PyMongo's AsyncMongoClient"}  # by what their clients call themselves
BY_FILE = "project-files-any-order"  # the claim of an exercise whose tests may rely on a file's fixtures
_WAYS = (trials.AGAIN, trials.REVERSED, trials.SHUFFLED)


def all_there(evidence: Evidence) -> list[Part]:
    """Every test is there, and none is skipped or expected to fail."""
    found = _notes(evidence, "collected", trials.TOGETHER)
    collected = found[0]["tests"] if found else []
    places = tests_of.start(evidence)
    missing = [
        tests_of.at(evidence, name, "is not found by pytest any more")
        for name in places
        if name not in collected
    ]
    reports = _notes(evidence, "report", trials.TOGETHER)
    idle = dict.fromkeys(each["test"] for each in reports if each["outcome"] == "skipped" or "xfail" in each)
    skipped = [
        tests_of.at(evidence, name, "is skipped or expected to fail, so it does not count")
        for name in idle
        if name in places
    ]
    wrong = [*missing, *skipped]
    return wrong or [Part(True, f"The {len(places)} tests are all there.")]


def pass_together(evidence: Evidence) -> list[Part]:
    """All tests pass together."""
    return _failing(evidence, trials.TOGETHER) or [Part(True, "They pass together.")]


def pass_alone(evidence: Evidence) -> list[Part]:
    """Each test passes alone."""
    return _ways(evidence, [trials.ALONE], "Each passes alone.")


def pass_in_any_order(evidence: Evidence) -> list[Part]:
    """All tests pass a second time in the same process, in reverse, and in a random order."""
    return _ways(evidence, _WAYS, "They pass a second time, in reverse and in a random order.")


def notice(evidence: Evidence) -> list[Part]:
    """Each test fails when the database lies, wherever it does so in the course's version."""
    if evidence.said:
        return [Part(False, "not tried yet: whether they still notice when something goes wrong.")]
    version = {**evidence.start, **course_texts.solved(evidence.exercise)}
    driver = "async" if any("AsyncMongoClient" in text for text in evidence.start.values()) else "Motor"
    noticed, fields = _noticed_in(tuple(sorted(version.items())), driver)
    seen = evidence.once("noticing", fields=fields, driver=driver, limit=LIMIT)
    told = [note for note in seen.notes if note["what"] == "told"]
    if not any(note["heard"] for note in told):
        sentence = f"no test reaches the database through {_DRIVERS[driver]} any more."
        return [Part(False, sentence, evidence.exercise.files[0])]
    own = _noticed(told)
    unnoticed = sorted(pair for pair in noticed if pair not in own)
    first = {name: lie for name, lie in reversed(unnoticed)}
    parts = [tests_of.at(evidence, name, f"passes, too, when {lie}") for name, lie in first.items()]
    return parts[:PRESENT] or [Part(True, "They still notice when something goes wrong.")]


@cache
def _noticed_in(
    files: tuple[tuple[str, str], ...], driver: str
) -> tuple[frozenset[tuple[str, str]], tuple[str, ...]]:
    """Return which tests of a project notice which lies, and the names of the fields that it reads."""
    with sources.copied(dict(files)) as copy:
        seen = helper.ask("noticing", copy, limit=LIMIT, fields=None, driver=driver)
    if seen.ended:
        raise LookupError(f"the course's own version was not tried to its end: {seen.ended}")
    told = [note for note in seen.notes if note["what"] == "told"]
    return _noticed(told), tuple(seen.sure("fields")["fields"])


def _noticed(told: Iterable[dict[str, Any]]) -> frozenset[tuple[str, str]]:
    return frozenset((note["test"], note["lie"]) for note in told if note["outcome"] == "failed")


def patches(evidence: Evidence) -> list[Part]:
    """Nothing has patched asyncio or the driver."""
    names = _seen(evidence).sure("patched")["names"]
    if not names:
        return [Part(True, "asyncio and the driver are as their makers made them.")]
    sentence = f"`{names[0]}` is another than its makers' while the tests run: that hides the bug."
    own = {name.rpartition(".")[2] for name in names}
    files = [evidence.text(path) for path in evidence.exercise.files]
    found = [(text, line) for text in files if (line := patching_line(text, own))]
    text, line = found[0] if found else (files[0], None)
    return [text.part(False, sentence, line)]


def _ways(evidence: Evidence, ways: Sequence[str], well: str) -> list[Part]:
    """Say in which ways tests fail. After the first one with a failure, none was tried."""
    failing = [part for way in ways for part in _failing(evidence, way)]
    if failing:
        return failing
    if any(not _notes(evidence, "collected", way) for way in ways):
        return [Part(False, f"not tried yet: whether they pass {', '.join(ways)}.")]
    return [Part(True, well)]


def _failing(evidence: Evidence, way: str) -> list[Part]:
    """Return a part for each distinct place and error of a run."""
    failed = list(tests_of.causes(_notes(evidence, "report", way)).values())[:PRESENT]
    return [
        evidence.part_at(False, f"{way}, {tests_of.told(reports)}", reports[0].get("place"))
        for reports in failed
    ]


def _notes(evidence: Evidence, what: str, way: str) -> list[dict[str, Any]]:
    return [note for note in _seen(evidence).notes if note["what"] == what and note.get("run") == way]


def _seen(evidence: Evidence) -> helper.Seen:
    by_file = BY_FILE in evidence.exercise.afterwards
    return evidence.once("together", tests=list(tests_of.start(evidence)), by_file=by_file, limit=LIMIT)
