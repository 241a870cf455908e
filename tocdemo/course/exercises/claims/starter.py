"""Claims about a program that starts pytest while a loop runs. Judged by running it on a small suite."""

from typing import Any

from ..verdict import Part
from .evidence import Evidence
from .script import patches_nothing

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
    return [Part(True, "The program runs the tests that its arguments name.", _FILE)]


def uses_thread(evidence: Evidence) -> list[Part]:
    """The tests run in another thread than a loop that runs meanwhile."""
    told = _of(evidence)["told"]
    if not told:
        return [Part(False, "no test has begun, so none runs beside the program's loop.", _FILE)]
    if any(each["in_their_thread"] for each in told):
        return [Part(False, "the tests run in the same thread as the program's event loop.", _FILE)]
    if not all(each["other_loops"] for each in told):
        return [Part(False, "no event loop of the program runs while the tests run.", _FILE)]
    return [Part(True, "The tests run in a thread beside the program's event loop.", _FILE)]


def patches(evidence: Evidence) -> list[Part]:
    """Nothing has patched asyncio."""
    return patches_nothing(evidence.text(_FILE), _of(evidence)["patched"])


def _of(evidence: Evidence) -> dict[str, Any]:
    return evidence.once("starter", script=_FILE).sure("starter")
