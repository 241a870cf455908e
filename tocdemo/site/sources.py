"""All the texts of the site, each by the path that it has among Sphinx's sources.

The paths are those of the repository, so that the links between its texts hold. It knows which pages there
are, and not how Sphinx makes them.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from tocdemo import lab
from tocdemo.course import executions
from tocdemo.course.build import MANIFEST, differences
from tocdemo.course.manifest import Lesson, load
from tocdemo.errors import CourseError
from tocdemo.loopwatch.static.rules.catalogue import listing

from . import lesson_pages, reference_pages
from .addresses import Addresses
from .reference_pages import Command

FRONT = Path(__file__).with_name("front.md")
_TEXTS = ("CONTRIBUTING.md", "tocdemo/server/README.md", "tocdemo/loopwatch/README.md")
_MAP_ROW = re.compile(r"^\| \[[^\]]*\]\((?P<slug>\w+)\.md\) \|[^|]*\| (?P<learned>.*) \|$", re.MULTILINE)
_MAP_ASIDE = re.compile(r"\n- \[[^\]]*\]\((?P<slug>\w+)\.md\), [^,]*,\s(?P<learned>.+?)(?=\n- |\n\n)", re.DOTALL)


def texts(
    root: Path, commands: dict[str, Command], handed_on: Iterable[str], addresses: Addresses, only: str = ""
) -> dict[str, str]:
    """Return every text of the site by its path; with `only`, of the lessons just the one of that slug.

    Raises CourseError when a notebook is not what its text builds, or a run not what its contract says.
    """
    wrong = differences(root)
    if wrong:
        raise CourseError("\n".join([*wrong, "`python3 -m tocdemo build` builds the notebooks afresh"]))
    lessons = load(root / MANIFEST)
    written = {each.slug: (root / "lessons" / f"{each.slug}.md").read_text("utf-8") for each in lessons}
    shown = [each for each in lessons if only in ("", each.slug)]
    pages = {f"notebooks/{each.slug}.ipynb": _lesson(root, each, addresses) for each in shown}
    pages |= {f"workspace/{each.slug}.md": lesson_pages.files_page(each) for each in shown}
    if only:
        return pages | {"index.md": f"# {shown[0].title}\n\n```{{toctree}}\nnotebooks/{only}\n```\n"}
    exercises = {exercise.name: (exercise, lesson) for lesson in lessons for exercise in lesson.exercises}
    verbs = [(lesson, written[lesson.slug]) for lesson in lessons]
    texts = [path for path in (root / "lessons").rglob("*.md") if path.stem not in written]
    others = [*sorted(texts), *(root / name for name in _TEXTS)]
    pages |= {f"exercises/{name}.md": reference_pages.exercise_page(*it) for name, it in exercises.items()}
    pages |= {f"lab/{verb}.md": reference_pages.verb_page(verb, verbs) for verb in lab.VERBS}
    known = reference_pages.commands(commands, tuple(handed_on))
    pages |= {f"commands/{name}.md": text for name, text in known.items()}
    pages |= {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in others}
    pages["tocdemo/loopwatch/rules.md"] = reference_pages.rules_page(listing())
    return pages | {"index.md": _front(lessons, written[lessons[0].slug], pages)}


def _lesson(root: Path, lesson: Lesson, addresses: Addresses) -> str:
    return lesson_pages.page(lesson, executions.executed(root, lesson), addresses)


def _front(lessons: tuple[Lesson, ...], first: str, pages: dict[str, str]) -> str:
    """Return the front page: what the course is, the lessons with what each teaches, and the tree of pages."""
    learned = {it["slug"]: " ".join(it["learned"].split()) for it in _MAP_ROW.finditer(first)}
    learned |= {it["slug"]: " ".join(it["learned"].split()) for it in _MAP_ASIDE.finditer(first)}
    rows = [
        f"| [{each.title}](notebooks/{each.slug}.ipynb) | {each.minutes} | ✓ {learned[each.slug]} | "
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
    return "\n".join([FRONT.read_text(encoding="utf-8").replace("LESSONS", table), *trees, ""])


def _documents(pages: dict[str, str], folder: str) -> list[str]:
    return [path.removesuffix(".md") for path in pages if path.startswith(f"{folder}/")]


def _tree(caption: str, documents: list[str]) -> str:
    return "\n".join(
        ["```{toctree}", ":hidden:", f":caption: {caption}", ":maxdepth: 1", "", *documents, "```", ""]
    )
