"""Claims about the new driver: that the backend's clients are PyMongo's, are closed, and do what Motor's did.

Judged by which clients were made and closed in a run, and by what each function of the app's `driver` does.
"""

import ast
from collections.abc import Iterator
from typing import Any

from tocdemo.subject import sources

from .. import texts
from ..texts import Function, Text
from ..verdict import Part
from . import suite
from .evidence import FIXTURE, PRESENT, Evidence, SuiteRun

DRIVER = "app/db/driver.py"
STANDALONE, REPLICA_SET = BACKENDS = ("pymongo", "replica-set")
_TOPOLOGY = {STANDALONE: "a standalone", REPLICA_SET: "a replica set"}
_OPERATION = "update_toc_with_transaction"


def closes(evidence: Evidence) -> list[Part]:
    """The client that the fixture makes for a test is closed when the test has ended."""
    own = _run(evidence, STANDALONE)
    for_tests = [each for each in own.clients if each["test"] and each["phase"] == "setup"]
    made = [each for each in for_tests if each["driver"] == "pymongo"]
    if for_tests and not made:
        return []  # all are Motor's, of which this claim knows nothing
    if not made:
        return [_at_fixture(evidence, f"no client was seen to be made for a test{_why(own)}")]
    left = [each for each in made if each["closed"] is None]
    if left:
        place = left[0]["asked"] or left[0]["above"]
        how = (
            "`close` is called here, and does not come to its end" if left[0]["asked"] else "nobody closes it"
        )
        sentence = f"{how}: {len(left)} of {len(made)} clients are still open when their test has ended"
        return [evidence.part_at(False, sentence, place)]
    late = next((each for each in made if each["closed"] != each["test"]), None)
    if late is not None:
        sentence = f"the client that `{late['test']}` gets is closed only in `{late['closed']}`"
        return [evidence.part_at(False, sentence, late["above"])]
    return [Part(True, f"`{FIXTURE}` makes a client for each test, and closes it.", sources.CONFTEST)]


def makes_clients(evidence: Evidence) -> list[Part]:
    """Every client is an `AsyncMongoClient`, the one of `base` and those of the fixture."""
    runs = [_run(evidence, backend) for backend in BACKENDS]
    made = [each for own in runs for each in own.clients]
    motors = [each for each in made if each["driver"] == "motor"]
    if motors:
        return [evidence.part_at(False, "here a client of Motor's is made", motors[0]["place"])]
    wanted = {"when `app.db.base` is imported": not any(each["test"] == "" for each in made)}
    wanted[f"by `{FIXTURE}`"] = not any(each["phase"] == "setup" for each in made)
    missing = [when for when, lacking in wanted.items() if lacking]
    if missing:
        sentence = f"no `AsyncMongoClient` is made {missing[0]}{_why(runs[0])}"
        return [_at_function(evidence, "make_client", sentence)]
    return [Part(True, "Every client is an `AsyncMongoClient`.", DRIVER)]


