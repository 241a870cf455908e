"""Every exercise: its start is not done, its solution is, and edits that once were praised are named."""

import contextlib

import pytest

from tocdemo.course import exercises
from tocdemo.course.exercises.course_texts import solved, started
from tocdemo.subject import faults, sources

ALL = exercises.all_of()


@contextlib.contextmanager
def learners(name, files=()):
    """Give a learner's copy as the exercise starts, with other texts for some files."""
    exercise = exercises.get(name)
    begins = {**exercise.begins.files, **dict(files)}
    with sources.copied(begins) as folder:
        yield exercise, folder


def checked(name, files=()):
    with learners(name, files) as (exercise, folder):
        return exercises.check(exercise, folder)


def edited(name, path, *replacements):
    """Return the verdict on the exercise's start with texts replaced, each of which must be there."""
    text = started(exercises.get(name)).get(path) or faults.with_faults(exercises.get(name).start)[path]
    for old, new in replacements:
        assert old in text, f"{old!r} is not in {path}"
        text = text.replace(old, new)
    return checked(name, {path: text})


@pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.name)
def test_the_start_is_not_done_and_says_where(exercise):
    verdict = checked(exercise.name)
    assert not verdict.done
    assert all(any(path in sentence for path in exercise.files) for sentence in verdict.missing[:1])
    assert verdict.next_step()


@pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.name)
def test_the_solution_is_done(exercise):
    verdict = checked(exercise.name, solved(exercise))
    assert verdict.done, str(verdict)


IMPORTED = ("import pytest\n", "import pytest\nimport pytest_asyncio\n")
FIXTURE = "@pytest.fixture\ndef motor_reinit_db"
MAKE = "make_client(base.settings)"
OLD_IMPORT = "from app.db.base import books_collection"

PRAISED_ONCE = {
    "only the import": ("async-fixture", sources.CONFTEST, [IMPORTED], "plain `def`"),
    "only the decorator, on a plain def": (
        "async-fixture",
        sources.CONFTEST,
        [IMPORTED, (FIXTURE, "@pytest_asyncio.fixture\ndef motor_reinit_db")],
        "line 41: `motor_reinit_db` is a plain `def`",
    ),
    "async def under pytest's own decorator": (
        "async-fixture",
        sources.CONFTEST,
        [(FIXTURE, "@pytest.fixture\nasync def motor_reinit_db")],
        "line 39: with this decorator",
    ),
    "the decorator without the import": (
        "async-fixture",
        sources.CONFTEST,
        [(FIXTURE, "@pytest_asyncio.fixture\nasync def motor_reinit_db")],
        "line 39: pytest could not begin: NameError: name 'pytest_asyncio' is not defined",
    ),
    "only import asyncio": (
        "io-loop",
        sources.CONFTEST,
        [("import pymongo\n", "import asyncio\n\nimport pymongo\n")],
        "no `io_loop` is passed",
    ),
    "io_loop=None": (
        "io-loop",
        sources.CONFTEST,
        [(MAKE, "make_client(base.settings, io_loop=None)")],
        "line 43: `motor_reinit_db` fails when pytest calls it: TypeError",
    ),
    "get_running_loop without the call": (
        "io-loop",
        sources.CONFTEST,
        [
            ("import pymongo\n", "import asyncio\nimport pymongo\n"),
            (MAKE, "make_client(base.settings, io_loop=asyncio.get_running_loop)"),
        ],
        "line 44: `motor_reinit_db` fails when pytest calls it: TypeError",
    ),
    "io_loop without the import": (
        "io-loop",
        sources.CONFTEST,
        [(MAKE, "make_client(base.settings, io_loop=asyncio.get_running_loop())")],
        "line 43: `motor_reinit_db` fails when pytest calls it: NameError",
    ),
    "the old import kept and one of two uses changed": (
        "test-references",
        sources.SUITE,
        [
            (OLD_IMPORT, f"from app.db import base\n{OLD_IMPORT}"),
            ("await books_collection.insert", "await base.books_collection.insert"),
        ],
        "line 28: `stored_toc` still uses a copy",
    ),
    "a copy at the module's level": (
        "test-references",
        sources.SUITE,
        [
            (OLD_IMPORT, "from app.db import base"),
            ('OWNER = "user_123"', 'OWNER = "user_123"\nbooks_collection = base.books_collection'),
        ],
        "line 18: the module keeps a copy",
    ),
    "one file of two": (
        "references-alone",
        sources.APP,
        [
            ("from .base import _client, books_collection", "from . import base"),
            ("books_collection", "base.books_collection"),
            ("(_client)", "(base._client)"),
        ],
        "tests/test_db/test_toc_transactions.py, line 22: `insert_book` still uses a copy",
    ),
}


