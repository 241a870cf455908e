"""Claims about a folder of tests of several kinds: that all of them pass in one run, and do what they did.

Judged by what was seen in one run of the learner's whole folder `tests`, on the embedded server.
"""

import ast
from typing import Any

from .. import texts
from ..helper import Seen
from ..texts import Function, Text
from ..verdict import Part
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
    idle = [name for name in _tests(evidence) if name not in passed | failed]
    parts += [_at(evidence, name, "is skipped, or pytest does not find it") for name in idle[:PRESENT]]
    return parts or [Part(True, f"All {len(passed)} tests pass together.")]


def _in_all(evidence: Evidence, failed: int, count: int) -> Part:
    sentence = f"with this file, {failed} of {count} tests fail{'s' * (failed == 1)} in one run."
    return Part(False, sentence, evidence.exercise.files[0])


def join_stores(evidence: Evidence) -> list[Part]:
    """The test of the route leads to an insert that the server has answered."""
    places = (_seen(evidence).the("uses") or {"arrived": []})["arrived"]
    if any(each["test"] == _JOIN and each["phase"] == "call" for each in places):
        return [Part(True, f"`{_JOIN}` leads to a user that is stored.", _tests(evidence)[_JOIN])]
    return [_at(evidence, _JOIN, "was not seen to store a user in the database")]


def _failing(evidence: Evidence, reports: list[dict[str, Any]]) -> list[Part]:
    """Return a part for each distinct place and error."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for each in reports:
        if each["outcome"] == "failed":
            place = each.get("place") or {}
            groups.setdefault((place.get("file"), place.get("line"), each.get("error")), []).append(each)
    parts = []
    for group in list(groups.values())[:PRESENT]:
        names = list(dict.fromkeys(each["test"] for each in group))
        whose = f"`{names[0]}` fails" if len(names) == 1 else f"{len(names)} tests fail here"
        sentence = f"{whose}: {group[0].get('error') or 'an error'}"
        place = group[0].get("place")
        parts.append(
            evidence.part_at(False, sentence, place)
            if place
            else _at(evidence, names[0], f"fails: {group[0].get('error') or 'an error'}")
        )
    return parts


def _reports(evidence: Evidence) -> list[dict[str, Any]]:
    return [note for note in _seen(evidence).notes if note["what"] == "report"]


def _seen(evidence: Evidence) -> Seen:
    for path in evidence.exercise.files:
        evidence.text(path)  # first say what is no Python
    return evidence.once("scopes", suite=_FOLDER)


def _tests(evidence: Evidence) -> dict[str, str]:
    """Return the tests that the exercise starts with: by their names, the file of each."""
    found: dict[str, str] = {}
    for path, text in evidence.start.items():
        if path.rpartition("/")[2].startswith("test_"):
            names = [node.name for node in ast.parse(text).body if isinstance(node, Function)]
            found |= {name: path for name in names if name.startswith("test_")}
    return found


def _at(evidence: Evidence, name: str, what: str) -> Part:
    path = _tests(evidence).get(name, evidence.exercise.files[0])
    sentence = f"`{name}` {what}."
    found = texts.read(evidence.folder, path)
    if not isinstance(found, Text):
        return Part(False, sentence, path)
    node = found.functions().get(name)
    return found.part(False, sentence, node.lineno if node else None)
