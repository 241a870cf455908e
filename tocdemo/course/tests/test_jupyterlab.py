"""What a learner meets: JupyterLab in a real Chromium, Run All, the grid, and the panel of switches."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page, expect

from .browser import CHROMIUM, ROOT, opened, photograph, run_all, served

# The shortest lesson that shows the incident, and the one that has the panel.
LESSON = "notebooks/03_the_async_fixture.ipynb"
WITH_PANEL = ROOT / "notebooks" / "06_which_change_fixed_it.ipynb"
PANEL = "notebooks/panel.ipynb"

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed (on Debian: apt install chromium)"
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the notebooks, and one more with the panel's cells alone."""
    place = tmp_path_factory.mktemp("jupyterlab")
    for folder in ("notebooks", "lessons"):
        shutil.copytree(ROOT / folder, place / folder)
    notebook = nbformat.read(WITH_PANEL, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.id in ("begin", "panel")]
    nbformat.write(notebook, place / PANEL)
    return place


@pytest.fixture(scope="module")
def address(place: Path) -> Iterator[str]:
    with served(place, LESSON) as address:
        yield address


@pytest.fixture(scope="module")
def page(place: Path) -> Iterator[Page]:
    with opened(place) as page:
        yield page


def test_run_all_in_jupyterlab_shows_the_grid_of_the_incident(address, page):
    run_all(page, address.format(LESSON))
    grid = page.locator(".jp-OutputArea-output", has_text="26 failed").filter(has_text="2 passed").first
    photograph(page, grid, Path(LESSON).stem)
    expect(grid.locator("td").first).to_be_visible()
    expect(page.locator(".jp-Dialog, .jp-Notification-Toast, .Toastify__toast")).to_have_count(0)


def test_a_switch_of_the_panel_changes_the_grid(address, page):
    run_all(page, address.format(PANEL))
    panel = page.locator(".widget-vbox")
    expect(panel.get_by_text("2 passed, 26 failed")).to_be_visible()
    panel.get_by_text("dynamic references in the app").click()
    expect(panel.get_by_text("4 passed, 24 failed")).to_be_visible(timeout=30_000)
    panel.get_by_text("dynamic references in the tests").click()
    expect(panel.get_by_text("28 passed")).to_be_visible(timeout=30_000)
    expect(panel.locator("td", has_text="✗")).to_have_count(0)
    photograph(page, panel, "panel")
