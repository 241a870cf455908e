"""Claims about the fixture: that pytest runs it on a loop, what client it makes, and for which loop.

Judged by what pytest did with it in a run; the text is asked only for the line to show.
"""

import ast
from typing import Any

from tocdemo.subject import sources

from ..verdict import Part
from .evidence import FIXTURE, Evidence


def is_async(evidence: Evidence) -> list[Part]:
    """The fixture is an async function, and pytest runs it on the event loop of its test."""
    seen, missing = _seen(evidence)
    if seen is None:
        return missing
    place = _at(evidence, seen)
    if not seen["async"]:
        sentence = f"`{FIXTURE}` is a plain `def`: pytest calls it outside of any event loop."
        ready = "its decorator would let pytest run it on an event loop." if seen["for_asyncio"] else ""
        return [
            evidence.part_at(False, sentence, place),
            Part(True, f"`{FIXTURE}`: {ready}") if ready else _plain_decorator(evidence, seen),
        ]
    parts = [Part(True, f"`{FIXTURE}` is an async function.", sources.CONFTEST)]
    if _unhandled(seen):
        return [*parts, _plain_decorator(evidence, seen)]
    if "error" in seen:
        return [*parts, _fails(evidence, seen)]
    client = _client(evidence, seen)
    if client is not None and client["running"] is None:
        sentence = "no event loop runs while this line makes the client."
        return [*parts, evidence.part_at(False, sentence, client["place"])]
    if client is not None and client["running"] != evidence.suite.loops.get(seen["test"], client["running"]):
        return [*parts, _other_loop(evidence, seen)]
    return [*parts, Part(True, f"pytest runs `{FIXTURE}` on the event loop of its test.", sources.CONFTEST)]


def makes_client(evidence: Evidence) -> list[Part]:
    """The client that `base` holds in a test was made in the fixture, and is closed after the test."""
    seen, missing = _seen(evidence)
    if seen is None:
        return missing
    if _unhandled(seen):
        return []  # it has not run at all: said already
    if "error" in seen:
        return [_fails(evidence, seen)]
    client = _client(evidence, seen)
    if client is None:
        sentence = f"when `{FIXTURE}` is ready, `base._client` is no client that it has made."
        return [evidence.part_at(False, sentence, _at(evidence, seen))]
    if not client["closed"]:
        sentence = "the client that this line makes is not closed after the test."
        return [evidence.part_at(False, sentence, client["place"])]
    return [Part(True, f"`{FIXTURE}` makes the client of its test, and closes it.", sources.CONFTEST)]


def loop_given(evidence: Evidence) -> list[Part]:
    """The client gets a loop when it is made, and it is the loop of its test."""
    seen, missing = _seen(evidence)
    if seen is None:
        return missing
    if _unhandled(seen):
        return [_plain_decorator(evidence, seen)]
    if "error" in seen:
        return [_fails(evidence, seen)]
    client = _client(evidence, seen)
    if client is None:
        sentence = f"when `{FIXTURE}` is ready, `base._client` is no client that it has made."
        return [evidence.part_at(False, sentence, _at(evidence, seen))]
    if client["given"] is None:
        sentence = "the client is made here, and no `io_loop` is passed to it: it is bound to no loop."
        return [evidence.part_at(False, sentence, client["place"])]
    loop = evidence.suite.loops.get(seen["test"])
    parts = [Part(True, "The client is made with an `io_loop`.", sources.CONFTEST)]
    if client["given"] != loop:
        sentence = "the loop that the client is made for is not the one on which its test runs."
        return [*parts, evidence.part_at(False, sentence, client["place"])]
    return [*parts, Part(True, "It is the loop on which the test runs.", sources.CONFTEST)]


