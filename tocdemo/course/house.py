"""The picture of the house: the project's rooms, and which room imports which, read from the code.

A room's floor is its layer among the contracts in pyproject.toml, its sentence is the first of its docstring,
and its arrows are its imports. This module knows no room by name, and nothing of what any of them does.
"""

import ast
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path
from textwrap import wrap

from .manifest import CourseError

PICTURE = "lessons/images/house.svg"
PACKAGE = "tocdemo"


@dataclass(frozen=True)
class Room:
    """A package or a module of the project: its name, its title in the picture, the first sentence of its
    docstring, its floor (0 is the top) and the names of the rooms that it imports.

    A room without a floor is a project of its own: nothing imports it, and it imports nothing.
    """

    name: str
    title: str
    sentence: str
    floor: int | None
    imports: frozenset[str]


# --- the two commands --------------------------------------------------------------------------------------


def build(root: Path) -> int:
    """Write the picture, and say whether that changed it. Return 0.

    Raises `CourseError` when a room has no docstring or no floor.
    """
    file, picture = root / PICTURE, draw(rooms(root))
    same = file.exists() and file.read_text(encoding="utf-8") == picture
    if not same:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(picture, encoding="utf-8", newline="\n")
    print(f"{PICTURE}: {'unchanged' if same else 'written'}")
    return 0


def check(root: Path) -> int:
    """Return 0 when the picture shows the code as it is; else say so, and return 1. Changes nothing."""
    file = root / PICTURE
    if file.exists() and file.read_text(encoding="utf-8") == draw(rooms(root)):
        return 0
    print(f"{PICTURE}: differs from the code; `python -m tocdemo build` draws it afresh")
    return 1


# --- reading the code --------------------------------------------------------------------------------------


def rooms(root: Path) -> tuple[Room, ...]:
    """Return the rooms of the project in `root`, by name. Tests are no room, and their imports do not count.

    Raises `CourseError` when a room has no docstring or no floor.
    """
    places = [place for place in sorted((root / PACKAGE).iterdir()) if _is_room(place)]
    floors = _floors(root / "pyproject.toml")
    names = frozenset(place.stem for place in places)
    return tuple(_room(place, names, floors) for place in places)


def _is_room(place: Path) -> bool:
    if place.is_dir():
        return place.name != "tests" and not place.name.startswith((".", "__"))
    return place.suffix == ".py" and place.name not in ("__init__.py", "conftest.py")


def _room(place: Path, names: frozenset[str], floors: dict[str, int]) -> Room:
    if not place.is_dir():
        files = [place]
    elif (place / "__init__.py").exists():
        files = [file for file in sorted(place.rglob("*.py")) if "tests" not in file.relative_to(place).parts]
    else:  # no package, but a project of its own: the code under study
        return Room(place.name, f"{place.name}/", _sentence(place / "app/__init__.py"), None, frozenset())
    if place.stem not in floors:
        raise CourseError(f"{place}: no layer of the contracts in pyproject.toml names this room")
    title = f"{place.name}/" if place.is_dir() else place.name
    sentence = _sentence(place / "__init__.py" if place.is_dir() else place)
    imported = {name for file in files for name in _imports(file, place.parent.parent)}
    return Room(place.stem, title, sentence, floors[place.stem], frozenset(imported & names - {place.stem}))


def _floors(pyproject: Path) -> dict[str, int]:
    contracts = tomllib.loads(pyproject.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return {name: floor for floor, layer in enumerate(layers) for name in re.findall(r"\w+", layer)}


def _sentence(file: Path) -> str:
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) if file.exists() else None
    if not docstring:
        raise CourseError(
            f"{file}: expected a docstring: its first sentence stands in the picture of the house"
        )
    first = re.split(r"(?<=\.)\s|\n\n", docstring, maxsplit=1)[0]
    return " ".join(first.replace("`", "").split())