def imports_no_motor(evidence: Evidence) -> list[Part]:
    """No module of the app or of the tests imports Motor."""
    found = [
        text.part(False, "this line imports Motor still.", node.lineno)
        for text in _texts(evidence)
        for node in ast.walk(text.tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and _is_of_motor(node)
    ]
    return found[:PRESENT] or [Part(True, "Nothing imports Motor any more.")]


def _is_of_motor(node: ast.Import | ast.ImportFrom) -> bool:
    if isinstance(node, ast.ImportFrom):
        return not node.level and (node.module or "").partition(".")[0] == "motor"
    return any(alias.name.partition(".")[0] == "motor" for alias in node.names)


def _texts(evidence: Evidence) -> Iterator[Text]:
    for folder in ("app", "tests"):
        for file in sorted((evidence.folder / folder).rglob("*.py")):
            found = texts.read(evidence.folder, file.relative_to(evidence.folder).as_posix())
            if isinstance(found, Text):
                yield found


def driver_works(evidence: Evidence) -> list[Part]:
    """Each function of `driver` does what it did, with the new client."""
    told = _parts(evidence)
    checks = {
        "start_session": _session(told["start_session"]),
        "start_transaction": _transaction(told["start_transaction"]),
        "close_client": _close(told["close_client"]),
        "supports_transactions": _topology(told["supports_transactions"]),
    }
    wrong = [
        _wrong(evidence, name, told[name], sentence)
        for name, sentence in checks.items()
        if sentence is not None
    ]
    return wrong or [Part(True, "Each function of `driver` does what it did before.", DRIVER)]


def _session(told: dict[str, Any]) -> str | None:
    if "error" in told:
        return f"`start_session` does not give a session to use with `async with await`: {told['error']}"
    return None if told["found"] else "`start_session` does not give an open session of its client"


def _transaction(told: dict[str, Any]) -> str | None:
    if "error" in told:
        return f"`start_transaction` gives nothing to use with `async with await`: {told['error']}"
    if told["committed"] != 1:
        return (
            "what is written in a transaction of `start_transaction` that ends well is not there afterwards"
        )
    return "what is written in a transaction that ends with an error stays" if told["aborted"] else None


def _close(told: dict[str, Any]) -> str | None:
    if "error" in told:
        return f"`close_client` ends with an error: {told['error']}"
    return None if told["closed"] else "`close_client` returns, and the client is still open"


def _topology(told: dict[str, Any]) -> str | None:
    if "error" in told:
        return f"`supports_transactions` ends with an error: {told['error']}"
    right = told["replica_set"] and not told["standalone"]
    return None if right else "`supports_transactions` no longer tells a replica set from a standalone"


def _wrong(evidence: Evidence, name: str, told: dict[str, Any], sentence: str) -> Part:
    place = told.get("place")
    if place and place["file"] == DRIVER:
        return evidence.part_at(False, sentence, place)
    return _at_function(evidence, name, sentence)


def together(evidence: Evidence) -> list[Part]:
    """On a replica set, the two writes of an operation are there both, or neither."""
    told = _parts(evidence)[_OPERATION]
    if "error" in told:
        sentence = f"on a replica set `{_OPERATION}` ends with {told['error']}"
        return [evidence.part_at(False, sentence, told["place"])]
    if (told["version"], told["entries"]) != (1, 0):
        sentence = f"on a replica set `{_OPERATION}` leaves one of its two writes when the other fails"
        return [
            evidence.text(sources.APP).part(False, f"{sentence}.", _line(evidence, sources.APP, _OPERATION))
        ]
    return [Part(True, f"On a replica set `{_OPERATION}` writes both documents, or neither.", sources.APP)]


def suite_whole(evidence: Evidence) -> list[Part]:
    """The tests are all there, unchanged, and pass with the new driver on a standalone."""
    return suite.whole(evidence.with_suite(_run(evidence, STANDALONE)))


def suite_whole_on_both(evidence: Evidence) -> list[Part]:
    """The tests are all there, unchanged, and pass on a standalone and on a replica set."""
    parts: list[Part] = []
    for backend in BACKENDS:
        found = suite.whole(evidence.with_suite(_run(evidence, backend)))
        wrong = [part for part in found if not part.done]
        parts += wrong or [Part(True, _on(backend, found[0].sentence))]
    return parts


def _why(own: SuiteRun) -> str:
    """Return the first error of a run, after a colon, if there is one."""
    failures = own.failures()
    return f": {failures[0].get('error')}" if failures else ""


def _on(backend: str, sentence: str) -> str:
    return f"On {_TOPOLOGY[backend]}, {sentence[0].lower()}{sentence[1:]}"


def _run(evidence: Evidence, backend: str) -> SuiteRun:
    return SuiteRun(evidence.once("newdriver", suite=sources.SUITE, fixture=FIXTURE, backend=backend))


def _parts(evidence: Evidence) -> dict[str, dict[str, Any]]:
    return {note["name"]: note for note in evidence.once("newdriver").notes if note["what"] == "part"}


def _at_fixture(evidence: Evidence, sentence: str) -> Part:
    return evidence.text(sources.CONFTEST).part(
        False, f"{sentence.rstrip('.')}.", _line(evidence, sources.CONFTEST, FIXTURE)
    )


def _at_function(evidence: Evidence, name: str, sentence: str) -> Part:
    return evidence.text(DRIVER).part(False, f"{sentence.rstrip('.')}.", _line(evidence, DRIVER, name))


def _line(evidence: Evidence, path: str, name: str) -> int | None:
    functions = [node for node in ast.walk(evidence.text(path).tree) if isinstance(node, Function)]
    return next((node.lineno for node in functions if node.name == name), None)
