"""What the set-up says: in its own words, and what pip and uv write while they install, and why they failed.

It reads their log, and parses on Python 3.6; it knows nothing of how they are started.
"""

import os
import re
import sys
from collections.abc import Sequence

from .locks import FOLDER

AGAIN = "then run the same command again."
NO_WHEEL = (
    "there is no ready-made package (wheel) for this system of {}: pip has to build it, "
    "which may need a compiler"
)
OLDEST, NEWEST = (3, 11), (3, 14)  # the Pythons that the course is tested with

_FULL = re.compile(r"No space left on device|No usable temporary directory|Disk quota exceeded")
_OTHER_HASH = re.compile(r"DO NOT MATCH THE HASHES.*\n\s*(\S+)")
_NO_NETWORK = re.compile(r"connection broken by|ConnectTimeout|NewConnectionError|Max retries|ProxyError")


def last_line(log: str) -> str:
    """Return the last error that an installer wrote, or its last line."""
    with open(log, encoding="utf-8", errors="replace") as file:
        return last_error(file.read())


def last_error(text: str) -> str:
    """Return the last error in what an installer wrote, or its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")]
    return (errors or lines or ["no output"])[-1]


def why_venv_failed(command: str, text: str) -> str:
    """Return why an environment without packages could not be made, from what the command wrote."""
    if _FULL.search(text):
        return no_room()
    return "`{}` failed: {}".format(command, (text.strip().splitlines() or ["no output"])[-1])


def no_room() -> str:
    """Say which two folders the set-up writes to, one of which is full."""
    temporary = os.environ.get("TMPDIR") or "the folder for temporary files"
    return f"there is no room left, here or in {temporary}; make 1 GB free, or set TMPDIR, {AGAIN}"


def why_pip_failed(log: str, without_wheel: "Sequence[str]" = ()) -> str:
    """Return why pip failed, and what to do. `without_wheel` names what it had to build."""
    with open(log, encoding="utf-8", errors="replace") as file:
        text = file.read()
    other = _OTHER_HASH.search(text)
    if other:
        return (
            f"the package index gave another file for {other.group(1)} than those whose hashes {FOLDER} "
            f"has, so it was not installed; take another index or mirror, {AGAIN} (pip's words: {log})"
        )
    if _NO_NETWORK.search(text):
        return (
            "pip cannot reach its package index; check the network, and pip's proxy and index settings, "
            f"{AGAIN} (pip's words: {log})"
        )
    if _FULL.search(text):
        return no_room()
    errors = [line for line in text.splitlines() if line.startswith("ERROR: ")] or ["ERROR: no error line"]
    remedy = f"mend that, {AGAIN}"
    if sys.version_info[:2] > NEWEST:
        remedy = "this Python is newer than those the course is tested with: take {}.{}".format(*NEWEST)
    elif without_wheel:
        remedy = f"{NO_WHEEL.format(', '.join(without_wheel))}; {remedy}"
    return f"pip could not install the requirements: {errors[0][7:]}; {remedy} (pip's words: {log})"


def stage(log: str) -> str:
    """Return how far an installer is."""
    with open(log, encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    if any(line.startswith("Installing collected packages") for line in lines):
        return "unpacking the packages"
    if any(line.startswith("Resolved ") for line in lines):  # by uv
        return "fetching and unpacking the packages"
    if lines and "Retrying" in lines[-1]:
        return "no answer from the package index, trying again"
    found = [line.split()[1] for line in lines if line.startswith("Collecting ")]
    return f"{len(found)} packages found, now {found[-1]}" if found else "looking for packages"


def say(text: str) -> None:
    print("tocdemo: " + text, file=sys.stderr, flush=True)
