"""All the texts of the site, each by the path that it has among Sphinx's sources.

The paths are those of the repository, so that the links between its texts hold. It knows which pages there
are, and not how Sphinx makes them.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from nbformat import NotebookNode

from tocdemo import lab
from tocdemo.course.build import MANIFEST, differences
from tocdemo.course.manifest import Lesson, load
from tocdemo.course.prose import minutes
from tocdemo.errors import CourseError
from tocdemo.loopwatch.static.rules.catalogue import listing

from . import lesson_pages, reference_pages
from .addresses import SETTINGS, Addresses
from .reference_pages import Command

FRONT = Path(__file__).with_name("front.md")
_TEXTS = ("CONTRIBUTING.md", "tocdemo/server/README.md", "tocdemo/loopwatch/README.md")
_TO_LESSON = re.compile(r"\]\((?P<slug>\w+)\.md\b")
_MAP_ROW = re.compile(r"^\| \[[^\]]*\]\((?P<slug>\w+)\.md\) \|[^|]*\| (?P<learned>.*) \|$", re.MULTILINE)
_MAP_ASIDE = re.compile(
    r"\n- \[[^\]]*\]\((?P<slug>\w+)\.md\),\s[^,]*,\s(?P<learned>.+?)(?=\n- |\n\n)", re.DOTALL
)


def lessons(root: Path) -> tuple[Lesson, ...]:
    """Return the lessons in order. Raises CourseError when a notebook is not what its text builds."""
    wrong = differences(root)
    if wrong:
        raise CourseError("\n".join([*wrong, "`python3 -m tocdemo build` builds the notebooks afresh"]))
    return load(root / MANIFEST)


def texts(
    root: Path,
    lessons: Sequence[Lesson],
    ran: Mapping[str, NotebookNode],
    commands: Mapping[str, Command],
    handed_on: Iterable[str],
    addresses: Addresses,
) -> dict[str, str]:
    """Return every text of the site by its path; `ran` has the lessons' executed notebooks by their slugs."""
    written = {each.slug: (root / "lessons" / f"{each.slug}.md").read_text("utf-8") for each in lessons}
    pages = {
        f"notebooks/{each.slug}.ipynb": lesson_pages.page(each, ran[each.slug], addresses) for each in lessons
    }
    pages |= {f"workspace/{each.slug}.md": lesson_pages.files_page(each) for each in lessons}
    exercises = {exercise.name: (exercise, lesson) for lesson in lessons for exercise in lesson.exercises}
    verbs = [(lesson, written[lesson.slug]) for lesson in lessons]
    texts = [path for path in (root / "lessons").rglob("*.md") if path.stem not in written]
    others = [*sorted(texts), *(root / name for name in _TEXTS)]
    pages |= {f"exercises/{name}.md": reference_pages.exercise_page(*it) for name, it in exercises.items()}
    pages |= {f"lab/{verb}.md": reference_pages.verb_page(verb, verbs) for verb in lab.VERBS}
    known = reference_pages.commands(commands, tuple(handed_on))
    pages |= {f"commands/{name}.md": text for name, text in known.items()}
    pages |= {
        path.relative_to(root).as_posix(): _to_notebooks(path.read_text(encoding="utf-8"), written)
        for path in others
    }
    pages["tocdemo/loopwatch/rules.md"] = reference_pages.rules_page(listing())
    return pages | {"index.md": _front(lessons, written, _minutes(root, written), pages, addresses)}


def _to_notebooks(text: str, lessons: Collection[str]) -> str:
    """Return a text whose links to lessons' texts lead to their notebooks: those have the pages."""
    return _TO_LESSON.sub(
        lambda link: f"](../notebooks/{link['slug']}.ipynb" if link["slug"] in lessons else link[0], text
    )


def _minutes(root: Path, written: Mapping[str, str]) -> dict[str, int]:
    recorded = minutes.recorded(root)
    return {slug: minutes.of(text, recorded.get(slug, 0.0)).minutes for slug, text in written.items()}


def _front(
    lessons: Sequence[Lesson],
    written: Mapping[str, str],
    minutes_of: Mapping[str, int],
    pages: Mapping[str, str],
    addresses: Addresses,
) -> str:
    """Return the front page: what the course is, the lessons with what each teaches, and the tree of pages.

    `written` are the lessons' texts: the map in the first says what each teaches.
    """
    first = written[lessons[0].slug]
    learned = {it["slug"]: " ".join(it["learned"].split()) for it in _MAP_ROW.finditer(first)}
    learned |= {it["slug"]: " ".join(it["learned"].split()) for it in _MAP_ASIDE.finditer(first)}
    rows = [
        f"| [{each.title}](notebooks/{each.slug}.ipynb) | {minutes_of[each.slug]} | ✓ {learned[each.slug]} | "
        + ", ".join(f"[{it.name}](exercises/{it.name}.md)" for it in each.exercises)
        + " |"
        for each in lessons
    ]
    table = "\n".join(["| lesson | minutes | what you find out | exercises |", "|---|---|---|---|", *rows])
    numbered = [f"notebooks/{each.slug}" for each in lessons if not each.optional]
    aside = [f"notebooks/{each.slug}" for each in lessons if each.optional]
    below = {folder: _documents(pages, folder) for folder in ("exercises", "lab", "commands", "lessons")}
    trees = [
        _tree("The lessons", numbered),
        _tree("Optional lessons", aside),
        _tree("Beside the lessons", below["lessons"]),
        _tree("The exercises", below["exercises"]),
        _tree("The verbs of lab", below["lab"]),
        _tree("The command line", below["commands"]),
        _tree("loopwatch and the server", [*_documents(pages, "tocdemo"), "CONTRIBUTING"]),
    ]
    front = FRONT.read_text(encoding="utf-8").replace("LESSONS", table)
    front = front.replace("ELSEWHERE", _elsewhere(lessons[0], addresses))
    return "\n".join([front, *trees, ""])


def _elsewhere(lesson: Lesson, addresses: Addresses) -> str:
    """Return where the course can be opened without an installation; else how to let this page say it."""
    links = addresses.of(f"notebooks/{lesson.slug}.ipynb")
    if not links:
        return (
            "Each lesson's page can have links that open it in JupyterLab, Binder or Codespaces: set "
            f"`repository` (and `hub`) below `[{SETTINGS}]` in `pyproject.toml`, and build the site again."
        )
    return "Or click: " + " · ".join(f"[{name}]({address})" for name, address in links.items())


def _documents(pages: Mapping[str, str], folder: str) -> list[str]:
    return [path.removesuffix(".md") for path in pages if path.startswith(f"{folder}/")]


def _tree(caption: str, documents: list[str]) -> str:
    return "\n".join(
        ["```{toctree}", ":hidden:", f":caption: {caption}", ":maxdepth: 1", "", *documents, "```", ""]
    )
