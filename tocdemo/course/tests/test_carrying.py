"""What is carried to another machine, what is kept there, and which archives are refused without a change."""

import json
import stat
import zipfile
from pathlib import Path

import nbformat
import pytest

from tocdemo import cli
from tocdemo.course import carrying, copies, lessons, progress
from tocdemo.errors import BadInput
from tocdemo.subject import sources

LESSON = "03_the_async_fixture"
EDITED = "# mine\n" + sources.fixed()[sources.CONFTEST]


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Go to a machine by its name: each has a workspace of its own."""

    def go(name: str) -> Path:
        monkeypatch.setenv("TOCDEMO_WORKSPACE", str(tmp_path / name / "workspace"))
        return tmp_path / name

    return go


@pytest.fixture
def archive(machine, tmp_path):
    """What a learner exports at work: an edit, a file of their own, a notebook that was run, a tick."""
    machine("work")
    copies.renew_all()
    lesson = lessons.get(LESSON)
    own = lessons.workspace_of(lesson)
    own.open(lesson.start)
    own.write(sources.CONFTEST, EDITED)
    own.file("tests/test_mine.py").write_text("def test_mine():\n    pass\n")
    notebook = nbformat.read(lessons.notebook_of(lesson), as_version=4)
    next(cell for cell in notebook.cells if cell.cell_type == "code").execution_count = 7
    nbformat.write(notebook, lessons.notebook_of(lesson))
    lessons.notebook_of(lessons.get("04")).write_text("broken by the learner: it stays here")
    progress.note_exercise(lesson, "async-fixture")
    file = tmp_path / "mine.zip"
    carried = carrying.export(file)
    assert (carried.files, carried.notebooks, carried.ticks) == ({LESSON: 2}, 1, 1)
    return file


def everything_in(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def test_edits_runs_and_ticks_are_there_on_the_other_machine(archive, machine):
    machine("home")
    carried = carrying.bring(archive)
    lesson = lessons.get(LESSON)
    own = lessons.workspace_of(lesson)
    assert own.edits() == [sources.CONFTEST]
    assert own.file(sources.CONFTEST).read_text() == EDITED
    assert own.has("tests/test_mine.py")
    assert not copies.is_as_made(lessons.notebook_of(lesson))
    assert progress.of(lesson).done == ("async-fixture",)
    assert (carried.files, carried.ticks, carried.kept) == ({LESSON: 2}, 1, ())
    assert "are as you left them" in own.open(lesson.start).headline


def test_what_was_there_is_kept_and_both_machines_ticks_stay(archive, machine):
    home = machine("home")
    lesson, first = lessons.get(LESSON), lessons.get("01")
    own = lessons.workspace_of(lesson)
    own.open(lesson.start)
    own.file(sources.CONFTEST).write_text(f"# theirs\n{EDITED}")
    progress.note_exercise(first, "first-test")
    carried = carrying.bring(archive)
    assert [path.read_text() for path in carried.kept] == [f"# theirs\n{EDITED}"]
    assert [backup.path for backup in own.backups.all_of()] == [sources.CONFTEST]
    assert progress.of(first).done == ("first-test",)
    assert progress.of(lesson).done == ("async-fixture",)
    before = everything_in(home)
    again = carrying.bring(archive)
    assert (again.ticks, again.kept) == (0, ())
    assert everything_in(home) == before


def test_the_two_options_of_the_command(archive, machine, tmp_path, capsys):
    machine("home")
    assert cli.main(["progress", "--import", str(archive)]) == 0
    assert f"2 edited files: {LESSON} (2)" in capsys.readouterr().out
    assert cli.main(["progress", "--export", str(tmp_path / "again.zip")]) == 0
    capsys.readouterr()
    assert cli.main(["progress", "--export", str(tmp_path / "again.zip")]) == 2
    assert "is there already" in capsys.readouterr().err
    assert cli.main(["progress", "--import", str(tmp_path / "nowhere.zip")]) == 2
    assert "There is no file" in capsys.readouterr().err


# --- archives that nobody exported -------------------------------------------------------------------------

ABOUT = {"format": 1, "lessons": [LESSON]}
GOOD = f"files/{LESSON}/tests/conftest.py"


def made(file: Path, entries: dict, about: object = ABOUT, ticks: object = {}) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("tocdemo.json", json.dumps(about))
        archive.writestr("progress.json", json.dumps(ticks))
        for name, content in entries.items():
            archive.writestr(name, content)
    return file


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


BAD = {
    "up": ({f"files/{LESSON}/../../../x.py": ""}, "no path of a learner's file"),
    "from the root": ({"/etc/x.py": ""}, "no path of a learner's file"),
    "of Windows": ({f"files/{LESSON}/C:\\x.py": ""}, "no path of a learner's file"),
    "hidden": ({f"files/{LESSON}/.course.json": "{}"}, "no path of a learner's file"),
    "a link": ({link(GOOD): "/etc/passwd"}, "is a link"),
    "a folder": ({f"{GOOD}/": ""}, "is a link or a folder"),
    "another kind": ({f"files/{LESSON}/x.so": ""}, "no file of a lesson's workspace"),
    "no lesson": ({"files/nonsense/x.py": ""}, "no file of a lesson's workspace"),
    "elsewhere": ({"x.py": ""}, "which no export writes"),
    "no notebook": ({f"notebooks/{LESSON}.ipynb": "{}"}, "is not a notebook"),
    "both": ({GOOD: "", f"{GOOD}/x.py": ""}, "a file that is a folder, too"),
    "where a file is": ({f"files/{LESSON}/pytest.ini/x.py": ""}, "where a folder or another file is"),
}


@pytest.fixture
def home(machine):
    """A learner's home with something in it, which has to stay as it is."""
    place = machine("home")
    lesson = lessons.get(LESSON)
    lessons.workspace_of(lesson).open(lesson.start)
    progress.note_exercise(lesson, "async-fixture")
    before = everything_in(place)
    yield place
    assert everything_in(place) == before


