"""The README's picture: the suite red and green, drawn from two real runs.

Run as a program, this module makes it again. Knows nothing of the README's text.
"""

from collections import Counter
from html import escape
from pathlib import Path

from tocdemo.display.looks import LOOKS
from tocdemo.runner import suite
from tocdemo.runner.result import COLUMNS, Run
from tocdemo.subject import faults

FILE = Path(__file__).resolve().parent.parent.parent / "lessons" / "images" / "red_and_green.svg"
SIZE, GAP, HEAD = 30, 4, 30  # pixels: a cell, the space between two, a caption


def draw() -> str:
    """Run the incident and the fixed suite, and return the picture of both as SVG."""
    panels = (
        ("Before", suite.run_copy(faults.with_faults(faults.state("incident")))),
        ("After", suite.run_copy(faults.with_faults(faults.state("fixed")))),
    )
    height = HEAD + 2 * (SIZE + GAP) + 16
    width = COLUMNS * (SIZE + GAP) + GAP
    body = "".join(_panel(title, run, number * height) for number, (title, run) in enumerate(panels))
    alt = "; ".join(f"{title}: {run.counts}" for title, run in panels)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(alt)}" '
        f'width="{width}" height="{2 * height}" viewBox="0 0 {width} {2 * height}" '
        f'font-family="system-ui, sans-serif" font-size="14">'
        f'<rect width="100%" height="100%" rx="6" fill="#ffffff"/>{body}</svg>\n'
    )


def _panel(title: str, run: Run, top: int) -> str:
    errors = "".join(f" ({error})" for error in run.error_lines)
    words = escape(f"{title}: {_counts(run)}{errors}")
    caption = f'<text x="{GAP * 2}" y="{top + 21}" fill="#1f2328">{words}</text>'
    return caption + "".join(
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
    y = top + HEAD + number // COLUMNS * (SIZE + GAP)
    return (
        f"<g><title>{escape(f'{number + 1}. {name}: {word}')}</title>"
        f'<rect x="{x}" y="{y}" width="{SIZE}" height="{SIZE}" rx="4" fill="{background}"/>'
        f'<text x="{x + SIZE / 2}" y="{y + 20}" text-anchor="middle" fill="{colour}">{symbol}</text></g>'
    )


if __name__ == "__main__":
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(draw(), encoding="utf-8")
    print(f"Wrote {FILE}")
