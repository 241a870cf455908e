"""The options of a run: each is heeded wherever the run is done, or refused."""

import itertools

import pytest

from tocdemo.errors import BadInput, CannotRun
from tocdemo.runner import suite
from tocdemo.runner.options import RunOptions
from tocdemo.subject import sources

TESTS = """
import os
import time

def test_quick():
    assert os.environ.get("DATABASE_DRIVER") == "{driver}"

def test_other():
    pass

def test_slow():
    end = time.monotonic() + {seconds}
    while time.monotonic() < end:
        pass
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "test_it.py").write_text(TESTS.format(driver="mongomock", seconds=0))
    return tmp_path


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"times": 0}, "times=1 or more"),
        ({"times": True}, "times=1 or more"),
        ({"times": 1.5}, "times=1 or more"),
        ({"timeout": 0}, "a timeout in seconds"),
        ({"timeout": float("nan")}, "a timeout in seconds"),
        ({"timeout": "5"}, "a timeout in seconds"),
        ({"only": ""}, "only to be a name"),
        ({"without": 3}, "without to be a name"),
        ({"only": "test_a", "without": "test_a"}, "leave `only` or `without` out"),
    ],
)
def test_an_option_that_means_nothing_is_refused(options, sentence):
    with pytest.raises(BadInput, match=sentence):
        RunOptions(**options)


def test_fixtures_cannot_go_to_another_process():
    with pytest.raises(CannotRun, match="without new_process"):
        RunOptions(fixtures=(pytest.fixture(lambda: 1),), new_process=True)


@pytest.mark.parametrize(("each", "new_process"), list(itertools.product([False, True], repeat=2)))
def test_options_are_heeded_together_and_alone_here_and_in_a_new_process(folder, each, new_process):
    options = RunOptions(
        each=each, new_process=new_process, without="test_slow", times=2, backend="mock", timeout=20
    )

    run = suite.run(folder, [str(folder)], options)

    named = [f"test_{name}[{time}]" for name in ("quick", "other") for time in (1, 2)]
    assert sorted(run.passed_tests) == sorted(named)


@pytest.mark.parametrize("new_process", [False, True])
def test_a_timeout_is_heeded_here_and_in_a_new_process(folder, new_process):
    (folder / "test_it.py").write_text(TESTS.format(driver="motor", seconds=60))

    run = suite.run(folder, [str(folder)], only="test_slow", timeout=0.3, new_process=new_process)

    assert list(run.error_lines) == ["Stopped after 0.3 s: the test did not end by itself"]


@pytest.mark.parametrize("new_process", [False, True])
def test_a_backend_reaches_a_suite_that_loads_no_plugin_of_ours(folder, new_process):
    assert suite.run(folder, [str(folder)], only="test_quick", backend="mock", new_process=new_process).green
    with pytest.raises(CannotRun, match="There is no backend 'nowhere'"):
        suite.run(folder, [str(folder)], backend="nowhere", new_process=new_process)


@pytest.mark.parametrize(
    ("options", "heading"),
    [
        ({}, "together"),
        ({"each": True}, "each alone"),
        ({"only": "test_a", "times": 4}, "test_a, 4 times"),
        ({"times": 2}, "each test, 2 times"),
        ({"new_process": True}, "together, in a new process"),
        ({"each": True, "times": 2, "new_process": True}, "each alone, 2 times, in a new process"),
        ({"title": "mine", "each": True}, "mine"),
    ],
)
def test_the_heading_says_how_it_was_run(options, heading):
    assert RunOptions(**options).heading == heading


def test_in_another_project_all_of_its_tests_are_meant(tmp_path):
    assert suite.arguments_for(tmp_path) == [str(tmp_path / sources.SUITE)]
    sources.write({"tests/test_it.py": "def test_it(): pass\n"}, tmp_path)
    assert suite.arguments_for(tmp_path) == [str(tmp_path)]
    assert suite.run(tmp_path, suite.arguments_for(tmp_path)).counts.passed == 1
