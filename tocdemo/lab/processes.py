"""Runs and scripts in a Python process of their own, for what must not happen in a notebook's kernel.

A fresh process has no loop yet, no imported modules and nobody's patches: it is where a mend is proved, and
where `nest_asyncio` is shown. Called by `notebook` and the command line.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import databases, runs

LIMIT = 120.0  # seconds that a process may take


class ScriptFailed(RuntimeError):
    """A script failed and should not have, or did not fail as it should have."""


def run(
    target: Path, arguments: list[str], backend: str | None = None, title: str = "in a new process"
) -> runs.Run:
    """Run a suite as `inline.run` does, in a new Python process, and return what it showed.

    Raises RuntimeError with the process's last words when it gave no result.
    """
    environment = dict(os.environ) | ({"TOCDEMO_BACKEND": backend} if backend else {})
    job = json.dumps([str(target), arguments])
    child = subprocess.run(
        [sys.executable, "-m", "tocdemo.lab.processes", job],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    if child.returncode != 0:
        raise RuntimeError(f"The process gave no result: {child.stderr.strip()[-2000:]}")
    return runs.from_json(json.loads(child.stdout.splitlines()[-1]), title=title)


@dataclass(frozen=True)
class Script:
    """What a script did: what it printed, and the last line of its error, if there was one."""

    output: str
    error: str
    expected: bool = False

    def __str__(self) -> str:
        label = "Expected error" if self.expected else "Error"
        return self.output + (f"{label}: {self.error}" if self.error else "")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle: dict[str, Any] = {"text/plain": str(self)}
        if self.expected:
            kind, _, message = self.error.partition(": ")
            bundle["application/vnd.tocdemo.expected+json"] = {"type": kind, "message": message}
        return bundle


def script(code: str, expect: str | None = None) -> Script:
    """Run `code` in a Python process of its own, with a database of its own in its environment.

    The script finds DATABASE_URI and DATABASE_NAME in `os.environ`; its folder is thrown away afterwards.
    `expect` is a part of the error that it is to end with. Raises ScriptFailed when it ends otherwise.
    """
    with (
        tempfile.TemporaryDirectory(prefix="tocdemo-") as folder,
        databases.open_database(databases.chosen_backend()) as own,
    ):
        file = Path(folder) / "script.py"
        file.write_text(code, encoding="utf-8")
        child = subprocess.run(
            [sys.executable, str(file)],
            cwd=folder,
            env=dict(os.environ) | own.environment(),
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
    error = _last_error(child.stderr) if child.returncode else ""
    if expect is None and child.returncode:
        raise ScriptFailed(f"The script failed:\n{child.stdout}{child.stderr}")
    if expect is not None and expect not in error:
        raise ScriptFailed(
            f"Expected the script to end with {expect!r}; it ended with {error or 'no error'!r}"
        )
    return Script(child.stdout, error, expected=expect is not None)


def _last_error(text: str) -> str:
    """Return the line that ends the last traceback in `text`; warnings may come after it."""
    trace = text.rpartition("Traceback (most recent call last):")[2] or text
    lines = [line for line in trace.splitlines() if line and not line.startswith(" ")]
    return lines[0] if lines else ""


def _main() -> None:
    """Run the suite that the parent process asks for, and print the run as one line of JSON."""
    from . import inline

    target, arguments = json.loads(sys.argv[1])
    print(json.dumps(inline.run(Path(target), arguments=arguments).to_json()))


if __name__ == "__main__":
    _main()
