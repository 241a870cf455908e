"""Which Python a project's tests run in: found beside the project, or named, and asked what it has.

It knows how tools lay out environments, and nothing of runs.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tocdemo.errors import BadInput, CannotRun

OLDEST = (3, 11)  # what runs a suite for a notebook needs it; loopwatch alone does not
OLDEST_PYTEST = (7, 4)  # the first with which the recorder was seen to work; it needs pluggy 1.2
INI_FILES = ("pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg", "setup.py")
_FOLDERS = (".venv", "venv", "env")  # as `python -m venv`, uv, and Poetry with `virtualenvs.in-project` make
_ANSWER_WITHIN = 20.0  # seconds

# It parses on any Python, so that an old one can say how old it is.
_QUESTION = """
import json, sys
packages = {}
try:
    from importlib.metadata import PackageNotFoundError, version
    for name in ("pytest", "pluggy"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            pass
except ImportError:
    pass
print(json.dumps({"version": list(sys.version_info[:3]), "prefix": sys.prefix, "packages": packages}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python that can run a suite: its executable, its version, the folder of its environment."""

    executable: Path
    version: str
    prefix: Path
    packages: Mapping[str, str]


def project_of(path: Path) -> Path:
    """Return the folder of the project that the tests at `path` belong to: where pytest would be started.

    It is the nearest one upwards with a file that settings of pytest may stand in, else the tests' own.
    """
    folder = path if path.is_dir() else path.parent
    for each in (folder, *folder.parents):
        if any((each / name).is_file() for name in INI_FILES):
            return each
    return folder


def find(path: Path) -> Path | None:
    """Return the Python of the environment that belongs to the project at `path`, if it has one of its own.

    The nearest `.venv`, `venv` or `env` counts, upwards to the root of the repository; else the environment
    that Poetry keeps elsewhere for a project of its own. None, too, when it is the one that runs now.
    """
    project = project_of(path.resolve())
    for folder in _upwards(project):
        for name in _FOLDERS:
            python = _python_in(folder / name)
            if python is not None and (folder / name / "pyvenv.cfg").is_file():
                return None if _is_ours(folder / name) else python
    return _of_poetry(project)


def _upwards(project: Path) -> Iterator[Path]:
    """Yield the project's folder and those above it, up to the root of its repository."""
    repository = next((each for each in (project, *project.parents) if (each / ".git").exists()), project)
    for each in (project, *project.parents):
        yield each
        if each == repository:
            return


def _python_in(folder: Path) -> Path | None:
    names = ("bin/python", "Scripts/python.exe", "python.exe")  # the last one is conda's on Windows
    return next((folder / name for name in names if (folder / name).exists()), None)


def _is_ours(folder: Path) -> bool:
    return folder.resolve() == Path(sys.prefix).resolve()


def _of_poetry(project: Path) -> Path | None:
    """Ask Poetry, which keeps environments in a folder of its own by default (`poetry env info`)."""
    poetry = shutil.which("poetry")
    if poetry is None or not _is_poetrys(project):
        return None
    try:
        command = [poetry, "env", "info", "--executable", "--no-ansi"]
        # Inside of an environment that is active, Poetry answers with that one.
        outside = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        done = subprocess.run(
            command, cwd=project, env=outside, capture_output=True, text=True, timeout=_ANSWER_WITHIN
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    python = Path(done.stdout.strip().rpartition("\n")[2])
    is_own = python.is_file() and not _is_ours(python.parent.parent)
    return python if done.returncode == 0 and is_own else None


def _is_poetrys(project: Path) -> bool:
    settings = project / "pyproject.toml"
    if (project / "poetry.lock").is_file():
        return True
    return settings.is_file() and "[tool.poetry" in settings.read_text(encoding="utf-8", errors="replace")


def named(python: str | Path) -> Path:
    """Return the interpreter that a text names: a file, the folder of an environment, or a command.

    Raises BadInput when there is none.
    """
    path = Path(python).expanduser()
    if path.is_dir():
        found = _python_in(path)
        if found is None:
            raise BadInput(f"There is no Python in the folder {path}: is it a virtual environment?")
        return found.absolute()  # not resolved: the link's own place says which environment it is
    if path.exists():
        return path.absolute()
    command = shutil.which(str(python)) if path.name == str(python) else None
    if command is None:
        raise BadInput(
            f"There is no Python at {path}: name an interpreter, or the folder of a virtual environment, "
            f'such as python=".venv"'
        )
    return Path(command)


def ask(executable: Path) -> Interpreter:
    """Return what an interpreter says of itself. Raises CannotRun when a suite cannot run and be recorded."""
    said = _answer(executable)
    version = tuple(said["version"])
    shown = ".".join(map(str, version))
    if version < OLDEST:
        raise CannotRun(
            f"The project's Python, {executable}, is {shown}. What runs a suite for a notebook needs "
            f"{_dotted(OLDEST)} or newer. Run it there in a terminal, by pytest; or make an environment of a "
            f'newer Python beside it, and name it: lab.run(…, python="…")'
        )
    packages = said["packages"]
    if "pytest" not in packages:
        raise CannotRun(
            f"The project's Python, {executable}, has no pytest. Install there what the tests need, "
            f'"{executable}" -m pip install pytest … , or name another Python: lab.run(…, python="…")'
        )
    if _numbers(packages["pytest"]) < OLDEST_PYTEST:
        raise CannotRun(
            f"The project's pytest, {packages['pytest']} in {executable}, is too old for the recorder of "
            f"event loops, which needs {_dotted(OLDEST_PYTEST)} or newer"
        )
    return Interpreter(executable, shown, Path(said["prefix"]), packages)


def _answer(executable: Path) -> dict:
    command = [str(executable), "-c", _QUESTION]
    # What stands in the surroundings is for the Python that runs now.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        done = subprocess.run(
            command,
            env=plain,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_ANSWER_WITHIN,
        )
        words = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[
            -1
        ]
        return json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        words = f"it did not answer within {_ANSWER_WITHIN:g} s"
    except OSError as error:
        words = error.strerror or str(error)
    except ValueError:
        pass
    raise CannotRun(f"{executable} is no Python that starts: {words}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:2]))


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
