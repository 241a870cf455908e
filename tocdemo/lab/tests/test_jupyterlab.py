"""Lesson 01 as a learner meets it: JupyterLab in a real Chromium, Run All, and the grid."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tocdemo.lab.jupyter import environment, lab_command

ROOT = Path(__file__).resolve().parents[3]
LESSON = "notebooks/01_alone_and_together.ipynb"
SCREENSHOT = ROOT / ".tocdemo" / "screenshots" / "01_alone_and_together.png"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync"
# What JupyterLab does not draw until it is scrolled to, a test would not find.
SETTINGS = {"windowingMode": "none"}
ERRORS = '[data-mime-type="application/vnd.jupyter.error"]'
ENDED = f"""() => document.querySelector('{ERRORS}') ||
    [...document.querySelectorAll(".jp-CodeCell .jp-InputPrompt")].every(it => /\\d/.test(it.innerText))"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Serve a copy of the notebooks with a home folder of its own; yield the lesson's address."""
    for folder in ("notebooks", "lessons"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    settings = tmp_path / "home/.jupyter/lab/user-settings/@jupyterlab/notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text(json.dumps(SETTINGS))
    runtime = tmp_path / "runtime"
    own = {"HOME": str(tmp_path / "home"), "JUPYTER_RUNTIME_DIR": str(runtime)}
    own["TOCDEMO_WORKSPACE"] = str(tmp_path / "workspace")
    further = ["--ServerApp.port=0", "--ServerApp.open_browser=False", "--ServerApp.allow_root=True"]
    command = lab_command(tmp_path, LESSON, *further)
    log = tmp_path / "jupyterlab.log"
    with log.open("w") as file:
        server = subprocess.Popen(
            command, env={**environment(), **own}, cwd=tmp_path, stdout=file, stderr=file
        )
    try:
        described = _described(server, runtime, log)
        yield f"http://127.0.0.1:{described['port']}/lab/tree/{LESSON}?reset&token={described['token']}"
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


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with sync_playwright() as playwright:
        environ = {**os.environ, "HOME": str(tmp_path)}
        arguments = [*QUIET.split(), "--no-first-run"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments, env=environ)
        yield browser.new_page(viewport={"width": 1280, "height": 1000})
        browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (on Debian: apt install chromium)")
def test_run_all_in_jupyterlab_shows_the_grid_of_the_incident(address, page):
    assert page.goto(address).status == 200
    page.get_by_text("| Idle").wait_for(timeout=60_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.wait_for_function(ENDED, timeout=120_000)
    assert page.locator(ERRORS).all_inner_texts() == []
    page.get_by_text("| Idle").wait_for(timeout=60_000)

    grid = page.locator(".jp-OutputArea-output", has_text="26 failed").filter(has_text="2 passed").first
    grid.scroll_into_view_if_needed()
    SCREENSHOT.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOT)
    print(f"screenshot: {SCREENSHOT}")
    expect(grid.locator("td").first).to_be_visible()
    expect(page.locator(".jp-Dialog, .jp-Notification-Toast, .Toastify__toast")).to_have_count(0)
