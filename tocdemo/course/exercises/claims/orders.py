"""Claims about two writers: what is lost, who is refused, and how one ends that is always too late.

Judged by running the operations, alone and in every order of their commands.
"""

import ast
from typing import Any

from tocdemo.subject import sources

from ..helper import Seen
from ..verdict import Part
from .evidence import Evidence

_FUNCTION = "_change_chapters"
PAIRS = (("add", "rename"), ("delete", "reorder"), ("replace", "add"))
# What the pairs of a replica set are: the operation that writes two documents is one of them.
PAIRS_WITH_LOG = (("add", "rename"), ("replace", "add"))
ATTEMPTS = 3  # more would make more orders, and show nothing new


def stored_alone(evidence: Evidence) -> list[Part]:
    """A change that nobody disturbs is stored."""
    parts = []
    for each in _all(_standalone(evidence), "alone"):
        name = _called(each["operation"])
        if each["told"] != "done":
            error = each["told"]
            sentence = f"`{name}` alone, with nobody else there, is refused: {error}"
            parts.append(_at(evidence, sentence, each.get("place")))
        elif each["version"] != 2:
            parts.append(_at(evidence, f"`{name}` alone returns, and nothing is stored.", None))
        elif each["operation"] == "replace" and each["entries"] != 1:
            sentence = f"`{name}` alone leaves {each['entries']} entries in the audit log, in place of one."
            parts.append(_at(evidence, sentence, None, "update_toc_with_transaction"))
    if not parts:
        parts = [*_returning_early(evidence), *_other_starts(evidence, overtaken=False)][:1]
    return parts or [Part(True, "A change that nobody disturbs is stored.", sources.APP)]


def _returning_early(evidence: Evidence) -> list[Part]:
    """Say which operation returns while its write is still under way."""
    early = [each["operation"] for each in _all(_standalone(evidence), "awaited") if each["early"]]
    sentence = "`{}` returns before its write has ended: its caller is told too early."
    return [_at(evidence, sentence.format(_called(name)), None, _place(name)) for name in early]


def _other_starts(evidence: Evidence, overtaken: bool) -> list[Part]:
    """Say what goes wrong with books that have no version yet, or a large one."""
    parts = []
    for each in _all(_standalone(evidence), "started"):
        if each["overtaken"] != overtaken:
            continue
        name, book = each["operation"], f"a book {each['start']}"
        if each["told"] != "done":
            told = "it never ends." if each.get("endless") else _stopped(each["told"])
            sentence = f"`{_called(name)}` does not change {book}: {told}"
        elif each["changes"] != 1 + overtaken:
            lost = "overwrites what another has stored meanwhile in" if overtaken else "stores nothing in"
            sentence = f"`{_called(name)}` returns, and {lost} {book}."
        else:
            continue
        parts.append(_at(evidence, sentence, each.get("place"), _place(name)))
    return parts


def lose_nothing(evidence: Evidence) -> list[Part]:
    """No order of two changes loses one."""
    seen = _standalone(evidence)
    if unexplored := _unexplored(evidence, seen):
        return unexplored
    parts = []
    for each in _all(seen, "orders"):
        if "error" in each and evidence.said:
            return []  # a change that does not even end alone: said already
        if "error" in each:
            parts.append(
                _at(evidence, f"{_pair(each)} could not be tried in every order: {each['error']}", None)
            )
        elif each["losing"]:
            where = ", in two processes," if each["processes"] else ""
            sentence = (
                f"{_share(each, 'losing')}{where} lose a change in silence. One of them: {each['lost']}."
            )
            if each["processes"]:
                sentence += " What is in one process protects that process only."
            parts.append(_at(evidence, sentence, None, _place(each["loser"])))
    parts = parts or ([] if evidence.said else _other_starts(evidence, overtaken=True))
    return parts[:1] or [Part(True, "No order of two changes loses one.", sources.APP)]