def as_it_was(evidence: Evidence) -> list[Part]:
    """The fixture is a plain function, and its client gets no loop."""
    seen, missing = _seen(evidence)
    if seen is None:
        return missing
    if seen["async"]:
        sentence = f"`{FIXTURE}` is async: it was to stay as it is, a plain `def`."
        return [evidence.part_at(False, sentence, _at(evidence, seen))]
    if "error" in seen:
        return [_fails(evidence, seen)]
    client = _client(evidence, seen)
    if client is not None and client["given"] is not None:
        sentence = "the client gets an `io_loop` here: the fixture was to stay as it is, without one."
        return [evidence.part_at(False, sentence, client["place"])]
    return [Part(True, f"`{FIXTURE}` is as it was: sync, without `io_loop`.", sources.CONFTEST)]


def _seen(evidence: Evidence) -> tuple[dict[str, Any] | None, list[Part]]:
    """Return what was seen of the fixture in the first test that told most; or why nothing was."""
    seen = evidence.suite.fixtures
    if seen:
        telling = [each for each in seen if each["test"] in evidence.suite.loops]
        return (telling or seen)[0], []
    failures = evidence.suite.failures()
    why = f": {failures[0].get('error')}" if failures else ", so nothing is known of it"
    text = evidence.text(sources.CONFTEST)
    node = text.functions().get(FIXTURE)
    if node is None:
        return None, [text.part(False, f"there is no function `{FIXTURE}` in this file any more.")]
    if not any("fixture" in ast.unparse(each) for each in node.decorator_list):
        return None, [
            text.part(
                False, f"`{FIXTURE}` is no fixture: it has no decorator that makes it one.", node.lineno
            )
        ]
    return None, [text.part(False, f"no test has come to `{FIXTURE}`{why}.", node.lineno)]


def _client(evidence: Evidence, seen: dict[str, Any]) -> dict[str, Any] | None:
    """Return the client that `base` held when the fixture was ready, if the fixture has made it."""
    number = seen.get("client")
    client = None if number is None else evidence.suite.clients[number]
    made_here = client is not None and client["test"] != "" and client["phase"] == "setup"
    return client if made_here else None


def _unhandled(seen: dict[str, Any]) -> bool:
    """Whether nobody has run an async fixture: older versions of pytest hand it on, pytest 9 refuses it."""
    if "error" in seen:
        return seen["async"] and not seen["for_asyncio"] and seen["error_place"] is None
    return seen["unawaited"]


def _at(evidence: Evidence, seen: dict[str, Any]) -> dict[str, Any] | None:
    """Return the place of the fixture's `def`. (Python counts a function from its first decorator.)"""
    place, node = seen["place"], _node(evidence, seen)
    return place if place is None or node is None else {**place, "line": node.lineno}


def _node(evidence: Evidence, seen: dict[str, Any]) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    place = seen["place"]
    if place is None or (evidence.folder / place["file"]).suffix != ".py":
        return None
    for node in ast.walk(evidence.text(place["file"]).tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            if first == place["line"]:
                return node
    return None


def _decorator(evidence: Evidence, seen: dict[str, Any]) -> dict[str, Any] | None:
    """Return the place of the fixture's last decorator."""
    place, node = seen["place"], _node(evidence, seen)
    return {**place, "line": node.decorator_list[-1].lineno} if node and node.decorator_list else place


def _plain_decorator(evidence: Evidence, seen: dict[str, Any]) -> Part:
    if seen["async"]:
        sentence = f"with this decorator pytest does not run `{FIXTURE}` on an event loop, nor at all."
    else:
        sentence = "this decorator is pytest's own, which knows no event loop."
    return evidence.part_at(False, sentence, _decorator(evidence, seen))


def _other_loop(evidence: Evidence, seen: dict[str, Any]) -> Part:
    sentence = f"pytest runs `{FIXTURE}` on another event loop than its test: their loop scopes differ."
    return evidence.part_at(False, sentence, _decorator(evidence, seen))


def _fails(evidence: Evidence, seen: dict[str, Any]) -> Part:
    error = seen["error"]
    return evidence.part_at(False, f"`{FIXTURE}` fails when pytest calls it: {error}", seen["error_place"])
