"""A suite in another Python, in a process of its own: what is asked of it, and the run that comes back.

It knows the process, its clock and its end; what happens in there is the agent's.
"""

import contextlib
import dataclasses
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tocdemo.errors import CannotRun

from .. import databases, environment, result
from ..local import Chosen
from ..options import RunOptions
from ..progress import Progress, reporter, silent
from ..result import Run, TestResult
from ..worker import LIMIT, SPARE, Clock, Told, end_group, how_it_ended
from . import carried, interpreters
from .answers import Lines, recording_of
from .interpreters import Interpreter

LOOK = 0.02  # seconds between two looks for something new
MOST = 20_000  # characters of what the process has said that are kept
# -P: neither the working directory nor a script's comes onto the path, as it is for the command `pytest`.
_BEGIN = "import sys; sys.path.insert(0, {!r}); from tocdemo.runner.elsewhere.agent import main; main({!r})"


def run(
    folder: Path,
    arguments: Sequence[str],
    options: RunOptions,
    *,
    on_progress: Progress = silent,
    on_result: Callable[[TestResult], None] = lambda result: None,
) -> Run:
    """Run the tests that pytest's `arguments` name in the Python that `options` name, as its own pytest does.

    Its plugins and settings hold. A test that does not end within `timeout` seconds ends the process. Each
    test alone has a process of its own. `on_progress` and `on_result` are those of `local.run`. Raises
    CannotRun, also when that Python cannot run tests, and BadInput when there is none of that name.
    """
    if options.python is None:
        raise ValueError("Expected options that name a Python")
    elsewhere = _Elsewhere(interpreters.ask(interpreters.named(options.python)), folder, options, on_result)
    if options.each:
        return elsewhere.each(elsewhere.chosen(arguments), on_progress)
    narrows = options.only is not None or options.without is not None
    return elsewhere.run(elsewhere.chosen(arguments) if narrows else arguments)


@dataclass(frozen=True)
class _Elsewhere:
    """What all processes of one call have in common."""

    python: Interpreter
    folder: Path
    options: RunOptions
    on_result: Callable[[TestResult], None]

    def chosen(self, arguments: Sequence[str]) -> list[str]:
        """Return the node ids of the tests to run."""
        asked = _Process(self, arguments, collect=True)
        asked.run()
        return Chosen(self.options.only, self.options.without).of(asked.nodes)

    def each(self, nodes: Sequence[str], on_progress: Progress) -> Run:
        """Run each of these tests in a process of its own."""
        begin, done = time.perf_counter(), []
        ended = reporter(len(nodes), on_progress)
        for node in nodes:
            done.append(self.run([node]))
            if done[-1].note:
                break
            ended(len(done))
        whole = result.together(done, title=self.options.heading)
        return dataclasses.replace(whole, seconds=time.perf_counter() - begin)

    def run(self, arguments: Sequence[str]) -> Run:
        """Run tests together in one process."""
        return _Process(self, arguments).run()


