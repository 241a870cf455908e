"""The timeline of a run: its loops as lanes, its tests as bars on them, failing uses as arrows.

It reads a `Recording` only. Columns are tests, not seconds: a short test is drawn as wide as a long one.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

from tocdemo.display.looks import LOOKS
from tocdemo.display.svg import (
    BAD,
    FAINT,
    GOOD,
    INK,
    PAPER,
    WIDTH,
    Picture,
    Sign,
    clipped,
    cross,
    diamond,
    figure,
    legend,
    line,
    mark,
    text,
    word_table,
)

from ..recording import Client, Loop, Place, Recording, Test, Use, short_name
from .words import client_words, loop_words, place_words, where

FOLD_FROM = 5
MOST_TESTS = 100
LANE = 28
LABEL = 242
ROOM_FOR_BARS = 18  # pixels of a step; in narrower ones a test is its symbol alone
COLORS = {"passed": GOOD, "failed": BAD, "error": BAD, "skipped": FAINT}
PHASES = {"collection": 0.5, "setup": 0.12, "call": 0.5, "teardown": 0.9, "end": 0.5}


def timeline(recording: Recording, fold: bool = True) -> Picture:
    """Draw the loops of a run as lanes, the tests as bars on them, and failing uses as arrows.

    Time goes from left to right in equal steps, one test a step; the first step is the import of the files.
    With `fold`, loops that follow each other and look alike (the second and later ones) share one lane.
    """
    return _Timeline(recording, fold).picture()


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
        self.step = max(11.0, min(48.0, (WIDTH - LABEL - 8) / (count + 2)))
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
        self.width = max(660.0, LABEL + self.step * (count + 2) + 8)

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
        explained, height = legend(self._signs(), marks, bottom + 6, min(self.width, WIDTH))
        marks += explained
        head, rows = self._table(unbound)
        loops, tests = len(self.recording.loops), len(self.recording.tests)
        title = f"{_counted(loops, 'event loop')}, {_counted(tests, 'test')}"
        summary = f"{title}: as a table"
        table, words = word_table(head, rows, summary)
        return Picture(figure(self.width, bottom + height, title, marks, table, summary), words)

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
        yield text(8, 14, "event loop" + note, fill=FAINT)
        yield text(LABEL + self.step, 28, "import", text_anchor="end", fill=FAINT)
        every = 1 if self.step >= ROOM_FOR_BARS else 5
        for test in self.tests:
            if test.number % every and test.number != 1:
                continue
            x = LABEL + self.step * (self.column_of[test.nodeid] + 0.5)
            title = f"test {test.number}: {test.nodeid}"
            yield text(x, 28, str(test.number), title, text_anchor="middle")

    def _lane(self, lane: _Lane) -> Iterator[str]:
        right = LABEL + self.step * (len(self.tests) + 2)
        yield line(4, lane.y + LANE / 2, right, lane.y + LANE / 2, stroke_width=0.5)
        yield from self._label(lane)
        for loop in lane.loops:
            begin, end = self._x(loop.made, LABEL), self._x(loop.closed, right)
            style = {"stroke": INK, "stroke_width": 1.5, "data_mark": "open"}
            yield line(begin, lane.y, end, lane.y, loop_words(loop), **style)
            if loop.made is not None and len(lane.loops) == 1:
                yield _made(begin, lane.y, f"made {where(loop.made)}")
        for loop in lane.loops:
            yield from self._bars(loop, lane.y)
            if loop.closed is not None:
                x = self._x(loop.closed, right)
                yield _closed(x, lane.y, f"loop #{loop.number} closed {where(loop.closed)}")
            for client in self.bound.get(loop.number, ()):
                yield _bound(self._x(client.bound, LABEL), lane.y - 11, client_words(client))

    def _label(self, lane: _Lane) -> Iterator[str]:
        """Write left of a lane which loops it stands for, and the tests that ran on them."""
        y, folded = lane.y + 4, len(lane.loops) > 1
        yield text(8, y, lane.name, "; ".join(loop_words(loop) for loop in lane.loops[:3]))
        tests = [test for test in self.tests if any(test.loop == loop.number for loop in lane.loops)]
        names = [short_name(test.nodeid) for test in tests]
        if names:
            words = names[0].removeprefix("test_") if len(names) == 1 else f"{len(names)} tests"
            x = 112 if folded else 68
            yield text(x, y, clipped(words, 27), "; ".join(names), fill=FAINT)
        if folded:
            style = {"text_anchor": "end", "fill": FAINT, "data_mark": "folded"}
            yield text(LABEL - 8, y, f"×{len(lane.loops)}", "folded: they look alike", **style)

    def _bars(self, loop: Loop, y: float) -> Iterator[str]:
        for entry in self.recording.ran:
            place = entry.first
            if entry.loop == loop.number and place.fixture and place.test in self.column_of:
                x = self._x(place, LABEL)
                words = f"ran for fixture {place.fixture} of {short_name(place.test)} ({place.phase})"
                yield _for_fixture(x + self.step * 0.12, y, words)  # beside the mark of a loop that it made
        for test in self.tests:
            if test.loop == loop.number:
                yield self._bar(test, y)

    def _bar(self, test: Test, y: float) -> str:
        x = LABEL + self.step * (self.column_of[test.nodeid] + 0.52)
        words = f"test {test.number}, {test.outcome} on loop #{test.loop}: {test.nodeid}"
        words += f"\n{test.error}" if test.error else ""
        symbol, color = LOOKS[test.outcome].symbol, COLORS[test.outcome]
        style: dict[str, object] = {"text_anchor": "middle", "font_weight": "bold"}
        if self.step < ROOM_FOR_BARS:
            return text(x, y + 4, symbol, words, fill=color, data_mark=test.outcome, **style)
        bar = _bar(x, y, words, test.outcome, self.step * 0.56)
        return bar + text(x, y + 4, symbol, words, fill=PAPER, **style)

    def _arrows(self) -> Iterator[str]:
        """Draw, for each failing test and loop that it met, an arrow to where that loop was closed."""
        tip = f'<path d="M0,0 L8,4 L0,8 Z" fill="{BAD}"/>'
        form = 'id="lw-head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6"'
        yield mark("defs", "", f'<marker {form} orient="auto">{tip}</marker>')
        drawn = set()
        for running, uses in self.uses.items():
            for use in uses:
                here, there = self.lane_of.get(running), self.lane_of.get(use.loop)
                if here is not None and there is not None and (use.test, use.loop) not in drawn:
                    drawn.add((use.test, use.loop))
                    yield self._arrow(use, here.y, there.y)

    def _arrow(self, use: Use, here: float, there: float) -> str:
        """Draw an arrow from the use, in the lane at height `here`, to the end of its loop at `there`."""
        test = use.test or ""
        x1 = LABEL + self.step * (self.column_of[test] + 0.52)
        x2 = self._x(self.recording.loop(use.loop).closed, LABEL + self.step)
        y1, y2 = (here + 9, there - 4) if there > here else (here - 9, there + 2)
        words = (
            f"{short_name(test)} on loop #{use.running} used {use.name}, which belongs to"
            f" loop #{use.loop} ({place_words(use.place)}): {use.error}"
        )
        bend = f"C{x1:.1f},{(y1 + y2) / 2:.1f} {(x1 + x2) / 2:.1f},{y2:.1f} {x2 + 5:.1f},{y2:.1f}"
        style = {"stroke": BAD, "stroke_dasharray": "4 2", "fill": "none", "data_mark": "use"}
        return mark("path", words, d=f"M{x1:.1f},{y1:.1f} {bend}", marker_end="url(#lw-head)", **style)

    def _unbound(self, clients: list[Client], y: float) -> Iterator[str]:
        yield text(8, y + 4, "bound to no loop", "clients whose binding was not seen", fill=FAINT)
        for client in clients:
            yield _bound(self._x(client.made, LABEL), y, client_words(client), hollow=True)

    def _signs(self) -> Iterator[Sign]:
        """Say what each kind of mark means, in the order of the legend."""
        yield Sign("made", "the loop is made", 5, _made)
        yield Sign("open", "the loop is open", 16, _open)
        yield Sign("closed", "the loop is closed", 7, _closed)
        yield Sign("folded", "×: so many loops that look alike")
        for outcome, look in LOOKS.items():
            words = f"{look.symbol} test {look.word}"
            if self.step < ROOM_FOR_BARS:
                yield Sign(outcome, words)
            else:
                yield Sign(outcome, words, 12, functools.partial(_bar, outcome=outcome))
        yield Sign("fixture", "a fixture ran", 4, _for_fixture)
        yield Sign("bound", "client bound here", 9, _bound)
        yield Sign("unbound", "client made here, bound to no loop", 9, functools.partial(_bound, hollow=True))
        yield Sign("use", "use of another loop's client", 20, _use)

    def _table(self, unbound: list[Client]) -> tuple[list[str], list[list[str]]]:
        head = ["loop", "made", "closed", "tests on it", "fixtures on it", "clients bound to it"]
        rows = [self._row(loop) for loop in self.recording.loops if loop.number in self.lane_of]
        rows += [["none", "", "", "", "", client_words(client), ""] for client in unbound]
        return [*head, "it met things of"], rows

    def _row(self, loop: Loop) -> list[str]:
        tests = [f"{short_name(t.nodeid)} {t.outcome}" for t in self.tests if t.loop == loop.number]
        fixtures = [
            f"{entry.first.fixture} of {short_name(entry.first.test)}"
            for entry in self.recording.ran
            if entry.loop == loop.number and entry.first.fixture and entry.first.test in self.column_of
        ]
        clients = [client_words(client) for client in self.bound.get(loop.number, ())]
        met = sorted({f"loop #{use.loop} ({use.name})" for use in self.uses.get(loop.number, ())})
        closed = where(loop.closed) if loop.closed else "left open"
        several = (tests, dict.fromkeys(fixtures), clients, met)
        return [f"#{loop.number}", where(loop.made), closed, *("; ".join(words) for words in several)]


# -- the marks: each around a point --------------------------------------------------------------------------


def _made(x: float, y: float, words: str) -> str:
    place = {"cx": round(x, 1), "cy": y, "r": 2.5}
    return mark("circle", words, **place, fill=PAPER, stroke=INK, data_mark="made")


def _closed(x: float, y: float, words: str) -> str:
    return cross(x, y, 3.5, words, data_mark="closed")


def _bar(x: float, y: float, words: str, outcome: str, width: float = 12) -> str:
    box = {"x": round(x - width / 2, 1), "y": y - 8, "width": round(width, 1), "height": 16, "rx": 2}
    return mark("rect", words, **box, fill=COLORS[outcome], data_mark=outcome)


def _for_fixture(x: float, y: float, words: str) -> str:
    box = {"x": round(x - 2, 1), "y": y - 4, "width": 4, "height": 8}
    return mark("rect", words, **box, fill=FAINT, data_mark="fixture")


def _bound(x: float, y: float, words: str, hollow: bool = False) -> str:
    return diamond(x, y, 4.5, words, hollow, data_mark="unbound" if hollow else "bound")


def _open(x: float, y: float, words: str) -> str:
    return line(x - 8, y, x + 8, y, words, stroke=INK, data_mark="open")


def _use(x: float, y: float, words: str) -> str:
    return line(x - 10, y, x + 10, y, words, stroke=BAD, stroke_dasharray="4 2", data_mark="use")


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _window(recording: Recording) -> list[Test]:
    """Return the tests to draw: all, or of very many those around the first cross-loop use."""
    tests = list(recording.tests)
    if len(tests) <= MOST_TESTS:
        return tests
    guilty = {use.test for use in recording.uses if not use.background}
    first = next((position for position, test in enumerate(tests) if test.nodeid in guilty), 0)
    start = max(0, min(first - MOST_TESTS // 2, len(tests) - MOST_TESTS))
    return tests[start : start + MOST_TESTS]
