"""Tests of a notebook's cells, without a notebook: a namespace, and texts that are executed in it."""

import linecache
import os
import sys
import threading
import time
import types
from pathlib import Path
from textwrap import dedent

import pytest

from tocdemo.errors import CannotRun
from tocdemo.runner import cells, stopping
from tocdemo.runner.cells import Cell, is_cell
from tocdemo.subject.tests.projects import lay_out


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    for name in ("TOCDEMO_BACKEND", "TOCDEMO_MONGO_URI"):
        monkeypatch.delenv(name, raising=False)


class Notebook:
    """A namespace, and cells that are counted; `plain` runs one that is no cell of tests."""

    def __init__(self, names):
        self.names = names
        self.count = 0

    def plain(self, text):
        self.count += 1
        file, text = f"/plain/cell/{id(self)}-{self.count}.py", dedent(text)
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        exec(compile(text, file, "exec"), self.names)

    def tests(self, text, **options):
        self.count += 1
        return cells.run_cell(Cell(dedent(text), self.count), self.names, self._options(options))

    def again(self, *names, **options):
        self.count += 1
        given = [self.names[name] for name in names]
        return cells.run_functions(given, self.names, self._options(options))

    def _options(self, options):
        return cells.CellOptions(label=self.label, **options)

    def label(self, file):
        start = f"/plain/cell/{id(self)}-"
        number = file.removeprefix(start).removesuffix(".py")
        return f"Cell In[{number}]" if file.startswith(start) else None


@pytest.fixture
def notebook(monkeypatch):
    main = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    yield Notebook(vars(main))
    for file in list(filter(is_cell, linecache.cache)):  # the next notebook's cells are counted from 1 again
        del linecache.cache[file]


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    return lay_out(tmp_path_factory.mktemp("fixed") / "workspace")


def outcomes(run):
    return {result.name: result.outcome for result in run.results}


# --- What runs ---------------------------------------------------------------------------------------------

FIXTURES = """
    import asyncio, pytest, pytest_asyncio

    @pytest.fixture
    def five():
        return 5

    @pytest_asyncio.fixture
    async def six():
        await asyncio.sleep(0)
        yield 6

    def double(number):
        return 2 * number
"""
# A plain cell before it, the cell, and the outcomes of the cell's tests in their order.
RUNS = {
    "a sync test": ("", "def test_a(): pass", "test_a passed"),
    "an async test without a mark": (
        "",
        """
        import asyncio
        async def test_a():
            await asyncio.sleep(0)
            assert asyncio.get_running_loop()
        """,
        "test_a passed",
    ),
    "an async test with a mark": (
        FIXTURES,
        "@pytest.mark.asyncio\nasync def test_a(): pass",
        "test_a passed",
    ),
    "a test of anyio": (FIXTURES, "@pytest.mark.anyio\nasync def test_a(): pass", "test_a[asyncio] passed"),
    "names of another cell": (FIXTURES, "def test_a(): assert double(2) == 4", "test_a passed"),
    "fixtures of another cell": (FIXTURES, "async def test_a(five, six): assert five < six", "test_a passed"),
    "fixtures of its own before those of another cell": (
        FIXTURES,
        "@pytest.fixture\ndef five(): return 55\ndef test_a(five): assert five == 55",
        "test_a passed",
    ),
    "an async fixture without a mark": (
        FIXTURES,
        "@pytest.fixture\nasync def seven(): return 7\nasync def test_a(seven): assert seven == 7",
        "test_a passed",
    ),
    "a fixture that applies by itself, of a plain cell": (
        "import pytest\nseen = []\n@pytest.fixture(autouse=True)\ndef always(): seen.append(1)",
        "def test_a(): assert seen",
        "test_a passed",
    ),
    "a class": (
        "",
        "class TestIt:\n    def test_a(self): pass\n    async def test_b(self): assert 0",
        "test_a passed, test_b failed",
    ),
    "unittest's classes": (
        "",
        """
        import unittest
        class Sync(unittest.TestCase):
            def test_a(self): self.assertEqual(1, 2)
        class Async(unittest.IsolatedAsyncioTestCase):
            async def test_b(self): self.assertEqual(1, 1)
        """,
        "test_a failed, test_b passed",
    ),
    "parameters with braces and in Unicode": (
        FIXTURES,
        "@pytest.mark.parametrize('word', ['{a}', 'ü', 'x y'])\ndef test_a(word): assert word != 'ü'",
        "test_a[{a}] passed, test_a[ü] failed, test_a[x y] passed",
    ),
    "marks, counted as in a file": (
        FIXTURES,
        """
        @pytest.mark.skip(reason="not now")
        def test_skip(): assert 0
        @pytest.mark.xfail
        def test_xfail(): assert 0
        @pytest.mark.xfail
        def test_xpass(): pass
        @pytest.mark.xfail(strict=True)
        def test_strict(): pass
        """,
        "test_skip skipped, test_xfail skipped, test_xpass passed, test_strict failed",
    ),
    "an error in a fixture": (
        FIXTURES,
        "@pytest.fixture\ndef bad(): raise ValueError('no')\ndef test_a(bad): pass",
        "test_a error",
    ),
    "in the order of the cell": (
        "def test_b(): pass",
        "def test_c(): pass\ndef test_b(): pass\ndef test_a(): pass",
        "test_c passed, test_b passed, test_a passed",
    ),
    "not the tests of other cells": ("def test_old(): assert 0", "def test_new(): pass", "test_new passed"),
    "what it defines in an `if`, or by a name that it makes": (
        "",
        "if True:\n    def test_a(): pass\nglobals()['test_' + 'b'] = lambda: None",
        "test_a passed, test_b passed",
    ),
    "what pytest looks for in a module": (
        "",
        "log = []\ndef setup_module(): log.append('module')\ndef setup_function(): log.append('function')\n"
        "def test_a(): assert log == ['module', 'function']",
        "test_a passed",
    ),
    "marks of the whole cell": (
        FIXTURES,
        "pytestmark = pytest.mark.skip\ndef test_a(): assert 0",
        "test_a skipped",
    ),
    "a test that has a file": (
        "",
        "from pathlib import Path\ndef test_a(): assert not Path(__file__).exists()",
        "test_a passed",
    ),
}


