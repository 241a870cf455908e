"""Fresh modules for a suite, and everything put back afterwards: modules, path, environment, open clients.

It knows where a suite lies, and neither what is in it nor how it is run.
"""

import contextlib
import gc
import importlib
import os
import site
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pymongo import MongoClient

# Where installed packages lie: those are nobody's suite, even below a suite's folder (as `.venv` often is).
_INSTALLED = (
    *(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    site.getusersitepackages() + os.sep,
)
_OWN = __name__.partition(".")[0]  # this package: a run must not lose the modules that do it


@contextlib.contextmanager
def as_before(folder: Path) -> Iterator[None]:
    """Give the suite in `folder` fresh modules; put back modules, path and environment in the end.

    Clients that were left open are closed: a broken run leaves some.
    """
    root = root_of(folder)
    environment, path = dict(os.environ), list(sys.path)
    no_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    clients = _open_clients()
    modules = {name: sys.modules.pop(name) for name in _modules_of(root)}
    importlib.invalidate_caches()
    try:
        yield
    finally:
        for name in _modules_of(root):
            del sys.modules[name]
        sys.modules.update(modules)
        sys.path[:] = path
        sys.dont_write_bytecode = no_bytecode
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)
        for key in set(_open_clients()) - set(clients):
            with contextlib.suppress(Exception):
                MongoClient._clients[key].close()


def root_of(folder: Path) -> Path:
    """Return the folder that the suite's imports begin in: the first one upwards that is no package."""
    while (folder / "__init__.py").exists() and folder.parent != folder:
        folder = folder.parent
    return folder


def _modules_of(root: Path) -> list[str]:
    """Return the names of the loaded modules that a suite in `root` has to import itself.

    These are the modules that lie there, and those of another folder that bear the same names.
    """
    try:
        names = {path.stem for path in root.iterdir() if path.suffix == ".py" or path.is_dir()}
    except OSError:
        return []
    names -= {_OWN, *sys.stdlib_module_names}
    inside = f"{root}{os.sep}"
    return [
        name
        for name, module in list(sys.modules.items())
        if name != "__main__"  # the notebook, or the program that runs the suite
        and not _is_installed(module)
        and (_top(name) in names or (_top(name) != _OWN and _lies_below(module, inside)))
    ]


def _top(name: str) -> str:
    return name.partition(".")[0]


def _is_installed(module: Any) -> bool:
    return any(place.startswith(_INSTALLED) for place in _places(module))


def _lies_below(module: Any, folder: str) -> bool:
    return any(place.startswith(folder) for place in _places(module))


def _places(module: Any) -> list[str]:
    """Return where a module lies; nowhere for one that is built in, or was made by hand."""
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        return [file]
    try:
        return list(map(str, module.__path__))  # a package without __init__.py
    except Exception:
        return []


def _open_clients() -> dict[Any, Any]:
    """Return PyMongo's register of open clients (4.x), Motor's among them."""
    gc.collect(0)
    return dict(getattr(MongoClient, "_clients", {}))
