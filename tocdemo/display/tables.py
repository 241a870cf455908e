"""Tables, as lines of text and as HTML: the one place that lays them out.

A layout says how a table looks: PLAIN is a list of values, SQUARE has a box for each. Knows nothing of what
stands in the cells.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .markup import Markup, css, element

LEFT = "text-align:left;padding:2px 10px 2px 0;vertical-align:top"
_BOX = "min-width:5.4em;height:2.4em;text-align:center;padding:0 6px;vertical-align:middle"


@dataclass(frozen=True)
class Cell:
    """A cell's content with a style and a tooltip of its own. It can reach over several rows."""

    content: str
    style: str = ""
    title: str = ""
    rows: int = 1


@dataclass(frozen=True)
class Layout:
    """The styles (CSS) of a table and its parts. With `name` each row begins with its name, in that style."""

    table: str
    cell: str = ""
    head: str = ""
    row: str = ""
    name: str | None = None


# Without a row's background a notebook paints every other row grey, and with one it does not.
PLAIN = Layout("border-collapse:collapse;margin:4px 0", cell=LEFT, head=LEFT)
SQUARE = Layout(
    "border-collapse:separate;border-spacing:2px;margin:4px 0",
    cell=_BOX,
    head=f"{_BOX};font-weight:normal",
    row="background:none",
    name="text-align:left;padding:2px 10px 2px 0;vertical-align:middle;font-weight:normal;white-space:nowrap",
)

Row = Sequence[str | Cell]


def text(rows: Iterable[Sequence[str]]) -> str:
    """Return a line for each row, its columns as wide as their widest word."""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)) for row in table)
    return "\n".join(line.rstrip() for line in lines)


def html(rows: Iterable[Row], heads: Sequence[str] = (), layout: Layout = PLAIN, label: str = "") -> Markup:
    """Return the table as HTML: a row of heads, if there are any, and the rows.

    What is no Markup is escaped. `label` says in words what the table shows. Above the names of rows there is
    no head.
    """
    lines = [_row(row, layout) for row in rows]
    if heads:
        corner = [element("th")] if layout.name is not None else []
        cells = [element("th", head, style=layout.head) for head in heads]
        lines.insert(0, element("tr", *corner, *cells, style=layout.row))
    return element("table", *lines, aria_label=label, style=layout.table)


def _row(row: Row, layout: Layout) -> Markup:
    cells = [each if isinstance(each, Cell) else Cell(each) for each in row]
    names = [] if layout.name is None else [element("th", cells.pop(0).content, style=layout.name)]
    return element("tr", *names, *(_cell(cell, layout.cell) for cell in cells), style=layout.row)


def _cell(cell: Cell, style: str) -> Markup:
    rowspan = cell.rows if cell.rows > 1 else None
    return element("td", cell.content, title=cell.title, style=css(style, cell.style), rowspan=rowspan)
