"""Makes an environment for a case that needs other packages than the tests', with uv.

Environments of the same requirements are made once, below a folder that the caller gives.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path


def uv() -> str | None:
    """Return the path of uv: beside this Python, or on PATH; None without it."""
    beside = Path(sys.executable).parent / "uv"
    return str(beside) if beside.exists() else shutil.which("uv")


def environment(folder: Path, requirements: tuple[str, ...]) -> Path:
    """Return the Python of an environment with these requirements; raise CalledProcessError if it fails."""
    home = folder / hashlib.sha256(" ".join(requirements).encode()).hexdigest()[:12]
    python = home / "bin" / "python"
    if not python.exists():
        found = uv()
        if found is None:
            raise FileNotFoundError("uv is neither beside this Python nor on PATH")
        _run(found, "venv", "--quiet", "--python", sys.executable, str(home))
        _run(found, "pip", "install", "--quiet", "--python", str(python), *requirements)
    return python


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
