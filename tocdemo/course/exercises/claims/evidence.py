"""What a claim is judged by: the learner's texts, the course's texts, and what was seen when the code ran.

Each is had once for a check, when it is first asked for. What cannot be had is a `Problem`: it ends the
check.
"""

import ast
import copy
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from tocdemo.course.manifest import Exercise
from tocdemo.subject import sources

from .. import helper, texts
from ..texts import Text
from ..verdict import Part, Problem

FIXTURE = "motor_reinit_db"
# In a traceback, in pytest's short form of one, or by itself.
_PLACE = re.compile(r"""([^\s'":]+\.(?:py|ini))(?:["']?, line |:)?(\d+)?""")
_TEST_ID = re.compile(r"(?P<file>\S+\.py)::(?P<test>\w+)")
_EXITS = ("_exit", "abort", "kill", "raise_signal")
PRESENT = 5  # tests that are named; there may be more


class Unjudged(Exception):
    """The claims cannot be judged: the learner's code does not come so far."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Evidence:
    """The learner's copy of the backend in `folder`, for one check of one exercise."""

    def __init__(self, exercise: Exercise, folder: Path) -> None:
        self.exercise = exercise
        self.folder = folder
        # The places of what is not done, in earlier claims.
        self.said: set[tuple[str | None, int | None]] = set()
        self._texts: dict[str, Text] = {}
        self._seen: dict[str, helper.Seen] = {}

    def text(self, path: str) -> Text:
        """Return a file of the learner's. Raises Unjudged when it cannot be read or does not parse."""
        if path not in self._texts:
            found = texts.read(self.folder, path)
            if isinstance(found, Problem):
                raise Unjudged(found if path in self.start else self._not_yet(path, found))
            self._texts[path] = found
        return self._texts[path]

    def _not_yet(self, path: str, found: Problem) -> Problem:
        """Return the problem of a file that the learner is to make; it is one only when it is there."""
        return found if (self.folder / path).exists() else Problem("there is no such file yet.", path)

    @cached_property
    def start(self) -> Mapping[str, str]:
        """The texts that the exercise starts with."""
        return self.exercise.begins.files

    @cached_property
    def suite(self) -> "SuiteRun":
        """The run of the 28, as far as it came."""
        modules = [sources.APP, sources.SUITE]
        return SuiteRun(self.once("suite", suites=[sources.SUITE], fixture=FIXTURE, modules=modules))

    def with_suite(self, run: "SuiteRun") -> "Evidence":
        """Return this evidence with another run of the 28 in the place of its own."""
        other = copy.copy(self)
        other.__dict__["suite"] = run  # where `cached_property` keeps it
        return other

    def once(self, kind: str, folder: Path | None = None, **more: Any) -> helper.Seen:
        """Ask a question, and keep the answer. Raises Unjudged when it did not come to its end."""
        key = f"{kind} {sorted(more.items())}"
        if key not in self._seen:
            self._seen[key] = self.ask(kind, folder, **more)
            if self._seen[key].the("pytest") is not None:
                self.require_pytest(self._seen[key])
        return self._seen[key]

    def ask(self, kind: str, folder: Path | None = None, **more: Any) -> helper.Seen:
        """Ask about the learner's copy, or about one in another folder. Raises Unjudged as `once` does."""
        seen = helper.ask(kind, folder or self.folder, self.exercise.files, **more)
        if seen.ended:
            during = seen.the("begins")
            what = f"the test `{during['test']}` ran, and" if during else "your code ran, and"
            place = vars(seen.frame) if seen.frame else self._exit()
            raise Unjudged(self.problem_at(f"{what} {seen.ended}.", place))
        trouble = seen.the("trouble")
        if trouble is not None:
            where = "" if trouble["place"] else " This may be a fault of the check: please tell its authors."
            raise Unjudged(
                self.problem_at(f"your code ended with {trouble['error']}.{where}", trouble["place"])
            )
        return seen

    def _exit(self) -> dict[str, Any] | None:
        """Return the place of a call that ends Python at once, in the exercise's files, if there is one."""
        for path in self.exercise.files:
            for node in ast.walk(self.text(path).tree):
                if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in _EXITS:
                    return {"file": path, "line": node.lineno}
        return None

    def require_pytest(self, seen: helper.Seen) -> None:
        """Raise Unjudged when pytest did not come to the tests, or did not come to its end."""
        uncollected = seen.the("uncollected")
        if uncollected is not None:
            place = uncollected["place"] or self._test_in(uncollected["error"])
            raise Unjudged(self.problem_at(f"{_ended(uncollected['error'])} So no test can run.", place))
        ended = seen.the("ended")
        if ended is not None:
            raise Unjudged(
                self.problem_at(f"this ends the run of the tests: {ended['error']}.", ended["place"])
            )
        pytest = seen.the("pytest") or {"code": 3, "words": ""}
        if pytest["code"] not in (0, 1, 5):
            raise Unjudged(self._refused(pytest["words"]))

    def _test_in(self, words: str) -> dict[str, Any] | None:
        """Return the place of the test that pytest names by its id, if it does."""
        found = _TEST_ID.search(words)
        place = self._named(found["file"], None) if found else None
        if place is None or found is None:
            return None
        functions = self.text(place["file"]).functions()
        return {**place, "line": functions[found["test"]].lineno if found["test"] in functions else None}

    def _refused(self, words: str) -> Problem:
        """Return why pytest ended before the tests: it says so in text only."""
        errors = [line.removeprefix("E ").strip() for line in words.splitlines() if line.startswith("E ")]
        lines = [line.strip() for line in words.splitlines() if line.strip()]
        said = (errors or [line for line in lines if "rror" in line] or lines or ["it does not say why"])[-1]
        sentence = f"pytest could not begin: {said.removeprefix('ERROR: ')}"
        places = [place for found in _PLACE.finditer(words) if (place := self._named(*found.groups()))]
        named = [place for place in places if place["line"]] or places
        return self.problem_at(sentence, named[-1] if named else None)

    def _named(self, name: str, line: str | None) -> dict[str, Any] | None:
        """Return the place of the learner's that a text of pytest's names, if it does."""
        file = (self.folder / name).resolve()
        if not file.is_file() or not file.is_relative_to(self.folder.resolve()):
            return None
        return {
            "file": file.relative_to(self.folder.resolve()).as_posix(),
            "line": int(line) if line else None,
        }

    def problem_at(self, sentence: str, place: Mapping[str, Any] | None) -> Problem:
        """Return a problem at a place that a probe noted, with the line that stands there."""
        sentence = _ended(sentence)
        if not place:
            return Problem(sentence)
        code = self.code_at(place)
        return Problem(sentence, place["file"], place["line"], (code,) if code else ())

    def part_at(self, done: bool, sentence: str, place: Mapping[str, Any] | None) -> Part:
        """Return a part about a place that a probe noted, with the line that stands there."""
        sentence = _ended(sentence)
        if not place:
            return Part(done, sentence)
        return Part(done, sentence, place["file"], place["line"], self.code_at(place))

    def code_at(self, place: Mapping[str, Any]) -> str:
        """Return the line at a place that a probe noted; empty when it cannot be had."""
        found = texts.read(self.folder, place["file"])
        return found.line(place["line"]) if isinstance(found, Text) else ""


