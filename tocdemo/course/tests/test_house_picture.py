"""The picture of the house shows the code as it is, and can be read."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tocdemo.course import house
from tocdemo.course.manifest import CourseError
from tocdemo.subject.workspace import ROOT

LAYERS = '[[tool.importlinter.contracts]]\ntype = "layers"\nlayers = ["top", "left | right", "ground"]\n'
SVG = "{http://www.w3.org/2000/svg}"


def write(root: Path, **files: str) -> Path:
    """Make a small project: each file's name has two underscores for a slash."""
    (root / "pyproject.toml").write_text(LAYERS)
    for name, text in files.items():
        file = root / "tocdemo" / f"{name.replace('__', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


@pytest.fixture
def small(tmp_path):
    write(
        tmp_path,
        top='"""The\ntop. And more."""\nimport tocdemo.left.inner\nfrom tocdemo.ground import x\n',
        right='"""The `right`: 1.2 of it."""\nfrom . import ground\n',
        ground='"""The ground."""\n',
        left__inner="def late():\n    from ..ground import x\n    from . import other\n",
        left__tests__test_inner="import tocdemo.top\n",
    )
    (tmp_path / "tocdemo/left/__init__.py").write_text('"""The left."""\nLAZY = "tocdemo.ground"\n')
    (tmp_path / "tocdemo/apart/app").mkdir(parents=True)
    (tmp_path / "tocdemo/apart/app/__init__.py").write_text('"""Apart."""\nimport tocdemo.top\n')
    return tmp_path


def test_the_picture_shows_the_code_as_it_is():
    assert (ROOT / house.PICTURE).read_text(encoding="utf-8") == house.draw(house.rooms(ROOT))


def test_a_room_has_its_sentence_its_floor_and_its_imports(small):
    found = {room.name: room for room in house.rooms(small)}
    assert {name: room.imports for name, room in found.items()} == {
        "top": {"left", "ground"},
        "left": {"ground"},
        "right": {"ground"},
        "ground": set(),
        "apart": set(),
    }
    assert {name: room.floor for name, room in found.items()} == {
        "top": 0,
        "left": 1,
        "right": 1,
        "ground": 2,
        "apart": None,
    }
    assert [found[name].sentence for name in ("top", "right")] == ["The top.", "The right: 1.2 of it."]
    assert [found[name].title for name in ("top", "left")] == ["top.py", "left/"]


def test_an_arrow_is_left_out_where_others_lead(small):
    assert house.arrows(house.rooms(small)) == [("left", "ground"), ("right", "ground"), ("top", "left")]


def test_an_arrow_upwards_or_along_a_floor_is_drawn_as_wrong(small):
    assert 'class="arrow wrong"' not in house.draw(house.rooms(small))
    write(
        small, ground='"""The ground."""\nimport tocdemo.top\n', right='"""Right."""\nimport tocdemo.left\n'
    )
    lines = house.arrows(house.rooms(small))
    assert {("ground", "top"), ("right", "left")} <= set(lines)
    assert house.draw(house.rooms(small)).count('class="arrow wrong"') == 2


@pytest.mark.parametrize(
    ("text", "message"), [("x = 1\n", "expected a docstring"), ('"""A room."""\n', "no layer")]
)
def test_a_room_without_a_sentence_or_a_floor_is_refused(small, text, message):
    write(small, **({"ground": text} if "docstring" in message else {"new": text}))
    with pytest.raises(CourseError, match=message):
        house.build(small)


def test_building_says_what_changed_and_checking_changes_nothing(small, capsys):
    assert house.check(small) == 1
    assert not (small / house.PICTURE).exists()
    assert house.build(small) == 0
    assert house.build(small) == 0
    assert house.check(small) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[1].split(";")[0] for line in said] == [
        "differs from the code",
        "written",
        "unchanged",
    ]
    write(small, ground='"""Another ground."""\n')
    assert house.check(small) == 1


def test_the_picture_can_be_read_and_has_its_words_for_those_who_do_not_see_it():
    text = (ROOT / house.PICTURE).read_text(encoding="utf-8")
    picture = ElementTree.fromstring(text)
    described = picture.find(f"{SVG}desc").text
    assert picture.find(f"{SVG}title").text
    shown = " ".join(element.text for element in picture.iter(f"{SVG}text"))
    for room in house.rooms(ROOT):
        assert room.title in shown
        assert room.sentence in shown
        assert f"{room.title} imports" in described
    sizes = [int(size) for size in re.findall(r"(\d+)px", text)]
    assert sizes
    assert min(sizes) >= 12
    assert "prefers-color-scheme: dark" in text


def test_boxes_do_not_overlap_and_stand_in_the_picture():
    picture = ElementTree.fromstring((ROOT / house.PICTURE).read_text(encoding="utf-8"))
    boxes = [
        tuple(float(box.get(name)) for name in ("x", "y", "width", "height"))
        for box in picture.iter(f"{SVG}rect")
        if "box" in box.get("class")
    ]
    assert len(boxes) == len(house.rooms(ROOT))
    for number, (x, y, width, height) in enumerate(boxes):
        assert min(x, y) >= 0
        assert x + width <= float(picture.get("width"))
        assert y + height <= float(picture.get("height"))
        for x2, y2, width2, height2 in boxes[number + 1 :]:
            assert x + width <= x2 or x2 + width2 <= x or y + height <= y2 or y2 + height2 <= y
