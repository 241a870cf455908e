"""The static checker: each rule finds its case, says what to change, and leaves sound code alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from textwrap import dedent

import pytest

from tocdemo.loopwatch.__main__ import main
from tocdemo.loopwatch.static.check import check
from tocdemo.loopwatch.static.rules.catalogue import RULES

BASE = """
    from motor.motor_asyncio import AsyncIOMotorClient

    _client = AsyncIOMotorClient("mongodb://127.0.0.1")
    books = _client["db"]["books"]
    """
REBINDING = """
    import pytest
    from app import base


    @pytest.fixture
    def fresh():
        base.books = object()
    """


@pytest.fixture
def project(tmp_path):
    def write(**files: str):
        for name, text in files.items():
            path = tmp_path / (
                name.replace("__", "/").replace("_ini", ".ini") + ("" if "_ini" in name else ".py")
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.parent != tmp_path:
                (path.parent / "__init__.py").touch()
            path.write_text(dedent(text))
        return tmp_path

    return write


def rules(path, **installed) -> list[tuple[str, str, int]]:
    return [(f.rule, f.file, f.line) for f in check(path, installed=installed)]


def test_a_copied_name_whose_original_is_rebound_is_found(project):
    root = project(app__base=BASE, app__toc="from .base import books\n", conftest=REBINDING)
    (finding,) = check(root, installed={})
    assert (finding.rule, finding.file, finding.line) == ("copied-name", "app/toc.py", 1)
    assert "conftest.py:8 puts another object there" in finding.why
    assert finding.change == "write `from . import base` there, and base.books wherever the bare name is used"


@pytest.mark.parametrize(
    ("copy", "change"),
    [
        ("from app.base import books", "`from app import base`"),
        ("from app.base import books as shelf", "`from app import base`"),
        ("from app import books", "`from app import base`"),
    ],
)
def test_copies_of_copies_and_aliases_are_traced_to_the_module_that_made_the_object(project, copy, change):
    root = project(app__base=BASE, use=copy + "\n", conftest=REBINDING)
    (root / "app" / "__init__.py").write_text("from .base import books\n")
    found = {finding.file: finding.change for finding in check(root, installed={})}
    assert set(found) == {"use.py", "app/__init__.py"}
    assert change in found["use.py"]
    assert "base.books" in found["use.py"]


@pytest.mark.parametrize(
    "rebinding",
    [
        "def test(monkeypatch):\n    monkeypatch.setattr(base, 'books', 1)\n",
        "def test(monkeypatch):\n    monkeypatch.setattr('app.base.books', 1)\n",
        "from unittest.mock import patch\n\n\n@patch('app.base.books')\ndef test(books):\n    pass\n",
        "def test():\n    setattr(base, 'books', 1)\n",
    ],
)
def test_every_way_to_rebind_counts(project, rebinding):
    root = project(
        app__base=BASE, app__toc="from .base import books\n", test_it="from app import base\n" + rebinding
    )
    assert rules(root) == [("copied-name", "app/toc.py", 1)]


def test_a_copy_of_what_nobody_rebinds_and_a_reference_through_the_module_are_left_alone(project):
    assert rules(project(app__base=BASE, app__toc="from .base import books\n")) == []
    root = project(app__base=BASE, app__toc="from . import base\n\nbase.books\n", conftest=REBINDING)
    assert rules(root) == []


def test_a_lock_and_a_client_from_a_helper_count_too(project):
    root = project(
        app__make="def client():\n    from pymongo import AsyncMongoClient\n    return AsyncMongoClient()\n",
        app__base="import asyncio\nfrom .make import client\n\n"
        "lock = asyncio.Lock()\nmongo = client()\nname = 'books'\n",
        app__toc="from .base import lock, mongo, name\n",
        conftest="from app import base\n\n\ndef renew():\n    base.lock = base.mongo = base.name = None\n",
    )
    (finding,) = check(root, installed={})
    assert "copies lock, mongo from app.base" in finding.why


def test_a_loop_that_is_asked_for_in_a_sync_fixture_is_found(project):
    root = project(
        conftest="""
            import asyncio
            import pytest, pytest_asyncio


            @pytest.fixture
            def bad():
                return asyncio.get_running_loop()


            @pytest_asyncio.fixture
            async def good():
                return asyncio.get_running_loop()
            """
    )
    assert rules(root) == [("loop-in-sync-fixture", "conftest.py", 8)]


@pytest.mark.parametrize(("version", "found"), [("2.5.1", True), ("3.7.1", False)])
def test_a_client_in_a_sync_fixture_counts_where_the_driver_binds_at_creation(project, version, found):
    root = project(
        conftest="""
            import pytest
            from motor.motor_asyncio import AsyncIOMotorClient


            @pytest.fixture
            def client():
                return AsyncIOMotorClient()
            """
    )
    expected = [("client-in-sync-fixture", "conftest.py", 8)] if found else []
    assert rules(root, motor=version) == expected


def test_an_event_loop_override_is_found(project):
    root = project(conftest="import pytest\n\n\n@pytest.fixture\ndef event_loop():\n    yield None\n")
    assert rules(root) == [("event-loop-override", "conftest.py", 5)]


SCOPED = """
    import asyncpg
    import pytest
    import pytest_asyncio


    @pytest_asyncio.fixture(scope="session"{loop})
    async def client():
        yield await asyncpg.create_pool()


    @pytest.fixture
    def books(client):
        return client


    @pytest.mark.asyncio{mark}
    async def test_books(books):
        pass
    """


@pytest.mark.parametrize(
    ("ini", "loop", "mark", "found"),
    [
        ("", ', loop_scope="session"', "", ["loop-scopes-differ"]),
        ("", "", "", ["loop-scopes-differ"]),
        ("asyncio_default_fixture_loop_scope = function", "", "", ["fixture-outlives-loop"]),
        ("", ', loop_scope="session"', '(loop_scope="session")', []),
        ("asyncio_default_test_loop_scope = session", ', loop_scope="session"', "", []),
    ],
)
def test_loop_scopes_that_do_not_match_are_found(project, ini, loop, mark, found):
    root = project(pytest_ini=f"[pytest]\n{ini}\n", test_it=SCOPED.format(loop=loop, mark=mark))
    assert [rule for rule, _, _ in rules(root)] == found


def test_the_command_prints_and_exits_with_1_for_findings_and_0_for_none(project, capsys):
    root = project(app__base=BASE, app__toc="from .base import books\n", conftest=REBINDING)
    assert main(["check", str(root)]) == 1
    assert "app/toc.py:1: copied-name: copies books from app.base" in capsys.readouterr().out
    assert main(["check", "--json", str(root)]) == 1
    (finding,) = json.loads(capsys.readouterr().out)
    assert set(finding) == {"rule", "file", "line", "why", "change"}
    (root / "conftest.py").unlink()
    assert main(["check", str(root)]) == 0
    assert capsys.readouterr().out == "loopwatch: found nothing\n"


def test_a_path_that_is_not_there_is_an_error_that_says_so(tmp_path, capsys):
    assert main(["check", str(tmp_path / "no")]) == 2
    assert "there is no file or folder" in capsys.readouterr().err


def test_a_file_that_does_not_parse_does_not_stop_the_others(project):
    root = project(
        broken="def (:\n", conftest="import pytest\n\n\n@pytest.fixture\ndef event_loop():\n    yield None\n"
    )
    assert [rule for rule, _, _ in rules(root)] == ["event-loop-override"]


def test_several_paths_are_one_project(project):
    root = project(app__base=BASE, app__toc="from .base import books\n", tests__conftest=REBINDING)
    found = check(root / "app", root / "tests", installed={})
    assert [(f.rule, f.file) for f in found] == [("copied-name", "app/toc.py")]


def test_the_rules_are_listed_with_examples(capsys):
    assert main(["check", "--rules"]) == 0
    text = capsys.readouterr().out
    assert text.count("\n  found") == text.count("\n  right:") == len(RULES)


def test_without_a_path_the_check_cannot_run(capsys):
    assert main(["check"]) == 2
    assert "give the folders or files" in capsys.readouterr().err


def test_annotations_are_one_line_a_finding(project, capsys):
    root = project(conftest="import pytest\n\n\n@pytest.fixture\ndef event_loop():\n    yield None\n")
    assert main(["check", "--format=github", str(root)]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(
        "::warning file=conftest.py,line=5,title=event-loop-override::overrides the fixture"
    )
    assert "%0Achange: delete it" in line


def test_the_file_is_named_as_from_the_current_folder(project, monkeypatch):
    root = project(tests__conftest="import pytest\n\n\n@pytest.fixture\ndef event_loop():\n    yield None\n")
    monkeypatch.chdir(root)
    assert [f.file for f in check("tests", installed={})] == ["tests/conftest.py"]


AUTO = "async def test_it(pool):\n    await pool.fetch('select 1')\n"
POOL = """
    import asyncpg
    import pytest


    @pytest.fixture(scope="session")
    async def pool():
        return await asyncpg.create_pool()
    """


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\nasyncio_mode = auto\n"),
        (".pytest.ini", "[pytest]\nasyncio_mode = auto\n"),
        ("tox.ini", "[tox]\nenvlist = py\n[pytest]\nasyncio_mode = auto\n"),
        ("setup.cfg", "[tool:pytest]\nasyncio_mode = auto\n"),
        ("pyproject.toml", '[tool.pytest.ini_options]\nasyncio_mode = "auto"\n'),
        ("pyproject.toml", '[tool.pytest]\nasyncio_mode = "auto"\n'),
        ("pytest.toml", '[pytest]\nasyncio_mode = "auto"\n'),
        ("pytest.ini", "[pytest]\naddopts = -ra --asyncio-mode auto\n"),
        ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = ["-ra", "-o", "asyncio_mode=auto"]\n'),
    ],
)
def test_the_configuration_is_read_from_where_pytest_reads_it_also_above_the_path(project, name, text):
    root = project(tests__conftest=POOL, tests__test_it=AUTO)
    assert check(root / "tests", installed={}) == []
    (root / name).write_text(text)
    assert [f.rule for f in check(root / "tests", installed={})] == ["loop-scopes-differ"]


def test_an_empty_pytest_ini_hides_what_stands_above_it(project):
    root = project(tests__conftest=POOL, tests__test_it=AUTO)
    (root / "tox.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    (root / "tests" / "pytest.ini").touch()
    assert check(root / "tests", installed={}) == []
    (root / "tests" / "pytest.ini").rename(root / "tests" / "setup.cfg")
    assert check(root / "tests", installed={}) != []


def test_a_configuration_that_cannot_be_read_stops_the_check(project, capsys):
    root = project(conftest="")
    (root / "pytest.ini").write_text("[pytest\n")
    assert main(["check", str(root)]) == 2
    assert "pytest.ini cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("version", "mark", "found"),
    [
        ("0.21.2", "", ["fixture-outlives-loop"]),
        ("0.23.8", "", ["loop-scopes-differ"]),
        ("0.23.8", '(scope="session")', []),
        ("0.25.3", '(loop_scope="session")', []),
        ("0.26.0", "", ["loop-scopes-differ"]),
        ("1.1.0", '(loop_scope="session")', []),
    ],
)
def test_the_installed_pytest_asyncio_says_what_a_scope_means(project, version, mark, found):
    root = project(test_it=SCOPED.format(loop="", mark=mark))
    assert [f.rule for f in check(root, installed={"pytest-asyncio": version})] == found


KEPT = """
import pytest
from motor.motor_asyncio import AsyncIOMotorClient

client = AsyncIOMotorClient("mongodb://127.0.0.1")

@pytest.mark.asyncio
async def test_one():
    await client.admin.command("ping")

@pytest.mark.asyncio
async def test_two():
    await client.admin.command("ping")
"""


def test_what_the_outputs_encoding_does_not_know_is_no_traceback(tmp_path):
    (tmp_path / "test_\u4e00.py").write_text(KEPT, "utf-8")
    command = [sys.executable, "-m", "tocdemo.loopwatch", "check", "."]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}  # as on Windows, in a pipe
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, encoding="cp1252")
    assert (done.returncode, done.stderr) == (1, "")
    assert "test_?.py:5" in done.stdout
