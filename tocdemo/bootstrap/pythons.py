"""Find the Pythons of this machine, and run the test command on each, in an environment of its own.

It parses on Python 3.6, and knows nothing of what is tested.
"""

import contextlib
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import time

from .words import NEWEST, OLDEST

SUPPORTED = tuple(f"{OLDEST[0]}.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1))
_CAN_MAKE_ENVIRONMENTS = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2], sys.executable)"


def find(version: str) -> "str | None":
    """Return an interpreter of that version, such as "3.13", that can make environments; None without one.

    It is the running one, one on the path, one that pyenv keeps, or one that Windows' launcher knows. Each is
    tried, because a shim may lead nowhere.
    """
    kept = os.path.join(os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv"), "versions")
    commands = [[sys.executable]] if version == "{}.{}".format(*sys.version_info[:2]) else []
    commands += [[name] for name in [shutil.which("python" + version)] if name]
    commands += [[name] for name in sorted(glob.glob(os.path.join(kept, version + ".*", "bin", "python")))]
    commands += [["py", "-" + version]] if shutil.which("py") else []
    return next(filter(None, (_tried(command, version) for command in commands)), None)


def test(versions: "tuple[str, ...]", command: "list[str]") -> int:
    """Run `command` (the entry, its subcommand and pytest's arguments) on each Python that is here.

    A table at the end says what each showed, and which was not found. Returns 1 when one is not green or none
    was found, else 0.
    """
    found = {version: find(version) for version in versions}
    rows, green = [], any(found.values())
    for version, python in found.items():
        if python is None:
            rows.append(f"{version:8} not found on this machine")
            continue
        print(f"\n=== Python {version}: {python}", flush=True)
        with tempfile.TemporaryDirectory(prefix="tocdemo-pythons-") as folder:
            report, started = os.path.join(folder, "report.xml"), time.monotonic()
            code = subprocess.call([python, *command, f"--junitxml={report}"])
            rows.append(f"{version:8} {_counts(report, code)} {time.monotonic() - started:9.0f}")
        green = green and code == 0
    print("\nPython     passed   failed  skipped   seconds", *rows, sep="\n")
    return 0 if green else 1


def _counts(report: str, code: int) -> str:
    """What a run showed, by pytest's report in the format of JUnit; an error counts as failed."""
    from xml.etree import ElementTree

    try:
        suites = list(ElementTree.parse(report).getroot().iter("testsuite"))
    except (OSError, ElementTree.ParseError):
        return f"could not run (exit code {code})"
    total, failures, errors, skipped = (
        sum(int(suite.get(name, "0")) for suite in suites)
        for name in ("tests", "failures", "errors", "skipped")
    )
    failed = failures + errors
    return f"{total - failed - skipped:8} {failed:8} {skipped:8}"


def _tried(command: "list[str]", version: str) -> "str | None":
    with contextlib.suppress(OSError):
        told = subprocess.run(
            [*command, "-c", _CAN_MAKE_ENVIRONMENTS], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        found, _, executable = told.stdout.decode(errors="replace").strip().partition(" ")
        if told.returncode == 0 and found == version:
            return executable
    return None
