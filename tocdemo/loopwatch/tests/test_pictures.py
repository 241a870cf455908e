"""The pictures: well-formed, titles on the marks, the theme's colours, and a table that says the same."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from tocdemo.display.svg import RULE
from tocdemo.loopwatch import Recording
from tocdemo.loopwatch.pictures import timeline, who_holds_what
from tocdemo.loopwatch.recording import Client, Holder, Loop, Place, Test, Use

SVG = "{http://www.w3.org/2000/svg}"
NAMES = "<&\"'"  # what must not break the drawing


def recording(count: int, *, failing: bool = True, name: str = "test") -> Recording:
    """A run of `count` tests, each on its loop; all but the first fail on a client of loop #1."""

    def place(number: int, phase: str) -> Place:
        return Place(
            float(number), phase, f"tests/test_toc.py::{name}_{number}", None, "tests/test_toc.py", 7, "test"
        )

    outcomes = ["passed", *(["failed" if failing else "passed"] * (count - 1))]
    client = Client(
        1, "motor.AsyncIOMotorClient", Place(0.0, "collection", file="base.py", line=3), 1, place(1, "call")
    )
    use = ("books", "AsyncIOMotorCollection", 1)
    return Recording(
        python="3.11.7",
        versions={},
        loops=tuple(
            Loop(n, "asyncio.Loop", "MainThread", place(n, "setup"), place(n, "teardown"))
            for n in range(1, count + 1)
        ),
        tests=tuple(
            Test(f"tests/test_toc.py::{name}_{n}", n, outcome, NAMES, {"call": (n, n + 0.5)}, n)
            for n, outcome in enumerate(outcomes, 1)
        ),
        clients=(client, Client(2, "motor.AsyncIOMotorClient", place(2, "setup"))),
        uses=tuple(
            Use(f"tests/test_toc.py::{name}_{n}", 1, n, *use, place(n, "call"), "RuntimeError: " + NAMES)
            for n in range(2, count + 1)
            if failing
        ),
        holders=(
            Holder("app.base", "books", "Collection", 2, None, "base.py", 4, "assigned"),
            Holder(
                "app.toc", "books", "Collection", 1, 1, "toc.py", 2, "imported", "app.base", "books", True
            ),
        ),
        holders_at=f"tests/test_toc.py::{name}_2" if failing else None,
    )


def drawing(picture) -> ElementTree.Element:
    """Return the picture's SVG, parsed; it must be well-formed."""
    (svg,) = re.findall(r"<svg.*?</svg>", picture._repr_html_(), re.S)
    return ElementTree.fromstring(svg)


def words(svg: ElementTree.Element) -> list[str]:
    return [element.text or element[-1].tail or "" for element in svg.iter(SVG + "text")]


@pytest.mark.parametrize("draw", [timeline, who_holds_what])
def test_a_picture_has_no_script_no_id_that_clashes_and_only_the_themes_colours(draw):
    picture = draw(recording(28))
    html = picture._repr_html_()
    assert "<script" not in html
    assert "onclick" not in html
    for color in re.findall(r'(?:fill|stroke)="([^"]+)"', html):
        assert color == "none" or color.startswith("var(--jp-"), color


@pytest.mark.parametrize("draw", [timeline, who_holds_what])
def test_every_mark_that_means_something_has_a_title(draw):
    svg = drawing(draw(recording(3)))
    titles = [title.text for title in svg.iter(SVG + "title")]
    assert len(titles) > 10
    for path in svg.iter(SVG + "path"):
        if path.get("stroke-dasharray"):
            assert path.find(SVG + "title") is not None


