"""A learner's walk, as one takes it: by clicks, with mistakes, in JupyterLab's own editor, light and dark."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from tocdemo.subject import faults, sources
from tocdemo.subject.workspace import ROOT

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync"
SCREENSHOTS = ROOT / ".tocdemo" / "screenshots"
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
LESSON = "03_the_async_fixture"
STARTED = 60_000  # ms, for what needs a kernel on a busy machine
expect.set_options(timeout=30_000)

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed (on Debian: apt install chromium)"
)


@dataclass
class Place:
    """A learner's place: JupyterLab as `start` opens it, with a workspace and a home of their own."""

    folder: Path
    theme: str
    server: subprocess.Popen | None = None

    @property
    def conftest(self) -> Path:
        return self.folder / "workspace" / LESSON / sources.CONFTEST

    def start(self) -> str:
        """Call `start`, and return the address that it says."""
        settings = self.folder / "home/.jupyter/lab/user-settings/@jupyterlab"
        (settings / "apputils-extension").mkdir(parents=True, exist_ok=True)
        (settings / "notebook-extension").mkdir(exist_ok=True)
        themes = json.dumps({"theme": THEMES[self.theme]})
        (settings / "apputils-extension/themes.jupyterlab-settings").write_text(themes)
        # What JupyterLab does not draw until it is scrolled to, a test would not find.
        undrawn = json.dumps({"windowingMode": "none"})
        (settings / "notebook-extension/tracker.jupyterlab-settings").write_text(undrawn)
        runtime = self.folder / "runtime"
        shutil.rmtree(runtime, ignore_errors=True)
        own = {
            "HOME": str(self.folder / "home"),
            "JUPYTER_RUNTIME_DIR": str(runtime),
            "TOCDEMO_WORKSPACE": str(self.folder / "workspace"),
        }
        command = [sys.executable, "-m", "tocdemo", "start", "--no-browser", "--ServerApp.port=0"]
        log = self.folder / "jupyterlab.log"
        with log.open("w") as file:
            self.server = subprocess.Popen(
                command, env={**os.environ, **own}, cwd=ROOT, stdout=file, stderr=file, start_new_session=True
            )
        until = time.monotonic() + 90
        while time.monotonic() < until and self.server.poll() is None:
            for path in runtime.glob("jpserver-*.json"):
                described = json.loads(path.read_text() or "{}")
                if described.get("port"):
                    return f"http://127.0.0.1:{described['port']}/?token={described['token']}"
            time.sleep(0.1)
        raise AssertionError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")

    def stop(self) -> None:
        if self.server is not None:
            self.server.terminate()
            self.server.wait(30)


