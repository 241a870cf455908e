"""The verbs of a notebook, called as a notebook calls them."""

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from tocdemo import lab
from tocdemo.errors import CannotRun
from tocdemo.lab import showing
from tocdemo.lab.notebook import NOTEBOOK
from tocdemo.runner import worker
from tocdemo.subject import sources, workspace


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    folder = tmp_path / "workspace"
    monkeypatch.setenv("TOCDEMO_WORKSPACE", str(folder))
    monkeypatch.delenv("TOCDEMO_BACKEND", raising=False)
    monkeypatch.setattr(NOTEBOOK, "lesson", None)
    return folder / workspace.PLAYGROUND


def state_of(path):
    return NOTEBOOK.workspace.state()[path]


@pytest.fixture
def shell():
    shell = InteractiveShell.instance()
    lab.load_ipython_extension(shell)
    yield shell
    InteractiveShell.clear_instance()


def bundles(captured):
    return [output.data for output in captured.outputs]


def test_workspace_takes_a_state_with_changes_made_or_exact_faults(place):
    assert "incident" in lab.workspace().headline
    lab.workspace(made=["async-fixture"])
    assert state_of(sources.CONFTEST) == {"unbound-client"}
    lab.workspace(faults=["sync-fixture"])
    assert state_of(sources.CONFTEST) == {"sync-fixture"}
    with pytest.raises(ValueError, match=r"no change 'sync-fixture'\. The changes: app-references, async"):
        lab.workspace(made=["sync-fixture"])
    with pytest.raises(ValueError, match="fixed"):
        lab.workspace("nonsense")


def test_the_cell_magic_writes_and_shows_the_change(place, shell):
    lab.workspace("fixed")
    with capture_output() as captured:
        shell.run_cell_magic("workspace", "tests/test_mine.py", "def test_mine():\n    pass\n")
    assert (place / "tests/test_mine.py").read_text() == "def test_mine():\n    pass\n"
    assert "+def test_mine():" in bundles(captured)[0]["text/plain"]


def test_the_cell_magic_writes_nothing_that_is_not_python(place, shell):
    lab.workspace("fixed")
    with capture_output() as captured:
        shell.run_cell_magic("workspace", "tests/conftest.py", "def (:\n")
    assert "Nothing was written: line 1" in captured.stderr
    assert (place / sources.CONFTEST).read_text() == sources.fixed()[sources.CONFTEST]
    with pytest.raises(ValueError, match="Expected a path after %%workspace"):
        shell.run_cell_magic("workspace", "", "x = 1\n")


def test_an_expected_error_is_shown_and_labelled(shell):
    with capture_output() as captured, lab.expected(RuntimeError, match="closed"):
        raise RuntimeError("Event loop is closed")
    shown = bundles(captured)[0]
    assert shown["text/plain"] == "Expected error: RuntimeError: Event loop is closed"
    assert shown["application/vnd.tocdemo.expected+json"] == {
        "type": "RuntimeError",
        "message": "Event loop is closed",
    }


def test_a_missing_or_another_error_is_an_error():
    missing = pytest.raises(showing.NothingRaised, match="Expected RuntimeError with 'closed'")
    with missing, lab.expected(RuntimeError, match="closed"):
        pass
    with pytest.raises(RuntimeError, match="open"), lab.expected(RuntimeError, match="closed"):
        raise RuntimeError("open")
    with pytest.raises(KeyError), lab.expected(RuntimeError):
        raise KeyError("x")


def test_a_script_runs_in_a_process_with_a_database_of_its_own():
    done = lab.script(
        """
        import os
        from pymongo import MongoClient
        with MongoClient(os.environ["DATABASE_URI"]) as client:
            client[os.environ["DATABASE_NAME"]].books.insert_one({})
            print(client[os.environ["DATABASE_NAME"]].books.count_documents({}))
        """
    )
    assert done.output == "1\n"
    assert done.error == ""


