"""Nine small suites: a fixture's scope against the tests' loop scope, each function, module or session.

A fixture's scope is its loop's, too, unless its loop is named: then the two are told apart. Each suite is
generated, run inline on real Motor and thrown away. It knows nothing of the backend and its 28 tests.
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
FIXTURE_SCOPES = (
    "function",
    "class",
    "module",
    "package",
    "session",
)  # pytest's own, for a loop that is named
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


@pytest_asyncio.fixture(scope="{scope}", loop_scope="{loop}")
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
    """Runs, by the fixture's scope and the loop scope of the tests. In a notebook a table, of 3 x 3 mostly.

    `uses` says whether the fixture uses its client itself, before the tests do; `loop` is the loop scope of
    every fixture, or None where it is the fixture's own scope.
    """

    runs: Mapping[tuple[str, str], Run]
    uses: bool
    loop: str | None = None

    def run(self, fixture: str, tests: str) -> Run:
        """Return one of the nine runs. Raises BadInput for a scope that does not exist."""
        return self.runs[_known(fixture, self._scopes), _known(tests)]

    @property
    def _scopes(self) -> tuple[str, ...]:
        return _scopes_on(self.loop)

    def __str__(self) -> str:
        rows = [["", *map(_test_loop, SCOPES)]]
        rows += [
            [_fixture(scope), *(_words(self.run(scope, each)) for each in SCOPES)] for scope in self._scopes
        ]
        return "\n".join([self._title(), *text_table(rows)])

    def _repr_html_(self) -> str:
        heads = [head(_test_loop(scope), f"{_BOX};font-weight:normal") for scope in SCOPES]
        rows = [
            [head(_fixture(scope), _HEAD), *(_box(self.run(scope, each)) for each in SCOPES)]
            for scope in self._scopes
        ]
        square = html_table([[head(""), *heads], *rows], gap=2)
        return paragraph(f"<b>{escape(self._title())}</b>", "margin:6px 0") + square

    def _title(self) -> str:
        seconds = sum(run.seconds for run in self.runs.values())
        what = "makes a client and uses it" if self.uses else "only makes a client"
        where = f", on the loop of the {self.loop}" if self.loop else ""
        return f"The fixture {what}{where}: {len(self.runs)} runs of 4 tests in {seconds:.1f} s"


def conftest(fixture: str, *, uses: bool = False, loop: str | None = None) -> str:
    """Return the conftest.py with a client fixture of that scope, on a loop of that scope or of scope `loop`.

    With `uses` the fixture uses the client itself. Raises BadInput for a scope that does not exist.
    """
    scope = _known(fixture, _scopes_on(loop))
    return _CONFTEST.format(scope=scope, loop=_known(loop or scope), use=_USE if uses else "")


def file_of_tests(scope: str, name: str = "test_one.py") -> str:
    """Return one of FILES: two tests on a loop of that scope. Raises BadInput for an unknown scope."""
    return "import pytest\n" + "".join(_TEST.format(scope=_known(scope), name=test) for test in FILES[name])


def run(fixture: str, test_loop: str, *, uses: bool = False, loop: str | None = None) -> Run:
    """Run one combination, four tests in two files, in a folder that is thrown away, and return its Run."""
    files = {"pytest.ini": _SETTINGS, "conftest.py": conftest(fixture, uses=uses, loop=loop)}
    files |= {name: file_of_tests(test_loop, name) for name in FILES}
    with sources.copied(files) as folder:
        return inline.run(folder, title=f"fixture {fixture}, tests {test_loop}")


def measure(*, uses: bool = False, loop: str | None = None) -> Square:
    """Run all combinations, and return them.

    There are nine. With a `loop` that every fixture runs on there are fifteen: the fixture's own scopes are
    then pytest's five. pytest refuses a fixture whose scope is wider than its loop's.
    """
    pairs = itertools.product(_scopes_on(loop), SCOPES)
    return Square({pair: run(*pair, uses=uses, loop=loop) for pair in pairs}, uses, loop)


def _scopes_on(loop: str | None) -> tuple[str, ...]:
    return SCOPES if loop is None else FIXTURE_SCOPES


def _known(scope: str, scopes: tuple[str, ...] = SCOPES) -> str:
    if scope not in scopes:
        raise BadInput(f"There is no scope {scope!r} here; there are {', '.join(scopes)}")
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
