"""Two learners on the workshop's hub: each lesson is as it should be, homes do not meet, and work stays."""

import asyncio
import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest

from tocdemo.benchmarks import hub as measuring
from tocdemo.course import lessons

ROOT, LESSON = lessons.ROOT, measuring.LESSON
NAMES = ("ann", "bob")
NOTEBOOK = f"{LESSON}.ipynb"
KERNEL_MEGABYTES = 130

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("jupyterhub") is None,
        reason="JupyterHub is not installed (pip install -r lessons/workshop/requirements.txt)",
    ),
    pytest.mark.skipif(
        not (ROOT / ".git").exists(), reason="the hub's copies come from git, and here is none"
    ),
]


@pytest.fixture(scope="module")
def proxy() -> str:
    """The PATH on which the hub finds its proxy: that of npm, installed into the project's own folder."""
    if shutil.which("configurable-http-proxy"):
        return os.environ["PATH"]
    if shutil.which("npm") is None:
        pytest.skip("the hub's proxy needs Node.js and npm, and there is none (on Debian: apt install npm)")
    place = ROOT / ".tocdemo" / "workshop"
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "lessons" / "workshop" / "package.json", place)
    subprocess.run(["npm", "install", "--no-audit", "--no-fund"], cwd=place, check=True, capture_output=True)
    return os.pathsep.join([str(place / "node_modules" / ".bin"), os.environ["PATH"]])


@pytest.fixture
def course(tmp_path) -> Path:
    """The repository that the learners' copies come from."""
    place = tmp_path / "course"
    git("clone", "--quiet", "--depth", "1", ROOT.as_uri(), str(place))
    return place


def git(*words: str) -> None:
    own = ("-c", "user.name=Author", "-c", "user.email=author@example.org")
    subprocess.run(["git", *own, *words], check=True)


def test_two_learners_at_once_and_what_stays_when_a_server_ends(course, proxy, tmp_path):
    place = tmp_path / "hub"
    place.mkdir()
    with measuring.served(place, {"TOCDEMO_HUB_COURSE": str(course), "PATH": proxy}) as hub:
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
