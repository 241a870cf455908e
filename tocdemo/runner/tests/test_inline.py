"""Inline runs: they answer as pytest does, leave the process as it was, and can be stopped."""

import json
import os
import subprocess
import sys
import threading
import types
from textwrap import dedent

import pytest
import pytest_asyncio

from tocdemo.runner import inline, suite
from tocdemo.runner.stopping import RunThread
from tocdemo.subject import faults, sources
from tocdemo.subject.tests.projects import lay_out


def run_copy(state, *further, **options):
    return suite.run_copy(faults.with_faults([*faults.state(state), *further]), **options)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    for name in ("TOCDEMO_BACKEND", "TOCDEMO_MONGO_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def suite_of(tmp_path):
    """Write the text of a test file (and of a conftest), and return its folder."""

    def write(text, conftest="", name="test_small.py"):
        (tmp_path / name).write_text(dedent(text))
        if conftest:
            (tmp_path / "conftest.py").write_text(dedent(conftest))
        return tmp_path

    return write


def outcomes(run):
    return {result.name: result.outcome for result in run.results}


# --- the states --------------------------------------------------------------------------------------------


# `test_matrix` runs every combination of the four loop faults.
@pytest.mark.parametrize("name", ["unguarded-write", "transaction-without-retry"])
def test_a_fault_of_the_writes_changes_nothing_in_the_incident(name):
    run = run_copy("incident", name)
    assert (run.passed, run.failed, run.errors) == (2, 26, 0), str(run)


def test_the_incident_passes_tests_1_and_6_alone_among_the_28():
    run = run_copy("incident")
    assert (run.passed, run.failed, run.total) == (2, 26, 28)
    assert run.passed_tests == [run.results[0].name, "test_update_toc_invalid_book_id_format"]
    assert run.results[5].name == run.passed_tests[1]
    assert run.error_lines == {"RuntimeError: Event loop is closed": 26}


def test_each_test_runs_alone_and_progress_is_told(suite_of):
    """Lesson 01 does so with the incident's 28."""
    folder = suite_of("""
        ran = []

        def test_one(): ran.append(1); assert ran == [1]
        def test_two(): ran.append(2); assert ran == [2]
        def test_three(): ran.append(3); assert ran == [3]
        """)
    told = []
    run = suite.run(folder, [str(folder)], each=True, on_progress=lambda *numbers: told.append(numbers[:2]))
    assert run.green
    assert told == [(done, 3) for done in range(4)]


def test_the_mock_hides_the_incident():
    assert run_copy("incident", backend="mock").green


# --- fresh modules, and everything put back ----------------------------------------------------------------


def test_an_edit_takes_effect_at_the_next_run_in_the_same_second(tmp_path, suite_of):
    (tmp_path / "helper_of_mine.py").write_text("VALUE = 1\n")
    folder = suite_of("import helper_of_mine\n\ndef test_it():\n    assert helper_of_mine.VALUE == 1\n")
    for value in (1, 2, 1, 3):
        (folder / "helper_of_mine.py").write_text(f"VALUE = {value}\n")
        assert inline.run(folder).green == (value == 1)


def test_a_run_puts_modules_path_environment_and_folder_back(tmp_path, suite_of):
    (tmp_path / "helper_of_mine.py").write_text("")
    folder = suite_of(
        """
        import os, sys
        import helper_of_mine
        def test_it():
            os.environ["LEFT_BY_A_TEST"] = "1"
            os.environ.pop("HOME", None)
            sys.path.insert(0, "/left/by/a/test")
            sys.modules["app"] = sys
        """
    )
    inline.run(folder)
    before = set(sys.modules), list(sys.path), dict(os.environ), os.getcwd(), sys.dont_write_bytecode
    assert inline.run(folder).green
    assert (set(sys.modules), sys.path, dict(os.environ), os.getcwd(), sys.dont_write_bytecode) == before
    assert "helper_of_mine" not in sys.modules


def test_a_run_that_would_test_another_app_is_refused(tmp_path, monkeypatch):
    here, there = lay_out(tmp_path / "here"), lay_out(tmp_path / "there")
    conftest = here / sources.CONFTEST
    conftest.write_text(f"import sys\nsys.path.insert(0, {str(there)!r})\n" + conftest.read_text())
    with pytest.raises(inline.CannotRun, match="imported the app from"):
        inline.run(here, arguments=suite.arguments_for(here))


MANY_RUNS = """
    import asyncio, gc, glob, os, sys, tempfile, threading, time
    from pathlib import Path
    from tocdemo.runner import inline, suite

    folder = Path(sys.argv[1])

    def held():
        gc.collect(); time.sleep(float(sys.argv[2])); gc.collect()
        links = [os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
                 if os.path.exists(f"/proc/self/fd/{n}") or os.path.islink(f"/proc/self/fd/{n}")]
        loops = [o for o in gc.get_objects() if issubclass(type(o), asyncio.AbstractEventLoop)]
        files = [p for p in folder.rglob("*")] + os.listdir(tempfile.gettempdir())
        # Motor's pool belongs to the process, and grows to five threads a core at its own pace.
        pool = [t for t in threading.enumerate() if t.name.startswith("ThreadPoolExecutor-")]
        assert len(pool) <= 5 * os.cpu_count()
        threads = threading.active_count() - len(pool)
        return (threads, sum("socket" in link for link in links), len(loops), len(files))

    answers = []
    for number in range(1, 51):
        run = inline.run(folder, arguments=suite.arguments_for(folder))
        answers.append((run.passed, run.failed, run.errors))
        if number == 5:
            early = held()
    late = held()
    assert set(answers) == {(2, 26, 0)}, answers
    assert all(b <= a for a, b in zip(early, late)), (early, late)
    """


def test_50_runs_in_one_process_answer_alike_and_hold_nothing(tmp_path):
    folder, scratch = lay_out(tmp_path / "copy", faults.state("incident")), tmp_path / "scratch"
    scratch.mkdir()
    in_a_process(MANY_RUNS, str(folder), "3", TMPDIR=str(scratch))


def in_a_process(code, *arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-c", dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=240,  # 50 runs on a busy machine
        env=dict(os.environ) | environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- stopping ----------------------------------------------------------------------------------------------

INTERRUPTED = """
    import _thread, json, sys, threading, time
    from pathlib import Path
    from tocdemo.runner import inline

    began = {}
    def running():
        return any(getattr(each, "current", None) and each.current.test for each in threading.enumerate())
    def interrupt():
        while not running():
            time.sleep(0.01)
        time.sleep(0.5)
        began["at"] = time.monotonic()
        _thread.interrupt_main()
    threading.Thread(target=interrupt, daemon=True).start()
    run = inline.run(Path(sys.argv[1]))
    took = time.monotonic() - began["at"]
    try:
        inline.run(Path(sys.argv[1]), arguments=[sys.argv[1] + "/test_small.py::test_after"])
        next_run = "ran"
    except inline.CannotRun as error:
        next_run = str(error)
    print(json.dumps([took, run.note, {r.name: [r.outcome, r.error] for r in run.results}, next_run]))
    """


def interrupted(folder):
    return json.loads(in_a_process(INTERRUPTED, str(folder)))


SOON = 4.0  # seconds: less than any of these tests would hold its thread
BODIES = {
    "awaits": "async def test_it():\n    await asyncio.Event().wait()\n",
    "loops": "async def test_it():\n    while True:\n        pass\n",
    "sync": "def test_it():\n    while True:\n        pass\n",
}
HEAD = "import asyncio, time, pytest\n"
AFTER = "\ndef test_after():\n    pass\n"


def marked(body):
    return HEAD + ("@pytest.mark.asyncio\n" if body.startswith("async") else "") + body + AFTER


@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
def test_an_interrupt_ends_the_run_and_names_the_test(body, suite_of):
    took, note, results, next_run = interrupted(suite_of(marked(body)))
    assert took < SOON
    assert "Interrupted" in note
    assert results == {"test_it": ["failed", "Interrupted"]}
    assert next_run == "ran"


HOLDING = {
    "in C": "def test_it():\n    time.sleep(9)\n",
    "swallows": """async def test_it():
    end = time.monotonic() + 9
    while time.monotonic() < end:
        try:
            await asyncio.sleep(9)
        except asyncio.CancelledError:
            pass
""",
}


@pytest.mark.parametrize("body", HOLDING.values(), ids=list(HOLDING))
def test_after_an_interrupt_that_cannot_stop_a_test_it_is_named_and_the_next_run_refuses(body, suite_of):
    took, note, _, next_run = interrupted(suite_of(marked(body)))
    assert took < SOON
    assert "test_small.py::test_it still holds its thread" in note
    assert "test_small.py::test_it" in next_run
    assert "still holds its thread" in next_run


HANGS = BODIES | {
    "async fixture": """import pytest_asyncio
@pytest_asyncio.fixture
async def never():
    await asyncio.Event().wait()

@pytest.mark.asyncio
async def test_it(never):
    pass
"""
}


@pytest.mark.parametrize("name", HANGS)
def test_what_hangs_is_stopped_and_the_tests_after_it_run(name, suite_of):
    run = inline.run(suite_of(marked(HANGS[name])), timeout=0.5)
    outcome = "error" if name == "async fixture" else "failed"
    assert outcomes(run) == {"test_it": outcome, "test_after": "passed"}
    assert run.results[0].error == "Stopped after 0.5 s: the test did not end by itself"
    assert run.results[0].seconds < 3


LATE = {
    "computes": """
        def test_it(released, begun):
            while not released.is_set():
                pass
        def test_after(released, begun):
            begun.set()
            end = time.monotonic() + 0.3
            while time.monotonic() < end:
                pass
        """,
    "awaits": """
        pytestmark = pytest.mark.asyncio(loop_scope="module")
        async def test_it(released, begun):
            while not released.is_set():
                await asyncio.sleep(0.01)
        async def test_after(released, begun):
            begun.set()
            await asyncio.sleep(0.3)
        """,
}


@pytest.mark.parametrize("name", LATE)
def test_a_stop_that_comes_late_does_not_hit_the_test_after(name, suite_of, monkeypatch):
    events = {"released": threading.Event(), "begun": threading.Event()}
    look = RunThread._running_loop

    def too_late(thread):
        """Between the look at the clock and the stop, the test ends and the next one begins."""
        events["released"].set()
        assert events["begun"].wait(10)
        return look(thread)

    monkeypatch.setattr(RunThread, "_running_loop", too_late)
    fixtures = [pytest.fixture(name=name)(lambda event=event: event) for name, event in events.items()]
    plugin = types.ModuleType("events_of_the_test")
    vars(plugin).update(zip(events, fixtures, strict=True))
    run = inline.run(suite_of(HEAD + dedent(LATE[name])), timeout=1, plugins=[plugin])
    assert outcomes(run) == {"test_it": "passed", "test_after": "passed"}, str(run)


# --- fixtures from the notebook, and other suites ----------------------------------------------------------


def test_a_given_fixture_replaces_the_conftests(suite_of):
    folder = suite_of(
        "def test_it(number):\n    assert number == 2\n",
        "import pytest\n\n@pytest.fixture\ndef number():\n    return 1\n",
    )

    @pytest.fixture
    def number():
        return 2

    assert inline.run(folder).failed == 1
    assert inline.run(folder, fixtures=[number]).green


def test_a_given_async_fixture_works(suite_of):
    @pytest_asyncio.fixture
    async def number():
        return 3

    text = "import pytest\n@pytest.mark.asyncio\nasync def test_it(number):\n    assert number == 3\n"
    assert inline.run(suite_of(text), fixtures=[number]).green


def test_what_is_no_fixture_is_refused(suite_of):
    with pytest.raises(inline.CannotRun, match=r"not a pytest fixture.*@pytest\.fixture"):
        inline.run(suite_of("def test_it(): pass\n"), fixtures=[lambda: 1])


def test_braces_in_folder_and_ids_are_taken_as_they_are(tmp_path):
    folder = tmp_path / "a{b}{MODULE}"
    folder.mkdir()
    text = 'import pytest\n@pytest.mark.parametrize("x", ["{a}", "b"])\ndef test_it(x):\n    pass\n'
    (folder / "test_small.py").write_text(text)
    assert [r.name for r in inline.run(folder).results] == ["test_it[{a}]", "test_it[b]"]
    chosen = inline.run(folder, arguments=[f"{folder}/test_small.py::test_it[{{a}}]"])
    assert outcomes(chosen) == {"test_it[{a}]": "passed"}
    both = suite.run(folder, [str(folder)], only="test_it")
    assert both.passed == 2


def test_every_outcome_of_pytest_is_counted(suite_of):
    run = inline.run(
        suite_of(
            """
            import pytest
            @pytest.fixture
            def late():
                yield
                raise ValueError("at the end")
            def test_skipped():
                pytest.skip("no")
            @pytest.mark.xfail
            def test_xfail():
                assert False
            @pytest.mark.xfail(strict=True)
            def test_xpass_strict():
                pass
            def test_teardown(late):
                pass
            def test_failed():
                raise KeyError("x")
            """
        )
    )
    assert outcomes(run) == {
        "test_skipped": "skipped",
        "test_xfail": "skipped",
        "test_xpass_strict": "failed",
        "test_teardown": "error",
        "test_failed": "failed",
    }
    assert run.error_lines["ValueError: at the end"] == 1
    assert "KeyError" in run.trace("test_failed")


def test_a_file_that_cannot_be_imported_is_one_error(suite_of):
    run = inline.run(suite_of("import there_is_no_such_module\n"))
    assert (run.errors, run.total) == (1, 1)
    assert run.results[0].error == "ModuleNotFoundError: No module named 'there_is_no_such_module'"


def test_no_test_and_no_target_are_refused(suite_of, tmp_path):
    with pytest.raises(inline.CannotRun, match="found no test"):
        inline.run(suite_of("x = 1\n"))
    with pytest.raises(inline.CannotRun, match="nothing to run at"):
        inline.run(tmp_path / "nowhere")


def test_plain_unittest_and_auto_mode_suites_run(suite_of):
    folder = suite_of(
        """
        import unittest
        def test_plain():
            pass
        class Case(unittest.TestCase):
            def test_case(self):
                self.assertEqual(1, 2)
        async def test_auto():
            pass
        """
    )
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    assert outcomes(inline.run(folder)) == {
        "test_plain": "passed",
        "test_case": "failed",
        "test_auto": "passed",
    }


def test_a_name_that_no_test_has_is_refused_with_the_names_there_are(suite_of):
    folder = suite_of("def test_one(): pass\ndef test_two(): pass\n")
    with pytest.raises(inline.CannotRun, match="test_one, test_two"):
        suite.run(folder, [str(folder)], only="test_three")
