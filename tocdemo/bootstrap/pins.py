"""The versions that the project pins, and which of them an environment lacks.

It reads the project's two files of pins, and parses on Python 3.6; it knows nothing of how packages are
installed.
"""

import json
import os
import re
import sys
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from tocdemo.errors import SetupError

_PIN = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[\w.!+]+)(?:\s*;\s*(?P<marker>.+))?$")
_SYSTEM = re.compile(r"""^sys_platform\s*(==|!=)\s*["'](\w+)["']$""")


def read_pins(path: str) -> "dict[str, str | None]":
    """Return the versions that a requirements file pins, by name, for this system; None for `-e .` (tocdemo).

    Only what this project's file uses is understood: `name==version`, with or without a `sys_platform`
    marker, and `-e .`. Any other line raises `SetupError`.
    """
    with open(path, encoding="utf-8") as file:
        lines = [line.split(" #")[0].strip() for line in file]
    return _pins_in([line for line in lines if line and not line.startswith("#")], path)


def read_group(path: str, name: str) -> "dict[str, str | None]":
    """Return the versions that a dependency group of a pyproject.toml (PEP 735) pins, by name, here.

    Groups may include others. Raises `SetupError` for a group that is not there, and as `read_pins` does.
    """
    import tomllib  # from Python 3.11 on

    with open(path, "rb") as file:
        groups = tomllib.load(file).get("dependency-groups", {})
    if name not in groups:
        raise SetupError(f"{path}: there is no dependency group `{name}`")
    pins = _pins_in([entry for entry in groups[name] if isinstance(entry, str)], path)
    for entry in groups[name]:
        if isinstance(entry, dict):
            pins.update(read_group(path, entry["include-group"]))
    return pins


def _pins_in(lines: "list[str]", path: str) -> "dict[str, str | None]":
    pins = {}  # type: dict[str, str | None]
    for line in lines:
        match = _PIN.match(line)
        if line == "-e .":
            pins["tocdemo"] = None
        elif match and _holds_here(match.group("marker"), path):
            pins[match.group("name")] = match.group("version")
        elif not match:
            raise SetupError(f"{path}: expected `name==version` or `-e .`, found: {line}")
    return pins


def _holds_here(marker: "str | None", path: str) -> bool:
    if marker is None:
        return True
    match = _SYSTEM.match(marker.strip())
    if not match:
        raise SetupError(f"{path}: only sys_platform markers are understood, found: {marker}")
    return (sys.platform == match.group(2)) == (match.group(1) == "==")


def as_requirements(pins: "dict[str, str | None]", names: "list[str]") -> "list[str]":
    return [f"{name}=={pins[name]}" for name in names]


def lacking(pins: "dict[str, str | None]", path: "list[str]", root: str) -> "list[str]":
    """Return the names whose pinned version is not installed in the folders of `path` (as in `sys.path`).

    The project itself counts as installed when it is the one in the folder `root`.
    """
    from importlib.metadata import Distribution  # from Python 3.8 on

    def satisfied(name: str, version: "str | None") -> bool:
        found = next(iter(Distribution.discover(name=name, path=path)), None)
        if found is None:
            return False
        return _is_this_project(found, root) if version is None else found.version == version

    return [name for name, version in pins.items() if not satisfied(name, version)]


def absent(pins: "dict[str, str | None]", path: "list[str]") -> "list[str]":
    """Return the names of which no version is installed in the folders of `path`."""
    from importlib.metadata import Distribution  # from Python 3.8 on

    return [name for name in pins if next(iter(Distribution.discover(name=name, path=path)), None) is None]


def _is_this_project(distribution: Any, root: str) -> bool:
    """Whether an installed `tocdemo` is this folder (PEP 610), and not another clone of the project."""
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    folder = url2pathname(urlparse(origin.get("url", "")).path)
    editable = origin.get("dir_info", {}).get("editable", False)
    return editable and os.path.realpath(folder) == os.path.realpath(root)
