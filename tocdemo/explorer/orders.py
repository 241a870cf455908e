"""Orders of database commands as values, and how they look: a small diagram for each, and the same in words.

Where there are many, each kind of outcome has a diagram. A word and a mark say what a colour says. Nothing
here runs an operation.
"""

import collections
import dataclasses
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

from tocdemo.display.code import preformatted
from tocdemo.display.looks import verdict
from tocdemo.display.tables import Cell, attributes, head, html_table, paragraph, scrolling, unfolding

LETTERS = "ABCD"  # the operations' names
COMMIT = "commitTransaction"
DONE = "done"
USED_UP = "used up "  # what an operation's result begins with when it made all the attempts that it may

EACH = 12  # up to so many orders, each has a diagram; beyond, each outcome has one
SHORT = {COMMIT: "commit", "findAndModify": "modify"}
READS = ("find", "aggregate", "count", "distinct")

_BORDER = "var(--jp-border-color1, #8c959f)"
_CARD = f"display:inline-block;vertical-align:top;margin:4px 10px 8px 0;border-left:3px solid {_BORDER}"
_STEP = "height:1.9em;min-width:3.8em;text-align:center;padding:0 3px;white-space:nowrap;line-height:1.15"
_READ = f"{_STEP};border:1px solid {_BORDER}"
_WRITE = f"{_STEP};border:1px solid #0b5fa5;background:#0b5fa5;color:#ffffff;font-weight:bold"
_COMMIT = f"{_STEP};border:1px solid #6639a6;background:#6639a6;color:#ffffff;font-weight:bold"
_NOTHING = f"{_STEP};border:2px dashed {_BORDER}"
_UNDER_WAY = f"border-top:2px solid {_BORDER}"
_BOXES = {
    _READ: "reads",
    _WRITE: "writes",
    _COMMIT: "commits",
    _NOTHING: "no effect: its second line says why",
}
_SMALL = "font-size:0.93em"
_LANE = "font-weight:bold;text-align:center;padding:0 6px;border:none"
_BETWEEN = "padding:0;border:none"


class Step(NamedTuple):
    """A command of an operation, such as A's "find".

    `waits` when it met a document that a transaction had claimed; it comes a second time, as the step in
    which it goes on. `effect` is empty, or says that it did nothing: "no match", or the name of an error.
    """

    letter: str
    command: str
    waits: bool = False
    effect: str = ""


@dataclass(frozen=True)
class Order:
    """One order: its steps, what each operation gave, and the titles and the version in the book at the end.

    `results` holds for each operation "done", the error's text, or "used up K attempts".
    """

    steps: tuple[Step, ...]
    results: tuple[str, ...]
    titles: tuple[str, ...]
    version: int

    @property
    def schedule(self) -> str:
        """The letters of the operations in order; `replay` takes it."""
        return "".join(step.letter for step in self.steps)

    @property
    def loses(self) -> bool:
        """Whether a change is missing although its caller was told that it was done.

        Every change raises the version by one, so the version counts those that are in the book.
        """
        return self.version - 1 < self.results.count(DONE)

    @property
    def used_up(self) -> bool:
        """Whether an operation was ended because it had made all the attempts that it was given."""
        return any(result.startswith(USED_UP) for result in self.results)

    @property
    def fails(self) -> bool:
        """Whether a caller got an error of the operation's own."""
        return any(result != DONE and not result.startswith(USED_UP) for result in self.results)

    def __str__(self) -> str:
        return order_line(self)


