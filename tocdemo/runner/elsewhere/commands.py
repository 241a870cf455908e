"""A command as a terminal would run it in a project's folder, with the project's environment activated.

It knows processes and environments, and not what the command does.
"""

import contextlib
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tocdemo.display.code import preformatted
from tocdemo.errors import BadInput, CannotRun

from .. import databases, environment
from . import interpreters

LIMIT = 120.0  # seconds that a command may take
WIDTH = "100"  # columns of the terminal that there is not


@dataclass(frozen=True)
class Output:
    """What a command printed, and the exit status that it ended with."""

    command: str
    text: str
    status: int

    def __str__(self) -> str:
        end = f"\n(exit status {self.status})" if self.status else ""
        return f"$ {self.command}\n{self.text.rstrip()}{end}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/plain": str(self), "text/html": preformatted(str(self))}


def run(command: str, folder: Path, *, python: str | None = None, backend: str | None = None) -> Output:
    """Run one command, without a shell, where the project at `folder` would be worked on.

    `python` names its Python; without one, it is that of its own environment, or else the one that runs
    now. With `backend`, the command finds a fresh database in DATABASE_URI and DATABASE_NAME. Raises
    CannotRun when there is no such command, or it does not end within two minutes.
    """
    words = shlex.split(command)
    if not words:
        raise BadInput('Expected a command, such as lab.terminal("pytest --loopwatch")')
    found = interpreters.find(folder) if python is None else interpreters.named(python)
    executable = found or Path(sys.executable)
    with contextlib.ExitStack() as stack:
        further = {"COLUMNS": WIDTH}
        if backend is not None:
            further |= stack.enter_context(databases.open_database(backend)).environment()
        active = environment.of_project(executable, executable.parent.parent, further)
        program = shutil.which(words[0], path=active["PATH"])
        if program is None:
            raise CannotRun(f"There is no command {words[0]!r} in {executable.parent}, nor elsewhere on PATH")
        try:
            done = subprocess.run(
                [program, *words[1:]],
                cwd=interpreters.project_of(folder),
                env=active,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                timeout=LIMIT,
            )
        except subprocess.TimeoutExpired:
            raise CannotRun(f"{command!r} did not end within {LIMIT:g} s, and was ended") from None
    return Output(command, done.stdout, done.returncode)
