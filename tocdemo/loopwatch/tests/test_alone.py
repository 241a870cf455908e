"""The plugin needs nothing but pytest: no driver, and nothing of the course but what draws its pictures."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

IMPORT_ALL = """
    import importlib
    import pkgutil
    import sys

    import pytest

    KNOWN = {*sys.stdlib_module_names, "pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments"}


    class NothingElse:
        def find_spec(self, name, path=None, target=None):
            room = ".".join(name.split(".")[:2])
            if name.partition(".")[0] in KNOWN or room in ("tocdemo", "tocdemo.display", "tocdemo.loopwatch"):
                return None
            raise ModuleNotFoundError(f"loopwatch is to do without {name}", name=name)


    sys.meta_path.insert(0, NothingElse())
    importlib.import_module("tocdemo.loopwatch.__main__")
    for folder in ("live", "pictures", "static"):
        package = importlib.import_module(f"tocdemo.loopwatch.{folder}")
        for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            importlib.import_module(module.name)
    print(*sorted(name for name in sys.modules if name.startswith("tocdemo.")))
    """


def test_every_module_is_imported_without_anything_but_pytest_and_the_display():
    done = subprocess.run(
        [sys.executable, "-c", dedent(IMPORT_ALL)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {"tocdemo.loopwatch.live.hooks", "tocdemo.loopwatch.pictures.lanes"} <= set(done.stdout.split())
