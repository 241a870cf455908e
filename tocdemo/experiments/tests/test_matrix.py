"""The matrix: its runs are the first table of what was measured, and what it reads from them is right."""

import contextlib
import json
import re

import pytest

from tocdemo import cli, lab
from tocdemo.experiments import matrix
from tocdemo.runner import inline, pool, worker
from tocdemo.runner.result import Run, TestResult


def expected_counts(names: frozenset[str]) -> tuple[int, int, int]:
    """The table of what was measured on Motor 3.7.1, as (passed, failed, errors)."""
    if "sync-fixture" in names and "unbound-client" not in names:
        return 1, 0, 27  # get_running_loop() outside a loop
    if "static-app-imports" in names:
        return 2, 26, 0
    if "static-test-imports" in names:
        return 4, 24, 0
    return 28, 0, 0


@pytest.fixture(scope="module")
def measured():
    return matrix.measure("embedded")


def fake_run(passed: int, note: str = "") -> Run:
    outcomes = ["passed"] * passed + ["failed"] * (28 - passed)
    results = tuple(TestResult(f"test_{n}", outcome) for n, outcome in enumerate(outcomes))
    return Run(results, seconds=0.1, note=note)


class NoWorker(contextlib.AbstractContextManager):
    run = None

    def __exit__(self, *_):
        """There is nothing to end."""


def faked(monkeypatch, passed) -> None:
    """Let `passed(names)` say how many tests pass, and start no process."""
    fake(monkeypatch, lambda names: fake_run(passed(set(names) - set(matrix.HELD))))


def fake(monkeypatch, combination) -> None:
    monkeypatch.setattr(pool, "Worker", NoWorker)
    monkeypatch.setattr(matrix, "combination", lambda names, backend, policy, run: combination(names))


def test_every_combination_gives_what_was_measured(measured):
    found = {cell.faults: cell.run for cell in measured.cells if not cell.policy}
    assert len(found) == 16
    assert {names: (run.passed, run.failed, run.errors) for names, run in found.items()} == {
        names: expected_counts(names) for names in found
    }


def test_the_policy_fixture_changes_nothing(measured):
    for names in ((), matrix.SWITCHES):
        with_it, without = measured.run(*names, policy=True), measured.run(*names)
        assert with_it.contract() == without.contract()


def test_the_policy_fixture_is_really_in_the_control(monkeypatch):
    written = {}
    monkeypatch.setattr(matrix.sources, "write", lambda files, folder: written.update(files))
    matrix.combination(matrix.SWITCHES, policy=True, run=lambda *_, **__: fake_run(28))
    scope: dict = {}
    exec(written["tests/conftest.py"].partition("from app")[0] + matrix.POLICY, scope)
    assert written["tests/conftest.py"].endswith(matrix.POLICY)
    assert "event_loop_policy" in scope


def test_dynamic_references_are_the_smallest_fix_and_the_rest_is_needless(measured):
    assert measured.fixes() == ({"static-app-imports", "static-test-imports"},)
    assert measured.needless() == ("sync-fixture", "unbound-client")


def test_the_effect_of_a_change_is_counted_with_the_others_held(measured):
    effects = {effect.fault: effect.gains for effect in measured.effects()}
    assert sorted(effects["static-app-imports"]) == [0, 0, 2, 2, 2, 26, 26, 26]
    assert sorted(effects["unbound-client"]) == [-27, -3, -1, -1, 0, 0, 0, 0]


def test_the_picture_and_the_text_show_every_run(measured):
    html = measured._repr_mimebundle_()["text/html"]
    assert len(re.findall("<td [^>]*title=", html)) == 16 + 4 * 8
    assert "<script" not in html
    assert str(measured).count("28 P\n") == 4
    assert "dynamic references in the app + dynamic references in the tests" in str(measured)


def test_two_changes_that_each_fix_it_are_two_smallest_fixes(monkeypatch):
    faked(monkeypatch, lambda names: 28 if not {"sync-fixture", "unbound-client"} <= names else 2)
    result = matrix.measure("embedded")
    assert result.fixes() == ({"unbound-client"}, {"sync-fixture"})
    assert result.needless() == ("static-app-imports", "static-test-imports")


def test_a_matrix_that_never_gets_green_says_so(monkeypatch):
    faked(monkeypatch, lambda names: 5)
    assert "No set of these changes fixes it." in str(matrix.measure("embedded"))


@pytest.mark.parametrize("backend", ["mock", "pymongo"])
def test_a_driver_without_io_loop_folds_the_table_and_says_so(monkeypatch, backend):
    faked(monkeypatch, lambda names: 28 if "unbound-client" in names else 0)
    result = matrix.measure(backend)
    assert len(result.cells) == 8 + 2
    assert all(cell.run.passed == 28 for cell in result.cells)  # each made without io_loop
    assert "has no io_loop" in str(result)
    assert {row["io_loop"] for row in result.to_json()["rows"]} == {None}


