"""Virtual environments for tests, made in a moment without a network: packages are linked, not installed."""

import json
import stat
import sys
import venv
from importlib.metadata import distribution
from pathlib import Path

PYTEST = ("pytest", "pluggy", "iniconfig", "packaging", "pygments")
ASYNCIO = ("pytest-asyncio", "typing-extensions")


def make(folder: Path, *packages: str) -> Path:
    """Make an environment in `folder` that has these packages of ours and no other; return its Python."""
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin" / "python"
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    site = folder / "lib" / version / "site-packages"
    for package in packages:
        found = distribution(package)
        tops = {Path(str(file)).parts[0] for file in found.files or () if file.parts[0] != ".."}
        for top in tops - {"__pycache__"}:
            place = Path(str(found.locate_file(top)))
            if not (site / top).exists():
                (site / top).symlink_to(place)
    return python


def pretend(file: Path, version: tuple[int, int, int], **packages: str) -> Path:
    """Write a program that answers as a Python of that version with these packages would; return it."""
    said = json.dumps({"version": version, "prefix": str(file.parent), "packages": packages})
    return program(file, f"print({said!r})")


def program(file: Path, code: str) -> Path:
    """Write a program that runs this Python code, whatever it is called with; return it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!{sys.executable}\n{code}\n", encoding="utf-8")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file