@pytest.mark.parametrize("count", [3, 28, 60])
@pytest.mark.parametrize("failing", [True, False])
@pytest.mark.parametrize("draw", [timeline, who_holds_what])
def test_the_legend_explains_the_marks_that_are_there_and_no_others(draw, failing, count):
    svg = drawing(draw(recording(count, failing=failing)))
    shapes = [shape for name in ("path", "circle", "rect", "line") for shape in svg.iter(SVG + name)]
    for (
        shape
    ) in shapes:  # what has no name is a box with its words in it, a line between lanes, an arrow's tip
        plain = shape.get("stroke") == RULE and not shape.get("stroke-dasharray")
        assert (
            shape.get("data-mark")
            or shape.get("data-legend")
            or plain
            or shape.get("d") == "M0,0 L8,4 L0,8 Z"
        )
    marks = {element.get("data-mark") for element in svg.iter() if element.get("data-mark")}
    explained = [element for element in svg.iter(SVG + "text") if element.get("data-legend")]
    assert len(marks) > 3
    assert sorted(element.get("data-legend") for element in explained) == sorted(marks)
    assert ("use" in marks) == (failing and draw is timeline)


def test_where_no_loop_met_another_the_table_has_no_column_for_it():
    assert "it met things of" in repr(timeline(recording(3)))
    assert "it met things of" not in repr(timeline(recording(3, failing=False)))


@pytest.mark.parametrize("draw", [timeline, who_holds_what])
def test_what_is_cut_in_the_drawing_stands_in_full_in_the_table(draw):
    picture = draw(recording(3, name="a_name_that_is_much_too_long_for_its_place_in_a_picture"))
    cut = [word for word in words(drawing(picture)) if "…" in word]
    assert cut
    for word in cut:
        first, _, last = word.partition("…")
        assert re.search(f"{re.escape(first)}.*{re.escape(last)}", repr(picture))


@pytest.mark.parametrize("count", [3, 28])
def test_the_timeline_draws_a_bar_for_each_test_and_an_arrow_for_each_failing_use(count):
    svg = drawing(timeline(recording(count)))
    bars = [r for r in svg.iter(SVG + "rect") if "test_" in (r.findtext(SVG + "title") or "")]
    arrows = [p for p in svg.iter(SVG + "path") if p.get("marker-end")]
    assert len(bars) == count
    assert len(arrows) == count - 1
    assert words(svg).count("✗") == count - 1


def test_loops_that_look_alike_share_a_lane_unless_told_otherwise():
    assert "loops #3–#28" in words(drawing(timeline(recording(28))))
    unfolded = words(drawing(timeline(recording(28), fold=False)))
    assert [w for w in unfolded if w.startswith("loop #")] == [f"loop #{n}" for n in range(1, 29)]


def test_three_loops_are_not_folded():
    lanes = [w for w in words(drawing(timeline(recording(3)))) if w.startswith("loop")]
    assert lanes == ["loop #1", "loop #2", "loop #3"]


def test_of_very_many_tests_those_around_the_first_failure_are_drawn_and_it_says_so():
    picture = timeline(recording(400))
    assert "300 of 400 tests are left out" in " ".join(words(drawing(picture)))
    assert len(picture._repr_html_()) < 300_000


def test_the_timelines_table_says_the_same():
    text = repr(timeline(recording(3)))
    assert re.search(r"#1 .*in the setup of test_1.*in the teardown of test_1.*test_1 passed.*client 1", text)
    assert re.search(r"#3 .*test_3 failed.*loop #1 \(books\)", text)
    html = timeline(recording(3))._repr_html_()
    assert "<td" in html
    assert "test_3 failed" in html[html.index("<table") :]


def test_who_holds_what_draws_a_stale_name_as_what_it_is():
    picture = who_holds_what(recording(3))
    drawn = words(drawing(picture))
    assert "✗ stale: copied, line 2" in drawn
    assert "made here" in drawn
    assert "loop #1, closed" in drawn
    assert "no loop yet" in drawn
    assert re.search(
        r"app.toc +books +stale: copied from app.base.books, line 2, .* +client 1.*#1, closed", repr(picture)
    )


def test_a_run_without_clients_says_so_instead_of_drawing_nothing():
    empty = Recording(python="3.11.7", versions={})
    assert "No name of a loaded module" in repr(who_holds_what(empty))
    assert "loop" in repr(timeline(empty))
    assert drawing(timeline(empty)) is not None
