"""What is known of a run that bears on advice: the kind of a test, its plugin's version, the settings.

It reads what pytest tells of an item. Why a test failed, it must not know.
"""

from __future__ import annotations

import inspect
import re
import unittest
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

Version = tuple[int, ...]


@dataclass
class Suite:
    """One test (a pytest item) among its suite."""

    item: Any

    @property
    def config(self) -> Any:
        return self.item.config

    @cached_property
    def kind(self) -> str:
        """Return "asyncio", "anyio", "isolated", "unittest" or "sync": how the test comes to a loop.

        "import" stands for a file that is being imported, in place of a test.
        """
        if not isinstance(self.item, pytest.Item):
            return "import"
        cls, function = getattr(self.item, "cls", None), getattr(self.item, "obj", None)
        if isinstance(cls, type) and issubclass(cls, unittest.IsolatedAsyncioTestCase):
            return "isolated"
        if isinstance(cls, type) and issubclass(cls, unittest.TestCase):
            return "unittest"
        if type(self.item).__module__.startswith("pytest_asyncio"):
            return "asyncio"
        marks = {mark.name for mark in self.item.iter_markers()}
        if not inspect.iscoroutinefunction(inspect.unwrap(function) if callable(function) else function):
            return "asyncio" if "asyncio" in marks and hasattr(function, "__wrapped__") else "sync"
        if "asyncio" in marks and self.asyncio_version:
            return "asyncio"
        return (
            "anyio"
            if "anyio" in marks or "anyio_backend" in getattr(self.item, "fixturenames", ())
            else "sync"
        )

    @cached_property
    def asyncio_version(self) -> Version | None:
        """Return the version of pytest-asyncio that runs in this suite, as numbers; None without it."""
        if not self.config.pluginmanager.hasplugin("asyncio"):
            return None
        try:
            return tuple(map(int, re.findall(r"\d+", version("pytest-asyncio"))[:3]))
        except PackageNotFoundError:
            return None

    @cached_property
    def definitions(self) -> list[Any]:
        """Every definition of a fixture that some test of the suite uses, as pytest has them."""
        infos = (getattr(item, "_fixtureinfo", None) for item in self.item.session.items)
        every = (d for info in infos if info for found in info.name2fixturedefs.values() for d in found)
        return list({id(definition): definition for definition in every}.values())

    def definition(self, name: str) -> Any:
        """Return the definition of this name that the test uses, or else some test; None without any."""
        mine = getattr(self.item, "_fixtureinfo", None)
        if mine is not None and (found := mine.name2fixturedefs.get(name)):
            return found[-1]
        return next((each for each in reversed(self.definitions) if each.argname == name), None)

    def setting(self, name: str) -> Any:
        """Return a setting of the ini file; None if it is not set, or unknown to every plugin."""
        try:
            return self.config.getini(name)
        except (KeyError, ValueError):
            return None

    def shown(self, path: Path | str) -> str:
        """Return a path as it is written in advice: relative to pytest's root where it lies below it."""
        path, root = Path(path), Path(self.config.rootpath)
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)

    @property
    def file(self) -> str:
        """The test's own file."""
        return self.shown(self.item.path)

    @property
    def conftest(self) -> str:
        """The conftest.py that is nearest to the test; where there is none, the one to create beside it."""
        folder, root = Path(self.item.path).parent, Path(self.config.rootpath)
        for each in (folder, *folder.parents):
            if (each / "conftest.py").exists():
                return self.shown(each / "conftest.py")
            if each == root:
                break
        return self.shown(folder / "conftest.py")

    def in_settings(self, settings: dict[str, str]) -> list[str]:
        """Return the lines that tell to set these names in the file from which pytest reads its settings."""
        path = self.config.inipath
        if path is None:
            block = ["[pytest]", *(f"{name} = {value}" for name, value in settings.items())]
            return ["add to pytest.ini:", *indented(block)]
        quote = '"' if path.suffix == ".toml" else ""
        written = [f"`{name} = {quote}{value}{quote}`" for name, value in settings.items()]
        return [f"in {self.shown(path)}, set {' and '.join(written)}"]


def indented(block: list[str]) -> list[str]:
    """Return lines of code as an advice has them below its sentence."""
    return [f"    {each}".rstrip() for each in block]
