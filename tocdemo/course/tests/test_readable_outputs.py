"""Every kind of output that the lessons show, in JupyterLab, light and dark: readable, also by the keyboard.

The window is 1366 pixels wide, as small as those of a workshop are.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tocdemo.display.svg import TEXT, WIDTH
from tocdemo.runner.result import Run, TestResult

from .browser import CHROMIUM, ROOT, opened, photograph, run_all, served

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed (on Debian: apt install chromium)"
)

NOTEBOOK = "notebooks/outputs.ipynb"
STORED = "notebooks/stored.ipynb"
OUTPUTS = ".jp-NotebookPanel .jp-OutputArea"
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
# A cell for each kind: what the lessons call, on states and operations that are done soon.
CELLS = (
    "from tocdemo import lab\n"
    "from tocdemo.experiments import drivers, loop_scopes, matrix, neighbours, nested, one_loop\n"
    "from tocdemo.explorer.operations import add, replace_toc\n"
    "lab.lesson('03_the_async_fixture')",
    "lab.map()",
    "lab.doctor()",
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
    "lab.progress()",
    "lab.restore()",
    "lab.workspace('incident', neighbours=True)",
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
    "drivers.differences(lab.folder())",
    "drivers.speeds(2)",
    "one_loop.Ways({'pytest-asyncio': (run, after), 'uvloop': None})",
    "lab.interleavings(add('A'), add('B'))",
    "lab.interleavings(add('A'), replace_toc('B'), replica_set=True, attempts=2)",
    "lab.script('1 / 0', expect='ZeroDivisionError')",
    "with lab.expected(ZeroDivisionError):\n    1 / 0",
    "%%tests\nimport pytest\n\ndef test_one():\n    print('seen')\n\n"
    "@pytest.mark.skip\ndef test_two():\n    pass\n\n"
    "@pytest.fixture\ndef broken():\n    raise ValueError('broken')\n\n"
    "def test_three(broken):\n    pass\n\ndef test_four():\n    assert 1 == 2",
    "lab.terminal('python --version')",
    "lab.checklist()",
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
    """A place with two notebooks: a cell for each kind of output and the pages' pictures; a stored grid."""
    place = tmp_path_factory.mktemp("outputs")
    (place / "notebooks").mkdir()
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    for name in PICTURES:
        (place / "notebooks" / name).write_bytes((ROOT / "lessons" / "images" / name).read_bytes())
        cells.append(nbformat.v4.new_markdown_cell(f"![a picture]({name})"))
    _write(place / NOTEBOOK, cells)
    outcomes = (("passed", ""), ("skipped", ""), ("error", "no fixture"), ("failed", "no reason"))
    results = tuple(
        TestResult(f"test_{number}", outcome, error=error) for number, (outcome, error) in enumerate(outcomes)
    )
    output = nbformat.v4.new_output("display_data", Run(results, 1.0)._repr_mimebundle_())
    _write(place / STORED, [nbformat.v4.new_code_cell("lab.run()", outputs=[output])])
    return place


def _write(path: Path, cells: list[Any]) -> None:
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)


@pytest.fixture(scope="module")
def address(place: Path) -> Iterator[str]:
    with served(place, NOTEBOOK) as address:
        yield address


@pytest.fixture(scope="module")
def window(place: Path) -> Iterator[Page]:
    with opened(place, width=1366) as page:
        yield page


@pytest.fixture(scope="module")
def page(window: Page, address: str) -> Page:
    """The notebook in JupyterLab, all its cells run, with all that can be unfolded open, and one box."""
    run_all(window, address.format(NOTEBOOK), seconds=300)
    window.evaluate(f"document.querySelectorAll('{OUTPUTS} details:not(td *)').forEach(it => it.open = true)")
    window.evaluate(f"document.querySelector('{OUTPUTS} td details').open = true")
    return window


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
    _walk(page, boxes)
    expect(boxes.nth(27)).to_contain_text("28. test_")
    error = grid.locator("td").nth(27).get_by_text("RuntimeError: Event loop is closed")
    expect(error).not_to_be_visible()
    page.keyboard.press("Enter")
    expect(error).to_be_visible()
    page.keyboard.press("Enter")
    expect(error).not_to_be_visible()


def test_the_keyboard_walks_through_a_grid_that_jupyter_does_not_trust(window, address):
    page = window.context.browser.new_page()
    page.goto(address.format(STORED))
    boxes = page.locator(f"{OUTPUTS} td summary")
    expect(boxes).to_have_count(4, timeout=60_000)
    assert page.locator(f"{OUTPUTS} table[aria-label]").count() == 0, "Jupyter trusts this notebook"
    _walk(page, boxes)
    expect(boxes.nth(3)).to_have_text("4. test_3: failed ✗")
    page.keyboard.press("Enter")
    expect(page.locator(f"{OUTPUTS} td").nth(3).get_by_text("no reason")).to_be_visible()


def _walk(page: Page, boxes: Locator) -> None:
    """Go from the first box to the last by Tab alone, and see which one has the focus."""
    boxes.first.focus()
    for number in range(1, boxes.count()):
        page.keyboard.press("Tab")
        expect(boxes.nth(number)).to_be_focused()
        assert boxes.nth(number).evaluate("it => getComputedStyle(it).outlineStyle") != "none"
