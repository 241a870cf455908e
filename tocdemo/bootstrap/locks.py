"""The lock: all that the pins pull in, each package with one version and the hashes of its files.

`locks/course.txt` belongs to requirements.txt, and `locks/GROUP.txt` to a dependency group. It parses on
Python 3.6, and knows nothing of how packages are installed, nor of how the lock is made.
"""

import os
import re
import subprocess

FOLDER = "locks"
COURSE = "course"
WHEELS = "wheels.json"  # of the packages that are not pure Python: the tags of their wheels
_LINE = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)


def path(root: str, group: str = "") -> str:
    """Where the lock of a dependency group lies; without a group, the course's."""
    return os.path.join(root, FOLDER, (group or COURSE) + ".txt")


def read(lock: str) -> "dict[str, set[str]]":
    """Return the versions that a lock has, by normalized name (one each, as a rule); none without a file."""
    found = {}  # type: dict[str, set[str]]
    try:
        with open(lock, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        text = ""
    for name, version in _LINE.findall(text):
        found.setdefault(normalized(name), set()).add(version)
    return found


def beyond(lock: str, pins: "dict[str, str | None]") -> "list[str]":
    """Return the pins that a lock does not have, as `name==version`."""
    locked = read(lock)
    return [
        f"{name}=={version}"
        for name, version in pins.items()
        if version is not None and version not in locked.get(normalized(name), ())
    ]


def without_wheel(python: str, lock: str) -> "list[str]":
    """Return what of a lock has no wheel for an interpreter and its system; nothing if that is not known."""
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wheels.py")
    wheels = os.path.join(os.path.dirname(lock), WHEELS)
    command = [python, "-I", program, lock, wheels]
    told = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return told.stdout.decode("utf-8", "replace").split() if told.returncode == 0 else []


def normalized(name: str) -> str:
    """Return a package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
