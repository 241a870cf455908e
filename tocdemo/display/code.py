"""Code and changes of code, as text and as HTML. It knows nothing of where they come from."""

import difflib
from html import escape

from .tables import attributes

_EDGES = {"+": "#1a7f37", "-": "#b3261e", "@": "#57606a"}


def preformatted(words: str) -> str:
    """Return a text as HTML that keeps its lines; a line that is too long goes on between two words."""
    # JupyterLab (4.6) breaks a word wherever the line ends, unless it is told not to.
    style = "white-space:pre-wrap;word-break:normal;overflow-wrap:anywhere;margin:4px 0"
    return f"<pre{attributes(style=style)}>{escape(words)}</pre>"


def unified_diff(path: str, before: str, after: str, context: int = 2) -> str:
    """Return a unified diff of two versions of one file; empty when they are the same."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), path, path, n=context
    )
    return "".join(lines)


def diff_html(diff: str) -> str:
    """Return a unified diff as HTML: lines keep their + and -, which say what the colours say."""
    name, _, *changes = diff.splitlines()
    lines = [f"<div><b>{escape(name.removeprefix('--- '))}</b></div>"]
    for line in changes:
        edge = _EDGES.get(line[:1], "transparent")
        style = attributes(style=f"border-left:4px solid {edge};padding-left:6px")
        lines.append(f"<div{style}>{escape(line) or '&nbsp;'}</div>")
    box = attributes(style="font-family:monospace;white-space:pre-wrap;line-height:1.35;margin:6px 0")
    return f"<div{box}>{''.join(lines)}</div>"
