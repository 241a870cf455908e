"""Hints come one by one; a solution keeps what a learner did right, to the byte, and writes when told."""

import dataclasses

import pytest

from tocdemo.course import exercises
from tocdemo.course.exercises import catalogue, merging
from tocdemo.course.exercises.course_texts import solved
from tocdemo.course.manifest import load
from tocdemo.errors import CourseError
from tocdemo.subject import faults, sources

from .learners import learners

IMPORTED = ("import pytest\n", "import pytest\nimport pytest_asyncio\n")
FIXTURE = "@pytest.fixture\ndef motor_reinit_db"
MAKE = "make_client(base.settings)"
OLD_IMPORT = "from app.db.base import books_collection"


def proposed(name, path, *replacements, raw=None):
    """Return the proposal for the exercise's start with texts replaced, and the file as it would be."""
    with learners(name) as (exercise, folder):
        text = (folder / path).read_text(encoding="utf-8") if (folder / path).exists() else ""
        for old, new in replacements:
            assert old in text, f"{old!r} is not in {path}"
            text = text.replace(old, new)
        (folder / path).write_bytes(text.encode() if raw is None else raw)
        before = (folder / path).read_bytes()
        proposal = exercises.solution(exercise, folder)
        assert (folder / path).read_bytes() == before, "a proposal writes nothing"
        kept = []
        done = proposal.apply(folder, lambda paths: kept.extend(paths) or ())
        assert kept == [change.path for change in proposal.changes]
        assert exercises.check(exercise, folder).done
        assert str(done) != str(proposal) or not proposal.changes
        return proposal, (folder / path).read_bytes().decode("utf-8")


def test_a_half_that_is_right_stays_as_it_was_written():
    proposal, text = proposed(
        "async-fixture",
        sources.CONFTEST,
        (IMPORTED[0], "import pytest\nimport pytest_asyncio as own_name\n"),
        (FIXTURE, "@own_name.fixture()  # mine\ndef motor_reinit_db"),
    )
    assert proposal.merged
    assert "@own_name.fixture()  # mine\nasync def motor_reinit_db" in text
    assert text.count("pytest_asyncio") == 1


def test_a_module_by_another_name_stays_beside_the_solutions():
    proposal, text = proposed(
        "test-references",
        sources.SUITE,
        (OLD_IMPORT, "from app.db import base as db"),
        ("await books_collection.insert", "await db.books_collection.insert"),
    )
    assert proposal.merged
    assert "from app.db import base as db\nfrom app.db import base\n" in text
    assert "await db.books_collection.insert" in text
    assert "await base.books_collection.find_one" in text


def test_one_file_of_two_is_not_touched():
    exercise = exercises.get("references-alone")
    own = solved(exercise)[sources.APP].replace("audit_log, base", "audit_log, base  # mine")
    with learners("references-alone", {sources.APP: own}) as (exercise, folder):
        proposal = exercises.solution(exercise, folder)
    assert [change.path for change in proposal.changes] == [sources.SUITE]


def test_what_is_done_needs_no_solution():
    exercise = exercises.get("io-loop")
    with learners("io-loop", solved(exercise)) as (exercise, folder):
        proposal = exercises.solution(exercise, folder)
        assert proposal.changes == ()
        proposal.apply(folder, keep=lambda paths: pytest.fail("nothing is replaced") if paths else ())
    assert "nothing to change" in str(proposal)


def test_line_ends_and_the_byte_order_mark_stay():
    with learners("io-loop") as (_, folder):
        text = (folder / sources.CONFTEST).read_text(encoding="utf-8")
    raw = b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()
    _, after = proposed("io-loop", sources.CONFTEST, raw=raw)
    assert after.startswith("\ufeff")
    assert after.count("\n") == after.count("\r\n")


@pytest.mark.parametrize("raw", [b"import pytest\n", bytes(range(256)), b"x = 1\n" * 200_000])
def test_what_is_too_different_is_replaced_by_the_courses_version(raw):
    proposal, text = proposed("async-fixture", sources.CONFTEST, raw=raw)
    assert not proposal.merged
    assert "too different" in str(proposal)
    assert text == solved(exercises.get("async-fixture"))[sources.CONFTEST]


def test_a_line_that_is_no_python_is_replaced_alone():
    proposal, text = proposed(
        "io-loop",
        sources.CONFTEST,
        (MAKE, "make_client(base.settings"),
        ("# Tests empty", "# Mine: tests empty"),
    )
    assert proposal.merged
    assert "# Mine: tests empty" in text


def test_a_proposal_is_not_written_over_what_has_changed_since():
    with learners("io-loop") as (exercise, folder):
        proposal = exercises.solution(exercise, folder)
        file = folder / sources.CONFTEST
        file.write_text(file.read_text() + "# later\n")
        with pytest.raises(ValueError, match="changed since"):
            proposal.apply(folder, keep=lambda paths: ())
        assert file.read_text().endswith("# later\n")


def test_hints_come_one_more_at_each_call_and_all_when_it_is_done():
    exercise = exercises.get("io-loop")
    assert [len(exercises.hint(exercise, shown).texts) for shown in range(4)] == [1, 2, 3, 3]
    assert str(exercises.hint(exercise, 0)).startswith("Hint 1 of 3: ")
    with learners("io-loop") as (exercise, folder):
        assert exercises.hint(exercise, 0, folder).others == ""
    own = solved(exercise)[sources.CONFTEST].replace("get_running_loop", "get_event_loop")
    with learners("io-loop", {sources.CONFTEST: own}) as (exercise, folder):
        shown = exercises.hint(exercise, 0, folder)
    assert shown.texts == exercise.hints
    assert "+    base._client = make_client(base.settings, io_loop=asyncio.get_event_loop())" in shown.own
    assert (
        "+    base._client = make_client(base.settings, io_loop=asyncio.get_running_loop())" in shown.solution
    )
    assert exercise.others in str(shown)
    assert "<code>asyncio.get_event_loop()</code>" in shown._repr_html_()


