"""The verbs for a project of one's own, on one that has an environment of its own and on one without."""

import sys
from pathlib import Path

import pytest

from tocdemo import lab
from tocdemo.errors import BadInput, CannotRun
from tocdemo.lab.notebook import NOTEBOOK
from tocdemo.runner.elsewhere import commands
from tocdemo.runner.tests.environments_without_network import ASYNCIO, PYTEST, make, program
from tocdemo.subject import workspace


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TOCDEMO_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setattr(NOTEBOOK, "lesson", None)
    return tmp_path / "workspace" / workspace.PLAYGROUND


@pytest.fixture
def project(tmp_path) -> Path:
    """A project whose only test tells which Python runs it."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    code = "import sys\n\ndef test_it():\n    raise LookupError(sys.prefix)\n"
    (folder / "test_it.py").write_text(code)
    return folder


def test_a_suite_at_a_path_runs_in_the_environment_that_it_has(project):
    assert sys.prefix in next(iter(lab.run(project).error_lines))
    make(project / ".venv", *PYTEST, *ASYNCIO)
    run = lab.run(project)
    assert str(project / ".venv") in next(iter(run.error_lines))
    assert f"in {project / '.venv'}, pytest {pytest.__version__}, with pytest-asyncio" in run.remark
    assert NOTEBOOK.last_run is run
    assert str(lab.explain()) == "No test failed because of another event loop."


def test_another_python_can_be_named(project, tmp_path):
    make(project / ".venv")  # it has no pytest
    with pytest.raises(CannotRun, match="has no pytest"):
        lab.run(project)
    other = make(tmp_path / "other", *PYTEST)
    for name in (other, tmp_path / "other", str(other)):
        assert str(tmp_path / "other") in next(iter(lab.run(project, python=name).error_lines))
    with pytest.raises(BadInput, match="There is no Python at"):
        lab.run(project, python="nothing/here")


def test_a_command_runs_where_the_project_is_with_its_environment_active(project):
    own = make(project / ".venv")
    code = "import os, sys; print(os.getcwd(), sys.prefix, os.environ['VIRTUAL_ENV'])"
    shown = lab.terminal(f'python -c "{code}"', project / "test_it.py")
    assert shown.text.split() == [str(project), *[str(own.parent.parent)] * 2]
    program(project / ".venv" / "bin" / "own-tool", "print('the own tool')\nraise SystemExit(3)")
    assert str(lab.terminal("own-tool", project)) == "$ own-tool\nthe own tool\n(exit status 3)"
    assert "(exit status 3)" in lab.terminal("own-tool", project)._repr_mimebundle_()["text/html"]
    other = lab.terminal("python -c 'import sys; print(sys.prefix)'", project, python=sys.executable)
    assert other.text.strip() == sys.prefix


def test_a_command_finds_a_database(project):
    code = "import os, pymongo; print(pymongo.MongoClient(os.environ['DATABASE_URI']).admin.command('ping'))"
    assert "'ok': 1.0" in lab.terminal(f'python -c "{code}"', project, backend="embedded").text


def test_a_command_that_cannot_run_says_so(project, monkeypatch):
    with pytest.raises(CannotRun, match="There is no command 'no-such-command'"):
        lab.terminal("no-such-command", project)
    with pytest.raises(BadInput, match="Expected a command"):
        lab.terminal(" ", project)
    monkeypatch.setattr(commands, "LIMIT", 0.2)
    with pytest.raises(CannotRun, match=r"did not end within 0\.2 s"):
        lab.terminal("python -c 'import time; time.sleep(30)'", project)


def test_the_checklist_is_shown_and_lies_in_the_workspace_to_be_printed(place):
    shown = lab.checklist()
    assert shown.file == place / "checklist.html"
    assert "<h1>Async tests that hold: a checklist</h1>" in shown.file.read_text(encoding="utf-8")
    bundle = shown._repr_mimebundle_()
    assert "(05_dynamic_references.ipynb)" in bundle["text/markdown"]
    assert ".md)" not in bundle["text/markdown"]
    assert "- ☐ Run it alone" in bundle["text/markdown"]
    assert str(shown.file) in bundle["text/markdown"]
    assert "[05]" in bundle["text/plain"]