@pytest.mark.parametrize("before", [pytest.param(run, id=name) for name, run in RUNS.items()])
def test_a_cell_runs(notebook, before):
    earlier, cell, expected = before
    notebook.plain(earlier)
    run = notebook.tests(cell)
    assert ", ".join(f"{name} {outcome}" for name, outcome in outcomes(run).items()) == expected
    assert run.title == "Cell In[2]"
    assert "__file__" not in notebook.names


def test_marks_of_one_cell_are_not_those_of_the_next(notebook):
    notebook.tests("import pytest\npytestmark = pytest.mark.skip\ndef test_a(): pass")
    assert outcomes(notebook.tests("def test_b(): pass")) == {"test_b": "passed"}


def test_a_fixture_that_applies_by_itself_stays_with_its_cells_tests(notebook):
    cell = "import pytest\nseen = []\n@pytest.fixture(autouse=True)\ndef always(): seen.append(1)"
    notebook.tests(f"{cell}\ndef test_a(): pass")
    assert len(notebook.names["seen"]) == 1
    assert notebook.tests("def test_b(): pass").green
    assert len(notebook.names["seen"]) == 1
    assert notebook.tests("def test_c(always): pass").green
    assert len(notebook.names["seen"]) == 2


def test_the_same_cell_again_replaces_its_tests(notebook):
    first = notebook.tests("def test_a(): assert 1 == 2\ndef test_b(): pass")
    second = notebook.tests("def test_a(): assert 1 == 1")
    assert (outcomes(first), outcomes(second)) == (
        {"test_a": "failed", "test_b": "passed"},
        {"test_a": "passed"},
    )
    assert outcomes(notebook.again("test_a", "test_b")) == {"test_a": "passed", "test_b": "passed"}


def test_each_test_has_its_own_loop_and_names_stay_in_the_notebook(notebook):
    run = notebook.tests("number = 3\nasync def test_a(): pass\nasync def test_b(): pass\ndef test_c(): pass")
    assert [result.loop for result in run.results] == [1, 2, None]
    assert notebook.names["number"] == 3
    notebook.names["test_c"]()


def test_the_keyword_narrows_a_cell(notebook):
    cell = "def test_add(): pass\ndef test_add_slow(): assert 0\ndef test_drop(): assert 0"
    assert outcomes(notebook.tests(cell, keyword="add and not slow")) == {"test_add": "passed"}


