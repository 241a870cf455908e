"""Claims about a folder of tests of several kinds: that all of them pass in one run, and do what they did.

Judged by what was seen in one run of the learner's whole folder `tests`, on the embedded server.
"""

from typing import Any

from ..helper import Seen
from ..verdict import Part
from . import tests_of
from .evidence import PRESENT, Evidence

_FOLDER = "tests"
_JOIN = "test_join"


def all_pass(evidence: Evidence) -> list[Part]:
    """Every test that the exercise starts with is there, and all that are there pass."""
    reports = _reports(evidence)
    passed = {each["test"] for each in reports if each["phase"] == "call" and each["outcome"] == "passed"}
    failed = {each["test"] for each in reports if each["outcome"] == "failed"}
    parts = (
        [_in_all(evidence, len(failed), len(passed | failed)), *_failing(evidence, reports)] if failed else []
    )
    idle = [name for name in tests_of.start(evidence) if name not in passed | failed]
    parts += [
        tests_of.at(evidence, name, "is skipped, or pytest does not find it") for name in idle[:PRESENT]
    ]
    return parts or [Part(True, f"All {len(passed)} tests pass together.")]


def _in_all(evidence: Evidence, failed: int, count: int) -> Part:
    sentence = f"with this file, {failed} of {count} tests fail{'s' * (failed == 1)} in one run."
    return Part(False, sentence, evidence.exercise.files[0])


def join_stores(evidence: Evidence) -> list[Part]:
    """The test of the route leads to an insert that the server has answered."""
    places = (_seen(evidence).the("uses") or {"arrived": []})["arrived"]
    if any(each["test"] == _JOIN and each["phase"] == "call" for each in places):
        return [Part(True, f"`{_JOIN}` leads to a user that is stored.", tests_of.start(evidence)[_JOIN])]
    return [tests_of.at(evidence, _JOIN, "was not seen to store a user in the database")]


def _failing(evidence: Evidence, reports: list[dict[str, Any]]) -> list[Part]:
    """Return a part for each distinct place and error; without a place, at the test."""
    return [
        evidence.part_at(False, tests_of.told(group), group[0]["place"])
        if group[0].get("place")
        else tests_of.at(evidence, group[0]["test"], f"fails: {group[0].get('error') or 'an error'}")
        for group in list(tests_of.causes(reports).values())[:PRESENT]
    ]


def _reports(evidence: Evidence) -> list[dict[str, Any]]:
    return [note for note in _seen(evidence).notes if note["what"] == "report"]


def _seen(evidence: Evidence) -> Seen:
    for path in evidence.exercise.files:
        evidence.text(path)  # first say what is no Python
    return evidence.once("scopes", suite=_FOLDER)
