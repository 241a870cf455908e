"""The table of both drivers says what a call does, and finds the calls of a project."""

import asyncio
import inspect

import pytest

from tocdemo.course import exercises
from tocdemo.course.exercises.course_texts import solved
from tocdemo.experiments import drivers
from tocdemo.server import EmbeddedServer
from tocdemo.subject import sources

CALLS = {
    "close": lambda client, session, books: client.close(),
    "start_session": lambda client, session, books: client.start_session(),
    "start_transaction": lambda client, session, books: session.start_transaction(),
    "aggregate": lambda client, session, books: books.aggregate([]),
    "list_indexes": lambda client, session, books: books.list_indexes(),
    "with_transaction": lambda client, session, books: session.with_transaction(_nothing),
    "find": lambda client, session, books: books.find(),
    "find_one": lambda client, session, books: books.find_one(),
}


async def _nothing(session):
    return None


async def _awaited(kind, uri, name):
    """Return whether what a call of this name gives must be awaited."""
    client = kind(uri)
    session = client.start_session()
    session = await session if inspect.isawaitable(session) else session
    result = CALLS[name](client, session, client["library"]["books"])
    if inspect.isawaitable(result):
        await result
        return True
    return False


@pytest.mark.parametrize("name", CALLS)
def test_the_table_says_what_a_call_gives(name, tmp_path):
    table = drivers.differences(tmp_path)
    row = next((row for row in table.rows if row.name == name), None)
    with EmbeddedServer(replica_set="rs0") as server:
        found = [asyncio.run(_awaited(kind, server.uri, name)) for kind in drivers.PAIRS["client"]]
    assert (row is not None) == (found[0] != found[1])
    if row is not None:
        assert [row.motor, row.pymongo] == [drivers.AWAITED if each else drivers.CALLED for each in found]


def test_what_the_port_changes_stands_first_and_what_it_does_not_is_the_same():
    exercise = exercises.get("the-port")
    with sources.copied(exercise.begins.files) as folder:
        before = drivers.differences(folder)
    used = {row.name: row.places for row in before.rows if row.places}
    assert list(used)[: len(used)] == [row.name for row in before.rows[: len(used)]]
    assert used.keys() == {"io_loop=", "close", "start_session", "start_transaction"}
    assert "with_transaction" in before.same
    with sources.copied({**exercise.begins.files, **solved(exercise)}) as folder:
        after = drivers.differences(folder)
    assert {row.name for row in after.rows if row.places} == used.keys() - {"io_loop="}


def test_what_a_class_does_not_tell_is_tried(tmp_path):
    found = {row.name: row for row in drivers.differences(tmp_path).rows}
    assert (found["io_loop="].motor, found["io_loop="].pymongo) == ("taken", "raises ConfigurationError")
    assert (found["to_list(0)"].motor, found["to_list(0)"].pymongo) == ("gives a list", "raises ValueError")
    assert found["client.io_loop"].pymongo == "gives an AsyncDatabase"


def test_environments_and_hidden_folders_are_left_out(tmp_path):
    for folder in (".venv", "env/lib/site-packages", "own"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.py").write_text("client.start_session()\n")
    row = next(row for row in drivers.differences(tmp_path).rows if row.name == "start_session")
    assert row.places == ("own/a.py:1",)


def test_speeds_are_of_both_drivers_for_each_operation():
    table = drivers.speeds(rounds=2)
    assert table.figures.keys() == drivers.OPERATIONS.keys()
    assert all(each > 0 for pair in table.figures.values() for each in pair)
    assert "AsyncMongoClient / Motor" in str(table)
