"""The verbs of exercises on a learner's workspace: what they show, what they remember, what they keep."""

import pytest

from tocdemo import lab
from tocdemo.errors import BadInput
from tocdemo.lab.notebook import NOTEBOOK
from tocdemo.subject import sources

FIXTURE, LESSON = "async-fixture", "03_the_async_fixture"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("TOCDEMO_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setattr(NOTEBOOK, "hints_shown", {})
    monkeypatch.setattr(NOTEBOOK, "lesson", None)
    return tmp_path / "workspace" / LESSON


def test_check_never_raises():
    assert "There is no exercise 'nonsense'" in lab.check("nonsense").missing[0]
    assert "there is no folder" in lab.check(FIXTURE).missing[0]


def test_check_judges_the_workspace_of_the_exercises_lesson_or_a_folder(place, tmp_path):
    lab.lesson(LESSON)
    lab.workspace("fixed")
    lab.lesson("04_io_loop")
    assert lab.check(FIXTURE).done
    assert lab.check(FIXTURE, place).done
    assert not lab.check(FIXTURE, tmp_path / "elsewhere").done


def test_each_hint_comes_after_the_one_before():
    assert [len(lab.hint(FIXTURE).texts) for _ in range(2)] == [1, 2]
    assert NOTEBOOK.hints_shown == {FIXTURE: 2}
    with pytest.raises(BadInput, match="There is no exercise 'nonsense'"):
        lab.hint("nonsense")


def test_a_solution_is_written_only_on_demand_and_keeps_what_was_there(place):
    with pytest.raises(BadInput, match="no workspace"):
        lab.solution(FIXTURE)
    lab.lesson(LESSON)
    conftest = place / sources.CONFTEST
    own = f"{conftest.read_text()}\n# my own line\n"
    conftest.write_text(own)
    proposal = lab.solution(FIXTURE)
    assert not proposal.applied
    assert conftest.read_text() == own
    done = lab.solution(FIXTURE, apply=True)
    assert done.applied
    assert conftest.read_text() != own
    assert "# my own line" in conftest.read_text()
    (kept,) = done.kept
    assert kept.read_text() == own
    assert str(kept) in str(done)
    assert lab.check(FIXTURE).done
