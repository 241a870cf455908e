"""The magic `%%tests` and the running of functions, in IPython: the line, the output, the errors."""

import linecache
import re
import subprocess
import sys
from textwrap import dedent

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from tocdemo import lab
from tocdemo.course.jupyter import execute
from tocdemo.errors import CannotRun, TocdemoError
from tocdemo.lab.notebook import NOTEBOOK
from tocdemo.runner.cells import is_cell
from tocdemo.runner.result import Run
from tocdemo.subject.tests.projects import lay_out

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    for name in ("TOCDEMO_BACKEND", "TOCDEMO_MONGO_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    folder = lay_out(tmp_path / "course" / "workspace")
    monkeypatch.setenv("TOCDEMO_WORKSPACE", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


class Cells:
    """Runs cells in a shell; `value`, `output` and `error` are what the last one gave, showed and raised."""

    def __init__(self, shell):
        self.shell = shell

    def __call__(self, text):
        with capture_output() as captured:
            result = self.shell.run_cell(dedent(text).lstrip("\n"), store_history=True)
        self.value, self.error = result.result, result.error_in_exec
        self.output = COLOUR.sub("", captured.stdout + captured.stderr)
        return self.value


@pytest.fixture
def cell():
    shell = InteractiveShell.instance()
    shell.history_manager.enabled = False  # it would keep a file in the home folder
    lab.load_ipython_extension(shell)
    yield Cells(shell)
    InteractiveShell.clear_instance()
    for file in list(filter(is_cell, linecache.cache)):  # the next shell counts its cells from 1 again
        del linecache.cache[file]


def test_the_magic_gives_the_run_and_leaves_the_names(cell):
    run = cell("%%tests\ndef test_a(): pass\nasync def test_b(): assert 1 == 2")
    assert isinstance(run, Run)
    assert (run.passed, run.failed, run.title) == (1, 1, "Cell In[1]")
    assert "Cell In[1], line 3: in test_b" in cell.output
    assert cell("_.failed") == 1
    cell("test_a()")
    assert cell.error is None
    cell("%who")
    assert "test_a" in cell.output
    assert "@py" not in cell.output


def test_lines_are_counted_as_in_the_cell(cell):
    for head in ("%%tests", "%%tests --timeout 5", "\n\n%%tests\n\n"):
        text = f"{head}\n# a line\ndef test_a():\n    assert 1 == 2\n"
        cell.shell.run_cell("1 + 1", store_history=True)
        with capture_output():
            run = cell.shell.run_cell(text, store_history=True).result
        line = text.splitlines().index("    assert 1 == 2") + 1
        assert re.match(rf"Cell In\[\d+\], line {line}: in test_a", run.trace("test_a"))


def test_the_line_is_read_as_a_command_line_is(cell, workspace):
    names = ["test_add", "test_add_slow", "test_drop"]
    run = cell("%%tests -k 'add and not slow'\n" + "\n".join(f"def {name}(): pass" for name in names))
    assert run.passed_tests == ["test_add"]
    run = cell("%%tests --timeout=0.3\nimport asyncio\nasync def test_a(): await asyncio.sleep(60)")
    assert list(run.error_lines) == ["Stopped after 0.3 s: the test did not end by itself"]
    environment = "import os\ndef test_a(): assert os.environ['DATABASE_DRIVER'] == 'mongomock'"
    assert cell(f"%%tests --backend mock\n{environment}").green


@pytest.mark.parametrize("path", ["workspace", "course/workspace/tests", "{folder}"])
def test_in_takes_a_path_from_here_or_from_where_the_workspace_is(cell, workspace, path):
    cell.shell.user_ns["folder"] = workspace
    run = cell(
        f"""
        %%tests --in {path}
        from app.db import base
        async def test_a(motor_reinit_db):
            assert await base.books_collection.count_documents({{}}) == 0
        """
    )
    assert run.passed_tests == ["test_a"]
    assert run.title.endswith("in workspace/tests")
    assert lab.run(cell.shell.user_ns["test_a"]).green


@pytest.mark.parametrize("module", ["app/db/toc_transactions.py", "app.db.toc_transactions"])
def test_coverage_is_shown_below_and_is_of_the_cells_tests_alone(cell, workspace, module):
    head = f"""\
%%tests --in workspace --coverage {module}
import pytest
from app.db.toc_transactions import update_toc_with_transaction as update
"""
    none = cell(f"{head}def test_a(): pass")
    some = cell(
        f"""{head}
async def test_a():
    with pytest.raises(ValueError, match="Invalid book ID"):
        await update("no id", {{}}, "me")
"""
    )
    assert none.green
    assert some.green
    assert none.coverage.percent < some.coverage.percent < 50
    assert f"toc_transactions.py: {int(some.coverage.percent)} %" in cell.output
    html = some._repr_mimebundle_()["text/html"]
    assert html.index("1 passed") < html.index("line by line")


def test_coverage_of_a_module_beside_the_notebook_is_the_same_each_time(cell, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "module_beside.py").write_text(
        "def half(number):\n    return number / 2\n\ndef other():\n    return 0\n"
    )
    for _ in range(2):
        head = "%%tests --coverage module_beside.py\nfrom module_beside import half"
        run = cell(f"{head}\ndef test_a(): assert half(2) == 1")
        assert run.coverage.missed == (5,)
    del sys.modules["module_beside"]


def test_help_is_shown_and_nothing_runs(cell):
    for text in ("%tests --help", "%%tests --help\nran = True"):
        cell(text)
        assert "--coverage MODULE" in cell.output
    assert "ran" not in cell.shell.user_ns


# What is wrong with a cell, and the sentence that says so.
REFUSED = {
    "an option that is none": (
        "%%tests --nope\ndef test_a(): pass",
        "%%tests has no option '--nope'; it has --in, -k",
    ),
    "an option of pytest": ("%%tests -v\ndef test_a(): pass", "%%tests has no option '-v'"),
    "words without quotes": (
        "%%tests -k add and not slow\ndef test_a(): pass",
        "cannot be read from 'and' on: put quotes around",
    ),
    "an option cut short": ("%%tests --time 3\ndef test_a(): pass", "%%tests has no option '--time'"),
    "an option without its value": (
        "%%tests --in\ndef test_a(): pass",
        "argument --in: expected one argument",
    ),
    "no number": (
        "%%tests --timeout soon\ndef test_a(): pass",
        "--timeout: invalid number of seconds value: 'soon'",
    ),
    "no time": ("%%tests --timeout 0\ndef test_a(): pass", "--timeout: invalid number of seconds value: '0'"),
    "an open quote": (
        "%%tests -k 'a\ndef test_a(): pass",
        'cannot be read: No closing quotation in "-k \'a"',
    ),
    "one % only": ("%tests", "Write %%tests, with two %, into the first line of a cell"),
    "no test": ("%%tests\nx = 1", "There is no test in this cell"),
    "no such folder": ("%%tests --in nowhere\ndef test_a(): pass", "There is no folder nowhere"),
    "no such backend": ("%%tests --backend nowhere\ndef test_a(): pass", "There is no backend 'nowhere'"),
    "no such module": ("%%tests --coverage nowhere\ndef test_a(): pass", "There is no module nowhere.py in"),
    "a run within": (
        "%%tests\ndef test_a(): pass\nlab.run(test_a)",
        "Tests are running already",
    ),
}


@pytest.mark.parametrize(("text", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_run_is_a_sentence_and_no_traceback(cell, text, sentence):
    cell.shell.user_ns["lab"] = lab
    assert cell(text) is None
    assert isinstance(cell.error, CannotRun)
    assert cell.output.strip().startswith("CannotRun: ")
    assert sentence in cell.output
    assert len(cell.output.strip().splitlines()) == 1


@pytest.mark.parametrize("text", ["lab.hint('frist-test')", "lab.run('nowhere')", "lab.guess(28)"])
def test_what_a_verb_refuses_is_a_sentence_and_no_traceback(cell, text):
    cell.shell.user_ns["lab"] = lab
    cell(text)
    assert isinstance(cell.error, TocdemoError)
    assert cell.output.strip() == f"{type(cell.error).__name__}: {cell.error}"


def test_a_syntax_error_is_shown_as_that_of_any_cell(cell):
    cell("%%tests\nran = True\nx = (\n")
    assert "Cell In[1], line 3\n    x = (" in cell.output
    assert "SyntaxError: '(' was never closed" in cell.output
    assert "Traceback" not in cell.output
    assert "ran" not in cell.shell.user_ns


def test_a_syntax_error_of_a_file_that_the_cell_imports_is_shown_with_both_places(cell, workspace):
    (workspace / "app/db/broken.py").write_text("def (:\n")
    cell("%%tests --in workspace\nfrom app.db.broken import x\ndef test_a(): pass")
    assert "Cell In[1], line 2" in cell.output or "Cell In[1]:2" in cell.output
    assert "app/db/broken.py" in cell.output
    assert "def (:" in cell.output
    assert "run_cell_magic" not in cell.output


def test_an_error_of_the_cell_itself_is_shown_from_the_cell_on(cell):
    cell("def helper():\n    return 1 / 0")
    cell("%%tests\nprint('before')\nhelper()\ndef test_a(): pass")
    assert isinstance(cell.error, ZeroDivisionError)
    assert "before" in cell.output
    assert "Cell In[2], line 3" in cell.output
    assert "----> 3 helper()" in cell.output
    assert "run_cell_magic" not in cell.output
    assert "test_a" not in cell.shell.user_ns


def test_magics_and_commands_in_the_cell_work(cell):
    run = cell("%%tests\n!echo hello from a shell\nlines = %sx echo 1\ndef test_a(): assert lines == ['1']")
    assert run.green


def test_a_test_that_comes_twice_is_told(cell):
    run = cell("%%tests\ndef test_a(): assert 0\n\ndef test_a(): pass")
    assert run.green
    assert "test_a is defined in lines 2 and 4: only the last one ran." in cell.output


def test_the_last_run_is_that_of_the_cell(cell):
    run = cell("%%tests\ndef test_a(): pass")
    assert NOTEBOOK.last_run is run
    assert str(lab.explain()) == "No test failed because of another event loop."


def test_functions_of_a_plain_cell_run_with_its_fixtures(cell):
    cell("import pytest\n@pytest.fixture\ndef five(): return 5\ndef check(five):\n    assert five == 6")
    run = lab.run(cell.shell.user_ns["check"])
    assert run.trace("check").splitlines()[:2] == ["Cell In[1], line 5: in check", "    assert five == 6"]
    assert run.trace("check").splitlines()[-1] == "E   assert 5 == 6"


def test_run_takes_tests_of_cells_and_shows_them_as_a_cell_does(cell):
    cell("def test_a(): pass\nasync def test_b():\n    number = 1\n    assert number == 2")
    cell("from tocdemo import lab")
    cell("lab.run(test_a, test_b, timeout=5, guess=lab.guess(passed=1, failed=1))")
    run = NOTEBOOK.last_run
    assert (run.passed, run.failed) == (1, 1)
    assert "Cell In[1], line 4: in test_b" in str(run)
    assert ">   assert number == 2" in str(run) or "assert number == 2" in str(run)
    assert "Your prediction was right." in run._repr_mimebundle_()["text/html"]
    assert run.explain().texts == ()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ("lab.run(test_a, each=True)", "leave `each` out"),
        ("lab.run(test_a, new_process=True)", "leave `new_process` out"),
        ("lab.run(test_a, which='all')", "leave `which` out"),
        ("lab.run(test_a, 'workspace')", "found 'workspace', of the type str"),
        ("lab.run(1)", "found 1, of the type int"),
        ("lab.run('one', 'two')", "Expected one path, found 2"),
    ],
)
def test_what_run_does_not_take_beside_tests_of_cells_is_a_sentence(cell, call, sentence):
    cell("from tocdemo import lab\ndef test_a(): pass")
    cell(call)
    assert sentence in str(cell.error)


def test_a_kernel_needs_the_import_and_nothing_else(tmp_path):
    texts = [
        "from tocdemo import lab",
        "%%tests\nprint('of the cell')\nasync def test_a():\n    print('of the test')\n    assert 1 == 2",
        "import os, sys; print(_.failed, os.listdir(), 'nest_asyncio' in sys.modules)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in texts])
    done = execute(notebook, tmp_path).cells
    assert [output.output_type for cell in done for output in cell.outputs] == [
        "stream",
        "execute_result",
        "stream",
    ]
    stream, result = done[1].outputs
    assert stream.text == "of the cell\n"
    assert "Cell In[2], line 5: in test_a" in result.data["text/html"]
    assert "\x1b" not in result.data["text/plain"]
    assert result.data["application/vnd.tocdemo.run+json"]["failed"] == 1
    assert done[2].outputs[0].text == "1 [] False\n"


def test_importing_lab_brings_no_ipython():
    code = "import sys; from tocdemo import lab; print('IPython' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
