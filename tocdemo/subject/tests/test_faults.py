"""The faults as transforms (each one, every combination, every order), and what they do to the 28."""

import ast
from itertools import combinations

import pytest

from tocdemo.runner import suite
from tocdemo.subject import faults, sources

from .projects import AS_TYPED, lay_out, run_pytest

NAMES = tuple(faults.FAULTS)
COMBINATIONS = [frozenset(chosen) for size in range(len(NAMES) + 1) for chosen in combinations(NAMES, size)]
STATIC_APP, STATIC_TEST, SYNC, UNBOUND = (
    "static-app-imports",
    "static-test-imports",
    "sync-fixture",
    "unbound-client",
)
CLOSED = "RuntimeError: Event loop is closed"


# --- As transforms


@pytest.mark.parametrize("name", NAMES)
def test_a_fault_has_two_sentences_and_a_diff(name):
    fault = faults.get(name)

    assert fault.name == name
    assert len(fault.sentence.split()) > 4
    assert len(fault.fix.split()) > 4
    assert fault.sentence != fault.fix
    difference = faults.diff(name)
    for path in fault.transforms:
        assert f"--- {path}" in difference
    assert "\n-" in difference


@pytest.mark.parametrize("name", NAMES)
def test_a_fault_that_is_there_already_is_refused(name):
    once = faults.get(name).apply(sources.fixed())

    with pytest.raises(faults.NothingToChange) as refused:
        faults.get(name).apply(once)

    message = str(refused.value)
    assert message.startswith(f"{name}: found nothing to change in ")
    assert any(path in message for path in faults.get(name).transforms)
    assert faults.get(name).sentence in message


def test_every_order_of_every_combination_gives_one_text():
    """Each combination is reached from each one with a fault less: by induction, in every order."""
    for combination in COMBINATIONS:
        whole = faults.with_faults(combination)
        for last in combination:
            assert faults.get(last).apply(faults.with_faults(combination - {last})) == whole, (
                last,
                combination,
            )


def test_every_combination_is_another_backend_and_compiles():
    texts = {path: set() for path in sources.fixed()}
    for combination in COMBINATIONS:
        files = faults.with_faults(combination)
        for path, text in files.items():
            texts[path].add(text)
    assert len({tuple(faults.with_faults(each).items()) for each in COMBINATIONS}) == 2 ** len(NAMES)
    for path, versions in texts.items():
        for text in versions:
            if path.endswith(".py"):
                compile(text, path, "exec")


def test_no_combination_leaves_an_unused_import():
    changed = (sources.APP, sources.CONFTEST, sources.SUITE)
    texts = {(path, faults.with_faults(each)[path]) for each in COMBINATIONS for path in changed}
    assert len(texts) == 16 + 4 + 4
    for path, text in texts:
        assert unused_imports(text) == set(), path


