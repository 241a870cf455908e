"""A terminal that shows the grid of a folder's tests whenever a file there was saved.

What the keys do is given as `Actions`; this module knows terminals, and nothing of lessons.
"""

import contextlib
import os
import re
import select
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Protocol, TextIO

from tocdemo.display.looks import LOOKS
from tocdemo.errors import TocdemoError
from tocdemo.runner.result import COLUMNS, Run, first_place
from tocdemo.runner.watching.warm import Job, Warm
from tocdemo.runner.watching.watcher import MARKS, Changes, Judge, Sight, Watcher

try:
    import termios
    import tty
except ImportError:  # Windows
    termios = tty = None  # type: ignore[assignment]

INTERRUPTED = 130  # the exit code after Ctrl-C, as shells give it
POLL = 0.05  # seconds between two looks at the keyboard, on Windows
COLOURS = {"passed": "32", "failed": "31", "error": "33", "skipped": "90", "unfinished": "35"}
OF_CHANGES = {"newly green": "1;32", "newly red": "1;31"}
CLEAR = "\033[2J\033[H"
_SEQUENCE = re.compile(rb"\033(\[[0-9;?]*[ -/]*[@-~]|O.|.)?")  # what an arrow key and its like send
KEYS = {"h": "hint", "s": "solution", "r": "reset", "n": "next", "q": "quit"}


@dataclass(frozen=True)
class Actions:
    """What the keys do: each returns what is to be said, or the Place to go on in. None cannot be done."""

    hint: Callable[[], object] | None = None
    solution: Callable[[], object] | None = None
    reset: Callable[[], object] | None = None
    next: Callable[[], object] | None = None


@dataclass(frozen=True)
class Place:
    """A folder that is followed, under a title: what is run in it, what the keys do, and who judges."""

    title: str
    job: Job
    actions: Actions = Actions()
    judge: Judge | None = None


def follow(place: Place | None, terminal: "Terminal | None" = None) -> int:
    """Follow one place after the other, as the key n goes on; return the exit code."""
    terminal = terminal or Terminal(sys.stdin, sys.stdout)
    try:
        with terminal.open() as keys:
            while place is not None:
                place = _follow(place, terminal, keys)
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _follow(place: Place, terminal: "Terminal", keys: "Keys") -> Place | None:
    """Follow a place until a key ends it; return the next one, or none."""
    sights: deque[Sight] = deque()

    def on_sight(sight: Sight) -> None:  # in the watcher's threads
        sights.append(sight)
        keys.wake()

    with Watcher(place.job.folder, Warm(place.job), on_sight, place.judge):
        while True:
            while sights:
                terminal.show(place, sights.popleft())
            for key in keys.read():
                if key == "q":
                    return None
                answer = _pressed(key, place.actions)
                if isinstance(answer, Place):
                    return answer
                terminal.say(str(answer))


def _pressed(key: str, actions: Actions) -> object:
    """Do what a key is for, and return what that gave: something to say, or a place to go on in."""
    if key not in KEYS:
        return f"The keys are {', '.join(f'{key} ({what})' for key, what in KEYS.items())}."
    action: Callable[[], object] | None = getattr(actions, KEYS[key])
    if action is None:
        return f"There is no {KEYS[key]} here."
    try:
        return action()
    except TocdemoError as error:
        return error


# --- the terminal ------------------------------------------------------------------------------------------


class Keys(Protocol):
    """The keyboard of a terminal."""

    def read(self) -> str:
        """Wait for keys, or to be woken, and return the keys that were pressed meanwhile."""

    def wake(self) -> None:
        """End a wait; from any thread."""


