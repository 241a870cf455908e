"""A pytest plugin that gives a run its database, so that plain `pytest` needs nothing started.

It tells the backend where its database is before any conftest is imported, and it refuses a run that would
test another copy of the app than the one beside the tests. A run that brings a `GivenDatabase` has its
database from that.
"""

import contextlib
import sys
from pathlib import Path

import pytest

from tocdemo.errors import NoDatabase

from .databases import chosen_backend, open_database


class GivenDatabase:
    """A pytest plugin that opens a database on `backend` for the run, whatever the suite itself loads."""

    def __init__(self, backend: str) -> None:
        self.backend = backend

    @pytest.hookimpl(tryfirst=True)
    def pytest_load_initial_conftests(self, early_config: pytest.Config) -> None:
        """Open the database."""
        _open(early_config, self.backend)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Open the database that the environment asks for, unless the run was given one."""
    if not any(isinstance(plugin, GivenDatabase) for plugin in early_config.pluginmanager.get_plugins()):
        _open(early_config, chosen_backend())


def _open(config: pytest.Config, backend: str) -> None:
    """Open the run's database and set the backend's settings; both are undone when the run ends."""
    resources = contextlib.ExitStack()
    config.add_cleanup(resources.close)
    try:
        database = resources.enter_context(open_database(backend))
    except NoDatabase as error:
        raise pytest.UsageError(str(error)) from error
    settings = pytest.MonkeyPatch()
    resources.callback(settings.undo)
    for name, value in database.environment().items():
        settings.setenv(name, value)


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
