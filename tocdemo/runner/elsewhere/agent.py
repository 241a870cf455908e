"""What runs in the other Python: pytest with the recorder, and each thing that it learns as a line of JSON.

It goes with `carried` into an environment that has pytest and nothing of ours, so it imports the standard
library, pytest and what is carried along. Who reads the lines it must not know.
"""

import contextlib
import io
import json
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tocdemo.loopwatch.plugin import Watch

from ..reporting.reporter import Reporter
from ..result import TestResult
from ..stopping import Current

# The project's own options hold; these only say how the text looks, and keep its folder as it is.
OPTIONS = ("--tb=no", "--color=no", "-q")


@dataclass(frozen=True)
class _Question:
    """What is asked: pytest's arguments, the target that messages name, and two files to write to."""

    arguments: list[str]
    target: str
    answers: str
    cache: str
    collect: bool = False


@dataclass(eq=False)  # pytest wants to hash its plugins
class Teller:
    """A pytest plugin that writes each thing that it learns as a line of the file `answers`."""

    answers: Path
    _process: int = field(default_factory=os.getpid)

    def tell(self, kind: str, **what: Any) -> None:
        """Write a line; a copy of this process that a test has forked is silent."""
        if os.getpid() == self._process:
            with self.answers.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"kind": kind, **what}) + "\n")

    def result(self, result: TestResult) -> None:
        """Tell of a test's result."""
        self.tell("result", **asdict(result))

    def pytest_configure(self, config: pytest.Config) -> None:
        found = {dist.project_name: dist.version for _, dist in config.pluginmanager.list_plugin_distinfo()}
        self.tell("plugins", pytest=pytest.__version__, plugins=found)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.tell("collected", nodes=[_node(item) for item in session.items])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.result(TestResult(nodeid, "unfinished"))


def _node(item: pytest.Item) -> str:
    """Return the test's node id with its absolute path."""
    _, separator, rest = item.nodeid.partition("::")
    return f"{item.path}{separator}{rest}"


def main(question: str) -> None:
    """Answer a question: run pytest in this process, and write what it shows."""
    asked = _Question(**json.loads(question))
    sys.dont_write_bytecode = True  # the project's folder stays as it is
    teller, watch = Teller(Path(asked.answers)), Watch()
    reporter = Reporter(Current(), teller.result)
    options = [*OPTIONS, "-o", f"cache_dir={asked.cache}", *(["--collect-only"] if asked.collect else [])]
    code, complaints = None, io.StringIO()
    with contextlib.redirect_stderr(complaints):
        try:
            code = int(pytest.main([*options, *asked.arguments], plugins=[watch, reporter, teller]))
        except Exception as error:
            reporter.failure = error  # a test can break what pytest itself needs, such as sys.stdout
    _tell_the_end(teller, asked, reporter, watch, code, complaints.getvalue())


def _tell_the_end(
    teller: Teller, asked: _Question, reporter: Reporter, watch: Watch, code: int | None, complaints: str
) -> None:
    """Write how the run ended, and what was recorded."""
    ran = bool(reporter.results)
    recording = watch.recording
    teller.tell(
        "end",
        text=reporter.text.getvalue(),
        note=reporter.note(3 if code is None else code) if ran else "",
        remark=" ".join(reporter.remarks),
        why="" if ran else reporter.why_nothing_ran(Path(asked.target), code, complaints),
        results=[asdict(result) for result in reporter.results.values()],
        recording=None if recording is None else json.loads(recording.to_json()),
    )