class Terminal:
    """Shows what there is to see: on a terminal in colour and in place, elsewhere as plain lines.

    Colours are left out, too, when the environment has NO_COLOR (https://no-color.org).
    """

    def __init__(self, keyboard: TextIO, screen: TextIO) -> None:
        self._keyboard, self._screen = keyboard, screen
        self._in_place = screen.isatty()
        self._coloured = self._in_place and not os.environ.get("NO_COLOR")
        self._has_keys = keyboard.isatty() and self._in_place
        self._said = False  # since the last sight: then that and the next stay side by side
        self._unjudged: Run | None = None  # what is shown, and waits for the judge's word

    @contextmanager
    def open(self) -> Iterator[Keys]:
        """Read single keys until the end; then the terminal is as it was before."""
        if self._has_keys and termios is None:
            yield _WindowsKeys()
            return
        with ExitStack() as stack:
            stack.enter_context(_ended_by(signal.SIGTERM))
            if self._has_keys:
                stack.enter_context(_single_keys(self._keyboard.fileno()))
            keys = _PosixKeys(self._keyboard.fileno() if self._has_keys else None)
            stack.callback(keys.close)
            yield keys

    def show(self, place: Place, sight: Sight) -> None:
        """Show a sight, in place of the one before; below it, when something was said meanwhile."""
        if sight.running:
            # The last grid stays until there is a new one.
            first = f"{place.title}: running for the first time, which takes a few seconds …"
            return self._write(f"{self._painted('running …' if sight.runs else first, '2')}\n")
        begin = CLEAR if self._in_place and not self._said else "\n"
        lines = [*self._lines(place, sight), *self._end(sight)]
        if sight.run is not None and sight.run is self._unjudged and not sight.stale:
            begin, lines = "", self._end(sight)
        self._unjudged = sight.run if sight.judging else None
        self._said = False
        self._write(begin + "".join(f"{line}\n" for line in lines))

    def say(self, text: str) -> None:
        """Write a text below what is shown."""
        self._said = True
        self._write(f"{text}\n")

    def _write(self, text: str) -> None:
        self._screen.write(text)
        self._screen.flush()

    def _lines(self, place: Place, sight: Sight) -> Iterator[str]:
        saved = f"  saved: {', '.join(sight.saved)}" if sight.saved else ""
        yield f"{self._painted(place.title, '1')}  {sight.folder}{saved}"
        for problem in sight.problems:
            yield from ("", *problem.splitlines())
        if sight.run is not None:
            yield from ("", "The run before that:") if sight.stale else ("",)
            yield from self._run(sight.run, sight.changes)

    def _end(self, sight: Sight) -> list[str]:
        """Return the judge's word and what can be done now; nothing while the word is awaited."""
        if sight.judging:
            return []
        keys = self._painted("  ".join(f"{key} {what}" for key, what in KEYS.items()), "2")
        plain = "Save a file, and its tests run; Ctrl-C ends it."
        return [*str(sight.word).splitlines(), "", sight.ended or (keys if self._has_keys else plain)]

    def _run(self, run: Run, changes: Changes) -> Iterator[str]:
        marked = changes.words()
        boxes = []
        for result in run.results:
            word = marked.get(result.nodeid, "")
            box = f"{LOOKS[result.outcome].symbol}{MARKS[word] if word else ' '}"
            boxes.append(self._painted(box, COLOURS[result.outcome]))
        for start in range(0, len(boxes), COLUMNS):
            yield "  " + " ".join(boxes[start : start + COLUMNS]).rstrip()
        yield ""
        yield self._painted(f"{run.title}: {run.summary()}", "1;32" if run.green else "1")
        for (word, _), line in zip(changes.by_word().items(), str(changes).splitlines(), strict=True):
            yield self._painted(line, OF_CHANGES.get(word, ""))
        width = shutil.get_terminal_size().columns if self._in_place else 0
        for error, count in run.error_lines.items():
            place = first_place(run, error)
            for line in (f"  {count} × {error}", *([f"      {place}"] if place else [])):
                yield f"{line[: width - 1]}…" if 0 < width < len(line) else line
        yield from filter(None, (run.note, run.remark))

    def _painted(self, text: str, colour: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._coloured and colour else text


class _PosixKeys:
    """Keys by `select`, with a pipe that ends the wait. Without a keyboard there are none."""

    def __init__(self, keyboard: int | None) -> None:
        self._ears, self._mouth = os.pipe()
        os.set_blocking(self._ears, False)
        os.set_blocking(self._mouth, False)
        self._keyboard = keyboard
        self._sources = [self._ears, *([] if keyboard is None else [keyboard])]

    def read(self) -> str:
        ready, _, _ = select.select(self._sources, [], [])
        if self._ears in ready:
            os.read(self._ears, 4096)
        if self._keyboard not in ready:
            return ""
        pressed = os.read(self._keyboard, 64)
        if not pressed:  # the terminal is gone
            return "q"
        return _SEQUENCE.sub(b"", pressed).decode(errors="ignore").lower()

    def wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # so full a pipe wakes all the same
            os.write(self._mouth, b".")

    def close(self) -> None:
        os.close(self._ears)
        os.close(self._mouth)


class _WindowsKeys:
    """Keys by asking for them again and again."""

    def __init__(self) -> None:
        self._awake = False

    def read(self) -> str:
        import msvcrt

        while not self._awake:
            if msvcrt.kbhit():  # type: ignore[attr-defined]
                return msvcrt.getwch().lower()  # type: ignore[attr-defined]
            time.sleep(POLL)
        self._awake = False
        return ""

    def wake(self) -> None:
        self._awake = True


@contextmanager
def _single_keys(keyboard: int) -> Iterator[None]:
    """Let the terminal give each key at once and unseen; Ctrl-C interrupts as ever."""
    before = termios.tcgetattr(keyboard)

    def set_up(*_: object) -> None:
        tty.setcbreak(keyboard, termios.TCSADRAIN)

    continued = signal.signal(signal.SIGCONT, set_up)  # after Ctrl-Z the shell has put its own way back
    try:
        set_up()
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
        signal.signal(signal.SIGCONT, continued)


@contextmanager
def _ended_by(number: int) -> Iterator[None]:
    """Let a signal end the program in order, as an exit would."""

    def leave(received: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + received)

    before = signal.signal(number, leave)
    try:
        yield
    finally:
        signal.signal(number, before)
