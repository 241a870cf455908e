"""Build the notebooks from the lessons' texts, the same bytes every time.

A lesson is jupytext Markdown (`lessons/SLUG.md`); this module
knows how it becomes `notebooks/SLUG.ipynb`, and nothing of what a lesson teaches.

In a lesson, a fence ```` ```python ```` is a cell. Behind the language may stand what jupytext calls
metadata: `run="together"` (the cell shows a run; its id is the run's name in course.toml),
`expected="closed"` (it shows an expected error), `id="name"` (just an id), `tags=["raises-exception"]`,
`jupyter={"source_hidden": true}`. Python that is only to be read stands in ```` ```python .noeval ````. Two
blank lines start a new text cell. Links to other lessons (`01_x.md`) and images (`images/x.png`) work in the
text and in the notebook. `[^name]` marks what a sentence rests on (see `prose.marks`), and `{minutes:01_x}`
is how long a lesson takes (see `prose.minutes`).
"""

import hashlib
import json
import platform
import re
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from tocdemo.subject import sources

from . import jupyter
from .manifest import CELL_ID, CourseError, Lesson, load
from .prose import marks, minutes, unmarked

MANIFEST = "lessons/course.toml"
_KERNEL = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_NAMES = ("run", "expected", "id")
_CELL_METADATA = ("tags", "jupyter")  # what of a cell's metadata is the lesson's; the rest is Jupyter's own
_LESSON_LINK = re.compile(r"(\]\(|href=\")(\w+)\.md\b")
_FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"(?<![\[`])`([\w./-]+\.\w+)`(?![\]`])")
_IMAGE = re.compile(r"(\]\(|src=\")(images/[^)\"\s]+)")
_MINUTES = re.compile(r"\{minutes:(\w+)\}")


# --- the commands ------------------------------------------------------------------------------------------


def build(root: Path) -> int:
    """Write the notebooks of all lessons below `root`; keep a copy of any that was edited. Return 0.

    Raises `CourseError` when the manifest or a text is not as it should be, or a source does not say what it
    is quoted for; nothing is written then.
    """
    lessons = load(root / MANIFEST)
    for why in marks.untrue(root, marks.sources(root)):
        raise CourseError(why)
    built = {_path(root, lesson): notebook_text(root, lesson, lessons) for lesson in lessons}
    for path in _leftovers(root, lessons):
        path.unlink()
        print(f"{path.relative_to(root)}: removed, its lesson is no longer in {MANIFEST}")
    for path, text in built.items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            print(f"{path.relative_to(root)}: unchanged")
            continue
        if path.exists() and not _as_built(_read(path)):
            print(f"{path.relative_to(root)}: was edited; kept as {_keep(root, path)}")
        sources.write_file(path, text)
        print(f"{path.relative_to(root)}: written")
    return 0


def check(root: Path) -> int:
    """Print which notebooks differ from their texts; return 1 when any does, else 0. Changes nothing."""
    problems = differences(root)
    for problem in problems:
        print(problem)
    if problems:
        print("`python -m tocdemo build` builds the notebooks afresh; what was edited is kept")
    return 1 if problems else 0


def differences(root: Path) -> list[str]:
    """Return one line for each notebook whose content is not its text's.

    Content is the cells' order, kinds, ids, sources and tags: not outputs, execution counts or what Jupyter
    notes about the kernel.
    """
    lessons = load(root / MANIFEST)
    found = [
        f"{path.relative_to(root)}: its lesson is not in {MANIFEST}" for path in _leftovers(root, lessons)
    ]
    found += marks.untrue(root, marks.sources(root))
    for lesson in lessons:
        path = _path(root, lesson)
        wanted = nbformat.reads(notebook_text(root, lesson, lessons), as_version=4)
        if not path.exists():
            found.append(f"{path.relative_to(root)}: missing")
        elif _content(_read(path)) != _content(wanted):
            found.append(f"{path.relative_to(root)}: differs from lessons/{lesson.slug}.md")
    return found


