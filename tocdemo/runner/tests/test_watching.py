"""A folder that is followed: each save is one run, what changed is told, and nothing is left or grows."""

import gc
import shutil
import subprocess
import sys
import threading
import time
import tracemalloc
from textwrap import dedent

import psutil
import pytest

from tocdemo.errors import CannotRun
from tocdemo.runner import suite
from tocdemo.runner.options import RunOptions
from tocdemo.runner.watching import warm, watcher
from tocdemo.runner.watching.files import Broken, Files
from tocdemo.runner.watching.warm import Job, Warm
from tocdemo.runner.watching.watcher import Changes, Watcher, changes
from tocdemo.subject import faults, sources
from tocdemo.subject.tests.projects import lay_out

from .watched import BOUND, Quick, Sights, a_job, a_run, children, gone

GREEN = "def test_one():\n    pass\n\ndef test_two():\n    pass\n"
RED = GREEN.replace("pass", "assert False", 1)
HALF = GREEN + "\ndef test_three(\n"


@pytest.fixture(autouse=True)
def nothing_is_left(only_new_children):
    threads = set(threading.enumerate())
    yield
    assert children() == []
    assert [thread.name for thread in set(threading.enumerate()) - threads if thread.is_alive()] == []


@pytest.fixture
def sights():
    return Sights()


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "suite"
    folder.mkdir()
    # pytest's root is here, wherever the tests are started from: the node ids begin here.
    (folder / "setup.cfg").write_text("[tool:pytest]\n")
    (folder / "test_small.py").write_text(GREEN)
    return folder


def save(folder, text, path="test_small.py"):
    """Save a file as most editors do: cut it off, and write it anew."""
    (folder / path).write_text(text)


# --- what changed ------------------------------------------------------------------------------------------


def node(*names):
    return tuple(f"test_small.py::{name}" for name in names)


def test_changes_between_two_runs():
    before = a_run(a="passed", b="failed", c="passed", d="skipped", e="passed", f="error", g="passed")
    after = a_run(
        a="failed", b="passed", c="error", d="passed", f="failed", g="skipped", h="failed", i="passed"
    )
    assert changes(before, after) == Changes(
        newly_green=node("b", "d"), newly_red=node("a", "c"), new=node("h", "i"), gone=node("e")
    )
    assert changes(None, after) == changes(after, after) == Changes()


def test_changes_are_told_with_a_mark_a_word_and_the_names():
    changed = Changes(newly_green=node("a", "b"), gone=node("c"))
    assert str(changed) == "▲ newly green (2): a, b\n− gone (1): c"
    assert changed.words() == dict(
        zip(node("a", "b", "c"), ["newly green", "newly green", "gone"], strict=True)
    )
    assert str(Changes()) == ""


def test_a_file_that_cannot_be_imported_is_red_and_its_tests_are_not_gone():
    before, after = a_run(a="passed", b="failed"), a_run(**{"test_small.py": "error"})
    assert changes(before, after) == Changes(newly_red=("test_small.py",))


def test_tests_that_a_stopped_run_did_not_come_to_are_not_gone():
    assert changes(a_run(a="passed", b="passed"), a_run(note="Stopped.", a="failed")) == Changes(
        newly_red=node("a")
    )


# --- a save and its run ------------------------------------------------------------------------------------


def test_a_save_gives_a_new_run_with_what_changed(folder, sights):
    with Watcher(folder, Warm(a_job(folder)), sights):
        assert sights.run(1).run.green
        assert sights[-1].changes == Changes()
        save(folder, RED)
        sight = sights.run(2)
        assert sight.saved == ("test_small.py",)
        assert sight.changes == Changes(newly_red=node("test_one"))
        save(folder, GREEN + "\ndef test_three():\n    pass\n")
        assert sights.run(3).changes == Changes(newly_green=node("test_one"), new=node("test_three"))
    assert sights[-1].ended == "Not watching any more."
    assert any(sight.running for sight in sights)


def test_the_incident_turns_green_when_its_faults_are_taken_out(tmp_path, sights):
    copy = lay_out(tmp_path / "copy", faults.state("incident"))
    job = Job(copy, tuple(suite.arguments_for(copy)), RunOptions())
    with Watcher(copy, Warm(job), sights):
        first = sights.run(1).run
        assert (first.passed, first.failed) == (2, 26)
        lay_out(copy)
        sight = sights.wait(lambda sight: sight.run.green)
        assert len(sight.changes.newly_green) == 26
        assert sources.CONFTEST in {path for each in sights for path in each.saved}


