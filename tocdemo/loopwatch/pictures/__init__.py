"""Draws a `Recording` for a notebook: the timeline of its loops, and who holds what.

Inline SVG without JavaScript that follows JupyterLab's theme; each picture brings a table with the same
content. It reads recordings only, so it draws a run of another process or of last week as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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
    html_table,
    line,
    mark,
    text,
    text_table,
)

from ..recording import Client, Holder, Loop, Place, Recording, Test, Use

FOLD_FROM = 5
MOST_TESTS = 100
LANE = 26
LABEL = 250
SIGNS = {"passed": ("✓", GOOD), "failed": ("✗", BAD), "error": ("!", BAD), "skipped": ("–", FAINT)}
PHASES = {"collection": 0.5, "setup": 0.12, "call": 0.5, "teardown": 0.9, "end": 0.5}


def timeline(recording: Recording, fold: bool = True) -> Picture:
    """Draw the loops of a run as lanes, the tests as bars on them, and failing uses as arrows.

    Args:
        recording: the record of a run.
        fold: draw loops that follow each other and look alike (the second and later ones) on one lane.

    Time goes from left to right in equal steps, one test a step; the first step is the import of the files.
    """
    return _Timeline(recording, fold).picture()


def who_holds_what(recording: Recording) -> Picture:
    """Draw which name of which module leads to which client, and to which loop that client is bound.

    It shows the moment of the first cross-loop failure, or in a run that had none the end of its last test.
    """
    return _Holding(recording).picture()


@dataclass(frozen=True)
class _Lane:
    """One lane: a loop, or several that are folded; y is its middle in pixels."""

    loops: tuple[Loop, ...]
    y: float

    @property
    def name(self) -> str:
        first, last = self.loops[0].number, self.loops[-1].number
        return f"loop #{first}" if first == last else f"loops #{first}–#{last}"


class _Timeline:
    def __init__(self, recording: Recording, fold: bool) -> None:
        self.recording = recording
        self.tests = _window(recording)
        self.column_of = {test.nodeid: position + 1 for position, test in enumerate(self.tests)}
        count = len(self.tests)
        self.step = max(9.0, min(48.0, 720 / max(count, 1)))
        self.bound: dict[int, list[Client]] = {}
        for client in recording.clients:
            self.bound.setdefault(client.loop or 0, []).append(client)
        self.uses: dict[int, list[Use]] = {}
        for use in recording.uses:
            if use.running and not use.background and use.test in self.column_of:
                self.uses.setdefault(use.running, []).append(use)
        shown = {test.loop for test in self.tests} | {use.loop for uses in self.uses.values() for use in uses}
        ran = {entry.loop for entry in recording.ran if entry.first.test in self.column_of}
        loops = [loop for loop in recording.loops if loop.number in shown | ran or self._has_client(loop)]
        self.lanes = list(self._lanes(loops, fold))
        self.lane_of = {loop.number: lane for lane in self.lanes for loop in lane.loops}
        self.width = max(660.0, LABEL + self.step * (count + 2) + 12)

    def _has_client(self, loop: Loop) -> bool:
        return any(
            c.bound and (c.bound.test is None or c.bound.test in self.column_of)
            for c in self.bound.get(loop.number, ())
        )

    def _lanes(self, loops: list[Loop], fold: bool) -> Iterator[_Lane]:
        """Give each loop its lane; of a row of loops that look alike, all but the first share one."""
        y, start = 48.0, 0
        while start < len(loops):
            end = start + 1
            while end < len(loops) and self._look(loops[end]) == self._look(loops[start]):
                end += 1
            alike = loops[start:end]
            groups = (
                [alike[:1], alike[1:]] if fold and len(alike) >= FOLD_FROM else [[loop] for loop in alike]
            )
            for group in groups:
                yield _Lane(tuple(group), y)
                y += LANE
            start = end

    def _look(self, loop: Loop) -> tuple:
        outcomes = tuple(test.outcome for test in self.tests if test.loop == loop.number)
        met = tuple(sorted({use.loop for use in self.uses.get(loop.number, ())}))
        alone = len(outcomes) == 1 or loop.number
        return outcomes, met, len(self.bound.get(loop.number, ())), loop.closed is None, alone

    # -- the drawing ---------------------------------------------------------------------------------------

    def picture(self) -> Picture:
        unbound = [client for client in self.bound.get(0, ()) if client.made is not None]
        bottom = (self.lanes[-1].y if self.lanes else 30) + LANE
        marks = [*self._head(), *(m for lane in self.lanes for m in self._lane(lane)), *self._arrows()]
        if unbound:
            marks += self._unbound(unbound, bottom)
            bottom += LANE
        marks += self._legend(bottom + 6)
        head, rows = self._table()
        title = f"{len(self.recording.loops)} event loops, {len(self.recording.tests)} tests"
        html = figure(self.width, bottom + 26, title, marks, html_table(head, rows), f"{title}: as a table")
        return Picture(html, text_table(head, rows))

    def _x(self, place: Place | None, otherwise: float) -> float:
        """Return where a place lies: in the column of its test, further right for later phases."""
        if place is None:
            return otherwise
        if place.test is None:
            column = 0 if place.phase == "collection" else len(self.tests) + 1
        elif place.test in self.column_of:
            column = self.column_of[place.test]
        else:
            return otherwise
        return LABEL + self.step * (column + PHASES.get(place.phase, 0.5))

    def _head(self) -> Iterator[str]:
        hidden = len(self.recording.tests) - len(self.tests)
        note = f"; {hidden} of {len(self.recording.tests)} tests are left out" if hidden else ""
        yield text(8, 14, "event loop" if not note else "event loop" + note, fill=FAINT, font_size=11)
        yield text(LABEL + self.step / 2, 28, "import", text_anchor="middle", fill=FAINT, font_size=10)
        every = 1 if self.step >= 16 else 5
        for test in self.tests:
            if test.number % every and test.number != 1:
                continue
            x = LABEL + self.step * (self.column_of[test.nodeid] + 0.5)
            yield text(
                x,
                28,
                str(test.number),
                f"test {test.number}: {test.nodeid}",
                text_anchor="middle",
                font_size=10,
            )

    def _lane(self, lane: _Lane) -> Iterator[str]:
        left, right = LABEL, LABEL + self.step * (len(self.tests) + 2)
        yield line(4, lane.y + LANE / 2, right, lane.y + LANE / 2, stroke_width=0.5)
        yield text(8, lane.y + 4, lane.name, "; ".join(_loop_words(loop) for loop in lane.loops[:3]))
        mine = [test for test in self.tests if any(test.loop == loop.number for loop in lane.loops)]
        if mine:
            words = _short(mine[0].nodeid).removeprefix("test_") if len(mine) == 1 else f"{len(mine)} tests"
            title = "; ".join(_short(test.nodeid) for test in mine)
            x = 74 if len(lane.loops) == 1 else 112
            yield text(x, lane.y + 4, clipped(words, 30), title, fill=FAINT, font_size=11)
        if len(lane.loops) > 1:
            yield text(
                LABEL - 8,
                lane.y + 4,
                f"×{len(lane.loops)}",
                "folded: they look alike",
                text_anchor="end",
                fill=FAINT,
            )
        for loop in lane.loops:
            begin, end = self._x(loop.made, left), self._x(loop.closed, right)
            yield line(begin, lane.y, end, lane.y, _loop_words(loop), stroke=INK, stroke_width=1.5)
            if loop.made is not None and len(lane.loops) == 1:
                yield mark(
                    "circle",
                    f"made {_where(loop.made)}",
                    cx=round(begin, 1),
                    cy=lane.y,
                    r=2.5,
                    fill=PAPER,
                    stroke=INK,
                )
        for loop in lane.loops:
            yield from self._bars(loop, lane.y)
            if loop.closed is not None:
                x = self._x(loop.closed, right)
                yield cross(x, lane.y, 3.5, f"loop #{loop.number} closed {_where(loop.closed)}")
            for client in self.bound.get(loop.number, ()):
                yield diamond(self._x(client.bound, left), lane.y - 6, 4.5, _client_words(client))

    def _bars(self, loop: Loop, y: float) -> Iterator[str]:
        for entry in self.recording.ran:
            place = entry.first
            if entry.loop == loop.number and place.fixture and place.test in self.column_of:
                x = self._x(place, LABEL)
                words = f"ran for fixture {place.fixture} of {_short(place.test)} ({place.phase})"
                yield mark("rect", words, x=round(x - 2, 1), y=y - 4, width=4, height=8, fill=FAINT)
        for test in self.tests:
            if test.loop != loop.number:
                continue
            sign, color = SIGNS.get(test.outcome, SIGNS["skipped"])
            x = LABEL + self.step * (self.column_of[test.nodeid] + 0.24)
            words = f"test {test.number}, {test.outcome} on loop #{loop.number}: {test.nodeid}"
            words += f"\n{test.error}" if test.error else ""
            width = self.step * 0.56
            yield mark(
                "rect", words, x=round(x, 1), y=y - 8, width=round(width, 1), height=16, rx=2, fill=color
            )
            if self.step >= 14:
                yield text(x + width / 2, y + 4, sign, words, text_anchor="middle", fill=PAPER, font_size=11)

    def _arrows(self) -> Iterator[str]:
        """Draw, for each failing test and loop that it met, an arrow to where that loop was closed."""
        drawn = set()
        yield mark(
            "defs",
            body='<marker id="lw-head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6"'
            ' orient="auto">'
            f'<path d="M0,0 L8,4 L0,8 Z" fill="{BAD}"/></marker>',
        )
        for running, uses in self.uses.items():
            for use in uses:
                here, there = self.lane_of.get(running), self.lane_of.get(use.loop)
                if here is None or there is None or (use.test, use.loop) in drawn:
                    continue
                drawn.add((use.test, use.loop))
                x1 = LABEL + self.step * (self.column_of[use.test] + 0.52)
                x2 = self._x(self.recording.loop(use.loop).closed, LABEL + self.step)
                y1, y2 = here.y - 9, there.y + 2
                if there.y > here.y:
                    y1, y2 = here.y + 9, there.y - 4
                words = (
                    f"{_short(use.test or '')} on loop #{use.running} used {use.name}, which belongs to"
                    f" loop #{use.loop} ({_place_words(use.place)}): {use.error}"
                )
                bend = f"C{x1:.1f},{(y1 + y2) / 2:.1f} {(x1 + x2) / 2:.1f},{y2:.1f} {x2 + 5:.1f},{y2:.1f}"
                path = f"M{x1:.1f},{y1:.1f} {bend}"
                style = {
                    "stroke": BAD,
                    "stroke_width": 1,
                    "stroke_dasharray": "4 2",
                    "fill": "none",
                    "opacity": 0.75,
                }
                yield mark("path", words, d=path, marker_end="url(#lw-head)", **style)

    def _unbound(self, clients: list[Client], y: float) -> Iterator[str]:
        yield text(8, y + 4, "bound to no loop", "clients whose binding was not seen", fill=FAINT)
        for client in clients:
            yield diamond(self._x(client.made, LABEL), y, 4.5, _client_words(client), hollow=True)

    def _legend(self, y: float) -> Iterator[str]:
        x = 8.0
        for picture, words in (
            (mark("circle", cx=x + 4, cy=y, r=2.5, fill=PAPER, stroke=INK), "made"),
            (cross(x + 74, y, 3.5), "closed"),
            (mark("rect", x=x + 142, y=y - 6, width=12, height=12, rx=2, fill=GOOD), "✓ passed"),
            (mark("rect", x=x + 226, y=y - 6, width=12, height=12, rx=2, fill=BAD), "✗ failed"),
            (diamond(x + 312, y, 4.5), "client bound here"),
            (
                line(x + 432, y, x + 452, y, stroke=BAD, stroke_dasharray="4 2"),
                "use of another loop's client",
            ),
        ):
            yield picture
            offset = {
                "made": 12,
                "closed": 84,
                "✓ passed": 158,
                "✗ failed": 242,
                "client bound here": 322,
            }.get(words, 458)
            yield text(x + offset, y + 4, words, fill=FAINT, font_size=11)

    def _table(self) -> tuple[list[str], list[list[str]]]:
        head = ["loop", "made", "closed", "tests on it", "clients bound to it", "it met things of"]
        rows = []
        for loop in self.recording.loops:
            if loop.number not in self.lane_of:
                continue
            tests = [f"{_short(t.nodeid)} {t.outcome}" for t in self.tests if t.loop == loop.number]
            clients = [_client_words(client) for client in self.bound.get(loop.number, ())]
            met = sorted({f"loop #{use.loop} ({use.name})" for use in self.uses.get(loop.number, ())})
            made = _where(loop.made) if loop.made else "before the record"
            closed = _where(loop.closed) if loop.closed else "left open"
            rows.append(
                [f"#{loop.number}", made, closed, "; ".join(tests), "; ".join(clients), "; ".join(met)]
            )
        return head, rows


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
            self.moment = f"when {_short(at)} failed" if at in guilty else f"after {_short(at)}"

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
        drawing = figure(958, height + 30, title, marks, html_table(head, rows), f"{title}: as a table")
        return Picture(drawing, text_table(head, rows))

    def _left_places(self) -> tuple[dict[tuple[str, str], float], float]:
        places, y = {}, float(self.TOP)
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
        start, client_x, client_end, loop_x = self.LEFT[0] + self.LEFT[1], *self._edges(), self.RIGHT[0]
        for holder in self.recording.holders:
            y1 = left[holder.module, holder.name] + 10
            y2 = client_y[holder.client] + 23
            yield self._link(start, y1, client_x, y2, _holder_words(holder), holder.stale)
        for client in self.clients:
            loop = self.loop_of[client.number]
            y1, y2 = client_y[client.number] + 23, loop_y[loop] + 20
            words = _client_words(client)
            yield self._link(client_end, y1, loop_x, y2, words, self._closed(loop))

    def _edges(self) -> tuple[float, float]:
        return self.MIDDLE[0], self.MIDDLE[0] + self.MIDDLE[1]

    @staticmethod
    def _link(x1: float, y1: float, x2: float, y2: float, words: str, broken: bool) -> str:
        half = (x1 + x2) / 2
        path = f"M{x1:.1f},{y1:.1f} C{half:.1f},{y1:.1f} {half:.1f},{y2:.1f} {x2:.1f},{y2:.1f}"
        dashes = {"stroke_dasharray": "5 3"} if broken else {}
        return mark(
            "path", words, d=path, fill="none", stroke=BAD if broken else INK, stroke_width=1.5, **dashes
        )

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
        x, width = self.MIDDLE
        for client in self.clients:
            y = client_y[client.number]
            yield self._box(x, y, width, 46, _client_words(client))
            yield diamond(x + 12, y + 15, 5, _client_words(client), hollow=client.loop is None)
            yield text(
                x + 24, y + 19, clipped(f"{client.number}: {_short_kind(client)}", 30), _client_words(client)
            )
            yield text(
                x + 8,
                y + 37,
                clipped(_made_briefly(client), 34),
                _made_words(client),
                fill=FAINT,
                font_size=11,
            )
        x, width = self.RIGHT
        for number, y in loop_y.items():
            if number is None and None not in self.loop_of.values():
                continue
            yield from self._loop_box(number, x, y, width)

    def _row(self, holder: Holder, x: float, width: float, y: float) -> Iterator[str]:
        words = _holder_words(holder)
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

    def _loop_box(self, number: int | None, x: float, y: float, width: float) -> Iterator[str]:
        if number is None:
            yield self._box(x, y, width, 40, "the client was not used yet", dashed=True)
            yield text(x + 10, y + 24, "no loop yet", fill=FAINT)
            return
        loop, closed = self.recording.loop(number), self._closed(number)
        words = _loop_words(loop)
        yield self._box(x, y, width, 40, words, dashed=closed)
        if closed:
            yield cross(x + 14, y + 14, 4, words, BAD)
        else:
            yield mark("circle", words, cx=x + 14, cy=y + 14, r=4, fill=GOOD)
        yield text(x + 26, y + 18, f"loop #{number}, " + ("closed" if closed else "open"), words)
        when = _where(loop.closed) if closed else _where(loop.made) if loop.made else "before the record"
        yield text(x + 8, y + 34, clipped(when, 32), words, fill=FAINT, font_size=11)

    @staticmethod
    def _box(x: float, y: float, width: float, height: float, words: str, dashed: bool = False) -> str:
        style = {"stroke_dasharray": "4 3"} if dashed else {}
        place = {"x": x, "y": round(y, 1), "width": width, "height": height, "rx": 4}
        return mark("rect", words, **place, fill=PANEL if not dashed else PAPER, stroke=RULE, **style)

    def _table(self) -> tuple[list[str], list[list[str]]]:
        head = ["module", "name", "", "client", "loop"]
        rows = []
        for holder in self.recording.holders:
            client = self.recording.client(holder.client)
            loop = "no loop yet"
            if holder.loop is not None:
                loop = f"#{holder.loop}, " + ("closed" if self._closed(holder.loop) else "open")
            rows.append([holder.module, holder.name, _origin_words(holder), _client_words(client), loop])
        return head, rows


def _window(recording: Recording) -> list[Test]:
    """Return the tests to draw: all, or of very many those around the first cross-loop use."""
    tests = list(recording.tests)
    if len(tests) <= MOST_TESTS:
        return tests
    guilty = {use.test for use in recording.uses if not use.background}
    first = next((position for position, test in enumerate(tests) if test.nodeid in guilty), 0)
    start = max(0, min(first - MOST_TESTS // 2, len(tests) - MOST_TESTS))
    return tests[start : start + MOST_TESTS]


def _short(nodeid: str) -> str:
    return nodeid.rpartition("::")[2]


def _short_kind(client: Client) -> str:
    return client.kind.rpartition(".")[2]


def _place_words(place: Place) -> str:
    return f"{place.file}:{place.line}" if place.file else place.phase


def _where(place: Place) -> str:
    line_ = f", {place.file}:{place.line}" if place.file else ""
    if place.test is None:
        return ("at import" if place.phase == "collection" else "at the end of the run") + line_
    if place.fixture and not place.fixture.startswith("_"):
        return f"in {place.fixture} for {_short(place.test)}{line_}"
    return f"in the {place.phase} of {_short(place.test)}{line_}"


def _loop_words(loop: Loop) -> str:
    made = f"made {_where(loop.made)}" if loop.made else "made before the record"
    closed = f"closed {_where(loop.closed)}" if loop.closed else "left open"
    return f"loop #{loop.number} ({loop.kind}): {made}; {closed}"


def _made_words(client: Client) -> str:
    return f"made {_where(client.made)}" if client.made else "made where is not known"


def _made_briefly(client: Client) -> str:
    made = client.made
    if made is None or made.fixture is None or made.file is None:
        return _made_words(client)
    return f"made in {made.fixture}, {made.file.rpartition('/')[2]}:{made.line}"


def _client_words(client: Client) -> str:
    bound = f"bound to loop #{client.loop}" if client.loop else "bound to no loop"
    where = f" {_where(client.bound)}" if client.bound else ""
    return f"client {client.number}, {_short_kind(client)}: {_made_words(client)}; {bound}{where}"


def _origin_words(holder: Holder) -> str:
    if holder.origin == "assigned":
        return f"made here, line {holder.line}"
    if holder.origin != "imported":
        return "origin not known"
    words = f"copied from {holder.source}.{holder.source_name}, line {holder.line}"
    return f"stale: {words}, which is another object now" if holder.stale else words


def _holder_words(holder: Holder) -> str:
    return f"{holder.module}.{holder.name}: {_origin_words(holder)}; leads to client {holder.client}"
