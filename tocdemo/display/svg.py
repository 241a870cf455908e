"""Small helpers for pictures: marks of inline SVG that follow JupyterLab's theme, and the table beside them.

Colours are CSS variables of JupyterLab with a plain colour for other places. A picture is never drawn
smaller than it was laid out, so that its text keeps its size. It knows nothing of recordings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from . import tables

INK = "var(--jp-ui-font-color1, #212121)"
FAINT = "var(--jp-ui-font-color2, #616161)"
RULE = "var(--jp-border-color1, #bdbdbd)"
PAPER = "var(--jp-layout-color0, #ffffff)"
PANEL = "var(--jp-layout-color2, #eeeeee)"
GOOD = "var(--jp-success-color0, #1b5e20)"  # colour 1 is too light for words in the light theme
BAD = "var(--jp-error-color1, #d32f2f)"
NEUTRAL = "var(--jp-info-color1, #0288d1)"
FONT = "var(--jp-ui-font-family, system-ui, sans-serif)"
WIDTH = 900  # pixels that a picture may have: JupyterLab's outputs have that much in a window of 1366
TEXT = 12  # pixels of every letter
_LETTER = 6.6  # pixels of a letter in a wide font of that size


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


def cross(x: float, y: float, size: float, title: str = "", color: str = INK, **attributes: object) -> str:
    """Return an × around (x, y)."""
    path = f"M{x - size},{y - size} L{x + size},{y + size} M{x - size},{y + size} L{x + size},{y - size}"
    return mark("path", title, d=path, stroke=color, stroke_width=2, fill="none", **attributes)


def diamond(
    x: float, y: float, size: float, title: str = "", hollow: bool = False, **attributes: object
) -> str:
    """Return a diamond around (x, y)."""
    path = f"M{x},{y - size} L{x + size},{y} L{x},{y + size} L{x - size},{y} Z"
    style = {"stroke": NEUTRAL, "stroke_width": 1.5, "fill": PAPER if hollow else NEUTRAL}
    return mark("path", title, d=path, **style, **attributes)


@dataclass(frozen=True)
class Sign:
    """What a legend says of a kind of mark: the `name` in the marks' `data-mark`, and its words.

    `draw` returns such a mark around a point, with its title; it is about `width` pixels wide, or 0 where the
    words are enough.
    """

    name: str
    words: str
    width: float = 0
    draw: Callable[[float, float, str], str] = lambda x, y, title: ""


def legend(signs: Iterable[Sign], marks: Iterable[str], y: float, right: float) -> tuple[list[str], float]:
    """Return the signs of those marks, and the height of their lines, which begin at y and end at `right`.

    Raises KeyError for a mark that no sign explains.
    """
    known = {sign.name: sign for sign in signs}
    used = set(re.findall(r' data-mark="([^"]*)"', "".join(marks)))
    chosen = [sign for sign in known.values() if sign.name in used]
    if used - known.keys():
        raise KeyError(f"The legend does not say what these marks mean: {sorted(used - known.keys())}")
    drawn, x, top = [], 8.0, y
    for sign in chosen:
        room = sign.width + (6 if sign.width else 0) + _LETTER * len(sign.words)
        if x > 8 and x + room > right:
            x, y = 8.0, y + 20
        drawn.append(sign.draw(x + sign.width / 2, y, sign.words).replace(" data-mark=", " data-legend="))
        words = {"data_legend": sign.name, "fill": FAINT}
        drawn.append(text(x + sign.width + (6 if sign.width else 0), y + 4, sign.words, **words))
        x += room + 20
    return drawn, y - top + 20 if chosen else 0


def clipped(words: str, most: int) -> str:
    """Return the words with the middle left out if they are longer than `most` characters."""
    if len(words) <= most:
        return words
    tail = (most - 1) * 2 // 3
    return words[: most - 1 - tail] + "…" + words[-tail:]


def figure(width: float, height: float, label: str, marks: Iterable[str], table: str, summary: str) -> str:
    """Return the drawing, which scrolls where there is too little place, and the table folded below it."""
    drawing = mark(
        "svg",
        label,
        "".join(marks),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {round(width)} {round(height)}",
        role="img",
        aria_label=label,
        style=f"display:block;width:{round(width)}px;height:{round(height)}px;max-width:none",
        font_family=FONT,
        font_size=TEXT,
    )
    return (
        f'<div style="color:{INK};max-width:100%">{tables.scrolling(drawing, label)}'
        f'<details style="margin-top:4px"><summary style="cursor:pointer">{escape(summary)}</summary>'
        f"{table}</details></div>"
    )


def word_table(
    top: Sequence[str], rows: Sequence[Sequence[str]], label: str = "The same as a table"
) -> tuple[str, str]:
    """Return a table of words as HTML that scrolls when it is wide, and as plain text.

    A column that says nothing in any row is left out.
    """
    kept = [place for place, _ in enumerate(top) if not rows or any(row[place] for row in rows)]
    top, rows = [top[place] for place in kept], [[row[place] for place in kept] for row in rows]
    style = (
        f"text-align:left;vertical-align:top;padding:2px 8px;color:{INK};border-bottom:1px solid {RULE};"
        f"font-size:{TEXT}px"
    )
    cells = [
        [tables.head(word, style) for word in top],
        *([tables.words(word, style) for word in row] for row in rows),
    ]
    html = tables.scrolling(tables.html_table(cells, striped=True), label)
    return html, "\n".join(tables.text_table([top, *rows]))
