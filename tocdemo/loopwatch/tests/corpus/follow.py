"""Does what an explanation advises, to the letter, knowing nothing but its text and the project's files.

An advice is a sequence of edits, each written as "FILE:LINE: write `CODE` there", "in FILE, set
`key = value`", or "add to FILE:" with the lines to add below it.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

_LABEL = re.compile(r"^  (change|or):\s+(.*)$")
_MORE = re.compile(r"^ {13}(.*)$")
_BLANK = re.compile(r"^()$")
_COPIED = re.compile(r"(\S+):(\d+): write `([^`]+)` there, and (.+?) wherever the bare name is used")
_WRITE = re.compile(r"(\S+):(\d+): write `([^`]+)` there")
_SET = re.compile(r"in (\S+), set ((?:`[^`]+`(?:, | and )?)+)")
_ADD = re.compile(r"add to (\S+):$", re.MULTILINE)
_ASYNC = re.compile(r"`@pytest_asyncio\.fixture` and `async def (\w+)` \((\S+?):\d+\)")


def alternatives(text: str) -> list[str]:
    """Return the alternatives that an explanation names, each with its lines."""
    found: list[list[str]] = []
    for line in text.splitlines():
        if label := _LABEL.match(line):
            found.append([label[2]])
        elif found and (more := _MORE.match(line) or _BLANK.match(line)):
            found[-1].append(more[1])
    return ["\n".join(lines) for lines in found]


def follow(folder: Path, advice: str) -> int:
    """Make the edits of one alternative in the project; return how many were made."""
    made = 0
    prose, blocks = _split(advice)
    text = " ".join(prose.split())
    for file, line, code, names in _COPIED.findall(text):
        _write(folder / file, int(line), code)
        _rename(folder / file, names.split(", "))
        made += 1
    for file, line, code in sorted(_WRITE.findall(_COPIED.sub("", text)), key=lambda e: -int(e[1])):
        _write(folder / file, int(line), code)
        made += 1
    for file, settings in _SET.findall(text):
        for setting in re.findall(r"`([^`]+)`", settings):
            _set(folder / file, setting)
            made += 1
    for name, file in _ASYNC.findall(text):
        _make_async(folder / file, name)
        made += 1
    for file, block in blocks:
        path = folder / file
        path.write_text((path.read_text() + "\n\n" if path.exists() else "") + block + "\n")
        made += 1
    return made


def _split(advice: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the sentences, and of each `add to FILE:` the lines below it."""
    prose, blocks, rest = [], [], advice
    while found := _ADD.search(rest):
        prose.append(rest[: found.start()])
        lines = rest[found.end() :].lstrip("\n").splitlines()
        block = []
        while lines and (lines[0].startswith("    ") or not lines[0].strip()):
            block.append(lines.pop(0)[4:])
        blocks.append((found[1], "\n".join(block).rstrip()))
        rest = "\n".join(lines)
    return "\n".join([*prose, rest]), blocks


def _write(path: Path, number: int, code: str) -> None:
    """Put `code` in the place of the statement or decorator that begins in this line."""
    text = path.read_text()
    lines = text.splitlines()
    last = number
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.stmt | ast.expr) and node.lineno == number:
            whole = isinstance(node, ast.expr) or not hasattr(node, "body")
            last = max(last, (node.end_lineno or number) if whole else number)
    indent = lines[number - 1][: len(lines[number - 1]) - len(lines[number - 1].lstrip())]
    lines[number - 1 : last] = [indent + code] if code else []
    path.write_text("\n".join(_imported(lines, code)) + "\n")


def _imported(lines: list[str], code: str) -> list[str]:
    """Add the imports that the written code needs: that much a reader knows."""
    for name in ("pytest_asyncio", "asyncio"):
        if re.search(rf"(?<!\w){name}\.", code) and f"import {name}" not in lines:
            first = next((n for n, line in enumerate(lines) if line.startswith(("import ", "from "))), 0)
            first += lines[first].startswith("from __future__")
            lines = [*lines[:first], f"import {name}", *lines[first:]]
    return lines


def _rename(path: Path, names: list[str]) -> None:
    body = path.read_text()
    for name in names:
        body = re.sub(rf"(?<![\w.]){name.rpartition('.')[2]}\b", name, body)
    path.write_text(body)


def _set(path: Path, setting: str) -> None:
    """Set one `key = value` of the section of pytest, in an ini file or a pyproject.toml."""
    key = setting.partition("=")[0].strip()
    text = path.read_text()
    text, count = re.subn(rf"^{key}\s*=.*$", setting, text, flags=re.MULTILINE)
    if not count:
        header = r"^\[(pytest|tool:pytest|tool\.pytest\.ini_options|tool\.pytest)\]\n"
        text = re.sub(header, lambda found: found[0] + setting + "\n", text, count=1, flags=re.MULTILINE)
    path.write_text(text)


def _make_async(path: Path, name: str) -> None:
    text = path.read_text()
    text = re.sub(
        rf"@pytest\.fixture(\(.*\))?\ndef {name}\b",
        lambda found: f"@pytest_asyncio.fixture{found[1] or ''}\nasync def {name}",
        text,
    )
    path.write_text("\n".join(_imported(text.splitlines(), "pytest_asyncio.fixture")) + "\n")
