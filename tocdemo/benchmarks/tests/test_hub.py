"""Two learners on the workshop's hub: each lesson is as it should be, homes do not meet, and work stays."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tocdemo.benchmarks import hub as measuring
from tocdemo.course import lessons

ROOT, LESSON = lessons.ROOT, measuring.LESSON
WORKSHOP = ROOT / "lessons" / "workshop"
PINS = (WORKSHOP / "requirements.txt", ROOT / "requirements.txt")
PATH = os.pathsep.join(
    [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
)  # uv is in the dev group
NAMES = ("ann", "bob")
NOTEBOOK = f"{LESSON}.ipynb"
KERNEL_MEGABYTES = 130

pytestmark = pytest.mark.skipif(
    not (ROOT / ".git").exists(), reason="the hub's copies of the course come from git, and here is none"
)


@pytest.fixture(scope="module")
def tools() -> Path:
    """A folder of the project's own with what the workshop's README installs: JupyterHub and its proxy."""
    for program in ("uv", "npm", "git"):
        if shutil.which(program, path=PATH) is None:
            pytest.skip(f"{program} is not installed here, and what the hub needs comes by it")
    place = ROOT / ".tocdemo" / "workshop"
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy(WORKSHOP / "package.json", place)
    python = place / "bin" / "python"
    pins = [word for file in PINS for word in ("-r", str(file))]
    for command in (
        ["uv", "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(place)],
        ["uv", "pip", "install", "--quiet", "--python", str(python), *pins],
        ["npm", "install", "--prefix", str(place), "--no-audit", "--no-fund", "--no-package-lock"],
    ):
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PATH": PATH}, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
    return place


@pytest.fixture
def course(tmp_path) -> Path:
    """The repository that the learners' copies come from."""
    place = tmp_path / "course"
    git("clone", "--quiet", "--depth", "1", ROOT.as_uri(), str(place))
    return place


def git(*words: str) -> None:
    own = ("-c", "user.name=Author", "-c", "user.email=author@example.org")
    subprocess.run(["git", *own, *words], check=True)


def test_two_learners_at_once_and_what_stays_when_a_server_ends(course, tools, tmp_path):
    place = tmp_path / "hub"
    place.mkdir()
    own = [str(tools / "bin"), str(tools / "node_modules" / ".bin"), PATH]
    environment = {"TOCDEMO_HUB_COURSE": str(course), "PATH": os.pathsep.join(own)}
    with measuring.served(place, environment, str(tools / "bin" / "python")) as hub:
        measured = asyncio.run(measuring.run_class(hub, NAMES))
        assert measured.wrong == []
        # Four runs of the lesson; its exercise is open.
        assert [(each.name, each.ticks) for each in measured.learners] == [("ann", 4), ("bob", 4)]
        assert max(each.kernel for each in measured.learners) < KERNEL_MEGABYTES
        ann, bob = (place / "homes" / name / "tocdemo" for name in NAMES)
        suite = f"workspace/{LESSON}/tests/conftest.py"
        theirs, before = "# ann was here\n" + (ann / suite).read_text(), (bob / suite).read_text()
        (ann / suite).write_text(theirs)
        _run_a_cell_of_her_own(ann / "workspace" / NOTEBOOK)
        correct(course)
        asyncio.run(_again(hub, "ann"))
        assert (ann / suite).read_text() == theirs
        assert (bob / suite).read_text() == before
        texts = [cell.source for cell in nbformat.read(ann / "workspace" / NOTEBOOK, as_version=4).cells]
        assert ("A corrected sentence." in texts[0], "mine = 1" in texts) == (True, True)
        assert len(json.loads((ann / "workspace-progress.json").read_text())[LESSON]) == 4
        log = (place / "hub.log").read_text()
    assert "The course of" not in log, "the copy was not brought up to date"
    assert str(bob) not in (ann / "workspace-progress.json").read_text()


def _run_a_cell_of_her_own(file: Path) -> None:
    notebook = nbformat.read(file, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell("mine = 1"))
    nbformat.write(notebook, file)


def correct(course: Path) -> None:
    """Publish a correction of the lesson's first words."""
    file = course / "notebooks" / NOTEBOOK
    notebook = json.loads(file.read_text())
    notebook["cells"][0]["source"].append("\n\nA corrected sentence.")
    file.write_text(json.dumps(notebook))
    git("-C", str(course), "commit", "--quiet", "--all", "--message", "Correct the lesson")


async def _again(hub: measuring.Hub, name: str) -> None:
    """End a learner's server, as the culling of idle ones does, and start it again."""
    async with hub.client() as client:
        await measuring.stop(client, name)
        await measuring.start(client, name)