@pytest.fixture(params=THEMES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    own = Place(tmp_path, request.param)
    yield own
    own.stop()


@pytest.fixture
def page(place: Place) -> Iterator[Page]:
    with sync_playwright() as playwright:
        environ = {**os.environ, "HOME": str(place.folder / "home")}
        arguments = [*QUIET.split(), "--no-first-run"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments, env=environ)
        page = browser.new_page(viewport={"width": 1366, "height": 900})
        page.set_default_timeout(30_000)
        yield page
        browser.close()


def notebook(page: Page) -> Locator:
    return page.locator(".jp-NotebookPanel:visible")


def cell(page: Page, text: str) -> Locator:
    """The first code cell of the visible notebook with this text."""
    source = page.locator(".jp-InputArea-editor").filter(has_text=text)
    return notebook(page).locator(".jp-CodeCell").filter(has=source).first


def ready(page: Page, title: str) -> None:
    """Wait until the lesson of that title is open, with a kernel that waits."""
    expect(notebook(page).get_by_role("heading", name=title, level=1)).to_be_visible(timeout=STARTED)
    expect(page.get_by_text("| Idle")).to_be_visible(timeout=STARTED)


def run_cell(page: Page, which: Locator) -> Locator:
    """Click into a cell, press Shift + Enter, wait for its end, and return its output."""
    prompt = which.locator(".jp-InputPrompt")
    before = prompt.inner_text()
    which.locator(".jp-InputArea-editor").click()
    page.keyboard.press("Shift+Enter")
    expect(prompt).not_to_have_text(before)
    expect(prompt).to_have_text(re.compile(r"\[\d+\]"), timeout=STARTED)
    return which.locator(".jp-OutputArea-output")


def new_cell(page: Page, after: Locator, text: str) -> Locator:
    """Insert a cell behind another one, as a learner does (Esc, B, Enter), and write into it."""
    after.locator(".jp-InputPrompt").click()
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    page.keyboard.insert_text(text)
    return cell(page, text)


def photograph(page: Page, place: Place, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"walk_{name}_{place.theme}.png")


def tab(page: Page, name: str) -> Locator:
    return page.locator("#jp-main-dock-panel .lm-TabBar-tab").filter(has_text=name)


def write(page: Page, text: str) -> None:
    """In the editor tab that is open: replace all of it, and save it."""
    page.locator(".jp-FileEditor:visible .cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)
    page.keyboard.press("Control+s")


def test_a_learner_edits_wrongly_takes_a_hint_edits_rightly_and_comes_back(place: Place, page: Page) -> None:
    page.goto(place.start())
    ready(page, "Start here")
    # From the map to lesson 03, by clicks alone.
    map_of = run_cell(page, cell(page, "lab.map()"))
    expect(map_of.get_by_text("← next")).to_be_visible()
    photograph(page, place, "map")
    map_of.get_by_role("link", name="The async fixture", exact=True).click()
    ready(page, "The async fixture")
    opened = run_cell(page, cell(page, f'lab.lesson("{LESSON}")'))
    expect(opened.filter(has_text="Made ")).to_be_visible()
    photograph(page, place, "opened")

    # A wrong edit, in the editor that a click on the path opens.
    notebook(page).get_by_role("link", name=sources.CONFTEST).first.click()
    expect(page.locator(".jp-FileEditor:visible")).to_contain_text("def motor_reinit_db")
    start = place.conftest.read_text()
    write(page, f"import pytest_asyncio\n{start}")
    expect_text(place.conftest, "import pytest_asyncio")
    tab(page, LESSON).click()
    check = cell(page, 'lab.check("async-fixture")')
    said = run_cell(page, check)
    expect(said).to_contain_text("not yet")
    expect(said).to_contain_text("line ")
    photograph(page, place, "not_yet")

    # A hint, and a grid that follows the file.
    hint = new_cell(page, check, 'lab.hint("async-fixture")')
    expect(run_cell(page, hint)).to_contain_text("Hint 1 of 3")
    watch = new_cell(page, hint, "lab.watch()")
    watched = run_cell(page, watch)
    expect(watched).to_contain_text("2 passed, 26 failed", timeout=STARTED)
    expect(watched).to_contain_text("async-fixture: not yet", timeout=STARTED)

    # The right edit.
    tab(page, "conftest.py").click()
    right = faults.with_faults([name for name in faults.state("incident") if name != "sync-fixture"])
    write(page, right[sources.CONFTEST] + "\n# my own words\n")
    tab(page, LESSON).click()
    expect(watched).to_contain_text("async-fixture: done.", timeout=STARTED)
    photograph(page, place, "watched")
    expect(run_cell(page, check)).to_contain_text("async-fixture: done.")
    page.keyboard.press("Control+s")
    place.stop()

    # Another day.
    page.goto(place.start())
    page.get_by_role("link", name="The async fixture", exact=True).or_(tab(page, LESSON)).first.click()
    ready(page, "The async fixture")
    opened = run_cell(page, cell(page, f'lab.lesson("{LESSON}")'))
    expect(opened).to_contain_text(f"Your edits of {sources.CONFTEST} are as you left them")
    assert place.conftest.read_text().endswith("# my own words\n")
    progress = run_cell(page, cell(page, "lab.progress()"))
    expect(progress.get_by_role("row", name="✓ exercise async-fixture")).to_be_visible()
    photograph(page, place, "again")


def expect_text(file: Path, text: str) -> None:
    until = time.monotonic() + 20
    while text not in file.read_text() and time.monotonic() < until:
        time.sleep(0.1)
    assert text in file.read_text()
