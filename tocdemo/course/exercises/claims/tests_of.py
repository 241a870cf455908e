"""The tests that an exercise starts with, where each of them stands, and their failures, each cause once.

It must not know what a claim asks of the tests.
"""

import ast
from collections.abc import Iterable, Mapping
from typing import Any

from .. import texts
from ..texts import Function, Text
from ..verdict import Part
from .evidence import Evidence

Report = Mapping[str, Any]  # as a probe notes it
Cause = tuple[str | None, int | None, str | None]  # file, line, error


def start(evidence: Evidence) -> dict[str, str]:
    """Return the tests that the exercise starts with: by their names, the file of each."""
    found: dict[str, str] = {}
    for path, text in evidence.start.items():
        if path.rpartition("/")[2].startswith("test_"):
            names = [node.name for node in ast.parse(text).body if isinstance(node, Function)]
            found |= {name: path for name in names if name.startswith("test_")}
    return found


def at(evidence: Evidence, name: str, what: str) -> Part:
    """Return what is not so about a test, at its `def`, wherever the learner has it in its file."""
    path = start(evidence).get(name, evidence.exercise.files[0])
    sentence = f"`{name}` {what}."
    found = texts.read(evidence.folder, path)
    if not isinstance(found, Text):
        return Part(False, sentence, path)
    node = found.functions().get(name)
    return found.part(False, sentence, node.lineno if node else None)


def causes(reports: Iterable[Report]) -> dict[Cause, list[Report]]:
    """Return the reports of failures by place and error: many tests may fail in one line of a fixture."""
    groups: dict[Cause, list[Report]] = {}
    for report in reports:
        if report["outcome"] == "failed":
            place = report.get("place") or {}
            groups.setdefault((place.get("file"), place.get("line"), report.get("error")), []).append(report)
    return groups


def told(reports: list[Report]) -> str:
    """Return who fails of one cause, and with which error."""
    names = list(dict.fromkeys(report["test"] for report in reports))
    whose = f"`{names[0]}` fails" if len(names) == 1 else f"{len(names)} tests fail here"
    return f"{whose}: {reports[0].get('error') or 'an error'}"
