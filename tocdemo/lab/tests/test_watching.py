"""`lab.watch()` in a real kernel: where the grid lands, that the kernel is free, and how it all ends."""

import contextlib
import os
import signal
import time
from pathlib import Path

import psutil
import pytest
from jupyter_client.manager import KernelManager

from tocdemo import lab
from tocdemo.course.jupyter import environment
from tocdemo.errors import BadInput, CannotRun
from tocdemo.lab.watching import html
from tocdemo.runner.tests.watched import BOUND, a_run, gone
from tocdemo.runner.watching.files import Broken
from tocdemo.runner.watching.watcher import Changes, Sight
from tocdemo.subject import sources
from tocdemo.subject.workspace import PLAYGROUND

PASSES = "def test_one():\n    pass\n"
FAILS = "def test_one():\n    assert False\n"
HANGS = "import time\n\ndef test_one():\n    time.sleep(600)\n"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A kernel for all tests that leave it as it was."""
    with a_kernel(tmp_path_factory.mktemp("shared")) as kernel:
        yield kernel


@pytest.fixture
def kernel(shared):
    shared.save(PASSES)
    shared.cells.clear()
    yield shared
    shared.cell("lab.watch(False)")
    assert shared.workers() == []


@pytest.fixture
def own_kernel(tmp_path):
    """A kernel that the test may end."""
    with a_kernel(tmp_path) as kernel:
        yield kernel


@contextlib.contextmanager
def a_kernel(folder):
    """A kernel that has imported the laboratory, and a workspace whose suite is one test."""
    playground = folder / "workspace" / PLAYGROUND
    sources.write({sources.SUITE: PASSES}, playground)
    kernel = Kernel(playground)
    try:
        kernel.cell("from tocdemo import lab")
        yield kernel
    finally:
        kernel.close()


class Kernel:
    """A kernel, and what its cells show."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.cells: set[str] = set()  # those of this test: what earlier ones show at their end may come late
        self.manager = KernelManager(kernel_name="python3")
        own = {"TOCDEMO_WORKSPACE": str(workspace.parent), "IPYTHONDIR": str(workspace.parent / "ipython")}
        self.manager.start_kernel(env={**environment(), **own}, cwd=str(workspace.parent))
        self.process = psutil.Process(self.manager.provisioner.pid)
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=BOUND)

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()

    def save(self, text: str) -> None:
        (self.workspace / sources.SUITE).write_text(text)

    def cell(self, code: str, error: str = "") -> str:
        """Run a cell to its end, and return its message id."""
        cell = self.begin(code)
        assert self.ended(cell) == error
        return cell

    def begin(self, code: str) -> str:
        """Let a cell begin, and return its message id."""
        cell = self.client.execute(code)
        self.cells.add(cell)
        return cell

    def ended(self, cell: str) -> str:
        """Wait for the end of a cell, and return its error's name, or nothing."""
        while True:
            reply = self.client.get_shell_msg(timeout=BOUND)
            if reply["parent_header"]["msg_id"] == cell:
                return reply["content"].get("ename", "")

    def shown(self, cell: str, *parts: str) -> str:
        """Wait until the cell shows text that has these parts, and return it as HTML.

        What comes from the watcher belongs to that cell, whichever ran meanwhile.
        """
        until = time.monotonic() + BOUND
        while time.monotonic() < until:
            message = self.client.get_iopub_msg(timeout=BOUND)
            of_this_test = message["parent_header"].get("msg_id") in self.cells
            if of_this_test and message["msg_type"] == "update_display_data":
                text = message["content"]["data"]["text/html"]
                if all(part in text for part in parts):
                    assert message["parent_header"]["msg_id"] == cell
                    return text
        raise AssertionError(f"not shown: {parts}")

    def workers(self) -> list[int]:
        """The ids of the processes below the kernel."""
        return [child.pid for child in self.process.children(recursive=True)]


def test_the_grid_follows_in_the_cell_that_asked_for_it(kernel):
    watching = kernel.cell("lab.watch()")
    kernel.shown(watching, "together: 1 passed")
    kernel.cell("1 + 1")
    kernel.save(FAILS)
    shown = kernel.shown(watching, "together: 1 failed")
    assert "▼ newly red (1): test_one" in shown
    assert f"Saved {sources.SUITE}: run 2." in shown
    kernel.cell("lab.watch(False)")
    kernel.shown(watching, "Not watching any more.", "Ended by lab.watch(False).", "together: 1 failed")
    assert kernel.workers() == []


def test_a_run_does_not_hold_the_kernel(kernel):
    kernel.save(HANGS)
    watching = kernel.cell("lab.watch(timeout=600)")
    kernel.cell("1 + 1")
    kernel.save(PASSES)
    kernel.shown(watching, "together: 1 passed")


def test_the_judges_word_stands_below_the_grid(kernel):
    judge = "lambda folder, run: f'{folder.name}: {run.passed} <b>'"
    watching = kernel.cell(f"lab.watch(judge={judge})")
    assert "playground: 1 &lt;b&gt;" in kernel.shown(watching, "together: 1 passed", "playground: 1")


def test_once_more_takes_the_place_of_the_one_before(kernel):
    first = kernel.cell("lab.watch()")
    kernel.shown(first, "together: 1 passed")
    second = kernel.cell("lab.watch()")
    kernel.shown(first, "Not watching any more.", "It goes on below a later cell.")
    kernel.shown(second, "together: 1 passed")


