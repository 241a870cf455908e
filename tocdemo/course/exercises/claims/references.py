"""Claims about names: that a module asks `base` for its objects each time, and keeps no copy of them.

Judged by which objects the module's functions used in a run, and by what the module held then.
"""

import ast
from typing import Any

from tocdemo.subject import sources

from ..verdict import Part
from .evidence import Evidence

# The functions of the backend's driver module that ask the client something; a replica set needs both.
_QUESTIONS = ("supports_transactions", "start_session")


def tests_ask_base(evidence: Evidence) -> list[Part]:
    """The test file uses what `base` holds now."""
    return _asks_base(evidence, sources.SUITE, "tests/")


def app_asks_base(evidence: Evidence) -> list[Part]:
    """The app's module uses what `base` holds now."""
    return _asks_base(evidence, sources.APP, "app/")


def _asks_base(evidence: Evidence, path: str, below: str) -> list[Part]:
    copies = [_copy(evidence, note) for note in evidence.suite.copies if note["file"] == path]
    copies += [_undefined(evidence, note) for note in evidence.suite.undefined if note["file"] == path]
    parts = copies or [Part(True, "The module keeps no copy of what `base` holds.", path)]
    functions: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for use in sorted(evidence.suite.uses, key=lambda use: (use["file"], use["line"])):
        if use["file"] == path or (use["stale"] and use["file"].startswith(below)):
            name = use["function"].partition(".<locals>")[0]
            functions.setdefault((use["file"], name), []).append(use)
    parts += [_function(evidence, *place, uses) for place, uses in functions.items()]
    parts += _unasked(evidence, path)
    if not functions and evidence.suite.failures():
        return copies  # the tests fail before they come so far; the suite's claim says where
    if not functions:
        return [*copies, Part(False, "nothing in this file was seen to use a collection or a client.", path)]
    return parts


def _unasked(evidence: Evidence, path: str) -> list[Part]:
    """Say which questions to the client were not seen: under an `except` one may fail in silence."""
    text = evidence.text(path)
    seen = {use["line"] for use in evidence.suite.uses if use["file"] == path}
    calls = [
        node
        for node in ast.walk(text.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in _QUESTIONS
    ]
    missed = [call for call in calls if seen.isdisjoint(range(call.lineno, (call.end_lineno or 0) + 1))]
    if not missed or evidence.suite.failures():
        return []
    sentence = (
        "this line was not seen to reach the client: is an error of it swallowed, or of a line before it?"
    )
    return [text.part(False, sentence, min(call.lineno for call in missed))]


def _undefined(evidence: Evidence, note: dict[str, Any]) -> Part:
    where = f"`{note['function']}` uses" if note["function"] != "<module>" else "the module uses"
    return evidence.part_at(
        False, f"{where} the name `{note['name']}`, which there is not in this module", note
    )


def _function(evidence: Evidence, path: str, name: str, uses: list[dict[str, Any]]) -> Part:
    stale = sorted((use for use in uses if use["stale"]), key=lambda use: use["line"])
    if not stale:
        return Part(True, f"`{name}` uses what `base` holds now.", path)
    lines = sorted({use["line"] for use in stale})
    more = f" (and in line {', '.join(map(str, lines[1:]))})" if len(lines) > 1 else ""
    sentence = f"`{name}` still uses a copy{more}: not what `base` holds when the test runs."
    return evidence.part_at(False, sentence, stale[0])


def _copy(evidence: Evidence, note: dict[str, Any]) -> Part:
    text = evidence.text(note["file"])
    line = text.binding(note["name"])
    name = note["name"]
    what = f"the module keeps a copy, by the name `{name}`" if note["itself"] else f"`{name}` keeps a copy"
    sentence = f"{what}: it is made once, and grows old."
    return text.part(False, sentence, line)