@pytest.mark.parametrize("case", BAD)
def test_a_path_that_leads_elsewhere_changes_nothing(case, home, tmp_path):
    entries, why = BAD[case]
    with pytest.raises(BadInput, match=f"{why}.*; nothing was changed"):
        carrying.bring(made(tmp_path / "bad.zip", {"files/01_alone_and_together/a.py": "x = 1\n", **entries}))


@pytest.mark.parametrize(
    ("about", "ticks", "why"),
    [
        ({**ABOUT, "format": 2}, {}, "expected an export of the format 1, found 2"),
        ([], {}, "expected an export of the format 1"),
        ({**ABOUT, "lessons": ["99_later"]}, {}, "another version of the course, with 99_later"),
        (ABOUT, {"nonsense": {}}, "not a file of progress"),
        (ABOUT, {LESSON: {"a": 1}}, "not a file of progress"),
        (ABOUT, [], "not a file of progress"),
    ],
)
def test_another_version_changes_nothing(about, ticks, why, home, tmp_path):
    with pytest.raises(BadInput, match=f"{why}.*; nothing was changed"):
        carrying.bring(made(tmp_path / "bad.zip", {GOOD: EDITED}, about, ticks))


def test_a_broken_archive_changes_nothing(archive, home, tmp_path):
    whole = archive.read_bytes()
    middle = len(whole) // 3
    for number, broken in enumerate(
        (b"", b"no zip", whole[:-40], whole[:middle] + b"broken!!" + whole[middle + 8 :])
    ):
        file = tmp_path / f"broken{number}.zip"
        file.write_bytes(broken)
        with pytest.raises(BadInput, match="nothing was changed"):
            carrying.bring(file)


def test_too_much_changes_nothing(home, tmp_path, monkeypatch):
    monkeypatch.setattr(carrying, "MOST_BYTES", 2**20)
    with pytest.raises(BadInput, match="more than 1 MB; nothing was changed"):
        carrying.bring(made(tmp_path / "bad.zip", {GOOD: "x" * 2**20}))
    many = {f"files/{LESSON}/a{number}.py": "" for number in range(carrying.MOST_FILES)}
    with pytest.raises(BadInput, match="more than 2000; nothing was changed"):
        carrying.bring(made(tmp_path / "many.zip", many))


def test_a_link_that_the_learner_made_leads_nowhere_else(home, machine, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (home / "workspace" / LESSON / "out").symlink_to(outside)
    with pytest.raises(BadInput, match="not a file inside"):
        carrying.bring(made(tmp_path / "bad.zip", {f"files/{LESSON}/out/x.py": "x = 1\n"}))
    assert list(outside.iterdir()) == []