def test_a_name_that_is_not_there_is_answered_with_the_names():
    with pytest.raises(ValueError, match=r"no exercise 'sync-fixture'\. The exercises: first-test"):
        exercises.get("sync-fixture")
    assert [each.name for each in exercises.all_of("05_dynamic_references")] == [
        "test-references",
        "app-references",
    ]


# --- the manifest

EXERCISE = """
[[lesson]]
slug = "01_one"
title = "One"

[[lesson.exercise]]
name = "a-name"
task = "Do it."
files = ["a.py"]
hints = ["One", "Two"]
others = "None."

[lesson.exercise.afterwards]
claim = "It is done."
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"Two"', "2", "hints = a list of texts"),
        (', "Two"', "", "2 to 4 hints, found 1"),
        ('"a-name"', '"A name"', "a name such as async-fixture"),
        ('claim = "It is done."', "", "one sentence or more"),
        ('"It is done."', "1", "a table of texts"),
        ('task = "Do it."', "", "task = 'a text'|task = a text"),
        ('others = "None."', 'other = "None."', "unknown other"),
        ('files = ["a.py"]', "", "one file or more"),
    ],
)
def test_an_exercise_that_is_not_understood_is_refused(tmp_path, old, new, expected):
    file = tmp_path / "course.toml"
    file.write_text(EXERCISE)
    assert load(file)[0].exercises[0].hints == ("One", "Two")
    assert old in EXERCISE
    file.write_text(EXERCISE.replace(old, new))
    with pytest.raises(CourseError, match=expected):
        load(file)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"afterwards": {"nothing-known": "It is done."}},
            "unknown claim nothing-known; known are first-test-gone",
        ),
        ({"start": ("no-fault",)}, "unknown fault no-fault; known are static-app-imports"),
        ({"start": ()}, "the faults of the solution among those of the start"),
        ({"faults": ()}, "expected faults, or the solution's diff"),
    ],
)
def test_an_exercise_that_names_what_is_not_there_is_refused(change, expected):
    exercise = dataclasses.replace(exercises.get("io-loop"), **change)
    with pytest.raises(CourseError, match=expected):
        catalogue.require_known(exercise)


def test_a_solution_that_does_not_fit_its_start_is_refused():
    exercise = dataclasses.replace(exercises.get("six-lines"), given={"six_lines.py": "import this\n"})
    with pytest.raises(CourseError, match=r"six-lines\.diff: The diff does not fit line 1 of six_lines\.py"):
        solved(exercise)


def test_two_exercises_of_one_name_are_refused(tmp_path):
    file = tmp_path / "course.toml"
    file.write_text(EXERCISE + EXERCISE.replace("01_one", "02_two"))
    with pytest.raises(CourseError, match="a name of its own"):
        load(file)


# --- merging

THREE = "a\nb\nc\nd\ne\n"


@pytest.mark.parametrize(
    ("own", "other", "merged"),
    [
        (THREE, THREE, THREE),
        ("A\nb\nc\nd\ne\n", "a\nb\nc\nd\nE\n", "A\nb\nc\nd\nE\n"),
        ("a\nb\nc\nd\ne\nf\n", "b\nc\nd\ne\n", "b\nc\nd\ne\nf\n"),
        ("a\nB\nc\nd\ne\n", "a\nb\nC\nd\ne\n", "a\nB\nC\nd\ne\n"),
        ("", "a\nb\n", ""),
        ("a\nb\nc\nX\ne\n", "a\nb\nc\nX\ne\n", "a\nb\nc\nX\ne\n"),
    ],
)
def test_two_changes_of_a_text_are_put_together(own, other, merged):
    chunks = merging.chunks(THREE, own, other)
    assert "".join(line for chunk in chunks for line in chunk.merged()) == merged
    assert "".join(line for chunk in chunks for line in chunk.own) == own
    assert "".join(line for chunk in chunks for line in chunk.other) == other


def test_a_diff_is_applied_where_it_fits_and_nowhere_else():
    diff = "--- x\n+++ x\n@@ -2,2 +2,2 @@\n b\n-c\n+C\n"
    assert merging.patched(THREE, diff) == {"x": "a\nb\nC\nd\ne\n"}
    with pytest.raises(merging.NoFit, match="line 3"):
        merging.patched(THREE.replace("c", "x"), diff)
    assert merging.patched("", "--- /dev/null\n+++ y\n@@ -0,0 +1,1 @@\n+new\n") == {"y": "new\n"}
    with pytest.raises(merging.NoFit, match="unified diff"):
        merging.patched("", "nothing")


def test_a_draft_of_the_learners_own_is_never_overwritten(tmp_path):
    exercise = exercises.get("async-fixture")
    sources.write(faults.with_faults(exercise.start), tmp_path)
    draft = tmp_path / "tests" / ".conftest.py.new"
    draft.write_text("mine")
    done = exercises.solution(exercise, tmp_path).apply(tmp_path, lambda paths: ())
    assert done.applied
    assert draft.read_text() == "mine"
