"""The static checker on small projects: it finds what each wrong one is marked with, and nothing in its twin."""

from __future__ import annotations

import pytest

from tocdemo.loopwatch.static.check import check

from .shapes import Shape, write
from .shapes.kept import SHAPES as KEPT
from .shapes.places import SHAPES as PLACES

INSTALLED = {"pytest-asyncio": "1.5.0"}
SHAPES = [pytest.param(shape, id=shape.name) for shape in (*KEPT, *PLACES)]


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
