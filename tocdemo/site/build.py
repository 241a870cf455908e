"""Build the site: write Sphinx's sources, let Sphinx make the pages, and hold them to what a page must be.

It knows Sphinx and its configuration, and not what stands in the pages.
"""

import io
import logging
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.util.console import nocolor
from sphinx.util.docutils import docutils_namespace, patch_docutils

from tocdemo.course import executions
from tocdemo.errors import CannotRun, CourseError
from tocdemo.subject import sources as files

from . import checks, slides, sources
from .addresses import configured
from .reference_pages import Command

PLACE = Path(".tocdemo") / "site"
STATIC = Path(__file__).with_name("static")
MARK = ".tocdemo-site"  # a folder that has it is a site that may be replaced
SETTINGS = {
    "project": "tocdemo",
    "html_title": "One bug, looked at until it is clear",
    "language": "en",
    "extensions": ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.githubpages"],
    "html_theme": "sphinx_book_theme",
    "html_theme_options": {
        "home_page_in_toc": True,
        "show_navbar_depth": 1,
        "show_toc_level": 2,
        "use_download_button": False,
        "use_fullscreen_button": False,
        "footer_content_items": [],
        "pygments_light_style": "a11y-high-contrast-light",
        "pygments_dark_style": "a11y-high-contrast-dark",
    },
    "html_static_path": [str(STATIC)],
    "html_css_files": ["site.css"],
    "html_js_files": ["site.js"],
    "html_copy_source": False,
    "html_show_copyright": False,
    "html_show_sphinx": False,
    "html_use_index": False,
    "smartquotes": False,  # options and code stand in the text
    "add_module_names": False,
    "default_role": "code",
    "nitpicky": True,
    "nitpick_ignore_regex": [("py:.*", ".*")],  # types of the code below have no page
    "myst_enable_extensions": ["colon_fence"],
    "myst_heading_anchors": 4,
    "nb_execution_mode": "off",  # the outputs come from the contract's own way to run a notebook
    "nb_ipywidgets_js": {},
    "nb_merge_streams": True,
    "suppress_warnings": ["mystnb.unknown_mime_type"],  # what the contract reads; the HTML beside it is shown
}


def build(
    root: Path,
    commands: Mapping[str, Command],
    handed_on: Iterable[str],
    *,
    repository: str | None = None,
    output: Path | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Path:
    """Build the site of the project below `root`, and return its folder.

    `commands` are those of the command line; of those in `handed_on`, another program takes the arguments.
    `repository` is an address in place of the configured one. `output` is a folder of your own: a new one, an
    empty one, or a site of before, which is replaced.
    `on_progress` is told of each lesson that has to be run first. Raises CourseError, with a line for each,
    when anything is broken: nothing is put into `output` then.
    """
    _require_replaceable(output)
    place = root / PLACE
    lessons = sources.lessons(root)
    ran = executions.all_of(root, lessons, on_progress)
    wanted = sources.texts(root, lessons, ran, commands, handed_on, configured(root, repository))
    _write(wanted, root, place / "source")
    made = place / "html"
    said = _run_sphinx(place / "source", made, place / "doctrees")
    _remove_others(made, wanted)
    for lesson in lessons:
        files.write_file(made / "slides" / f"{lesson.slug}.html", slides.deck(lesson, ran[lesson.slug]))
    found = [*said, *checks.problems(made)]
    if found:
        shutil.rmtree(
            place / "doctrees"
        )  # Sphinx warns of a page only when it reads it: let it read all again
        raise CourseError("\n".join([*found, f"The site is not whole: {len(found)} to mend."]))
    (made / MARK).touch()
    if output is None:
        return made
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(made, output)
    return output


def _require_replaceable(output: Path | None) -> None:
    if output is None or not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not (output / MARK).exists():
        raise CannotRun(
            f"{output} is there, and is no site of this course; name a new folder, or an empty one"
        )


def _write(wanted: Mapping[str, str], root: Path, place: Path) -> None:
    """Write the sources that have changed, so that Sphinx reads only those; remove what is no longer one."""
    pictures = [path for path in (root / "lessons").rglob("*") if path.suffix in (".svg", ".png", ".gif")]
    bytes_of = {path: text.encode() for path, text in wanted.items()}
    bytes_of |= {path.relative_to(root).as_posix(): path.read_bytes() for path in pictures}
    for path in place.rglob("*"):
        if path.is_file() and path.relative_to(place).as_posix() not in bytes_of:
            path.unlink()
    for name, content in bytes_of.items():
        if not (place / name).exists() or (place / name).read_bytes() != content:
            files.write_bytes(place / name, content)


def _run_sphinx(source: Path, made: Path, doctrees: Path) -> list[str]:
    """Let Sphinx make the pages; return what it warned of, a line each."""
    nocolor()
    warnings = io.StringIO()
    settings = dict(SETTINGS)
    try:
        with patch_docutils(None), docutils_namespace():
            Sphinx(
                source, None, made, doctrees, "html", confoverrides=settings, status=None, warning=warnings
            ).build()
    except SphinxError as error:
        warnings.write(f"{error}\n")
    finally:
        logging.getLogger("sphinx").handlers.clear()
    lines = [line.replace(f"{source}/", "") for line in warnings.getvalue().splitlines()]
    return [line for line in lines if line.strip()]


def _remove_others(made: Path, wanted: Mapping[str, str]) -> None:
    """Remove the pages of sources that are gone: Sphinx leaves them."""
    pages = {Path(name).with_suffix(".html") for name in wanted} | {Path("search.html")}
    for file in made.rglob("*.html"):
        if file.relative_to(made) not in pages and "_static" not in file.parts:
            file.unlink()