def tries_again(evidence: Evidence) -> list[Part]:
    """A change that was overtaken reads again; no caller of two gets an error."""
    seen = _standalone(evidence)
    overtaken = next(iter(_all(seen, "overtaken")), None)
    if overtaken and overtaken["most_tries"] > 1:
        return [
            _at(evidence, "a change that was overtaken writes again, and has not read again before.", None)
        ]
    failing = [each for each in _all(seen, "orders") if each.get("failing")]
    if failing:
        each = failing[0]
        sentence = (
            f"in {_share(each, 'failing')} a caller is refused: {_stopped(each['refused'][1])} "
            f"One of them: {each['failed']}."
        )
        return [_at(evidence, sentence, None)]
    if overtaken and overtaken["told"] == "done" and overtaken["attempts"] == 1 and overtaken["overwritten"]:
        return [_at(evidence, "a change that is overtaken is not tried again.", None)]
    return [Part(True, "A change that was overtaken reads again and tries again.", sources.APP)]


def gives_up(evidence: Evidence) -> list[Part]:
    """A change that is overtaken each time ends with an error."""
    first, *others = [_given_up(evidence, each) for each in _all(_standalone(evidence), "overtaken")]
    return [next((part for part in (first, *others) if not part.done), first)]


def _given_up(evidence: Evidence, overtaken: dict[str, Any]) -> Part:
    name, attempts = overtaken["operation"], overtaken["attempts"]
    first = name == "add"
    subject = "a change" if first else f"a change of `{_called(name)}`"
    function = _FUNCTION if first else _called(name)
    if overtaken.get("endless"):
        sentence = (
            f"{subject} that is overtaken each time never ends: after {attempts - 1} attempts it tries on."
        )
    elif overtaken["told"].startswith("RecursionError"):
        sentence = f"{subject} that is overtaken each time calls itself until Python ends it: RecursionError."
    elif overtaken["told"] == "done" and not overtaken["stored"]:
        sentence = f"{subject} that is overtaken each time returns as if it were done, and nothing is stored."
    elif overtaken["told"] == "done" and overtaken["overwritten"]:
        which = f"at attempt {attempts} " if attempts > 1 else ""
        sentence = f"{subject} that is overtaken each time writes {which}all the same, over what is newer."
    elif overtaken["told"] == "done":
        return Part(True, "A change is stored beside another one: nobody is overtaken.", sources.APP)
    else:
        times = f"{attempts} attempt{'s' * (attempts != 1)}"
        return Part(
            True, f"Overtaken each time, a change gives up after {times}, with an error.", sources.APP
        )
    return _at(evidence, sentence, None, function)


def refuses_nobody(evidence: Evidence) -> list[Part]:
    """On a replica set no order loses a change, and no caller gets an error."""
    parts = []
    for each in _all(_replica_set(evidence), "orders"):
        if "error" in each:
            sentence = f"on a replica set, {_pair(each)} could not be tried in every order: {each['error']}"
        elif each["losing"]:
            sentence = (
                f"on a replica set, {each['losing']} of {each['count']} orders of {_pair(each)} lose a "
                f"change. One of them: {each['lost']}."
            )
        elif each["failing"]:
            sentence = (
                f"on a replica set, a caller is refused in {_share(each, 'failing')}: "
                f"{_stopped(each['refused'][1])} One of them: {each['failed']}."
            )
        else:
            continue
        whose = each.get("loser") or each.get("refused", ("",))[0]
        parts.append(_at(evidence, sentence, None, "_in_transaction" if whose == "replace" else _FUNCTION))
    return parts or [
        Part(True, "On a replica set, no caller of two at once is refused, and nothing is lost.", sources.APP)
    ]


def two_writes_together(evidence: Evidence) -> list[Part]:
    """The book and its entry in the log are there both, or neither."""
    function = "update_toc_with_transaction"
    alone = next(each for each in _all(_replica_set(evidence), "alone") if each["operation"] == "replace")
    if alone["told"] != "done" or (alone["version"], alone["entries"]) != (2, 1):
        what = alone["told"] if alone["told"] != "done" else "it is not all stored"
        return [
            _at(
                evidence,
                f"on a replica set, `{function}` alone does not work: {what}",
                alone.get("place"),
                function,
            )
        ]
    for each in _all(_replica_set(evidence), "two_writes"):
        if each["told"] == "done":
            return [_at(evidence, "an error of the audit log does not reach the caller.", None, function)]
        if (each["version"], each["entries"]) != (1, 0):
            sentence = (
                f"on a replica set{each['when']}, the writer failed between its two writes, and one of them "
                "has stayed: they are not in one transaction."
            )
            return [_at(evidence, sentence, None, function)]
    return [Part(True, "On a replica set, the two writes are there both, or neither.", sources.APP)]


