"""The whole site, built, and looked at in Chromium. One lesson has its outputs, to spare the others' time."""

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

from tocdemo.cli import COMMANDS
from tocdemo.course import executions
from tocdemo.course.tests.browser import CHROMIUM, QUIET
from tocdemo.errors import CannotRun, CourseError
from tocdemo.site import build, sources

ROOT = Path(__file__).resolve().parents[3]
LESSON = "01_alone_and_together"  # it has grids, a picture and tables that unfold
# Of Sphinx's own interface, used by its extensions.
pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated. Check CHANGES for Sphinx API")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed (on Debian: apt install chromium)"
)
PAGES = ("index", f"notebooks/{LESSON}", "exercises/first-test", "lab/run")
WIDTHS = (1366, 390)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Path]:
    """The site in a place of its own, with the outputs of one lesson."""

    real = executions.all_of

    def some(root, lessons, on_progress):
        notebooks = {each.slug: _as_built(each.slug) for each in lessons}
        return notebooks | real(root, [each for each in lessons if each.slug == LESSON], on_progress)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "PLACE", tmp_path_factory.mktemp("site"))
        patch.setattr(executions, "all_of", some)
        yield build.build(ROOT, COMMANDS, ("test",))


def _as_built(slug):
    return nbformat.read(ROOT / "notebooks" / f"{slug}.ipynb", as_version=4)


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET.split())
        yield browser
        browser.close()


def test_every_kind_of_page_is_there(site):
    for page in (
        *PAGES,
        "commands/run",
        "tocdemo/server/README",
        "tocdemo/loopwatch/rules",
        "lessons/the_report",
        "search",
    ):
        assert (site / f"{page}.html").is_file()
    lesson = (site / "notebooks" / f"{LESSON}.html").read_text(encoding="utf-8")
    assert "2 passed, 26 failed" in lesson
    assert "RuntimeError: Event loop is closed" in lesson
    assert str(ROOT) not in lesson


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_are_readable_fit_and_ask_no_other_host(site, browser, scheme):
    asked: list[str] = []
    for width in WIDTHS:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("request", lambda request: asked.append(request.url))
        for name in PAGES:
            page.goto((site / f"{name}.html").as_uri())
            page.evaluate("document.querySelectorAll('article details').forEach(it => it.open = true)")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
            if width == WIDTHS[0]:
                assert _serious(page) == [], name
        page.close()
    assert [address for address in asked if not address.startswith(("file:", "data:"))] == []


def _serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {each['nodes'][0]['html']}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_slide_is_cut(site, browser, scheme):
    page = browser.new_page(viewport={"width": 1280, "height": 720}, color_scheme=scheme)
    page.goto((site / "slides" / f"{LESSON}.html").as_uri())
    assert page.locator("section").count() > 8
    assert page.locator("section .picture td").first.is_visible()
    cut = page.locator("section, .picture").evaluate_all(
        "all => all.filter(it => it.scrollHeight > it.clientHeight + 1).map(it => it.innerText)"
    )
    assert cut == []
    assert _serious(page) == []
    page.keyboard.press("PageDown")
    page.wait_for_function("scrollY >= innerHeight")
    page.close()


@needs_chromium
def test_the_search_finds_a_word_without_a_server(site, browser):
    page = browser.new_page()
    page.goto((site / "search.html").as_uri() + "?q=compare-and-swap")
    page.locator("#search-results li a").first.wait_for(timeout=20_000)
    titles = page.locator("#search-results li a").all_inner_texts()
    assert "compare-and-swap" in " ".join(titles)
    page.close()


@needs_chromium
def test_a_lesson_can_be_read_without_a_script_and_printed_whole(site, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "notebooks" / f"{LESSON}.html").as_uri())
    assert page.locator("h2", has_text="What to take to your own project").is_visible()
    assert page.get_by_role("table", name="together: 2 passed, 26 failed").first.is_visible()
    page.emulate_media(media="print")
    assert page.locator(".bd-sidebar-primary").first.is_hidden()
    for kind in ("article svg", "article tr", "article .cell_input"):
        assert page.locator(kind).first.evaluate("it => getComputedStyle(it).breakInside") == "avoid", kind
    page.set_viewport_size({"width": 700, "height": 900})  # of A4 with its margins, about
    drawing = page.locator(".cell_output svg").first
    assert drawing.evaluate("it => it.getBoundingClientRect().width <= it.parentElement.clientWidth")
    assert page.pdf(format="A4").startswith(b"%PDF")
    context.close()


def test_what_is_broken_fails_the_build_and_is_said_each_time(tmp_path, monkeypatch):
    texts = {
        "index.md": "# A\n\n[gone](gone.md) ![](pictures/none.svg)\n\n"
        "<img src='x.svg'>\n\n<a href='b.html'>b</a>\n"
    }
    monkeypatch.setattr(build, "PLACE", tmp_path / "place")
    monkeypatch.setattr(sources, "lessons", lambda _: ())
    monkeypatch.setattr(sources, "texts", lambda *_: texts)
    output = tmp_path / "output"
    for _ in range(2):
        with pytest.raises(CourseError) as said:
            build.build(ROOT, {}, (), output=output)
        for words in (
            "'gone.md'",
            "image file not readable: pictures/none.svg",
            "picture x.svg has no words",
        ):
            assert words in str(said.value)
        assert "index.html: the link b.html leads nowhere" in str(said.value)
        assert not output.exists()
    texts["index.md"] = "# A\n"
    assert build.build(ROOT, {}, (), output=output) == output
    assert (output / "index.html").is_file()


def test_a_notebook_that_differs_from_its_text_fails_the_build(monkeypatch):
    monkeypatch.setattr(sources, "differences", lambda _: ["notebooks/x.ipynb: differs from lessons/x.md"])
    with pytest.raises(CourseError, match="`python3 -m tocdemo build` builds the notebooks afresh"):
        build.build(ROOT, {}, ())


def test_a_folder_that_is_no_site_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(CannotRun, match="is no site of this course; name a new folder"):
        build.build(ROOT, {}, (), output=tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"