def _imports(file: Path, root: Path) -> Iterator[str]:
    """Yield the names of what a file imports: in a statement, or by a text that is a module's name."""
    package = file.relative_to(root).parent.parts
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) + "." if node.level else ""
            found = [f"{base}{node.module or ''}.{alias.name}".replace("..", ".") for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = [node.value]
        else:
            continue
        for name in found:
            parts = re.fullmatch(rf"{PACKAGE}\.(\w+)[\w.]*", name)
            if parts:
                yield parts[1]


# --- the arrows --------------------------------------------------------------------------------------------


def arrows(house: Sequence[Room]) -> list[tuple[str, str]]:
    """Return the arrows to draw, each from a room to one that it imports.

    An arrow downwards is left out when other arrows lead there, too: then the picture has few lines, and who
    can reach whom is all the same.
    """
    floors = {room.name: room.floor or 0 for room in house}
    every = [(room.name, other) for room in house for other in sorted(room.imports)]
    down = {name: {b for a, b in every if a == name and floors[a] < floors[b]} for name in floors}
    return [(a, b) for a, b in every if not any(_leads(down, way, b) for way in down[a] - {b})]


def _leads(down: dict[str, set[str]], start: str, end: str) -> bool:
    return start == end or any(_leads(down, way, end) for way in down[start])


# --- the drawing -------------------------------------------------------------------------------------------

# Pixels; LETTERS is how many characters of a sentence a box holds in a line. Three boxes beside each other
# fit into a page, which otherwise would show them smaller than they are drawn.
BOX, SLOT, SPACE, MARGIN = 256, 12, 24, 20
HEAD, LINE, FOOT, BETWEEN, LETTERS = 28, 16, 10, 46, 35
SWEEPS = 8  # over the floors, to order them so that few arrows cross

# Colours of their own on a ground of their own: the picture can be read on any page.
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328 } .room { font-size: 15px; font-weight: 600 }
.ground { fill: #ffffff } .box { fill: #f6f8fa; stroke: #59636e } .apart { stroke-dasharray: 5 4 }
.arrow { fill: none; stroke: #59636e; stroke-width: 1.5 } .tip { fill: #59636e }
.wrong { stroke: #cf222e; stroke-dasharray: 6 3 } .wrong-tip { fill: #cf222e }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .ground { fill: #0d1117 } .box { fill: #151b23; stroke: #9198a1 }
.arrow { stroke: #9198a1 } .tip { fill: #9198a1 } .wrong { stroke: #ff7b72 } .wrong-tip { fill: #ff7b72 }
}
"""


@dataclass(frozen=True)
class _Spot:
    """Where something stands on its floor: its middle, its upper edge and its lower edge, in pixels."""

    x: float
    top: float
    bottom: float


def draw(house: Sequence[Room]) -> str:
    """Return the picture as SVG: the rooms in floors, the top one first, and the arrows between them."""
    lines = arrows(house)
    floors, ways = _floors_and_ways(house, lines)
    heights = [max(_height(room) for room in house if room.name in floor) for floor in floors]
    widths = [sum(_width(thing) for thing in floor) + SPACE * (len(floor) - 1) for floor in floors]
    width = max(widths) + 2 * MARGIN
    spots: dict[object, _Spot] = {}
    top = MARGIN
    for floor, height, wide in zip(floors, heights, widths, strict=True):
        x = (width - wide) / 2
        for thing in floor:
            spots[thing] = _Spot(x + _width(thing) / 2, top, top + height)
            x += _width(thing) + SPACE
        top += height + BETWEEN
    body = [_arrow([spots[thing] for thing in way]) for way in ways]
    body += [_box(room, spots[room.name]) for room in house]
    return _svg(house, body, width, top - BETWEEN + MARGIN)


def _svg(house: Sequence[Room], body: list[str], width: float, height: float) -> str:
    said = "; ".join(
        f"{room.title} imports {', '.join(sorted(room.imports)) or 'no other room'}" for room in house
    )
    tips = "".join(
        f'<marker id="{kind}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path class="{kind}" d="M0,0 L10,5 L0,10 Z"/></marker>'
        for kind in ("tip", "wrong-tip")
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title desc" '
            f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}">',
            '<title id="title">The house: the rooms of the project, and which room imports which</title>',
            f'<desc id="desc">{escape(said)}.</desc>',
            f"<style>{STYLE}</style><defs>{tips}</defs>",
            '<rect class="ground" width="100%" height="100%" rx="6"/>',
            *body,
            "</svg>\n",
        ]
    )


def _box(room: Room, spot: _Spot) -> str:
    left = spot.x - BOX / 2
    title = f'<text class="room" x="{left + 12:g}" y="{spot.top + 22:g}">{escape(room.title)}</text>'
    words = "".join(
        f'<text x="{left + 12:g}" y="{spot.top + HEAD + LINE * number + 12:g}">{escape(line)}</text>'
        for number, line in enumerate(wrap(room.sentence, LETTERS))
    )
    kind = "box apart" if room.floor is None else "box"
    return (
        f'<g><rect class="{kind}" x="{left:g}" y="{spot.top:g}" width="{BOX}" '
        f'height="{spot.bottom - spot.top:g}" rx="6"/>{title}{words}</g>'
    )


def _arrow(way: list[_Spot]) -> str:
    """Draw a curve through the spots; between two floors it leaves and comes upright."""
    good = way[-1].top > way[0].top
    path = f"M{way[0].x:g},{way[0].bottom if good else way[0].top:g}"
    for here, there in pairwise(way):
        start, end = (here.bottom, there.top) if good else (here.top, there.bottom)
        half = (start + end) / 2
        path += f" C{here.x:g},{half:g} {there.x:g},{half:g} {there.x:g},{end:g}"
        if there is not way[-1]:
            path += f" V{there.bottom if good else there.top:g}"
    kind, tip = ("arrow", "tip") if good else ("arrow wrong", "wrong-tip")
    return f'<path class="{kind}" d="{path}" marker-end="url(#{tip})"/>'


def _height(room: Room) -> int:
    return HEAD + LINE * len(wrap(room.sentence, LETTERS)) + FOOT


# What stands on a floor: a room's name, or the slot of an arrow that passes by (importer, imported, floor).
Thing = str | tuple[str, str, int]


def _width(thing: Thing) -> int:
    return BOX if isinstance(thing, str) else SLOT


def _floors_and_ways(
    house: Sequence[Room], lines: Sequence[tuple[str, str]]
) -> tuple[list[list[Thing]], list[list[Thing]]]:
    """Return what stands on each floor from left to right, and for each arrow what it goes through.

    On a floor stand rooms (their names), and a slot for each arrow that only passes by: (importer, imported,
    floor). Rooms without a floor stand on the lowest.
    """
    used = sorted({room.floor for room in house if room.floor is not None})
    level = {room.name: used.index(room.floor) if room.floor is not None else len(used) - 1 for room in house}
    ways: list[list[Thing]] = []
    for a, b in lines:
        step = 1 if level[b] > level[a] else -1
        ways.append([a, *((a, b, floor) for floor in range(level[a] + step, level[b], step)), b])
    floors: list[list[Thing]] = [[name for name in level if level[name] == n] for n in range(len(used))]
    for way in ways:
        for slot in way:
            if not isinstance(slot, str):
                floors[slot[2]].append(slot)
    for sweep in range(SWEEPS):
        for n in range(len(floors)) if sweep % 2 == 0 else reversed(range(len(floors))):
            floors[n] = _ordered(floors, n, ways)
    return floors, ways


def _ordered(floors: list[list[Thing]], n: int, ways: list[list[Thing]]) -> list[Thing]:
    """Return floor `n` in the order of the places, on average, of what its things are tied to."""
    place = {thing: (number + 0.5) / len(floor) for floor in floors for number, thing in enumerate(floor)}
    ties: dict[Thing, list[float]] = {thing: [] for thing in floors[n]}
    for way in ways:
        for one, other in pairwise(way):
            if one in ties:
                ties[one].append(place[other])
            if other in ties:
                ties[other].append(place[one])
    return sorted(floors[n], key=lambda thing: sum(ties[thing] or [place[thing]]) / len(ties[thing] or [0]))