@dataclass(frozen=True)
class Orders:
    """Orders of some operations, by their schedules. In a notebook they show themselves as diagrams.

    `covers` says what was explored; `attempts` is the bound that was given, if any; `seconds` how long it
    took.
    """

    orders: tuple[Order, ...]
    covers: str
    attempts: int | None = None
    seconds: float = dataclasses.field(default=0.0, compare=False)

    @property
    def losing(self) -> tuple[Order, ...]:
        """The orders in which a change was lost silently."""
        return tuple(order for order in self.orders if order.loses)

    @property
    def using_up(self) -> tuple[Order, ...]:
        """The orders in which an operation used up its attempts."""
        return tuple(order for order in self.orders if order.used_up)

    @property
    def failing(self) -> tuple[Order, ...]:
        """The orders in which a caller got an error of the operation's own."""
        return tuple(order for order in self.orders if order.fails)

    @property
    def commands(self) -> int:
        """How many gated commands were sent in all orders together."""
        return sum(not step.waits for order in self.orders for step in order.steps)

    def outcomes(self) -> dict[tuple[tuple[str, ...], tuple[str, ...], int], list[Order]]:
        """Return the orders with equal results, titles and version, grouped by these."""
        groups: dict[Any, list[Order]] = collections.defaultdict(list)
        for order in self.orders:
            groups[order.results, order.titles, order.version].append(order)
        return dict(groups)

    def __str__(self) -> str:
        return _text(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {
            "text/plain": str(self),
            "text/html": _html(self),
            "application/vnd.tocdemo.orders+json": self.to_json(),
        }

    def to_json(self) -> dict[str, Any]:
        """Return the counts as plain data."""
        return {
            "orders": len(self.orders),
            "losing": len(self.losing),
            "using_up": len(self.using_up),
            "failing": len(self.failing),
            "commands": self.commands,
            "covers": self.covers,
        }


# --- how they look: as text, and as diagrams ---------------------------------------------------------------


def order_line(order: Order) -> str:
    """Return an order as one line: its mark, its steps, what is in the book, and what callers were told."""
    steps = "  ".join(f"{step.letter} {_command(step)}" for step in order.steps)
    return f"{_mark(order)}  {steps}  ->  {_outcome(order)}"


def _text(orders: Orders) -> str:
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


def _html(orders: Orders) -> str:
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
        paragraph(f"<b>{said}</b>", "margin:6px 0")
        + (paragraph(f"{note}.") if note else "")
        + scrolling("".join(cards), "The orders as diagrams")
        + _legend("".join(cards))
        + paragraph(escape(orders.covers))
        + unfolding("The same as text", preformatted(_text(orders)))
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
        for letter, result in zip(LETTERS, order.results, strict=False)
        if result != DONE
    ]
    return ", ".join(order.titles) + (f" ({'; '.join(told)})" if told else "")


def _command(step: Step) -> str:
    effect = _effect(step)
    return f"{SHORT.get(step.command, step.command)}{f' ({effect})' if effect else ''}"


def _effect(step: Step) -> str:
    return "waits" if step.waits else "conflict" if step.effect == "WriteConflict" else step.effect


# --- a diagram: a lane for each operation, a column for each step -------------------------------------------


def _card(order: Order, count: int = 1) -> str:
    look = verdict(not order.loses)
    paint = f"background:{look.background};color:{look.colour};font-weight:bold;padding:1px 6px"
    badge = f"<span{attributes(style=paint)}>{_mark(order)}</span>"
    times = f"<b>{count} orders</b> " if count > 1 else ""
    lanes = [_lane(letter, order) for letter, _ in zip(LETTERS, order.results, strict=False)]
    below = attributes(style="margin:2px 0 0 4px")
    return (
        f"<div{attributes(style=f'{_CARD};padding-left:8px')}>"
        f"{html_table(lanes, label=order_line(order), gap=2)}"
        f"<div{below}>{times}{badge} {escape(_outcome(order))}</div></div>"
    )


def _lane(letter: str, order: Order) -> list[Cell]:
    own = [place for place, step in enumerate(order.steps) if step.letter == letter]
    return [head(letter, _LANE), *(_cell(step, place, letter, own) for place, step in enumerate(order.steps))]


def _cell(step: Step, place: int, letter: str, own: list[int]) -> Cell:
    if step.letter == letter:
        effect = f"<div{attributes(style=_SMALL)}>{escape(_effect(step))}</div>" if _effect(step) else ""
        return Cell(f"{escape(SHORT.get(step.command, step.command))}{effect}", _style(step))
    under_way = own and own[0] < place < own[-1]
    line = f"<div{attributes(style=_UNDER_WAY)}></div>" if under_way else ""
    return Cell(line, _BETWEEN)


def _style(step: Step) -> str:
    if _effect(step):
        return _NOTHING
    if step.command == COMMIT:
        return _COMMIT
    return _READ if step.command in READS else _WRITE


def _legend(diagrams: str) -> str:
    """Return what the boxes and lines of some diagrams mean; of those that are not in them, nothing."""
    signs = [
        f"<span{attributes(style=f'display:inline-block;{style}')}>{words}</span>"
        for style, words in _BOXES.items()
        if style in diagrams
    ]
    if _UNDER_WAY in diagrams:
        line = attributes(style=f"display:inline-block;width:2em;vertical-align:middle;{_UNDER_WAY}")
        signs.append(f"<span{line}></span> the operation is under way")
    return paragraph("Each lane is an operation, each column a step: " + " ".join(signs), "margin:6px 0")
