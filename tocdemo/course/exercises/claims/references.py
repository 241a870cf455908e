"""Claims about names: that a module asks `base` for its objects each time, and keeps no copy of them.

Judged by which objects the module's functions used in a run, and by what the module held then.
"""

from typing import Any

from tocdemo.subject import sources

from ..verdict import Part
from .evidence import Evidence


def tests_ask_base(evidence: Evidence) -> list[Part]:
    """The test file uses what `base` holds now."""
    return _asks_base(evidence, sources.SUITE, "tests/")


def app_asks_base(evidence: Evidence) -> list[Part]:
    """The app's module uses what `base` holds now."""
    return _asks_base(evidence, sources.APP, "app/")


def _asks_base(evidence: Evidence, path: str, below: str) -> list[Part]:
    copies = [_copy(evidence, note) for note in evidence.suite.copies if note["file"] == path]
    parts = copies or [Part(True, "The module keeps no copy of what `base` holds.", path)]
    functions: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for use in sorted(evidence.suite.uses, key=lambda use: (use["file"], use["line"])):
        if use["file"] == path or (use["stale"] and use["file"].startswith(below)):
            name = use["function"].partition(".<locals>")[0]
            functions.setdefault((use["file"], name), []).append(use)
    parts += [_function(evidence, *place, uses) for place, uses in functions.items()]
    if not functions and evidence.suite.failures():
        return copies  # the tests fail before they come so far; the suite's claim says where
    if not functions:
        return [*copies, Part(False, "nothing in this file was seen to use a collection or a client.", path)]
    return parts


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
    sentence = f"the module keeps a copy, by the name `{note['name']}`: it is made once, and grows old."
    return text.part(False, sentence, line)
