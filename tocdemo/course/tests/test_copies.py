"""A learner's copies of the notebooks: what a pull brings, and what it never takes."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tocdemo.course import copies
from tocdemo.subject.backups import Backups


@pytest.fixture
def house(tmp_path):
    (tmp_path / "notebooks").mkdir()
    return tmp_path


def publish(house, **cells):
    """Write the course's notebook with these cells, by id; return nothing."""
    made = [new_code_cell(text, id=name) for name, text in cells.items()]
    nbformat.write(new_notebook(cells=made), house / "notebooks" / "01_one.ipynb")


def pull(house):
    (done,) = copies.bring_up_to_date(house / "notebooks", house / "workspace", Backups(house / "backups"))
    return done


def copy_of(house):
    return nbformat.read(house / "workspace" / "01_one.ipynb", as_version=4)


def change(house, edit):
    own = copy_of(house)
    edit(own)
    nbformat.write(own, house / "workspace" / "01_one.ipynb")


def texts(house):
    return [cell.source for cell in copy_of(house).cells]


def run(cell):
    cell.execution_count = 1
    cell.outputs = [new_output("stream", text="42\n")]


def test_a_copy_is_made_once_and_what_was_run_in_it_stays(house):
    publish(house, a="1", b="2")
    assert pull(house).what == "made"
    change(house, lambda own: run(own.cells[0]))
    assert pull(house).what == "unchanged"
    assert copy_of(house).cells[0].outputs[0].text == "42\n"


def test_what_the_course_changed_comes_and_outputs_of_other_cells_stay(house):
    publish(house, a="1", b="2")
    pull(house)
    change(house, lambda own: [run(cell) for cell in own.cells])
    publish(house, a="1", b="two", c="3")
    assert str(pull(house)) == "01_one.ipynb: brought up to date"
    assert texts(house) == ["1", "two", "3"]
    assert [len(cell.outputs) for cell in copy_of(house).cells] == [1, 0, 0]
    assert pull(house).what == "unchanged"


def test_a_cell_that_a_learner_changed_stays_theirs_with_a_word_when_both_did(house):
    publish(house, a="1", b="2")
    pull(house)

    def edit(own):
        own.cells[0].source = "mine"
        own.cells[1].source = "mine, too"

    change(house, edit)
    publish(house, a="1", b="two")
    assert "1 cells are as you left them" in str(pull(house))
    assert texts(house) == ["mine", "mine, too"]


def test_cells_that_a_learner_added_or_deleted_stay_so(house):
    publish(house, a="1", b="2", c="3")
    pull(house)

    def edit(own):
        del own.cells[1]
        own.cells.insert(0, new_markdown_cell("on top"))
        own.cells.insert(2, new_markdown_cell("after a"))

    change(house, edit)
    publish(house, a="1", b="2", c="three")
    pull(house)
    assert texts(house) == ["on top", "1", "after a", "three"]


def test_a_deleted_cell_comes_back_when_the_course_changed_it(house):
    publish(house, a="1", b="2")
    pull(house)
    change(house, lambda own: own.cells.pop())
    publish(house, a="1", b="two")
    pull(house)
    assert texts(house) == ["1", "two"]


def test_the_copy_as_it_was_is_kept(house):
    publish(house, a="1")
    pull(house)
    change(house, lambda own: run(own.cells[0]))
    before = (house / "workspace" / "01_one.ipynb").read_bytes()
    publish(house, a="one")
    pull(house)
    assert [backup.place.read_bytes() for backup in Backups(house / "backups").all_of()] == [before]


@pytest.mark.parametrize(
    ("text", "word"), [("no notebook", "cannot be read"), (None, "not made by the course")]
)
def test_what_is_no_copy_of_the_courses_is_left(house, text, word):
    publish(house, a="1")
    place = house / "workspace" / "01_one.ipynb"
    place.parent.mkdir()
    place.write_text(text or nbformat.writes(new_notebook(cells=[new_code_cell("mine")])))
    before = place.read_bytes()
    done = pull(house)
    assert done.what == "left"
    assert word in done.word
    assert place.read_bytes() == before
