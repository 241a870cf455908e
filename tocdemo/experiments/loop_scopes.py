"""Nine small suites: a fixture's scope against the tests' loop scope, each function, module or session.

Each suite is generated, run inline on real Motor and thrown away. It knows nothing of the backend and its 28
tests.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from tocdemo.display.looks import verdict
from tocdemo.display.tables import Cell, attributes, head, html_table, paragraph, text_table
from tocdemo.errors import BadInput
from tocdemo.runner import inline
from tocdemo.runner.result import Run
from tocdemo.subject import sources

SCOPES = ("function", "module", "session")
FILES = {"test_one.py": ("first", "second"), "test_two.py": ("third", "fourth")}

_SETTINGS = """\
[pytest]
asyncio_mode = strict
asyncio_default_fixture_loop_scope = function
addopts = -p tocdemo.runner.database_plugin
"""
_CONFTEST = """\
import os

import pytest_asyncio
from motor.motor_asyncio import AsyncIOMotorClient


@pytest_asyncio.fixture(scope="{scope}", loop_scope="{scope}")
async def books():
    client = AsyncIOMotorClient(os.environ["DATABASE_URI"])
    books = client[os.environ["DATABASE_NAME"]]["books"]
{use}    yield books
    client.close()
"""
_USE = '    await books.insert_one({"title": "From the fixture"})\n'
_TEST = """

@pytest.mark.asyncio(loop_scope="{scope}")
async def test_{name}(books):
    await books.insert_one({{"title": "The {name} book"}})
"""
_BOX = "min-width:11em;padding:6px 8px;text-align:center;vertical-align:middle"
_HEAD = "padding:2px 10px 2px 0;text-align:left;font-weight:normal;white-space:nowrap"


@dataclass(frozen=True)
class Square:
    """Nine runs, by the fixture's scope and the loop scope of the tests. In a notebook a 3 x 3 table.

    `uses` says whether the fixture uses its client itself, before the tests do.
    """

    runs: Mapping[tuple[str, str], Run]
    uses: bool

    def run(self, fixture: str, tests: str) -> Run:
        """Return one of the nine runs. Raises BadInput for a scope that does not exist."""
        return self.runs[_known(fixture), _known(tests)]

    def __str__(self) -> str:
        rows = [["", *map(_test_loop, SCOPES)]]
        rows += [[_fixture(scope), *(_words(self.run(scope, each)) for each in SCOPES)] for scope in SCOPES]
        return "\n".join([self._title(), *text_table(rows)])

    def _repr_html_(self) -> str:
        heads = [head(_test_loop(scope), f"{_BOX};font-weight:normal") for scope in SCOPES]
        rows = [
            [head(_fixture(scope), _HEAD), *(_box(self.run(scope, each)) for each in SCOPES)]
            for scope in SCOPES
        ]
        square = html_table([[head(""), *heads], *rows], gap=2)
        return paragraph(f"<b>{escape(self._title())}</b>", "margin:6px 0") + square

    def _title(self) -> str:
        seconds = sum(run.seconds for run in self.runs.values())
        what = "makes a client and uses it" if self.uses else "only makes a client"
        return f"The fixture {what}: 9 runs of 4 tests in {seconds:.1f} s"


def conftest(fixture: str, *, uses: bool = False) -> str:
    """Return the conftest.py with a client fixture of that scope, on a loop of that scope.

    With `uses` the fixture uses the client itself. Raises BadInput for a scope that does not exist.
    """
    return _CONFTEST.format(scope=_known(fixture), use=_USE if uses else "")


def file_of_tests(scope: str, name: str = "test_one.py") -> str:
    """Return one of FILES: two tests on a loop of that scope. Raises BadInput for an unknown scope."""
    return "import pytest\n" + "".join(_TEST.format(scope=_known(scope), name=test) for test in FILES[name])


def run(fixture: str, test_loop: str, *, uses: bool = False) -> Run:
    """Run one combination, four tests in two files, in a folder that is thrown away, and return its Run."""
    files = {"pytest.ini": _SETTINGS, "conftest.py": conftest(fixture, uses=uses)}
    files |= {name: file_of_tests(test_loop, name) for name in FILES}
    with sources.copied(files) as folder:
        return inline.run(folder, title=f"fixture {fixture}, tests {test_loop}")


def measure(*, uses: bool = False) -> Square:
    """Run all nine combinations, and return them."""
    pairs = itertools.product(SCOPES, SCOPES)
    return Square({pair: run(*pair, uses=uses) for pair in pairs}, uses)


def _known(scope: str) -> str:
    if scope not in SCOPES:
        raise BadInput(f"There is no scope {scope!r} here; there are {', '.join(SCOPES)}")
    return scope


def _fixture(scope: str) -> str:
    return f"a fixture for each {scope}" if scope != "session" else "one fixture for the session"


def _test_loop(scope: str) -> str:
    return f"a test loop for each {scope}" if scope != "session" else "one test loop for the session"


def _words(run: Run) -> str:
    return f"{verdict(run.green).symbol} {run.counts}"


def _box(run: Run) -> Cell:
    look = verdict(run.green)
    small = attributes(style="font-size:0.93em")
    why = "".join(f"<br><span{small}>{escape(_short(line))}</span>" for line in run.error_lines)
    style = f"{_BOX};background-color:{look.background};color:{look.colour}"
    return Cell(f"<b>{escape(_words(run))}</b>{why}", style)


def _short(error: str) -> str:
    """The end of a long message says what is wrong: the beginning names tasks."""
    return error if len(error) < 50 else f"… {error.rpartition('<…> ')[2]}"[:60]
