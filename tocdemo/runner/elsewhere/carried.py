"""The few modules that come along into another Python: the recorder, and what reads pytest's reports.

They are copied into a folder of their own, in which nothing else lies: so no package of ours can take the
place of one of the project's. It knows which modules these are, and not what they do.
"""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[2]
# They need the standard library and pytest only; a test holds them to that.
CARRIED = (
    "__init__.py",
    "errors.py",
    "display",
    "loopwatch",
    "runner/__init__.py",
    "runner/result.py",
    "runner/stopping.py",
    "runner/reporting",
    "runner/elsewhere/__init__.py",
    "runner/elsewhere/agent.py",
)


@cache
def folder() -> Path:
    """Return a folder that holds these modules and nothing else. It is there until this process ends."""
    own = Path(tempfile.mkdtemp(prefix="tocdemo-carried-"))
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    copy_to(own)
    return own


def copy_to(folder: Path) -> None:
    """Copy the modules into `folder`, as the package that they belong to."""
    without = shutil.ignore_patterns("tests", "__pycache__")
    for name in CARRIED:
        source, target = _PACKAGE / name, folder / _PACKAGE.name / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=without)
        else:
            shutil.copy(source, target)
