"""The workspace never loses a learner's text, and is never half-written."""

import contextlib
import re
from pathlib import Path

import pytest

from tocdemo.subject import faults, sources, workspace
from tocdemo.subject.workspace import Start

INCIDENT = Start(faults.state("incident"))
FIXED = Start()
LESSON = "03_the_async_fixture"


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    folder = tmp_path / "workspace"
    monkeypatch.setenv("TOCDEMO_WORKSPACE", str(folder))
    return folder


@pytest.fixture
def own():
    return workspace.of(LESSON)


def kept(root):
    """The texts in the backups."""
    return [
        path.read_text()
        for path in sorted(root.with_name("workspace-backups").rglob("*.py"))
        if path.is_file()
    ]


def edit(own, path, text="# mine\n"):
    text = text + (own.folder / path).read_text()
    (own.folder / path).write_text(text)
    return text


# --- opening a lesson ---


def test_opening_makes_the_start_and_opening_again_changes_nothing(own):
    assert own.open(INCIDENT).headline.startswith("Made ")
    times = {path: path.stat().st_mtime_ns for path in own.folder.rglob("*.py")}
    assert "as at the lesson's start" in own.open(INCIDENT).headline
    assert {path: path.stat().st_mtime_ns for path in own.folder.rglob("*.py")} == times
    assert frozenset().union(*own.state().values()) == set(INCIDENT.faults)


def test_opening_again_finds_the_edits_and_says_so(own):
    own.open(INCIDENT)
    mine = edit(own, sources.CONFTEST)
    (own.folder / sources.APP).unlink()
    report = own.open(INCIDENT)
    assert (
        report.headline
        == f"Your edits of {sources.CONFTEST} are as you left them; lab.reset() starts afresh."
    )
    assert (own.folder / sources.CONFTEST).read_text() == mine
    assert own.has(sources.APP)
    assert own.edits() == [sources.CONFTEST]


def test_an_edit_that_is_the_solution_to_the_byte_is_an_edit(own):
    own.open(INCIDENT)
    solved = faults.with_faults(["unbound-client"])[sources.CONFTEST]
    (own.folder / sources.CONFTEST).write_text(solved)
    own.open(INCIDENT)
    assert (own.folder / sources.CONFTEST).read_text() == solved


def test_a_state_that_a_cell_put_there_is_no_edit(own):
    own.open(INCIDENT)
    own.put(FIXED, "fixed")
    own.open(INCIDENT)
    assert frozenset().union(*own.state().values()) == set(INCIDENT.faults)


def test_a_lesson_never_touches_anothers_files(own):
    own.open(INCIDENT)
    mine = edit(own, sources.CONFTEST)
    other = workspace.of("04_io_loop")
    other.open(FIXED)
    other.reset(INCIDENT)
    assert (own.folder / sources.CONFTEST).read_text() == mine


def test_what_changed_in_the_course_is_told_and_an_edit_is_kept(own, monkeypatch):
    own.open(INCIDENT)
    mine = edit(own, sources.CONFTEST)
    newer = {path: text + "\n# newer\n" for path, text in sources.fixed().items()}
    monkeypatch.setattr(sources, "fixed", lambda: newer)
    report = own.open(Start())
    assert f"{sources.CONFTEST} has changed in the course: yours is kept" in str(report)
    assert f"{sources.APP} has changed in the course: here is the new one" in str(report)
    assert (own.folder / sources.CONFTEST).read_text() == mine
    assert (own.folder / sources.APP).read_text() == newer[sources.APP]


def test_a_broken_record_loses_no_edit(own):
    own.open(INCIDENT)
    mine = edit(own, sources.CONFTEST)
    (own.folder / ".course.json").write_text("{ not json")
    own.open(INCIDENT)
    assert (own.folder / sources.CONFTEST).read_text() == mine


@pytest.mark.parametrize("name", ["../outside", "", "a/b", ".."])
def test_a_workspace_has_a_plain_name(name):
    with pytest.raises(ValueError, match="Expected the name of a lesson"):
        workspace.of(name)


# --- states, resets and backups ---


