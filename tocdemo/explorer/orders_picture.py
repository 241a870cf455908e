"""How explored orders look: a small diagram for each, or for each kind of outcome, and the same in words.

Called by `explorer`. The diagrams are HTML tables with inline styles and no script, which is what is left of
an output in a notebook that Jupyter does not trust. A word and a mark say what a colour says.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from tocdemo.display.code import preformatted
from tocdemo.display.looks import LOOKS

if TYPE_CHECKING:
    from .engine import Order, Orders, Step

EACH = 12  # up to so many orders, each has a diagram; beyond, each outcome has one
SHORT = {"commitTransaction": "commit", "findAndModify": "modify"}
READS = ("find", "aggregate", "count", "distinct")

_BORDER = "var(--jp-border-color1, #8c959f)"
_CARD = f"display:inline-block;vertical-align:top;margin:4px 10px 8px 0;border-left:3px solid {_BORDER}"
_TABLE = "border-collapse:separate;border-spacing:2px;margin:0"
_STEP = "height:1.9em;min-width:3.8em;text-align:center;padding:0 3px;white-space:nowrap;line-height:1.15"
_READ = f"{_STEP};border:1px solid {_BORDER}"
_WRITE = f"{_STEP};border:1px solid #0b5fa5;background:#0b5fa5;color:#ffffff;font-weight:bold"
_COMMIT = f"{_STEP};border:1px solid #6639a6;background:#6639a6;color:#ffffff;font-weight:bold"
_NOTHING = f"{_STEP};border:2px dashed {_BORDER}"
_SMALL = "font-size:80%"
_LANE = "font-weight:bold;text-align:center;padding:0 6px;border:none"
_BETWEEN = "padding:0;border:none"


def order_line(order: Order) -> str:
    """Return an order as one line: its mark, its steps, what is in the book, and what callers were told."""
    steps = "  ".join(f"{step.letter} {_command(step)}" for step in order.steps)
    return f"{_mark(order)}  {steps}  ->  {_outcome(order)}"


def text(orders: Orders) -> str:
    """Return the orders as lines of text: how many, what they cover, and a line for each order or outcome."""
    return "\n".join([summary(orders), *_lines(orders), orders.covers])


def summary(orders: Orders) -> str:
    """Return how many orders there are and how many lose, use up their attempts, or end with an error."""
    parts = [f"{_counted(orders.orders)}, one command at a time: {_number(orders.losing)} lost a change"]
    if orders.attempts is not None:
        bound = f"{orders.attempts} attempt{'' if orders.attempts == 1 else 's'}"
        parts.append(f"{_number(orders.using_up)} used up {bound}")
    if orders.failing:
        parts.append(f"{len(orders.failing)} ended with an error for a caller")
    return "; ".join(parts)


def html(orders: Orders) -> str:
    """Return the orders as HTML: the counts, the diagrams, what was covered, and the text to unfold."""
    said = escape(f"{summary(orders)} ({orders.seconds:.1f} s)")
    grouped = len(orders.orders) > EACH
    note = "One diagram for each outcome: one of its shortest orders" if grouped else ""
    if grouped:
        groups = _groups(orders)
        cards = [_card(_shortest(group), len(group)) for group in groups]
        if len(groups) == 1:  # the shortest alone would be a poor picture of them
            cards.append(_card(max(groups[0], key=lambda each: len(each.steps))))
            note += ", and one of its longest"
    else:
        cards = [_card(order) for order in orders.orders]
    return (
        f"<p style='margin:6px 0'><b>{said}</b></p>"
        + (f"<p style='margin:4px 0'>{note}.</p>" if note else "")
        + f"<div style='max-width:100%;overflow-x:auto'>{''.join(cards)}</div>"
        + f"<p style='margin:4px 0'>{escape(orders.covers)}</p>"
        + f"<details><summary>The same as text</summary>{preformatted(text(orders))}</details>"
    )


def _lines(orders: Orders) -> list[str]:
    if len(orders.orders) <= EACH:
        return [order_line(order) for order in orders.orders]
    lines = []
    for group in _groups(orders):
        sample = _shortest(group)
        lines.append(f"{len(group):>5} × {_mark(sample)}  {_outcome(sample)}, such as {sample.schedule}")
    return lines


def _groups(orders: Orders) -> list[list[Order]]:
    return sorted(orders.outcomes().values(), key=len, reverse=True)


def _shortest(group: list[Order]) -> Order:
    return min(group, key=lambda each: len(each.steps))


def _counted(orders: tuple[Order, ...]) -> str:
    return f"{len(orders)} order{'' if len(orders) == 1 else 's'}"


def _number(orders: tuple[Order, ...]) -> str:
    return str(len(orders) or "none")


def _mark(order: Order) -> str:
    return "✗ LOST" if order.loses else "✓ kept"


def _outcome(order: Order) -> str:
    told = [
        f"{letter}: {result}"
        for letter, result in zip("ABCD", order.results, strict=False)
        if result != "done"
    ]
    return ", ".join(order.titles) + (f" ({'; '.join(told)})" if told else "")


def _command(step: Step) -> str:
    effect = _effect(step)
    return f"{SHORT.get(step.command, step.command)}{f' ({effect})' if effect else ''}"


def _effect(step: Step) -> str:
    return "waits" if step.waits else "conflict" if step.effect == "WriteConflict" else step.effect


# --- a diagram: a lane for each operation, a column for each step -------------------------------------------


def _card(order: Order, count: int = 1) -> str:
    _, _, background, colour = LOOKS["failed" if order.loses else "passed"]
    badge = (
        f"<span style='background:{background};color:{colour};font-weight:bold;padding:1px 6px'>"
        f"{_mark(order)}</span>"
    )
    times = f"<b>{count} orders</b> " if count > 1 else ""
    lanes = "".join(_lane(letter, order) for letter, _ in zip("ABCD", order.results, strict=False))
    label = escape(order_line(order), quote=True)
    return (
        f"<div style='{_CARD};padding-left:8px'><table aria-label='{label}' style='{_TABLE}'>{lanes}</table>"
        f"<div style='margin:2px 0 0 4px'>{times}{badge} {escape(_outcome(order))}</div></div>"
    )


def _lane(letter: str, order: Order) -> str:
    own = [place for place, step in enumerate(order.steps) if step.letter == letter]
    cells = [_cell(step, place, letter, own) for place, step in enumerate(order.steps)]
    return f"<tr style='background:none'><th style='{_LANE}'>{letter}</th>{''.join(cells)}</tr>"


def _cell(step: Step, place: int, letter: str, own: list[int]) -> str:
    if step.letter == letter:
        effect = f"<div style='{_SMALL}'>{escape(_effect(step))}</div>" if _effect(step) else ""
        return f"<td style='{_style(step)}'>{escape(SHORT.get(step.command, step.command))}{effect}</td>"
    under_way = own and own[0] < place < own[-1]
    line = f"<div style='border-top:2px solid {_BORDER}'></div>" if under_way else ""
    return f"<td style='{_BETWEEN}'>{line}</td>"


def _style(step: Step) -> str:
    if _effect(step):
        return _NOTHING
    if step.command == "commitTransaction":
        return _COMMIT
    return _READ if step.command in READS else _WRITE
