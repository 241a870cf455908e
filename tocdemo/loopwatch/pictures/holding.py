"""The picture of who holds what: names on the left, clients in the middle, event loops on the right.

It reads a `Recording` only.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from tocdemo.display.svg import (
    BAD,
    FAINT,
    GOOD,
    INK,
    PANEL,
    PAPER,
    RULE,
    WIDTH,
    Picture,
    Sign,
    clipped,
    cross,
    diamond,
    figure,
    legend,
    mark,
    text,
    word_table,
)

from ..recording import Client, Holder, Recording, short_name
from .words import (
    client_words,
    holder_words,
    loop_words,
    made_briefly,
    made_words,
    origin_words,
    short_kind,
    where,
)


def who_holds_what(recording: Recording) -> Picture:
    """Draw which name of which module leads to which client, and to which loop that client is bound.

    It shows the moment of the first cross-loop failure, or in a run that had none the end of its last test.
    """
    return _Holding(recording).picture()


class _Holding:
    ROW, GAP, TOP = 20, 14, 48
    LEFT, MIDDLE, RIGHT = (4, 334), (382, 226), (652, 244)  # x and width of the three columns
    CLIENT, LOOP = 62, 56  # heights of the boxes: a title, and two lines below it

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.modules: dict[str, list[Holder]] = {}
        for holder in recording.holders:
            self.modules.setdefault(holder.module, []).append(holder)
        wanted = {holder.client for holder in recording.holders}
        self.clients = [client for client in recording.clients if client.number in wanted]
        at = recording.holders_at
        self.loop_of = {holder.client: holder.loop for holder in recording.holders}
        self.loops = sorted({loop for loop in self.loop_of.values() if loop is not None})
        guilty = {use.test for use in recording.uses}
        self.moment = "at the end of the run"
        if at is not None:
            self.moment = f"when {short_name(at)} failed" if at in guilty else f"after {short_name(at)}"

    def picture(self) -> Picture:
        head, rows = self._table()
        if not rows:
            words = "No name of a loaded module of the project led to an async client " + self.moment + "."
            return Picture(f"<p>{words}</p>", words)
        left, height = self._left_places()
        middle = self._spread(len(self.clients), self.CLIENT, height)
        right = self._spread(len(self.loops) + (None in self.loop_of.values()), self.LOOP, height)
        marks = list(self._titles())
        client_y = {client.number: y for client, y in zip(self.clients, middle)}
        loop_y = dict(zip([*self.loops, None], [*right, 0]))
        marks += self._links(left, client_y, loop_y)
        marks += self._boxes(left, client_y, loop_y)
        title = f"Who holds what, {self.moment}"
        explained, more = legend(_signs(), marks, height + 12, WIDTH)
        summary = f"{title}: as a table"
        table, words = word_table(head, rows, summary)
        return Picture(figure(WIDTH, height + more, title, [*marks, *explained], table, summary), words)

    def _left_places(self) -> tuple[dict[tuple[str, str], float], float]:
        places: dict[tuple[str, str], float] = {}
        y = float(self.TOP)
        for module, holders in self.modules.items():
            places[module, ""] = y
            for position, holder in enumerate(holders):
                places[module, holder.name] = y + self.ROW * (position + 1) + 6
            y += self.ROW * (len(holders) + 1) + self.GAP
        return places, max(y, self.TOP + 72 * len(self.clients), self.TOP + 66 * (len(self.loops) + 1))

    def _spread(self, count: int, size: float, height: float) -> list[float]:
        room = (height - self.TOP) / max(count, 1)
        return [self.TOP + room * (position + 0.5) - size / 2 for position in range(count)]

    def _titles(self) -> Iterator[str]:
        yield text(self.LEFT[0], 14, f"{self.moment[0].upper()}{self.moment[1:]}:")
        heads = ("names", "client objects", "event loops")
        for (x, _), words in zip((self.LEFT, self.MIDDLE, self.RIGHT), heads):
            yield text(x, 36, words, fill=FAINT)

    def _links(self, left: dict, client_y: dict, loop_y: dict) -> Iterator[str]:
        start, client_x, loop_x = sum(self.LEFT), self.MIDDLE[0], self.RIGHT[0]
        for holder in self.recording.holders:
            y1 = left[holder.module, holder.name] + 10
            y2 = client_y[holder.client] + self.CLIENT / 2
            yield _link(start, y1, client_x, y2, holder_words(holder), holder.stale)
        for client in self.clients:
            loop = self.loop_of[client.number]
            y1, y2 = client_y[client.number] + self.CLIENT / 2, loop_y[loop] + self.LOOP / 2
            yield _link(sum(self.MIDDLE), y1, loop_x, y2, client_words(client), self._closed(loop))

    def _closed(self, number: int | None) -> bool:
        """Whether the loop had been closed by the moment that the picture shows."""
        if number is None:
            return False
        loop = self.recording.loop(number)
        if loop.closed is None or self.recording.holders_at is None:
            return loop.closed is not None
        test = next((t for t in self.recording.tests if t.nodeid == self.recording.holders_at), None)
        begun = min((begin for begin, _ in test.phases.values()), default=0.0) if test else 0.0
        return loop.closed.at < begun

    def _boxes(self, left: dict, client_y: dict, loop_y: dict) -> Iterator[str]:
        x, width = self.LEFT
        for module, holders in self.modules.items():
            y, height = left[module, ""], self.ROW * (len(holders) + 1) + 6
            yield _box(x, y, width, height, module)
            yield text(x + 8, y + 15, clipped(module, 43), module, font_weight="bold")
            for holder in holders:
                yield from self._row(holder, x, width, left[module, holder.name])
        for client in self.clients:
            yield from self._client_box(client, client_y[client.number])
        for number, y in loop_y.items():
            if number is not None or None in self.loop_of.values():
                yield from self._loop_box(number, y)

    def _row(self, holder: Holder, x: float, width: float, y: float) -> Iterator[str]:
        words = holder_words(holder)
        color = BAD if holder.stale else INK
        if holder.stale:
            yield _stale(x + width / 2, y + self.ROW / 2, width - 12, self.ROW - 1, words)
        yield text(x + 12, y + 14, clipped(holder.name, 21), words, fill=color, font_family="monospace")
        note = "made here" if holder.origin == "assigned" else f"copied, line {holder.line}"
        if holder.origin == "unknown":
            note = "origin not known"
        note = "✗ stale: " + note if holder.stale else note
        yield text(x + width - 10, y + 14, note, words, text_anchor="end", fill=color)

    def _client_box(self, client: Client, y: float) -> Iterator[str]:
        x, width = self.MIDDLE
        words = client_words(client)
        yield _box(x, y, width, self.CLIENT, words)
        yield _bound(x + 14, y + 15, words, hollow=client.loop is None)
        yield text(x + 26, y + 19, clipped(f"{client.number}: {short_kind(client)}", 30), words)
        yield from _two_lines(x + 8, y + 37, made_briefly(client), (", ",), made_words(client))

    def _loop_box(self, number: int | None, y: float) -> Iterator[str]:
        x, width = self.RIGHT
        if number is None:
            yield _box(x, y, width, self.LOOP, "the client was not used yet", gone=True)
            yield text(x + 10, y + self.LOOP / 2 + 4, "no loop yet", fill=FAINT)
            return
        loop, closed = self.recording.loop(number), self._closed(number)
        words = loop_words(loop)
        yield _box(x, y, width, self.LOOP, words, gone=closed)
        yield (_closed_loop if closed else _open_loop)(x + 14, y + 14, words)
        yield text(x + 26, y + 18, f"loop #{number}, " + ("closed" if closed else "open"), words)
        when = where(loop.closed if closed else loop.made)
        yield from _two_lines(x + 8, y + 34, when, (" of ", " for ", ", "), words)

    def _table(self) -> tuple[list[str], list[list[str]]]:
        head = ["module", "name", "where it comes from", "client", "loop"]
        return head, [self._table_row(holder) for holder in self.recording.holders]

    def _table_row(self, holder: Holder) -> list[str]:
        client, loop = self.recording.client(holder.client), "no loop yet"
        if holder.loop is not None:
            state = "closed" if self._closed(holder.loop) else "open"
            loop = f"#{holder.loop}, {state}; {loop_words(self.recording.loop(holder.loop))}"
        return [holder.module, holder.name, origin_words(holder), client_words(client), loop]


# -- the marks, and what the legend says of them -------------------------------------------------------------


def _signs() -> Iterator[Sign]:
    yield Sign("leads", "leads to", 24, lambda x, y, words: _link(x - 12, y, x + 12, y, words))
    broken = functools.partial(_link, broken=True)
    yield Sign(
        "broken",
        "leads to a stale client, or to a closed loop",
        24,
        lambda x, y, words: broken(x - 12, y, x + 12, y, words),
    )
    yield Sign("stale", "a stale copy", 24, lambda x, y, words: _stale(x, y, 24, 14, words))
    yield Sign("bound", "client bound to a loop", 10, _bound)
    yield Sign("unbound", "client bound to no loop", 10, functools.partial(_bound, hollow=True))
    yield Sign("open", "loop open", 8, _open_loop)
    yield Sign("closed", "loop closed", 8, _closed_loop)
    yield Sign("gone", "no open loop", 24, lambda x, y, words: _box(x - 12, y - 7, 24, 14, words, gone=True))


def _link(x1: float, y1: float, x2: float, y2: float, words: str, broken: bool = False) -> str:
    half = (x1 + x2) / 2
    path = f"M{x1:.1f},{y1:.1f} C{half:.1f},{y1:.1f} {half:.1f},{y2:.1f} {x2:.1f},{y2:.1f}"
    style = {"stroke": BAD if broken else INK, "stroke_width": 1.5, "fill": "none"}
    dashes = {"stroke_dasharray": "5 3"} if broken else {}
    return mark("path", words, d=path, **style, **dashes, data_mark="broken" if broken else "leads")


def _two_lines(x: float, y: float, words: str, breaks: tuple[str, ...], title: str) -> Iterator[str]:
    """Draw a text on one line, or on two: the first of the `breaks` that it has ends the first line."""
    at = next((words.index(each) + len(each) for each in breaks if each in words), len(words))
    for row, part in enumerate((words[:at], words[at:])):
        if part:
            yield text(x, y + 15 * row, clipped(part.strip(), 34), title)


def _stale(x: float, y: float, width: float, height: float, words: str) -> str:
    place = {"x": x - width / 2, "y": round(y - height / 2, 1), "width": width, "height": height, "rx": 3}
    return mark("rect", words, **place, fill=PAPER, stroke=BAD, stroke_dasharray="3 2", data_mark="stale")


def _bound(x: float, y: float, words: str, hollow: bool = False) -> str:
    return diamond(x, y, 5, words, hollow, data_mark="unbound" if hollow else "bound")


def _open_loop(x: float, y: float, words: str) -> str:
    return mark("circle", words, cx=x, cy=y, r=4, fill=GOOD, data_mark="open")


def _closed_loop(x: float, y: float, words: str) -> str:
    return cross(x, y, 4, words, BAD, data_mark="closed")


def _box(x: float, y: float, width: float, height: float, words: str, gone: bool = False) -> str:
    """Return a box for a module, a client or a loop; that of a closed or missing loop is hollow."""
    style = {"stroke_dasharray": "4 3", "data_mark": "gone"} if gone else {}
    place = {"x": x, "y": round(y, 1), "width": width, "height": height, "rx": 4}
    return mark("rect", words, **place, fill=PAPER if gone else PANEL, stroke=RULE, **style)
