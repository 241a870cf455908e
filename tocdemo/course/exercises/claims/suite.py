"""Claims about the suite as a whole: that its tests are all there, as the course wrote them, and run.

A test that was deleted, skipped or changed would make a suite green that is not mended.
"""

import ast
import copy

from tocdemo.subject import sources

from ..texts import Function, Text, parsed
from ..verdict import Part
from .evidence import PRESENT, Evidence

FIRST = "test_update_toc_success"
TEST_25 = "test_concurrent_updates_different_chapters"


def whole(evidence: Evidence, but: tuple[str, ...] = (), passing: bool = True) -> list[Part]:
    """The tests of the course, all `but` these, are there and as they were, and run (and pass)."""
    wrong = [*_missing(evidence, but), *_changed(evidence, but), *_skipped(evidence, but)]
    if passing:
        wrong += _failing(evidence, but)
    count = len(_tests(_start(evidence))) - len(but)
    # With stale names the probe has led them to what is right: how the tests really end was not seen.
    stale = any(use["stale"] for use in evidence.suite.uses)
    green = passing and not stale and not evidence.suite.failures()
    how = "unchanged, and pass" if green else "unchanged"
    return wrong or [Part(True, f"The {'other ' if but else ''}{count} tests are all there, {how}.")]


def first_test_gone(evidence: Evidence) -> list[Part]:
    """pytest no longer finds the first test."""
    text = evidence.text(sources.SUITE)
    if FIRST not in evidence.suite.collected:
        return [Part(True, f"pytest no longer finds `{FIRST}`.", sources.SUITE)]
    node = text.functions().get(FIRST)
    skipped = [each for each in evidence.suite.skipped() if each["test"] == FIRST]
    how = "pytest skips it, but it is still there" if skipped else "pytest still finds it"
    return [text.part(False, f"`{FIRST}` is not deleted: {how}.", node and node.lineno)]


def others_unchanged(evidence: Evidence) -> list[Part]:
    """The other 27 are as they were; a decorator of the deleted test has not stayed."""
    return whole(evidence, but=(FIRST,), passing=False)


def but_25(evidence: Evidence) -> list[Part]:
    """All but test 25 are there, and pass. While changes are lost, who fails and who does not is chance."""
    return whole(evidence, but=(TEST_25,), passing=not evidence.said)


def _start(evidence: Evidence) -> Text:
    found = parsed(sources.SUITE, evidence.start[sources.SUITE])
    assert isinstance(found, Text), "the course's own suite does not parse"
    return found


def _tests(text: Text) -> dict[str, Function]:
    return {name: node for name, node in text.functions().items() if name.startswith("test_")}


def _missing(evidence: Evidence, but: tuple[str, ...]) -> list[Part]:
    collected = {name.partition("[")[0] for name in evidence.suite.collected}
    missing = [name for name in _tests(_start(evidence)) if name not in collected and name not in but]
    found = evidence.text(sources.SUITE).functions()
    parts = [
        evidence.text(sources.SUITE).part(
            False,
            f"pytest does not find the test `{name}`: "
            + ("it is in the file, and left out." if name in found else "it is not in the file any more."),
            found[name].lineno if name in found else None,
        )
        for name in missing[:PRESENT]
    ]
    return _and_more(parts, len(missing), "tests are not found")


def _changed(evidence: Evidence, but: tuple[str, ...]) -> list[Part]:
    text = evidence.text(sources.SUITE)
    mine = text.functions()
    wanted = {
        name: node
        for name, node in _tests(_start(evidence)).items()
        if name in mine and name not in but and _shape(node) != _shape(mine[name])
    }
    parts = [_difference(text, node, mine[name]) for name, node in list(wanted.items())[:PRESENT]]
    return _and_more(parts, len(wanted), "tests are not as they were")


def _difference(text: Text, before: Function, now: Function) -> Part:
    """Return where a test differs from the course's: at a decorator, or at a statement."""
    name = now.name
    old, new = map(_marks, (before, now))
    extra = [node for node in now.decorator_list if new.count(ast.dump(node)) > old.count(ast.dump(node))]
    if extra:
        times = new.count(ast.dump(extra[0]))
        twice = f"`{name}` has the same decorator {times} times: one is left of another test."
        other = f"`{name}` has a decorator that it did not have."
        return text.part(False, twice if times > 1 else other, extra[0].lineno)
    if len(new) < len(old):
        return text.part(
            False, f"`{name}` has lost its decorator `@{ast.unparse(before.decorator_list[0])}`.", now.lineno
        )
    bodies = zip(_body(before), _body(now), strict=False)
    first = next((new for old, new in bodies if ast.dump(old) != ast.dump(new)), None)
    if first is not None:
        return text.part(False, f"the test `{name}` is not as it was, from this line on.", first.lineno)
    if len(_body(now)) < len(_body(before)):
        gone = ast.unparse(_body(before)[len(_body(now))]).split("\n")[0]
        return text.part(False, f"the test `{name}` has lost its line `{gone}`.", now.end_lineno)
    if len(_body(now)) > len(_body(before)):
        added = _body(now)[len(_body(before))]
        return text.part(False, f"the test `{name}` has a line that it did not have.", added.lineno)
    return text.part(False, f"the test `{name}` is not as it was.", now.lineno)


def _skipped(evidence: Evidence, but: tuple[str, ...]) -> list[Part]:
    text = evidence.text(sources.SUITE)
    names = dict.fromkeys(
        report["test"].partition("[")[0]
        for report in evidence.suite.skipped()
        if report["test"].partition("[")[0] in _tests(_start(evidence))
    )
    names = [name for name in names if name not in but]
    found = text.functions()
    parts = [
        text.part(
            False, f"the test `{name}` does not count: it is skipped.", name in found and found[name].lineno
        )
        for name in names[:PRESENT]
    ]
    return _and_more(parts, len(names), "tests are skipped")


def _failing(evidence: Evidence, but: tuple[str, ...]) -> list[Part]:
    """A failure for each distinct place and error: 27 tests may fail in one line of a fixture."""
    groups: dict[tuple, list[dict]] = {}
    for report in evidence.suite.failures():
        if report["test"].partition("[")[0] in but:
            continue
        place = report.get("place") or {}
        groups.setdefault((place.get("file"), place.get("line"), report.get("error")), []).append(report)
    parts = []
    # An error without a place of the learner's comes from what was said already, if anything was.
    said = evidence.said | {(None, None)} if evidence.said else evidence.said
    groups = {place: reports for place, reports in groups.items() if place[:2] not in said}
    for reports in list(groups.values())[:PRESENT]:
        first, count = reports[0], len(reports)
        whose = f"the test `{first['test']}` fails" if count == 1 else f"{count} tests fail here"
        error = first.get("error") or "an error"
        parts.append(evidence.part_at(False, f"{whose}: {error}", first.get("place")))
    return _and_more(parts, len(groups), "errors")


def _and_more(parts: list[Part], count: int, what: str) -> list[Part]:
    more = count - len(parts)
    return parts if more <= 0 else [*parts, Part(False, f"{more} more {what}.", sources.SUITE)]


def _marks(node: Function) -> list[str]:
    return [ast.dump(each) for each in node.decorator_list]


def _body(node: Function) -> list[ast.stmt]:
    """Return the statements without the docstring: what it says is nobody's business."""
    docstring = ast.get_docstring(node, clean=False) is not None
    return node.body[1:] if docstring else node.body


def _shape(node: Function) -> str:
    bare = copy.copy(node)
    bare.body = _body(node) or node.body
    return ast.dump(bare)
