"""Every exercise: its start is not done, and its solution is. (What edits are: see `tables`.)"""

import pytest

from tocdemo.course import exercises
from tocdemo.course.exercises.course_texts import solved
from tocdemo.subject import faults

from .learners import checked

ALL = exercises.all_of()


@pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.name)
def test_the_start_is_not_done_and_says_where(exercise):
    verdict = checked(exercise.name)
    assert not verdict.done
    assert all(any(path in sentence for path in exercise.files) for sentence in verdict.missing[:1])
    assert verdict.next_step()


@pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.name)
def test_the_solution_is_done(exercise):
    verdict = checked(exercise.name, solved(exercise))
    assert verdict.done, str(verdict)


def test_a_test_that_is_left_out_by_an_option_is_not_deleted():
    exercise = exercises.get("first-test")
    option = "addopts = --deselect tests/test_db/test_toc_transactions.py::test_update_toc_success"
    settings = faults.with_faults(exercise.start)["pytest.ini"].replace("addopts =", option)
    verdict = checked("first-test", {"pytest.ini": settings})
    assert "pytest leaves it out, but it is still there" in str(verdict)


def test_a_problem_that_no_file_has_is_followed_by_no_hint():
    verdict = exercises.Verdict("nonsense", problem=exercises.Problem("There is no exercise 'nonsense'."))
    assert verdict.next_step() == ""
    assert "hint" not in str(verdict)
    assert "hint" not in verdict._repr_mimebundle_()["text/html"]
