"""Lessons as a notebook opens them: what a cell shows counts, edits are found again, backups come back."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tocdemo import lab
from tocdemo.course import progress
from tocdemo.course.jupyter import environment, execute
from tocdemo.errors import BadInput
from tocdemo.lab.notebook import NOTEBOOK
from tocdemo.subject import sources, workspace

LESSON = "03_the_async_fixture"


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("TOCDEMO_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setattr(NOTEBOOK, "lesson", None)
    return tmp_path / "workspace"


def test_a_lesson_works_on_its_own_workspace_and_finds_the_edits_again(root):
    lab.lesson("03")
    assert lab.folder() == root / LESSON
    (root / LESSON / sources.CONFTEST).write_text("# mine\n")
    lab.lesson("04_io_loop")
    assert lab.folder() == root / "04_io_loop"
    assert "Your edits of tests/conftest.py are as you left them" in str(lab.lesson(LESSON))
    with pytest.raises(BadInput, match=r"no lesson 'nonsense'\. The lessons: 00_start_here"):
        lab.lesson("nonsense")


def test_a_notebook_that_is_no_lesson_has_the_playground(root):
    lab.workspace("fixed")
    assert lab.folder() == root / workspace.PLAYGROUND
    assert "is as at the start" in lab.reset().headline
    with pytest.raises(BadInput, match=r"lab\.map\(\) shows"):
        lab.progress()


def test_a_reset_keeps_and_restore_lists_and_brings_back(root):
    lab.lesson(LESSON)
    assert "Nothing of yours" in str(lab.restore())
    own = root / LESSON / sources.CONFTEST
    own.write_text("# mine\n")
    lab.reset()
    assert "# mine" not in own.read_text()
    listed = lab.restore()
    assert "1  tests/conftest.py" in str(listed)
    assert 'href="' in listed._repr_html_()
    lab.restore(1)
    assert own.read_text() == "# mine\n"


def test_the_map_and_the_progress_show_ticks_and_the_next(root):
    lesson = lab.lesson("00") and NOTEBOOK.lesson
    for part in progress.of(lesson).open:
        progress.note_exercise(lesson, part)
    assert "This lesson is done." in str(lab.progress())
    assert "Next: " in str(lab.progress())
    html = lab.map()._repr_html_()
    assert html.count("✓ done") == 1
    assert '<a href="01_alone_and_together.ipynb">Alone and together</a>' in html
    assert html.count("← next") == 1


def test_what_cells_of_a_lesson_show_counts_once_it_is_as_it_should_be(root, tmp_path):
    cells = [
        "from tocdemo import lab\nlab.lesson('03_the_async_fixture')",
        "before = lab.run()\nbefore",
        "lab.guess()\nbefore = lab.run()\nbefore",  # the text of the lesson's cell
        "after = lab.run(guess=lab.guess())\nlab.run(only='test_update_toc_success')",
    ]
    notebook = new_notebook(cells=[new_code_cell(text) for text in cells])
    done = execute(notebook, tmp_path)
    assert [each for cell in done.cells for each in cell.outputs if each.output_type == "error"] == []
    assert progress.to_json()["lessons"][3]["done"] == ["sync_fixture"]


def test_a_whole_lesson_run_from_top_to_bottom_is_done(root, tmp_path):
    notebook = nbformat.read(workspace.ROOT / "notebooks" / f"{LESSON}.ipynb", as_version=4)
    execute(notebook, tmp_path)
    state = progress.to_json()["lessons"][3]
    # Its check runs before the solution is written: nobody has done the exercise yet.
    assert state["open"] == ["async-fixture"]


def test_a_kernel_that_was_restarted_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_PATH", environment()["JUPYTER_PATH"])
    cells = [new_code_cell(text) for text in ("lab.run()", "labb", "from tocdemo import lab\nlab.nonsense")]
    done = execute(new_notebook(cells=cells), tmp_path)
    sentence, other, attribute = ([output for output in cell.outputs] for cell in done.cells)
    assert "Run the lesson's first cell again" in sentence[0].text
    assert "Traceback" not in sentence[0].text
    assert (other[0].output_type, other[0].ename) == ("error", "NameError")
    assert attribute[0].ename == "AttributeError"
