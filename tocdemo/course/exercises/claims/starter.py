"""Claims about a program that starts pytest while a loop runs. Judged by running it on a small suite."""

import ast
from typing import Any

from tocdemo.subject import sources

from .. import texts
from ..texts import Text
from ..verdict import Part
from .evidence import Evidence
from .script import patches_nothing, patching_line

_FILE = "starter.py"


def runs_tests(evidence: Evidence) -> list[Part]:
    """The tests run, and nothing about the program makes them fail."""
    seen = evidence.once("starter", script=_FILE)
    raised, reports = seen.the("raised"), _of(evidence)["reports"]
    if raised is not None:
        error = raised["error"]
        return [evidence.part_at(False, f"the program ends with an error: {error}", raised["place"])]
    if not reports:
        return [Part(False, "the program has run none of the tests that its arguments name.", _FILE)]
    failed = next((each for each in reports if each["outcome"] == "failed"), None)
    if failed is not None:
        return [
            Part(False, f"tests that are right fail when this program runs them: {failed['error']}", _FILE)
        ]
    if left_out := _of(evidence)["left_out"]:
        sentence = f"the program adds `{left_out[0]}`: so tests are left out that its arguments name."
        return [evidence.text(_FILE).part(False, sentence, _line_of_main(evidence.text(_FILE)))]
    return _codes(evidence) or [Part(True, "The program runs the tests that its arguments name.", _FILE)]


def _codes(evidence: Evidence) -> list[Part]:
    """Say how the program's exit code is not pytest's: of tests that pass, and of one that fails."""
    seen = _of(evidence)
    text = evidence.text(_FILE)
    line = _line_of_main(text)
    failed = [each for each in seen["reports_of_failure"] if each["outcome"] == "failed"]
    if seen["code"]:
        sentence = f"all tests pass, and the program ends with the exit code {seen['code']!r}: pytest's is 0."
        return [text.part(False, sentence, line)]
    if not failed:
        return [
            text.part(False, "a test that fails is not reported to fail when this program runs it.", line)
        ]
    if not seen["code_of_failure"]:
        return [
            text.part(False, "a test fails, and the program ends with the exit code 0: pytest's is 1.", line)
        ]
    return []


def _line_of_main(text: Text) -> int | None:
    return next((n for n, each in reversed([*enumerate(text.lines, 1)]) if "pytest.main" in each), None)


def uses_thread(evidence: Evidence) -> list[Part]:
    """The tests run in another thread than a loop that runs meanwhile."""
    told = _of(evidence)["told"]
    if not told:
        return [Part(False, "no test has begun, so none runs beside the program's loop.", _FILE)]
    if any(each["in_their_thread"] for each in told):
        return [Part(False, "the tests run in the same thread as the program's event loop.", _FILE)]
    if not all(each["other_loops"] for each in told):
        return [Part(False, "no event loop of the program runs while the tests run.", _FILE)]
    if not all(each["moving"] for each in told):
        return [Part(False, "the program's event loop stands still while the tests run.", _FILE)]
    return [Part(True, "The tests run in a thread beside the program's event loop.", _FILE)]


def patches(evidence: Evidence) -> list[Part]:
    """Nothing has patched asyncio, and nothing imports what does."""
    patched = _of(evidence)["patched"]
    for path in (_FILE, *(path for path in sources.fixed() if path.endswith(".py"))):
        found = texts.read(evidence.folder, path)
        line = _import_of(found, "nest_asyncio") if isinstance(found, Text) and not patched else None
        if isinstance(found, Text) and line is not None:
            return [found.part(False, "`nest_asyncio` is still imported: it was to be taken out.", line)]
    return _patching_tests(evidence) or patches_nothing(evidence.text(_FILE), patched)


def _patching_tests(evidence: Evidence) -> list[Part]:
    """Say which file of the learner's tests patches asyncio, if the program does not."""
    names = _of(evidence)["patched_by_tests"]
    if _of(evidence)["patched"] or not names:
        return []
    for file in sorted((evidence.folder / "tests").rglob("*.py")):
        found = texts.read(evidence.folder, file.relative_to(evidence.folder).as_posix())
        line = isinstance(found, Text) and patching_line(found, {each.rpartition(".")[2] for each in names})
        if isinstance(found, Text) and line:
            return patches_nothing(found, names)
    return patches_nothing(evidence.text(_FILE), names)


def _import_of(text: Text, name: str) -> int | None:
    for node in ast.walk(text.tree):
        if isinstance(node, ast.Import) and any(alias.name.partition(".")[0] == name for alias in node.names):
            return node.lineno
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == name:
            return node.lineno
    return None


def _of(evidence: Evidence) -> dict[str, Any]:
    return evidence.once("starter", script=_FILE).sure("starter")