def test_what_is_no_change_runs_nothing(folder, sights):
    with Watcher(folder, runner := Quick(), sights):
        sights.run(1)
        save(folder, GREEN)
        save(folder, "nothing", ".test_small.py.swp")
        save(folder, "nothing", "notes.md")
        time.sleep(0.3)
        save(folder, RED)
        assert sights.run(2).saved == ("test_small.py",)
        assert runner.begun == 2


def test_an_editors_way_of_saving_is_one_save(folder, sights):
    """Some move the old file away, or write a new one beside it that takes its place."""
    with Watcher(folder, runner := Quick(), sights):
        sights.run(1)
        (folder / "test_small.py").rename(folder / "test_small.py~")
        time.sleep(0.1)
        save(folder, RED)
        assert sights.run(2).saved == ("test_small.py",)
        sources.write_file(folder / "test_small.py", GREEN)
        assert sights.run(3).saved == ("test_small.py",)
        assert runner.begun == 3


def test_a_save_in_the_middle_of_a_run_starts_it_afresh(folder, sights):
    with Watcher(folder, runner := Quick(held=[1, 2]), sights):
        for number in (1, 2):
            wait_for(lambda number=number: runner.begun == number)
            save(folder, f"{GREEN}# {number}\n")
        assert sights.run(1).run.green
        assert runner.begun == 3
    assert [sight.runs for sight in sights if sight.run] == [1, 1]


def test_a_save_frees_from_a_test_that_hangs(folder, sights):
    save(folder, "import time\n\ndef test_one():\n    time.sleep(600)\n")
    with Watcher(folder, Warm(a_job(folder, timeout=600)), sights):
        wait_for(lambda: children())
        time.sleep(0.5)
        save(folder, GREEN)
        assert sights.run(1).run.green


def test_a_test_that_hangs_is_stopped(folder, sights):
    save(folder, GREEN + "\ndef test_hangs():\n    while True:\n        pass\n")
    with Watcher(folder, Warm(a_job(folder, timeout=0.5)), sights):
        run = sights.run(1).run
    assert (run.passed, run.failed) == (2, 1)
    assert run.results[-1].error == "Stopped after 0.5 s: the test did not end by itself"


def test_the_judge_has_a_word_and_may_fail(folder, sights):
    def judge(place, run):
        assert place == folder
        return f"{run.passed} passed" if run.green else 1 / 0

    with Watcher(folder, Warm(a_job(folder)), sights, judge):
        assert sights.wait(lambda sight: sight.word).word == "2 passed"
        save(folder, RED)
        sight = sights.wait(lambda sight: sight.runs == 2 and sight.word)
    assert sight.word == "The check itself failed: ZeroDivisionError: division by zero"


def test_whoever_shows_it_may_fail(folder, capfd):
    seen = Sights()

    def show(sight):
        seen(sight)
        raise OSError("no screen")

    with Watcher(folder, Quick(), show):
        seen.run(1)
        save(folder, RED)
        seen.run(2)
    assert "no screen" in capfd.readouterr().err


# --- what cannot run ---------------------------------------------------------------------------------------


def test_a_file_that_is_half_written_is_waited_for(folder, sights, monkeypatch):
    monkeypatch.setattr(watcher, "HALF_WRITTEN", BOUND)
    looked = []
    real = Files.contents
    monkeypatch.setattr(Files, "contents", lambda *given: looked.append(real(*given)) or looked[-1])
    with Watcher(folder, runner := Quick(), sights):
        sights.run(1)
        for number, part in enumerate((HALF, ""), 2):
            before = looked[-1]
            save(folder, part)
            wait_for(lambda before=before: looked[-1] != before)
            time.sleep(2 * watcher.PAUSE)
            assert not sights[-1].running
            save(folder, f"{RED}# {number}\n")
            sights.run(number)
        assert runner.begun == 3
    assert not any(sight.broken for sight in sights)


def test_a_file_that_stays_half_written_is_told_and_not_run(folder, sights):
    with Watcher(folder, runner := Quick(), sights):
        sights.run(1)
        save(folder, HALF)
        sight = sights.wait(lambda sight: sight.broken)
        assert sight.broken == (Broken("test_small.py", 7, 15, "def test_three(", "'(' was never closed"),)
        assert sight.stale
        assert "test_small.py, line 7: '(' was never closed" in str(sight)
        assert "so nothing was run" in str(sight)
        save(folder, "x = 1\n", "other.py")
        sight = sights.run(2)
        assert [broken.path for broken in sight.broken] == ["test_small.py"]
        assert "so nothing was run" not in str(sight)
        save(folder, GREEN)
        assert sights.run(3).broken == ()
        assert runner.begun == 3