# --- What is shown -----------------------------------------------------------------------------------------


def test_a_failure_points_into_the_cell_and_says_what_was_compared(notebook):
    notebook.plain(FIXTURES)
    run = notebook.tests("# a line above\ndef test_a(five):\n    assert double(five) == 11\n")
    assert run.error_lines == {"AssertionError: assert 10 == 11": 1}
    assert run.trace("test_a").splitlines() == [
        "Cell In[2], line 3: in test_a",
        "    assert double(five) == 11",
        "E   assert 10 == 11",
        "E    +  where 10 = double(5)",
    ]
    for shown in (str(run), run._repr_mimebundle_()["text/html"]):
        assert "Cell In[2], line 3: in test_a" in shown
        assert "tocdemo-cells-" not in shown


def test_a_step_through_a_plain_cell_is_named_as_that_cell(notebook):
    notebook.plain("def helper():\n    raise ValueError('deep')")
    run = notebook.tests("def test_a(): helper()")
    assert "Cell In[1], line 2: in helper" in run.trace("test_a")
    assert "/plain/cell" not in run.trace("test_a")


def test_pytests_own_steps_are_left_out(notebook):
    notebook.plain(FIXTURES)
    run = notebook.tests("def test_a(): assert five() == 5")
    assert run.trace("test_a").startswith("Cell In[2], line 1: in test_a")
    assert "_pytest" not in run.trace("test_a")
    assert "called directly" in run.trace("test_a")


def test_a_missing_fixture_is_named_and_so_are_those_there(notebook):
    notebook.plain(FIXTURES)
    run = notebook.tests("def test_a(fife): pass")
    assert run.error_lines == {"fixture 'fife' not found": 1}
    assert ", five, " in run.trace("test_a")


def test_what_a_test_prints_is_shown_with_it(notebook, capsys):
    run = notebook.tests("print('of the cell')\ndef test_a(): print('of the test')\ndef test_b(): pass")
    assert list(run.printed.values()) == ["of the test\n"]
    assert "test_a printed:\nof the test" in str(run)
    assert "test_a printed" in run._repr_mimebundle_()["text/html"]
    assert "of the cell" in capsys.readouterr().out


WARNINGS = {
    "a test that returns": ("def test_a(): return 1 == 2", "Did you mean to use `assert`"),
    "a coroutine that nobody awaits": (
        "import asyncio\nasync def test_a():\n    asyncio.sleep(0)",
        "Cell In[1], line 3: coroutine 'sleep' was never awaited",
    ),
    "an assertion that is always true": (
        "def test_a():\n    assert (1 == 2, 'so')",
        "Cell In[1], line 2: assertion is always true",
    ),
    "a class with __init__": (
        "def test_a(): pass\nclass TestIt:\n    def __init__(self): pass\n    def test_b(self): pass",
        "cannot collect test class 'TestIt' because it has a __init__",
    ),
}


@pytest.mark.parametrize(("cell", "warning"), WARNINGS.values(), ids=WARNINGS)
def test_what_is_green_for_the_wrong_reason_comes_with_a_warning(notebook, cell, warning):
    run = notebook.tests(cell)
    assert run.green
    assert any(warning in text for text in run.warnings), run.warnings
    assert warning.partition("`")[0] in str(run)


def test_warnings_of_libraries_are_not_the_cells(notebook):
    run = notebook.tests(
        "import warnings\ndef test_a(): warnings.warn_explicit('old', DeprecationWarning, 'lib.py', 1)"
    )
    assert run.warnings == ()


CLIENT = """
    import os
    from motor.motor_asyncio import AsyncIOMotorClient

    client = AsyncIOMotorClient(os.environ["DATABASE_URI"])

    async def test_a():
        assert await client.library.books.count_documents({}) == 0

    async def test_b():
        assert await client.library.books.count_documents({}) == 0
"""


def test_the_recorder_explains_and_draws_a_cell_as_it_does_a_file(notebook):
    run = notebook.tests(CLIENT, backend="embedded")
    assert run.error_lines == {"RuntimeError: Event loop is closed": 1}
    explanation = str(run.explain())
    assert "bound:     at its first use, Cell In[1], line 8, in test_a (call)" in explanation
    assert "held as:   __main__.client, made there (line 5)" in explanation
    assert "Cell In[1], line 5" in explanation
    for text in (explanation, str(run.timeline()), str(run.who_holds_what())):
        assert "tocdemo-cells-" not in text
    assert "Cell In[1]" in str(run.timeline())


