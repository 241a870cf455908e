"""A learner's walk, as one takes it: by clicks, with mistakes, in JupyterLab's own editor, light and dark."""

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tocdemo.course.tests import browser
from tocdemo.subject import faults, sources

LESSON = "03_the_async_fixture"
TITLE = "The async fixture"
STARTED = 60_000  # ms, for what needs a kernel on a busy machine
expect.set_options(timeout=30_000)

pytestmark = pytest.mark.skipif(
    browser.CHROMIUM is None, reason="Chromium is not installed (on Debian: apt install chromium)"
)


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


def tab(page: Page, name: str) -> Locator:
    return page.locator("#jp-main-dock-panel .lm-TabBar-tab").filter(has_text=name)


def write(page: Page, text: str) -> None:
    """In the editor tab that is open: replace all of it, and save it."""
    page.locator(".jp-FileEditor:visible .cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)
    page.keyboard.press("Control+s")


def until_in(file: Path, text: str) -> None:
    """Wait until a file on the disk has this text."""
    until = time.monotonic() + 20
    while text not in file.read_text() and time.monotonic() < until:
        time.sleep(0.1)
    assert text in file.read_text()


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_a_learner_edits_wrongly_takes_a_hint_edits_rightly_and_comes_back(
    tmp_path: Path, theme: str
) -> None:
    conftest = tmp_path / "workspace" / LESSON / sources.CONFTEST
    with browser.started(tmp_path, theme) as address, browser.opened(tmp_path, 1366) as page:
        page.goto(address)
        from_the_map_to_a_lesson(page)
        a_wrong_edit(page, conftest)
        a_hint_and_the_right_edit(page, conftest)
        browser.photograph(page, cell(page, "lab.watch()"), f"walk_{theme.split()[1].lower()}")
        page.keyboard.press("Control+s")
    with browser.started(tmp_path, theme) as address, browser.opened(tmp_path, 1366) as page:
        page.goto(address)
        another_day(page, conftest)


def from_the_map_to_a_lesson(page: Page) -> None:
    ready(page, "Start here")
    shown = run_cell(page, cell(page, "lab.map()"))
    expect(shown.get_by_text("← next")).to_be_visible()
    shown.get_by_role("link", name=TITLE, exact=True).click()
    ready(page, TITLE)
    opened = run_cell(page, cell(page, f'lab.lesson("{LESSON}")'))
    expect(opened).to_contain_text("Made ")


def a_wrong_edit(page: Page, conftest: Path) -> None:
    """In the editor that a click on the path opens: an import alone."""
    notebook(page).get_by_role("link", name=sources.CONFTEST).first.click()
    expect(page.locator(".jp-FileEditor:visible")).to_contain_text("def motor_reinit_db")
    write(page, f"import pytest_asyncio\n{conftest.read_text()}")
    until_in(conftest, "import pytest_asyncio")
    tab(page, LESSON).click()
    said = run_cell(page, cell(page, 'lab.check("async-fixture")'))
    expect(said).to_contain_text("not yet")
    expect(said).to_contain_text(f"{sources.CONFTEST}, line ")


def a_hint_and_the_right_edit(page: Page, conftest: Path) -> None:
    """While a grid follows the file."""
    check = cell(page, 'lab.check("async-fixture")')
    hint = new_cell(page, check, 'lab.hint("async-fixture")')
    expect(run_cell(page, hint)).to_contain_text("Hint 1 of 3")
    watched = run_cell(page, new_cell(page, hint, "lab.watch()"))
    expect(watched).to_contain_text("2 passed, 26 failed", timeout=STARTED)
    expect(watched).to_contain_text("async-fixture: not yet", timeout=STARTED)
    tab(page, "conftest.py").click()
    right = faults.with_faults([name for name in faults.state("incident") if name != "sync-fixture"])
    write(page, right[sources.CONFTEST] + "\n# my own words\n")
    until_in(conftest, "# my own words")
    tab(page, LESSON).click()
    expect(watched).to_contain_text("async-fixture: done.", timeout=STARTED)
    expect(run_cell(page, check)).to_contain_text("async-fixture: done.")


def another_day(page: Page, conftest: Path) -> None:
    """The edits are there, and what was done is ticked."""
    ready(page, "Start here")
    notebook(page).get_by_role("link", name=TITLE, exact=True).first.click()
    ready(page, TITLE)
    opened = run_cell(page, cell(page, f'lab.lesson("{LESSON}")'))
    expect(opened).to_contain_text(f"Your edits of {sources.CONFTEST} are as you left them")
    assert conftest.read_text().endswith("# my own words\n")
    progress = run_cell(page, cell(page, "lab.progress()"))
    expect(progress.get_by_role("row", name="✓ exercise async-fixture")).to_be_visible()


def test_an_open_tab_follows_the_disk_until_somebody_types_in_it(tmp_path: Path) -> None:
    conftest = tmp_path / "workspace" / LESSON / sources.CONFTEST
    with browser.started(tmp_path) as address, browser.opened(tmp_path, 1366) as page:
        page.goto(address)
        ready(page, "Start here")
        notebook(page).get_by_role("link", name=TITLE, exact=True).first.click()
        ready(page, TITLE)
        opening = cell(page, f'lab.lesson("{LESSON}")')
        run_cell(page, opening)
        notebook(page).get_by_role("link", name=sources.CONFTEST).first.click()
        text = page.locator(".jp-FileEditor:visible .cm-content")
        expect(text).to_contain_text("def motor_reinit_db")
        tab(page, LESSON).click()
        run_cell(page, cell(page, 'lab.solution("async-fixture", apply=True)'))
        tab(page, "conftest.py").click()
        expect(text).to_contain_text("async def motor_reinit_db")

        text.click()
        page.keyboard.press("Control+End")
        page.keyboard.insert_text("# typed, and not saved")
        tab(page, LESSON).click()
        run_cell(page, new_cell(page, opening, "lab.reset()"))
        tab(page, "conftest.py").click()
        time.sleep(3)  # three times as long as a tab needs to follow
        expect(text).to_contain_text("# typed, and not saved")
        assert "# typed" not in conftest.read_text()
        page.keyboard.press("Control+s")
        question = page.get_by_role("dialog")
        expect(question).to_contain_text("has changed on disk")
        assert "# typed" not in conftest.read_text()
        question.get_by_role("button", name="Overwrite").click()
        until_in(conftest, "# typed, and not saved")
