"""Wherever pytest is started, it tests the app that lies beside the tests, or it is not green.

Each run is a process of its own. The plugin `teller` prints which app was tested, so that a green run of
another copy would show itself.
"""

import os
from pathlib import Path

import pytest

from tocdemo.subject.tests.projects import AS_TYPED, NO_DATABASE_NEEDED, ROOT, lay_out, run_pytest

SUITE = "tests/test_db/test_toc_transactions.py"
NODE = f"{SUITE}::{NO_DATABASE_NEEDED}"
TELLER = """
import sys

def pytest_sessionfinish(session):
    app = sys.modules.get("app.db.toc_transactions")
    print("\\nTESTED", getattr(app, "__file__", "no app"))
"""
EARLY = """
import app.db.toc_transactions
"""


@pytest.fixture
def plugins(tmp_path):
    """A folder with the plugin `teller`, for PYTHONPATH."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "teller.py").write_text(TELLER)
    return folder


@pytest.fixture
def house(tmp_path):
    """A root like the project's: its pyproject.toml, a backend in the package, and a workspace."""
    root = tmp_path / "house"
    lay_out(root / "tocdemo" / "backend")
    lay_out(root / "workspace")
    (root / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    return root


def project_of(outcome):
    """The project folder of the app that a green run has tested."""
    assert outcome.code == 0, outcome.text
    (line,) = (line for line in outcome.text.splitlines() if line.startswith("TESTED "))
    return Path(line.removeprefix("TESTED ")).parents[2]


def run(folder, plugins, *arguments, also=(), **environment):
    path = os.pathsep.join(map(str, (plugins, *also)))
    return run_pytest(folder, "-p", "teller", *arguments, PYTHONPATH=path, **environment)


# --- The ways to start a run


def test_from_the_projects_root_the_package_is_tested(plugins):
    outcome = run(ROOT, plugins, f"tocdemo/backend/{NODE}", **AS_TYPED)

    assert project_of(outcome) == ROOT / "tocdemo" / "backend"
    assert outcome.counts == "1 passed"


def test_from_the_projects_root_a_copy_elsewhere_is_tested(tmp_path, plugins):
    copy = lay_out(tmp_path / "somewhere" / "else")

    assert project_of(run(ROOT, plugins, f"{copy}/{NODE}")) == copy


def test_plain_pytest_in_a_root_tests_the_package(house, plugins):
    outcome = run(house, plugins, "-k", NO_DATABASE_NEEDED)

    assert project_of(outcome) == house / "tocdemo" / "backend"
    assert outcome.counts == "1 passed, 27 deselected"


def test_pytest_workspace_from_a_root_tests_the_workspace(house, plugins):
    outcome = run(house, plugins, "workspace", "-k", "invalid_book_id or update_toc_success", **AS_TYPED)

    assert project_of(outcome) == house / "workspace"
    assert outcome.counts == "2 passed, 26 deselected"


def test_all_28_pass_from_inside_a_copy(house, plugins):
    outcome = run(house / "workspace", plugins)

    assert project_of(outcome) == house / "workspace"
    assert outcome.counts == "28 passed"


@pytest.mark.parametrize(
    ("inside", "argument"),
    [
        ("tocdemo/backend", NODE),
        ("workspace/tests", "."),
        ("workspace/tests/test_db", f"test_toc_transactions.py::{NO_DATABASE_NEEDED}"),
    ],
)
def test_from_inside_a_folder_or_a_subfolder(house, plugins, inside, argument):
    outcome = run(house / inside, plugins, argument, "-k", NO_DATABASE_NEEDED)

    project = "workspace" if "workspace" in inside else "tocdemo/backend"
    assert project_of(outcome) == house / project


def test_a_fault_in_the_app_beside_the_tests_shows(house, plugins):
    app = house / "workspace" / "app" / "db" / "toc_transactions.py"
    app.write_text(app.read_text().replace("Invalid book ID format", "This is the workspace's own app"))

    outcome = run(house, plugins, f"workspace/{NODE}")

    assert outcome.code == 1
    assert "This is the workspace's own app" in outcome.text


# --- Another copy


def test_another_app_on_the_path_is_not_tested(house, plugins):
    outcome = run(house, plugins, f"workspace/{NODE}", also=[house / "tocdemo" / "backend"])

    assert project_of(outcome) == house / "workspace"


def test_another_app_that_was_imported_first_is_an_error(house, plugins):
    (plugins / "early.py").write_text(EARLY)
    other = house / "tocdemo" / "backend"

    outcome = run(house, plugins, "-p", "early", f"workspace/{NODE}", also=[other])

    assert outcome.code == 4, outcome.text
    assert f"imported the app from {other / 'app'}, not the one beside them" in outcome.text
    assert "passed" not in outcome.text


def test_another_app_found_by_the_import_mode_is_an_error(house, plugins):
    other = house / "tocdemo" / "backend"

    outcome = run(house, plugins, "--import-mode=importlib", f"workspace/{NODE}", also=[other])

    assert outcome.code == 4, outcome.text
    assert f"imported the app from {other / 'app'}" in outcome.text


def test_two_copies_in_one_run_are_an_error(house, plugins):
    outcome = run(house, plugins, f"workspace/{NODE}", f"tocdemo/backend/{NODE}")

    assert outcome.code not in (0, 5), outcome.text
    assert "passed" not in outcome.text


def test_two_copies_at_once_are_an_error_in_workers_too(house, plugins):
    (plugins / "early.py").write_text(EARLY)
    other = house / "tocdemo" / "backend"

    outcome = run(house, plugins, "-p", "early", "-p", "xdist", "-n", "1", f"workspace/{NODE}", also=[other])

    assert outcome.code != 0, outcome.text
    assert "1 passed" not in outcome.text
