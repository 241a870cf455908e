"""Claims about the suite as a whole: that its tests are all there, as the course wrote them, and run.

A test that was deleted, skipped or changed would make a suite green that is not fixed.
"""

import ast
import copy

from tocdemo.subject import sources

from ..texts import Function, Text, parsed
from ..verdict import Part
from .evidence import PRESENT, Evidence
from .tests_of import causes

FIRST = "test_update_toc_success"
TEST_25 = "test_concurrent_updates_different_chapters"


def whole(
    evidence: Evidence, but: tuple[str, ...] = (), passing: bool = True, helpers: bool = False
) -> list[Part]:
    """The tests of the course, all `but` these, are there and as they were, and run (and pass).

    With `helpers`, the functions that are no tests are as they were, too.
    """
    wrong = [*_missing(evidence, but), *_changed(evidence, but, helpers), *_skipped(evidence, but)]
    if passing:
        wrong += _failing(evidence, but)
    count = len(_tests(_start(evidence))) - len(but)
    # With stale names the probe has led them to what is right: how the tests really end was not seen.
    stale = any(use["stale"] for use in evidence.suite.uses)
    green = passing and not stale and not evidence.suite.failures()
    how = "unchanged, and pass" if green else "unchanged"
    return wrong or [Part(True, f"The {'other ' if but else ''}{count} tests are all there, {how}.")]


def first_test_gone(evidence: Evidence) -> list[Part]:
    """pytest no longer finds the first test, because it is not there: neither by its name nor by another."""
    text = evidence.text(sources.SUITE)
    node = _first_test(evidence, text)
    if FIRST not in evidence.suite.found:
        if node is None:
            return _more(evidence) or [Part(True, f"pytest no longer finds `{FIRST}`.", sources.SUITE)]
        name = "" if node.name == FIRST else f", by the name `{node.name}`"
        return [text.part(False, f"`{FIRST}` is not deleted: it is still there{name}.", node.lineno)]
    skipped = any(each["test"] == FIRST for each in evidence.suite.skipped())
    runs = any(each["test"] == FIRST and each["phase"] == "call" for each in evidence.suite.reports)
    how = "pytest leaves it out, but it is still there"
    if skipped:
        how = "pytest skips it, but it is still there"
    elif runs:
        how = "pytest still finds it"
    return [text.part(False, f"`{FIRST}` is not deleted: {how}.", node.lineno if node else None)]


def _first_test(evidence: Evidence, text: Text) -> Function | None:
    """Return the function of the first test, or one that does the same by another name, if there is one."""
    body = [ast.dump(each) for each in _body(_start(evidence).functions()[FIRST])]
    functions = [node for node in ast.walk(text.tree) if isinstance(node, Function)]
    named = [node for node in functions if node.name == FIRST]
    same = [node for node in functions if [ast.dump(each) for each in _body(node)] == body]
    return next(iter(named + same), None)


def _more(evidence: Evidence) -> list[Part]:
    known = _tests(_start(evidence))
    more = [name for name in evidence.suite.found if name.partition("[")[0] not in known]
    return _about(
        evidence.text(sources.SUITE), more, "new: it was not among the 28" if len(more) == 1 else "new"
    )


def others_unchanged(evidence: Evidence) -> list[Part]:
    """The other 27 are as they were; a decorator of the deleted test has not stayed."""
    return whole(evidence, but=(FIRST,), helpers=True)


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
    text = evidence.text(sources.SUITE)
    collected = {name.partition("[")[0] for name in evidence.suite.collected}
    missing = [name for name in _tests(_start(evidence)) if name not in collected and name not in but]
    gone = [name for name in missing if name not in text.functions()]
    left_out = [name for name in missing if name in text.functions()]
    return [
        *_about(text, gone, "not in this file any more"),
        *_about(
            text,
            left_out,
            "in this file, and pytest does not find them"
            if len(left_out) > 1
            else "in this file, and pytest does not find it",
        ),
    ]


def _about(text: Text, names: list[str], what: str) -> list[Part]:
    """Return one part about some tests, at the first of them."""
    if not names:
        return []
    named = ", ".join(f"`{name}`" for name in names[:PRESENT])
    more = f" and {len(names) - PRESENT} more" if len(names) > PRESENT else ""
    subject = f"the test {named} is" if len(names) == 1 else f"{len(names)} tests are"
    which = "" if len(names) == 1 else f": {named}{more}"
    node = text.functions().get(names[0])
    return [text.part(False, f"{subject} {what}{which}.", node.lineno if node else None)]


def _changed(evidence: Evidence, but: tuple[str, ...], helpers: bool) -> list[Part]:
    text, start = evidence.text(sources.SUITE), _start(evidence)
    mine = text.functions()
    wanted = {
        name: node
        for name, node in (start.functions() if helpers else _tests(start)).items()
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
        return text.part(False, f"`{name}` is not as it was, from this line on.", first.lineno)
    if len(_body(now)) < len(_body(before)):
        gone = ast.unparse(_body(before)[len(_body(now))]).split("\n")[0]
        return text.part(False, f"`{name}` has lost its line `{gone}`.", now.end_lineno)
    if len(_body(now)) > len(_body(before)):
        added = _body(now)[len(_body(before))]
        return text.part(False, f"`{name}` has a line that it did not have.", added.lineno)
    return text.part(False, f"`{name}` is not as it was.", now.lineno)


def _skipped(evidence: Evidence, but: tuple[str, ...]) -> list[Part]:
    skipped = dict.fromkeys(report["test"].partition("[")[0] for report in evidence.suite.skipped())
    names = [name for name in skipped if name in _tests(_start(evidence)) and name not in but]
    return _about(evidence.text(sources.SUITE), names, "skipped, and so not counted")


def _failing(evidence: Evidence, but: tuple[str, ...]) -> list[Part]:
    """A failure for each distinct place and error: 27 tests may fail in one line of a fixture."""
    failures = [each for each in evidence.suite.failures() if each["test"].partition("[")[0] not in but]
    groups = causes(failures)
    parts = []
    # What was said already may be the cause of all the rest, but for errors in what the exercise is about.
    told = {
        place: reports
        for place, reports in groups.items()
        if not evidence.said or (place[0] in evidence.exercise.files and place[:2] not in evidence.said)
    }
    for reports in list(told.values())[:PRESENT]:
        first, count = reports[0], len(reports)
        whose = f"the test `{first['test']}` fails" if count == 1 else f"{count} tests fail here"
        error = first.get("error") or "an error"
        parts.append(evidence.part_at(False, f"{whose}: {error}", first.get("place")))
    return _and_more(parts, len(told), "errors")


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
