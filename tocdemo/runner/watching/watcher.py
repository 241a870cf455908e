"""Follow a folder: whenever a file in it was saved, run its tests again, and say what that changed.

Two threads do it: one waits for files, the other for runs, so that a save in the middle of a run can start it
afresh. What there is to see is one value, a `Sight`. It knows nothing of notebooks and terminals.
"""

import atexit
import dataclasses
import os
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import watchfiles

from tocdemo.errors import CannotRun

from ..result import Run, TestResult
from .files import EMPTY, Broken, Contents, Files
from .warm import Abandoned

# A save is told once for STEP_MS nothing has followed it: of 5, 10, 20 and 50 ms, 20 cost 32 ms a save, and
# the thread that waits 0.2 % of a core. DEBOUNCE_MS bounds it for a folder that is written to without end.
STEP_MS, DEBOUNCE_MS = 20, 200
LOOK_MS = 1000  # in any case the folder is looked at so often: some file systems tell nothing
POLL = 0.3  # seconds between two looks where the system cannot tell of changes at all
HALF_WRITTEN = 0.3  # seconds that a file which does not parse, is empty or is gone gets to be written
PAUSE = 0.02  # seconds between two looks at such a file

MARKS = {"newly green": "▲", "newly red": "▼", "new": "+", "gone": "−"}


# --- what changed between two runs -------------------------------------------------------------------------


@dataclass(frozen=True)
class Changes:
    """What a run shows that the one before did not: the node ids of tests, in the order of the run."""

    newly_green: tuple[str, ...] = ()
    newly_red: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    def by_word(self) -> dict[str, tuple[str, ...]]:
        """Return the node ids for each word that has some, such as "newly green"."""
        words = zip(MARKS, (self.newly_green, self.newly_red, self.new, self.gone), strict=True)
        return {word: nodes for word, nodes in words if nodes}

    def words(self) -> dict[str, str]:
        """Return the word that marks each test."""
        return {node: word for word, nodes in self.by_word().items() for node in nodes}

    def __str__(self) -> str:
        return "\n".join(
            f"{MARKS[word]} {word} ({len(nodes)}): {', '.join(map(_name, nodes))}"
            for word, nodes in self.by_word().items()
        )


def changes(before: Run | None, after: Run) -> Changes:
    """Compare two runs. Without one before, nothing has changed.

    Green is a test that passed, red one that failed or had an error. A file that could not be imported is
    red itself, and its tests are not gone; nor are those that a stopped run did not come to.
    """
    if before is None:
        return Changes()
    was = {result.nodeid: result for result in before.results}
    now = {result.nodeid: result for result in after.results}
    files = {node for node in now if not _is_test(node)}
    there = [node for node in now if node in was]
    lost = [node for node in was if node not in now and _is_test(node) and _file(node) not in files]
    return Changes(
        newly_green=tuple(node for node in there if _green(now[node]) and not _green(was[node])),
        newly_red=tuple(
            node
            for node in now
            if _red(now[node]) and (not _red(was[node]) if node in was else node in files)
        ),
        new=tuple(node for node in now if node not in was and node not in files),
        gone=() if after.note else tuple(lost),
    )


def _green(result: TestResult) -> bool:
    return result.outcome == "passed"


def _red(result: TestResult) -> bool:
    return result.outcome in ("failed", "error", "unfinished")


def _is_test(node: str) -> bool:
    return "::" in node


def _is_whole(run: Run) -> bool:
    """Whether the run came to its end, and could import every file."""
    return not run.note and all(_is_test(result.nodeid) for result in run.results)


def _file(node: str) -> str:
    return node.partition("::")[0]


def _name(node: str) -> str:
    return node.rpartition("::")[2]