def test_half_a_file_in_the_middle_of_a_run_ends_the_run(folder, sights):
    with Watcher(folder, runner := Quick(held=[1]), sights):
        wait_for(lambda: runner.begun == 1)
        save(folder, HALF)
        sight = sights.wait(lambda sight: sight.broken)
        assert not sight.running
        wait_for(lambda: runner.abandoned)
        save(folder, GREEN)
        sights.run(1)


def test_an_emptied_file_is_run_in_the_end(folder, sights):
    with Watcher(folder, Quick(), sights):
        sights.run(1)
        save(folder, "")
        assert sights.run(2).saved == ("test_small.py",)


def test_no_test_a_dead_process_and_a_bad_setting_are_told_and_survived(folder, sights):
    with Watcher(folder, Warm(a_job(folder)), sights):
        sights.run(1)
        save(folder, "x = 1\n")
        assert "found no test" in sights.wait(lambda sight: sight.trouble).trouble
        save(folder, "import os\n\nos._exit(3)\n")
        sight = sights.wait(lambda sight: "ended itself with exit code 3" in sight.trouble)
        assert sight.trouble.endswith("Save a file to try again.")
        save(folder, "[pytest]\naddopts = --nonsense\n", "pytest.ini")
        assert "--nonsense" in sights.wait(lambda sight: "nonsense" in sight.trouble).trouble
        (folder / "pytest.ini").unlink()
        save(folder, RED)
        sight = sights.wait(lambda sight: sight.runs >= 2 and not sight.running)
        assert sight.trouble == ""
        assert sight.changes == Changes(newly_red=node("test_one"))


def test_a_file_that_cannot_be_imported_is_compared_with_the_last_whole_run(folder, sights):
    with Watcher(folder, Warm(a_job(folder)), sights):
        sights.run(1)
        save(folder, "import nothing_of_the_kind\n" + GREEN)
        assert sights.run(2).changes == Changes(newly_red=("test_small.py",))
        save(folder, RED)
        assert sights.run(3).changes == Changes(newly_red=node("test_one"))


# --- the folder --------------------------------------------------------------------------------------------


def test_there_must_be_a_folder(tmp_path, sights):
    with pytest.raises(CannotRun, match="There is no folder"):
        Watcher(tmp_path / "none", Quick(), sights).start()


def test_a_file_that_goes_is_a_change(folder, sights):
    save(folder, RED, "test_other.py")
    with Watcher(folder, Quick(), sights):
        sights.run(1)
        (folder / "test_other.py").unlink()
        assert sights.run(2).saved == ("test_other.py",)
        assert sights[-1].files == ("test_small.py",)


@pytest.mark.parametrize("moved", [True, False])
def test_a_folder_that_is_replaced_is_followed(folder, sights, moved):
    with Watcher(folder, Quick(), sights):
        sights.run(1)
        fresh = folder.with_name("fresh")
        shutil.copytree(folder, fresh)
        if moved:
            folder.rename(folder.with_name("old"))
            fresh.rename(folder)
        else:
            shutil.rmtree(folder)
            sight = sights.wait(lambda sight: sight.trouble)
            assert sight.trouble == f"The folder {folder} is gone. When it is there again, its tests run."
            assert not sight.running
            fresh.rename(folder)
        sights.wait(lambda sight: not sight.trouble)
        sights.run(sights[-1].runs)
        before = sights[-1].runs
        time.sleep(0.1)
        save(folder, RED)
        assert sights.run(before + 1).saved in (("test_small.py",), ())


def test_a_folder_that_goes_before_the_system_was_asked_is_not_waited_for_there(tmp_path, monkeypatch):
    monkeypatch.setattr(watcher, "POLL", 0.01)
    assert next(watcher._wakes(tmp_path / "none", threading.Event()), None) is None


@pytest.mark.parametrize("error", [OSError, RuntimeError])
def test_where_the_system_cannot_tell_the_folder_is_looked_at(folder, sights, monkeypatch, error):
    def watch(*_, **__):
        raise error("no watches left")

    monkeypatch.setattr(watcher.watchfiles, "watch", watch)
    monkeypatch.setattr(watcher, "POLL", 0.02)
    with Watcher(folder, Quick(), sights):
        sights.run(1)
        save(folder, RED)
        assert sights.run(2).saved == ("test_small.py",)


