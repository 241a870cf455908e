"""Install pinned packages into an environment, with uv where there is one, and with pip.

It parses on Python 3.6, and knows neither where the environment lies nor whether it was whole before.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable

from tocdemo.errors import SetupError

from . import locks, words
from .environment import Environment
from .pins import as_requirements
from .words import say

_PIP_INDEX = re.compile(r"^(\S+\.)?index-url=", re.MULTILINE)  # in the words of `pip config list`


def create(environment: Environment, name: str) -> None:
    """Make an environment without packages where there is none; it calls itself `name`."""
    base = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    command = [base, "-m", "venv", "--prompt", name, environment.folder]
    made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if made.returncode != 0:
        text = made.stdout.decode(errors="replace")
        raise SetupError(words.why_venv_failed(" ".join(command), text))


def empty(environment: Environment, but: str) -> None:
    """Delete all that is in the environment's folder, except the file `but`."""
    for entry in list(os.scandir(environment.folder)):
        if entry.name == but:
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.remove(entry.path)


def install(
    environment: Environment,
    pins: "dict[str, str | None]",
    keep_open: "tuple",
    *,
    group: str = "",
    anew: "Callable[[], None] | None" = None,
) -> None:
    """Install with uv when that is on the path; without it, or when it fails, with pip.

    `anew` empties the environment, should uv leave it half done; without it (it is in use) that is an error.
    Raises `SetupError`.
    """
    uv, number = _uv(environment), len(environment.lacking(pins))
    what = f" of the group `{group}`" if group else ""
    packages, by = "1 package" if number == 1 else f"{number} packages", "pip" if uv is None else "uv"
    say(f"installing {packages}{what} and what they need, with {by}: once, and it may take a minute")
    steps, no_wheel = _steps(environment, pins, locks.path(environment.root, group))
    if no_wheel:
        say(words.NO_WHEEL.format(", ".join(no_wheel)))
    if uv is not None and _uv_installs(uv, environment, steps, keep_open, anew):
        return
    command = [environment.python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    # Python compiles what it imports: compiling all of it beforehand took longer than the first start gains.
    command += ["--progress-bar", "off", "--no-compile"]
    if not end_well([[*command, *step] for step in steps], environment, keep_open):
        raise SetupError(words.why_pip_failed(environment.log, no_wheel))


def _steps(
    environment: Environment, pins: "dict[str, str | None]", lock: str
) -> "tuple[list[list[str]], list[str]]":
    """The arguments of each call of an installer, and what of it has to be built.

    By the lock: pip takes no folder together with hashes, so the project comes after what builds it.
    """
    lacking = environment.lacking(pins)
    beyond = locks.beyond(lock, {name: pins[name] for name in lacking})
    if beyond:
        name = os.path.relpath(lock, environment.root)
        say(f"{name} does not have {', '.join(beyond)}: no hash is compared")
    if beyond or not os.path.exists(lock):
        # All pins, so that none is changed for the sake of another.
        pinned = as_requirements(pins, [name for name, version in pins.items() if version is not None])
        return [[*pinned, *(["-e", "."] if "tocdemo" in lacking else [])]], []
    steps = [["--no-deps", "--require-hashes", "-r", lock]]
    if "tocdemo" in lacking:
        steps.append(["--no-deps", "--no-build-isolation", "-e", "."])
    return steps, locks.without_wheel(environment.python, lock)


def _uv_installs(
    uv: str,
    environment: Environment,
    steps: "list[list[str]]",
    keep_open: "tuple",
    anew: "Callable[[], None] | None",
) -> bool:
    """Install with uv; when that fails, say so, and leave an environment that pip can go on with."""
    before = environment.last_change()
    command = [uv, "pip", "install", "--python", environment.python]
    if end_well([[*command, *step] for step in steps], environment, keep_open):
        return True
    why, half_way = words.last_line(environment.log), environment.last_change() != before
    if half_way and anew is None:
        raise SetupError(f"uv failed half way ({why}); {words.AGAIN} (its words: {environment.log})")
    say(f"uv failed ({why}); going on with pip")
    if half_way and anew is not None:  # pip would take for installed what uv left half done
        anew()
    return False


def _uv(environment: Environment) -> "str | None":
    """The uv on the path, if any; none when pip alone was told of an index, because uv does not ask pip."""
    uv = shutil.which("uv")
    if uv is None or any(key.startswith("UV_") and "INDEX" in key for key in os.environ):
        return uv
    command = [environment.python, "-m", "pip", "config", "list"]
    told = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return None if _PIP_INDEX.search(told.decode(errors="replace")) else uv


def end_well(commands: "list[list[str]]", environment: Environment, keep_open: "tuple") -> bool:
    """Run installers, one after the other, in the project's root, their output into one log."""
    started = time.monotonic()
    open(environment.log, "w", encoding="utf-8").close()
    if not all(_ends_well(command, environment, keep_open, started) for command in commands):
        return False
    say(f"installed in {time.monotonic() - started:.0f} s")
    return True


def _ends_well(command: "list[str]", environment: Environment, keep_open: "tuple", started: float) -> bool:
    told = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    told["PIP_USER"] = "0"
    # pip's own 5 take more than a minute to say that there is no network.
    told.setdefault("PIP_RETRIES", "2")
    with open(environment.log, "a", encoding="utf-8") as file:
        try:
            installer = subprocess.Popen(
                command,
                cwd=environment.root,
                env=told,
                pass_fds=keep_open,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        except OSError as error:  # an executable that this machine cannot start
            file.write(f"{command[0]}: {error.strerror}")
            return False
    try:
        _watch(installer, environment.log, started)
    except BaseException:
        installer.terminate()
        installer.wait()
        raise
    return installer.returncode == 0


def _watch(installer: "subprocess.Popen", log: str, started: float) -> None:
    """Show how far it is until it ends: one changing line in a terminal, a line every 15 s elsewhere."""
    terminal, shown = sys.stderr.isatty(), time.monotonic()
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            installer.wait(0.5)
            break
        now = time.monotonic()
        if terminal or now - shown > 15:
            shown = now
            text = f"{int(now - started):4} s: {words.stage(log)}"
            sys.stderr.write(f"\r\033[K{text}" if terminal else f"{text}\n")
            sys.stderr.flush()
    if terminal:
        sys.stderr.write("\r\033[K")