def test_a_scripts_error_is_held_to_what_was_expected():
    failing = "print('so far')\nraise RuntimeError('Event loop is closed')"
    done = lab.script(failing, expect="RuntimeError: Event loop is closed")
    assert str(done) == "so far\nExpected error: RuntimeError: Event loop is closed"
    assert done._repr_mimebundle_()["application/vnd.tocdemo.expected+json"]["type"] == "RuntimeError"
    with pytest.raises(worker.ScriptFailed, match="Event loop is closed"):
        lab.script(failing)
    with pytest.raises(worker.ScriptFailed, match="no error"):
        lab.script("pass", expect="RuntimeError")
    assert str(lab.script(failing, may_fail=True)) == str(done)
    assert str(lab.script("print('well')", may_fail=True)) == "well\n"


def test_show_and_source(place):
    lab.workspace("fixed")
    listing = lab.show(sources.CONFTEST, "motor_reinit_db")
    text = (place / sources.CONFTEST).read_text().splitlines()
    assert text[listing.first - 1] == listing.lines[0]
    assert listing.lines[0].startswith("@")
    assert any("def motor_reinit_db" in line for line in listing.lines)
    assert len(lab.show(sources.CONFTEST).lines) == len(text)
    with pytest.raises(ValueError, match="no function 'nonsense'"):
        lab.show(sources.CONFTEST, "nonsense")
    with pytest.raises(ValueError, match=r"There is no nothing\.py"):
        lab.show("nothing.py")
    source = lab.source("motor.core:AgnosticClient.get_io_loop")
    assert source.title.startswith("motor 3.")
    assert "def get_io_loop" in str(source)
    assert lab.source("nest_asyncio:apply").title.startswith("nest-asyncio 1.6.0: nest_asyncio.py, line ")
    with pytest.raises(ValueError, match="There is no"):
        lab.source("motor.core:Nonsense")


def test_run_runs_the_workspace_here_and_in_a_new_process():
    with pytest.raises(CannotRun, match=r"run the lesson's first cell, or lab\.workspace\(\)"):
        lab.run()
    lab.workspace()
    prediction = lab.guess(passed=28)
    here = lab.run(guess=prediction)
    there = lab.run(new_process=True)
    assert (here.passed, here.failed) == (there.passed, there.failed) == (2, 26)
    assert "You predicted: 28 passed." in str(here)
    assert lab.run(only="test_update_toc_success").passed_tests == ["test_update_toc_success"]
    with pytest.raises(ValueError, match=r"such as lab\.guess"):
        lab.guess(passed=-1)


def test_no_prediction_stops_nothing_and_words_are_noted(capsys):
    assert lab.guess() is None
    assert lab.guess("all of them") is None
    assert capsys.readouterr().out == "No prediction this time.\nYour prediction: all of them\n"
    assert str(lab.guess(failed=1)) == "1 failed"
    assert capsys.readouterr().out == ""
    assert str(lab.guess("the first one", passed=1)) == "1 passed"
    assert capsys.readouterr().out == "Your prediction: the first one\n"
    with pytest.raises(ValueError, match=r"such as lab\.guess\(passed=27\); found 28"):
        lab.guess(28)


def test_run_takes_the_path_of_another_suite(tmp_path):
    (tmp_path / "test_other.py").write_text("def test_other():\n    pass\n")
    assert lab.run(tmp_path).passed_tests == ["test_other"]
    assert lab.run(tmp_path / "test_other.py", each=True).green


def test_tab_offers_exactly_the_verbs_and_each_says_what_it_does(shell):
    shell.user_ns["lab"] = lab
    shell.Completer.use_jedi = False  # as in JupyterLab, where ipykernel asks for what `dir` gives
    _, offered = shell.complete("lab.")
    assert sorted(text.rpartition(".")[2] for text in offered) == sorted(lab.VERBS)
    undocumented = [verb for verb in lab.VERBS if not (getattr(lab, verb).__doc__ or "").strip()]
    assert undocumented == []
