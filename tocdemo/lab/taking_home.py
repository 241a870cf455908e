"""The verbs for a project of one's own: a command as a terminal runs it, and the checklist to take away.

What a command does, and what the checklist says, they must not know.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from tocdemo.course.lessons import MANIFEST
from tocdemo.runner.elsewhere import commands

from .notebook import NOTEBOOK

CHECKLIST = MANIFEST.parent / "checklist.md"
_LINK = re.compile(r"\[([^\]]+)\]\((\w+)\.md\)")
_CODE = re.compile(r"`([^`]+)`")
_STYLE = """
@page { size: A4; margin: 14mm }
body { font: 10.5pt/1.36 sans-serif; color: #111; background: #fff }
body { max-width: 46em; margin: 1em auto; padding: 0 1em }
h1 { font-size: 17pt; margin: 0 0 .3em } h2 { font-size: 12pt; margin: .8em 0 .2em } p { margin: .3em 0 }
ul { list-style: none; margin: 0; padding: 0 }
li { margin: .22em 0; padding-left: 1.7em; text-indent: -1.7em }
li::before { content: "\\2610"; display: inline-block; width: 1.7em; text-indent: 0 }
code { font-size: .92em } a { color: #0b57d0 } @media print { a { color: inherit; text-decoration: none } }
"""


def terminal(
    command: str,
    path: str | Path | None = None,
    *,
    backend: str | None = None,
    python: str | Path | None = None,
) -> commands.Output:
    """Run a command as a terminal would, in the folder of the project at `path`, and show what it prints.

    The project's own virtual environment is active, if it has one; `python` names another. Without a path, it
    is the workspace. With `backend`, the command finds a fresh database in DATABASE_URI and DATABASE_NAME.
    Raises CannotRun when there is no such command, or it does not end within two minutes.
    """
    folder = NOTEBOOK.workspace.folder if path is None else Path(path).expanduser()
    named = None if python is None else str(python)
    return commands.run(command, folder.resolve(), python=named, backend=backend)


@dataclass(frozen=True)
class Checklist:
    """The checklist: in a notebook as text with links to its lessons; in `file` as a page to print."""

    markdown: str
    file: Path

    def __str__(self) -> str:
        plain = _LINK.sub(r"[\1]", self.markdown).strip()
        return f"{plain}\n\nTo print: {self.file}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        # A box that is a form's would need a label; here nobody ticks one.
        linked = _LINK.sub(r"[\1](\2.ipynb)", self.markdown).replace("- [ ] ", "- ☐ ")
        note = f"To print: open `{self.file}` in your browser."
        return {"text/plain": str(self), "text/markdown": f"{linked}\n\n{note}"}


def checklist() -> Checklist:
    """Show the checklist of the course, and write it as a page to print into the workspace's folder."""
    markdown = CHECKLIST.read_text(encoding="utf-8")
    file = NOTEBOOK.workspace.folder / "checklist.html"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page(markdown), encoding="utf-8")
    return Checklist(markdown, file)


def page(markdown: str) -> str:
    """Return a page of HTML to print: of Markdown's forms, headings, paragraphs and a list of boxes."""
    title = markdown.partition("\n")[0].removeprefix("# ")
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    body = "\n".join(_blocks(markdown))
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _blocks(markdown: str) -> Iterator[str]:
    for block in re.split(r"\n\s*\n", markdown.strip()):
        if block.startswith("#"):
            level = len(block) - len(block.lstrip("#"))
            yield f"<h{level}>{_words(block.lstrip('# '))}</h{level}>"
        elif block.startswith("- [ ] "):
            items = re.split(r"(?:^|\n)- \[ \] ", block)[1:]
            yield f"<ul>{''.join(f'<li>{_words(item)}</li>' for item in items)}</ul>"
        else:
            yield f"<p>{_words(block)}</p>"


def _words(text: str) -> str:
    plain = _CODE.sub(r"<code>\1</code>", escape(" ".join(text.split()), quote=False))
    return _LINK.sub(r'<a href="../../notebooks/\2.ipynb">\1</a>', plain)