def test_a_client_made_once_is_explained_when_its_tests_run_again(notebook):
    assert notebook.tests(CLIENT, backend="embedded").passed == 1
    again = notebook.again("test_a", "test_b", backend="embedded")
    assert again.error_lines == {"RuntimeError: Event loop is closed": 2}


# --- In a folder -------------------------------------------------------------------------------------------

IN_BACKEND = """
    from app.db import base

    async def test_stored(motor_reinit_db, sample_book_data):
        await base.books_collection.insert_one(sample_book_data)
        assert await base.books_collection.count_documents({}) == 1

    async def test_empty(motor_reinit_db, audit_entries):
        assert await base.books_collection.count_documents({}) == 0
        assert audit_entries == []
"""


def state_of(folder):
    return {path: path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}


@pytest.mark.parametrize("place", ["", "tests", "tests/test_db", "tests/test_db/test_toc_transactions.py"])
def test_in_a_folder_its_conftest_and_its_app_are_used_and_nothing_is_written(notebook, backend, place):
    before, path, modules = state_of(backend), list(sys.path), set(sys.modules)
    environment = dict(os.environ)
    for _ in range(2):
        run = notebook.tests(IN_BACKEND, folder=backend / place)
        assert outcomes(run) == {"test_stored": "passed", "test_empty": "passed"}
    assert state_of(backend) == before
    assert sys.path == path
    assert not {
        name for name in set(sys.modules) - modules if name.partition(".")[0] in ("app", "tests", "conftest")
    }
    assert notebook.names["base"].__file__ == str(backend / "app/db/base.py")
    assert dict(os.environ) == environment
    assert vars(sys.modules["__main__"]) is notebook.names


def test_tests_of_a_folder_run_again_there_on_fresh_modules(notebook, backend):
    notebook.tests(IN_BACKEND, folder=backend)
    first = notebook.names["base"]
    run = notebook.again("test_stored")
    assert outcomes(run) == {"test_stored": "passed"}
    assert notebook.names["base"] is not first


def test_a_name_copied_from_the_app_is_explained_with_its_line_in_the_cell(notebook, tmp_path):
    folder = lay_out(tmp_path / "broken", ("unbound-client",))
    cell = dedent(IN_BACKEND).replace("import base", "import base\nfrom app.db.base import books_collection")
    run = notebook.tests(cell.replace("base.books_collection", "books_collection"), folder=folder)
    assert run.error_lines == {"RuntimeError: Event loop is closed": 1}
    words = str(run.explain())
    assert "copied from app.db.base by `from app.db.base import books_collection` (line 3)" in words
    assert "Cell In[1], line 3: write `from app.db import base` there" in words


