"""The 26 tests that share the fixture: green when fixed, and what each fault does to them, measured."""

import ast

import pytest

from tocdemo import lab
from tocdemo.experiments import neighbours
from tocdemo.lab.notebook import NOTEBOOK
from tocdemo.runner import inline, pool
from tocdemo.runner.result import Run, TestResult
from tocdemo.subject import faults, sources
from tocdemo.subject.tests.projects import lay_out, run_pytest

RUNNING = "RuntimeError: no running event loop"


@pytest.fixture(scope="module")
def measured():
    return neighbours.measure("embedded")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("TOCDEMO_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.delenv("TOCDEMO_BACKEND", raising=False)
    monkeypatch.setattr(NOTEBOOK, "lesson", None)
    return NOTEBOOK.workspace.folder


# --- Measured


@pytest.mark.parametrize("backend", ["embedded", "replica-set", "pymongo", "mock"])
def test_the_54_are_green_together_when_fixed(backend):
    run = neighbours.together((), backend)

    assert (run.passed, run.total) == (54, 54), run


def test_in_the_incident_the_28_are_red_and_the_neighbours_green():
    run = neighbours.together(faults.state("incident"))

    assert [result.outcome for result in run.results[28:]] == ["passed"] * 26
    assert run.passed_tests[:2] == ["test_update_toc_success", "test_update_toc_invalid_book_id_format"]
    assert (run.passed, run.failed) == (28, 26)


def test_a_sync_fixture_that_asks_for_the_running_loop_is_the_one_fault_that_breaks_them(measured):
    broken = {row.title for row in measured.rows if not row.run.green}

    assert broken == {"sync-fixture"}
    run = measured.run("sync-fixture")
    assert (run.passed, run.failed, run.errors) == (4, 0, 22)
    assert run.error_lines == {RUNNING: 22}
    # What refuses its arguments before it asks the database needs no fixture.
    refusing = ("test_create_refuses_an_invalid_question", "test_pages_are_counted", "test_rating_out_of")
    assert all(name.startswith(refusing) for name in run.passed_tests)


def test_the_rows_are_no_fault_each_fault_and_the_incident(measured):
    assert [row.title for row in measured.rows] == ["no fault", *faults.FAULTS, "the whole incident"]
    assert {row.run.total for row in measured.rows} == {26}
    assert measured.run(*faults.state("incident")).passed == 26
    with pytest.raises(KeyError, match="No row has exactly"):
        measured.run("sync-fixture", "unbound-client")


def test_the_table_says_the_same_as_text_and_as_html(measured):
    text, html = str(measured), measured._repr_html_()

    assert any(line.split() == ["unbound-client", "26", "P"] for line in text.splitlines())
    for shown in (text, html):
        assert all(name in shown for name in faults.FAULTS)
        assert f"22 × {RUNNING}" in shown
    assert "✓ 26 P" in html
    assert "E 4 P, 22 E" in html


def test_a_measurement_that_was_stopped_shows_the_rows_that_there_are(monkeypatch):
    run = Run((TestResult("a::b", "passed"),), seconds=0.1)
    kept = pool.Measured({0: run, 2: run}, 0.2, "Stopped after 2 of 9 runs.")
    monkeypatch.setattr(pool, "share_out", lambda jobs, on_progress: kept)
    found = neighbours.measure("embedded")

    assert [row.title for row in found.rows] == ["no fault", list(faults.FAULTS)[1]]
    for shown in (str(found), found._repr_html_()):
        assert "Stopped after 2 of 9 runs." in shown


PLAIN = """
from fastapi.testclient import TestClient

from app.api.application import create_app


def test_join_from_a_plain_test(motor_reinit_db):
    with TestClient(create_app()) as api:
        assert api.post("/users", json={"email": "a@example.org", "name": "Ada"}).status_code == 201
"""


@pytest.mark.parametrize(
    ("names", "error"),
    [
        (faults.state("incident"), ""),
        ((), "attached to a different loop"),
        (("unbound-client",), ""),
    ],
    ids=["incident", "fixed", "fixed but for io_loop"],
)
def test_a_plain_neighbour_is_broken_by_io_loop_alone(tmp_path, names, error):
    copy = lay_out(tmp_path, names)
    sources.write_file(copy / "tests/test_plain.py", PLAIN)

    (result,) = inline.run(copy / "tests", arguments=[str(copy / "tests/test_plain.py")]).results

    assert (result.outcome, error in result.error) == ("failed" if error else "passed", True), result


# --- In the workspace


def test_in_a_terminal_pytest_finds_the_54(tmp_path):
    copy = lay_out(tmp_path)
    sources.write(sources.neighbours(), copy)

    assert run_pytest(copy).counts == "54 passed"


def test_lab_run_runs_the_28_whether_the_neighbours_are_there_or_not(place):
    lab.workspace("fixed", neighbours=True)

    assert lab.run().total == 28
    assert lab.run(which="neighbours").total == 26


def test_the_neighbours_come_when_asked_for_and_go_otherwise(place):
    lab.workspace("incident")
    assert not set(sources.neighbours()) & {path.relative_to(place).as_posix() for path in place.rglob("*")}
    with pytest.raises(
        inline.CannotRun, match=r"There is no tests/test_db/test_questions.py .*neighbours=True"
    ):
        lab.run(which="all")

    assert "test_users.py" in lab.workspace("incident", neighbours=True).headline
    assert "nothing changed" in lab.workspace("incident", neighbours=True).headline
    report = lab.workspace("incident")
    assert "removed" in report.headline
    assert report.kept == ()
    assert not any((place / path).exists() for path in sources.neighbours())


def test_an_edited_neighbour_is_kept_in_a_backup(place):
    lab.workspace("fixed", neighbours=True)
    mine = place / sources.NEIGHBOURS[0]
    mine.write_text("# mine\n")

    report = lab.workspace("fixed")

    assert [copy.read_text() for copy in report.kept] == ["# mine\n"]
    assert not mine.exists()


def test_there_are_three_suites_to_choose_from(place):
    lab.workspace("fixed")
    with pytest.raises(ValueError, match="no tests 'questions'; expected one of toc, neighbours, all"):
        lab.run(which="questions")


# --- The app


def test_fastapi_is_imported_by_the_api_alone():
    importers = {path for path, text in sources.fixed().items() if path.endswith(".py") and web_in(text)}

    assert importers
    assert all(path.startswith("app/api/") for path in importers), importers


def web_in(text):
    """The web packages that a module imports."""
    tree = ast.walk(ast.parse(text))
    names = {
        alias.name if isinstance(node, ast.Import) else node.module or ""
        for node in tree
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    return {name.partition(".")[0] for name in names} & {"fastapi", "starlette", "pydantic", "httpx"}
