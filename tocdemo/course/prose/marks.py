"""Marks: what a sentence of a lesson rests on, a cell that shows it or a source that says it.

A mark is written as a footnote's: `[^first_use]` names a cell of the lesson, `[^04_io_loop:source]` one of
another, `[^motor-io-loop]` a source of `lessons/sources.toml`. A mark that leads nowhere is refused, and so
is a source whose quoted words do not stand in what is installed. It must not know what the sentences say.
"""

import importlib.util
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tocdemo.errors import CourseError

SOURCES = "lessons/sources.toml"
_MARK = re.compile(r"\[\^([\w.:-]+)\]")
_FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_NAMED_CELL = re.compile(r'^```python[^\n]*\b(?:run|expected|id)="([\w-]+)"', re.MULTILINE)
_KEYS = {"title", "url", "package", "version", "module", "file", "says"}


@dataclass(frozen=True)
class Source:
    """Where something can be read: a `title`, and a `url` that leads there.

    With a `module`, or a `file` of this project, the words that it `says` must stand there; of a module that
    is of an installed `package`, in the `version` that the sentence is about.
    """

    name: str
    title: str
    url: str
    package: str = ""
    version: str = ""
    module: str = ""
    file: str = ""
    says: str = ""


def sources(root: Path) -> dict[str, Source]:
    """Return the sources by their names; none when there is no file of them.

    Raises CourseError when the file is not understood.
    """
    file = root / SOURCES
    if not file.exists():
        return {}
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise CourseError(f"{file}: not valid TOML: {error}") from error
    return {name: _source(name, table, f"{SOURCES}, {name}") for name, table in tables.items()}


def _source(name: str, table: object, where: str) -> Source:
    if not isinstance(table, Mapping) or not all(
        isinstance(value, str) and value for value in table.values()
    ):
        raise CourseError(f"{where}: expected a table of texts, found {table!r}")
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise CourseError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(sorted(_KEYS))}")
    if not table.get("title") or not re.match(r"https?://", table.get("url", "")):
        raise CourseError(f"{where}: expected a title, and a url that begins with https://")
    reads = "module" in table or "file" in table
    if reads != ("says" in table) or ("package" in table) != ("version" in table):
        raise CourseError(f"{where}: a module or a file goes with what it says, a package with its version")
    return Source(name, **table)


# --- in a text ---------------------------------------------------------------------------------------------


def cells_of(text: str) -> set[str]:
    """Return the names of a lesson's cells."""
    return set(_NAMED_CELL.findall(text))


def used_in(text: str) -> list[str]:
    """Return the marks of a text in their order, each once. What stands in code is none."""
    return list(dict.fromkeys(mark for part in _prose(text) for mark in _MARK.findall(part)))


def _prose(text: str) -> list[str]:
    return [part for part in _FENCED.split(text) if not part.startswith("```")]


def require(text: str, where: Path, known: Collection[str], root: Path, lessons: Collection[str]) -> None:
    """Raise CourseError when a mark of a lesson's text leads nowhere. `known` are the names of the sources,
    `lessons` the slugs of all lessons."""
    cells = cells_of(text)
    for mark in used_in(text):
        slug, _, cell = mark.rpartition(":")
        if slug:
            other = root / "lessons" / f"{slug}.md"
            if slug not in lessons or cell not in cells_of(other.read_text(encoding="utf-8")):
                raise CourseError(f"{where}: the mark [^{mark}] names a cell that is not in {slug}")
        elif mark in cells and mark in known:
            raise CourseError(f"{where}: the mark [^{mark}] is both a cell's name and a source's")
        elif mark not in cells and mark not in known:
            raise CourseError(
                f"{where}: the mark [^{mark}] leads nowhere: it is no cell here, and no source of {SOURCES}"
            )


def linked(text: str, slug: str, named: Mapping[str, Source], order: list[str]) -> str:
    """Return a text with its marks as small links: to a cell an arrow, to a source its number in `order`."""

    def link(found: re.Match[str]) -> str:
        mark = found[1]
        if mark in named:
            source = named[mark]
            return f'<sup>[{order.index(mark) + 1}]({source.url} "{_quoted(source.title)}")</sup>'
        other, _, cell = mark.rpartition(":")
        return f'<sup>[↑]({other or slug}.ipynb#cell-id={cell} "shown by a cell")</sup>'

    parts = _FENCED.split(text)
    return "".join(
        part if part.startswith("```") else _MARK.sub(link, part).replace("</sup><sup>", "</sup> <sup>")
        for part in parts
    )


def listed(named: Mapping[str, Source], order: list[str]) -> str:
    """Return the list of a lesson's sources; empty when it has none."""
    rows = [f"{n}. [{named[mark].title}]({named[mark].url})" for n, mark in enumerate(order, 1)]
    return "\n".join(["#### Sources", "", *rows]) if rows else ""


def _quoted(title: str) -> str:
    return title.replace('"', "'")


# --- against what is installed -----------------------------------------------------------------------------


def untrue(root: Path, named: Mapping[str, Source]) -> list[str]:
    """Return a sentence for each source whose words do not stand where it says, or not in that version."""
    return [why for source in named.values() if (why := _wrong(root, source))]


def _wrong(root: Path, source: Source) -> str:
    if source.package:
        try:
            installed = version(source.package)
        except PackageNotFoundError:
            return f"{SOURCES}, {source.name}: {source.package} is not installed"
        if installed != source.version:
            return (
                f"{SOURCES}, {source.name}: it is about {source.package} {source.version}, installed is "
                f"{installed}: read the sentences that it bears again"
            )
    if not source.says:
        return ""
    text = _text(root, source)
    if text is None:
        return f"{SOURCES}, {source.name}: there is no {source.module or source.file}"
    found = _plain(source.says) in _plain(text)
    return (
        ""
        if found
        else f"{SOURCES}, {source.name}: {source.module or source.file} does not say {source.says!r}"
    )


def _text(root: Path, source: Source) -> str | None:
    try:
        spec = importlib.util.find_spec(source.module) if source.module else None
    except ImportError:
        return None
    file = Path(spec.origin) if spec and spec.origin else root / source.file if source.file else None
    return file.read_text(encoding="utf-8") if file is not None and file.is_file() else None


def _plain(text: str) -> str:
    """Return a text without what a line's end, an indent or a quote's end in the middle of it adds."""
    return " ".join(text.replace('"', "").replace("'", "").replace("\\", "").replace("`", "").split())
