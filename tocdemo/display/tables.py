"""All tables: as lines of text with aligned columns, and as HTML that an untrusted notebook keeps.

The HTML has inline styles, no script and no class: that is what is left of an output in a notebook that
Jupyter does not trust. Every attribute is escaped here. It knows nothing of what the cells say.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

LEFT = "text-align:left;padding:2px 10px 2px 0;vertical-align:top"
PLAIN_ROW = "background:none"  # Jupyter's own style stripes the rows of a table


@dataclass(frozen=True)
class Cell:
    """A cell of an HTML table.

    `title` is what a pointer that rests on it shows, `rows` how many rows it goes through; a `head` heads a
    column or a row.
    """

    html: str
    style: str = LEFT
    title: str = ""
    head: bool = False
    rows: int = 1

    def __str__(self) -> str:
        tag = "th" if self.head and self.html else "td"  # an empty cell heads nothing
        rows = str(self.rows) if self.rows > 1 else ""
        return f"<{tag}{attributes(style=self.style, title=self.title, rowspan=rows)}>{self.html}</{tag}>"


def words(text: object, style: str = LEFT, title: str = "", rows: int = 1) -> Cell:
    """Return a cell that shows a text."""
    return Cell(escape(str(text)), style, title, rows=rows)


def head(text: object, style: str = LEFT) -> Cell:
    """Return a cell that heads a column or a row with a text."""
    return Cell(escape(str(text)), style, head=True)


def html_table(
    rows: Iterable[Iterable[Cell]], *, label: str = "", gap: int = 0, striped: bool = False
) -> str:
    """Return rows of cells as an HTML table; `gap` is the pixels between two cells, `label` its spoken name.

    With `striped` the rows have the stripes that Jupyter gives them.
    """
    spacing = f"border-collapse:separate;border-spacing:{gap}px" if gap else "border-collapse:collapse"
    row_style = attributes(style="" if striped else PLAIN_ROW)
    body = "".join(f"<tr{row_style}>{''.join(map(str, row))}</tr>" for row in rows)
    return f"<table{attributes(aria_label=label, style=f'{spacing};margin:4px 0')}>{body}</table>"


def text_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of words as lines of text, with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(f"{word:{width}}" for word, width in zip(row, widths)).rstrip() for row in rows]


def paragraph(html: str, style: str = "margin:4px 0") -> str:
    """Return a paragraph of HTML."""
    return f"<p{attributes(style=style)}>{html}</p>"


def scrolling(html: str, label: str) -> str:
    """Return HTML in a box that scrolls sideways where it is too wide, by the keyboard, too."""
    box = attributes(tabindex="0", role="group", aria_label=label, style="max-width:100%;overflow-x:auto")
    return f"<div{box}>{html}</div>"


def unfolding(summary: str, html: str) -> str:
    """Return HTML that a click on the text `summary` shows."""
    return f"<details><summary>{escape(summary)}</summary>{html}</details>"


def attributes(**values: str) -> str:
    """Return the attributes that are not empty, escaped, each with a space before it: `aria_label="…"`."""
    named = ((name.replace("_", "-"), value) for name, value in values.items() if value)
    return "".join(f' {name}="{escape(value, quote=True)}"' for name, value in named)
