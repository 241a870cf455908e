"""README.md and CONTRIBUTING.md show what the project measures, and name what is there."""

import re
import shlex

import pytest

from tocdemo import cli
from tocdemo.course import readme_picture
from tocdemo.course.manifest import load
from tocdemo.subject.workspace import ROOT

PAGES = ("README.md", "CONTRIBUTING.md")


def test_the_picture_is_what_the_two_runs_show_now():
    assert readme_picture.FILE.read_text(encoding="utf-8") == readme_picture.draw()


def test_the_moving_picture_shows_the_runs_from_break_to_green_and_stands_where_less_motion_is_wanted():
    drawn = readme_picture.draw_moving()
    assert readme_picture.MOVING.read_text(encoding="utf-8") == drawn
    assert "@media (prefers-reduced-motion:reduce){.frame{animation:none}" in drawn
    words = ("should be: 28 passed; Break it: 2 passed, 26 failed; Look:", "Mend them all: 28 passed")
    assert [each for each in words if each not in drawn] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    links = re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_map_names_every_lesson():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lessons = load(ROOT / "lessons" / "course.toml")
    assert [lesson.slug for lesson in lessons if f"{lesson.slug}.ipynb" not in text] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_command_line_exists(page, capsys):
    lines = re.findall(r"python3 -m tocdemo (\w+)([^`#\n]*)", (ROOT / page).read_text(encoding="utf-8"))
    assert len(lines) > 3
    for name, rest in lines:
        words = shlex.split(rest)
        missing = [word for word in words if "/" in word and not (ROOT / word).exists()]
        assert (name in cli.COMMANDS, missing) == (True, []), (name, rest)
        options = [word for word in words if word.startswith("--")]
        if options:
            with pytest.raises(SystemExit):
                cli.main([name, "--help"])
            told = capsys.readouterr().out
            assert [option for option in options if option not in told] == [], (name, rest)
