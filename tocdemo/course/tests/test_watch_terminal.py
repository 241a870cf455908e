"""The grid in a terminal: a real pseudo-terminal, real keys, and a terminal that is left as it was."""

import os
import select
import signal
import subprocess
import sys
import time
from textwrap import dedent

import psutil
import pytest

from tocdemo import cli
from tocdemo.runner.tests.watched import BOUND, gone
from tocdemo.subject import sources

if os.name == "nt":
    pytest.skip("there is no pseudo-terminal here", allow_module_level=True)

import pty
import termios

GREEN = "def test_one():\n    pass\n\ndef test_two():\n    pass\n"
RED = GREEN.replace("pass", "assert 1 == 2", 1)
# What follows a small suite, with something for each key but the solution's.
PROGRAM = """
    import sys
    from pathlib import Path
    from tocdemo.course.watch_terminal import Actions, Place, follow
    from tocdemo.errors import BadInput
    from tocdemo.runner.tests.watched import a_job

    def reset():
        raise BadInput("This cannot be reset")

    second = Place("second", a_job(Path("two").resolve()), Actions(next=lambda: "This was the last one."))
    actions = Actions(hint=lambda: "Look at the loop.", reset=reset, next=lambda: second)
    first = Place("first", a_job(Path("one").resolve()), actions, lambda folder, run: f"judged {folder.name}")
    sys.exit(follow(first))
    """


@pytest.fixture
def folder(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "test_small.py").write_text(GREEN)
    return tmp_path


class Session:
    """A program in a terminal of its own."""

    def __init__(self, folder, *command, **environment):
        self.keyboard, self._other = pty.openpty()
        self.settings = termios.tcgetattr(self._other)
        inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        self.process = subprocess.Popen(
            [sys.executable, *(command or ["-c", dedent(PROGRAM)])],
            cwd=folder,
            env={**inherited, **environment},
            stdin=self._other,
            stdout=self._other,
            stderr=self._other,
            start_new_session=True,
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # which makes it its terminal
        )
        self.text = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.keyboard)
        os.close(self._other)

    def press(self, keys):
        os.write(self.keyboard, keys.encode())

    def sees(self, *parts):
        """Wait until all parts have come, in this order, and forget what was before their end."""
        until = time.monotonic() + BOUND
        seen = 0
        for part in parts:
            while (found := self.text.find(part, seen)) < 0:
                assert time.monotonic() < until, f"{part!r} did not come; there is:\n{self.text}"
                if select.select([self.keyboard], [], [], 0.1)[0]:
                    self.text += os.read(self.keyboard, 65536).decode().replace("\r\n", "\n")
            seen = found + len(part)
        before, self.text = self.text[:seen], self.text[seen:]
        return before

    def ends(self):
        """Wait for the end, see that the terminal is as it was, and return the exit code."""
        until = time.monotonic() + BOUND
        while self.process.poll() is None and time.monotonic() < until:
            # Who reads no terminal lets its programs wait for room to write.
            if select.select([self.keyboard], [], [], 0.05)[0]:
                self.text += os.read(self.keyboard, 65536).decode(errors="replace")
        code = self.process.wait(0)
        assert termios.tcgetattr(self._other) == self.settings
        return code

    def workers(self):
        return [child.pid for child in psutil.Process(self.process.pid).children()]


def test_a_save_shows_the_grid_with_what_changed(folder):
    with Session(folder) as session:
        session.sees(
            "first: running for the first time", "\033[2J\033[H", "✓", "✓", "2 passed in", "judged one"
        )
        session.sees("h hint  s solution  r reset  n next  q quit")
        (folder / "one" / "test_small.py").write_text(RED)
        shown = session.sees(
            "running …", "\033[2J\033[H", "saved: test_small.py", "1 passed, 1 failed in", "q quit"
        )
        assert "\033[31m✗▼\033[0m \033[32m✓ \033[0m" in shown
        assert "\033[1;31m▼ newly red (1): test_one\033[0m" in shown
        assert "1 × assert 1 == 2" in shown or "1 × AssertionError: assert 1 == 2" in shown
        (folder / "one" / "test_small.py").write_text("def test_one(:\n")
        session.sees(
            "does not parse, so nothing was run", "test_small.py, line 1:", "^", "The run before that:"
        )
        session.press("q")
        assert session.ends() == 0