# --- what there is to see ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sight:
    """What there is to see of a folder that is followed.

    `run` is the last run, `changes` what it changed, and `word` what the judge said of it; as long as that is
    awaited, it is `judging`. `runs` counts the runs. `saved` are the files of the last save. `running` says
    that a run is under way, and `stale` that the last run is not of the files as they are now. `broken` are
    the files that do not parse; `trouble` is a sentence on what stands in the way; `ended` one on why the
    folder is not followed any more.
    """

    folder: Path
    files: tuple[str, ...] = ()
    run: Run | None = None
    changes: Changes = Changes()
    word: object = ""
    judging: bool = False
    runs: int = 0
    saved: tuple[str, ...] = ()
    running: bool = False
    stale: bool = False
    broken: tuple[Broken, ...] = ()
    trouble: str = ""
    ended: str = ""

    @property
    def problems(self) -> tuple[str, ...]:
        """What stands in the way of a run, or would: a text for each."""
        texts = [f"This does not parse, so nothing was run.\n{each}" for each in self.broken if self.stale]
        texts += [f"This does not parse.\n{each}" for each in self.broken if not self.stale]
        return (*texts, *([self.trouble] if self.trouble else []))

    def __str__(self) -> str:
        lines = list(self.problems)
        if self.run is not None:
            lines += ["The run before that:"] if self.stale else []
            lines += [str(self.run), str(self.changes), str(self.word)]
        lines += ["running …"] if self.running else []
        return "\n".join(filter(None, [*lines, self.ended]))


class Runner(Protocol):
    """What runs the tests: `warm.Warm`, or anything like it."""

    def run(self) -> Run:
        """Run the tests. Raises Abandoned, CannotRun, or RuntimeError when there is no result."""

    def prepare(self) -> None:
        """Get ready for the next run."""

    def abandon(self) -> None:
        """End the run that is under way, if one is; from any thread."""

    def close(self) -> None:
        """End everything; from any thread."""


# It has a word on the run of a folder's tests: a text, or any value that shows itself.
Judge = Callable[[Path, Run], object]


# --- the watcher -------------------------------------------------------------------------------------------