def question_is_heard(evidence: Evidence) -> list[Part]:
    """An error of the question for the topology reaches the caller."""
    asked = [each for each in _all(_replica_set(evidence), "question") if each["asked"]]
    for each in asked:
        function = "update_toc_with_transaction" if each["operation"] == "replace" else _FUNCTION
        if each["told"] == "done":
            failure = f" with {each['failure']}" if each["failure"] != asked[0]["failure"] else ""
            sentence = f"the question for the topology failed{failure}, and the caller was not told."
            return [_at(evidence, sentence, _handler(evidence, function), function)]
        if each["version"] != 1:
            sentence = "the question for the topology failed, and the book was changed all the same."
            return [_at(evidence, sentence, None, function)]
    if not asked:
        return [Part(True, "No question for the topology was seen that could fail.", sources.APP)]
    return [Part(True, "An error of the question for the topology reaches the caller.", sources.APP)]


def _standalone(evidence: Evidence) -> Seen:
    return evidence.once("orders", pairs=PAIRS, also=["alone", "awaited", "overtaken", "starts"])


def _replica_set(evidence: Evidence) -> Seen:
    return evidence.once(
        "orders",
        pairs=PAIRS_WITH_LOG,
        also=["alone", "two_writes", "question"],
        replica_set=True,
        attempts=ATTEMPTS,
    )


def _unexplored(evidence: Evidence, seen: Seen) -> list[Part]:
    """Say why the orders were not tried, if they were not."""
    if _all(seen, "orders"):
        return []
    sentence = (
        "a change that was overtaken writes again and again after one read: it can only be too late again."
    )
    return [_at(evidence, sentence, None)]


def _all(seen: Seen, what: str) -> list[dict[str, Any]]:
    return [note for note in seen.notes if note["what"] == what]


def _share(note: dict[str, Any], what: str) -> str:
    return f"{note[what]} of {note['count']} orders of {_pair(note)}"


def _stopped(told: str) -> str:
    return f"{told.rstrip(' .')}."


def _pair(note: dict[str, Any]) -> str:
    one, two = note["pair"]
    return f"`{one}` and `{two}`"


def _called(operation: str) -> str:
    return {
        "add": "add_chapter_with_transaction",
        "rename": "update_chapter_with_transaction",
        "delete": "delete_chapter_with_transaction",
        "reorder": "reorder_chapters_with_transaction",
        "replace": "update_toc_with_transaction",
    }[operation]


def _place(operation: str) -> str:
    """Return the function that writes for an operation."""
    return _called(operation) if operation == "replace" else _FUNCTION


def _at(evidence: Evidence, sentence: str, place: Any, function: str = _FUNCTION) -> Part:
    """Return a part at a place that was seen; without one, at the write of the function, or at its `def`."""
    if place:
        return evidence.part_at(False, sentence, place)
    text = evidence.text(sources.APP)
    node = text.functions().get(function) or text.functions().get(_FUNCTION)
    return text.part(False, sentence, (_write_of(node) or node.lineno) if node else None)


def _write_of(node: ast.AST) -> int | None:
    for each in ast.walk(node):
        if isinstance(each, ast.Call) and ast.unparse(each.func).endswith(("_write_toc", ".update_one")):
            return each.lineno
    return None


def _handler(evidence: Evidence, function: str) -> dict[str, Any] | None:
    """Return the place of an `except` in the function that takes any error."""
    node = evidence.text(sources.APP).functions().get(function)
    for each in ast.walk(node) if node is not None else ():
        if isinstance(each, ast.ExceptHandler):
            return {"file": sources.APP, "line": each.lineno}
    return None