def test_the_keys_do_what_they_were_given_to_do(folder):
    with Session(folder) as session:
        session.sees("2 passed", "q quit")
        session.press("h")
        session.sees("Look at the loop.")
        session.press("s")
        session.sees("There is no solution here.")
        session.press("R")
        session.sees("This cannot be reset")
        session.press("\033[A")
        session.press("x")
        session.sees("The keys are h (hint), s (solution), r (reset), n (next), q (quit).")
        (folder / "one" / "test_small.py").write_text(RED)
        shown = session.sees("1 passed, 1 failed", "q quit")
        assert "\033[2J" not in shown  # so that what the keys said is still there
        session.press("n")
        shown = session.sees(
            "second: running for the first time", "\033[1msecond\033[0m", "2 passed", "q quit"
        )
        assert "judged" not in shown
        session.press("n")
        session.sees("This was the last one.")
        (folder / "one" / "test_small.py").write_text(GREEN)
        (folder / "two" / "test_small.py").write_text(RED)
        session.sees("two  saved: test_small.py", "1 passed, 1 failed")
        session.press("q")
        assert session.ends() == 0


@pytest.mark.parametrize(("end", "code"), [("\x03", 130), (signal.SIGTERM, 143)])
def test_an_end_from_outside_leaves_terminal_and_processes_in_order(folder, end, code):
    with Session(folder) as session:
        session.sees("q quit")
        workers = session.workers()
        assert workers
        during = termios.tcgetattr(session.keyboard)
        assert not during[3] & termios.ICANON
        if isinstance(end, str):
            session.press(end)
        else:
            session.process.send_signal(end)
        assert session.ends() == code
        assert "Traceback" not in session.text
        assert all(map(gone, workers))


def test_an_error_leaves_the_terminal_as_it_was(folder):
    program = PROGRAM.replace('raise BadInput("This cannot be reset")', "1 / 0")
    with Session(folder, "-c", dedent(program)) as session:
        session.sees("q quit")
        session.press("r")
        session.sees("ZeroDivisionError")
        assert session.ends() == 1


def test_without_colour_there_is_no_colour(folder):
    with Session(folder, NO_COLOR="1") as session:
        shown = session.sees("2 passed in", "q quit")
        assert "\033[2J" in shown
        assert "\033[3" not in shown
        assert "\033[1" not in shown


def test_a_pipe_gets_plain_lines(folder):
    process = subprocess.Popen(
        [sys.executable, "-c", dedent(PROGRAM)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    lines = []
    try:
        while "Save a file, and its tests run; Ctrl-C ends it.\n" not in lines:
            lines.append(process.stdout.readline())
            assert lines[-1]
        process.send_signal(signal.SIGINT)
        assert process.wait(BOUND) == 130
    finally:
        process.kill()
        process.stdout.close()
    assert "  ✓  ✓\n" in lines
    assert "\033" not in "".join(lines)


def test_the_command_follows_a_lesson_with_its_exercise_on_the_keys(tmp_path):
    workspace = tmp_path / "03_the_async_fixture"
    with Session(cli.ROOT, "-m", "tocdemo", "watch", "03", TOCDEMO_WORKSPACE=str(tmp_path)) as session:
        session.sees("2 passed, 26 failed in", "26 × RuntimeError: Event loop is closed")
        session.sees("q quit")
        conftest = workspace / sources.CONFTEST
        at_first = conftest.read_text()
        session.press("h")
        session.sees("1 of ")
        session.press("s")
        session.sees(f"saved: {sources.CONFTEST}", "done", "q quit")
        assert conftest.read_text() != at_first
        session.press("r")
        session.sees(f"saved: {sources.CONFTEST}", "2 passed, 26 failed", "q quit")
        assert conftest.read_text() == at_first
        session.press("n")
        session.sees("04_io_loop")
        session.press("q")
        assert session.ends() == 0
    assert (tmp_path / "04_io_loop").is_dir()


def test_the_command_knows_no_lesson_by_another_name(capsys):
    assert cli.main(["watch", "nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err
