"""A pytest plugin that gives a run its database, so that plain `pytest` needs nothing started.

It tells
the backend where its database is before any conftest is imported, and it refuses a run that would test
another copy of the app than the one beside the tests.
"""

import contextlib
import sys
from pathlib import Path

import pytest

from .databases import Database, NoDatabase, chosen_backend, open_database

_DATABASE = pytest.StashKey[Database]()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Open the run's database and set the backend's settings; both are undone when the run ends."""
    resources = contextlib.ExitStack()
    early_config.add_cleanup(resources.close)
    try:
        database = resources.enter_context(open_database(chosen_backend()))
    except NoDatabase as error:
        raise pytest.UsageError(str(error)) from error
    settings = pytest.MonkeyPatch()
    resources.callback(settings.undo)
    for name, value in database.environment().items():
        settings.setenv(name, value)
    early_config.stash[_DATABASE] = database


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to go on when the tests and the app that they import are not neighbours."""
    for project in {_project_of(item) for item in session.items}:
        if project is None:
            continue
        imported = getattr(sys.modules.get("app"), "__file__", None)
        if imported and Path(imported).resolve().parent.parent != project:
            raise pytest.UsageError(
                f"The tests in {project} imported the app from {Path(imported).parent}, not the one beside "
                f"them. Run the tests of one folder at a time, and take other folders with an `app` off "
                f"PYTHONPATH."
            )


def _project_of(item: pytest.Item) -> Path | None:
    """Return the folder that holds the test's topmost package and an `app` beside it, if there is one."""
    module = getattr(item, "module", None)
    if module is None:
        return None
    depth = module.__name__.count(".")
    folder = item.path.resolve().parents[depth]
    return folder if (folder / "app" / "__init__.py").exists() else None
