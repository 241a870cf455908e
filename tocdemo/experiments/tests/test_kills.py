"""The book and the audit log agree on a replica set, whoever dies between the two writes, and when."""

import asyncio
import importlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from bson import ObjectId

from tocdemo.experiments import kills
from tocdemo.runner import fresh
from tocdemo.runner.databases import PREFIX, Database
from tocdemo.server import EmbeddedServer
from tocdemo.subject import faults
from tocdemo.subject.tests.projects import lay_out

AT_ONCE = 50
POINTS = ("find", "update", "insert", "commitTransaction")


def test_five_kills_between_the_two_writes_leave_neither_on_a_replica_set(tmp_path):
    folder = lay_out(tmp_path)

    with ThreadPoolExecutor(5) as threads:
        left = list(threads.map(lambda _: kills.kill_between_writes(folder, "replica-set"), range(5)))

    assert [(each.changes, each.entries) for each in left] == [(0, 0)] * 5
    assert all(each.agree for each in left)


def test_on_a_standalone_a_kill_leaves_a_change_that_no_entry_tells_of(tmp_path):
    left = kills.kill_between_writes(lay_out(tmp_path), "embedded")

    assert (left.changes, left.entries) == (1, 0)
    assert "DISAGREE" in str(left)


def test_a_process_that_does_not_come_between_the_writes_says_why(tmp_path):
    folder = lay_out(tmp_path, faults.state("fixed"))
    (folder / "app/db/toc_transactions.py").write_text("raise RuntimeError('no module today')\n")

    with pytest.raises(RuntimeError, match="no module today"):
        kills.kill_between_writes(folder, "embedded")


def test_two_hundred_cut_connections_leave_book_and_log_in_agreement(tmp_path):
    """50 writers are cut at each of four commands; half of the clients die, too, and half go on."""
    folder = lay_out(tmp_path)
    with (
        EmbeddedServer(replica_set="rs0") as server,
        fresh.as_before(folder),
        pytest.MonkeyPatch.context() as settings,
    ):
        # PyMongo's own async client: Motor's threads would not carry 50 commands that are held.
        for name, value in Database(server.uri, f"{PREFIX}cuts", "pymongo").environment().items():
            settings.setenv(name, value)
        settings.syspath_prepend(str(folder))
        toc, base = (importlib.import_module(f"app.db.{name}") for name in ("toc_transactions", "base"))

        found = asyncio.run(_cut_everywhere(server.gate, toc, base))

    assert len(found) == AT_ONCE * len(POINTS) == 200
    assert [each for each in found if each[1] != each[2]] == []
    went_on = [changes for died, changes, _ in found if not died]
    assert went_on == [1] * 100  # the driver's retry


async def _cut_everywhere(gate, toc, base):
    """Return for each writer whether its client died, the changes in its book and its entries in the log."""
    await base.audit_log_collection.insert_one({})  # no transaction waits for the collection to be made
    found = []
    for point in POINTS:
        made = await base.books_collection.insert_many([_book() for _ in range(AT_ONCE)])
        await _cut(gate, toc, [str(each) for each in made.inserted_ids], point)
        for number, book_id in enumerate(made.inserted_ids):
            book = await base.books_collection.find_one({"_id": ObjectId(book_id)})
            entries = await base.audit_log_collection.count_documents({"book_id": str(book_id)})
            found.append((number % 2 == 0, book["table_of_contents"]["version"] - 1, entries))
    await base._client.close()
    return found


async def _cut(gate, toc, book_ids, point):
    with gate.hold(commands=[point]):
        change = {"chapters": [{"title": "New"}]}
        writers = [
            asyncio.ensure_future(toc.update_toc_with_transaction(book_id, change, "user_1"))
            for book_id in book_ids
        ]
        held = (await asyncio.to_thread(gate.wait_for, lambda s: len(s.held) == len(writers), 30.0)).held
        for each in held:
            gate.cut(each)
        for writer in writers[::2]:
            writer.cancel()
    await asyncio.wait(writers)


def _book():
    return {"owner_id": "user_1", "table_of_contents": {"version": 1, "chapters": []}}
