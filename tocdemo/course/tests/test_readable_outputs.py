"""Every kind of output that the lessons show, in JupyterLab, light and dark: readable, also by the keyboard.

The window is 1366 pixels wide, as small as those of a workshop are.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tocdemo.display.svg import TEXT, WIDTH

from .browser import CHROMIUM, ROOT, opened, photograph, run_all, served

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed (on Debian: apt install chromium)"
)

NOTEBOOK = "notebooks/outputs.ipynb"
OUTPUTS = ".jp-NotebookPanel .jp-OutputArea"
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
# A cell for each kind: what the lessons call, on states and operations that are done soon.
CELLS = (
    "from tocdemo import lab\n"
    "from tocdemo.experiments import loop_scopes, matrix, neighbours, nested\n"
    "from tocdemo.explorer.operations import add, replace_toc\n"
    "lab.workspace('incident')",
    "run = lab.run(guess=lab.guess(passed=28))\nrun",
    "run.timeline()",
    "run.who_holds_what()",
    "lab.explain()",
    "lab.coverage()",
    "lab.show('tests/conftest.py')",
    "lab.check('async-fixture')",
    "lab.hint('async-fixture')",
    "lab.solution('async-fixture', apply=True)",
    "lab.hint('async-fixture')",
    "lab.check('async-fixture')",
    "after = lab.run()\nafter.who_holds_what()",
    # Of the matrix and of the neighbours two states: all of them would take a minute.
    "states = (matrix.SWITCHES, run), ((), after)\n"
    "cells = tuple(matrix.RunCell(frozenset(names), False, each) for names, each in states)\n"
    "matrix.Matrix(cells, tuple(matrix.SWITCHES), 'embedded', 1.0)",
    "neighbours.Effects(tuple(neighbours.Row(each.title, frozenset(), each) for each in (run, after)), 1.0)",
    "lab.panel()",
    "loop_scopes.measure()",
    "lab.five_ways()",
    "lab.recorded_versions()",
    "nested.recorded()",
    "lab.interleavings(add('A'), add('B'))",
    "lab.interleavings(add('A'), replace_toc('B'), replica_set=True, attempts=2)",
    "lab.script('1 / 0', expect='ZeroDivisionError')",
    "with lab.expected(ZeroDivisionError):\n    1 / 0",
    "%%tests\nimport pytest\n\ndef test_one():\n    print('seen')\n\n"
    "@pytest.mark.skip\ndef test_two():\n    pass\n\n"
    "@pytest.fixture\ndef broken():\n    raise ValueError('broken')\n\n"
    "def test_three(broken):\n    pass\n\ndef test_four():\n    assert 1 == 2",
    "lab.watch()",
)
PICTURES = ("red_and_green.svg", "house.svg")

# The font size of each text times what the drawing and everything around it is scaled by.
SIZES = """svg => [...svg.querySelectorAll("text")].map(text => {
    const {a, b, c, d} = text.getScreenCTM();
    const words = text.lastChild.data;
    return [words, parseFloat(getComputedStyle(text).fontSize) * Math.sqrt(Math.abs(a * d - b * c))];
})"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with one notebook: a cell for each kind of output, and the pictures of the pages."""
    place = tmp_path_factory.mktemp("outputs")
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=kernel)
    for name in PICTURES:
        (place / "notebooks").mkdir(exist_ok=True)
        (place / "notebooks" / name).write_bytes((ROOT / "lessons" / "images" / name).read_bytes())
        notebook.cells.append(nbformat.v4.new_markdown_cell(f"![a picture]({name})"))
    nbformat.write(notebook, place / NOTEBOOK)
    return place


@pytest.fixture(scope="module")
def page(place: Path) -> Iterator[Page]:
    """The notebook in JupyterLab, all its cells run, and all that can be unfolded open but for the grids."""
    with served(place, NOTEBOOK) as address, opened(place, width=1366) as page:
        run_all(page, address.format(NOTEBOOK), seconds=300)
        page.evaluate(
            f"document.querySelectorAll('{OUTPUTS} details:not(td *)').forEach(it => it.open = true)"
        )
        yield page


@pytest.fixture(params=THEMES)
def theme(request: pytest.FixtureRequest, page: Page) -> str:
    page.get_by_role("menuitem", name="Settings", exact=True).click()
    page.locator(".lm-Menu-item", has_text="Theme").first.click()
    page.locator(".lm-Menu-item", has_text=THEMES[request.param]).first.click()
    page.wait_for_function(f"document.body.dataset.jpThemeName === '{THEMES[request.param]}'")
    return request.param


def test_axe_finds_nothing_serious(page, theme):
    photograph(page, page.locator(f"{OUTPUTS} table").first, f"outputs-{theme}")
    found = Axe().run(page, context={"include": [[OUTPUTS]]}).response["violations"]
    assert [_told(each) for each in found if each["impact"] in ("serious", "critical")] == []


def _told(violation: dict[str, Any]) -> str:
    nodes = violation["nodes"]
    return f"{violation['id']} ({len(nodes)}), such as {nodes[0]['html']}: {nodes[0]['failureSummary']}"


def test_no_text_of_a_picture_is_drawn_too_small(page):
    drawings = page.locator(f"{OUTPUTS} svg:has(text)")
    sizes = [size for drawing in drawings.all() for size in drawing.evaluate(SIZES)]
    assert drawings.count() == 3
    assert len(sizes) > 100
    assert [(words, size) for words, size in sizes if size < TEXT - 0.01] == []
    for drawing in drawings.all():
        assert drawing.evaluate("it => it.getBoundingClientRect().width") <= WIDTH
        assert drawing.evaluate("it => it.parentElement.scrollWidth - it.parentElement.clientWidth") == 0


def test_no_text_of_a_page_s_picture_is_too_small(page):
    """In an image the sizes cannot be asked for; so it must not be scaled, and its own sizes must do."""
    for name in PICTURES:
        image = page.locator(f'img[alt="a picture"][src*="{name}"]')
        assert image.evaluate("it => it.getBoundingClientRect().width / it.naturalWidth") == 1
        svg = (ROOT / "lessons" / "images" / name).read_text(encoding="utf-8")
        sizes = page.evaluate(
            f"svg => ({SIZES})(document.body.appendChild(new DOMParser()"
            ".parseFromString(svg, 'image/svg+xml').documentElement))",
            svg,
        )
        assert sizes
        assert [(words, size) for words, size in sizes if size < TEXT] == []


def test_the_keyboard_walks_through_a_grid_and_opens_a_box(page):
    grid = page.get_by_role("table", name="together: 2 passed, 26 failed").first
    boxes = grid.locator("summary")
    assert boxes.count() == 28
    boxes.first.focus()
    for number in range(1, 28):
        page.keyboard.press("Tab")
        expect(boxes.nth(number)).to_be_focused()
    expect(boxes.nth(27)).to_contain_text("28. test_")
    assert boxes.nth(27).evaluate("it => getComputedStyle(it).outlineStyle") != "none"
    opened = grid.locator("td").nth(27).get_by_text("RuntimeError: Event loop is closed")
    expect(opened).not_to_be_visible()
    page.keyboard.press("Enter")
    expect(opened).to_be_visible()
    page.keyboard.press("Enter")
    expect(opened).not_to_be_visible()
