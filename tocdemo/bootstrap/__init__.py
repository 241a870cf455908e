"""Find, or make, the Python environment that holds what requirements.txt names, and add a dependency group.

It uses the standard library alone, parses on Python 3.6, and knows nothing of the course. An environment that
the user made is used when it satisfies the pins, and is never changed.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time

from tocdemo.errors import SetupError

from . import log as words
from .pins import as_requirements, read_group, read_pins
from .pins import lacking as _lacking

try:
    import fcntl
except ImportError:  # Windows: two set-ups at once are then not kept apart
    fcntl = None  # type: ignore[assignment]  # there is none

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OLDEST, NEWEST = (3, 11), (3, 14)
ENVIRONMENT = ".venv"
MARKER = "made-by-tocdemo.txt"  # first in: this environment is ours to change
STAMP = "tocdemo-stamp.json"  # last in: what was installed here was installed to its end
UNFINISHED = "tocdemo-unfinished.json"  # in place of the stamp while something is being installed
LOG = "tocdemo-install.log"
AGAIN = "then run the same command again."

__all__ = [
    "SetupError",
    "add_group",
    "hand_over",
    "has_project",
    "lacking",
    "read_group",
    "read_pins",
    "ready_python",
    "require_python",
]

_PIP_INDEX = re.compile(r"^(\S+\.)?index-url=", re.MULTILINE)  # in the words of `pip config list`


def require_python(version: "tuple | None" = None) -> None:
    """Raise `SetupError` when `version` (default: the running Python's) is too old for the course."""
    version = tuple(version or sys.version_info[:3])
    if version[:2] >= OLDEST:
        return
    newer = _newer_python()
    instead = (
        "install one, " + AGAIN
        if newer is None
        else "run: {} -m tocdemo {}".format(newer, " ".join(sys.argv[1:] or ["start"]))
    )
    raise SetupError(
        "Python {}.{} to {}.{} is needed, and this is Python {} ({}); {}".format(
            *OLDEST, *NEWEST, ".".join(map(str, version)), sys.executable, instead
        )
    )


def has_project() -> bool:
    """Whether this package lies in its project, and was not installed as a wheel."""
    return all(os.path.exists(os.path.join(ROOT, name)) for name in ("requirements.txt", "pyproject.toml"))


def ready_python() -> "str | None":
    """Return the interpreter to go on in, having set it up when that was needed; None means the running one.

    Raises `SetupError` when the set-up is not possible. A set-up that is interrupted is repaired by the next
    call.
    """
    pins = read_pins(os.path.join(ROOT, "requirements.txt"))
    venv = os.path.join(ROOT, ENVIRONMENT)
    inside = _runs_in(venv)
    if not inside and not lacking(pins, sys.path):
        return None
    _refuse_foreign(venv)
    if not _complete(venv, pins):
        _make(venv, pins)
    return None if inside else _venv_python(venv)


def add_group(name: str) -> None:
    """Install the dependency group `name` of pyproject.toml into the running environment, where it lacks it.

    Raises `SetupError` when that is not possible, and when the environment is the user's own.
    """
    pins = read_group(os.path.join(ROOT, "pyproject.toml"), name)
    venv = os.path.join(ROOT, ENVIRONMENT)
    if _runs_in(venv):
        wanted = dict(read_pins(os.path.join(ROOT, "requirements.txt")), **pins)
        if not _complete(venv, wanted):
            _make(venv, wanted, group=name)
        return
    left = lacking(pins, sys.path)
    if left:
        raise SetupError(
            f"this needs the group `{name}` of pyproject.toml, and the environment {sys.prefix} is yours, so "
            f"it is left alone; run `pip install {' '.join(as_requirements(pins, left))}` in it, {AGAIN}"
        )


def lacking(pins: "dict[str, str | None]", path: "list[str]") -> "list[str]":
    """Return the names whose pinned version is not installed in the folders of `path` (as in `sys.path`)."""
    return _lacking(pins, path, ROOT)


def hand_over(python: str, argv: "list[str]") -> int:
    """Go on with the same command in another interpreter; on POSIX this process becomes it (no return)."""
    command = [python, "-m", "tocdemo", *argv]
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "posix":
        os.execv(python, command)
    return subprocess.call(command)


# --- the project's own environment -------------------------------------------------------------------------


def _runs_in(venv: str) -> bool:
    """Whether the running Python is that of `venv`, and `venv` is ours."""
    same = os.path.realpath(sys.prefix) == os.path.realpath(venv)
    return same and os.path.exists(os.path.join(venv, MARKER))


def _refuse_foreign(venv: str) -> None:
    if not os.path.lexists(venv) or os.path.exists(os.path.join(venv, MARKER)):
        return
    if os.path.isdir(venv) and not os.listdir(venv):
        return  # nothing in it: a set-up that was interrupted at its first step
    raise SetupError(
        f"{venv} was not made by this project and is left alone; move it away, or activate it and run "
        f"`pip install -r requirements.txt` in {ROOT}, {AGAIN}"
    )


def _base_python() -> str:
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def _venv_python(venv: str) -> str:
    return os.path.join(venv, *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))


