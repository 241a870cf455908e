"""The pages of exercises, of the verbs of `lab`, of the commands, and of loopwatch's rules.

Each is written from what the course itself uses: the manifest, docstrings, the commands' own parsers. It
knows nothing of lessons' texts.
"""

import argparse
from collections.abc import Callable, Collection, Mapping, Sequence
from html import escape
from unittest import mock

from tocdemo.course.exercises.course_texts import solved, started
from tocdemo.course.manifest import Exercise, Lesson
from tocdemo.display.code import unified_diff

Command = Callable[[list[str]], int]


def exercise_page(exercise: Exercise, lesson: Lesson) -> str:
    """Return the page of one exercise: its task, what must be true, hints and a solution that are folded."""
    claims = [f"- {sentence}" for sentence in exercise.afterwards.values()]
    hints = [
        _folded(f"Hint {number} of {len(exercise.hints)}", text)
        for number, text in enumerate(exercise.hints, 1)
    ]
    before, after = started(exercise), solved(exercise)
    diff = "".join(unified_diff(path, before.get(path, ""), text) for path, text in after.items())
    solution = f"````diff\n{diff.rstrip()}\n````"
    others = f"\n\nOther ways: {exercise.others}" if exercise.others else ""
    return "\n\n".join(
        [
            f"# {exercise.name}",
            f"An exercise of [{lesson.title}](../notebooks/{lesson.slug}.ipynb).",
            "## The task",
            exercise.task,
            "## What must be true then",
            "\n".join(claims),
            f'`lab.check("{exercise.name}")` says which of these hold in your files.',
            "## Hints",
            *hints,
            "## A solution",
            _folded("What the course's solution changes", solution + others),
            "",
        ]
    )


def verb_page(verb: str, lessons: Sequence[tuple[Lesson, str]]) -> str:
    """Return the page of a verb of `lab`; `lessons` are all, each with its text, to say where it is used."""
    used = [lesson for lesson, text in lessons if f"lab.{verb}(" in text]
    where = ", ".join(f"[{lesson.title}](../notebooks/{lesson.slug}.ipynb)" for lesson in used)
    return "\n".join(
        [
            f"# lab.{verb}",
            "",
            "```{eval-rst}",
            f".. autofunction:: tocdemo.lab.{verb}",
            "```",
            "",
            f"Lessons that use it: {where}."
            if where
            else "No lesson needs it: it is there for your own work.",
            "",
        ]
    )


def command_page(name: str, command: Command, *, handed_on: bool) -> str:
    """Return the page of a command: its first sentence, its usage, and a row for each argument and option.

    The arguments of one that is `handed_on` are another program's.
    """
    summary = (command.__doc__ or "").strip().splitlines()[0]
    lines = [f"# {name}", "", summary, ""]
    if handed_on:
        return "\n".join([*lines, "```text", f"python3 -m tocdemo {name} ...", "```", ""])
    parser = _parser_of(command)
    lines += ["```text", parser.format_usage().removeprefix("usage: ").rstrip(), "```", ""]
    lines += ["| argument or option | what it does |", "|---|---|"]
    lines += [f"| {_called(action)} | {_cell(action.help or '')} |" for action in parser._actions]
    return "\n".join([*lines, "", parser.epilog or "", ""])


def rules_page(listing: str) -> str:
    """Return the page of loopwatch's rules, from its own list: a rule to a block, with examples indented."""
    lines = [
        "# The rules of loopwatch's check",
        "",
        "As `python -m tocdemo.loopwatch check --rules` has them.",
    ]
    for block in listing.strip().split("\n\n"):
        first = block.splitlines()[0]
        if not first.startswith(" ") and ": " in first:
            name, _, sentence = first.partition(": ")
            lines += ["", f"## {name}", "", sentence]
            block = "\n".join(block.splitlines()[1:])
        if block.strip():
            lines += ["", "```text", block.rstrip(), "```"]
    return "\n".join([*lines, ""])


def commands(given: Mapping[str, Command], handed_on: Collection[str]) -> dict[str, str]:
    """Return the page of each command, by its name."""
    return {name: command_page(name, each, handed_on=name in handed_on) for name, each in given.items()}


class _Found(Exception):
    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


def _parser_of(command: Command) -> argparse.ArgumentParser:
    """Call a command until it would parse its arguments, and return the parser; it does nothing more."""

    def found(parser: argparse.ArgumentParser, *_: object) -> None:
        raise _Found(parser)

    with mock.patch.object(argparse.ArgumentParser, "parse_known_args", found):
        try:
            command([])
        except _Found as it:
            return it.parser
    raise AssertionError(f"{command} parses no arguments")


def _called(action: argparse.Action) -> str:
    value = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
    if not action.option_strings:
        return f"`{value if isinstance(value, str) else action.dest}`"
    return ", ".join(f"`{option} {value}`".replace(" `", "`") for option in action.option_strings)


def _cell(text: str) -> str:
    return escape(text, quote=False).replace("|", "\\|").replace("%(default)s", "the default")


def _folded(summary: str, markdown: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>\n\n{markdown}\n\n</details>"
