"""How explored orders look: a small diagram for each, or for each kind of outcome, and the same in words.

Called by `explorer`. The diagrams are HTML tables with inline styles and no script, which is what is left of
an output in a notebook that Jupyter does not trust. A word and a mark say what a colour says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .explorer import Order, Orders


def order_line(order: Order) -> str:
    """Return an order as one line: its steps, what is in the book, and its mark."""
    steps = "  ".join(map(str, order.steps))
    return f"{steps}  ->  {', '.join(order.titles)}{'  LOST' if order.loses else ''}"


def text(orders: Orders) -> str:
    """Return the orders as lines of text: how many, what they cover, and a line for each outcome."""
    lines = [
        f"{len(orders.orders)} orders of the data commands on `books`, one command at a time; "
        f"{len(orders.losing)} lose a change"
    ]
    for (results, titles, _), group in orders.outcomes().items():
        told = "" if set(results) == {"done"} else f" ({'; '.join(results)})"
        mark = "LOST" if group[0].loses else "kept"
        lines.append(f"{len(group):>4}  {mark}  {', '.join(titles)}{told}, such as {group[0].schedule}")
    return "\n".join(lines)


def html(orders: Orders) -> str:
    """Return the orders as HTML."""
    return text(orders)