def _site_packages(venv: str) -> str:
    import sysconfig

    return sysconfig.get_path("purelib", "venv", {"base": venv, "platbase": venv})


def _wanted_stamp() -> "dict[str, object]":
    """Say what an environment is made for; which packages it holds is read from their own metadata."""
    return {"python": "{} {}.{}".format(_base_python(), *sys.version_info[:2]), "project": ROOT}


def _read(venv: str, name: str) -> "dict[str, object]":
    try:
        with open(os.path.join(venv, name), encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def _write(venv: str, name: str, stamp: "dict[str, object]") -> None:
    with open(os.path.join(venv, name), "w", encoding="utf-8") as file:
        json.dump(stamp, file)


def _last_change(venv: str) -> "int | None":
    """When a package was last put into the environment or taken out of it (ns): whoever did it shows here."""
    with contextlib.suppress(OSError):
        return os.stat(_site_packages(venv)).st_mtime_ns
    return None


def _found_stamp(venv: str) -> "dict[str, object]":
    """Return the stamp; nothing when a set-up was cut short after its first change to the packages."""
    unfinished = _read(venv, UNFINISHED)
    untouched = unfinished.pop("last_change", None) == _last_change(venv)
    return _read(venv, STAMP) or (unfinished if untouched else {})


def _sound(venv: str) -> bool:
    """Whether the environment was made for this Python and place, and nothing in it is half installed."""
    found, wanted = _found_stamp(venv), _wanted_stamp()
    if _runs_in(venv):  # it may call its base by another name than the base does, and it is that Python
        wanted["python"] = found.get("python")
    return bool(found) and all(found.get(key) == value for key, value in wanted.items())


def _complete(venv: str, pins: "dict[str, str | None]") -> bool:
    return _sound(venv) and not lacking(pins, [_site_packages(venv)])


def _make(venv: str, pins: "dict[str, str | None]", group: "str | None" = None) -> None:
    """Make, repair or extend the environment, one process at a time."""
    _require_venv_module()
    try:
        os.makedirs(venv, exist_ok=True)
        with _owned(venv) as keep_open:
            if _complete(venv, pins):  # another process has just done it
                return
            _fill(venv, pins, group, keep_open)
    except OSError as error:
        raise SetupError(
            f"cannot write the environment {venv}: {error.strerror or error}; make it writable (with "
            f"1 GB free), or copy the project to a folder of your own, {AGAIN}"
        ) from error


def _require_venv_module() -> None:
    try:
        import ensurepip  # noqa: F401  (Debian leaves it out without python3-venv)
        import venv  # noqa: F401
    except ImportError as error:
        raise SetupError(
            f"this Python ({sys.executable}) cannot make environments: its module {error.name} is missing; "
            f"on Debian or Ubuntu run `apt install python3.{sys.version_info[1]}-venv`, {AGAIN}"
        ) from error


@contextlib.contextmanager
def _owned(venv: str):
    """Put the ownership marker in and hold its lock; yield the file numbers that pip has to keep open.

    pip inherits the lock: should this process be killed, the next set-up waits until its pip has ended too.
    """
    with open(os.path.join(venv, MARKER), "a+", encoding="utf-8") as marker:
        if fcntl is not None:
            try:
                fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _say("another tocdemo command is setting up the environment; waiting for it")
                fcntl.flock(marker, fcntl.LOCK_EX)
        if marker.tell() == 0:
            marker.write("tocdemo made this folder and may replace what is in it.\n")
            marker.flush()
        yield () if fcntl is None else (marker.fileno(),)


def _fill(venv: str, pins: "dict[str, str | None]", group: "str | None", keep_open: "tuple") -> None:
    if not _sound(venv):  # new, half made, or made for another Python or place: pip cannot mend that
        reason = "new" if os.listdir(venv) == [MARKER] else "from scratch"
        _say(f"making the environment {venv} ({reason})")
        _make_anew(venv)
    stamp = _found_stamp(venv) or _wanted_stamp()
    _write(venv, UNFINISHED, dict(stamp, last_change=_last_change(venv)))
    _remove(venv, STAMP)
    _install(venv, pins, group, keep_open)
    left = lacking(pins, [_site_packages(venv)])
    if left:
        raise SetupError(
            f"the set-up ended well, yet {venv} lacks {', '.join(left)}; delete that folder, {AGAIN}"
        )
    _write(venv, STAMP, stamp)
    _remove(venv, UNFINISHED)


def _remove(venv: str, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.remove(os.path.join(venv, name))


def _empty(venv: str) -> None:
    for entry in list(os.scandir(venv)):
        if entry.name == MARKER:
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.remove(entry.path)


def _make_anew(venv: str) -> None:
    _empty(venv)
    _create(venv)


def _create(venv: str) -> None:
    command = [_base_python(), "-m", "venv", venv]
    made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if made.returncode != 0:
        lines = made.stdout.decode(errors="replace").strip().splitlines() or ["no output"]
        raise SetupError(f"`{' '.join(command)}` failed: {lines[-1]}")


def _install(venv: str, pins: "dict[str, str | None]", group: "str | None", keep_open: "tuple") -> None:
    """Install with uv when that is on the path; without it, or when it fails, with pip."""
    uv = _uv(venv)
    number, what = len(lacking(pins, [_site_packages(venv)])), f" of the group `{group}`" if group else ""
    packages, by = "1 package" if number == 1 else f"{number} packages", "pip" if uv is None else "uv"
    _say(f"installing {packages}{what} and what they need, with {by}: once, and it may take a minute")
    if uv is not None and _uv_installs(uv, venv, pins, keep_open):
        return
    command = [_venv_python(venv), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    # Python compiles what it imports: compiling all of it beforehand took longer than the first start gains.
    command += ["--progress-bar", "off", "--no-compile", *_arguments(venv, pins)]
    if not _ends_well(command, venv, keep_open):
        raise SetupError(words.why_pip_failed(os.path.join(venv, LOG), AGAIN, NEWEST))


def _uv_installs(uv: str, venv: str, pins: "dict[str, str | None]", keep_open: "tuple") -> bool:
    """Install with uv; when that fails, say so, and leave an environment that pip can go on with."""
    before = _last_change(venv)
    command = [uv, "pip", "install", "--python", _venv_python(venv), *_arguments(venv, pins)]
    if _ends_well(command, venv, keep_open):
        return True
    _say(f"uv failed ({words.last_line(os.path.join(venv, LOG))}); going on with pip")
    if _last_change(venv) != before:  # pip would take for installed what uv left half done
        _make_anew(venv)
    return False


def _uv(venv: str) -> "str | None":
    """The uv on the path, if any; none when pip alone was told of an index, because uv does not ask pip."""
    uv = shutil.which("uv")
    if uv is None or any(key.startswith("UV_") and "INDEX" in key for key in os.environ):
        return uv
    command = [_venv_python(venv), "-m", "pip", "config", "list"]
    told = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return None if _PIP_INDEX.search(told.decode(errors="replace")) else uv


def _arguments(venv: str, pins: "dict[str, str | None]") -> "list[str]":
    """All pins, so that none is changed for the sake of another; the project only when it is lacking."""
    pinned = as_requirements(pins, [name for name, version in pins.items() if version is not None])
    editable = [name for name in lacking(pins, [_site_packages(venv)]) if pins[name] is None]
    return [*pinned, *(["-e", "."] if editable else [])]


def _ends_well(command: "list[str]", venv: str, keep_open: "tuple") -> bool:
    """Run an installer in the project's root, against which `-e .` resolves, its output into a log."""
    log = os.path.join(venv, LOG)
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    environment["PIP_USER"] = "0"
    # pip's own 5 take more than a minute to say that there is no network.
    environment.setdefault("PIP_RETRIES", "2")
    with open(log, "w", encoding="utf-8") as file:
        try:
            installer = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                pass_fds=keep_open,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        except OSError as error:  # an executable that this machine cannot start
            file.write(f"{command[0]}: {error.strerror}")
            return False
    try:
        _watch(installer, log)
    except BaseException:
        installer.terminate()
        installer.wait()
        raise
    return installer.returncode == 0


def _watch(installer: "subprocess.Popen", log: str) -> None:
    """Show how far it is until it ends: one changing line in a terminal, a line every 15 s elsewhere."""
    terminal, started, shown = sys.stderr.isatty(), time.monotonic(), time.monotonic()
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
    if installer.returncode == 0:
        _say(f"installed in {time.monotonic() - started:.0f} s")


def _newer_python() -> "str | None":
    """The newest Python on the path that the course runs on; tried, because a shim may lead nowhere."""
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        name = f"python3.{minor}"
        with contextlib.suppress(OSError):
            if shutil.which(name) and subprocess.call([name, "-c", ""], stderr=subprocess.DEVNULL) == 0:
                return name
    return None


def _say(text: str) -> None:
    print("tocdemo: " + text, file=sys.stderr, flush=True)
