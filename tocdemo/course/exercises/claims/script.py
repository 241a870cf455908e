"""Claims about a script, such as the six lines: that it counts twice and ends well. Judged by running it."""

import ast
import re

from ..helper import Seen
from ..texts import Text
from ..verdict import Part
from .evidence import Evidence


def ends_well(evidence: Evidence) -> list[Part]:
    """The script ends without an error."""
    seen = _seen(evidence)
    raised, ended = seen.the("raised"), seen.the("exit")
    if raised is not None:
        error = raised["error"]
        return [evidence.part_at(False, f"the script ends with an error: {error}", raised["place"])]
    if ended is not None:
        return [
            Part(False, f"the script ends itself, with the exit code {ended['code']!r}.", _file(evidence))
        ]
    return [Part(True, "The script ends without an error.", _file(evidence))]


def counts_twice(evidence: Evidence) -> list[Part]:
    """Two counts were asked through Motor, and both were printed."""
    seen = _seen(evidence).sure("script")
    if not seen["motor_clients"]:
        return [Part(False, "the script makes no client of Motor's.", _file(evidence))]
    count, printed = len(seen["asked"]), seen["printed"]
    if count < 2:
        times = "never" if count == 0 else "only once"
        return [
            Part(
                False, f"the script has {times} got an answer of the database through Motor.", _file(evidence)
            )
        ]
    shown = [number for number in re.findall(r"\d+", printed) if int(number) == seen["books"]]
    if len(shown) < 2:
        times = "neither of the two counts is" if not shown else "only one of the two counts is"
        last = printed.strip().split("\n")[-1][:80]
        said = f" Its last line was: {last}" if last else " It printed nothing."
        return [Part(False, f"{times} printed.{said}", _file(evidence))]
    return [Part(True, "It asks the database twice through Motor, and prints both numbers.", _file(evidence))]


def asyncio_as_it_is(evidence: Evidence) -> list[Part]:
    """Nothing has patched asyncio."""
    return patches_nothing(evidence.text(_file(evidence)), _seen(evidence).sure("script")["patched"])


def patches_nothing(text: Text, patched: list[str]) -> list[Part]:
    """Say whether asyncio is patched, and by which line of a program, as far as that is clear."""
    if not patched:
        return [Part(True, "asyncio is as Python made it.", text.path)]
    sentence = (
        f"`{patched[0]}` is not Python's any more. Loops are shared and not closed then: it hides the bug."
    )
    return [text.part(False, sentence, patching_line(text, {name.rpartition(".")[2] for name in patched}))]


def patching_line(text: Text, names: set[str]) -> int | None:
    """Return the line that patches asyncio: it sets an attribute of one of the names, or calls what does."""
    applied = imported = None
    for node in ast.walk(text.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr in names:
            return node.lineno
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "apply":
            applied = applied or node.lineno
        if isinstance(node, ast.Import | ast.ImportFrom) and "nest_asyncio" in ast.unparse(node):
            imported = imported or node.lineno
    return applied or imported


def _seen(evidence: Evidence) -> Seen:
    return evidence.once("script", script=_file(evidence))


def _file(evidence: Evidence) -> str:
    """Return the script's path: it is the exercise's one file."""
    return evidence.exercise.files[0]
