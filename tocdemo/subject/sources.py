"""The backend's files as text: the one version that the package holds, which is the fixed one.

It knows where the package keeps the backend, and nothing about what is wrong with it.
"""

import contextlib
import os
import secrets
import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BACKEND = ROOT / "tocdemo" / "backend"

APP = "app/db/toc_transactions.py"
CONFTEST = "tests/conftest.py"
SUITE = "tests/test_db/test_toc_transactions.py"

# The suites that share the fixture with the 28: the other 26 tests of the 54.
NEIGHBOURS = ("tests/test_db/test_questions.py", "tests/test_api/test_routes/test_users.py")
SUITES = {"toc": (SUITE,), "neighbours": NEIGHBOURS, "all": (SUITE, *NEIGHBOURS)}
_PACKAGES = ("tests/test_api/__init__.py", "tests/test_api/test_routes/__init__.py")

# Besides the app: what a learner gets. The package's further tests are not part of the 28.
_TEST_FILES = ("pytest.ini", "tests/__init__.py", CONFTEST, "tests/test_db/__init__.py", SUITE)

_WHILE_OPEN = (0.02, 0.1, 0.5) if os.name == "nt" else ()  # seconds between attempts to replace a file


@cache
def fixed() -> Mapping[str, str]:
    """Return the fixed backend: a text for each path (with `/`, relative to the backend's folder)."""
    app = (path.relative_to(BACKEND).as_posix() for path in BACKEND.glob("app/**/*.py"))
    return _texts([*app, *_TEST_FILES])


@cache
def neighbours() -> Mapping[str, str]:
    """Return the neighbours' tests, as `fixed` does. No fault changes them."""
    return _texts([*NEIGHBOURS, *_PACKAGES])


def is_backend(folder: Path) -> bool:
    """Whether a folder holds a copy of the backend, and no other project."""
    return (folder / APP).parent.is_dir() or (folder / SUITE).exists()


def _texts(paths: list[str]) -> Mapping[str, str]:
    return {path: (BACKEND / path).read_text(encoding="utf-8") for path in sorted(paths)}


@contextlib.contextmanager
def copied(files: Mapping[str, str]) -> Iterator[Path]:
    """Give a folder that holds these files, and throw it away in the end."""
    with tempfile.TemporaryDirectory(prefix="tocdemo-copy-") as folder:
        copy = Path(folder).resolve()
        write(files, copy)
        yield copy


def write(files: Mapping[str, str], folder: Path) -> None:
    """Write each text to its path below `folder`, each file whole or not at all."""
    for path, text in files.items():
        write_file(folder / path, text)


def write_file(path: Path, text: str) -> None:
    """Write `text` to `path`, in UTF-8 and with its own line ends, as `write_bytes` does."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a reader meets the old bytes or the new ones, never a part.

    The folders above it are made. A `.pyc` of the old text is removed: one written in the same second would
    be taken for the new text's.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}.new")
    try:
        with draft.open("xb") as file:
            file.write(content)
        if path.exists():
            draft.chmod(path.stat().st_mode)
        _replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    for stale in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
        stale.unlink(missing_ok=True)


def _replace(draft: Path, path: Path) -> None:
    """Put the draft in the file's place; wait a bit while Windows refuses, since a program has it open."""
    for pause in _WHILE_OPEN:
        try:
            draft.replace(path)
            return
        except PermissionError:
            time.sleep(pause)
    draft.replace(path)
