"""Claims about tests that a learner writes: that they find what they are for. Judged by breaking the app."""

import ast
import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tocdemo.subject import sources

from .. import texts
from ..helper import Seen
from ..texts import Function
from ..verdict import Part, Problem
from .evidence import Evidence, Unjudged
from .suite import TEST_25

_LEFT_OUT = "tests/test_db/test_left_out.py"
_SCOPES = "tests/test_scopes.py"
_SCOPES_TESTS = ("test_first", "test_second")
_INSERTS = ("insert_one", "insert_many", "replace_one", "update_one", "bulk_write")
_MODES = ("as it is", "not refusing", "going on")
_FIRST, _SECOND, _NONE = "the first is lost", "the second is lost", "nothing is lost"


def finds_loss(evidence: Evidence) -> list[Part]:
    """Test 25 fails when an update is lost, whichever of the two."""
    reports = _read_back(evidence)
    text = evidence.text(sources.SUITE)
    node = text.functions().get(TEST_25)
    parts = []
    for mode, which in ((_FIRST, "first"), (_SECOND, "second")):
        if _failed(reports[mode]) is None:
            if not any(report["met"] for report in reports[_NONE]):
                sentence = (
                    f"`{TEST_25}` does not make its two updates at once: the second waits for the first."
                )
                return [text.part(False, sentence, node.lineno if node else None)]
            sentence = f"`{TEST_25}` passes when the update of the {which} chapter is lost."
            parts.append(text.part(False, sentence, node.end_lineno if node else None))
        else:
            parts.append(
                Part(True, f"The test fails when the update of the {which} chapter is lost.", text.path)
            )
    return parts


def passes_when_whole(evidence: Evidence) -> list[Part]:
    """Test 25 passes when nothing is lost."""
    failed = _failed(_read_back(evidence)[_NONE])
    if failed is not None:
        error = failed["error"]
        return [evidence.part_at(False, f"`{TEST_25}` fails when nothing is lost: {error}", failed["place"])]
    return [Part(True, "The test passes when nothing is lost.", sources.SUITE)]


def _read_back(evidence: Evidence) -> dict[str, list[dict[str, Any]]]:
    """Return the reports of test 25 by what was lost, on the course's own app."""
    with _on_the_courses_app(evidence.folder) as copy:
        seen = evidence.once("readback", folder=copy, suite=sources.SUITE, test=TEST_25)
    reports: dict[str, list[dict[str, Any]]] = {_NONE: [], _FIRST: [], _SECOND: []}
    for note in seen.notes:
        if note["what"] == "report":
            reports[note["mode"]].append(note)
    if not all(reports.values()):
        raise Unjudged(Problem(f"pytest does not find the test `{TEST_25}`.", sources.SUITE))
    skipped = next((each for each in reports[_NONE] if each["outcome"] == "skipped"), None)
    if skipped is not None:
        raise Unjudged(Problem(f"the test `{TEST_25}` is skipped.", sources.SUITE))
    return reports


@contextlib.contextmanager
def _on_the_courses_app(folder: Path) -> Iterator[Path]:
    """Give a copy of the learner's tests beside the fixed app."""
    with tempfile.TemporaryDirectory(prefix="tocdemo-check-") as own:
        copy = Path(own).resolve()
        sources.write(sources.fixed(), copy)
        for file in (folder / "pytest.ini", *(folder / "tests").rglob("*.py")):
            if file.is_file() and file.stat().st_size <= texts.MOST_BYTES:
                target = copy / file.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
        yield copy


def _failed(reports: list[dict[str, Any]]) -> dict[str, Any] | None:
    return next((report for report in reports if report["outcome"] == "failed"), None)


def left_out_passes(evidence: Evidence) -> list[Part]:
    """The file has a test, and all pass on the app as it is."""
    reports = [each for each in _left_out(evidence) if each["mode"] == "as it is"]
    if not reports:
        return [Part(False, "pytest finds no test in this file.", _LEFT_OUT)]
    parts = []
    for each in reports:
        if each["outcome"] == "failed":
            parts.append(_failing(evidence, _LEFT_OUT, each))
        elif each["outcome"] == "skipped":
            parts.append(_at_test(evidence, each["test"], f"`{each['test']}` does not count: it is skipped."))
    return parts or [Part(True, "The file has a test, and all of its tests pass.", _LEFT_OUT)]


def left_out_reached(evidence: Evidence) -> list[Part]:
    """A test that passes leads to the refusal."""
    if _leading(evidence):
        return [Part(True, "The last lines of `_orders` run in it.", _LEFT_OUT)]
    return [Part(False, "no test of this file that passes makes `_orders` refuse its orders.", _LEFT_OUT)]


def left_out_looks(evidence: Evidence) -> list[Part]:
    """A test that leads there fails when the operation does not refuse."""
    leading = _leading(evidence)
    looking = [test for test in leading if test in _failing_in(evidence, "not refusing")]
    if any(test in _failing_in(evidence, "going on") for test in looking):
        return [Part(True, "The test fails if the operation returns in place of refusing.", _LEFT_OUT)]
    if not leading:
        return [Part(False, "so no test of this file looks at what the caller is told.", _LEFT_OUT)]
    if looking:
        sentence = (
            f"`{looking[0]}` passes, too, when `_orders` refuses nothing: the operation then ends with "
            "another error, and the test takes it for this one."
        )
        return [_at_test(evidence, looking[0], sentence)]
    sentence = (
        f"`{leading[0]}` passes, too, when the operation returns in place of refusing: it does not look."
    )
    return [_at_test(evidence, leading[0], sentence)]


