"""A lesson as slides, from its own text and outputs: one idea a slide, in one file that needs nothing else.

A section gives a slide of its first sentences, with its question, and one for each picture; the last section
gives its points. It knows the shape of lessons' texts, and nothing of what they say.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from markdown_it import MarkdownIt
from nbformat import NotebookNode

from tocdemo.course.contracts import RUN_TYPE
from tocdemo.course.manifest import OUTCOMES, Lesson

STATIC = Path(__file__).with_name("static")
LAST = "What to take to your own project"
_SENTENCE_END = re.compile(r"(?<=[.?!])\s+|(?<=[.?!]\*\*)\s+")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_NO_WORDS = ("|", "```", "<", "---", "    ")  # tables, code and HTML are for the page
_ANCHOR = re.compile(r"</?a\b[^>]*>")


@dataclass(frozen=True)
class _Picture:
    """A grid or a drawing as HTML, and what it `says`: a run that says the same again is no new picture."""

    html: str
    says: str


@dataclass
class _Section:
    """A section of a lesson: its heading, its paragraphs, and the pictures that its cells show."""

    heading: str
    paragraphs: list[str] = field(default_factory=list)
    pictures: list[_Picture] = field(default_factory=list)


def deck(lesson: Lesson, executed: NotebookNode) -> str:
    """Return a page with the slides of a lesson; `executed` is its notebook with outputs."""
    opening, *sections = _sections(executed)
    slides = [_slide(f"<h1>{escape(lesson.title)}</h1>", _html("\n\n".join(opening.paragraphs)), "title")]
    slides += [slide for section in sections if section.heading for slide in _of(section)]
    numbered = [
        slide.replace(
            "</section>", f"<footer>{escape(lesson.title)} · {number} of {len(slides)}</footer></section>"
        )
        for number, slide in enumerate(slides, 1)
    ]
    css, js = ((STATIC / f"slides.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(lesson.title)}: slides'
        '</title><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{css}</style></head>\n<body><main>\n{''.join(numbered)}</main><script>{js}</script></body></html>\n"
    )


def _of(section: _Section) -> Iterator[str]:
    head = f"<h2>{_inline(section.heading)}</h2>"
    if section.heading == LAST:
        yield _slide(head, _html("\n\n".join(section.paragraphs)), "points")
        return
    said = [text for text in section.paragraphs if not text.startswith(_NO_WORDS) and not text.endswith(":")]
    if said:
        asked = next(filter(None, map(_questions, said[1:])), "")
        further = f'<div class="asked">{_html(asked)}</div>' if asked else ""
        yield _slide(head, _html(said[0]) + further, "idea")
    for picture in section.pictures:
        yield _slide(head, f'<div class="picture" tabindex="0">{picture.html}</div>', "shown")


def _questions(paragraph: str) -> str:
    """Return the sentences of a paragraph that ask something."""
    sentences = _SENTENCE_END.split(" ".join(paragraph.split()))
    return " ".join(each for each in sentences if each.rstrip("*").endswith("?") and each[0] != "(")


def _slide(head: str, body: str, kind: str) -> str:
    return f'<section class="{kind}">{head}{body}</section>\n'


def _sections(notebook: NotebookNode) -> list[_Section]:
    found = [_Section("")]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            for picture in _pictures(cell):
                if not found[-1].pictures or picture.says != found[-1].pictures[-1].says:
                    found[-1].pictures.append(picture)
            continue
        for block in re.split(r"\n{2,}", cell.source):
            heading = re.match(r"## (.*)", block)
            if heading:
                found.append(_Section(heading[1]))
            elif block.startswith("---"):  # the links to other lessons
                break
            elif block.strip() and not block.startswith("# "):
                found[-1].paragraphs.append(block)
    return found


def _pictures(cell: NotebookNode) -> Iterator[_Picture]:
    """Give what a cell shows that is a grid or a drawing; an answer in words is for the page."""
    for output in cell.outputs:
        bundle = output.get("data", {})
        html, run = bundle.get("text/html", ""), bundle.get(RUN_TYPE)
        if html and run:
            yield _Picture(_ANCHOR.sub("", html), str([run.get(key) for key in (*OUTCOMES, "passed_tests")]))
        elif "<svg" in html:
            yield _Picture(_ANCHOR.sub("", html), html)


def _html(markdown: str) -> str:
    return MarkdownIt().render(_LINK.sub(r"\1", markdown))


def _inline(markdown: str) -> str:
    return MarkdownIt().renderInline(_LINK.sub(r"\1", markdown))
