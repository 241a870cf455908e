"""What a run and a child process are to find in their environment: stated here, once.

A setting that changes how Python or pytest behaves is a user's own, and no part of the course: ipykernel, for
example, sets FORCE_COLOR, and Python 3.13 and later then colour tracebacks. It knows nothing of runs.
"""

import os
from pathlib import Path

# Of Python's own variables those that say where modules lie, or spare a folder its caches.
_KEPT = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONUSERBASE",
    "PYTHONNOUSERSITE",
    "PYTHONPYCACHEPREFIX",
    "PYTHONDONTWRITEBYTECODE",
)
_COLOURS = ("FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "PY_COLORS", "NO_COLOR")
_STATED = {"NO_COLOR": "1", "PYTHONUTF8": "1"}  # https://no-color.org; https://peps.python.org/pep-0540/

# Plugins that change the order of tests when they are installed, and nothing else about them.
REORDERING = ("randomly", "random_order", "reverse")


def of_child(further: dict[str, str] | None = None, *, own_settings: bool = False) -> dict[str, str]:
    """Return the environment of a new Python process: no colours, UTF-8, and nothing else of Python's.

    `further` comes on top. With `own_settings` pytest's variables are handed down, too.
    """
    kept = {name: value for name, value in os.environ.items() if _is_kept(name, own_settings)}
    return kept | _STATED | (further or {})


def of_project(executable: Path, prefix: Path, further: dict[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a process of another Python, as in a terminal where it is activated.

    What says where modules of the Python that runs now lie is left out; pytest's variables are handed down.
    """
    ours = ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE")
    kept = {name: value for name, value in of_child(own_settings=True).items() if name not in ours}
    path = os.pathsep.join(filter(None, (str(executable.parent), os.environ.get("PATH", ""))))
    return kept | {"PATH": path, "VIRTUAL_ENV": str(prefix)} | (further or {})


def shield() -> None:
    """Take the settings of pytest out of this process's environment."""
    for name in [name for name in os.environ if name.startswith("PYTEST_")]:
        del os.environ[name]


def _is_kept(name: str, own_settings: bool) -> bool:
    if name.startswith("PYTEST_"):
        return own_settings
    if name.startswith("PYTHON"):
        return name in _KEPT
    return name not in _COLOURS
