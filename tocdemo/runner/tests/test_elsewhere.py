"""Runs in another Python: its own packages and plugins hold, and the run that comes back is a run."""

import ast
import dataclasses
import json
import os
import sys
import threading
from pathlib import Path

import pytest

from tocdemo.errors import BadInput, CannotRun
from tocdemo.loopwatch import Recording
from tocdemo.runner import suite
from tocdemo.runner.elsewhere import carried, interpreters, process
from tocdemo.runner.elsewhere.answers import Lines, recording_of
from tocdemo.runner.options import RunOptions
from tocdemo.runner.result import Run

from .environments_without_network import ASYNCIO, PYTEST, make, pretend, program

INI = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
LOCK = """
import asyncio

lock = asyncio.Lock()

async def work():
    async with lock:
        await asyncio.sleep(0)

async def test_one():
    await asyncio.gather(work(), work())

async def test_two():
    await asyncio.gather(work(), work())
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """An environment with pytest and pytest-asyncio, and nothing else."""
    return make(tmp_path_factory.mktemp("environment") / ".venv", *PYTEST, *ASYNCIO)


def write(folder: Path, tests: str, ini: str = INI) -> Path:
    (folder / "pytest.ini").write_text(ini)
    (folder / "test_it.py").write_text(tests)
    return folder


def run(folder: Path, python: Path, **options) -> Run:
    return suite.run(folder, [str(folder)], RunOptions(python=str(python), own_settings=True, **options))


# --- what comes back


def test_a_run_elsewhere_is_the_run_that_it_is_here(tmp_path, python):
    write(tmp_path, LOCK)
    there = run(tmp_path, python)
    here = suite.run(tmp_path, [str(tmp_path)], RunOptions(own_settings=True))

    assert there.counts == here.counts
    assert (there.passed, there.failed) == (1, 1)
    for ours, theirs in zip(here.results, there.results, strict=True):
        same = ("nodeid", "outcome", "loop", "place", "code")
        assert [getattr(ours, name) for name in same] == [getattr(theirs, name) for name in same]
    assert "bound to a different event loop" in next(iter(there.error_lines))
    assert "test_it.py" in there.results[1].trace
    assert there.explain() == here.explain()
    assert "lock belongs to loop #1" in str(there.explain())
    assert "test_two" in str(there.timeline()._repr_html_())
    assert str(there.who_holds_what()._repr_html_())
    version = ".".join(map(str, sys.version_info[:3]))
    assert f"Run by Python {version} in {python.parent.parent}, pytest " in there.remark
    assert "pytest-asyncio " in there.remark


def test_a_recording_that_went_through_json_is_the_same(tmp_path):
    recording = suite.run(write(tmp_path, LOCK), [str(tmp_path)]).recording
    assert isinstance(recording, Recording)
    assert recording.uses
    assert recording_of(json.loads(recording.to_json())) == recording


def test_the_packages_there_are_its_own_and_none_of_ours(tmp_path, python, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(pytest.__file__).parent.parent))
    write(
        tmp_path,
        "import importlib.util, os, sys\n\n"
        "def test_it():\n"
        "    assert importlib.util.find_spec('tocdemo.loopwatch')\n"
        "    for ours in ('ipytest', 'pymongo', 'motor', 'tocdemo.server', 'tocdemo.lab'):\n"
        "        assert importlib.util.find_spec(ours) is None, ours\n"
        f"    assert sys.prefix == os.environ['VIRTUAL_ENV'] == {str(python.parent.parent)!r}\n"
        "    assert 'PYTHONPATH' not in os.environ\n"
        f"    assert os.environ['PATH'].split(os.pathsep)[0] == {str(python.parent)!r}\n"
        f"    assert os.getcwd() == {str(tmp_path)!r} and os.getcwd() not in sys.path[1:]\n",
        ini="[pytest]\naddopts = --import-mode=importlib\n",
    )
    assert run(tmp_path, python).green


def test_carried_modules_import_nothing_but_python_pytest_and_each_other(tmp_path):
    carried.copy_to(tmp_path)
    known = {*sys.stdlib_module_names, "pytest", "_pytest", "tomli"}  # pytest's own, before Python 3.11
    files = list(tmp_path.rglob("*.py"))
    assert len(files) > 40
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            for name in names:
                ours = tmp_path.joinpath(*name.split("."))
                is_ours = ours.is_dir() or ours.with_suffix(".py").is_file()
                assert name.partition(".")[0] in known or is_ours, f"{file} imports {name}"


def test_the_projects_own_settings_and_plugins_hold_and_its_folder_stays_clean(tmp_path, python, monkeypatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", "--deselect test_it.py::test_left_out")
    (tmp_path / "own_plugin.py").write_text("def pytest_report_header():\n    return 'the own plugin'\n")
    tests = "def test_it(cache):\n    cache.set('a/b', 1)\n\n\ndef test_left_out():\n    assert False\n"
    write(tmp_path, tests, ini="[pytest]\npythonpath = .\naddopts = -p own_plugin -v\n")
    before = sorted(tmp_path.rglob("*"))
    found = run(tmp_path, python)
    assert found.green
    assert found.total == 1
    assert "the own plugin" in found.text
    assert sorted(tmp_path.rglob("*")) == before


def test_a_backend_is_opened_here_and_named_there(tmp_path, python):
    code = (
        "import os, socket\n\n"
        "def test_it():\n"
        "    host, port = os.environ['DATABASE_URI'].removeprefix('mongodb://').split('/')[0].split(':')\n"
        "    socket.create_connection((host, int(port)), 5).close()\n"
        "    assert os.environ['DATABASE_NAME'].startswith('toctest_')\n"
    )
    assert run(write(tmp_path, code), python, backend="embedded").green


# --- narrowed, and each alone


def test_tests_run_there_each_alone_and_by_their_names(tmp_path, python):
    write(tmp_path, LOCK)
    heard = []
    alone = suite.run(
        tmp_path,
        [str(tmp_path)],
        RunOptions(python=str(python), each=True),
        on_progress=lambda done, total, left: heard.append((done, total)),
    )
    assert alone.green
    assert alone.total == 2
    assert heard[-1] == (2, 2)
    assert [each.name for each in run(tmp_path, python, only="test_two").results] == ["test_two"]
    assert [each.name for each in run(tmp_path, python, without="test_two").results] == ["test_one"]
    with pytest.raises(CannotRun, match="did you mean test_two"):
        run(tmp_path, python, only="test_tow")


def test_results_are_told_as_they_come(tmp_path, python):
    write(tmp_path, LOCK)
    told = []
    options = RunOptions(python=str(python))
    suite.run(tmp_path, [str(tmp_path)], options, on_result=lambda each: told.append(each.name))
    assert told == ["test_one", "test_two"]


@pytest.mark.parametrize("options", [{"times": 2}, {"fixtures": (pytest.fixture(lambda: 1),)}])
def test_what_cannot_go_there_is_refused(options):
    with pytest.raises(CannotRun, match="in another Python"):
        RunOptions(python="python3", **options)


def test_plugins_of_this_process_are_refused(tmp_path, python):
    with pytest.raises(CannotRun, match="in another Python"):
        suite.run(tmp_path, [], RunOptions(python=str(python)), plugins=[object()])


# --- when it does not come to its end


def test_a_test_that_ends_its_process_leaves_what_is_known(tmp_path, python):
    code = "import os\n\ndef test_a(): pass\n\ndef test_b(): os._exit(7)\n\ndef test_c(): pass\n"
    found = run(write(tmp_path, code), python)
    assert [each.outcome for each in found.results] == ["passed", "unfinished"]
    assert found.note == (
        "The process of this run is gone: it ended itself with exit code 7, as os._exit does, in test_b; "
        "1 of 3 tests did not begin."
    )


def test_a_process_that_crashes_says_its_signal_and_its_last_words(tmp_path, python):
    code = "import os, signal\n\n\ndef test_a():\n    os.kill(os.getpid(), signal.SIGSEGV)\n"
    found = run(write(tmp_path, code), python)
    assert "the signal SIGSEGV ended it, in test_a" in found.note
    assert "Fatal Python error: Segmentation fault" in found.text
    assert found.remark.endswith("Its last words: Fatal Python error: Segmentation fault")


def test_a_test_that_does_not_end_is_ended_with_its_process(tmp_path, python, monkeypatch):
    monkeypatch.setattr(process, "SPARE", 0.2)
    code = "import time\n\n\ndef test_a():\n    pass\n\n\ndef test_b():\n    time.sleep(60)\n"
    found = run(write(tmp_path, code), python, timeout=0.5)
    assert [each.outcome for each in found.results] == ["passed", "unfinished"]
    assert found.note == "The test test_b did not end within 0.5 s, so its process was ended."


def test_an_interrupt_ends_the_process_and_keeps_what_was_measured(tmp_path, python, monkeypatch):
    code = "import time\n\n\ndef test_a():\n    pass\n\n\ndef test_b():\n    time.sleep(60)\n"
    write(tmp_path, code)
    children = []
    start = process.subprocess.Popen
    monkeypatch.setattr(
        process.subprocess, "Popen", lambda *a, **k: children.append(start(*a, **k)) or children[-1]
    )

    def interrupt(result):
        raise KeyboardInterrupt

    found = suite.run(tmp_path, [str(tmp_path)], RunOptions(python=str(python)), on_result=interrupt)
    assert found.results[0].outcome == "passed"
    assert "it was interrupted" in found.note
    assert children[-1].poll() is not None


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("conftest.py", "import nothing_there\n", "conftest.py, line 1: ModuleNotFoundError"),
        ("pytest.ini", "[pytest]\naddopts = --no-such-option\n", "unrecognized arguments: --no-such-option"),
        (
            "conftest.py",
            "import os\nos._exit(3)\n",
            "ended before it ran a test: it ended itself with exit code 3",
        ),
        ("test_it.py", "", "pytest found no test"),
    ],
)
def test_a_run_that_comes_to_no_test_says_why(tmp_path, python, file, text, said):
    write(tmp_path, LOCK)
    (tmp_path / file).write_text(text)
    with pytest.raises(CannotRun, match=said):
        run(tmp_path, python)


def test_a_file_that_cannot_be_imported_is_a_result(tmp_path, python):
    found = run(write(tmp_path, "import nothing_there\n"), python)
    assert found.errors == 1
    assert next(iter(found.error_lines)) == "ModuleNotFoundError: No module named 'nothing_there'"


@pytest.mark.parametrize("file", ["conftest.py", "tests/test_it.py"])
def test_a_module_that_only_python_m_pytest_finds_is_told_of(tmp_path, python, file):
    (tmp_path / "app").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    (tmp_path / "tests" / "test_it.py").write_text("def test_it():\n    pass\n")
    (tmp_path / file).write_text("import app.main\n")
    try:
        said = run(tmp_path, python).remark
    except CannotRun as error:
        said = str(error)
    assert f"app lies in {tmp_path}: `python -m pytest` looks there for modules, `pytest` does not" in said


# --- which Python


def test_the_nearest_environment_of_a_project_is_found(tmp_path):
    project = tmp_path / "repository" / "service"
    (project / "tests").mkdir(parents=True)
    (tmp_path / "repository" / ".git").mkdir()
    (project / "pyproject.toml").write_text("")
    assert interpreters.find(project / "tests") is None
    beyond = make(tmp_path / ".venv")
    assert interpreters.find(project / "tests") is None, "it lies outside of the repository"
    shared = make(tmp_path / "repository" / "venv")
    assert interpreters.find(project / "tests") == shared
    own = make(project / ".venv")
    assert interpreters.find(project / "tests") == own != beyond
    (project / ".venv" / "pyvenv.cfg").unlink()
    assert interpreters.find(project / "tests") == shared, "without pyvenv.cfg it is no environment"


def test_the_environment_that_runs_now_is_not_another_one(tmp_path, monkeypatch):
    make(tmp_path / ".venv")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    assert interpreters.find(tmp_path) is None


def test_poetry_is_asked_where_it_keeps_an_environment(tmp_path, monkeypatch):
    elsewhere = make(tmp_path / "cache" / "service-py3")
    asked = f"import os, sys\nassert 'VIRTUAL_ENV' not in os.environ\nprint({str(elsewhere)!r})"
    program(tmp_path / "bin" / "poetry", f"{asked}\nassert sys.argv[1:4] == ['env', 'info', '--executable']")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.setenv("VIRTUAL_ENV", "/ours")
    project = tmp_path / "project"
    project.mkdir()
    assert interpreters.find(project) is None, "it is not Poetry's"
    (project / "poetry.lock").touch()
    assert interpreters.find(project) == elsewhere
    (project / "poetry.lock").unlink()
    (project / "pyproject.toml").write_text("[tool.poetry]\n")
    assert interpreters.find(project) == elsewhere
    program(tmp_path / "bin" / "poetry", "import sys\nsys.exit('no environment yet')")
    assert interpreters.find(project) is None


def test_a_python_is_named_by_its_file_its_folder_or_its_command(tmp_path, monkeypatch):
    python = make(tmp_path / "env")
    assert interpreters.named(python) == interpreters.named(tmp_path / "env") == python
    monkeypatch.setenv("PATH", str(python.parent))
    assert interpreters.named("python") == python
    monkeypatch.chdir(tmp_path)
    assert interpreters.named("env") == python
    for nothing in (tmp_path / "nothing", "no-such-python", tmp_path):
        with pytest.raises(BadInput, match="There is no Python"):
            interpreters.named(nothing)


def test_a_python_that_cannot_run_the_suite_says_why(tmp_path):
    assert interpreters.ask(make(tmp_path / "good", *PYTEST)).packages["pytest"] == pytest.__version__
    cases = {
        make(tmp_path / "bare"): "has no pytest. Install",
        pretend(
            tmp_path / "old", (3, 10, 13), pytest="8.4.2"
        ): r"is 3\.10\.13\. What runs a suite .* 3\.11 or newer",
        pretend(tmp_path / "pytest7", (3, 12, 1), pytest="7.3.2"): r"pytest, 7\.3\.2 .* needs 7\.4 or newer",
        program(
            tmp_path / "broken", "import sys\nsys.exit('it is broken')"
        ): "is no Python that starts: it is broken",
        program(tmp_path / "silent", "pass"): "is no Python that starts: exit code 0",
    }
    (tmp_path / "text").write_text("no program")
    cases[tmp_path / "text"] = "is no Python that starts: Permission denied"
    for python, said in cases.items():
        with pytest.raises(CannotRun, match=said):
            interpreters.ask(python)


def test_an_executable_is_not_followed_to_where_its_link_leads(tmp_path):
    """The link's own place says to which environment a Python belongs."""
    python = make(tmp_path / "env", *PYTEST)
    assert interpreters.ask(interpreters.named(python)).prefix == tmp_path / "env"


# --- lines


def test_lines_are_read_once_and_whole(tmp_path):
    lines, file = Lines(tmp_path / "answers"), tmp_path / "answers"
    assert list(lines.new()) == []
    file.write_text('{"a": 1}\n{"b"')
    assert list(lines.new()) == [{"a": 1}]
    with file.open("a") as more:
        more.write(': "ü"}\n')
    assert list(lines.new()) == [{"b": "ü"}]
    assert list(lines.new()) == []


def test_two_runs_there_at_once_do_not_meet(tmp_path, python):
    found = {}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, LOCK)
    threads = [
        threading.Thread(target=lambda n=name: found.update({n: run(tmp_path / n, python)})) for name in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: dataclasses.astuple(each.counts)[:2] for name, each in found.items()} == {
        "a": (1, 1),
        "b": (1, 1),
    }
