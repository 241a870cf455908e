"""Every edit of the tables: a wrong one is not done, and named with its place; a right variant is done.

They are checked one after the other by the one process that checks keep warm. With TOCDEMO_EDITS=all in the
environment the rare ones are tried, too.
"""

import os

import pytest

from tocdemo.course import exercises

from .learners import checked
from .tables import KINDS, TABLES, edits_of

EXERCISES = exercises.all_of()
EDITS = {exercise.name: list(edits_of(exercise)) for exercise in EXERCISES}
ALL = os.environ.get("TOCDEMO_EDITS") == "all"
TRIED = [edit for edits in EDITS.values() for edit in edits if ALL or not edit.rare]


@pytest.mark.parametrize("edit", TRIED, ids=str)
def test_an_edit_is_judged_by_what_it_does(edit):
    verdict = checked(edit.exercise, edit.texts)
    assert verdict.done == (edit.kind == "right"), str(verdict)
    named = any(all(words in sentence for words in edit.says) for sentence in verdict.missing)
    assert named or not edit.says, str(verdict)


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_a_table_has_six_of_each_kind_and_each_once(exercise):
    edits = EDITS[exercise.name]
    for kind in KINDS:
        assert sum(edit.kind == kind and not edit.rare for edit in edits) >= 6
    assert len({(edit.kind, edit.title) for edit in edits}) == len(edits)
    assert len({tuple(sorted(edit.texts.items())) for edit in edits}) == len(edits)
    assert all(edit.texts for edit in edits)


def test_a_wrong_edit_says_the_place_that_is_to_be_named():
    wrong = [edit for edits in EDITS.values() for edit in edits if edit.kind == "wrong"]
    files = {str(edit): "".join(edit.says[:1]).partition(",")[0] for edit in wrong}
    assert [edit for edit, file in files.items() if not file.endswith((".py", ".ini"))] == []


def test_each_table_is_one_of_an_exercise():
    assert sorted(path.stem for path in TABLES.glob("*.toml")) == sorted(EDITS)
