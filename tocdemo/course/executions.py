"""Executed notebooks, each kept until something changes that its outputs depend on.

A key is made of the notebook's text, the project's code and data, the pins and the Python: the same key, the
same outputs. It knows how a notebook is run and held to its contract, and nothing of who reads the outputs.
"""

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tocdemo.errors import CourseError
from tocdemo.subject import sources

from .contracts import violations
from .jupyter import execute
from .manifest import Lesson

FOLDER = Path(".tocdemo") / "executed"
_READ = ("requirements.txt", "lessons/course.toml", "lessons/solutions/*")  # besides the code
_NEVER = {"tests", "__pycache__", "site", "bootstrap", "benchmarks"}  # what no cell of a lesson imports


def all_of(
    root: Path, lessons: Sequence[Lesson], on_progress: Callable[[str], None] = lambda _: None
) -> dict[str, NotebookNode]:
    """Return the executed notebooks of several lessons by their slugs; two run at a time.

    `on_progress` is told of each that has to be run. Raises CourseError as `executed` does.
    """

    def one(lesson: Lesson) -> NotebookNode:
        if not _file(root, lesson).exists():
            on_progress(f"running {lesson.slug}")
        return executed(root, lesson)

    pool = ThreadPoolExecutor(2)
    try:
        return dict(zip([each.slug for each in lessons], pool.map(one, lessons), strict=True))
    finally:  # after an error, or Ctrl-C, those that still wait do not begin
        pool.shutdown(cancel_futures=True)


def executed(root: Path, lesson: Lesson) -> NotebookNode:
    """Return a lesson's notebook below `root` with the outputs of a run: one that was kept, or a new one.

    Raises CourseError when a new run does not show what the lesson's contract says.
    """
    found = _file(root, lesson)
    return nbformat.read(found, as_version=4) if found.exists() else run(root, lesson)


def run(root: Path, lesson: Lesson) -> NotebookNode:
    """Run a lesson's notebook in a place of its own, and keep and return it. Raises as `executed` does."""
    notebook = nbformat.read(root / "notebooks" / f"{lesson.slug}.ipynb", as_version=4)
    with tempfile.TemporaryDirectory(prefix="tocdemo-executed-") as name:
        folder, begun = Path(name).resolve(), time.perf_counter()
        ran = execute(notebook, folder)
        seconds = time.perf_counter() - begun
        broken = violations(lesson, ran.cells)
        if broken:
            raise CourseError(f"{lesson.slug} does not show what its contract says:\n" + "\n".join(broken))
        return keep(root, lesson, ran, folder, seconds)


def keep(root: Path, lesson: Lesson, ran: NotebookNode, folder: Path, seconds: float) -> NotebookNode:
    """Keep a notebook that ran well in `folder`, and how many seconds that took; return what is kept.

    The places where it ran, and where the project lies, are taken out of the outputs: they are nobody's.
    """
    text = nbformat.writes(ran)
    for place in (folder, root):
        text = text.replace(f"{place}{os.sep}", "")
    kept = nbformat.reads(text, as_version=4)
    kept.metadata.setdefault("tocdemo", {})["seconds"] = round(seconds, 1)
    for old in (root / FOLDER).glob(f"{lesson.slug}.*.ipynb"):
        old.unlink(missing_ok=True)
    sources.write_file(_file(root, lesson), nbformat.writes(kept))
    return kept


def _file(root: Path, lesson: Lesson) -> Path:
    notebook = (root / "notebooks" / f"{lesson.slug}.ipynb").read_bytes()
    key = hashlib.sha256(notebook + _surroundings(root)).hexdigest()[:16]
    return root / FOLDER / f"{lesson.slug}.{key}.ipynb"


@cache
def _surroundings(root: Path) -> bytes:
    """Return a digest of all that a run depends on besides its notebook."""
    digest = hashlib.sha256(f"{sys.version}\n{os.environ.get('TOCDEMO_MONGO_URI')}".encode())
    code = [path for path in (root / "tocdemo").rglob("*") if path.is_file() and _matters(path, root)]
    for path in sorted([*code, *(found for pattern in _READ for found in root.glob(pattern))]):
        digest.update(f"\n{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
    return digest.digest()


def _matters(path: Path, root: Path) -> bool:
    rooms = path.relative_to(root / "tocdemo").parts
    return "__pycache__" not in rooms and (rooms[0] == "backend" or not _NEVER & set(rooms))