def _failing_in(evidence: Evidence, mode: str) -> set[str]:
    return {
        each["test"] for each in _left_out(evidence) if each["mode"] == mode and each["outcome"] == "failed"
    }


def _left_out(evidence: Evidence) -> list[dict[str, Any]]:
    """Return the reports of the tests in both modes, on the course's own app."""
    with _on_the_courses_app(evidence.folder) as copy:
        seen = [evidence.once("leftout", folder=copy, suite=_LEFT_OUT, mode=mode) for mode in _MODES]
    return [note for each in seen for note in each.notes if note["what"] == "report"]


def _leading(evidence: Evidence) -> list[str]:
    """Return the tests that make the operation refuse, and pass."""
    reports = [each for each in _left_out(evidence) if each["mode"] == "as it is"]
    bad = {each["test"] for each in reports if each["outcome"] != "passed"}
    return list(
        dict.fromkeys(each["test"] for each in reports if each["refused"] and each["test"] not in bad)
    )


def _failing(evidence: Evidence, path: str, report: dict[str, Any]) -> Part:
    """Return a part about a failure, at its place, or else at the test."""
    name = report["test"].partition("[")[0]
    sentence = f"`{name}` fails: {report.get('error') or 'an error'}"
    if report.get("place"):
        return evidence.part_at(False, sentence, report["place"])
    return _at_test(evidence, name, sentence, path)


def _at_test(evidence: Evidence, name: str, sentence: str, path: str = _LEFT_OUT) -> Part:
    text = evidence.text(path)
    functions = [node for node in ast.walk(text.tree) if isinstance(node, Function)]  # of classes, too
    node = next((node for node in functions if node.name == name), None)
    return text.part(False, sentence, node.lineno if node else None)


def scopes_pass(evidence: Evidence) -> list[Part]:
    """Both tests of the scopes' file pass."""
    seen = _scopes(evidence)
    reports = [note for note in seen.notes if note["what"] == "report"]
    text = evidence.text(_SCOPES)
    parts = []
    for name in _SCOPES_TESTS:
        own = [each for each in reports if each["test"].partition("[")[0] == name]
        node = text.functions().get(name)
        failed = _failed(own)
        if not own:
            parts.append(
                text.part(False, f"pytest does not find the test `{name}`.", node.lineno if node else None)
            )
        elif failed is not None:
            parts.append(_failing(evidence, _SCOPES, failed))
        elif any(each["outcome"] == "skipped" or each.get("xfail") for each in own):
            parts.append(
                text.part(False, f"`{name}` does not count: it is skipped.", node.lineno if node else None)
            )
        else:
            parts.append(Part(True, f"`{name}` passes.", _SCOPES))
    return parts


def scopes_fixture_inserts(evidence: Evidence) -> list[Part]:
    """The fixture inserts through its client."""
    if any(use["phase"] == "setup" and use["name"] in _INSERTS for use in _uses(evidence)):
        return [Part(True, "The fixture puts its book into the database.", _SCOPES)]
    text = evidence.text(_SCOPES)
    node = text.functions().get("books")
    return [
        text.part(
            False, "the fixture puts no book into the database any more.", node.lineno if node else None
        )
    ]


def scopes_tests_insert(evidence: Evidence) -> list[Part]:
    """Each test inserts through the client that the fixture made."""
    text = evidence.text(_SCOPES)
    parts = []
    for name in _SCOPES_TESTS:
        inserts = [
            use
            for use in _uses(evidence)
            if use["phase"] == "call" and use["test"].partition("[")[0] == name and use["name"] in _INSERTS
        ]
        node = text.functions().get(name)
        if node is None:
            continue  # said already
        if not inserts:
            parts.append(text.part(False, f"`{name}` was not seen to insert a book.", node.lineno))
        elif not any(use["made"] == "setup" for use in inserts):
            sentence = f"`{name}` inserts its book through another client than the fixture's."
            parts.append(evidence.part_at(False, sentence, inserts[0]))
        elif any(use["crosses"] for use in inserts):
            sentence = f"`{name}` uses the client on another event loop than the client's, or on none."
            parts.append(evidence.part_at(False, sentence, inserts[0]))
        elif not _arrived(evidence, name):
            sentence = f"no insert of `{name}` has arrived at the database."
            parts.append(evidence.part_at(False, sentence, inserts[0]))
    return parts or [Part(True, "Each test inserts a book through the fixture's client.", _SCOPES)]


def _arrived(evidence: Evidence, test: str) -> bool:
    """Whether the server has answered an insert while the test was called."""
    places = (_scopes(evidence).the("uses") or {"arrived": []})["arrived"]
    return any(each["phase"] == "call" and each["test"].partition("[")[0] == test for each in places)


def _scopes(evidence: Evidence) -> Seen:
    return evidence.once("scopes", suite=_SCOPES)


def _uses(evidence: Evidence) -> list[dict[str, Any]]:
    return (_scopes(evidence).the("uses") or {"uses": []})["uses"]
