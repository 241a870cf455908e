"""The code is clean for ruff and mypy, as pyproject.toml has them; the lessons' text has one width."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT_WIDTH = 100  # characters; of text only: a table's row and an HTML line cannot be wrapped
FENCE = re.compile(r"^(`{3,}).*?^\1$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("command", ["check", "format --check"])
def test_ruff_finds_nothing(command):
    ruff = [sys.executable, "-m", "ruff", *command.split(), "--no-cache", str(ROOT)]
    result = subprocess.run(ruff, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_mypy_finds_nothing():
    mypy = [sys.executable, "-m", "mypy", "--no-incremental"]
    result = subprocess.run(mypy, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_no_line_of_a_lessons_text_is_wider_than_the_others():
    lessons = sorted((ROOT / "lessons").glob("*.md"))
    assert lessons
    texts = {path.name: FENCE.sub("", path.read_text(encoding="utf-8")) for path in lessons}
    wide = [
        f"{name}: {line}"
        for name, text in texts.items()
        for line in text.splitlines()
        if len(line) > TEXT_WIDTH and not line.startswith(("|", "<"))
    ]
    assert wide == []
