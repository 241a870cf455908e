"""Whatever a learner's files hold, a check says what is so: with a place, no traceback, and never "done"."""

import json
import os
import shutil

import pytest

from tocdemo.course import exercises
from tocdemo.course.exercises import helper
from tocdemo.course.exercises.course_texts import solved
from tocdemo.subject import sources

from .learners import learners

NAME = "async-fixture"
RIGHT = solved(exercises.get(NAME))[sources.CONFTEST]
BEGINS = "    base._client = make_client(base.settings)\n"


def in_the_fixture(line):
    assert BEGINS in RIGHT
    return RIGHT.replace(BEGINS, f"    {line}\n{BEGINS}")


def at_the_end(*lines):
    return "\n".join([RIGHT, *lines, ""])


LAST = RIGHT.count("\n") + 2  # the first line that `at_the_end` adds

# What conftest.py holds, and what the check says then.
TEXTS = {
    "ends Python when it is imported": (at_the_end("import sys; sys.exit()"), f"line {LAST}", "SystemExit"),
    "ends the process": (in_the_fixture("__import__('os')._exit(0)"), "test_update_toc_success", "ended"),
    "exits in the fixture": (in_the_fixture("raise SystemExit"), "line 43", "SystemExit"),
    "interrupts": (in_the_fixture("raise KeyboardInterrupt"), "line 43", "KeyboardInterrupt"),
    "raises what is no Exception": (
        at_the_end("class E(BaseException): ...", "raise E"),
        f"line {LAST + 1}",
        "E",
    ),
    "raises what has no text": (
        at_the_end("class E(Exception):", "    def __str__(self): 1 / 0", "raise E"),
        f"line {LAST + 2}",
        "E",
    ),
    "calls itself": (at_the_end("def f(): f()", "f()"), f"line {LAST}", "RecursionError"),
    "imports what there is not": (at_the_end("import nothing_there"), f"line {LAST}", "nothing_there"),
    "takes all tests away": (
        at_the_end("def pytest_collection_modifyitems(items): items[:] = []"),
        "28 tests are in this file, and pytest does not find them",
        "no test has come to",
    ),
    "takes tests away": (
        at_the_end("def pytest_collection_modifyitems(items): del items[1:]"),
        "27 tests are in this file",
        "line 58",
    ),
    "skips": (
        at_the_end("def pytest_runtest_setup(item): pytest.skip()"),
        "28 tests are skipped",
        "no test has come to",
    ),
    "breaks pytest": (
        at_the_end("import _pytest.runner as r", "r.call_and_report = None"),
        "NoneType",
        "TypeError",
    ),
    "has a hook that fails": (
        at_the_end("def pytest_runtest_call(item): 1 / 0"),
        f"line {LAST}",
        "28 tests fail",
    ),
    "has a hook that is none": (at_the_end("def pytest_runtest_call(itm): ..."), "conftest.py", "itm"),
    "ends pytest": (
        at_the_end("def pytest_runtest_call(item): pytest.exit('no')"),
        f"line {LAST}",
        "Exit: no",
    ),
    "is empty": ("", "conftest.py", "no function `motor_reinit_db`"),
    "is no Python": (RIGHT.replace("async def motor", "async df motor"), "line 41", "no Python yet"),
    "mixes tabs and spaces": (in_the_fixture("pass").replace("    pass", "\tpass"), "line 43", "tabs"),
    "does not end": (at_the_end('text = """'), f"line {LAST}", "unterminated"),
    "is deep": ("x = " + "-" * 100_000 + "1", "conftest.py", "cannot read"),
    "holds a null": ("x = 1\n\0\n", "line 2", "null"),
    "is in Latin-1": (RIGHT.replace("A book", "Büch").encode("latin-1"), "line 67", "UTF-8"),
    "is binary": (bytes(range(256)), "line 2", "UTF-8"),
    "is long": (b"x = 1\n" * 2_000_000, "conftest.py", "12,000,000 bytes"),
}


def check_with(text):
    with learners(NAME) as (exercise, folder):
        (folder / sources.CONFTEST).write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        verdict = exercises.check(exercise, folder)
        assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        return verdict


@pytest.mark.parametrize("what", TEXTS)
def test_a_file_that_says(what):
    text, *expected = TEXTS[what]
    verdict = check_with(text)
    said = str(verdict)
    assert not verdict.done
    assert verdict.missing
    assert all(words in said for words in expected), said
    assert "Traceback" not in said
    assert "check itself failed" not in said
    assert json.loads(json.dumps(verdict.to_json()))["done"] is False
    assert verdict._repr_mimebundle_()["text/html"].count("<p") >= 1 + bool(verdict.next_step())