def unused_imports(text):
    tree = ast.parse(text)
    imported = {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    return imported - {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def test_the_check_for_unused_imports_finds_one():
    assert unused_imports("import os\nimport sys\nfrom a import b\nsys.exit(b)") == {"os"}


def test_a_fault_takes_its_own_imports_and_leaves_the_learners():
    files = dict(sources.fixed())
    files[sources.CONFTEST] = "import json\n" + files[sources.CONFTEST]

    after = faults.get(UNBOUND).apply(files)[sources.CONFTEST]

    assert "import json" in after
    assert "import asyncio" not in after


@pytest.mark.parametrize("ask", [faults.get, faults.diff, lambda name: faults.with_faults([name])])
def test_an_unknown_fault_is_answered_with_the_names(ask):
    with pytest.raises(ValueError, match="There is no fault 'sink-fixture'") as refused:
        ask("sink-fixture")

    assert all(name in str(refused.value) for name in NAMES)


def test_an_unknown_state_is_answered_with_the_names():
    with pytest.raises(ValueError, match="There is no state 'broken'") as refused:
        faults.state("broken")

    assert all(name in str(refused.value) for name in faults.STATES)


def test_states_hold_known_faults_and_fixed_is_the_package():
    assert faults.with_faults(faults.state("fixed")) == sources.fixed()
    assert {name for state in faults.STATES.values() for name in state} <= set(NAMES)


def test_a_fault_named_twice_counts_once():
    assert faults.with_faults([SYNC, SYNC]) == faults.with_faults([SYNC])


def test_the_faults_of_every_text_are_found_again():
    for combination in COMBINATIONS:
        for path, text in faults.with_faults(combination).items():
            here = {name for name in combination if path in faults.FAULTS[name].transforms}
            assert faults.faults_in(path, text) == here, (path, combination)


@pytest.mark.parametrize("path", [sources.APP, sources.CONFTEST, sources.SUITE])
def test_an_edited_text_is_in_no_known_state(path):
    assert faults.faults_in(path, faults.with_faults([SYNC])[path] + "\n# mine\n") is None


def test_the_unguarded_write_leaves_update_toc_guarded():
    tree = ast.parse(faults.with_faults(["unguarded-write"])[sources.APP])
    functions = {node.name: ast.unparse(node) for node in tree.body if isinstance(node, ast.AsyncFunctionDef)}

    assert "_unchanged(book)" in functions["update_toc_with_transaction"]
    assert "_unchanged" not in functions["_change_chapters"]


def test_written_files_are_whole_and_leave_no_draft(tmp_path):
    copy = lay_out(tmp_path, (SYNC,))

    written = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}
    assert written == set(sources.fixed())
    assert (copy / sources.CONFTEST).read_text() == faults.with_faults([SYNC])[sources.CONFTEST]


def test_a_stale_compiled_file_goes_with_the_old_text(tmp_path):
    path = tmp_path / "module.py"
    stale = tmp_path / "__pycache__" / "module.cpython-311.pyc"
    neighbour = tmp_path / "__pycache__" / "module_two.cpython-311.pyc"
    stale.parent.mkdir()
    stale.write_bytes(b"old")
    neighbour.write_bytes(b"another's")

    sources.write_file(path, "new = True\n")

    assert not stale.exists()
    assert neighbour.exists()


# --- What they do to the 28: processes for what a learner sees first, the inline engine for the rest


def test_the_incident_in_a_terminal_passes_tests_1_and_6_alone(tmp_path):
    copy = lay_out(tmp_path, faults.state("incident"))

    outcome = run_pytest(copy, "-rpf", "--tb=line", **AS_TYPED)

    assert outcome.counts == "26 failed, 2 passed", outcome.text
    passed = [line.rpartition("::")[2] for line in outcome.text.splitlines() if line.startswith("PASSED")]
    assert passed == ["test_update_toc_success", "test_update_toc_invalid_book_id_format"]
    failed = [line for line in outcome.text.splitlines() if line.startswith("FAILED")]
    assert len(failed) == 26
    assert all(CLOSED in line for line in failed), failed


def test_io_loop_in_a_sync_fixture_finds_no_running_loop(tmp_path):
    outcome = run_pytest(lay_out(tmp_path, (SYNC,)), "--tb=line")

    assert outcome.counts == "1 passed, 27 errors", outcome.text
    assert outcome.text.count("RuntimeError: no running event loop") >= 27


@pytest.mark.parametrize(
    ("names", "passed"),
    [
        ((STATIC_APP, STATIC_TEST, UNBOUND), 2),
        ((STATIC_APP, STATIC_TEST), 2),
        ((STATIC_APP, SYNC, UNBOUND), 2),
        ((STATIC_APP,), 2),
        ((STATIC_TEST, SYNC, UNBOUND), 4),
        ((STATIC_TEST,), 4),
        ((SYNC, UNBOUND), 28),
        ((UNBOUND,), 28),
        ((), 28),
    ],
    ids=lambda value: "+".join(value) or "fixed" if isinstance(value, tuple) else str(value),
)
def test_each_row_of_the_table(tmp_path, names, passed):
    run = inline(tmp_path, names)

    assert (run.passed, run.failed, run.errors) == (passed, 28 - passed, 0), run
    # Test 23 gathers its errors and shows them in an AssertionError.
    errors = [result.error for result in run.results if result.outcome == "failed"]
    assert all("Event loop is closed" in error for error in errors), errors


def test_the_mock_hides_the_incident(tmp_path):
    run = inline(tmp_path, faults.state("incident"), backend="mock")

    assert (run.passed, run.failed, run.errors) == (28, 0, 0), run


@pytest.mark.parametrize("half", [STATIC_APP, STATIC_TEST])
def test_half_fixed_the_mock_has_two_stores(tmp_path, half):
    run = inline(tmp_path, (half, SYNC, UNBOUND), backend="mock")

    assert (run.passed, run.failed, run.errors) == (4, 24, 0), run
    errors = [result.error for result in run.results if result.outcome == "failed"]
    assert sum("Book not found" in error for error in errors) == 20, errors
    # Four tests expect another ValueError than this one.
    assert sum("Regex pattern did not match" in error for error in errors) == 4, errors


def inline(folder, names, **options):
    copy = lay_out(folder.resolve(), names)
    return suite.run(copy, suite.arguments_for(copy), **options)
