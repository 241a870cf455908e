"""Make the lock from the pins, by uv: for every Python from 3.11 on and every system at once.

It asks the package index. It parses on Python 3.6, and knows nothing of how the lock is used.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from typing import Any

from tocdemo.errors import SetupError

from . import locks
from .words import OLDEST, last_error

COMMAND = "python3 -m tocdemo lock"
GROUPS = ("dev", "site", "versions")


def make(root: str, upgrade: bool = False) -> "list[str]":
    """Write the locks of the project in `root`, and return their paths.

    A version that is locked already is kept, unless `upgrade` asks for the newest that the pins allow. Raises
    `SetupError` when uv is not there, or cannot do it.
    """
    os.makedirs(os.path.join(root, locks.FOLDER), exist_ok=True)
    further = ["--upgrade"] if upgrade else []
    course = locks.path(root)
    _lock(root, course, ["-", *further], given=_course(root))
    for group in GROUPS:  # what both need has one version
        source = ["--group", f"pyproject.toml:{group}", "--constraint", course]
        _lock(root, locks.path(root, group), [*source, *further])
    made = [course, *(locks.path(root, group) for group in GROUPS)]
    wheels = os.path.join(root, locks.FOLDER, locks.WHEELS)
    lines = [
        f"{json.dumps(name)}: {json.dumps(found)}" for name, found in sorted(_wheels(root, made).items())
    ]
    with open(wheels, "w", encoding="utf-8", newline="\n") as file:
        file.write("{\n" + ",\n".join(lines) + "\n}\n")
    return [*made, wheels]


def _course(root: str) -> str:
    """What a learner's environment is made of: the pins, and what builds the project itself."""
    with open(os.path.join(root, "requirements.txt"), encoding="utf-8") as file:
        lines = [line for line in file.read().splitlines() if not line.startswith("-e")]
    return "\n".join([*lines, *_project(root)["build-system"]["requires"], ""])


def _project(root: str) -> "dict[str, Any]":
    import tomllib  # from Python 3.11 on

    with open(os.path.join(root, "pyproject.toml"), "rb") as file:
        return tomllib.load(file)


def _lock(root: str, lock: str, arguments: "list[str]", given: str = "") -> None:
    shown = ["--custom-compile-command", COMMAND, "--no-emit-index-url", "--no-emit-find-links"]
    target = ["--output-file", os.path.relpath(lock, root)]
    _compile(root, ["--generate-hashes", *shown, *target, *arguments], given)


def _wheels(root: str, made: "list[str]") -> "dict[str, list[str]]":
    """The tags of the wheels of each locked package that is not pure Python, by `name==version`."""
    with tempfile.TemporaryDirectory(prefix="tocdemo-lock-") as folder:
        pylock = os.path.join(folder, "pylock.toml")  # PEP 751: it names the files
        relative = [os.path.relpath(lock, root) for lock in made]
        _compile(root, ["--no-deps", "--format", "pylock.toml", "--output-file", pylock, *relative])
        import tomllib

        with open(pylock, "rb") as file:
            packages = tomllib.load(file)["packages"]
    found = {f"{each['name']}=={each['version']}": sorted(map(_tag, each["wheels"])) for each in packages}
    return {name: tags for name, tags in found.items() if not any(tag.endswith("-none-any") for tag in tags)}


def _tag(wheel: "dict[str, Any]") -> str:
    name = wheel.get("name") or os.path.basename(wheel["url"])
    return "-".join(name[: -len(".whl")].split("-")[-3:])


def _compile(root: str, arguments: "list[str]", given: str = "") -> None:
    uv = shutil.which("uv", path=os.path.dirname(sys.executable)) or shutil.which("uv")
    if uv is None:
        raise SetupError("there is no uv, which makes the lock")
    oldest = "{}.{}".format(*OLDEST)
    command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", oldest, *arguments]
    done = subprocess.run(
        command, cwd=root, input=given.encode(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    if done.returncode:
        raise SetupError(f"uv could not make the lock: {last_error(done.stderr.decode(errors='replace'))}")