@dataclass
class _Process:
    """One process, and what it has told so far."""

    call: _Elsewhere
    arguments: Sequence[str]
    collect: bool = False
    nodes: list[str] = field(default_factory=list)
    _end: dict[str, Any] | None = None
    _by: str = ""

    def run(self) -> Run:
        """Run it to its end, and return what it showed."""
        begin, told, interrupted = time.perf_counter(), Told(self.call.options), False
        with self._started() as (child, lines, said), Clock(child) as clock:
            try:
                while child.poll() is None:
                    self._hear(lines, told, clock)
                    time.sleep(LOOK)
            except KeyboardInterrupt:
                interrupted = True
                end_group(child)
                child.wait()
            self._hear(lines, told, clock)
            words = said.read_text(encoding="utf-8", errors="replace").strip()[-MOST:]
        if self._end is None:
            return self._ended(told, clock.expired, interrupted, child.returncode, words)
        if self._end["why"] and not (self.collect and self.nodes):
            hint = _path_hint(self._end["why"], interpreters.project_of(self.call.folder))
            raise CannotRun(f"{self._end['why']}{f' {hint}' if hint else ''}")
        return self._whole(self._end, time.perf_counter() - begin)

    @contextlib.contextmanager
    def _started(self) -> Iterator[tuple[subprocess.Popen[bytes], Lines, Path]]:
        """Start the process, with a database of its own if the options name one."""
        options, python = self.call.options, self.call.python
        with contextlib.ExitStack() as stack:
            own = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tocdemo-elsewhere-")))
            further = {}
            if options.backend is not None:
                further = stack.enter_context(databases.open_database(options.backend)).environment()
            question = json.dumps(
                {
                    "arguments": list(self.arguments),
                    "target": str(self.call.folder),
                    "answers": str(own / "answers"),
                    "cache": str(own / "cache"),
                    "collect": self.collect,
                }
            )
            begin = _BEGIN.format(str(carried.folder()), question)
            child = subprocess.Popen(
                [str(python.executable), "-P", "-c", begin],
                cwd=interpreters.project_of(self.call.folder),
                env=environment.of_project(python.executable, python.prefix, further),
                stdin=subprocess.DEVNULL,
                stdout=stack.enter_context((own / "said").open("wb")),
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            stack.callback(end_group, child)
            yield child, Lines(own / "answers"), own / "said"

    def _hear(self, lines: Lines, told: Told, clock: Clock) -> None:
        for line in lines.new():
            kind = line.pop("kind")
            if kind == "result":
                news = TestResult(**line)
                told.hear(news)
                if news.outcome != "unfinished":
                    self.call.on_result(news)
            elif kind == "collected":
                self.nodes = line["nodes"]
                told.hear(len(self.nodes))
            elif kind == "plugins":
                self._by = self._told_by(line["pytest"], line["plugins"])
            else:
                self._end = line
            clock.allow(self.call.options.timeout + SPARE if told.running else LIMIT)

    def _told_by(self, pytest: str, plugins: dict[str, str]) -> str:
        """Say which Python ran the tests, and with which plugins."""
        python = self.call.python
        named = ", ".join(f"{name} {version}" for name, version in sorted(plugins.items()))
        return f"Run by Python {python.version} in {python.prefix}, pytest {pytest}" + (
            f", with {named}." if named else ", without plugins."
        )

    def _whole(self, end: dict[str, Any], seconds: float) -> Run:
        recording = end["recording"] and recording_of(end["recording"])
        loops = {test.nodeid: test.loop for test in recording.tests} if recording else {}
        results = [TestResult(**each) for each in end["results"]]
        return Run(
            tuple(dataclasses.replace(each, loop=loops.get(each.nodeid)) for each in results),
            seconds,
            self.call.options.heading,
            text=end["text"],
            note=end["note"],
            remark=" ".join(filter(None, (self._by, end["remark"], self._hint(results)))),
            recording=recording,
        )

    def _hint(self, results: Sequence[TestResult]) -> str:
        project = interpreters.project_of(self.call.folder)
        return next(filter(None, (_path_hint(each.error, project) for each in results)), "")

    def _ended(self, told: Told, expired: bool, interrupted: bool, code: int, words: str) -> Run:
        """Return what is known of a run whose process is gone. Raises CannotRun when that is nothing."""
        how = how_it_ended(code)
        if interrupted and not told.results:
            note = "Interrupted: the process was ended, and nothing is known of its tests."
            return Run((), 0.0, self.call.options.heading, note=note, remark=self._by)
        if not told.results:
            raise CannotRun(
                f"The Python at {self.call.python.executable} ended before it ran a test: "
                f"{words[-2000:] or how}"
            )
        run = told.run(expired, "it was interrupted" if interrupted else how)
        last = f"Its last words: {_last(words)}" if words else ""
        return dataclasses.replace(run, text=words, remark=" ".join(filter(None, (self._by, last))))


def _path_hint(error: str, project: Path) -> str:
    """Say why a module that lies in the project's folder is not found, if that is what an error tells."""
    missing = re.search(r"ModuleNotFoundError: No module named '(\w+)", error)
    if missing is None or not any((project / name).exists() for name in (missing[1], f"{missing[1]}.py")):
        return ""
    return (
        f"{missing[1]} lies in {project}: `python -m pytest` looks there for modules, `pytest` does not. The "
        f"suite ran as by `pytest`; with `pythonpath = .` in the settings of pytest both find it."
    )


def _last(words: str) -> str:
    """Return the last line of a text; where Python crashed, the one that says so comes before its stack."""
    lines = words.splitlines()
    return next((line for line in lines if line.startswith("Fatal Python error: ")), lines[-1])
