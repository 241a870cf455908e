"""Make an environment beside the one that is in use, and put it in its place when it is whole.

Until then the old one works as it did, whatever happens. It parses on Python 3.6, and knows nothing of which
environment is wanted.
"""

import contextlib
import os
import shutil
import sys

from tocdemo.errors import SetupError

from . import installing
from .environment import MARKER, VERSION, Environment
from .words import AGAIN, say

_IN_USE = (5, 32)  # Windows' ERROR_ACCESS_DENIED and ERROR_SHARING_VIOLATION: it moves no open file
_REPLACED = "replaced"  # where the old one lies, in the new one, until it is deleted


def beside(environment: Environment) -> Environment:
    """The place where the next one is made: `.vnew` for `.venv`.

    A script in it holds the path of its Python. The name is as long as the one it will have, so that the
    path can be changed even in a program file.
    """
    place, name = os.path.split(environment.folder)
    return Environment(os.path.join(place, name.replace(".venv", ".vnew", 1)), environment.root)


def replace(environment: Environment, pins: "dict[str, str | None]") -> None:
    """Put a new environment in the place of this one, or raise `SetupError`: then nothing changed."""
    new = beside(environment)
    refuse_foreign(new)
    _require_venv_module()
    with _writing(new), new.owned() as keep_open:
        if environment.complete(pins):  # another process has just done it
            shutil.rmtree(new.folder)
            return
        if not new.complete(pins):  # else it was cut short in the last moment
            _fill_new(new, environment, pins, keep_open)
        _swap(new, environment)


def add(environment: Environment, pins: "dict[str, str | None]", group: str) -> None:
    """Add a group to an environment that may be in use. Raises `SetupError`."""
    with _writing(environment), environment.owned() as keep_open:
        if not environment.lacking(pins):  # another process has just done it
            return
        stamp = environment.stamp()
        environment.begin(stamp)
        installing.install(environment, pins, keep_open, group=group)
        _require_all(environment, pins)
        environment.finish(stamp)


def refuse_foreign(environment: Environment) -> None:
    """Raise `SetupError` when somebody else made what is there."""
    folder = environment.folder
    if not os.path.lexists(folder) or environment.ours:
        return
    if os.path.isdir(folder) and not os.listdir(folder):
        return  # nothing in it: a set-up that was interrupted at its first step
    raise SetupError(
        f"{folder} was not made by this project and is left alone; move it away, or activate it and run "
        f"`pip install -r requirements.txt` in {environment.root}, {AGAIN}"
    )


def _fill_new(new: Environment, old: Environment, pins: "dict[str, str | None]", keep_open: "tuple") -> None:
    stamp: dict[str, object] = {
        "python": f"{os.path.realpath(sys.executable)} {VERSION}",
        "project": new.root,
    }

    def anew() -> None:
        installing.empty(new, but=MARKER)
        installing.create(new, os.path.basename(old.folder))

    if not new.sound():  # new, half made, or made for another Python or place: pip cannot mend that
        whole = os.path.lexists(old.folder) or os.listdir(new.folder) != [MARKER]
        say("making the environment {} ({})".format(old.folder, "from scratch" if whole else "new"))
        anew()
    new.begin(stamp)
    installing.install(new, pins, keep_open, anew=anew)
    _require_all(new, pins)
    new.finish(stamp)


def _require_all(environment: Environment, pins: "dict[str, str | None]") -> None:
    left = environment.lacking(pins)
    if left:
        raise SetupError(
            f"the set-up ended well, yet {environment.folder} lacks {', '.join(left)}; delete that folder, "
            f"{AGAIN}"
        )


def _swap(new: Environment, old: Environment) -> None:
    """Put the new environment in the place of the old, which is deleted then."""
    _say_its_place(new, old.folder)
    with contextlib.ExitStack() as locks:
        if os.path.lexists(old.folder):
            locks.enter_context(old.owned())  # who adds a group there is waited for
            os.rename(old.folder, new.path(_REPLACED))
    os.rename(new.folder, old.folder)
    shutil.rmtree(old.path(_REPLACED), ignore_errors=True)


def _say_its_place(new: Environment, place: str) -> None:
    """Change the path of the folder in all that holds it: the scripts, and what the venv says of itself."""
    was, will_be = os.fsencode(new.folder), os.fsencode(place)
    scripts = os.path.dirname(new.python)
    names = [entry.path for entry in os.scandir(scripts) if entry.is_file(follow_symlinks=False)]
    for name in [*names, new.path("pyvenv.cfg")]:
        with contextlib.suppress(FileNotFoundError), open(name, "rb+") as file:
            text = file.read()
            if was in text:
                file.seek(0)
                file.write(text.replace(was, will_be))


@contextlib.contextmanager
def _writing(environment: Environment):
    try:
        yield
    except OSError as error:
        if getattr(error, "winerror", None) in _IN_USE:
            raise SetupError(
                f"{environment.folder} cannot be replaced while something runs in it, or reads it; "
                f"end JupyterLab and what else that is, {AGAIN}"
            ) from error
        raise SetupError(
            f"cannot write the environment {environment.folder}: {error.strerror or error}; make it writable "
            f"(with 1 GB free), or copy the project to a folder of your own, {AGAIN}"
        ) from error


def _require_venv_module() -> None:
    try:
        import ensurepip  # noqa: F401  (Debian leaves it out without python3-venv)
        import venv  # noqa: F401
    except ImportError as error:
        raise SetupError(
            f"this Python ({sys.executable}) cannot make environments: its module {error.name} is missing; "
            f"on Debian or Ubuntu run `apt install python3.{sys.version_info[1]}-venv`, {AGAIN}"
        ) from error