@pytest.mark.parametrize("edit", PRAISED_ONCE)
def test_what_was_praised_once_is_named_with_its_place(edit):
    name, path, replacements, expected = PRAISED_ONCE[edit]
    verdict = edited(name, path, *replacements)
    assert not verdict.done
    assert expected in "\n".join(verdict.missing), str(verdict)


# By somebody who had not read the check: ways to close the client of a test, and what only looks like one.
CLOSE = "    yield base._client\n    base._client.close()\n"
CLOSES = {
    "contextlib.closing": (
        "    import contextlib\n\n"
        "    with contextlib.closing(base._client) as client:\n        yield client\n"
    ),
    "try and finally": "    try:\n        yield base._client\n    finally:\n        base._client.close()\n",
    "by another name": "    close = base._client.close\n    yield base._client\n    close()\n",
}
CLOSES_NOT = {
    "without the call": "    yield base._client\n    base._client.close\n",
    "a name that is never called": "    close = base._client.close\n    yield base._client\n    close\n",
    "only asked for": '    yield base._client\n    if hasattr(base._client, "close"):\n        pass\n',
    "not at all": "    yield base._client\n",
}


@pytest.mark.parametrize("edit", [*CLOSES, *CLOSES_NOT])
def test_the_client_has_to_be_closed_and_not_only_to_be_closable(edit):
    verdict = edited(
        "async-fixture",
        sources.CONFTEST,
        IMPORTED,
        (FIXTURE, "@pytest_asyncio.fixture\nasync def motor_reinit_db"),
        (CLOSE, (CLOSES | CLOSES_NOT)[edit]),
    )
    assert verdict.done == (edit in CLOSES), str(verdict)
    if edit in CLOSES_NOT:
        assert "is not closed after the test" in "\n".join(verdict.missing)


@pytest.mark.parametrize(
    "call", ["()", '(loop_scope="session")', '(scope="function")', '(name="motor_reinit_db")']
)
def test_the_decorator_may_be_called(call):
    verdict = edited(
        "async-fixture",
        sources.CONFTEST,
        IMPORTED,
        (FIXTURE, f"@pytest_asyncio.fixture{call}\nasync def motor_reinit_db"),
    )
    assert verdict.done, str(verdict)
    assert bool(verdict.remarks) == ("loop_scope" in call)


def test_a_fixture_for_the_session_is_right_where_its_tests_share_the_sessions_loop():
    exercise = exercises.get("async-fixture")
    files = faults.with_faults(exercise.start)
    conftest = files[sources.CONFTEST].replace(*IMPORTED)
    conftest = conftest.replace(
        FIXTURE, '@pytest_asyncio.fixture(scope="session")\nasync def motor_reinit_db'
    )
    conftest = conftest.replace(
        "@pytest.fixture\ndef empty_database", '@pytest.fixture(scope="session")\ndef empty_database'
    )
    loops = "asyncio_default_fixture_loop_scope = session\nasyncio_default_test_loop_scope = session"
    settings = files["pytest.ini"].replace("asyncio_default_fixture_loop_scope = function", loops)
    verdict = checked("async-fixture", {sources.CONFTEST: conftest, "pytest.ini": settings})
    assert verdict.done, str(verdict)
    assert not verdict.remarks