def test_what_the_system_does_not_tell_is_seen_within_a_moment(folder, sights, monkeypatch):
    monkeypatch.setattr(watcher, "LOOK_MS", 50)
    real = watcher.watchfiles.watch

    def deaf(*arguments, **options):
        return (set() for _ in real(*arguments, **options))

    monkeypatch.setattr(watcher.watchfiles, "watch", deaf)
    with Watcher(folder, Quick(), sights):
        sights.run(1)
        save(folder, RED + "# longer\n")
        assert sights.run(2).saved == ("test_small.py",)


# --- the end -----------------------------------------------------------------------------------------------


def test_it_ends_once_and_says_why(folder, sights):
    watcher = Watcher(folder, runner := Quick(held=[1]), sights)
    watcher.start()
    wait_for(lambda: runner.begun == 1)
    watcher.stop("Enough.")
    watcher.stop("Again.")
    assert runner.closed
    assert [sight.ended for sight in sights if sight.ended] == ["Enough."]
    save(folder, RED)
    time.sleep(0.1)
    assert runner.begun == 1


def test_it_ends_in_the_middle_of_a_real_run(folder, sights):
    save(folder, "import time\n\ndef test_one():\n    time.sleep(600)\n")
    with Watcher(folder, Warm(a_job(folder, timeout=600)), sights):
        wait_for(lambda: children())
        begin = time.monotonic()
    assert time.monotonic() - begin < BOUND / 3
    assert children() == []


@pytest.mark.parametrize("end", ["exit", "kill"])
def test_it_ends_with_the_interpreter(tmp_path, folder, end):
    script = f"""
        import pathlib, time
        from tocdemo.runner.tests.watched import Sights, a_job, children
        from tocdemo.runner.watching.warm import Warm
        from tocdemo.runner.watching.watcher import Watcher

        folder, sights = pathlib.Path({str(folder)!r}), Sights()
        Watcher(folder, Warm(a_job(folder)), sights).start()
        sights.run(1)
        print(*(child.pid for child in children()), flush=True)
        if {end!r} == "kill":
            time.sleep(600)
        """
    process = subprocess.Popen([sys.executable, "-c", dedent(script)], stdout=subprocess.PIPE, text=True)
    pids = list(map(int, process.stdout.readline().split()))
    assert pids
    if end == "kill":
        process.kill()
    process.wait(BOUND)
    process.stdout.close()
    assert process.returncode == (-9 if end == "kill" else 0)
    assert all(map(gone, pids))


# --- many saves --------------------------------------------------------------------------------------------


def test_200_saves_grow_nothing(folder, monkeypatch):
    monkeypatch.setattr(watcher, "STEP_MS", 5)
    last = Last()
    me = psutil.Process()
    with Watcher(folder, Quick(), last):
        for number in range(230):
            last.wait_for(number + 1)
            if number == 29:  # by now all is there that is made once
                gc.collect()
                tracemalloc.start()
                before = (threading.active_count(), me.num_fds(), tracemalloc.get_traced_memory()[0])
            save(folder, f"{GREEN}# {number:04}\n")
        last.wait_for(231)
        gc.collect()
        after = (threading.active_count(), me.num_fds(), tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    assert after[:2] == before[:2]
    assert after[2] - before[2] < 200_000  # 200 runs of 5 kB each would be more


def test_20_real_saves_grow_nothing(folder, sights, monkeypatch):
    monkeypatch.setattr(warm, "RUNS", 8)  # so that processes are replaced meanwhile
    me = psutil.Process()
    with Watcher(folder, Warm(a_job(folder)), sights):
        sights.run(1)
        wait_for(lambda: len(children()) == 2)
        before = (threading.active_count(), me.num_fds())
        for number in range(20):
            save(folder, f"{RED if number % 2 else GREEN}# {number}\n")
            assert sights.run(number + 2).run.failed == number % 2
        # A process and its spare, and while that warms up a thread more, which has a clock.
        wait_for(lambda: len(children()) == 2 and (threading.active_count(), me.num_fds()) <= before)


class Last:
    """Keeps the number of the last run, and nothing else."""

    def __init__(self):
        self.runs, self._told = 0, threading.Condition()

    def __call__(self, sight):
        with self._told:
            self.runs = 0 if sight.running else sight.runs
            self._told.notify_all()

    def wait_for(self, runs):
        with self._told:
            assert self._told.wait_for(lambda: self.runs >= runs, BOUND)


def wait_for(what):
    """Wait until something is so."""
    until = time.monotonic() + BOUND
    while not what():
        assert time.monotonic() < until
        time.sleep(0.01)
