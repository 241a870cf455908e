"""The instructors' guide: its numbers and answers are computed, and no prediction is without a reason."""

from pathlib import Path

import pytest

from tocdemo.course import guide
from tocdemo.course.build import MANIFEST
from tocdemo.course.manifest import load

ROOT = Path(__file__).resolve().parents[3]
LESSONS = load(ROOT / MANIFEST)
NOTES = ROOT / guide.NOTES


@pytest.fixture
def changed(tmp_path, monkeypatch):
    """Write the guide from notes in which one text stands in place of another."""

    def write(old, new):
        notes = NOTES.read_text(encoding="utf-8")
        assert notes.count(old) == 1
        (tmp_path / "notes.toml").write_text(notes.replace(old, new), encoding="utf-8")
        monkeypatch.setattr(guide, "NOTES", tmp_path / "notes.toml")
        return guide.written(ROOT)

    return write


def test_the_guide_is_what_the_notes_and_the_manifest_give():
    assert guide.check(ROOT) == 0, "run: python -m tocdemo build"


def test_a_guide_of_before_is_noticed(monkeypatch, capsys):
    monkeypatch.setattr(guide, "written", lambda _: "another")
    assert guide.check(ROOT) == 1
    assert "differs from" in capsys.readouterr().out


def test_each_lesson_has_its_question_its_answers_and_its_mistakes():
    parts = guide.written(ROOT).split("\n## ")
    for lesson in LESSONS:
        (part,) = [part for part in parts if part.partition("\n")[0].endswith(lesson.title)]
        for words in ("**Ask first.**", "**When it goes wrong.**", "**Five minutes at the end.**"):
            assert words in part
        assert part.count("**What learners may do") == len(lesson.exercises)


def test_an_answer_is_the_contracts():
    written = guide.written(ROOT)
    assert "| `together` | 2 passed, 26 failed |" in written
    assert "| `sync_io_loop` | 1 passed, 27 errors |" in written
    assert "| `six_orders` | 6 orders, 4 lose a change |" in written
    assert "only the decorator, on a plain def" not in written  # a rare one


def test_the_notes_lack_nothing():
    assert guide.gaps(ROOT) == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("without_first = ", "other = ", ["no reason for the prediction without_first", "other asks for no"]),
        ('binding = "at the first use, the one that runs then"\n', "", ["what binding shows, and no answer"]),
        ('check = ["Write one async', 'chek = ["Write one async', ["check is missing", "unknown chek"]),
        ("minutes = 90", "minutes = 60", ["plan 'Ninety minutes': takes "]),
        ('lessons = ["01", "02", ', 'lessons = ["77", "02", ', ["not all of these are lessons: 77"]),
        (
            "[lesson.tests_in_a_cell]",
            "[lesson.elsewhere]",
            ["there is no lesson elsewhere", "ask is missing"],
        ),
    ],
)
def test_a_note_that_is_missing_or_of_nothing_is_named(changed, old, new, says):
    changed(old, new)
    found = "\n".join(guide.gaps(ROOT))
    assert [words for words in says if words not in found] == []
