"""The workflow file is what GitHub's schema asks for, and runs what the README names on each Python of it."""

import re
from pathlib import Path

import pytest
import yaml

from tocdemo.bootstrap import pythons

from .workflows import checked

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = ROOT / ".github/workflows/ci.yml"


def test_the_workflow_is_as_githubs_schema_asks_and_a_mistake_in_it_is_found(tmp_path):
    right = checked(WORKFLOW)
    assert right.returncode == 0, right.stdout + right.stderr
    (tmp_path / "ci.yml").write_text(WORKFLOW.read_text(encoding="utf-8").replace("runs-on:", "run-on:"))
    assert checked(tmp_path / "ci.yml").returncode == 1


def test_it_runs_the_tests_on_every_python_that_the_course_supports():
    job = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]["pythons"]
    assert tuple(job["strategy"]["matrix"]["python"]) == pythons.SUPPORTED
    assert job["steps"][-1] == {"run": "python -m tocdemo test"}


@pytest.mark.parametrize("command", re.findall(r"run: python -m tocdemo (.+)", WORKFLOW.read_text("utf-8")))
def test_what_it_names_is_there(command):
    for word in command.split():
        assert "/" not in word or (ROOT / word).exists()
