"""How this project starts JupyterLab and runs notebooks without a browser.

It knows where the kernels have to come from, and nothing of what a lesson says.
"""

import contextlib
import copy
import json
import os
import runpy
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_runtime_dir

from tocdemo.errors import CannotRun

# More than half of what it takes to import JupyterLab 4.6, and for nothing: to import this is to compile a
# grammar, for the formats `iri` and `iri-reference` of jsonschema 4, which no schema of Jupyter's asks for.
SLOW = "rfc3987_syntax"


def environment() -> dict[str, str]:
    """Return the environment variables of a Jupyter process whose kernels run in this very Python.

    Kernel specifications in the user's home folder may carry the same name, so those of this Python go first
    (jupyter_core: JUPYTER_PREFER_ENV_PATH). What a surrounding pytest told its own run is left out.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "DATABASE_"))}
    # No question about news over the first lesson, and no offer to update what requirements.txt pins.
    paths = [str(Path(__file__).parent / "jupyter_config"), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    config = os.pathsep.join(filter(None, paths))
    # The kernel is this environment's, with an extension of the course's.
    kernels = [str(Path(__file__).parent / "jupyter_data"), os.environ.get("JUPYTER_PATH", "")]
    data = os.pathsep.join(filter(None, kernels))
    own = {"JUPYTER_PREFER_ENV_PATH": "1", "JUPYTER_CONFIG_PATH": config, "JUPYTER_PATH": data}
    return {**kept, **own}


@contextlib.contextmanager
def telling(project: Path, environ: Mapping[str, str], begin: float) -> Iterator[None]:
    """Say how long JupyterLab takes to start, as it took the last time, and when it is there.

    `environ` is that of its process, which runs within; `begin` is the time of the start (`time.time()`).
    """
    kept, ended = project / ".tocdemo" / "start.json", threading.Event()
    runtime = Path(environ.get("JUPYTER_RUNTIME_DIR") or jupyter_runtime_dir())
    try:
        how_long = f"about {max(1, round(json.loads(kept.read_text())['seconds']))} s, as last time"
    except (OSError, ValueError, KeyError, TypeError):
        how_long = "the first time takes longest"
    print(f"tocdemo: the lessons are ready, JupyterLab starts: {how_long}", file=sys.stderr, flush=True)

    def wait() -> None:
        while not ended.wait(0.1):
            # It writes the file when it listens.
            if any(_time_of(file) >= begin for file in runtime.glob("jpserver-*.json")):
                seconds = time.time() - begin
                print(f"tocdemo: JupyterLab is there after {seconds:.1f} s", file=sys.stderr, flush=True)
                with contextlib.suppress(OSError):  # a project that cannot be written to
                    kept.parent.mkdir(exist_ok=True)
                    kept.write_text(json.dumps({"seconds": seconds}))
                return

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    try:
        yield
    finally:
        ended.set()
        waiting.join()


def _time_of(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:  # it is gone
        return 0.0


def without_home(project: Path) -> dict[str, str]:
    """Return where Jupyter and IPython are to write, below the project, when nobody can write to the home."""
    home = os.path.expanduser("~")
    if os.access(home, os.W_OK):
        return {}
    print(f"Your home folder {home} cannot be written to: Jupyter keeps its files in .tocdemo here.")
    own = project / ".tocdemo" / "jupyter"
    names = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime"}
    return {name: str(own / folder) for name, folder in {**names, "IPYTHONDIR": "ipython"}.items()}


QUICKLY = ("-m", "tocdemo.course.jupyter")  # before the name of a module that is to run as a program


def lab_command(root: Path, document: str, *further: str) -> list[str]:
    """Return the command that serves `root` in JupyterLab and opens `document` (a path below `root`)."""
    return [
        sys.executable,
        *QUICKLY,
        "jupyterlab",
        f"--ServerApp.root_dir={root}",
        f"--LabApp.default_url=/lab/tree/{document}",
        *further,
    ]


def for_a_hub(root: Path, document: str) -> dict[str, str]:
    """Return the environment variables by which JupyterHub's server (5.5) serves `root` and opens `document`.

    What the hub itself says goes before.
    """
    own = {"JUPYTERHUB_ROOT_DIR": str(root), "JUPYTERHUB_DEFAULT_URL": f"/lab/tree/{document}"}
    return {name: os.environ.get(name) or value for name, value in own.items()}


def place_of(notebook: Path, project: Path) -> tuple[Path, str]:
    """Return the folder that JupyterLab serves, and the notebook's path in it.

    It is the project's, when the notebook lies in there; else the one that the notebook's folder lies in.
    """
    root = project if notebook.is_relative_to(project) else notebook.parent.parent
    return root, notebook.relative_to(root).as_posix()


def become(project: Path, command: list[str], environ: Mapping[str, str]) -> int:
    """Go on as another program, in the project's folder: a hub waits for the process that it started.

    On Windows, where that is not possible, wait for the program and return its exit code. Raises CannotRun
    when there is no such program.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        if os.name != "posix":
            return subprocess.call(command, cwd=project, env=environ)
        os.chdir(project)
        os.execvpe(command[0], command, environ)
    except FileNotFoundError:
        raise CannotRun(f"there is no program {command[0]} here") from None


def require_free(port: int) -> None:
    """Raise CannotRun when nobody can listen on that port of 127.0.0.1."""
    try:
        with socket.create_server(("127.0.0.1", port)):
            pass
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise CannotRun(f"port {port} cannot be used ({why}); choose another, or leave --port out") from error


def execute(notebook: Any, folder: Path, *, cell_seconds: int = 120) -> Any:
    """Run a copy of `notebook` from top to bottom, in a kernel whose place is `folder`, and return the copy.

    The kernel works in `folder/notebooks`, and its workspace is `folder/workspace` (TOCDEMO_WORKSPACE), so
    that a learner's own stays untouched. Errors in cells are kept as outputs, and the cells after them run.
    Raises nbclient's `CellTimeoutError` when one cell takes longer than `cell_seconds`.
    """
    from nbclient import NotebookClient  # only here: it takes a second, and to start JupyterLab does without

    place = folder / "notebooks"
    place.mkdir(parents=True, exist_ok=True)
    executed = copy.deepcopy(notebook)
    client = NotebookClient(
        executed,
        timeout=cell_seconds,
        kernel_name="python3",
        allow_errors=True,
        record_timing=False,
        resources={"metadata": {"path": str(place)}},
    )
    own = {"TOCDEMO_WORKSPACE": str(folder / "workspace"), "IPYTHONDIR": str(folder / "ipython")}
    client.execute(env={**environment(), **own})
    return executed


if __name__ == "__main__":
    sys.modules[SLOW] = None  # type: ignore[assignment]  # whoever imports it is told that it is not there
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
