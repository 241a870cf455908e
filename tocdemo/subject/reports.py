"""What was done to a workspace, as a learner sees it: a sentence, the changes made, links that open files.

It knows how a report looks, and writes nothing.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from tocdemo.display.code import diff_html
from tocdemo.display.tables import Cell, attributes, head, html_table, paragraph, text_table, words

from . import faults, sources
from .changes import Change, in_order

_MADE, _NOT_MADE, _EDITED = "✓ made", "– not made", "✎ edited by you"


@dataclass(frozen=True)
class Report:
    """What was done to a workspace. In a notebook it shows itself.

    `headline` is a sentence, `diffs` the changes that were made, `kept` the copies of what was replaced,
    `details` further sentences, `files` the files to open. `state` has the faults of each file that can have
    some (None: an edited file); without it, no changes are told.
    """

    headline: str
    diffs: tuple[str, ...] = ()
    kept: tuple[Path, ...] = ()
    details: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    state: tuple[tuple[str, frozenset[str] | None], ...] = ()

    def __str__(self) -> str:
        lines = [self.headline, *self.details]
        rows = [[str(change.number), change.name, made, path] for change, made, path in self._changes()]
        lines += [f"  {row}" for row in text_table(rows)] if rows else []
        lines += [f"  {sentence}" for sentence in self._further()]
        lines += [f"What was there is kept: {shown_path(copy)}" for copy in self.kept]
        return "\n".join([*lines, *self.diffs])

    def _repr_html_(self) -> str:
        parts = [paragraph(f"<b>{escape(self.headline)}</b>")]
        parts += [paragraph(escape(detail)) for detail in self.details]
        if self.state:
            titles = [head("change"), head(""), head("in this workspace"), head("where")]
            parts.append(html_table([titles, *self._rows()], label="the report's changes in this workspace"))
        else:
            parts += [paragraph(link(file)) for file in self.files]
        parts += [paragraph(escape(sentence)) for sentence in self._further()]
        parts += [paragraph(f"What was there is kept: {link(copy)}") for copy in self.kept]
        return "".join([*parts, *(diff_html(diff) for diff in self.diffs if diff)])

    def _rows(self) -> Iterator[list[Cell]]:
        places = {self._path(file): file for file in self.files}
        for change, made, path in self._changes():
            where = link(places[path], path) if path in places else f"<code>{escape(path)}</code>"
            yield [words(change.number), words(change.name), words(made), Cell(where)]

    def _path(self, file: Path) -> str:
        """Return the path, of those that the state has, under which a file stands."""
        ends = (path for path, _ in self.state if file.as_posix().endswith(f"/{path}"))
        return next(ends, file.as_posix())

    def _changes(self) -> Iterator[tuple[Change, str, str]]:
        state = dict(self.state)
        for fault, change in in_order():
            for path in faults.get(fault).transforms:
                if path in state:
                    found = state[path]
                    made = _EDITED if found is None else _NOT_MADE if fault in found else _MADE
                    yield change, made, path

    def _further(self) -> Iterator[str]:
        """The faults that are none of the incident's, when there are some."""
        here = frozenset[str]().union(*(found for _, found in self.state if found))
        if here <= set(faults.state("incident")):
            return
        told = {fault for fault, _ in in_order()}
        for name in faults.FAULTS:
            if name in here - told:
                yield f"Also: {faults.get(name).sentence}."


def shown_path(path: Path) -> str:
    """Return a path as a reader knows it: seen from the project's folder, if it is in there."""
    project = sources.ROOT
    return path.relative_to(project).as_posix() if path.is_relative_to(project) else str(path)


def link(file: Path, text: str = "") -> str:
    """Return a link that opens a file in JupyterLab's editor: its address is seen from the notebook."""
    address = os.path.relpath(file, Path.cwd()).replace(os.sep, "/")
    return f"<a{attributes(href=address)}>{escape(text or shown_path(file))}</a>"