class Watcher:
    """Follows a folder from `start` to `stop`, and tells `on_sight` what there is to see, in its threads.

    `judge` has a word on each run; the next run waits for it. What was begun ends with the interpreter.
    """

    def __init__(
        self, folder: Path, runner: Runner, on_sight: Callable[[Sight], None], judge: Judge | None = None
    ) -> None:
        self.folder = folder
        self._runner, self._on_sight, self._judge = runner, on_sight, judge
        self._files = Files(folder)
        self._seen: Contents | None = None
        self._compared: Run | None = None  # the last whole run: the next is compared with it
        self._sight = Sight(folder)
        self._due = threading.Condition(threading.RLock())
        self._asked = 0  # how many runs were asked for: what an earlier one showed is of no interest
        self._wanted = False
        self._stop = threading.Event()
        self._threads = (
            threading.Thread(target=self._follow, name="tocdemo-watch", daemon=True),
            threading.Thread(target=self._run_when_due, name="tocdemo-watch-run", daemon=True),
        )

    def __enter__(self) -> "Watcher":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def sight(self) -> Sight:
        """What there is to see now."""
        return self._sight

    def start(self) -> None:
        """Begin with a run. Raises CannotRun when there is no such folder."""
        if not self.folder.is_dir():
            raise CannotRun(f"There is no folder {self.folder} to watch")
        atexit.register(self.stop)
        for thread in self._threads:
            thread.start()

    def stop(self, why: str = "") -> None:
        """End it all, and say why. Once it has ended, this does nothing."""
        if self._stop.is_set():
            return
        self._stop.set()
        with self._due:
            self._due.notify_all()
        self._runner.close()
        for thread in self._threads:
            if thread.ident is not None and thread is not threading.current_thread():
                thread.join()
        atexit.unregister(self.stop)
        self._tell(running=False, ended=why or "Not watching any more.")

    def _tell(self, asked: int | None = None, **news: Any) -> bool:
        """Change what there is to see. What a run showed is left out, and False, when another is due."""
        with self._due:
            if asked not in (None, self._asked):
                return False
            self._sight = dataclasses.replace(self._sight, **news)
            try:
                self._on_sight(self._sight)
            except Exception:  # whoever shows it may fail; the next save is followed all the same
                traceback.print_exc()
            return True

    # --- the thread that waits for files

    def _follow(self) -> None:
        while not self._stop.is_set():
            if not self.folder.is_dir():
                self._wait_for_folder()
                continue
            self._look()
            for touched in _wakes(self.folder, self._stop):
                self._look(touched)

    def _wait_for_folder(self) -> None:
        self._seen = None
        gone = f"The folder {self.folder} is gone. When it is there again, its tests run."
        self._ask(False, files=(), saved=(), broken=(), trouble=gone)
        while not self.folder.is_dir() and not self._stop.wait(POLL):
            pass

    def _look(self, touched: tuple[str, ...] = ()) -> None:
        """Look at the files. When their contents are others than before, run the tests, or say why not."""
        contents = self._settled(touched)
        if contents == self._seen or self._stop.is_set():
            return
        before, self._seen = self._seen, contents
        saved = () if before is None else _different(before, contents)
        broken = self._files.broken(contents)
        runs = not any(each.path in saved for each in broken)
        self._ask(runs, files=tuple(contents), saved=saved, broken=broken, trouble="")

    def _ask(self, runs: bool, **news: Any) -> None:
        """End the run that is under way, tell the news, and ask for another run, or for none."""
        with self._due:
            self._asked += 1
            self._wanted = False
        self._runner.abandon()
        with self._due:
            self._tell(**news, running=runs, stale=not runs, judging=False)
            self._wanted = runs
            self._due.notify()

    def _settled(self, touched: tuple[str, ...]) -> Contents:
        """Return the contents, once a file that is being written has had its time."""
        contents = self._files.contents(touched)
        for _ in range(round(HALF_WRITTEN / PAUSE)):
            if not self._half_written(contents) or self._stop.wait(PAUSE):
                break
            contents = self._files.contents(touched)
        return contents

    def _half_written(self, contents: Contents) -> bool:
        if self._seen is None or contents == self._seen:
            return False
        changed = _different(self._seen, contents)
        if any(contents.get(path, EMPTY) == EMPTY != self._seen.get(path, EMPTY) for path in changed):
            return True
        return any(each.path in changed for each in self._files.broken(contents))

    # --- the thread that waits for runs

    def _run_when_due(self) -> None:
        while (asked := self._next()) is not None:
            try:
                run = self._runner.run()
            except Abandoned:
                continue
            except CannotRun as error:
                self._tell(asked, running=False, stale=True, trouble=str(error))
            except RuntimeError as error:
                trouble = f"{str(error).rstrip('.')}. Save a file to try again."
                self._tell(asked, running=False, stale=True, trouble=trouble)
            else:
                self._show(asked, run)
                self._runner.prepare()

    def _next(self) -> int | None:
        """Wait until a run is asked for, and return its number; none when it is to end."""
        with self._due:
            while not self._wanted and not self._stop.is_set():
                self._due.wait()
            self._wanted = False
            return None if self._stop.is_set() else self._asked

    def _show(self, asked: int, run: Run) -> None:
        changed = changes(self._compared, run)
        shown = {"run": run, "changes": changed, "word": "", "runs": self._sight.runs + 1, "trouble": ""}
        judging = self._judge is not None
        if not self._tell(asked, **shown, running=False, stale=False, judging=judging):
            return
        if _is_whole(run):
            self._compared = run
        if self._judge is not None:
            try:
                word: object = self._judge(self.folder, run)
            except Exception as error:
                word = f"The check itself failed: {type(error).__name__}: {error}"
            self._tell(asked, word=word, judging=False)


def _different(before: Contents, after: Contents) -> tuple[str, ...]:
    return tuple(sorted(path for path in {*before, *after} if before.get(path) != after.get(path)))


def _wakes(folder: Path, stop: threading.Event) -> Iterator[tuple[str, ...]]:
    """Yield the paths that were touched whenever some were, and none every second.

    It ends with `stop`, and when another folder, or none, is at this path.
    """
    identity = _identity(folder)
    for touched in _told(folder, stop):
        if identity is None or _identity(folder) != identity:
            return
        yield touched


def _told(folder: Path, stop: threading.Event) -> Iterator[tuple[str, ...]]:
    try:
        for found in watchfiles.watch(
            folder,
            watch_filter=None,
            debounce=DEBOUNCE_MS,
            step=STEP_MS,
            rust_timeout=LOOK_MS,
            yield_on_timeout=True,
            stop_event=stop,
            raise_interrupt=False,
            ignore_permission_denied=True,
        ):
            yield tuple(path for _, path in found)
    except (OSError, RuntimeError):  # no such folder any more, or the system has no watches left
        while not stop.wait(POLL):
            yield ()


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        state = os.stat(folder)
    except OSError:
        return None
    return state.st_dev, state.st_ino
