"""Find, or make, the Python environment that holds what requirements.txt names, and add a dependency group.

It uses the standard library alone, parses on Python 3.6, and knows nothing of the course. An environment that
the user made is used when it satisfies the pins, and is never changed. One that works is never given up for
one that is not whole yet.
"""

import os
import signal
import subprocess
import sys

from tocdemo.errors import SetupError

from . import making, pythons
from .environment import MARKER, STAMP, VERSION, Environment
from .pins import as_requirements, read_group, read_pins
from .pins import lacking as _lacking
from .words import AGAIN, NEWEST, OLDEST, say

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ENVIRONMENT = ".venv"
PROJECT = "tocdemo"  # its name among the pins, where it stands for this folder
AS_IT_IS = "TOCDEMO_ENVIRONMENT_AS_IT_IS"  # for the process that this one hands over to: what failed is said

__all__ = [
    "MARKER",
    "STAMP",
    "SetupError",
    "add_group",
    "end_hand_over",
    "hand_over",
    "has_project",
    "lacking",
    "read_group",
    "read_pins",
    "ready_python",
    "require_python",
]


def require_python(version: "tuple | None" = None) -> None:
    """Raise `SetupError` when `version` (default: the running Python's) is too old for the course."""
    version = tuple(version or sys.version_info[:3])
    if version[:2] >= OLDEST:
        return
    newer = _newer_python()
    instead = (
        "install one, " + AGAIN
        if newer is None
        else "run: {} -m tocdemo {}".format(newer, " ".join(sys.argv[1:] or ["start"]))
    )
    raise SetupError(
        "Python {}.{} to {}.{} is needed, and this is Python {} ({}); {}".format(
            *OLDEST, *NEWEST, ".".join(map(str, version)), sys.executable, instead
        )
    )


def has_project() -> bool:
    """Whether this package lies in its project, and was not installed as a wheel."""
    return all(os.path.exists(os.path.join(ROOT, name)) for name in ("requirements.txt", "pyproject.toml"))


def ready_python() -> "str | None":
    """Return the interpreter to go on in, having set it up when that was needed; None means the running one.

    When a set-up is not possible, an older environment that can serve is gone on with, and a sentence says
    so; without one, `SetupError` is raised. A set-up that is interrupted is repaired by the next call.
    """
    pins = read_pins(os.path.join(ROOT, "requirements.txt"))
    environment = _environment()
    inside = environment.runs_here
    if os.environ.pop(AS_IT_IS, None) and inside:
        return None
    if not inside and _is_complete(pins):
        return None
    making.refuse_foreign(environment)
    if environment.complete(pins):
        return None if inside else environment.python
    try:
        making.replace(environment, pins)
    except SetupError as error:
        if not environment.serves(pins):
            raise
        _go_on_as_it_is(environment, pins, error)
        if inside:
            return None
        os.environ[AS_IT_IS] = "1"
    return environment.python  # of the running one, too, the packages were replaced


def add_group(name: str) -> None:
    """Install the dependency group `name` of pyproject.toml into the running environment, where it lacks it.

    Raises `SetupError` when that is not possible, and when the environment is the user's own.
    """
    pins = read_group(os.path.join(ROOT, "pyproject.toml"), name)
    environment = _environment()
    if environment.runs_here:
        if environment.lacking(pins):
            more = dict(read_pins(os.path.join(ROOT, "requirements.txt")), **pins)
            making.add(environment, more, name)
        return
    left = lacking(pins, sys.path)
    if left:
        raise SetupError(
            f"this needs the group `{name}` of pyproject.toml, and the environment {sys.prefix} is yours, so "
            f"it is left alone; run `pip install {' '.join(as_requirements(pins, left))}` in it, {AGAIN}"
        )


def lacking(pins: "dict[str, str | None]", path: "list[str]") -> "list[str]":
    """Return the names whose pinned version is not installed in the folders of `path` (as in `sys.path`)."""
    return _lacking(pins, path, ROOT)


def hand_over(python: str, argv: "list[str]") -> int:
    """Go on with the same command in another interpreter; on POSIX this process becomes it (no return)."""
    # By its path, not with -m: it is found where PYTHONSAFEPATH is set, and when the project was moved.
    command = [python, os.path.join(ROOT, "tocdemo"), *argv]
    sys.stdout.flush()
    sys.stderr.flush()
    # A test without `assert` says nothing.
    os.environ.pop("PYTHONOPTIMIZE", None)
    if os.name == "posix":
        # Ctrl-C waits until the other interpreter can answer it with a sentence.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        os.execv(python, command)
    # On Windows the console sends Ctrl-C to both. A no-op function, not SIG_IGN: it is the child's affair.
    interrupt = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return subprocess.call(command)
    finally:
        signal.signal(signal.SIGINT, interrupt)


def end_hand_over() -> None:
    """Let Ctrl-C through again, in the interpreter that was handed over to."""
    if os.name == "posix":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _environment() -> Environment:
    """The project's environment for this version of Python: `.venv`, or `.venv-3.12` beside another's."""
    running = Environment(sys.prefix, ROOT)
    if running.runs_here and os.path.realpath(os.path.dirname(sys.prefix)) == os.path.realpath(ROOT):
        return running
    first = Environment(os.path.join(ROOT, ENVIRONMENT), ROOT)
    if first.made_for in (None, VERSION):
        return first
    return Environment(f"{first.folder}-{VERSION}", ROOT)


def _go_on_as_it_is(environment: Environment, pins: "dict[str, str | None]", error: SetupError) -> None:
    say(str(error))
    left = environment.lacking(pins)
    what = f" (not as pinned: {', '.join(left)})" if left else ""
    say(f"going on in the environment as it is{what}")
    # Where the project was moved, the environment knows its old place.
    _put_first(ROOT)


def _put_first(folder: str) -> None:
    """Let the processes that this one starts find modules in `folder` first."""
    told = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join([folder, *(each for each in told if each not in ("", folder))])


def _is_complete(pins: "dict[str, str | None]") -> bool:
    """Whether the running Python holds all that is pinned.

    The project itself may be missing, or another copy of it be there, as in an image, or on a hub where each
    learner has one: then this one goes first.
    """
    left = lacking(pins, sys.path)
    if left == [PROJECT] and len(pins) > 1:
        _put_first(ROOT)
        return True
    return not left


def _newer_python() -> "str | None":
    """The newest Python on this machine that the course runs on."""
    return next(filter(None, map(pythons.find, reversed(pythons.SUPPORTED))), None)
