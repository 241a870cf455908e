"""A grid of small boxes, each with a symbol: a table that the keyboard can walk through, without a script.

A box is a `<summary>`, which every browser can reach with Tab and which keeps working in a notebook that
Jupyter does not trust; Enter, or a click, opens what it stands for. It knows nothing of tests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .looks import Look
from .tables import Cell, attributes, html_table

# Jupyter takes the arrow keys for its own cells, so that Tab alone goes from box to box.
_BOX = "width:1.75em;height:1.75em;font-size:16px;text-align:center;padding:0;font-weight:bold"
_SUMMARY = "list-style:none;display:block;line-height:1.75em;cursor:pointer"
_UNSEEN = "position:absolute;width:1px;height:1px;overflow:hidden;clip:rect(0 0 0 0)"
# Plain colours: without trust Jupyter takes away the theme's.
_OPENED = (
    "position:absolute;z-index:1;left:0;top:100%;width:26em;max-height:24em;overflow:auto;padding:4px 8px;"
    "font-size:13px;font-weight:normal;line-height:1.35;text-align:left;white-space:pre-wrap;"
    "overflow-wrap:break-word;background:#24292f;color:#ffffff;border:1px solid #8c959f"
)
_PLAIN, _MARKED = "2px solid transparent", "2px solid var(--jp-ui-font-color1,#24292f)"


@dataclass(frozen=True)
class Box:
    """A box of a grid: its look, the lines that it stands for (the first is its name), and a mark.

    The `mark`, where there is one, stands beside the symbol, and the box has a border.
    """

    look: Look
    lines: Sequence[str]
    mark: str = ""


def html_grid(boxes: Sequence[Box], columns: int, label: str) -> str:
    """Return boxes as HTML, so many in a row; `label` is the grid's spoken name."""
    cells = [_cell(box) for box in boxes]
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    return html_table(rows, label=label)


def _cell(box: Box) -> Cell:
    name, words = box.lines[0], "\n".join(box.lines)
    border = _MARKED if box.mark else _PLAIN
    style = (
        f"{_BOX};border:{border};background:{box.look.background};background-clip:padding-box;"
        f"color:{box.look.colour}"
    )
    mark = f"<sup>{escape(box.mark)}</sup>" if box.mark else ""
    # Of the boxes with one name, a browser opens one at a time.
    html = (
        f"<details{attributes(name='box', style='position:relative')}>"
        f"<summary{attributes(style=_SUMMARY)}><span{attributes(style=_UNSEEN)}>{escape(name)} </span>"
        f"{escape(box.look.symbol)}{mark}</summary>"
        f"<div{attributes(style=_OPENED)}>{escape(words)}</div></details>"
    )
    return Cell(html, style, words)
