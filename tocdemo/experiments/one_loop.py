"""One small suite in each of the ways to run async tests: its event loops, and whether one client will do.

The suites are generated, run inline with PyMongo's `AsyncMongoClient`, and thrown away. It knows nothing of
the backend and its 28 tests.
"""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from tocdemo.display.code import preformatted
from tocdemo.display.looks import verdict
from tocdemo.display.tables import LEFT, Cell, head, html_table, paragraph, text_table, words
from tocdemo.errors import BadInput, CannotRun
from tocdemo.runner import inline
from tocdemo.runner.result import Run
from tocdemo.subject import sources

BOOKS = '''\
"""Books in a database, through one client, which is made when this module is imported."""

import os

from pymongo import AsyncMongoClient

client = AsyncMongoClient(os.environ["DATABASE_URI"])


async def add(title):
    await client[os.environ["DATABASE_NAME"]]["books"].insert_one({"title": title})
'''
TESTS = ("first", "second", "third")
_PLAIN = """\
import asyncio

from books import add


def test_plain():
    asyncio.run(add("The plain book"))
"""
_SETTINGS = "[pytest]\npythonpath = .\naddopts = -p tocdemo.runner.database_plugin\n"
_FUNCTION = "asyncio_default_fixture_loop_scope = function\n"
_SESSION = "asyncio_default_fixture_loop_scope = session\nasyncio_default_test_loop_scope = session\n"
_UVLOOP = """\
import uvloop


def pytest_asyncio_loop_factories(config, item):
    return {"uvloop": uvloop.new_event_loop}
"""
_ANYIO = """\
import pytest


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"
"""
_ANYIO_SESSION = (
    _ANYIO
    + """

@pytest.fixture(scope="session", autouse=True)
async def one_loop(anyio_backend):
    yield
"""
)


@dataclass(frozen=True)
class Setup:
    """A way to run the suite: how its tests are marked, and what stands in pytest.ini and conftest.py.

    Without a `mark` they are methods of unittest's IsolatedAsyncioTestCase. `needs` is a package that may be
    missing.
    """

    mark: str = ""
    settings: str = ""
    conftest: str = ""
    needs: str = ""

    def files(self, plain: bool) -> dict[str, str]:
        """Return the texts of the suite, by their paths; if `plain`, with a test that is not async."""
        files = {
            "pytest.ini": _SETTINGS + (self.settings or _FUNCTION),
            "books.py": BOOKS,
            "test_books.py": self._tests(),
        }
        files |= {"conftest.py": self.conftest} if self.conftest else {}
        return files | ({"test_plain.py": _PLAIN} if plain else {})

    def _tests(self) -> str:
        if not self.mark:
            methods = (
                f'    async def test_{each}(self):\n        await add("The {each} book")\n' for each in TESTS
            )
            case = "class TestBooks(unittest.IsolatedAsyncioTestCase):\n"
            return f"import unittest\n\nfrom books import add\n\n\n{case}" + "\n".join(methods)
        tests = (
            f'\n\n@{self.mark}\nasync def test_{each}():\n    await add("The {each} book")\n'
            for each in TESTS
        )
        return "import pytest\nfrom books import add\n" + "".join(tests)


_ASYNCIO, _ANYIO_MARK = "pytest.mark.asyncio", "pytest.mark.anyio"
SETUPS: Mapping[str, Setup] = {
    "pytest-asyncio": Setup(_ASYNCIO),
    "pytest-asyncio, session": Setup(_ASYNCIO, _SESSION),
    "anyio": Setup(_ANYIO_MARK, conftest=_ANYIO),
    "anyio, session": Setup(_ANYIO_MARK, conftest=_ANYIO_SESSION),
    "unittest": Setup(),
    "uvloop": Setup(_ASYNCIO, conftest=_UVLOOP, needs="uvloop"),
    "uvloop, session": Setup(_ASYNCIO, _SESSION, _UVLOOP, needs="uvloop"),
}


@dataclass(frozen=True)
class Ways:
    """The runs by their set-up: the suite alone, and with a plain test beside it. None: could not run."""

    runs: Mapping[str, tuple[Run, Run] | None] = field(default_factory=dict)

    def __str__(self) -> str:
        return "\n".join(text_table([self._heads(), *(self._words(name) for name in self.runs)]))

    def _repr_html_(self) -> str:
        heads = [head(each) for each in self._heads()]
        return html_table([heads, *(self._cells(name) for name in self.runs)], gap=2) + paragraph(
            escape("A loop counts when one of the three tests runs on it.")
        )

    def _heads(self) -> list[str]:
        return [
            "set-up",
            f"loops for {len(TESTS)} tests",
            "one client for all of them",
            "a plain test beside",
        ]

    def _words(self, name: str) -> list[str]:
        runs = self.runs[name]
        if runs is None:
            return [name, f"{SETUPS[name].needs} is not installed here", "", ""]
        return [name, str(loops_of(runs[0])), *(f"{verdict(run.green).symbol} {run.counts}" for run in runs)]

    def _cells(self, name: str) -> list[Cell]:
        texts = self._words(name)
        runs = self.runs[name] or ()
        looks = [verdict(run.green) for run in runs]
        boxes = [
            words(text, f"{LEFT};padding:4px 8px;background-color:{look.background};color:{look.colour}")
            for text, look in zip(texts[2:], looks, strict=False)
        ]
        return [head(texts[0]), words(texts[1]), *boxes]


def loops_of(run: Run) -> int:
    """Return on how many event loops the async tests of a run ran."""
    return len({each.loop for each in run.results if each.loop is not None and each.name != "test_plain"})


@dataclass(frozen=True)
class Suite:
    """The files of a set-up, to be shown."""

    files: Mapping[str, str]

    def __str__(self) -> str:
        return "\n".join(f"--- {path}\n{text}" for path, text in self.files.items())

    def _repr_html_(self) -> str:
        return preformatted(str(self))


def show(name: str) -> Suite:
    """Show what a set-up consists of, but for the module of the books. Raises BadInput for an unknown one."""
    files = _setup(name).files(plain=False)
    return Suite({path: text for path, text in files.items() if path != "books.py"})


def write(name: str, folder: Path) -> None:
    """Write the files of a set-up into a folder, whatever is there. Raises BadInput for an unknown one."""
    sources.write(_setup(name).files(plain=False), folder)


def run(name: str, *, plain: bool = False) -> Run:
    """Run the suite in one set-up; if `plain`, with the plain test beside it.

    Raises BadInput for an unknown one, and CannotRun where the package that it needs is missing.
    """
    setup = _setup(name)
    if setup.needs and importlib.util.find_spec(setup.needs) is None:
        raise CannotRun(f"{setup.needs} is not installed here: pip install {setup.needs}")
    with sources.copied(setup.files(plain)) as folder:
        return inline.run(folder, title=f"{name}, with a plain test" if plain else name)


def measure() -> Ways:
    """Run the suite in every set-up that can run here, alone and with the plain test beside it."""
    runs: dict[str, tuple[Run, Run] | None] = {}
    for name in SETUPS:
        try:
            runs[name] = run(name), run(name, plain=True)
        except CannotRun:
            runs[name] = None
    return Ways(runs)


def _setup(name: str) -> Setup:
    if name not in SETUPS:
        raise BadInput(f"There is no set-up {name!r}; there are {', '.join(SETUPS)}")
    return SETUPS[name]
