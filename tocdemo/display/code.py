"""Text that keeps its lines: code, and the difference of two versions of a file, as text and as HTML.

Knows nothing of which files there are.
"""

import difflib

from .markup import Markup, bold, element

_EDGES = {"+": "#1a7f37", "-": "#b3261e", "@": "#57606a"}
_DIFF = "font-family:monospace;white-space:pre-wrap;line-height:1.35;margin:6px 0"


def preformatted(words: str) -> Markup:
    """Return a text as HTML that keeps its lines."""
    return element("pre", words, style="white-space:pre-wrap;margin:4px 0")


def unified_diff(path: str, before: str, after: str, context: int = 2) -> str:
    """Return a unified diff of two versions of one file; empty when they are the same."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), path, path, n=context
    )
    return "".join(lines)


def diff_html(diff: str) -> Markup:
    """Return the unified diff of one file as HTML. Lines keep their + and -, which say what colours say."""
    head, _, *lines = diff.splitlines()
    return element(
        "div",
        element("div", bold(head.removeprefix("--- "))),
        *(_diff_line(line) for line in lines),
        style=_DIFF,
    )


def _diff_line(line: str) -> Markup:
    edge = _EDGES.get(line[:1], "transparent")
    return element("div", line or "\u00a0", style=f"border-left:4px solid {edge};padding-left:6px")
