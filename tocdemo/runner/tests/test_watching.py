"""A folder that is followed, with a real process that runs its tests: what a save shows."""

import threading

import pytest

from tocdemo.errors import CannotRun
from tocdemo.runner.options import RunOptions
from tocdemo.runner.watching.warm import Job, Warm
from tocdemo.runner.watching.watcher import Watcher

SOON = 60.0  # seconds, on a busy machine


class Sights:
    """Keeps what a watcher tells, and waits for a sight that is as a test wants it."""

    def __init__(self):
        self.last, self.told = None, threading.Condition()

    def __call__(self, sight):
        with self.told:
            self.last = sight
            self.told.notify_all()

    def wait_for(self, wanted):
        with self.told:
            assert self.told.wait_for(lambda: self.last is not None and wanted(self.last), SOON), self.last
            return self.last


@pytest.fixture
def suite(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "test_one.py").write_text("def test_a(): pass\ndef test_b(): pass\n")
    return folder


def warm(folder):
    return Warm(Job(folder, (str(folder),), RunOptions(timeout=5.0)))


def test_a_save_runs_the_tests_again_and_says_what_changed(suite):
    sights = Sights()
    with Watcher(suite, warm(suite), sights):
        first = sights.wait_for(lambda sight: sight.run is not None and not sight.running)
        assert (first.run.passed, first.runs) == (2, 1)
        (suite / "test_one.py").write_text("def test_a(): assert 0\ndef test_b(): pass\ndef test_c(): pass\n")
        then = sights.wait_for(lambda sight: sight.runs > 1 and not sight.running)
        assert [each.rpartition("::")[2] for each in then.changes.newly_red] == ["test_a"]
        (suite / "test_one.py").write_text("def test_a(:\n")
        broken = sights.wait_for(lambda sight: sight.broken)
        assert broken.stale
        assert "test_one.py, line 1" in str(broken)
    assert sights.last.ended == "Not watching any more."


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(CannotRun, match="There is no folder"):
        Watcher(tmp_path / "nowhere", warm(tmp_path), Sights()).start()
