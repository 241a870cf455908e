"""What a learner meets: JupyterLab in a real Chromium, Run All, the grid, and the panel of switches."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from tocdemo.course.jupyter import environment, lab_command

ROOT = Path(__file__).resolve().parents[3]
# The shortest lesson that shows the incident, and the one that has the panel.
LESSON = "notebooks/03_the_async_fixture.ipynb"
WITH_PANEL = ROOT / "notebooks" / "06_which_change_cured_it.ipynb"
PANEL = "notebooks/panel.ipynb"
SCREENSHOTS = ROOT / ".tocdemo" / "screenshots"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync"
# What JupyterLab does not draw until it is scrolled to, a test would not find.
SETTINGS = {"windowingMode": "none"}
ERRORS = '[data-mime-type="application/vnd.jupyter.error"]'
ENDED = f"""() => document.querySelector('{ERRORS}') ||
    [...document.querySelectorAll(".jp-CodeCell .jp-InputPrompt")].every(it => /\\d/.test(it.innerText))"""


pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed (on Debian: apt install chromium)"
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the notebooks, one more with the panel's cells alone, and a home folder of their own."""
    place = tmp_path_factory.mktemp("jupyterlab")
    for folder in ("notebooks", "lessons"):
        shutil.copytree(ROOT / folder, place / folder)
    notebook = nbformat.read(WITH_PANEL, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.id in ("begin", "panel")]
    nbformat.write(notebook, place / PANEL)
    settings = place / "home/.jupyter/lab/user-settings/@jupyterlab/notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text(json.dumps(SETTINGS))
    return place


@pytest.fixture(scope="module")
def address(place: Path) -> Iterator[str]:
    """Serve that place in JupyterLab for all tests here; yield an address with a gap for the document."""
    runtime, log = place / "runtime", place / "jupyterlab.log"
    own = {"HOME": str(place / "home"), "JUPYTER_RUNTIME_DIR": str(runtime)}
    own["TOCDEMO_WORKSPACE"] = str(place / "workspace")
    further = ["--ServerApp.port=0", "--ServerApp.open_browser=False", "--ServerApp.allow_root=True"]
    command = lab_command(place, LESSON, *further)
    with log.open("w") as file:
        server = subprocess.Popen(command, env={**environment(), **own}, cwd=place, stdout=file, stderr=file)
    try:
        described = _described(server, runtime, log)
        yield f"http://127.0.0.1:{described['port']}/lab/tree/{{}}?reset&token={described['token']}"
    finally:
        server.terminate()
        server.wait(20)


def _described(server: subprocess.Popen, runtime: Path, log: Path) -> dict:
    """Wait for the file in which Jupyter says where it listens, and return what it says."""
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        for path in runtime.glob("jpserver-*.json"):
            with_port = json.loads(path.read_text() or "{}")
            if with_port.get("port"):
                return with_port
        time.sleep(0.1)
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def page(place: Path) -> Iterator[Page]:
    with sync_playwright() as playwright:
        environ = {**os.environ, "HOME": str(place / "home")}
        arguments = [*QUIET.split(), "--no-first-run"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments, env=environ)
        yield browser.new_page(viewport={"width": 1280, "height": 1000})
        browser.close()


def run_all(page: Page, address: str) -> None:
    """Open a notebook, run all its cells, and see that none shows an error."""
    assert page.goto(address).status == 200
    page.get_by_text("| Idle").wait_for(timeout=60_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.wait_for_function(ENDED, timeout=120_000)
    assert page.locator(ERRORS).all_inner_texts() == []
    page.get_by_text("| Idle").wait_for(timeout=60_000)


def photograph(page: Page, what: Locator, name: str) -> None:
    what.scroll_into_view_if_needed()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
    print(f"screenshot: {SCREENSHOTS / name}.png")


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
