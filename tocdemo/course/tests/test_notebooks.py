"""Every lesson's notebook, run from top to bottom without a browser and held to its contract."""

import re
import sys
import time
from pathlib import Path

import nbformat
import pytest

from tocdemo.course import executions
from tocdemo.course.build import MANIFEST, differences
from tocdemo.course.contracts import violations
from tocdemo.course.jupyter import execute
from tocdemo.course.manifest import load
from tocdemo.course.prose import minutes

ROOT = Path(__file__).resolve().parents[3]
LESSONS = load(ROOT / MANIFEST)
MOST_CELLS = 15  # of code, the first and the last included


def files_below(*folders: Path) -> dict[Path, tuple[int, int]]:
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


@pytest.fixture(autouse=True)
def kernels_of_this_python(monkeypatch):
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")


def test_notebooks_are_what_their_texts_build():
    assert differences(ROOT) == [], "run: python -m tocdemo build"


def test_the_map_in_the_first_lesson_gives_every_lesson_and_its_minutes():
    rows = (ROOT / "lessons" / f"{LESSONS[0].slug}.md").read_text(encoding="utf-8").splitlines()
    found = [row.split(" | ")[:2] for row in rows if row.startswith("| [")]
    named = [
        (f"[{each.title}]({each.slug}.md)", f"{{minutes:{each.slug}}}", each.optional) for each in LESSONS
    ]
    assert found == [[f"| {link}", minutes] for link, minutes, optional in named if not optional]
    aside = re.findall(
        r"^- (\[[^\]]+\]\(\w+\.md\)),\s+(\{minutes:\w+\})\s+minutes", "\n".join(rows), re.MULTILINE
    )
    assert aside == [(link, minutes) for link, minutes, optional in named if optional]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.slug)
def test_a_lesson_is_one_lesson(lesson):
    text = (ROOT / "lessons" / f"{lesson.slug}.md").read_text(encoding="utf-8")
    length = minutes.of(text, minutes.recorded(ROOT)[lesson.slug])
    assert length.minutes <= minutes.MOST, length
    notebook = nbformat.read(ROOT / "notebooks" / f"{lesson.slug}.ipynb", as_version=4)
    assert sum(cell.cell_type == "code" for cell in notebook.cells) <= MOST_CELLS


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.slug)
def test_lesson_shows_what_its_contract_says(lesson, tmp_path, record_property, capsys):
    notebook = nbformat.read(ROOT / "notebooks" / f"{lesson.slug}.ipynb", as_version=4)
    learners = files_below(ROOT / "workspace", ROOT / "notebooks")
    started = time.perf_counter()
    executed = execute(notebook, tmp_path)
    seconds = time.perf_counter() - started
    record_property("seconds", round(seconds, 1))
    with capsys.disabled():
        print(f"\n{lesson.slug}: {seconds:.1f} s ", end="")
    found = violations(lesson, executed.cells)
    if found:
        kept = ROOT / ".tocdemo" / "failed" / f"{lesson.slug}.ipynb"
        kept.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(executed, kept)
        found.append(f"the notebook as it ran: {kept}")
    assert not found, "\n".join(found)
    executions.keep(ROOT, lesson, executed, tmp_path, seconds)
    assert list((tmp_path / "notebooks").iterdir()) == [], "the lesson leaves files beside the notebook"
    assert files_below(ROOT / "workspace", ROOT / "notebooks") == learners, (
        "the lesson touches the learner's files"
    )


def test_a_notebook_runs_in_this_python_with_a_workspace_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URI", "mongodb://of-the-surrounding-run/")
    code = (
        "import os, sys; print(sys.executable, *map(os.environ.get, ['TOCDEMO_WORKSPACE', 'DATABASE_URI']))"
    )
    cells = [nbformat.v4.new_code_cell(source) for source in ("1 / 0", code, "import time; time.sleep(60)")]
    with pytest.raises(TimeoutError):
        execute(nbformat.v4.new_notebook(cells=cells[2:]), tmp_path / "slow", cell_seconds=1)
    executed = execute(nbformat.v4.new_notebook(cells=cells[:2]), tmp_path)
    assert executed.cells[0].outputs[0].ename == "ZeroDivisionError"
    assert Path(executed.cells[1].outputs[0].text.split()[0]).samefile(sys.executable)
    assert executed.cells[1].outputs[0].text.split()[1:] == [str(tmp_path / "workspace"), "None"]
    assert cells[0].outputs == []