def test_a_folder_keeps_its_own_mode_but_unmarked_tests_run(notebook, tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = strict\n")
    (tmp_path / "conftest.py").write_text("import pytest\n@pytest.fixture\nasync def five(): return 5\n")
    run = notebook.tests("async def test_a(): pass\nasync def test_b(five): pass", folder=tmp_path)
    assert outcomes(run) == {"test_a": "passed", "test_b": "error"}
    assert "requested an async fixture 'five'" in run.trace("test_b")


def test_hooks_of_the_folders_conftest_hold_for_the_cell(notebook, tmp_path):
    (tmp_path / "conftest.py").write_text("def pytest_runtest_setup(item): print('set up', item.name)\n")
    run = notebook.tests("def test_a(): pass", folder=tmp_path)
    assert list(run.printed.values()) == ["set up test_a\n"]


def test_a_folder_without_a_conftest_is_importable_too(notebook, tmp_path):
    (tmp_path / "helper_of_this_folder.py").write_text("answer = 42\n")
    (tmp_path / "test_other.py").write_text("def test_other(): assert 0\n")
    cell = "from helper_of_this_folder import answer\ndef test_a(): assert answer == 42"
    assert outcomes(notebook.tests(cell, folder=tmp_path)) == {"test_a": "passed"}


def test_a_folder_with_a_main_module_does_not_take_the_notebooks_place(notebook, tmp_path):
    (tmp_path / "__main__.py").write_text("print('the program')\n")
    cell = "import sys\ndef test_a(): assert vars(sys.modules['__main__']) is globals()"
    assert outcomes(notebook.tests(cell, folder=tmp_path)) == {"test_a": "passed"}


# --- Test functions that are there already -----------------------------------------------------------------


def test_functions_of_plain_cells_run_whatever_they_are_called(notebook):
    notebook.plain(FIXTURES)
    notebook.plain(
        """
        async def check(five):
            assert double(five) == 11

        class Checks:
            def test_it(self):
                assert double(2) == 5
        """
    )
    run = notebook.again("check", "Checks", "check")
    assert outcomes(run) == {"check": "failed", "test_it": "failed"}
    assert run.title == "check, Checks"
    assert run.trace("check").splitlines()[0] == "Cell In[2], line 3: in check"
    assert "where 10 = double(5)" in run.trace("check")
    assert "where 4 = double(2)" in run.trace("test_it")


def test_functions_of_several_cells_run_together(notebook):
    notebook.tests("def test_a(): assert 1 == 2")
    notebook.tests("def test_b(): assert 3 == 4\ndef test_c(): pass")
    notebook.plain(
        """
        import functools
        def kept(function):
            return functools.wraps(function)(lambda: function())
        @kept
        def test_d(): assert 5 == 6
        """
    )
    run = notebook.again("test_d", "test_b", "test_a")
    assert outcomes(run) == dict.fromkeys(["test_d", "test_b", "test_a"], "failed")
    assert [run.trace(name).splitlines()[-1] for name in outcomes(run)] == [
        "E   assert 5 == 6",
        "E   assert 3 == 4",
        "E   assert 1 == 2",
    ]


def test_a_cell_number_that_comes_twice_does_not_mix_up_lines(notebook):
    notebook.tests("def test_a(): assert 1 == 2")
    notebook.count -= 1
    notebook.tests("\n\ndef test_b(): assert 3 == 4")
    run = notebook.again("test_a", "test_b")
    assert "line 1: in test_a\n    def test_a(): assert 1 == 2" in run.trace("test_a")
    assert "line 3: in test_b\n    def test_b(): assert 3 == 4" in run.trace("test_b")


# --- Wrong inputs ------------------------------------------------------------------------------------------

REFUSED = {
    "no test": ("x = 1", {}, "There is no test in this cell: tests are functions named test_"),
    "a misspelt test": ("def tets_a(): pass", {}, "There is no test in this cell"),
    "a class that cannot be one": (
        "class TestIt:\n    def __init__(self): pass\n    def test_a(self): pass",
        {},
        r"There is no test in this cell.*Cell In\[1\], line 1: cannot collect test class 'TestIt'",
    ),
    "a keyword that fits none": (
        "def test_a(): pass\ndef test_b(): pass",
        {"keyword": "nothing"},
        "No test of the cell fits -k 'nothing'; there are test_a, test_b",
    ),
    "a keyword that is none": (
        "def test_a(): pass",
        {"keyword": "a and ("},
        "^Wrong expression passed to '-k'",
    ),
    "a folder that is not there": ("def test_a(): pass", {"folder": "nowhere"}, "There is no folder nowhere"),
    "a backend that is not there": (
        "def test_a(): pass",
        {"backend": "nowhere"},
        "^There is no backend 'nowhere'",
    ),
    "a cell that skips itself": (
        "import pytest\npytest.importorskip('a_module_of_nobody')\ndef test_a(): pass",
        {},
        "The cell skipped itself: could not import 'a_module_of_nobody'",
    ),
    "code that does not end": (
        "while True: pass\ndef test_a(): pass",
        {"timeout": 0.3},
        r"The cell's own code did not end within 0\.3 s",
    ),
}


@pytest.mark.parametrize(("cell", "options", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_run_is_refused_with_a_sentence(notebook, tmp_path, monkeypatch, cell, options, words):
    monkeypatch.chdir(tmp_path)
    if "folder" in options:
        options = {"folder": Path(options["folder"])}
    with pytest.raises(CannotRun, match=words):
        notebook.tests(cell, **options)


def test_a_run_within_a_cell_of_tests_is_refused(notebook):
    notebook.names["again"] = lambda *tests: cells.run_functions(tests, notebook.names)
    with pytest.raises(
        CannotRun, match="Tests are running already: %%tests runs the tests of its cell by itself"
    ):
        notebook.tests("def test_a(): pass\nagain(test_a)")


RAISED = {
    "no Python": ("x = 1\ny = (\n", SyntaxError, "never closed", 2),
    "an await outside of a test": (
        "import asyncio\nawait asyncio.sleep(0)\n",
        SyntaxError,
        "read like a test file",
        2,
    ),
    "an error outside of a test": ("x = 1\n\n1 / 0\ndef test_a(): pass", ZeroDivisionError, "division", 3),
    "a module that is not there": (
        "import nowhere_at_all\ndef test_a(): pass",
        ModuleNotFoundError,
        "nowhere",
        1,
    ),
}


@pytest.mark.parametrize(("cell", "error", "words", "line"), RAISED.values(), ids=RAISED)
def test_an_error_of_the_cell_itself_is_raised_with_its_line_and_nothing_runs(
    notebook, cell, error, words, line
):
    notebook.names["ran"] = []
    with pytest.raises(error, match=words) as caught:
        notebook.tests(f"{cell}\ndef test_it(): ran.append(1)")
    found = caught.value
    if error is SyntaxError:
        assert (found.lineno, found.filename.rpartition("/")[2]) == (line, "Cell In[1]")
    else:
        step = cells.inside(found.__traceback__)
        assert (step.tb_lineno, step.tb_frame.f_code.co_filename.rpartition("/")[2]) == (line, "Cell In[1]")
    assert notebook.names["ran"] == []


NO_TESTS = {
    "nothing": ((), "There is no test to run"),
    "a number": ((3,), "Expected test functions or test classes, such as test_one; found 3, of the type int"),
    "a name": (("test_one",), "found 'test_one', of the type str"),
    "a built-in": ((len,), "found <built-in function len>"),
    "a function of a file": (
        (dedent,),
        r"dedent lies in the file .*textwrap\.py, not in a cell.*only='dedent'",
    ),
}


@pytest.mark.parametrize(("given", "words"), NO_TESTS.values(), ids=NO_TESTS)
def test_what_is_no_test_is_refused_with_a_sentence(given, words):
    with pytest.raises(CannotRun, match=words):
        cells.run_functions(given, {})


def test_a_fixture_a_method_and_an_empty_class_are_refused_with_a_sentence(notebook):
    notebook.plain(f"{dedent(FIXTURES)}\nclass Empty:\n    def other(self): pass\nmethod = Empty.other")
    for name, words in {
        "five": "five is a fixture, and no test",
        "method": "other is a method of Empty: give the class, Empty",
        "Empty": "The class Empty has no test: its methods must be named test_",
    }.items():
        with pytest.raises(CannotRun, match=words):
            notebook.again(name)


def test_tests_of_two_folders_are_refused_with_a_sentence(notebook, tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        notebook.tests(f"def test_{name}(): pass", folder=tmp_path / name)
    with pytest.raises(CannotRun, match=r"different folders \(test_a in .*/a, test_b in .*/b\)"):
        notebook.again("test_a", "test_b")


# --- Clock -------------------------------------------------------------------------------------------------


def test_a_test_that_hangs_is_stopped(notebook):
    begin = time.monotonic()
    run = notebook.tests(
        "import asyncio\nasync def test_a(): await asyncio.sleep(60)\ndef test_b(): pass", timeout=0.3
    )
    assert time.monotonic() - begin < 10
    assert outcomes(run) == {"test_a": "failed", "test_b": "passed"}
    assert run.error_lines == {"Stopped after 0.3 s: the test did not end by itself": 1}


def test_the_notebook_is_itself_again_when_a_run_was_given_up(notebook, monkeypatch):
    held, wait = threading.Event(), stopping.wait_for_earlier
    notebook.names["held"] = held
    run = notebook.tests("def test_a():\n    held.wait(60)\ndef test_b(): pass", timeout=0.2)
    assert "It cannot be stopped from outside" in run.note
    monkeypatch.setattr(stopping, "GRACE", 30.0)  # on a busy machine, too, it ends while the next run waits
    monkeypatch.setattr(stopping, "wait_for_earlier", lambda: (held.set(), wait()))
    assert notebook.tests("def test_c(): assert __file__.endswith('Cell In[2]')").green
    assert "__file__" not in notebook.names
    assert vars(sys.modules["__main__"]) is notebook.names
