"""What counts as done, and what becomes of a file of progress that is broken."""

import pytest

from tocdemo.course import lessons, progress
from tocdemo.course.contracts import EXPECTED_TYPE, RUN_TYPE

INCIDENT = {
    "passed": 2,
    "failed": 26,
    "error_lines": {"RuntimeError: Event loop is closed": 26},
    "passed_tests": ["t::test_update_toc_success", "t::test_update_toc_invalid_book_id_format"],
}
RUNS = ("sync_fixture", "async_fixture", "async_fixture_again")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("TOCDEMO_WORKSPACE", str(tmp_path / "workspace"))
    return tmp_path


@pytest.fixture
def lesson():
    return lessons.get("03_the_async_fixture")


def test_a_lesson_is_done_when_each_run_and_exercise_came_out_once(lesson):
    for cell in RUNS:
        progress.note_cell(lesson, cell, [{RUN_TYPE: INCIDENT}])
    assert progress.of(lesson).open == ("async-fixture",)
    progress.note_exercise(lesson, "async-fixture")
    assert progress.of(lesson).is_done
    progress.note_cell(lesson, RUNS[0], [{RUN_TYPE: {**INCIDENT, "passed": 28, "failed": 0}}])
    assert progress.of(lesson).is_done
    assert progress.next_lesson() == lessons.all_of()[0]


@pytest.mark.parametrize(
    "shown",
    [
        [],
        [{RUN_TYPE: {**INCIDENT, "passed": 3}}],
        [{RUN_TYPE: INCIDENT}, {RUN_TYPE: INCIDENT}],
        [{EXPECTED_TYPE: {"type": "RuntimeError", "message": "Event loop is closed"}}],
        [{"text/plain": "2 passed, 26 failed"}],
    ],
)
def test_what_a_cell_shows_otherwise_counts_for_nothing(lesson, shown):
    progress.note_cell(lesson, RUNS[0], shown)
    assert progress.of(lesson).done == ()


def test_another_cell_counts_for_nothing(lesson):
    progress.note_cell(lesson, "who_before", [])
    progress.note_cell(lesson, "no such cell", [{RUN_TYPE: INCIDENT}])
    assert not progress.file().exists()


@pytest.mark.parametrize("broken", ["{ not json", "[]", '{"03_the_async_fixture": 3}', "\x00"])
def test_a_broken_file_is_set_aside_with_a_word_and_not_lost(lesson, place, broken):
    progress.file().write_text(broken)
    assert progress.of(lesson).done == ()
    assert "it is set aside as workspace-progress.broken-" in progress.told()
    (aside,) = place.glob("workspace-progress.broken-*.json")
    assert aside.read_text() == broken
    progress.note_exercise(lesson, "async-fixture")
    assert progress.of(lesson).done == ("async-fixture",)
    assert "set aside" not in progress.told()


def test_a_note_on_a_broken_file_sets_it_aside_too(lesson, place):
    progress.file().write_text("broken")
    progress.note_exercise(lesson, "async-fixture")
    assert progress.of(lesson).done == ("async-fixture",)
    assert len(list(place.glob("workspace-progress.broken-*.json"))) == 1


def test_every_lesson_has_something_to_do():
    assert [state.lesson.slug for state in progress.of_all() if not state.open] == []