def _ended(sentence: str) -> str:
    """Return a sentence with one full stop at its end, though an error's text came with one of its own."""
    return f"{sentence.rstrip(' .:')}."


class SuiteRun:
    """What was seen in a run of the suite."""

    def __init__(self, seen: helper.Seen) -> None:
        self.fixtures = [note for note in seen.notes if note["what"] == "fixture"]
        self.reports = [note for note in seen.notes if note["what"] == "report"]
        self.copies = [note for note in seen.notes if note["what"] == "copy"]
        self.undefined = [note for note in seen.notes if note["what"] == "undefined"]
        collected = seen.the("collected") or {"tests": [], "found": []}
        self.collected: list[str] = collected["tests"]
        self.found: list[str] = collected["found"]
        self.uses: list[dict[str, Any]] = (seen.the("uses") or {"uses": []})["uses"]
        self.clients: list[dict[str, Any]] = (seen.the("clients") or {"clients": []})["clients"]
        self.loops: dict[str, int] = (seen.the("loops") or {"tests": {}})["tests"]

    def failures(self) -> list[dict[str, Any]]:
        """Return the first report of each test that failed, in their order."""
        failed: dict[str, dict[str, Any]] = {}
        for report in self.reports:
            if report["outcome"] == "failed":
                failed.setdefault(report["test"], report)
        return list(failed.values())

    def skipped(self) -> list[dict[str, Any]]:
        """Return the reports of tests that were skipped or are expected to fail."""
        return [each for each in self.reports if each["outcome"] == "skipped" or each.get("xfail")]


Claim = Callable[[Evidence], list[Part]]
