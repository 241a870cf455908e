"""Small helpers for pictures: marks of inline SVG that follow JupyterLab's theme, and the table beside them.

Colours are CSS variables of JupyterLab with a plain colour for other places. It knows nothing of recordings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from . import tables

INK = "var(--jp-ui-font-color1, #212121)"
FAINT = "var(--jp-ui-font-color2, #616161)"
RULE = "var(--jp-border-color1, #bdbdbd)"
PAPER = "var(--jp-layout-color0, #ffffff)"
PANEL = "var(--jp-layout-color2, #eeeeee)"
GOOD = "var(--jp-success-color1, #388e3c)"
BAD = "var(--jp-error-color1, #d32f2f)"
NEUTRAL = "var(--jp-info-color1, #0288d1)"
FONT = "var(--jp-ui-font-family, system-ui, sans-serif)"


@dataclass(frozen=True)
class Picture:
    """A figure for a notebook.

    `html` holds the drawing and its table, `text` the same content in plain text.
    """

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


def mark(name: str, title: str = "", body: str = "", /, **attributes: object) -> str:
    """Return an SVG element; `title` becomes its tooltip, underscores in attribute names become hyphens."""
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"' for key, value in attributes.items()
    )
    inside = (f"<title>{escape(title)}</title>" if title else "") + body
    return f"<{name}{pairs}>{inside}</{name}>" if inside else f"<{name}{pairs}/>"


def text(x: float, y: float, words: str, title: str = "", /, **attributes: object) -> str:
    """Return a line of text whose base line starts at (x, y)."""
    style = {"fill": INK, **attributes}
    tooltip = f"<title>{escape(title)}</title>" if title else ""
    return mark("text", "", tooltip + escape(words), x=round(x, 1), y=round(y, 1), **style)


def line(x1: float, y1: float, x2: float, y2: float, title: str = "", /, **attributes: object) -> str:
    """Return a straight line."""
    ends = {"x1": round(x1, 1), "y1": round(y1, 1), "x2": round(x2, 1), "y2": round(y2, 1)}
    return mark("line", title, **ends, **{"stroke": RULE, **attributes})


def cross(x: float, y: float, size: float, title: str = "", color: str = INK) -> str:
    """Return an × around (x, y)."""
    path = f"M{x - size},{y - size} L{x + size},{y + size} M{x - size},{y + size} L{x + size},{y - size}"
    return mark("path", title, d=path, stroke=color, stroke_width=2, fill="none")


def diamond(x: float, y: float, size: float, title: str = "", hollow: bool = False) -> str:
    """Return a diamond around (x, y)."""
    path = f"M{x},{y - size} L{x + size},{y} L{x},{y + size} L{x - size},{y} Z"
    return mark("path", title, d=path, stroke=NEUTRAL, stroke_width=1.5, fill=PAPER if hollow else NEUTRAL)


def clipped(words: str, most: int) -> str:
    """Return the words with the middle left out if they are longer than `most` characters."""
    if len(words) <= most:
        return words
    tail = (most - 1) * 2 // 3
    return words[: most - 1 - tail] + "…" + words[-tail:]


def figure(width: float, height: float, label: str, marks: Iterable[str], table: str, summary: str) -> str:
    """Return the drawing, which shrinks to the place that there is, and the table folded below it."""
    drawing = mark(
        "svg",
        label,
        "".join(marks),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {round(width)} {round(height)}",
        role="img",
        aria_label=label,
        style=f"width:100%;max-width:{round(width)}px;min-width:{min(round(width), 640)}px;height:auto",
        font_family=FONT,
        font_size=12,
    )
    return (
        f'<div style="color:{INK};max-width:100%"><div style="overflow-x:auto">{drawing}</div>'
        f'<details style="margin-top:4px"><summary style="cursor:pointer">{escape(summary)}</summary>'
        f"{table}</details></div>"
    )


def word_table(top: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[str, str]:
    """Return a table of words as HTML that scrolls when it is wide, and as plain text."""
    style = (
        f"text-align:left;vertical-align:top;padding:2px 8px;color:{INK};border-bottom:1px solid {RULE};"
        "font-size:12px"
    )
    cells = [
        [tables.head(word, style) for word in top],
        *([tables.words(word, style) for word in row] for row in rows),
    ]
    html = f'<div style="overflow-x:auto">{tables.html_table(cells, striped=True)}</div>'
    return html, "\n".join(tables.text_table([top, *rows]))