def test_a_reset_keeps_edited_files_and_files_of_ones_own(own, root):
    own.open(INCIDENT)
    mine = edit(own, sources.CONFTEST)
    (own.folder / "tests" / "notes.py").write_text("x = 1\n")
    report = own.reset(INCIDENT)
    assert sorted(kept(root)) == sorted([mine, "x = 1\n"])
    assert not own.has("tests/notes.py")
    (copy,) = [copy for copy in report.kept if copy.parent.name == "conftest.py"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d\.py", copy.name)
    assert copy.parent == root.with_name("workspace-backups") / LESSON / sources.CONFTEST
    assert str(copy) in str(report)


def test_another_state_leaves_files_of_ones_own(own, root):
    own.open(INCIDENT)
    mine = edit(own, sources.CONFTEST)
    (own.folder / "tests" / "notes.py").write_text("x = 1\n")
    own.put(FIXED)
    assert kept(root) == [mine]
    assert own.has("tests/notes.py")


def test_equal_texts_are_kept_once_and_two_of_one_second_are_both_kept(own, root):
    own.open(INCIDENT)
    for text in ("# one\n", "# two\n", "# one\n"):
        (own.folder / sources.CONFTEST).write_text(text)
        own.reset(INCIDENT)
    assert sorted(kept(root)) == ["# one\n", "# two\n"]


def test_a_known_state_needs_no_backup(own):
    own.open(FIXED)
    assert own.put(INCIDENT).kept == ()


def test_a_backup_comes_back_and_what_was_there_is_kept(own, root):
    own.open(INCIDENT)
    first = edit(own, sources.CONFTEST, "# first\n")
    own.reset(INCIDENT)
    second = edit(own, sources.CONFTEST, "# second\n")
    (backup,) = own.backups.all_of()
    assert (backup.number, backup.path) == (1, sources.CONFTEST)
    report = own.restore(1)
    assert (own.folder / sources.CONFTEST).read_text() == first
    assert "-# second" in report.diffs[0]
    assert sorted(kept(root)) == sorted([first, second])
    assert own.backups.get(1).place == backup.place
    with pytest.raises(ValueError, match="no backup 7: the numbers go from 1 to 2"):
        own.restore(7)


def test_a_deleted_workspace_leaves_the_backups(own, root):
    import shutil

    own.open(INCIDENT)
    mine = edit(own, sources.CONFTEST)
    own.reset(INCIDENT)
    shutil.rmtree(root)
    own.open(INCIDENT)
    own.restore(1)
    assert (own.folder / sources.CONFTEST).read_text() == mine


# --- a file ---


def test_write_writes_shows_and_backs_up(own, root):
    own.open(FIXED)
    assert "+x = 1" in own.write("tests/extra.py", "x = 1\n").diffs[0]
    (own.folder / "tests/extra.py").write_text("x = 3\n")
    assert own.write("tests/extra.py", "x = 2\n").kept
    assert kept(root) == ["x = 3\n"]
    assert "nothing changed" in own.write("tests/extra.py", "x = 2\n").headline


def test_what_is_not_python_is_not_written(own):
    own.open(FIXED)
    before = (own.folder / sources.CONFTEST).read_text()
    with pytest.raises(SyntaxError):
        own.write(sources.CONFTEST, "def (:\n")
    assert (own.folder / sources.CONFTEST).read_text() == before


@pytest.mark.parametrize("path", ["../out.py", "/tmp/out.py", ".", "tests/../../out.py"])
def test_a_path_outside_the_workspace_is_refused(path, own):
    own.open(FIXED)
    with pytest.raises(workspace.BadPath, match="expected a path like"):
        own.write(path, "x = 1\n")


def test_nothing_is_written_through_a_link_that_leads_outside(own, tmp_path):
    own.open(INCIDENT)
    outside = tmp_path / "outside"
    (own.folder / "tests").rename(outside)
    (own.folder / "tests").symlink_to(outside)
    (outside / "conftest.py").write_text("# mine, outside\n")
    with pytest.raises(workspace.BadPath, match="not a file inside"):
        own.reset(INCIDENT)
    assert (outside / "conftest.py").read_text() == "# mine, outside\n"


def test_a_write_that_breaks_off_leaves_the_old_text_and_no_draft(own, monkeypatch):
    own.open(FIXED)
    before = (own.folder / sources.CONFTEST).read_text()

    def full_disk(self, target):
        raise OSError("No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full_disk)
    with pytest.raises(OSError, match="No space"):
        own.write(sources.CONFTEST, "x = 1\n")
    assert (own.folder / sources.CONFTEST).read_text() == before
    assert not list(own.folder.rglob("*.new"))


def test_a_draft_of_the_learners_is_never_overwritten(own):
    own.open(FIXED)
    draft = own.folder / "tests" / ".conftest.py.new"
    draft.write_text("mine")
    own.reset(INCIDENT)
    assert draft.read_text() == "mine"


def test_without_a_workspace_the_error_says_what_to_do(own):
    with pytest.raises(ValueError, match="run the lesson's first cell"):
        own.write("a.py", "")


def test_an_unknown_fault_lists_those_there_are(own):
    with pytest.raises(ValueError, match="sync-fixture"):
        own.put(Start(("nonsense",)))


# --- what a report says ---


def test_a_report_says_which_of_the_changes_are_made_and_links_their_files(own):
    own.open(Start(("static-app-imports", "static-test-imports", "unbound-client")))
    edit(own, sources.SUITE)
    report = own.open(Start(("static-app-imports", "static-test-imports", "unbound-client")))
    lines = [" ".join(line.split()) for line in str(report).splitlines()]
    assert f"1 the async fixture ✓ made {sources.CONFTEST}" in lines
    assert f"2 io_loop – not made {sources.CONFTEST}" in lines
    assert f"3 dynamic references in the tests ✎ edited by you {sources.SUITE}" in lines
    html = report._repr_html_()
    assert 'conftest.py">tests/conftest.py</a>' in html


def test_a_report_names_the_faults_that_are_not_of_the_incident(own):
    assert "Also: " not in str(own.open(INCIDENT))
    assert "Also: add, update, delete and reorder" in str(own.put(Start(("unguarded-write",))))


# --- a lesson with another project ---

OTHER = Start(given={"shop/till.py": "open = True\n", sources.CONFTEST: "# none\n"}, backend=False)


def test_another_project_is_all_there_is(own):
    report = own.open(OTHER)
    assert report.headline.endswith("your copy of a project and its tests.")
    assert not report.state
    assert [path.name for path in report.files] == ["till.py", "conftest.py"]
    assert not (own.folder / "app").exists()
    mine = edit(own, sources.CONFTEST)
    assert f"Your edits of {sources.CONFTEST} are as you left them" in own.open(OTHER).headline
    assert (own.folder / sources.CONFTEST).read_text() == mine
    own.reset(OTHER)
    assert (own.folder / sources.CONFTEST).read_text() == "# none\n"


def test_a_file_of_another_project_that_changes_in_the_course_is_told(own):
    own.open(OTHER)
    newer = Start(given={**OTHER.given, sources.CONFTEST: "# another\n"}, backend=False)
    assert f"{sources.CONFTEST} has changed in the course: here is the new one." in own.open(newer).details


@pytest.mark.parametrize(("refusals", "written"), [(2, "new"), (9, "old")])
def test_a_file_that_is_open_in_another_program_is_replaced_a_bit_later(
    tmp_path, monkeypatch, refusals, written
):
    (tmp_path / "a.py").write_text("old")
    replace, calls = Path.replace, []

    def refuse(draft: Path, path: Path) -> Path:  # as Windows does
        calls.append(path)
        if len(calls) <= refusals:
            raise PermissionError(13, "in use")
        return replace(draft, path)

    monkeypatch.setattr(Path, "replace", refuse)
    monkeypatch.setattr(sources, "_WHILE_OPEN", (0.0, 0.0))
    with contextlib.nullcontext() if written == "new" else pytest.raises(PermissionError):
        sources.write_file(tmp_path / "a.py", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.py"]
    assert (tmp_path / "a.py").read_text() == written
