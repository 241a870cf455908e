"""The things that are looked at on a machine, a function for each: it tries something, and tells what it saw.

They know what the course needs. Each may raise: what cannot be looked at keeps nothing else from being so.
"""

import contextlib
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import tomllib
import webbrowser
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tocdemo.course.jupyter import environment
from tocdemo.errors import NoDatabase, TocdemoError
from tocdemo.runner import databases, suite
from tocdemo.runner.options import RunOptions
from tocdemo.subject import faults, workspace

from .findings import Finding

ROOT = workspace.ROOT
PYTHON_NEEDED = ">=3.11"
SECONDS = 60.0  # that a child process may take
MEGABYTE, GIGABYTE = 2**20, 2**30
DISK_NEEDED = GIGABYTE / 2  # for what is run and written; the packages are there already
MEMORY_NEEDED = GIGABYTE / 2  # for JupyterLab and the kernels of two lessons; a browser takes more
FIRST_PORT, PORTS = 8888, 50  # where JupyterLab begins, and how far it goes on (its ServerApp.port_retries)
TOLD = ("motor", "pymongo", "pytest", "pytest-asyncio", "ipytest", "jupyterlab")
AGAIN = "`python3 -m tocdemo start` installs them"


def project() -> Finding:
    """Tell which version of the project this is, and on which system."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    told = f"{table['name']} {table['version']}{_commit()}"
    return Finding("project", f"{told}, on {platform.system()} {platform.release()} {platform.machine()}")


def _commit() -> str:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
        if done.returncode == 0:
            return f", commit {done.stdout.strip()}"
    return ""


def python() -> Finding:
    """Compare the running Python with what the course needs; the plugin loopwatch needs less."""
    wanted = SpecifierSet(PYTHON_NEEDED)
    seen = f"Python {platform.python_version()} at {sys.executable}"
    if wanted.contains(platform.python_version(), prereleases=True):
        return Finding("Python", seen)
    return Finding("Python", seen, "not ready", f"install a Python {wanted}, and start with it")


def packages() -> Finding:
    """Compare the installed packages with the versions that requirements.txt pins."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line.strip() and not line.startswith(("-", "#"))]
    pins = [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]
    wrong = [f"{pin} (found {_installed(pin.name) or 'none'})" for pin in pins if not _is_as_pinned(pin)]
    told = ", ".join(f"{name} {_installed(name)}" for name in TOLD)
    if wrong:
        return Finding("packages", f"not as pinned: {', '.join(wrong)}", "not ready", AGAIN)
    return Finding("packages", f"{len(pins)} as pinned: {told}, …")


def _is_as_pinned(pin: Requirement) -> bool:
    found = _installed(pin.name)
    return bool(found) and pin.specifier.contains(found, prereleases=True)


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def files() -> Finding:
    """Write a file where the workspaces are to lie, and read it again."""
    place = workspace.root()
    while not place.exists():
        place = place.parent
    try:
        with tempfile.TemporaryDirectory(prefix=".tocdemo-doctor-", dir=place) as folder:
            file = Path(folder) / "tried.txt"
            file.write_text("✓", encoding="utf-8")
            right = file.read_text(encoding="utf-8") == "✓"
    except OSError as error:
        seen = f"{workspace.root()} cannot be written to ({error.strerror})"
        return Finding("workspace", seen, "not ready", "copy the project to a folder of your own")
    if not right:
        return Finding("workspace", "a file is not what was written", "not ready", "look at the disk")
    return Finding("workspace", f"{workspace.root()} can be written to")


def disk() -> Finding:
    """Measure the room that is left for the workspaces, and for temporary files."""
    place = workspace.root()
    while not place.exists():
        place = place.parent
    left = min(shutil.disk_usage(folder).free for folder in (place, tempfile.gettempdir()))
    return _enough("disk", left, DISK_NEEDED, "delete something, or set TMPDIR to another disk")


def memory() -> Finding:
    """Measure the memory that is free, within what a container may take (cgroup v2)."""
    left = psutil.virtual_memory().available
    with contextlib.suppress(OSError, ValueError):  # no cgroup, or "max"
        group = Path("/sys/fs/cgroup")
        most = int((group / "memory.max").read_text())
        left = min(left, most - int((group / "memory.current").read_text()))
    return _enough("memory", left, MEMORY_NEEDED, "close other programs")


def _enough(name: str, left: float, needed: float, remedy: str) -> Finding:
    seen = f"{left / GIGABYTE:.1f} GB free"
    if left >= needed:
        return Finding(name, seen)
    return Finding(name, f"{seen}, {needed / GIGABYTE:.1f} GB needed", "not ready", remedy)


