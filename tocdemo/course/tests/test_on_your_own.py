"""The last exercise: whatever cures the project is done, and whatever only looks like it is named.

The edits are diffs of the project as it starts, in the folder `on_your_own`.
"""

from pathlib import Path

import pytest

from tocdemo.course import exercises
from tocdemo.course.exercises import merging
from tocdemo.course.exercises.course_texts import solved
from tocdemo.subject import sources

EXERCISE = exercises.get("on-your-own")
EDITS = Path(__file__).with_name("on_your_own")
RIGHT = sorted(path.stem for path in (EDITS / "right").glob("*.diff"))
NOT_THROUGH_MOTOR = "no test reaches the database through Motor any more"
CLOSED = "RuntimeError: Event loop is closed"

WRONG = {
    "only_the_jobs": "repairs/numbers.py, line 16: together, ",
    "only_the_numbers": "repairs/jobs.py, line 18: together, ",
    "collections_that_are_compared": CLOSED,  # two of different clients may be equal
    "the_client_is_not_closed": CLOSED,
    "the_tests_that_fail_are_skipped": "line 11: `test_the_first_number_is_one` is skipped",
    "they_may_fail": "is skipped or expected to fail",
    "what_fails_is_swallowed": CLOSED,
    "fixed_and_what_fails_is_swallowed": "passes, too, when",
    "a_test_is_gone": "`test_numbers_taken_at_once_differ` is not found by pytest any more",
    "a_file_is_left_out": "is not found by pytest any more",
    "an_assert_is_gone": "tests/test_jobs.py, line 32: `test_a_finished_job_is_done` passes, too, when ",
    "an_assert_is_weaker": "when the field `last` of what is read is altered",
    "one_of_three_asserts_is_gone": "when the field `work` of what is read is altered",
    "an_error_that_must_come_may_come": "when something is found that nobody stored",
    "a_mock": NOT_THROUGH_MOTOR,
    "another_client": NOT_THROUGH_MOTOR,
    "nest_asyncio": "is another than its makers'",
    "loops_that_are_never_closed": "`asyncio.BaseEventLoop.close` is another than its makers'",
    "motor_that_takes_another_loop": "`AsyncIOMotorClient.get_io_loop` is another than its makers'",
    "what_fails_is_a_skip": "tests/test_jobs.py, line 18: `test_a_job_is_found_by_its_number` is skipped",
    "a_default_argument": "repairs/jobs.py, line 14: together, ",
    "one_loop_and_a_client_that_is_closed_all_the_same": "Cannot use MongoClient after close",
    "a_loop_for_each_file": "repairs/numbers.py, line 16: together, 3 tests fail here",
}


def checked(kind, name):
    begins = EXERCISE.begins.files
    edit = merging.patched_all(begins, (EDITS / kind / f"{name}.diff").read_text(encoding="utf-8"))
    with sources.copied({**begins, **edit}) as folder:
        return exercises.check(EXERCISE, folder)


@pytest.mark.parametrize("name", RIGHT)
def test_whatever_cures_it_is_done(name):
    verdict = checked("right", name)
    assert verdict.done, str(verdict)


@pytest.mark.parametrize("name", WRONG)
def test_what_only_looks_like_it_is_named(name):
    verdict = checked("wrong", name)
    assert not verdict.done
    assert WRONG[name] in "\n".join(verdict.missing), str(verdict)


def test_every_edit_is_tried():
    assert len(RIGHT) >= 6
    assert sorted(WRONG) == sorted(path.stem for path in (EDITS / "wrong").glob("*.diff"))


def test_the_solution_keeps_what_is_right():
    jobs, numbers = "repairs/jobs.py", "repairs/numbers.py"
    files = {**EXERCISE.begins.files, jobs: f"{solved(EXERCISE)[jobs]}\n# my own words\n"}
    with sources.copied(files) as folder:
        proposal = exercises.solution(EXERCISE, folder)
    assert proposal.merged
    assert [change.path for change in proposal.changes] == [numbers]
