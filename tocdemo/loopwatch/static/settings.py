"""Reads the configuration of a suite as pytest does, and says what the installed pytest-asyncio makes of it.

The order of the files, and where they are looked for, are pytest's documented rules for the rootdir (9.2).
It runs nothing, and it must not know tests or fixtures.
"""

from __future__ import annotations

import configparser
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest itself needs it on these

SCOPES = ("function", "class", "module", "package", "session")
NEWEST = (1, 5)  # what is assumed where no pytest-asyncio is installed
_NAMES = (
    "pytest.toml",
    ".pytest.toml",
    "pytest.ini",
    ".pytest.ini",
    "pyproject.toml",
    "tox.ini",
    "setup.cfg",
)


class BadConfiguration(Exception):
    """A configuration file cannot be read; pytest would stop as well. The message names the file."""


@dataclass(frozen=True)
class Settings:
    """The options of pytest that hold for a folder, also those of `addopts`; `inifile` is their file."""

    inifile: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def auto(self) -> bool:
        return self.options.get("asyncio_mode", "strict") == "auto"

    def patterns(self, name: str, default: str) -> list[str]:
        """Return the words of an option such as `python_files`."""
        return self.options.get(name, default).split()


def common_folder(paths: Sequence[Path]) -> Path:
    """Return the folder that holds all paths."""
    found = Path(os.path.commonpath([path.absolute() for path in paths]))
    return found if found.is_dir() else found.parent


def read_settings(folder: Path) -> Settings:
    """Return the settings that hold where pytest is started on `folder`; BadConfiguration is raised."""
    folder = folder.absolute()
    for base in (folder, *folder.parents):
        for name in _NAMES:
            path = base / name
            if path.is_file():
                options = _options(path)
                if options is not None:
                    return Settings(path, {**options, **_from_addopts(options.get("addopts", ""))})
    return Settings()


def _options(path: Path) -> dict[str, str] | None:
    """Return what the file configures, None if it is no configuration of pytest."""
    try:
        if path.suffix == ".toml":
            return _toml(path, tomllib.loads(path.read_text(encoding="utf-8")))
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
        parser.optionxform = str  # type: ignore[assignment, method-assign]
        parser.read_string(path.read_text(encoding="utf-8"), str(path))
    except (OSError, ValueError, configparser.Error) as error:
        raise BadConfiguration(f"{path} cannot be read: {error}") from error
    section = "tool:pytest" if path.suffix == ".cfg" else "pytest"
    if parser.has_section(section):
        return {key: (value or "").strip() for key, value in parser.items(section)}
    return {} if path.name in ("pytest.ini", ".pytest.ini") else None


def _toml(path: Path, document: dict[str, object]) -> dict[str, str] | None:
    if path.name != "pyproject.toml":
        return _texts(document.get("pytest")) or {}
    tool = document.get("tool")
    table = tool.get("pytest") if isinstance(tool, dict) else None
    if not isinstance(table, dict):
        return None
    own = {key: value for key, value in table.items() if key != "ini_options"}
    if not own and "ini_options" not in table:
        return None
    return _texts(own or table["ini_options"])


def _texts(table: object) -> dict[str, str]:
    if not isinstance(table, dict):
        return {}
    return {
        str(key): " ".join(map(str, value)) if isinstance(value, list) else str(value)
        for key, value in table.items()
    }


def _from_addopts(text: str) -> dict[str, str]:
    """Return the settings that the option `addopts` overrides: `--asyncio-mode=auto`, `-o name=value`."""
    try:
        words = iter(shlex.split(text))
    except ValueError:
        return {}
    return dict(_overrides(words))


def _overrides(words: Iterator[str]) -> Iterator[tuple[str, str]]:
    for word in words:
        if word.startswith("--asyncio-mode"):
            yield "asyncio_mode", word.partition("=")[2] or next(words, "")
        elif word in ("-o", "--override-ini"):
            name, _, value = next(words, "").partition("=")
            yield name, value
        elif word.startswith(("-o", "--override-ini=")) and "=" in word:
            name, _, value = word.removeprefix("--override-ini=").removeprefix("-o").partition("=")
            yield name, value


@dataclass(frozen=True)
class Dialect:
    """What a version of pytest-asyncio does with loop scopes; measured with 0.21.2, 0.23.8, 0.24.0, 0.25.3,
    0.26.0, 1.1.0 and 1.5.0."""

    version: tuple[int, ...]
    known: bool = True

    @classmethod
    def of(cls, installed: Mapping[str, str]) -> Dialect:
        text = installed.get("pytest-asyncio")
        if text is None:
            return cls(NEWEST, False)
        return cls(tuple(int(part) for part in text.split(".")[:2] if part.isdigit()))

    @property
    def name(self) -> str:
        return "pytest-asyncio " + ".".join(map(str, self.version)) if self.known else "pytest-asyncio 1"

    @property
    def event_loop_fixture(self) -> bool:
        """Whether there is a fixture `event_loop`, and an override of it sets the loop of the tests."""
        return self.version < (1, 0)

    @property
    def loop_scope_keyword(self) -> bool:
        """Whether `loop_scope` is known; before, a fixture's is an error and a mark's is ignored."""
        return self.version >= (0, 24)

    def mark_scope(self, options: Mapping[str, object]) -> object:
        """Return the loop scope that the mark's keywords ask for, None if they ask for none."""
        if self.version < (0, 23):
            return None
        if not self.loop_scope_keyword:
            return options.get("scope")
        return options.get("loop_scope") or options.get("scope")

    def test_default(self, settings: Settings) -> str:
        """Return the loop scope of a test whose mark asks for none."""
        if self.version < (0, 26):
            return "function"
        return settings.options.get("asyncio_default_test_loop_scope") or "function"

    def fixture_loop(self, settings: Settings, scope: str, asked: object) -> str:
        """Return the loop scope of an async fixture of this scope that asks for the loop scope `asked`."""
        if self.version < (0, 23):
            return "function"
        if not self.loop_scope_keyword:
            return scope
        default = settings.options.get("asyncio_default_fixture_loop_scope", "")
        return str(asked or (scope if default in ("", "fixture-scope") else default))
