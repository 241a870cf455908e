"""`python -m tocdemo check LESSON`: what it prints, and the exit codes that an editor relies on."""

import json

import pytest

from tocdemo import cli
from tocdemo.course import progress
from tocdemo.subject import sources, workspace
from tocdemo.subject.workspace import Start

LESSON = "03_the_async_fixture"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("TOCDEMO_WORKSPACE", str(tmp_path / "workspace"))


def test_what_is_missing_is_said_with_file_and_line_and_exits_with_1(capsys):
    assert cli.main(["workspace", LESSON]) == 0
    capsys.readouterr()
    assert cli.main(["check", LESSON, "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert found.keys() == {"exercise", "done", "missing"}
    assert (found["exercise"], found["done"]) == ("async-fixture", False)
    assert f"{sources.CONFTEST}, line " in found["missing"][0]


def test_a_lesson_that_is_done_exits_with_0(capsys):
    workspace.of(LESSON).put(Start())
    assert cli.main(["check", "03"]) == 0
    assert "async-fixture: done." in capsys.readouterr().out
    assert progress.to_json()["lessons"][3]["done"] == ["async-fixture"]


def test_a_lesson_that_has_no_workspace_yet_exits_with_2(capsys):
    assert cli.main(["check", LESSON]) == 2
    assert "There is no workspace at " in capsys.readouterr().err


def test_an_unknown_lesson_exits_with_2_and_names_the_known(capsys):
    assert cli.main(["check", "nonsense", "--json"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "There is no lesson 'nonsense'. The lessons: 00_start_here, 01_alone_and_together" in shown.err