def test_the_mock_hides_the_incident_and_shows_half_a_mend():
    whole = matrix.combination([*matrix.HELD, *matrix.SWITCHES], "mock")
    half = matrix.combination([*matrix.HELD, "static-test-imports", "sync-fixture", "unbound-client"], "mock")
    assert (whole.passed, half.passed, half.failed) == (28, 4, 24)
    assert any("Book not found" in line for line in half.error_lines)


def test_an_interrupt_keeps_what_was_measured(monkeypatch, capsys):
    done = []

    def run_or_stop(names):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(names)
        return fake_run(2)

    fake(monkeypatch, run_or_stop)
    monkeypatch.setattr(pool, "PROCESSES", 1)  # two at once would end in either order
    result = matrix.measure("embedded")
    assert (len(result.cells), result.whole) == (3, False)
    assert "Stopped after 3 of 18 runs" in str(result)
    assert result._repr_mimebundle_()["text/html"].count("not run") == 13
    with pytest.raises(ValueError, match="not whole"):
        result.fixes()
    done.clear()
    assert cli.main(["matrix", "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 3


def test_a_run_that_was_stopped_inside_is_not_counted(monkeypatch):
    fake(monkeypatch, lambda names: fake_run(3, note="Interrupted."))
    result = matrix.measure("embedded")
    assert result.cells == ()
    assert "Stopped after 0 of 18 runs: Interrupted." in str(result)


def test_a_notebook_has_the_verb_and_no_module_hides_it():
    assert callable(lab.matrix)


def test_progress_counts_to_the_end(monkeypatch):
    faked(monkeypatch, lambda names: 28)
    seen = []
    matrix.measure("embedded", on_progress=lambda *numbers: seen.append(numbers[:2]))
    assert seen == [(n, 18) for n in range(19)]


def test_the_command_refuses_a_backend_that_does_not_exist(capsys):
    assert cli.main(["matrix", "--backend", "postgres"]) == 2
    assert "There is no backend 'postgres'" in capsys.readouterr().err


def test_a_cell_that_was_not_measured_is_an_error(measured):
    with pytest.raises(KeyError, match="No cell"):
        measured.run("sync-fixture", policy=True)


def test_the_panel_runs_what_its_switches_say():
    board = lab.panel()
    board.backend.value = "mock"
    assert board.switches["unbound-client"].disabled
    assert "28 passed" in board.shown.value
    board.switches["static-app-imports"].value = True
    assert "4 passed, 24 failed" in board.shown.value
    board.switches["static-test-imports"].value = True
    assert "28 passed" in board.shown.value
    assert board.faults == ["sync-fixture", "unbound-client"]
    assert "dynamic references in the app + dynamic references in the tests: 28 passed" in board.shown.value


def test_the_panel_says_why_it_cannot_run(monkeypatch):
    board = lab.panel()

    def refuse(*_):
        raise inline.CannotRun("An earlier run still holds its thread")

    monkeypatch.setattr(matrix, "combination", refuse)
    board.refresh()
    assert "Not run: An earlier run still holds its thread" in board.shown.value


def test_a_call_does_what_the_panel_does():
    assert lab.combination("static-test-imports", "unbound-client", backend="mock").passed == 4
    with pytest.raises(ValueError, match="There is no fault 'typo'"):
        lab.combination("typo")


def test_a_cell_keeps_the_record_of_its_loops(measured):
    assert "28" in str(measured.run().timeline())


def test_a_process_that_dies_says_its_last_words(tmp_path):
    (tmp_path / "test_dies.py").write_text(
        "import os, sys\n\ndef test_dies():\n    os.write(2, b'no more')\n    os._exit(3)\n"
    )
    with worker.Worker() as child:
        run = child.run(tmp_path, [str(tmp_path)])
    assert "exit code 3" in run.note
    assert run.remark == "Its last words: no more"
    (tmp_path / "test_dies.py").write_text("import os\nos.write(2, b'no more')\nos._exit(3)\n")
    with worker.Worker() as child, pytest.raises(RuntimeError, match=r"gave no result: .*no more"):
        child.run(tmp_path, [str(tmp_path)])


def test_what_a_test_prints_does_not_disturb_the_answer(tmp_path):
    (tmp_path / "test_prints.py").write_text("import os\n\ndef test_prints():\n    os.write(1, b'noise')\n")
    with worker.Worker() as child:
        assert [child.run(tmp_path, [str(tmp_path)]).passed for _ in range(2)] == [1, 1]
        with pytest.raises(inline.CannotRun, match="nothing to run"):
            child.run(tmp_path / "nowhere", [])