@pytest.mark.skipif(os.name == "nt", reason="an interrupt is no signal there")
def test_an_interrupt_ends_it_when_it_is_for_no_cell(kernel):
    watching = kernel.cell("lab.watch()")
    kernel.shown(watching, "together: 1 passed", "Kernel &gt; Interrupt")
    busy = kernel.begin("import time\nopen('busy', 'w').close()\ntime.sleep(600)")
    wait_for((kernel.workspace.parent / "busy").exists)
    kernel.manager.interrupt_kernel()
    assert kernel.ended(busy) == "KeyboardInterrupt"
    kernel.save(FAILS)
    kernel.shown(watching, "together: 1 failed")
    kernel.cell("import time\ntime.sleep(0.5)")
    time.sleep(0.5)  # longer than the kernel needs to be idle
    kernel.manager.interrupt_kernel()
    kernel.shown(watching, "Not watching any more.", "Ended by an interrupt of the kernel.")
    wait_for(lambda: kernel.workers() == [])
    time.sleep(0.5)
    kernel.manager.interrupt_kernel()
    kernel.cell("import signal\nassert signal.getsignal(signal.SIGINT) is signal.default_int_handler")
    code = (
        "import asyncio\nasyncio.get_running_loop().call_later(0.1, lambda: open('idle', 'w').write(now()))"
    )
    kernel.cell(f"now = lambda: str(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)\n{code}")
    wait_for(lambda: (kernel.workspace.parent / "idle").exists())
    wait_for(lambda: (kernel.workspace.parent / "idle").read_text() == "True")


@pytest.mark.parametrize("end", ["shutdown", "kill"])
def test_it_ends_with_the_kernel(own_kernel, end):
    kernel = own_kernel
    watching = kernel.cell("lab.watch()")
    kernel.shown(watching, "together: 1 passed")
    workers = kernel.workers()
    assert workers
    if end == "kill":
        os.kill(kernel.process.pid, signal.SIGKILL)
    else:
        kernel.client.shutdown()
    assert all(map(gone, workers))


def test_what_cannot_be_watched_is_said(kernel):
    kernel.cell("lab.watch(which='nonsense')", error="BadInput")
    kernel.cell("lab.watch(folder='nowhere')", error="CannotRun")
    kernel.cell("lab.watch(timeout=-1)", error="BadInput")


def test_it_needs_a_workspace_and_a_notebook(tmp_path, monkeypatch):
    sources.write({sources.SUITE: PASSES}, tmp_path / PLAYGROUND)
    monkeypatch.setenv("TOCDEMO_WORKSPACE", str(tmp_path))
    with pytest.raises(CannotRun, match=r"in a terminal: python3 -m tocdemo watch"):
        lab.watch()
    with pytest.raises(BadInput, match="no tests 'nonsense'"):
        lab.watch(which="nonsense")
    monkeypatch.setenv("TOCDEMO_WORKSPACE", str(tmp_path / "none"))
    with pytest.raises(CannotRun, match=r"There is no workspace yet: run the lesson's first cell"):
        lab.watch()


# --- how it looks ------------------------------------------------------------------------------------------


def sight(**parts):
    return Sight(Path("/somewhere/workspace"), files=("a.py", "b.py"), **parts)


def test_a_changed_test_is_marked_by_more_than_a_colour():
    changed = Changes(newly_green=("test_small.py::one",), newly_red=("test_small.py::two",))
    run = a_run(one="passed", two="failed", three="passed")
    shown = html(sight(run=run, changes=changed, runs=2, saved=("a.py",)))
    assert "✓<sup>▲</sup>" in shown
    assert "✗<sup>▼</sup>" in shown
    assert "1. one: passed (newly green)" in shown
    assert "▲ newly green (1): one<br>▼ newly red (1): two" in shown
    assert '3. three: passed"' in shown
    assert "Saved a.py: run 2." in shown


def test_each_state_is_said():
    run = a_run(one="passed")
    assert "Running for the first time" in html(sight(running=True))
    assert "2 files in <code>workspace/</code>" in html(sight(running=True))
    assert "Saved a.py: running …" in html(sight(run=run, runs=1, running=True, saved=("a.py",)))
    assert "Run 1." in html(sight(run=run, runs=1))
    broken = html(
        sight(run=run, runs=1, stale=True, saved=("a.py",), broken=(Broken("a.py", 1, 1, "(<", "no"),))
    )
    assert "Saved a.py: not run." in broken
    assert "a.py, line 1: no\n    (&lt;" in broken
    assert "The run before that:" in broken
    assert "<b>Note:</b> stopped" in html(sight(run=a_run(note="stopped", one="passed"), runs=1))
    assert "&lt;gone&gt;" in html(sight(trouble="<gone>", stale=True))
    assert "Not watching any more.</b> Enough." in html(sight(ended="Enough."))


def test_a_word_may_show_itself():
    class Word:
        def _repr_mimebundle_(self):
            return {"text/html": "<i>done</i>"}

    class Older:
        def _repr_html_(self):
            return "<u>done</u>"

    run = a_run(one="passed")
    assert html(sight(run=run, word=Word())).endswith("<i>done</i>")
    assert html(sight(run=run, word=Older())).endswith("<u>done</u>")
    assert "line &lt;one&gt;\ntwo" in html(sight(run=run, word="line <one>\ntwo"))


def wait_for(what):
    until = time.monotonic() + BOUND
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)