def ports() -> Finding:
    """Let two sockets talk through 127.0.0.1, and look for the port that JupyterLab will take."""
    remedy = "allow connections inside this machine in the firewall or security program"
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(5)
            with socket.create_connection(server.getsockname(), 5) as one:
                other = server.accept()[0]
                with other:
                    one.sendall(b"tried")
                    heard = other.recv(5)
    except OSError as error:
        return Finding("ports", f"127.0.0.1 does not answer ({error})", "not ready", remedy)
    free = next((port for port in range(FIRST_PORT, FIRST_PORT + PORTS) if _is_free(port)), None)
    if heard != b"tried" or free is None:
        seen = f"no port from {FIRST_PORT} to {FIRST_PORT + PORTS - 1} is free" if not free else "a bad echo"
        return Finding("ports", seen, "not ready", "end what listens there" if not free else remedy)
    return Finding("ports", f"127.0.0.1 answers, and port {free} is free")


def _is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False


def browser() -> Finding:
    """Look for a browser. A machine without one is no obstacle: the address can be opened elsewhere."""
    try:
        name = getattr(webbrowser.get(), "name", "") or "one"
    except webbrowser.Error:
        return Finding("browser", "none found here: open the address that `start` prints")
    return Finding("browser", os.path.basename(str(name)))


def settings() -> Finding:
    """Name the variables of the environment that change what Python, pytest and the course do; no values."""
    ours = ("TOCDEMO_", "DATABASE_", "PYTEST_", "PYTHON")
    found = sorted(name for name in os.environ if name.startswith(ours))
    return Finding("settings", f"set: {', '.join(found)}" if found else "none is set")


def jupyterlab() -> Finding:
    """Let JupyterLab say its version, in a process of its own, as `start` would start it."""
    command = [sys.executable, "-m", "jupyterlab", "--version"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=SECONDS)
    if done.returncode:
        return Finding("JupyterLab", f"does not start: {_last(done.stderr)}", "not ready", AGAIN)
    return Finding("JupyterLab", f"starts, and calls itself {done.stdout.strip()}")


def kernel() -> Finding:
    """Start a notebook's kernel, and ask it where it finds the course."""
    from jupyter_client.manager import start_new_kernel  # only here: it takes a while to load

    remedy = "close JupyterLab, and start it with `python3 -m tocdemo start` in the project's folder"
    with tempfile.TemporaryDirectory() as folder:
        # Elsewhere than in the project's folder: there anything would find it.
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        manager, client = start_new_kernel(startup_timeout=SECONDS, env=environment(), cwd=folder, **quiet)
        try:
            said: list[str] = []
            code = "import tocdemo.lab; print(tocdemo.lab.__file__)"
            done = client.execute_interactive(code, timeout=SECONDS, output_hook=_listening(said))
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
    if done["content"]["status"] != "ok":
        seen = f"it cannot import the course: {done['content'].get('evalue', '')}"
        return Finding("kernel", seen, "not ready", remedy)
    place = Path("".join(said).strip()).resolve()
    if not place.is_relative_to(ROOT):
        return Finding("kernel", f"it imports another copy of the course, {place}", "not ready", remedy)
    return Finding("kernel", "starts, and imports the course from here")


def _listening(said: list[str]) -> Callable[[dict], None]:
    def hear(message: dict) -> None:
        if message["msg_type"] == "stream":
            said.append(message["content"]["text"])

    return hear


def tests() -> Finding:
    """Run the 28 of the fixed backend in a new process, against the embedded server."""
    remedy = "look at `python3 -m tocdemo run`, and report what it shows"
    options = RunOptions(new_process=True, backend="embedded")
    try:
        run = suite.run_copy(faults.with_faults(faults.state("fixed")), options=options)
    except TocdemoError as error:
        return Finding("the tests", str(error), "not ready", remedy)
    if not run.green:
        return Finding("the tests", f"{run.counts}", "not ready", remedy)
    return Finding("the tests", f"{run.counts} in {run.seconds:.1f} s, with the embedded server")


def mongodb() -> Finding:
    """Make and drop a database where TOCDEMO_MONGO_URI or TOCDEMO_BACKEND says, if they say anything."""
    chosen = databases.chosen_backend()
    if chosen in databases.BACKENDS:
        return Finding("MongoDB", f"none is asked for: the backend is {chosen}")
    try:
        with databases.open_database(chosen):
            return Finding("MongoDB", f"the one at {databases.without_secrets(chosen)} answers")
    except NoDatabase as error:
        remedy = "unset TOCDEMO_MONGO_URI to use the embedded server"
        return Finding("MongoDB", str(error).rstrip("."), "not ready", remedy)


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["it says nothing"])[-1]