def measure(root: Path, slugs: Sequence[str] = ()) -> int:
    """Run the notebooks of the lessons (of all, without `slugs`), and record the seconds that each ran.

    Recorded, and not measured at each build: a build is the same bytes every time, and takes seconds.
    """
    lessons = load(root / MANIFEST)
    recorded = minutes.recorded(root)
    unknown = set(slugs) - {lesson.slug for lesson in lessons}
    if unknown:
        raise CourseError(f"{MANIFEST} names no lesson {', '.join(sorted(unknown))}")
    seconds = {lesson.slug: recorded.get(lesson.slug, 0.0) for lesson in lessons}
    where = f"Python {platform.python_version()}, {platform.system()}, {datetime.now():%Y-%m-%d}"
    for lesson in lessons:
        if not slugs or lesson.slug in slugs:
            seconds[lesson.slug] = _seconds(notebook_text(root, lesson, lessons, seconds))
            print(f"{lesson.slug}: {seconds[lesson.slug]:.1f} s", flush=True)
            done = {slug: value for slug, value in seconds.items() if value}
            sources.write_file(root / minutes.SECONDS, minutes.record_text(done, where))
    return 0


def _seconds(text: str) -> float:
    with tempfile.TemporaryDirectory(prefix="tocdemo-measure-") as folder:
        started = time.perf_counter()
        jupyter.execute(nbformat.reads(text, as_version=4), Path(folder).resolve())
        return time.perf_counter() - started


def tell_unmarked(root: Path) -> int:
    """Print the sentences of the lessons that claim something and bear no mark. Return 0."""
    for lesson in load(root / MANIFEST):
        path = Path("lessons") / f"{lesson.slug}.md"
        for sentence in unmarked.unmarked((root / path).read_text(encoding="utf-8")):
            print(f"{path}:{sentence.line}: {sentence.words}")
    return 0


# --- from text to notebook ---------------------------------------------------------------------------------


def notebook_text(
    root: Path,
    lesson: Lesson,
    lessons: tuple[Lesson, ...],
    seconds: Mapping[str, float] | None = None,
) -> str:
    """Return the notebook file of one lesson; `lessons` are all, in order, for the links at its end.

    `seconds` is what the cells of each lesson ran; without it, what is recorded.
    """
    source = root / "lessons" / f"{lesson.slug}.md"
    try:
        text = source.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CourseError(f"{source}: missing, and {MANIFEST} names the lesson") from None
    title, _, body = text.partition("\n")
    if title.rstrip() != f"# {lesson.title}":
        raise CourseError(
            f"{source}: expected the first line `# {lesson.title}`, as in {MANIFEST}; found `{title}`"
        )
    slugs = {other.slug for other in lessons}
    _require_links(text, source, slugs)
    named = marks.sources(root)
    marks.require(text, source, named, root, slugs)
    order = [mark for mark in marks.used_in(text) if mark in named]
    seconds = minutes.recorded(root) if seconds is None else seconds
    body = _MINUTES.sub(lambda found: str(_minutes(root, found[1], seconds)), body)
    body = _LESSON_LINK.sub(lambda to: to[0] if to[2] in slugs else f"{to[1]}../lessons/{to[2]}.md", body)
    place = "Optional" if lesson.optional else f"Lesson {lesson.slug[:2]}"
    head = f"{title}\n\n*{place}, about {_minutes(root, lesson.slug, seconds)} minutes*\n"
    cells = jupytext.reads(marks.linked(head + body, lesson.slug, named, order), fmt="md").cells
    _require_opening(cells, lesson, source)
    cells.append(nbformat.v4.new_code_cell("lab.progress()", metadata={"id": "progress"}))
    if order:
        cells.append(nbformat.v4.new_markdown_cell(marks.listed(named, order)))
    cells.append(nbformat.v4.new_markdown_cell(_onward(lesson, lessons)))
    notebook = nbformat.v4.new_notebook(cells=_finished(cells, lesson, source), metadata=dict(_KERNEL))
    notebook.metadata["tocdemo"] = {"content": _content(notebook)}
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


