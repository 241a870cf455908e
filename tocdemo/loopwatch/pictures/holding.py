"""The picture of who holds what: names on the left, clients in the middle, event loops on the right.

It reads a `Recording` only.
"""

from __future__ import annotations

from collections.abc import Iterator

from tocdemo.display.svg import (
    BAD,
    FAINT,
    GOOD,
    INK,
    PANEL,
    PAPER,
    RULE,
    Picture,
    clipped,
    cross,
    diamond,
    figure,
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
    ROW, GAP, TOP = 20, 14, 40
    LEFT, MIDDLE, RIGHT = (8, 330), (450, 220), (740, 210)

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
        middle = self._spread(len(self.clients), 46, height)
        right = self._spread(len(self.loops) + (None in self.loop_of.values()), 40, height)
        marks = list(self._titles())
        client_y = {client.number: y for client, y in zip(self.clients, middle, strict=True)}
        loop_y = dict(zip([*self.loops, None], [*right, 0], strict=False))
        marks += self._links(left, client_y, loop_y)
        marks += self._boxes(left, client_y, loop_y)
        title = f"Who holds what, {self.moment}"
        table, words = word_table(head, rows)
        drawing = figure(958, height + 30, title, marks, table, f"{title}: as a table")
        return Picture(drawing, words)

    def _left_places(self) -> tuple[dict[tuple[str, str], float], float]:
        places: dict[tuple[str, str], float] = {}
        y = float(self.TOP)
        for module, holders in self.modules.items():
            places[module, ""] = y
            for position, holder in enumerate(holders):
                places[module, holder.name] = y + self.ROW * (position + 1) + 6
            y += self.ROW * (len(holders) + 1) + self.GAP
        return places, max(y, self.TOP + 56 * len(self.clients), self.TOP + 50 * (len(self.loops) + 1))

    def _spread(self, count: int, size: float, height: float) -> list[float]:
        room = (height - self.TOP) / max(count, 1)
        return [self.TOP + room * (position + 0.5) - size / 2 for position in range(count)]

    def _titles(self) -> Iterator[str]:
        for (x, _), words in (
            (self.LEFT, clipped(f"names, {self.moment}", 58)),
            (self.MIDDLE, "client objects"),
            (self.RIGHT, "event loops"),
        ):
            yield text(x, 18, words, fill=FAINT)

    def _links(self, left: dict, client_y: dict, loop_y: dict) -> Iterator[str]:
        start, client_x, loop_x = sum(self.LEFT), self.MIDDLE[0], self.RIGHT[0]
        for holder in self.recording.holders:
            y1 = left[holder.module, holder.name] + 10
            y2 = client_y[holder.client] + 23
            yield self._link(start, y1, client_x, y2, holder_words(holder), holder.stale)
        for client in self.clients:
            loop = self.loop_of[client.number]
            y1, y2 = client_y[client.number] + 23, loop_y[loop] + 20
            yield self._link(sum(self.MIDDLE), y1, loop_x, y2, client_words(client), self._closed(loop))

    @staticmethod
    def _link(x1: float, y1: float, x2: float, y2: float, words: str, broken: bool) -> str:
        half = (x1 + x2) / 2
        path = f"M{x1:.1f},{y1:.1f} C{half:.1f},{y1:.1f} {half:.1f},{y2:.1f} {x2:.1f},{y2:.1f}"
        style = {"stroke": BAD if broken else INK, "stroke_width": 1.5}
        dashes = {"stroke_dasharray": "5 3"} if broken else {}
        return mark("path", words, d=path, fill="none", **style, **dashes)

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
            yield self._box(x, y, width, height, module)
            yield text(x + 8, y + 15, clipped(module, 46), module, font_weight="bold")
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
            place = {"x": x + 6, "y": round(y, 1) + 0.5, "width": width - 12, "height": self.ROW - 1, "rx": 3}
            yield mark("rect", words, **place, fill=PAPER, stroke=BAD, stroke_dasharray="3 2")
        yield text(x + 20, y + 14, clipped(holder.name, 22), words, fill=color, font_family="monospace")
        note = "made here" if holder.origin == "assigned" else f"copied, line {holder.line}"
        if holder.origin == "unknown":
            note = "origin not known"
        note = "✗ stale: " + note if holder.stale else note
        yield text(x + width - 12, y + 14, note, words, text_anchor="end", fill=color, font_size=11)

    def _client_box(self, client: Client, y: float) -> Iterator[str]:
        x, width = self.MIDDLE
        words = client_words(client)
        yield self._box(x, y, width, 46, words)
        yield diamond(x + 12, y + 15, 5, words, hollow=client.loop is None)
        yield text(x + 24, y + 19, clipped(f"{client.number}: {short_kind(client)}", 30), words)
        made = clipped(made_briefly(client), 34)
        yield text(x + 8, y + 37, made, made_words(client), fill=FAINT, font_size=11)

    def _loop_box(self, number: int | None, y: float) -> Iterator[str]:
        x, width = self.RIGHT
        if number is None:
            yield self._box(x, y, width, 40, "the client was not used yet", dashed=True)
            yield text(x + 10, y + 24, "no loop yet", fill=FAINT)
            return
        loop, closed = self.recording.loop(number), self._closed(number)
        words = loop_words(loop)
        yield self._box(x, y, width, 40, words, dashed=closed)
        if closed:
            yield cross(x + 14, y + 14, 4, words, BAD)
        else:
            yield mark("circle", words, cx=x + 14, cy=y + 14, r=4, fill=GOOD)
        yield text(x + 26, y + 18, f"loop #{number}, " + ("closed" if closed else "open"), words)
        when = where(loop.closed if closed else loop.made)
        yield text(x + 8, y + 34, clipped(when, 32), words, fill=FAINT, font_size=11)

    @staticmethod
    def _box(x: float, y: float, width: float, height: float, words: str, dashed: bool = False) -> str:
        style = {"stroke_dasharray": "4 3"} if dashed else {}
        place = {"x": x, "y": round(y, 1), "width": width, "height": height, "rx": 4}
        return mark("rect", words, **place, fill=PANEL if not dashed else PAPER, stroke=RULE, **style)

    def _table(self) -> tuple[list[str], list[list[str]]]:
        head = ["module", "name", "", "client", "loop"]
        return head, [self._table_row(holder) for holder in self.recording.holders]

    def _table_row(self, holder: Holder) -> list[str]:
        client, loop = self.recording.client(holder.client), "no loop yet"
        if holder.loop is not None:
            loop = f"#{holder.loop}, " + ("closed" if self._closed(holder.loop) else "open")
        return [holder.module, holder.name, origin_words(holder), client_words(client), loop]
