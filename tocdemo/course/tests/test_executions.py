"""An executed notebook is kept until something changes that its outputs depend on."""

from dataclasses import replace
from pathlib import Path

import nbformat
import pytest

from tocdemo.course import executions
from tocdemo.course.manifest import ExpectedContract, Lesson
from tocdemo.errors import CourseError

LESSON = Lesson("01_x", "X", 1)


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A project of one lesson, with a counter in place of a kernel."""
    for folder in ("notebooks", "tocdemo/lab/tests", "tocdemo/site", "tocdemo/backend/tests", "lessons"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "requirements.txt").write_text("a==1")
    (tmp_path / "tocdemo" / "lab" / "a.py").write_text("a = 1")
    cells = [nbformat.v4.new_code_cell("1 / 0", id="one")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / "01_x.ipynb")
    runs = []

    def execute(notebook, folder):
        runs.append(folder)
        shown = nbformat.v4.new_output("stream", text=f"run {len(runs)}: {folder}/workspace/a.py")
        notebook.cells[0].outputs = [shown]
        return notebook

    monkeypatch.setattr(executions, "execute", execute)
    executions._surroundings.cache_clear()
    return tmp_path


def shown(root, lesson=LESSON):
    executions._surroundings.cache_clear()
    return executions.executed(root, lesson).cells[0].outputs[0].text


def test_it_is_run_once_and_says_nothing_of_where(root):
    assert shown(root) == "run 1: workspace/a.py"
    assert shown(root) == "run 1: workspace/a.py"
    assert executions.executed(root, LESSON).metadata["tocdemo"]["seconds"] >= 0
    assert len(list((root / executions.FOLDER).iterdir())) == 1


@pytest.mark.parametrize(
    "path",
    [
        "tocdemo/lab/a.py",
        "tocdemo/lab/b.json",
        "requirements.txt",
        "lessons/course.toml",
        "tocdemo/backend/tests/a.py",
    ],
)
def test_what_its_outputs_depend_on_lets_it_run_again(root, path):
    shown(root)
    (root / path).write_text("changed")
    assert shown(root).startswith("run 2")
    assert len(list((root / executions.FOLDER).iterdir())) == 1


@pytest.mark.parametrize("path", ["tocdemo/lab/tests/test_a.py", "tocdemo/site/a.css", "lessons/other.md"])
def test_what_they_do_not_depend_on_does_not(root, path):
    shown(root)
    (root / path).write_text("changed")
    assert shown(root).startswith("run 1")


def test_another_notebook_lets_it_run_again(root):
    shown(root)
    file = root / "notebooks" / "01_x.ipynb"
    file.write_text(file.read_text().replace("1 / 0", "1 / 1"))
    assert shown(root).startswith("run 2")


def test_a_run_that_breaks_its_contract_is_not_kept(root):
    lesson = replace(LESSON, expected=(ExpectedContract("one", "ZeroDivisionError"),))
    with pytest.raises(CourseError, match="01_x does not show what its contract says"):
        shown(root, lesson)
    assert not (root / executions.FOLDER).exists()


def test_several_are_told_of_when_they_have_to_run(root):
    told = []
    assert set(executions.all_of(root, [LESSON], told.append)) == {"01_x"}
    executions.all_of(root, [LESSON], told.append)
    assert told == ["running 01_x"]


def test_after_one_that_fails_those_that_wait_do_not_begin(root, monkeypatch):
    begun = []

    def fails(_root, lesson):
        begun.append(lesson.slug)
        raise CourseError("it failed")

    monkeypatch.setattr(executions, "executed", fails)
    monkeypatch.setattr(executions, "_file", lambda root, _: root / "none")
    with pytest.raises(CourseError, match="it failed"):
        executions.all_of(root, [replace(LESSON, slug=f"{number:02}_x") for number in range(200)])
    assert len(begun) < 200