def _minutes(root: Path, slug: str, seconds: Mapping[str, float]) -> int:
    """Return how many minutes a lesson takes. Raises CourseError when its cells were never measured."""
    source = root / "lessons" / f"{slug}.md"
    if slug not in seconds:
        raise CourseError(
            f"{minutes.SECONDS}: nobody has measured {slug} yet: `python3 -m tocdemo build --measure {slug}`"
        )
    return minutes.of(source.read_text(encoding="utf-8"), seconds[slug]).minutes


def _require_links(text: str, source: Path, slugs: set[str]) -> None:
    for _, slug in _LESSON_LINK.findall(text):
        if slug not in slugs and not (source.parent / f"{slug}.md").exists():
            raise CourseError(f"{source}: links to {slug}.md, which is no lesson of {MANIFEST}, and no page")
    for _, image in _IMAGE.findall(text):
        if not (source.parent / image).exists():
            raise CourseError(f"{source}: shows {image}, which is not in {source.parent}")


def _require_opening(cells: list[NotebookNode], lesson: Lesson, source: Path) -> None:
    """Raise CourseError when no cell opens the lesson: then it had no workspace, and counted for nothing."""
    opening = f'lab.lesson("{lesson.slug}")'
    if not any(cell.cell_type == "code" and opening in cell.source for cell in cells):
        raise CourseError(f"{source}: expected a cell with {opening}")


def _onward(lesson: Lesson, lessons: tuple[Lesson, ...]) -> str:
    if lesson.optional:
        return f"---\nThe map of the lessons: [{lessons[0].title}]({lessons[0].slug}.md)"
    lessons = tuple(other for other in lessons if not other.optional)
    place = lessons.index(lesson)
    links = []
    if place > 0:
        links.append(f"Before: [{lessons[place - 1].title}]({lessons[place - 1].slug}.md)")
    if place + 1 < len(lessons):
        links.append(f"Next: [{lessons[place + 1].title}]({lessons[place + 1].slug}.md)")
    return "---\n" + " · ".join(links or ["The end"])


def _finished(cells: list[NotebookNode], lesson: Lesson, source: Path) -> list[NotebookNode]:
    seen: Counter[str] = Counter()
    finished = [_finish(cell, seen, source, lesson) for cell in cells]
    repeated = [name for name, times in Counter(cell.id for cell in finished).items() if times > 1]
    if repeated:
        raise CourseError(f"{source}: more than one cell is named {', '.join(repeated)}")
    missing = lesson.contract_cells - {cell.id for cell in finished}
    if missing:
        raise CourseError(
            f"{source}: {MANIFEST} has contracts for cells that are not here: {sorted(missing)}"
        )
    for key, contracts in (("run", lesson.runs), ("expected", lesson.expected)):
        named = {cell.metadata[key] for cell in cells if key in cell.metadata}
        without = named - {contract.cell for contract in contracts}
        if without:
            raise CourseError(f"{source}: {MANIFEST} has no [[lesson.{key}]] for the cells {sorted(without)}")
    return finished


