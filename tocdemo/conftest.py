"""What the project's own tests need of the environment: without it, one sentence in place of import errors.

It knows the dependency group that holds their packages, and no test.
"""

import importlib.metadata
from pathlib import Path

import pytest

from tocdemo import bootstrap

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    """Refuse to begin without the packages of the group `dev`, whatever their versions."""
    missing = [name for name in bootstrap.read_group(str(ROOT / "pyproject.toml"), "dev") if not _found(name)]
    if missing:
        raise pytest.UsageError(
            f"the project's own tests need {', '.join(missing)}, which a learner does not need: "
            "`python3 -m tocdemo test` installs them and runs the tests"
        )


def _found(name: str) -> bool:
    try:
        return bool(importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return False
