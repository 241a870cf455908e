"""A lesson's page: its executed notebook, with links that lead to pages, and the ways to open it.

It knows the shape of a notebook, and nothing of what the lesson says.
"""

import copy
import re
from html import escape
from urllib.parse import unquote

import nbformat
from nbformat import NotebookNode

from tocdemo.course.manifest import Lesson

from .addresses import Addresses

WIDGET = "application/vnd.jupyter.widget-view+json"
PANEL = (
    "<p><em>Here JupyterLab shows a panel that answers to clicks. It needs a running kernel: "
    "open the lesson to try it.</em></p>"
)
_ANCHOR = re.compile(r"<a\s+href=([\"'])(?P<to>[^\"']*)\1[^>]*>(?P<text>.*?)</a>", re.DOTALL)
_TO_WORKSPACE = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<to>\.\./workspace/[^)\s]+)\)")
_TO_CELL = re.compile(r"\[↑\]\((?P<slug>\w+)\.ipynb#cell-id=(?P<cell>[\w-]+)[^)]*\)")
_SMALL_HEADING = re.compile(r"\A#### ")  # small in a notebook; a page's outline has no gaps
_TO_NOTEBOOK = re.compile(r"\]\((?P<slug>\w+)\.ipynb")
_HIDDEN = {"source_hidden": "hide-input", "outputs_hidden": "hide-output"}


def page(lesson: Lesson, executed: NotebookNode, addresses: Addresses) -> str:
    """Return the notebook of a lesson's page, as text."""
    shown = copy.deepcopy(executed)
    shown.metadata.pop("widgets", None)  # the panel's state: nobody answers it here
    for cell in shown.cells:
        if cell.cell_type == "markdown":
            text = _TO_WORKSPACE.sub(lambda link: _file_link(link, lesson), cell.source)
            cell.source = _SMALL_HEADING.sub("## ", _TO_CELL.sub(_cell_link, text))
            continue
        hidden = [tag for key, tag in _HIDDEN.items() if cell.metadata.get("jupyter", {}).get(key)]
        cell.metadata["tags"] = [*cell.metadata.get("tags", []), *hidden]
        for output in cell.outputs:
            _for_a_page(output.get("data", {}), lesson)
    shown.cells = [each for cell in shown.cells for each in (*_place_of(cell), cell)]
    title, rest = shown.cells[0], _opening(lesson, addresses)
    title.source = f"{title.source}\n\n{rest}"
    return nbformat.writes(shown)


def files_page(lesson: Lesson) -> str:
    """Return the page that shows the files with which a lesson begins, each below a name to link to."""
    lines = [
        "---",
        "orphan: true",
        "---",
        f"# The files of “{lesson.title}”",
        "",
        "The lesson's workspace begins with these files. In JupyterLab they are yours to change.",
    ]
    for path, text in lesson.start.files.items():
        if text.strip():
            kind = {"py": "python", "ini": "ini", "toml": "toml"}.get(path.rpartition(".")[2], "text")
            lines += [
                "",
                f"({name_of(lesson, path)})=",
                f"## {path}",
                "",
                f"````{kind}",
                text.rstrip(),
                "````",
            ]
    return "\n".join([*lines, ""])


def name_of(lesson: Lesson, path: str) -> str:
    """Return the name of a file in a page of files, which no other place in the site has."""
    return "file-" + re.sub(r"[\W_]+", "-", f"{lesson.slug}/{path}").lower()


def _place_of(cell: NotebookNode) -> list[NotebookNode]:
    """Return what links to a cell lead to."""
    if cell.cell_type != "code":
        return []
    return [nbformat.v4.new_markdown_cell(f'<div id="cell-{cell.id}"></div>', id=f"{cell.id[:55]}-place")]


def _cell_link(link: re.Match) -> str:
    return f'<a href="{link["slug"]}.html#cell-{link["cell"]}" title="shown by a cell">↑</a>'


def _shown_path(address: str, lesson: Lesson) -> str | None:
    """Return which file of the lesson's start an address leads to; None for any other."""
    path = unquote(address).removeprefix(f"../workspace/{lesson.slug}/")
    return path if lesson.start.files.get(path, "").strip() else None


def _file_link(link: re.Match, lesson: Lesson) -> str:
    path = _shown_path(link["to"], lesson)
    return (
        f"[{link['text']}](../workspace/{lesson.slug}.md#{name_of(lesson, path)})"
        if path
        else f"`{link['text']}`"
    )


def _for_a_page(data: dict, lesson: Lesson) -> None:
    """Change an output in place, so that it can be read on a page: its links, and what needs a kernel."""
    if WIDGET in data:
        data.clear()
        data["text/html"] = PANEL
    if "text/markdown" in data:
        data["text/markdown"] = _TO_NOTEBOOK.sub(r"](\g<slug>.html", data["text/markdown"])
    if "text/html" in data:
        data["text/html"] = _ANCHOR.sub(lambda link: _output_link(link, lesson), data["text/html"])


def _output_link(link: re.Match, lesson: Lesson) -> str:
    to = link["to"]
    if re.fullmatch(r"\w+\.ipynb", to):
        return f'<a href="{to.removesuffix(".ipynb")}.html">{link["text"]}</a>'
    if not to.startswith("../workspace"):
        return link[0]
    path = _shown_path(to, lesson)
    return (
        f'<a href="../workspace/{lesson.slug}.html#{name_of(lesson, path)}">{link["text"]}</a>'
        if path
        else link["text"]
    )


def _opening(lesson: Lesson, addresses: Addresses) -> str:
    """Return how the lesson is opened, as Markdown: links where an address is known, and the command."""
    links = addresses.of(f"notebooks/{lesson.slug}.ipynb")
    opened = " · ".join(f"[{name}]({address})" for name, address in links.items())
    here = "To do it on your machine, clone the course, then `python3 -m tocdemo start`."
    sentence = f"Open this lesson in {opened}. {here}" if links else here
    exercises = ", ".join(f"[{escape(each.name)}](../exercises/{each.name}.md)" for each in lesson.exercises)
    more = f" Its exercises, with hints and solutions: {exercises}." if exercises else ""
    deck = f' For a room: <a href="../slides/{lesson.slug}.html">its slides</a>.'
    return (
        f":::{{admonition}} Do this lesson yourself\n:class: note tocdemo-open\n{sentence}{more}{deck}\n:::"
    )
