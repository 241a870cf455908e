"""JupyterLab in a real Chromium, for tests: serve a place, open a notebook, run all its cells."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Locator, Page, sync_playwright

from tocdemo.course.jupyter import environment, lab_command

ROOT = Path(__file__).resolve().parents[3]
SCREENSHOTS = ROOT / ".tocdemo" / "screenshots"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync"
# What JupyterLab does not draw until it is scrolled to, a test would not find.
SETTINGS = {"windowingMode": "none"}
LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"
ERRORS = '[data-mime-type="application/vnd.jupyter.error"]'
ENDED = f"""() => document.querySelector('{ERRORS}') ||
    [...document.querySelectorAll(".jp-CodeCell .jp-InputPrompt")].every(it => /\\d/.test(it.innerText))"""


@contextlib.contextmanager
def served(place: Path, document: str) -> Iterator[str]:
    """Serve a place in JupyterLab, with a home of its own; yield an address with a gap for the document."""
    further = ["--ServerApp.port=0", "--ServerApp.open_browser=False", "--ServerApp.allow_root=True"]
    with _serving(place, lab_command(place, document, *further), place) as described:
        yield f"http://127.0.0.1:{described['port']}/lab/tree/{{}}?reset&token={described['token']}"


@contextlib.contextmanager
def started(place: Path, theme: str = LIGHT) -> Iterator[str]:
    """Call the command `start` for a learner who has that place; yield the address that it opens."""
    command = [sys.executable, "-m", "tocdemo", "start", "--no-browser", "--ServerApp.port=0"]
    with _serving(place, command, ROOT, theme) as described:
        yield f"http://127.0.0.1:{described['port']}/?token={described['token']}"


@contextlib.contextmanager
def _serving(
    place: Path, command: list[str], folder: Path, theme: str = "JupyterLab Light"
) -> Iterator[dict]:
    settings = place / "home/.jupyter/lab/user-settings/@jupyterlab"
    for name, values in (
        ("notebook-extension/tracker", SETTINGS),
        ("apputils-extension/themes", {"theme": theme}),
    ):
        file = settings / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    runtime, log = place / "runtime", place / "jupyterlab.log"
    shutil.rmtree(runtime, ignore_errors=True)
    own = {"HOME": str(place / "home"), "JUPYTER_RUNTIME_DIR": str(runtime)}
    own["TOCDEMO_WORKSPACE"] = str(place / "workspace")
    with log.open("w") as file:
        server = subprocess.Popen(command, env={**environment(), **own}, cwd=folder, stdout=file, stderr=file)
    try:
        yield _described(server, runtime, log)
    finally:
        server.terminate()
        server.wait(30)


def _described(server: subprocess.Popen, runtime: Path, log: Path) -> dict:
    """Wait for the file in which Jupyter says where it listens, and until it does; return what it says."""
    until = time.monotonic() + 90
    while time.monotonic() < until and server.poll() is None:
        for path in runtime.glob("jpserver-*.json"):
            with_port = json.loads(path.read_text() or "{}")
            if with_port.get("port") and _answers(with_port["port"]):
                return with_port
        time.sleep(0.1)
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


def _answers(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def opened(place: Path, width: int = 1280) -> Iterator[Page]:
    """Open Chromium with the place's home, in a window of that many pixels."""
    with sync_playwright() as playwright:
        environ = {**os.environ, "HOME": str(place / "home")}
        arguments = [*QUIET.split(), "--no-first-run"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments, env=environ)
        yield browser.new_page(viewport={"width": width, "height": 1000})
        browser.close()


def run_all(page: Page, address: str, seconds: float = 120) -> None:
    """Open a notebook, run all its cells in so many seconds at most, and see that none shows an error."""
    assert page.goto(address).status == 200
    page.get_by_text("| Idle").wait_for(timeout=60_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.wait_for_function(ENDED, timeout=seconds * 1000)
    assert page.locator(ERRORS).all_inner_texts() == []
    page.get_by_text("| Idle").wait_for(timeout=60_000)


def photograph(page: Page, what: Locator, name: str) -> None:
    """Keep a picture of the window as it shows `what`."""
    what.scroll_into_view_if_needed()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
    print(f"screenshot: {SCREENSHOTS / name}.png")
