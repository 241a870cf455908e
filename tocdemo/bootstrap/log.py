"""What pip and uv write while they install: how far they are, and why they failed.

It reads their log, and parses on Python 3.6; it knows nothing of how they are started.
"""

import re
import sys

_NO_NETWORK = re.compile(r"connection broken by|ConnectTimeout|NewConnectionError|Max retries|ProxyError")


def last_line(log: str) -> str:
    """Return the last error that an installer wrote, or its last line."""
    with open(log, encoding="utf-8", errors="replace") as file:
        lines = [line.strip() for line in file if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")]
    return (errors or lines or ["no output"])[-1]


def why_pip_failed(log: str, again: str, newest: "tuple") -> str:
    """Return why pip failed, and what to do; `again` ends the advice, `newest` is the last Python tried."""
    with open(log, encoding="utf-8", errors="replace") as file:
        text = file.read()
    if _NO_NETWORK.search(text):
        return (
            "pip cannot reach its package index; check the network, and pip's proxy and index settings, "
            f"{again} (pip's words: {log})"
        )
    errors = [line for line in text.splitlines() if line.startswith("ERROR: ")] or ["ERROR: no error line"]
    remedy = f"mend that, {again}"
    if sys.version_info[:2] > newest:
        remedy = "this Python is newer than those the course is tested with: take {}.{}".format(*newest)
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
