"""A copy of the backend in a temporary folder, and a pytest process on it: what several tests here need."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tocdemo.subject import faults, sources

ROOT = Path(__file__).resolve().parents[3]
NO_DATABASE_NEEDED = "test_update_toc_invalid_book_id_format"

# What would lead a run elsewhere, when the outer run was started with it.
_SETTINGS = ("TOCDEMO_BACKEND", "TOCDEMO_MONGO_URI", "DATABASE_URI", "DATABASE_NAME", "DATABASE_DRIVER")
_OUTER = ("PYTHONPATH", "PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST", "PYTEST_PLUGINS")

_ALWAYS = {"PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"}
_LEAN = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "pytest_asyncio.plugin"}
AS_TYPED = dict.fromkeys(_LEAN, "")


@dataclass(frozen=True)
class Outcome:
    """How a pytest process ended: its exit code, and its output with the errors' below it."""

    code: int
    text: str

    @property
    def counts(self) -> str:
        """The last line's counts, such as "2 passed, 26 failed", in pytest's own order."""
        lines = [line for line in self.text.splitlines() if " in " in line and line[:1].isdigit()]
        return lines[-1].rpartition(" in ")[0] if lines else ""


def lay_out(folder: Path, names: tuple[str, ...] = ()) -> Path:
    """Write the backend and its 28 tests, with the named faults, to `folder`, and return it."""
    sources.write(faults.with_faults(names), folder)
    return folder


def run_pytest(folder: Path, *arguments: str, **environment: str) -> Outcome:
    """Run `pytest` in a process of its own, from inside `folder`.

    Of the installed plugins it loads pytest-asyncio alone: the others take half of its time. With
    `**AS_TYPED` it loads them all, as a learner's `pytest` does.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in _SETTINGS + _OUTER}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env=inherited | _ALWAYS | _LEAN | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Outcome(done.returncode, done.stdout + done.stderr)
