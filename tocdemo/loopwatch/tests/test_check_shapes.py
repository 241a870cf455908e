"""The static checker on small projects: it finds what is marked in the wrong one, nothing in its twin."""

from __future__ import annotations

import re

import pytest

from tocdemo.loopwatch.static.check import check
from tocdemo.loopwatch.static.rules.catalogue import RULES

from .shapes import Shape, write
from .shapes.hidden import SHAPES as HIDDEN
from .shapes.kept import SHAPES as KEPT
from .shapes.places import SHAPES as PLACES
from .shapes.ways import SHAPES as WAYS

INSTALLED = {"pytest-asyncio": "1.5.0"}
SHAPES = [pytest.param(shape, id=shape.name) for shape in (*KEPT, *HIDDEN, *PLACES, *WAYS)]


def found(shape: Shape, folder) -> list[tuple[str, str, int]]:
    installed = {**INSTALLED, **shape.installed}
    return sorted((f.rule, f.file, f.line) for f in check(folder, installed=installed, python=shape.python))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_wrong_one_is_found_where_it_is_marked(shape, tmp_path):
    expected = write(shape.wrong, tmp_path)
    assert expected, "a wrong project marks what is wrong"
    assert found(shape, tmp_path) == expected


@pytest.mark.parametrize("shape", SHAPES)
def test_the_right_twin_gives_nothing(shape, tmp_path):
    assert write(shape.right, tmp_path) == []
    assert check(tmp_path, installed={**INSTALLED, **shape.installed}, python=shape.python) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_example_of_each_rule_is_found_and_its_right_one_is_not(rule, tmp_path):
    installed = {**INSTALLED, **dict(rule.needs)}
    write(rule.wrong, tmp_path / "wrong")
    assert {f.rule for f in check(tmp_path / "wrong", installed=installed)} == {rule.name}
    write(rule.right, tmp_path / "right")
    assert check(tmp_path / "right", installed=installed) == []


def test_every_rule_that_finds_something_is_in_the_list():
    marked = {
        rule for shape in (*KEPT, *HIDDEN, *PLACES, *WAYS) for rule in re.findall(r"!([\w-]+)", shape.wrong)
    }
    assert marked <= {rule.name for rule in RULES}


def test_nobody_is_told_to_close_a_lock(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    text = "import asyncio\nmade = asyncio.Lock()\nasync def wait():\n    async with made:\n        pass\n"
    both = "    await asyncio.gather(wait(), wait())\n"
    tests = f"async def test_one():\n{both}async def test_two():\n{both}"
    (tmp_path / "test_it.py").write_text(text + tests)
    (found,) = check(tmp_path)
    assert found.rule == "made-at-import"
    assert "let an async fixture make it for each test" in found.change
    assert "close" not in found.change
