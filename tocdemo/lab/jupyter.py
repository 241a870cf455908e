"""How this project starts JupyterLab and runs notebooks without a browser.

Called by the `start` command and by the tests. It knows where the kernels have to come from, and nothing of
what a lesson says.
"""

import os
import sys
from pathlib import Path


def environment() -> dict[str, str]:
    """Return the environment variables of a Jupyter process whose kernels run in this very Python.

    Kernel specifications in the user's home folder may carry the same name, so those of this Python go first
    (jupyter_core: JUPYTER_PREFER_ENV_PATH). What a surrounding pytest told its own run is left out.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "DATABASE_"))}
    return {**kept, "JUPYTER_PREFER_ENV_PATH": "1"}


def lab_command(root: Path, document: str, *further: str) -> list[str]:
    """Return the command that serves `root` in JupyterLab and opens `document` (a path below `root`)."""
    return [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={root}",
        f"--LabApp.default_url=/lab/tree/{document}",
        *further,
    ]
