"""What a check says of a learner's files: parts that are done and parts that are not, each with its place.

A verdict shows itself, as text, as HTML in a notebook, and as plain data. It knows nothing of how it was
found.
"""

from dataclasses import dataclass
from html import escape
from typing import Any

_BLOCK = "font-family:monospace;white-space:pre-wrap;margin:2px 0 6px 2em"
_LINE = "margin:4px 0"
_LONGEST = 160  # characters of a line of code that are shown


@dataclass(frozen=True)
class Part:
    """One thing that an exercise asks for: whether it is so, in a sentence, and where.

    `file` is relative to the learner's folder, `line` counts from 1, `code` is what stands there. What is not
    known is empty or None.
    """

    done: bool
    sentence: str
    file: str = ""
    line: int | None = None
    code: str = ""

    @property
    def place(self) -> str:
        """File and line in words, or nothing."""
        return f"{self.file}, line {self.line}" if self.file and self.line else self.file

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        here = f" There stands: {_shortened(self.code.strip())}" if self.code.strip() else ""
        return f"{where}{self.sentence}{here}"


@dataclass(frozen=True)
class Problem:
    """Why nothing could be judged: a sentence, a place, and lines that show it (with a caret, say)."""

    sentence: str
    file: str = ""
    line: int | None = None
    shown: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f"{self.file}, line {self.line}: " if self.file and self.line else ""
        where = where or (f"{self.file}: " if self.file else "")
        return f"{where}{self.sentence}"


@dataclass(frozen=True)
class Verdict:
    """What is true of an exercise now."""

    exercise: str
    parts: tuple[Part, ...] = ()
    problem: Problem | None = None

    @property
    def done(self) -> bool:
        """Whether all of it is done."""
        return self.problem is None and bool(self.parts) and all(part.done for part in self.parts)

    @property
    def missing(self) -> tuple[str, ...]:
        """What is not done yet: sentences, with file and line."""
        problem = [str(self.problem)] if self.problem else []
        return (*problem, *(str(part) for part in self.parts if not part.done))

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as plain data."""
        return {"exercise": self.exercise, "done": self.done, "missing": list(self.missing)}

    def headline(self) -> str:
        """Return the verdict in a sentence."""
        if self.done:
            return f"{self.exercise}: done."
        if self.problem is not None:
            return f"{self.exercise}: not yet. {self.problem}"
        done = sum(part.done for part in self.parts)
        return f"{self.exercise}: not yet. {done} of {len(self.parts)} parts done."

    def next_step(self) -> str:
        """Return what to look at next; empty when all is done, or when there is nothing to look at."""
        if self.done or (not self.parts and self.problem is not None and not self.problem.file):
            return ""
        first = self.problem or next(part for part in self.parts if not part.done)
        where = f"line {first.line} of {first.file}" if first.file and first.line else first.file
        hint = f'lab.hint("{self.exercise}") gives a hint.'
        return f"Look next at {where}. {hint}" if where else hint

    def __str__(self) -> str:
        lines = [self.headline()]
        if self.problem is not None:
            lines += [f"    {line}" for line in self.problem.shown]
        for part in self.parts:
            where = f"{part.place}: " if part.place and not part.done else ""
            lines.append(f"  {_mark(part)} {where}{part.sentence}")
            lines += [f"        {line}" for line in _code_of(part)]
        return "\n".join([*lines, *filter(None, [self.next_step()])])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {
            "text/plain": str(self),
            "text/html": self._html(),
            "application/vnd.tocdemo.verdict+json": self.to_json(),
        }

    def _html(self) -> str:
        pieces = [f"<p style='{_LINE}'><b>{'✓' if self.done else '○'} {escape(self.headline())}</b></p>"]
        if self.problem is not None and self.problem.shown:
            pieces.append(_block(self.problem.shown))
        for part in self.parts:
            where = f"<b>{escape(part.place)}</b>: " if part.place and not part.done else ""
            pieces.append(f"<p style='{_LINE}'>{_mark(part)} {where}{html_words(part.sentence)}</p>")
            if code := _code_of(part):
                pieces.append(_block(code))
        if next_step := self.next_step():
            pieces.append(f"<p style='{_LINE}'>{html_words(next_step)}</p>")
        return "".join(pieces)


def _mark(part: Part) -> str:
    return "✓" if part.done else "✗"


def _code_of(part: Part) -> list[str]:
    if part.done:
        return []
    return [_shortened(line) for line in part.code.rstrip().split("\n") if line.strip()]


def _shortened(code: str) -> str:
    code = code.replace("\n", " ⏎ ")
    return code if len(code) <= _LONGEST else f"{code[:_LONGEST]}…"


def _block(lines: list[str] | tuple[str, ...]) -> str:
    return f"<div style='{_BLOCK}'>{escape(chr(10).join(lines))}</div>"


def html_words(text: str) -> str:
    """Return a sentence as HTML, with what stands between backticks as code."""
    words = escape(text).split("`")
    if len(words) % 2 == 0:
        return escape(text)
    return "".join(f"<code>{word}</code>" if at % 2 else word for at, word in enumerate(words))
