"""Texts that change: a unified diff applied to one, and two changes of the same text put together.

It knows lines, and nothing of Python or of exercises.
"""

import difflib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tocdemo.errors import BadInput

_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@")
_HEAD = re.compile(r"^--- .*\n\+\+\+ ", re.MULTILINE)


class NoFit(BadInput):
    """A diff does not fit the text that it is applied to; the message says at which line."""


@dataclass(frozen=True)
class Chunk:
    """Lines that two changes leave or make: `base` was there, `own` and `other` are what became of it."""

    base: tuple[str, ...]
    own: tuple[str, ...]
    other: tuple[str, ...]

    @property
    def conflicts(self) -> bool:
        """Whether both have changed these lines, and not to the same."""
        return self.own not in (self.base, self.other) and self.other != self.base

    def merged(self, choice: str = "own") -> tuple[str, ...]:
        """Return the lines with both changes; where they conflict, `choice` is "own" or "other"."""
        if not self.conflicts:
            return self.other if self.own == self.base else self.own
        return self.own if choice == "own" else self.other


def patched_all(texts: Mapping[str, str], diff: str) -> dict[str, str]:
    """Return what a unified diff of some files makes of their texts, by their paths. Raises NoFit.

    A file that has no text yet is a new one.
    """
    begins = [found.start() for found in _HEAD.finditer(diff)]
    after: dict[str, str] = {}
    for start, end in itertools.pairwise([*begins, len(diff)]):
        own = diff[start:end]
        after |= patched(texts.get(_head_and_body(own)[0], ""), own)
    return after


def patched(text: str, diff: str) -> dict[str, str]:
    """Return the file that a unified diff of one file makes of `text`, by its path. Raises NoFit."""
    lines, at = text.splitlines(keepends=True), 0
    after: list[str] = []
    head, body = _head_and_body(diff)
    for line in body:
        hunk = _HUNK.match(line)
        if hunk:
            start = int(hunk[1]) - (0 if hunk[2] == "0" else 1)
            after += lines[at:start]
            at = start
            continue
        mark, rest = line[:1], line[1:]
        if mark in " -":
            if at >= len(lines) or lines[at] != rest:
                raise NoFit(f"The diff does not fit line {at + 1} of {head}: expected {rest!r}")
            at += 1
        if mark in " +":
            after.append(rest)
    return {head: "".join(after + lines[at:])}


def _head_and_body(diff: str) -> tuple[str, list[str]]:
    lines = diff.splitlines(keepends=True)
    if len(lines) < 3 or not lines[0].startswith("--- ") or not lines[1].startswith("+++ "):
        raise NoFit("Expected a unified diff of one file, with lines --- and +++ at its beginning")
    return lines[1].removeprefix("+++ ").strip(), [line if line.strip("\n") else " \n" for line in lines[2:]]


def chunks(base: str, own: str, other: str) -> list[Chunk]:
    """Return the three texts cut into chunks; one after the other they are the whole texts."""
    bases, owns, others = (text.splitlines(keepends=True) for text in (base, own, other))
    found: list[Chunk] = []
    at = (0, 0, 0)
    for same in _in_all(bases, owns, others):
        if at != same:
            found += _refined(
                Chunk(*map(tuple, (bases[at[0] : same[0]], owns[at[1] : same[1]], others[at[2] : same[2]])))
            )
        line = (bases[same[0]],)
        found.append(Chunk(line, line, line))
        at = (same[0] + 1, same[1] + 1, same[2] + 1)
    rest = Chunk(tuple(bases[at[0] :]), tuple(owns[at[1] :]), tuple(others[at[2] :]))
    return [*found, *(_refined(rest) if any((rest.base, rest.own, rest.other)) else [])]


def _in_all(
    bases: Sequence[str], owns: Sequence[str], others: Sequence[str]
) -> Iterator[tuple[int, int, int]]:
    """Yield the places of the lines that are the same in all three."""
    own, other = _matches(bases, owns), _matches(bases, others)
    for place in range(len(bases)):
        if place in own and place in other:
            yield place, own[place], other[place]


def _matches(bases: Sequence[str], texts: Sequence[str]) -> dict[int, int]:
    blocks = difflib.SequenceMatcher(None, bases, texts, autojunk=False).get_matching_blocks()
    return {block.a + n: block.b + n for block in blocks for n in range(block.size)}


def _refined(chunk: Chunk) -> list[Chunk]:
    """Cut a conflict line by line where possible: one line may be changed well, and its neighbour not."""
    if chunk.conflicts and len(chunk.base) == len(chunk.own) == len(chunk.other):
        lines = zip(chunk.base, chunk.own, chunk.other, strict=True)
        return [Chunk((base,), (own,), (other,)) for base, own, other in lines]
    return [chunk]