def _finish(cell: NotebookNode, seen: Counter[str], source: Path, lesson: Lesson) -> NotebookNode:
    """Return the cell with its id, the lesson's own metadata, and links that are right from notebooks/.

    A file of the workspace that the text names becomes a link that opens it.
    """
    metadata = dict(cell.metadata)
    names = [metadata.pop(key) for key in _NAMES if key in metadata]
    unknown = set(metadata) - set(_CELL_METADATA)
    if unknown or len(names) > 1:
        known = f'one of {", ".join(_NAMES)} (as in run="together"), and {", ".join(_CELL_METADATA)}'
        raise CourseError(
            f"{source}: behind a fence's language may stand {known}; found {dict(cell.metadata)} "
            f"above {cell.source.splitlines()[:1]}"
        )
    if names and not (isinstance(names[0], str) and CELL_ID.match(names[0])):
        raise CourseError(f"{source}: a cell's name has 1 to 64 letters, digits, - or _, not {names[0]!r}")
    text = cell.source
    if cell.cell_type == "markdown":
        text = _LESSON_LINK.sub(r"\1\2.ipynb", _IMAGE.sub(r"\1../lessons/\2", text))
        text = _with_links(text.replace("```python .noeval", "```python"), lesson)
    name = names[0] if names else _hashed_id(cell.cell_type, text, seen)
    new = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
    return new(text, id=name, metadata=metadata)


def _with_links(text: str, lesson: Lesson) -> str:
    """Let each path of the lesson's workspace that stands in the text lead there. Code blocks stay."""
    files = lesson.start.files

    def linked(found: re.Match) -> str:
        path = found[1]
        # Not as code: JupyterLab would not show that it is a link.
        return f"[{path}](../workspace/{lesson.slug}/{path})" if path in files else found[0]

    parts = _FENCED.split(text)
    return "".join(part if part.startswith("```") else _PATH.sub(linked, part) for part in parts)


def _hashed_id(kind: str, text: str, seen: Counter[str]) -> str:
    """An id that depends on the cell's own content, so that an edit elsewhere does not change it."""
    base = f"{kind}\n{text}"
    seen[base] += 1
    return hashlib.sha256(f"{seen[base]}\n{base}".encode()).hexdigest()[:12]


# --- files -------------------------------------------------------------------------------------------------


def _path(root: Path, lesson: Lesson) -> Path:
    return root / "notebooks" / f"{lesson.slug}.ipynb"


def _read(path: Path) -> NotebookNode | None:
    try:
        return nbformat.read(path, as_version=4)
    except Exception:  # not a notebook at all: nbformat raises several kinds
        return None


def _content(notebook: NotebookNode | None) -> str:
    """A digest of what a lesson says: order, kinds, ids, sources and the lesson's metadata of the cells."""
    if notebook is None:
        return "unreadable"
    cells = [
        [cell.cell_type, cell.get("id"), cell.source, {key: cell.metadata.get(key) for key in _CELL_METADATA}]
        for cell in notebook.cells
    ]
    return hashlib.sha256(json.dumps(cells, sort_keys=True).encode()).hexdigest()


def _as_built(notebook: NotebookNode | None) -> bool:
    """Whether a notebook's content is what some build wrote, so that replacing it loses nobody's words."""
    return notebook is not None and notebook.metadata.get("tocdemo", {}).get("content") == _content(notebook)


def _leftovers(root: Path, lessons: tuple[Lesson, ...]) -> list[Path]:
    """Notebooks that a build wrote, nobody touched, and no lesson names; never a learner's own."""
    known = {_path(root, lesson) for lesson in lessons}
    others = sorted(set((root / "notebooks").glob("*.ipynb")) - known)
    return [path for path in others if _is_untouched(path)]


def _is_untouched(path: Path) -> bool:
    """Whether a build wrote the notebook under this very name, and nobody edited it or saved it when run."""
    notebook = _read(path)
    if notebook is None or not _as_built(notebook):
        return False
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    made_here = any(f'lab.lesson("{path.stem}")' in cell.source for cell in code)
    return made_here and not any(cell.outputs or cell.execution_count for cell in code)


def _keep(root: Path, path: Path) -> Path:
    """Copy a file to a dated place that git and pytest do not look at; return where, relative to `root`."""
    folder = root / ".tocdemo" / "backups" / datetime.now().strftime("%Y-%m-%d_%H%M%S_%f")
    folder.mkdir(parents=True)
    (folder / path.name).write_bytes(path.read_bytes())
    return (folder / path.name).relative_to(root)
