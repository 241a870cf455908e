"""Slides come from a lesson's own text and outputs: one idea each, and each picture once."""

import re

import nbformat

from tocdemo.course import lessons
from tocdemo.course.contracts import RUN_TYPE
from tocdemo.site import slides


def _run(html, passed):
    return nbformat.v4.new_output("display_data", {"text/html": html, RUN_TYPE: {"passed": passed}})


def _cell(*outputs):
    return nbformat.v4.new_code_cell("x", outputs=list(outputs))


def _deck():
    text = nbformat.v4.new_markdown_cell
    cells = [
        text("# Title\n\n*Lesson 03, about 8 minutes*\n\nAt the end you know it."),
        text("## Together\n\nIt leads to code:\n\nOne `idea` of [it](x.md)."),
        text("So. How many pass? (Or none?) Run it."),
        _cell(_run("<table>one</table> in 1.2 s", 2), _run("<table>two</table> in 3.4 s", 2)),
        _cell(_run("<table>three</table>", 28)),
        _cell(nbformat.v4.new_output("display_data", {"text/html": "<p>words</p>"})),
        text("## Only a table\n\n| a | b |\n|---|---|"),
        text("## What to take to your own project\n\n- First.\n- Second."),
        text("---\nBefore: [x](x.md)"),
    ]
    page = slides.deck(lessons.get("03"), nbformat.v4.new_notebook(cells=cells))
    return page, re.findall(r"<section.*?</section>", page, re.DOTALL)


def test_each_idea_and_each_picture_has_its_slide():
    _, found = _deck()
    title, idea, one, three, points = found
    assert "At the end you know it." in title
    assert "<p>One <code>idea</code> of it.</p>" in idea
    assert '<div class="asked"><p>How many pass?</p>' in idea
    assert "<table>one</table>" in one
    assert "<table>three</table>" in three
    assert points.count("<li>") == 2
    assert "Before" not in points
    assert "5 of 5" in points


def test_what_leads_to_code_and_what_says_the_same_again_is_left_out():
    page, _ = _deck()
    for words in ("leads to code", "two</table>", "<p>words</p>", "Or none"):
        assert words not in page


def test_a_deck_needs_no_other_file():
    page, _ = _deck()
    assert not re.search(r"(src|href)=", page)