@pytest.mark.parametrize(
    "text",
    [
        RIGHT.replace("\n", "\r\n"),
        f"\ufeff{RIGHT}",
        at_the_end("for _ in range(10_000): print('x' * 1000)"),
        at_the_end("import os; os.close(1)"),
        at_the_end("import threading, time", "threading.Thread(target=time.sleep, args=(60,)).start()"),
        f"# -*- coding: latin-1 -*-\n{RIGHT}".replace("A book", "Büch").encode("latin-1"),
    ],
    ids=[
        "CRLF",
        "BOM",
        "prints",
        "closes a stream",
        "leaves a thread",
        "another encoding",
    ],
)
def test_what_does_no_harm_is_done(text):
    verdict = check_with(text)
    assert verdict.done, str(verdict)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (at_the_end("while True: pass"), f"line {LAST}"),
        (in_the_fixture("while True: pass"), "line 43"),
        (in_the_fixture("await __import__('asyncio').sleep(1000)"), "line 43"),
    ],
    ids=["in the import", "in the fixture", "waits"],
)
def test_what_does_not_end_is_ended_and_said_where(monkeypatch, text, place):
    monkeypatch.setattr(helper, "LIMIT", 6)
    verdict = check_with(text)
    assert not verdict.done
    assert "did not end within 6 seconds" in str(verdict)
    assert place in str(verdict.problem)


def without(*paths):
    def remove(folder):
        for path in paths:
            target = folder / path
            shutil.rmtree(target) if target.is_dir() else target.unlink()

    return remove


def pipe_in_its_place(folder):
    (folder / sources.CONFTEST).unlink()
    os.mkfifo(folder / sources.CONFTEST)


def folder_in_its_place(folder):
    (folder / sources.CONFTEST).unlink()
    (folder / sources.CONFTEST).mkdir()


def with_text(path, text):
    return lambda folder: (folder / path).write_text(text)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (without(sources.CONFTEST), "tests/conftest.py: there is no such file"),
        (without("tests"), "tests/conftest.py: there is no such file"),
        (without("."), "there is no folder"),
        (folder_in_its_place, "tests/conftest.py: there is a folder of this name"),
        pytest.param(
            pipe_in_its_place,
            "tests/conftest.py: this is no ordinary file",
            marks=pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes"),
        ),
        (without("app/db/base.py"), "app/db/base.py: there is no such file"),
        (without(sources.SUITE), f"{sources.SUITE}: there is no such file"),
        (with_text("app/db/base.py", "x = 1\n"), "cannot import name 'books_collection'"),
        (with_text("pytest.ini", "[pytest\n"), "pytest.ini, line 1"),
        (with_text("pytest.ini", "[pytest]\naddopts = --nonsense\n"), "pytest.ini: pytest could not begin"),
        (
            with_text("pytest.ini", "[pytest]\nasyncio_mode = nonsense\n"),
            "'nonsense' is not a valid asyncio_mode",
        ),
        (with_text(sources.SUITE, ""), "28 tests are not in this file any more"),
    ],
)
def test_a_folder_where_something_is_missing(change, expected):
    with learners(NAME) as (exercise, folder):
        change(folder)
        verdict = exercises.check(exercise, folder)
        folder.mkdir(exist_ok=True)  # for its end
    assert not verdict.done
    assert expected in str(verdict)


def test_what_pytest_says_in_a_kernel_has_no_colours_and_its_line(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as ipykernel does
    monkeypatch.setattr(helper, "FORKS", False)  # a process that finds it
    with learners(NAME) as (exercise, folder):
        conftest = folder / sources.CONFTEST
        conftest.write_text(
            conftest.read_text().replace("@pytest.fixture\ndef motor", "@missing.fixture\ndef motor")
        )
        verdict = exercises.check(exercise, folder)
    assert "NameError: name 'missing' is not defined" in str(verdict)
    assert f"{sources.CONFTEST}, line " in str(verdict)
    assert "\x1b" not in str(verdict)


def test_a_process_that_was_killed_is_replaced():
    exercises.warm_up()
    helper._helpers[0].child.kill()
    assert check_with(RIGHT).done


def test_where_nothing_forks_each_question_has_a_process_of_its_own(monkeypatch):
    monkeypatch.setattr(helper, "FORKS", False)
    processes = []
    for text in (RIGHT, in_the_fixture("__import__('os')._exit(0)"), RIGHT):
        exercises.warm_up()
        processes.append(helper._helpers[0].child.pid)
        assert check_with(text).done == (text == RIGHT)
    assert len(set(processes)) == 3
