"""The README's pictures: the suite red and green, as one that stands and as one that moves, from real runs.

Run as a program, this module makes both again. Knows nothing of the README's text.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from textwrap import wrap

from tocdemo.display.looks import LOOKS
from tocdemo.runner import suite
from tocdemo.runner.result import COLUMNS, Run
from tocdemo.subject import changes, faults

IMAGES = Path(__file__).resolve().parent.parent.parent / "lessons" / "images"
FILE, MOVING = IMAGES / "red_and_green.svg", IMAGES / "break_and_mend.svg"
SIZE, GAP, HEAD = 30, 4, 30  # pixels: a cell, the space between two, a caption
LINE, LETTERS = 16, 76  # of a further line of a caption: its pixels, and how many letters it has
SECONDS = 4  # that one of the pictures stays which follow each other
WIDTH = COLUMNS * (SIZE + GAP) + GAP
GRID = 2 * (SIZE + GAP) + 16


@dataclass(frozen=True)
class Frame:
    """One of the pictures that follow each other: what is done, and what the run showed then."""

    title: str
    run: Run
    error: str = ""


def draw() -> str:
    """Run the incident and the fixed suite, and return the picture of both as SVG."""
    before, after = _run(faults.state("incident")), _run(faults.state("fixed"))
    frames = Frame("Before", before, _error(before)), Frame("After", after)
    height = HEAD + GRID
    panels = [
        _caption([_words(frame)], n * height) + _cells(frame.run, n * height + HEAD)
        for n, frame in enumerate(frames)
    ]
    return _svg(frames, "".join(panels), 2 * height)


def draw_moving() -> str:
    """Run the suite from break to green, and return a picture that shows the runs one after the other.

    Where the reader's system asks for less motion, it shows the last one, and stands.
    """
    frames = _story()
    head = HEAD + 2 * LINE + GAP
    panels = "".join(
        f'<g class="frame" style="animation-delay:{number * SECONDS}s">'
        f"{_caption(_lines(frame), 0)}{_cells(frame.run, head)}</g>"
        for number, frame in enumerate(frames)
    )
    return _svg(frames, f"<style>{_style(len(frames))}</style>{panels}", head + GRID)


def _lines(frame: Frame) -> list[str]:
    return [f"{frame.title}: {_counts(frame.run)}", *wrap(frame.error, LETTERS)]


def _words(frame: Frame) -> str:
    error = f" ({frame.error})" if frame.error else ""
    return f"{frame.title}: {_counts(frame.run)}{error}"


def _story() -> tuple[Frame, ...]:
    broken = faults.state("incident")
    fault, change = changes.in_order()[0]
    one = _run(tuple(name for name in broken if name != fault))
    red, green = _run(broken), _run(faults.state("fixed"))
    explained = str(red.explain()).splitlines()[0]
    return (
        Frame("The suite as it should be", green),
        Frame("Break it", red, _error(red)),
        Frame("Look", red, explained),
        Frame(f"Mend one change, {change.name}", one, _error(one)),
        Frame("Mend them all", green),
    )


def _style(number: int) -> str:
    """Each frame is seen for its part of the time, over and over."""
    part = 100 / number
    return (
        f".frame{{opacity:0;animation:seen {number * SECONDS}s infinite}}"
        f"@keyframes seen{{0%,{part:.2f}%{{opacity:1}}{part + 0.01:.2f}%,100%{{opacity:0}}}}"
        "@media (prefers-reduced-motion:reduce){.frame{animation:none}.frame:last-of-type{opacity:1}}"
    )


@cache
def _run(names: tuple[str, ...]) -> Run:
    return suite.run_copy(faults.with_faults(names))


def _error(run: Run) -> str:
    return "; ".join(run.error_lines)


def _svg(frames: Sequence[Frame], body: str, height: int) -> str:
    alt = "; ".join(f"{frame.title}: {frame.run.counts}" for frame in frames)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(alt)}" '
        f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="system-ui, sans-serif" font-size="14">'
        f'<rect width="100%" height="100%" rx="6" fill="#ffffff"/>{body}</svg>\n'
    )


def _caption(lines: Sequence[str], top: int) -> str:
    first, *further = (escape(line) for line in lines)
    small = "".join(
        f'<text x="{GAP * 2}" y="{top + 21 + number * LINE}" font-size="12" fill="#1f2328">{line}</text>'
        for number, line in enumerate(further, 1)
    )
    return f'<text x="{GAP * 2}" y="{top + 21}" fill="#1f2328">{first}</text>{small}'


def _cells(run: Run, top: int) -> str:
    return "".join(
        _cell(result.name, result.outcome, number, top) for number, result in enumerate(run.results)
    )


def _counts(run: Run) -> str:
    """Return how many tests had which outcome, each with the symbol that its cells have."""
    numbers = Counter(result.outcome for result in run.results)
    looks = ((LOOKS[outcome], number) for outcome, number in sorted(numbers.items(), reverse=True))
    return ", ".join(f"{look.symbol} {number} {look.word}" for look, number in looks)


def _cell(name: str, outcome: str, number: int, top: int) -> str:
    symbol, word, background, colour = LOOKS[outcome]
    x = GAP + number % COLUMNS * (SIZE + GAP)
    y = top + number // COLUMNS * (SIZE + GAP)
    return (
        f"<g><title>{escape(f'{number + 1}. {name}: {word}')}</title>"
        f'<rect x="{x}" y="{y}" width="{SIZE}" height="{SIZE}" rx="4" fill="{background}"/>'
        f'<text x="{x + SIZE / 2}" y="{y + 20}" text-anchor="middle" fill="{colour}">{symbol}</text></g>'
    )


if __name__ == "__main__":
    IMAGES.mkdir(parents=True, exist_ok=True)
    for file, text in ((FILE, draw()), (MOVING, draw_moving())):
        file.write_text(text, encoding="utf-8")
        print(f"Wrote {file}")
