"""What is said of a run is true: a run that did not end is not green, and an error has its file and line."""

import json
import os
import subprocess
import sys
from textwrap import dedent

import pytest

from tocdemo import cli
from tocdemo.errors import CannotRun
from tocdemo.runner import environment, suite, worker
from tocdemo.runner.reporting.failures import plain
from tocdemo.runner.result import Counts

ONE = "def test_one(): pass\n"
THREE = ONE + "def test_two():\n    {}\ndef test_three(): pass\n"


@pytest.fixture(autouse=True)
def _as_in_a_kernel(monkeypatch):
    """With the colours that ipykernel asks for, and no database of the course."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name in ("TOCDEMO_BACKEND", "TOCDEMO_MONGO_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run_of(tmp_path):
    """Write files, and run the suite that they make."""

    def run(files, **options):
        for path, text in (files if isinstance(files, dict) else {"test_it.py": files}).items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(dedent(text))
        return suite.run(tmp_path, [str(tmp_path)], **options)

    return run


def outcomes(run):
    return {result.name: result.outcome for result in run.results}


# --- the place of an error ---------------------------------------------------------------------------------

PLACES = {
    "a test file": ({"test_it.py": "x = 1\ndef test_a(:\n"}, "test_it.py, line 2", "def test_a(:"),
    "an app module": (
        {"test_it.py": "import app.m\n", "app/__init__.py": "", "app/m.py": "x = 1\n\ny = (\n"},
        "app/m.py, line 3",
        "y = (",
    ),
    "a name": ({"test_it.py": f"x = 1\nx = nothing\n{ONE}"}, "test_it.py, line 2", "x = nothing"),
    "a call": (
        {"test_it.py": "import h\ndef test_a():\n    h.f()\n", "h.py": "def f():\n    raise ValueError\n"},
        "h.py, line 2",
        "raise ValueError",
    ),
    "a missing fixture": ({"test_it.py": "\ndef test_a(b): pass\n"}, "test_it.py, line 2", "def test_a(b)"),
}


@pytest.mark.parametrize("name", PLACES)
def test_an_error_is_shown_with_its_file_its_line_and_what_stands_there(name, run_of):
    files, place, code = PLACES[name]
    run = run_of(files)
    assert run.results[0].place == place
    assert f"{place}: {code}" in str(run)
    html = run._repr_mimebundle_()["text/html"]
    assert f"{place}: {code}" in html
    assert f">{place}</td>" in html  # in the table of all tests
    assert f"({place})" in run.listing()
    assert run.to_json()["tests"][0]["place"] == place
    shown = [str(run), html, run.text, run.results[0].trace, json.dumps(run.to_json())]
    assert not any("\x1b" in text or "[31m" in text for text in shown)


@pytest.mark.parametrize(
    ("text", "place", "error"),
    [
        ("import os\ndef f(\n", "conftest.py, line 2", "SyntaxError: '(' was never closed\n    def f("),
        ("import nothing_here\n", "conftest.py, line 1", "ModuleNotFoundError"),
        ("x = 1\nx.y\n", "conftest.py, line 2", "AttributeError"),
    ],
)
@pytest.mark.parametrize("folder", ["", "tests/"])
def test_a_conftest_that_cannot_be_imported_is_a_sentence_with_its_place(text, place, error, folder, run_of):
    with pytest.raises(CannotRun) as raised:
        run_of({f"{folder}test_it.py": ONE, f"{folder}conftest.py": text})
    assert str(raised.value).startswith(f"No test ran. {folder}{place}: {error}")
    assert "\x1b" not in str(raised.value)


def test_equal_errors_say_where_the_first_arose(run_of):
    run = run_of("def test_a():\n    assert 0\ndef test_b():\n    assert 0\n")
    assert "first: test_it.py, line 2: assert 0" in str(run)


def test_colours_are_taken_out():
    assert plain("\x1b[1;35mRuntimeError\x1b[0m: no") == "RuntimeError: no"


def test_a_mistyped_name_gets_a_proposal(run_of, capsys):
    with pytest.raises(CannotRun, match="No test is named 'test_oen': did you mean test_one"):
        run_of(ONE, only="test_oen")
    assert cli.main(["run", "--only", "test_updat_toc_success"]) == 2
    assert "did you mean test_update_toc_success?" in capsys.readouterr().err


# --- a run that did not end --------------------------------------------------------------------------------

ENDINGS = {
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "Exit: enough": "import pytest; pytest.exit('enough')",
    "Exit: all well": "import pytest; pytest.exit('all well', returncode=0)",
}


@pytest.mark.parametrize("new_process", [False, True])
@pytest.mark.parametrize("what", ENDINGS)
def test_a_run_that_a_test_ended_is_not_green(what, new_process, run_of):
    run = run_of(THREE.format(ENDINGS[what]), new_process=new_process)
    assert outcomes(run) == {"test_one": "passed", "test_two": "unfinished"}
    assert not run.green
    assert not run.is_as(Counts(passed=2))
    assert f"did not come to its end: {what} in test_two; 1 of 3 tests did not begin." in run.note
    assert "1 passed, 1 unfinished" in str(run)
    html = run._repr_mimebundle_()["text/html"]
    assert "?</summary>" in html
    assert "? unfinished</td>" in html
    assert run.to_json()["unfinished"] == 1
    assert str(Counts.parse("1 passed, 1 unfinished")) == str(run.counts)


def test_a_test_whose_teardown_does_not_end_is_unfinished(run_of):
    fixture = "import pytest\n@pytest.fixture\ndef f():\n    yield\n    raise KeyboardInterrupt\n"
    assert outcomes(run_of(f"{fixture}def test_a(f): pass\n")) == {"test_a": "unfinished"}


def test_a_failure_of_pytest_itself_is_not_green(run_of):
    hook = "def pytest_runtest_logfinish(nodeid):\n    raise ValueError('of a hook')\n"
    run = run_of({"test_it.py": THREE.format("pass"), "conftest.py": hook})
    assert (run.passed, run.green) == (1, False)
    assert "ValueError: of a hook; 2 of 3 tests did not begin." in run.note


def test_an_exit_code_that_no_test_explains_is_not_green(run_of):
    hook = "def pytest_sessionfinish(session):\n    session.exitstatus = 1\n"
    run = run_of({"test_it.py": ONE, "conftest.py": hook})
    assert (run.passed, run.green) == (1, False)
    assert run.note == "pytest ended with exit code 1, though no test failed."


@pytest.mark.parametrize("code", ["import sys\nsys.exit(0)", "x = 1\nraise KeyboardInterrupt"])
def test_a_file_that_ends_python_is_a_sentence_with_its_place(code, run_of):
    with pytest.raises(
        CannotRun, match=r"^No test ran. test_it.py, line 2: (SystemExit: 0|KeyboardInterrupt)\n"
    ):
        run_of(f"{code}\n{ONE}")


def test_a_test_that_was_stopped_is_not_unfinished(run_of):
    run = run_of(THREE.format("while True: pass"), timeout=0.5)
    assert outcomes(run) == {"test_one": "passed", "test_two": "failed", "test_three": "passed"}
    assert not run.note


# --- settings ----------------------------------------------------------------------------------------------


def test_a_suite_that_asks_for_processes_runs_in_one_and_it_is_said(run_of):
    run = run_of({"test_it.py": THREE.format("assert 0"), "pytest.ini": "[pytest]\naddopts = -n 2\n"})
    assert (run.passed, run.failed) == (2, 1)
    assert "asks for several processes (pytest-xdist's -n): it ran in one" in str(run)
    assert "it ran in one" in run._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize("new_process", [False, True])
def test_settings_of_the_environment_hold_for_a_suite_of_ones_own_alone(new_process, run_of, monkeypatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", "-x")
    text = "def test_a(): assert 0\ndef test_b(): pass\n"
    shielded = run_of(text, new_process=new_process)
    assert outcomes(shielded) == {"test_a": "failed", "test_b": "passed"}
    own = run_of(text, new_process=new_process, own_settings=True)
    assert outcomes(own) == {"test_a": "failed"}
    assert "stopping after 1 failures; 1 of 2 tests did not begin" in own.note
    assert os.environ["PYTEST_ADDOPTS"] == "-x"


def test_a_run_has_its_plugins_where_they_are_not_to_be_loaded_by_themselves(run_of, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    text = "import pytest\n@pytest.mark.asyncio\nasync def test_a(): pass\n"
    assert run_of(text).green
    own = run_of(text, own_settings=True)
    assert not own.green
    assert "async def functions are not natively supported" in str(own)


RANDOM = """
    import sys
    from pathlib import Path
    from tocdemo.runner import suite
    folder = Path(sys.argv[1])
    for own in (False, True):
        print(*(each.name for each in suite.run(folder, [str(folder)], own_settings=own).results))
    """


def test_a_plugin_that_shuffles_does_not_shuffle_the_courses_runs(tmp_path):
    """Any plugin that is installed under pytest-randomly's name: here one that turns the order around."""
    installed = tmp_path / "installed"
    (installed / "shuffle-1.0.dist-info").mkdir(parents=True)
    (installed / "shuffle-1.0.dist-info" / "METADATA").write_text("Name: shuffle\nVersion: 1.0\n")
    (installed / "shuffle-1.0.dist-info" / "entry_points.txt").write_text("[pytest11]\nrandomly = shuffle\n")
    (installed / "shuffle.py").write_text("def pytest_collection_modifyitems(items):\n    items.reverse()\n")
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite" / "test_it.py").write_text("def test_a(): pass\ndef test_b(): pass\n")
    done = subprocess.run(
        [sys.executable, "-c", dedent(RANDOM), str(tmp_path / "suite")],
        env=environment.of_child({"PYTHONPATH": str(installed)}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["test_a test_b", "test_b test_a"]


# --- bad days ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("new_process", [False, True])
def test_an_emptied_environment_is_put_back_and_said(new_process, run_of):
    before = dict(os.environ)
    run = run_of(f"import os\n{THREE.format('os.environ.clear()')}", new_process=new_process)
    assert run.green
    assert "A test emptied os.environ" in run.remark
    assert {**os.environ, "PYTEST_CURRENT_TEST": ""} == {**before, "PYTEST_CURRENT_TEST": ""}


def test_a_closed_output_is_said(run_of):
    run = run_of(f"import sys\n{THREE.format('sys.stdout.close()')}")
    assert not run.green
    assert "ValueError: I/O operation on closed file" in run.note
    assert outcomes(run)["test_one"] == "passed"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no os.fork here")
@pytest.mark.parametrize("new_process", [False, True])
def test_a_process_that_a_test_forked_does_not_run_the_rest_again(new_process, run_of, tmp_path):
    text = f"""
        import os, time
        def test_one():
            if os.fork():
                time.sleep(0.5)  # so that the other one comes back first
        def test_two():
            open({str(tmp_path / "ran")!r}, "a").write("once ")
        """
    run = run_of(text, new_process=new_process)
    assert run.green
    assert (tmp_path / "ran").read_text() == "once "
    assert "the new process came back from the test: it was ended there" in run.remark


GONE = {
    "os._exit": ("import os; os._exit(3)", "it ended itself with exit code 3, as os._exit does, in test_two"),
    "a crash": ("import ctypes; ctypes.string_at(0)", "the signal SIGSEGV ended it, in test_two"),
}


@pytest.mark.skipif(os.name == "nt", reason="processes end otherwise there")
@pytest.mark.parametrize("name", GONE)
def test_a_test_that_takes_its_process_along_is_named(name, run_of):
    code, how = GONE[name]
    run = run_of(THREE.format(code), new_process=True)
    assert outcomes(run) == {"test_one": "passed", "test_two": "unfinished"}
    assert not run.green
    assert f"{how}; 1 of 3 tests did not begin." in run.note


def test_a_test_that_holds_the_interpreter_is_ended_in_its_time(run_of, monkeypatch):
    monkeypatch.setattr(worker, "SPARE", 1.0)
    run = run_of(THREE.format("import re; re.match('(a*)*b', 'a' * 60)"), new_process=True, timeout=1.0)
    assert outcomes(run) == {"test_one": "passed", "test_two": "unfinished"}
    assert run.note == (
        "The test test_two did not end within 1 s, so its process was ended; 1 of 3 tests did not begin."
    )


def test_a_process_that_is_gone_before_it_began_a_test_is_an_error(run_of):
    with pytest.raises(RuntimeError, match="gave no result: it ended itself with exit code 4"):
        run_of("import os\nos._exit(4)\n", new_process=True)


# --- the environment of a child ----------------------------------------------------------------------------


def test_a_child_inherits_no_setting_of_python_pytest_or_colours(monkeypatch):
    given = {"PYTHONOPTIMIZE": "2", "PYTHONWARNINGS": "error", "PYTEST_ADDOPTS": "-x", "PYTHONPATH": "/a"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    found = environment.of_child({"MORE": "1"})
    assert found["PYTHONPATH"] == "/a"
    assert found["MORE"] == found["NO_COLOR"] == found["PYTHONUTF8"] == "1"
    assert not {"PYTHONOPTIMIZE", "PYTHONWARNINGS", "PYTEST_ADDOPTS", "FORCE_COLOR"} & found.keys()
    assert environment.of_child(own_settings=True)["PYTEST_ADDOPTS"] == "-x"


def test_a_script_is_compared_without_colours_and_in_utf_8(monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    done = worker.script("print('é ∞')\nraise RuntimeError('no')", expect="RuntimeError: no")
    assert (done.output, done.error) == ("é ∞\n", "RuntimeError: no")
