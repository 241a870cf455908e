"""The workspace never loses a learner's text, and is never half-written."""

import re

import pytest

from tocdemo.subject import faults, sources, workspace


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    folder = tmp_path / "workspace"
    monkeypatch.setenv("TOCDEMO_WORKSPACE", str(folder))
    return folder


def kept(place):
    """The texts in the backups."""
    return [path.read_text() for path in sorted((place / ".backups").rglob("*.py"))]


def test_put_makes_the_state_and_leaves_what_is_so_alone(place):
    assert workspace.put(faults.state("incident"), "incident").headline.startswith("Made ")
    times = {path: path.stat().st_mtime_ns for path in place.rglob("*.py")}
    again = workspace.put(faults.state("incident"), "incident")
    assert "nothing changed" in again.headline
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*.py")} == times
    found = workspace.state()
    assert frozenset().union(*found.values()) == set(faults.state("incident"))


def test_put_keeps_an_edited_file_in_a_dated_backup_and_files_of_ones_own(place):
    workspace.put([])
    mine = "# mine\n" + (place / sources.APP).read_text()
    (place / sources.APP).write_text(mine)
    (place / "tests" / "notes.py").write_text("x = 1\n")
    report = workspace.put(["sync-fixture"])
    assert kept(place) == [mine]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d\.\d+", report.backup.name)
    assert str(report.backup) in str(report)
    assert (place / "tests" / "notes.py").read_text() == "x = 1\n"
    assert report.backup.relative_to(place).parts[0].startswith(".")


def test_a_known_state_needs_no_backup():
    workspace.put([])
    assert workspace.put(faults.state("incident")).backup is None


@pytest.mark.parametrize("name", faults.FAULTS)
def test_a_mend_takes_one_fault_out_and_shows_it(name):
    workspace.put(list(faults.FAULTS))
    report = workspace.mend(name)
    assert report.headline == f"Mended {name!r} for you: this is the change."
    assert all("\n-" in diff or "\n+" in diff for diff in report.diffs)
    left = frozenset().union(*workspace.state().values())
    assert left == set(faults.FAULTS) - {name}
    assert "nothing changed" in workspace.mend(name).headline


@pytest.mark.parametrize("name", faults.FAULTS)
def test_a_learners_own_mend_is_recognised_and_left(name, place):
    workspace.put([name])
    own = {}
    for path in faults.FAULTS[name].transforms:
        own[path] = sources.mended()[path] + "\n# I did this myself\n"
        (place / path).write_text(own[path])
    report = workspace.mend(name)
    assert report.headline.startswith("You made this change yourself")
    assert {path: (place / path).read_text() for path in own} == own


def test_a_mend_of_an_edited_file_that_has_the_fault_keeps_the_edit(place):
    workspace.put(["unbound-client"])
    mine = (place / sources.CONFTEST).read_text() + "\n# mine\n"
    (place / sources.CONFTEST).write_text(mine)
    assert workspace.mend("unbound-client").backup is not None
    assert kept(place) == [mine]


def test_write_writes_shows_and_backs_up(place):
    workspace.put([])
    known = workspace.write("tests/extra.py", "x = 1\n")
    assert known.backup is None
    assert "+x = 1" in known.diffs[0]
    assert workspace.write("tests/extra.py", "x = 2\n").backup is not None
    assert kept(place) == ["x = 1\n"]
    assert "nothing changed" in workspace.write("tests/extra.py", "x = 2\n").headline


def test_what_is_not_python_is_not_written(place):
    workspace.put([])
    before = (place / sources.CONFTEST).read_text()
    with pytest.raises(SyntaxError):
        workspace.write(sources.CONFTEST, "def (:\n")
    assert (place / sources.CONFTEST).read_text() == before


@pytest.mark.parametrize("path", ["../out.py", "/tmp/out.py", ".", ".backups/x.py", "tests/../../out.py"])
def test_a_path_outside_the_workspace_is_refused(path, place):
    workspace.put([])
    with pytest.raises(workspace.BadPath, match="expected a path such as"):
        workspace.write(path, "x = 1\n")


def test_a_write_that_breaks_off_leaves_the_old_text(place, monkeypatch):
    workspace.put([])
    before = (place / sources.CONFTEST).read_text()

    def full_disk(self, *arguments, **options):
        with open(self, "w") as file:
            file.write("half")
        raise OSError("No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full_disk)
    with pytest.raises(OSError, match="No space"):
        workspace.write(sources.CONFTEST, "x = 1\n")
    assert (place / sources.CONFTEST).read_text() == before


def test_without_a_workspace_the_error_says_what_to_do():
    for act in (lambda: workspace.mend("sync-fixture"), lambda: workspace.write("a.py", "")):
        with pytest.raises(ValueError, match=r"run lab\.workspace\(\) first"):
            act()


def test_an_unknown_fault_lists_those_there_are():
    with pytest.raises(ValueError, match="sync-fixture"):
        workspace.put(["nonsense"])
