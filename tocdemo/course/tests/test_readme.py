"""The README shows what the project measures, and names what is there."""

import re

from tocdemo.course import readme_picture
from tocdemo.course.manifest import load
from tocdemo.subject.workspace import ROOT


def test_the_picture_is_what_the_two_runs_show_now():
    assert readme_picture.FILE.read_text(encoding="utf-8") == readme_picture.draw()


def test_the_map_names_every_lesson_and_every_link_leads_somewhere():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
    missing = [
        lesson.slug for lesson in load(ROOT / "lessons" / "course.toml") if f"{lesson.slug}.ipynb" not in text
    ]
    assert missing == []
