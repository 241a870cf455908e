"""A suite in a warm process: it can be ended at any time, and neither it nor its parent leave anything."""

import subprocess
import sys
import threading
import time
from textwrap import dedent

import psutil
import pytest
from pymongo import MongoClient

from tocdemo.errors import CannotRun
from tocdemo.runner.databases import PREFIX
from tocdemo.runner.watching import warm
from tocdemo.server import EmbeddedServer

from .watched import BOUND, a_job, children, gone

PASSES = "def test_one():\n    pass\n"
HANGS = """
import pathlib, subprocess, sys, time

def test_hangs():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    pathlib.Path(__file__).with_name("child").write_text(str(child.pid))
    time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "suite"
    folder.mkdir()
    (folder / "test_small.py").write_text(PASSES)
    return folder


@pytest.fixture
def runner(folder, only_new_children):
    runner = warm.Warm(a_job(folder))
    yield runner
    runner.close()
    assert children() == []


def written(path):
    """Wait for a file, and return what is in it."""
    until = time.monotonic() + BOUND
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < until
        time.sleep(0.01)
    return path.read_text()


def in_thread(call):
    """Call in a thread; return it, and a list that gets the result or the error."""
    ended = []

    def work():
        try:
            ended.append(call())
        except Exception as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, ended


def test_runs_share_a_process_and_modules_are_fresh(runner, folder):
    (folder / "test_small.py").write_text(
        "import os\nimport helper\n\ndef test_one():\n    assert 0, os.getpid()\n"
    )
    (folder / "helper.py").write_text("assert __name__ == 'helper'\n")
    first, second = (next(iter(runner.run().error_lines)) for _ in range(2))
    assert first == second
    (folder / "helper.py").write_text("1 / 0\n")
    assert next(iter(runner.run().error_lines)).startswith("ZeroDivisionError")


def test_a_run_that_is_abandoned_ends_at_once_with_what_it_started(runner, folder):
    assert runner.run().green
    runner.prepare()
    (folder / "test_small.py").write_text(HANGS)
    thread, ended = in_thread(runner.run)
    child = int(written(folder / "child"))
    runner.abandon()
    thread.join(BOUND)
    assert [type(each) for each in ended] == [warm.Abandoned]
    assert gone(child)
    (folder / "test_small.py").write_text(PASSES)
    assert runner.run().green


def test_nothing_is_abandoned_when_nothing_runs(runner):
    runner.abandon()
    assert runner.run().green
    runner.abandon()
    assert runner.run().green


def test_what_cannot_run_and_a_process_that_dies_are_told_and_survived(runner, folder):
    (folder / "test_small.py").unlink()
    with pytest.raises(CannotRun, match="found no test"):
        runner.run()
    (folder / "test_small.py").write_text("import os\n\nos._exit(3)\n")
    with pytest.raises(RuntimeError, match="ended itself with exit code 3"):
        runner.run()
    (folder / "test_small.py").write_text("import os\n\ndef test_one():\n    os._exit(3)\n")
    assert "it ended itself with exit code 3, as os._exit does, in test_one" in runner.run().note
    (folder / "test_small.py").write_text(PASSES)
    assert runner.run().green


def test_a_process_is_replaced_when_it_is_worn_or_holds_a_test(runner, folder, monkeypatch):
    monkeypatch.setattr(warm, "RUNS", 2)
    (folder / "test_small.py").write_text("import os\n\ndef test_one():\n    assert 0, os.getpid()\n")
    said = []
    for _ in range(3):
        said.append(next(iter(runner.run().error_lines)))
        runner.prepare()
    assert len(set(said)) == 2
    runner.job = a_job(folder, timeout=0.2)
    (folder / "test_small.py").write_text("import time\n\ndef test_one():\n    time.sleep(600)\n")
    assert "still holds its thread" in runner.run().note
    (folder / "test_small.py").write_text(PASSES)
    assert runner.run().green


def test_after_the_end_nothing_runs(folder, only_new_children):
    runner = warm.Warm(a_job(folder))
    (folder / "test_small.py").write_text(HANGS)
    thread, ended = in_thread(runner.run)
    written(folder / "child")
    runner.prepare()
    runner.close()
    thread.join(BOUND)
    with pytest.raises(warm.Abandoned):
        runner.run()
    runner.close()
    assert [type(each) for each in ended] == [warm.Abandoned]
    assert children() == []


def test_an_abandoned_run_drops_its_database_on_a_real_server(tmp_path):
    """The embedded server stands for it, by its address: it outlives the run's process."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p tocdemo.runner.database_plugin\n")
    test = """
        import os, pathlib, time, pymongo

        def test_hangs():
            with pymongo.MongoClient(os.environ["DATABASE_URI"]) as client:
                client[os.environ["DATABASE_NAME"]].books.insert_one({})
                pathlib.Path(__file__).with_name("began").write_text("yes")
                while True:
                    time.sleep(0.01)
        """
    (tmp_path / "test_small.py").write_text(dedent(test))
    with EmbeddedServer() as server, MongoClient(server.uri) as client:
        runner = warm.Warm(a_job(tmp_path, backend=server.uri))
        thread, ended = in_thread(runner.run)
        written(tmp_path / "began")
        assert [name for name in client.list_database_names() if name.startswith(PREFIX)]
        runner.abandon()
        thread.join(BOUND)
        assert [type(each) for each in ended] == [warm.Abandoned]
        runner.close()
        assert [name for name in client.list_database_names() if name.startswith(PREFIX)] == []


@pytest.mark.parametrize("at", ["rest", "work"])
def test_processes_die_with_their_parent(tmp_path, folder, at):
    parent = f"""
        import pathlib, sys, time
        from tocdemo.runner.tests.watched import a_job, children
        from tocdemo.runner.watching.warm import Warm

        folder = pathlib.Path({str(folder)!r})
        runner = Warm(a_job(folder))
        runner.run()
        runner.prepare()
        pathlib.Path({str(tmp_path / "pids")!r}).write_text(" ".join(str(child.pid) for child in children()))
        if {at!r} == "work":
            (folder / "test_small.py").write_text({HANGS!r})
            runner.run()
        time.sleep(600)
        """
    process = subprocess.Popen([sys.executable, "-c", dedent(parent)])
    pids = list(map(int, written(tmp_path / "pids").split()))
    assert len(pids) == 2
    if at == "work":
        pids.append(int(written(folder / "child")))
    assert all(map(psutil.pid_exists, pids))
    process.kill()
    process.wait()
    assert all(map(gone, pids))
