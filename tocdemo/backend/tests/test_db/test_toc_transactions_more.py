"""What the 28 do not reach: many writers at once, odd data, the real audit log, and transactions.

Tests that need a server's transactions skip themselves on a standalone and on the mock.
"""

import asyncio

import pytest
from bson import ObjectId

from app.db import audit_log, base, toc_transactions
from app.db.driver import supports_transactions
from app.db.toc_transactions import (
    MAX_ATTEMPTS,
    add_chapter_with_transaction,
    delete_chapter_with_transaction,
    reorder_chapters_with_transaction,
    update_chapter_with_transaction,
    update_toc_with_transaction,
)

OWNER = "user_123"
WRITERS = 40


@pytest.fixture(autouse=True)
def audit_entries():
    """The real audit log, in the place of the list that the conftest puts there."""


@pytest.fixture
def attempts(monkeypatch):
    """The number of every attempt that lost its swap, counted from 0."""
    lost = []
    back_off = toc_transactions._back_off

    async def counted(attempt):
        lost.append(attempt)
        await back_off(attempt)

    monkeypatch.setattr(toc_transactions, "_back_off", counted)
    return lost


@pytest.fixture
def always_overtaken(monkeypatch):
    """Another writer, who is always there first: no swap succeeds."""

    async def overtaken(condition, toc, session=None):
        return False

    async def at_once(attempt):
        pass

    monkeypatch.setattr(toc_transactions, "_write_toc", overtaken)
    monkeypatch.setattr(toc_transactions, "_back_off", at_once)


@pytest.fixture
def overtaken_once(monkeypatch):
    """Another writer, who raises the version before our first write; a list of the conditions tried."""
    tried = []
    write_toc = toc_transactions._write_toc

    async def overtaken(condition, toc, session=None):
        tried.append(condition)
        if len(tried) == 1:
            return False
        return await write_toc(condition, toc, session=session)

    monkeypatch.setattr(toc_transactions, "_write_toc", overtaken)
    return tried


async def insert_book(book):
    result = await base.books_collection.insert_one(book)
    return str(result.inserted_id)


async def stored_toc(book_id):
    book = await base.books_collection.find_one({"_id": ObjectId(book_id)})
    return book["table_of_contents"]


async def entries_of(book_id):
    return await base.audit_log_collection.find({"book_id": book_id}).to_list(None)


async def require_transactions():
    if not await supports_transactions(base._client):
        pytest.skip("needs a replica set: TOCDEMO_BACKEND=replica-set, or the URI of one")


# --- Many at once


@pytest.mark.asyncio
async def test_forty_adds_at_once_all_arrive_within_the_bound(motor_reinit_db, sample_book_data, attempts):
    book_id = await insert_book(sample_book_data)

    await asyncio.gather(
        *(add_chapter_with_transaction(book_id, {"title": f"No. {n}"}, OWNER) for n in range(WRITERS))
    )

    toc = await stored_toc(book_id)
    added = {chapter["title"] for chapter in toc["chapters"]} - {"Chapter 1", "Chapter 2"}
    assert added == {f"No. {n}" for n in range(WRITERS)}
    assert toc["version"] == 1 + WRITERS
    assert max(attempts, default=0) < MAX_ATTEMPTS - 1


@pytest.mark.asyncio
async def test_different_operations_at_once_all_arrive(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)
    orders = [{"id": "ch1", "order": 1}]

    await asyncio.gather(
        add_chapter_with_transaction(book_id, {"title": "Below"}, OWNER, parent_chapter_id="ch1"),
        update_chapter_with_transaction(book_id, "ch1", {"title": "Better"}, OWNER),
        delete_chapter_with_transaction(book_id, "ch2-1", OWNER),
        reorder_chapters_with_transaction(book_id, orders, OWNER),
    )

    toc = await stored_toc(book_id)
    ch1, ch2 = toc["chapters"]
    assert (ch1["title"], [each["title"] for each in ch1["subchapters"]]) == ("Better", ["Below"])
    assert ch2["subchapters"] == []
    assert toc["version"] == 5


@pytest.mark.asyncio
async def test_toc_updates_at_once_without_a_version_all_count(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)
    tocs = [{"chapters": [{"id": f"only-{n}", "title": "Mine"}]} for n in range(8)]

    results = await asyncio.gather(*(update_toc_with_transaction(book_id, toc, OWNER) for toc in tocs))

    stored = await stored_toc(book_id)
    assert sorted(toc["version"] for toc in results) == list(range(2, 10))
    last = max(results, key=lambda toc: toc["version"])
    assert stored["chapters"] == last["chapters"]
    assert sorted(entry["details"]["version"] for entry in await entries_of(book_id)) == list(range(2, 10))


@pytest.mark.asyncio
async def test_a_writer_who_is_always_overtaken_is_told_to_try_later(
    motor_reinit_db, sample_book_data, always_overtaken
):
    book_id = await insert_book(sample_book_data)

    with pytest.raises(ValueError, match=f"changed {MAX_ATTEMPTS} times .* try again later"):
        await add_chapter_with_transaction(book_id, {"title": "Never"}, OWNER)
    with pytest.raises(ValueError, match=f"changed {MAX_ATTEMPTS} times .* try again later"):
        await update_toc_with_transaction(book_id, {"chapters": []}, OWNER)

    assert (await stored_toc(book_id))["version"] == 1
    assert await entries_of(book_id) == []


@pytest.mark.asyncio
async def test_a_named_version_is_not_tried_again(motor_reinit_db, sample_book_data, overtaken_once):
    book_id = await insert_book(sample_book_data)

    with pytest.raises(ValueError, match="Version conflict: the table of contents was changed"):
        await update_toc_with_transaction(book_id, {"chapters": [], "expected_version": 1}, OWNER)

    assert len(overtaken_once) == 1


@pytest.mark.asyncio
async def test_an_overtaken_update_without_a_version_reads_and_writes_again(
    motor_reinit_db, sample_book_data, overtaken_once
):
    book_id = await insert_book(sample_book_data)

    toc = await update_toc_with_transaction(book_id, {"chapters": []}, OWNER)

    assert toc["version"] == 2
    assert [condition["table_of_contents.version"] for condition in overtaken_once] == [1, 1]
    assert len(await entries_of(book_id)) == 1


# --- Odd data


@pytest.mark.asyncio
@pytest.mark.parametrize("without", [{}, {"table_of_contents": None}, {"table_of_contents": {}}])
async def test_a_book_without_a_toc_gets_its_first(motor_reinit_db, without):
    if base.settings.driver == "mongomock" and None in without.values():
        pytest.skip('mongomock does not match {"a": None} with {"a.b": None}, as MongoDB does')
    book_id = await insert_book({"title": "Bare", "owner_id": OWNER, **without})

    await add_chapter_with_transaction(book_id, {"title": "First"}, OWNER)
    assert (await stored_toc(book_id))["version"] == 1

    await update_toc_with_transaction(book_id, {"chapters": [{"title": "Second"}]}, OWNER)
    toc = await stored_toc(book_id)
    assert toc["version"] == 2
    assert [chapter["title"] for chapter in toc["chapters"]] == ["Second"]


@pytest.mark.asyncio
async def test_update_toc_of_a_book_without_a_toc(motor_reinit_db):
    book_id = await insert_book({"title": "Bare", "owner_id": OWNER})

    toc = await update_toc_with_transaction(book_id, {"expected_version": 0}, OWNER)

    assert (toc["version"], toc["chapters"]) == (1, [])


@pytest.mark.asyncio
async def test_subchapters_are_found_at_any_depth(motor_reinit_db, sample_book_data):
    deep = {"id": "ch2-1-1", "title": "Deep", "subchapters": [{"id": "ch2-1-1-1", "title": "Deeper"}]}
    sample_book_data["table_of_contents"]["chapters"][1]["subchapters"][0]["subchapters"] = [deep]
    book_id = await insert_book(sample_book_data)

    await update_chapter_with_transaction(book_id, "ch2-1-1-1", {"title": "Deepest"}, OWNER)
    gone = await delete_chapter_with_transaction(book_id, "ch2-1-1", OWNER)

    assert gone["subchapters"][0]["title"] == "Deepest"
    _, ch2 = (await stored_toc(book_id))["chapters"]
    assert ch2["subchapters"][0]["subchapters"] == []


@pytest.mark.asyncio
async def test_null_subchapters_count_as_none(motor_reinit_db, sample_book_data, sample_subchapter):
    sample_book_data["table_of_contents"]["chapters"][0]["subchapters"] = None
    book_id = await insert_book(sample_book_data)

    await update_chapter_with_transaction(book_id, "ch2-1", {"title": "Behind it"}, OWNER)
    await add_chapter_with_transaction(book_id, sample_subchapter, OWNER, parent_chapter_id="ch1")
    await update_toc_with_transaction(book_id, {"chapters": [{"title": "A", "subchapters": None}]}, OWNER)

    (only,) = (await stored_toc(book_id))["chapters"]
    assert only["subchapters"] == []


@pytest.mark.asyncio
async def test_a_chapter_that_was_stored_without_an_id_is_in_nobodys_way(motor_reinit_db, sample_book_data):
    sample_book_data["table_of_contents"]["chapters"].insert(0, {"title": "From an older version"})
    book_id = await insert_book(sample_book_data)

    await update_chapter_with_transaction(book_id, "ch1", {"title": "Better"}, OWNER)
    await add_chapter_with_transaction(book_id, {"title": "Below"}, OWNER, parent_chapter_id="ch1")
    await reorder_chapters_with_transaction(book_id, [{"id": "ch2", "order": 1}], OWNER)

    chapters = (await stored_toc(book_id))["chapters"]
    assert [each["title"] for each in chapters] == ["Chapter 2", "From an older version", "Better"]


@pytest.mark.asyncio
async def test_an_update_cannot_change_the_id(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)

    chapter = await update_chapter_with_transaction(book_id, "ch1", {"id": "stolen"}, OWNER)

    assert chapter["id"] == "ch1"


@pytest.mark.asyncio
async def test_the_callers_own_data_stays_as_it_is(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)
    toc = {"chapters": [{"title": "One", "subchapters": [{"title": "Below"}]}]}
    chapter = {"title": "Two"}

    await update_toc_with_transaction(book_id, toc, OWNER)
    await add_chapter_with_transaction(book_id, chapter, OWNER)

    assert toc == {"chapters": [{"title": "One", "subchapters": [{"title": "Below"}]}]}
    assert chapter == {"title": "Two"}


@pytest.mark.asyncio
async def test_reorder_leaves_unknown_ids_and_an_empty_list_alone(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)

    await reorder_chapters_with_transaction(book_id, [{"id": "ch9", "order": 1}], OWNER)
    chapters = await reorder_chapters_with_transaction(book_id, [], OWNER)

    assert [(chapter["id"], chapter["order"]) for chapter in chapters] == [("ch1", 1), ("ch2", 2)]


@pytest.mark.asyncio
@pytest.mark.parametrize("orders", [[{"id": "ch1"}], [{"order": 1}], ["ch1"], [{"id": "ch1", "order": "1"}]])
async def test_reorder_says_what_it_expects(orders):
    with pytest.raises(ValueError, match="expected an id and a number as order"):
        await reorder_chapters_with_transaction(str(ObjectId()), orders, OWNER)


@pytest.mark.asyncio
@pytest.mark.parametrize("book_id", [None, 7, "", "z" * 24, b"short"])
async def test_bad_ids_are_refused_before_the_database_is_touched(book_id, monkeypatch):
    monkeypatch.setattr(base, "_client", None)
    monkeypatch.setattr(base, "books_collection", None)
    calls = (
        update_toc_with_transaction(book_id, {"chapters": []}, OWNER),
        add_chapter_with_transaction(book_id, {"title": "New"}, OWNER),
        update_chapter_with_transaction(book_id, "ch1", {}, OWNER),
        delete_chapter_with_transaction(book_id, "ch1", OWNER),
        reorder_chapters_with_transaction(book_id, [], OWNER),
    )
    for call in calls:
        with pytest.raises(ValueError, match="Invalid book ID format"):
            await call


# --- The audit log


@pytest.mark.asyncio
async def test_update_toc_writes_one_audit_entry(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)

    await update_toc_with_transaction(book_id, {"chapters": [{"title": "One"}]}, OWNER)

    (entry,) = await entries_of(book_id)
    assert (entry["action"], entry["user_id"]) == ("toc_updated", OWNER)
    assert entry["details"] == {"version": 2, "chapters": 1}
    assert "at" in entry


@pytest.mark.asyncio
async def test_a_refused_update_writes_no_audit_entry(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)

    with pytest.raises(ValueError, match="expected 7, found 1"):
        await update_toc_with_transaction(book_id, {"chapters": [], "expected_version": 7}, OWNER)

    assert await entries_of(book_id) == []


# --- Transactions


class Answers:
    """A client whose server answers `hello` with a document, or refuses."""

    def __init__(self, hello):
        self.admin = self
        self.hello = hello

    async def command(self, name):
        assert name == "hello"
        if isinstance(self.hello, Exception):
            raise self.hello
        return self.hello


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("hello", "expected"),
    [
        ({"ok": 1.0, "isWritablePrimary": True}, False),
        ({"ok": 1.0, "setName": "rs0"}, True),
        ({"ok": 1.0, "msg": "isdbgrid"}, True),
        (NotImplementedError("mongomock has no hello"), False),
    ],
    ids=["standalone", "replica-set", "sharded", "mock"],
)
async def test_transactions_are_where_the_topology_has_them(hello, expected):
    assert await supports_transactions(Answers(hello)) is expected


@pytest.mark.asyncio
async def test_another_error_of_the_probe_comes_through(motor_reinit_db, sample_book_data, monkeypatch):
    monkeypatch.setattr(base, "_client", Answers(RuntimeError("Event loop is closed")))

    with pytest.raises(RuntimeError, match="Event loop is closed"):
        await update_toc_with_transaction(str(ObjectId()), {"chapters": []}, OWNER)


@pytest.mark.asyncio
async def test_book_and_audit_entry_are_written_together_or_not_at_all(
    motor_reinit_db, sample_book_data, monkeypatch
):
    await require_transactions()
    book_id = await insert_book(sample_book_data)
    record = audit_log.record

    async def record_and_fail(*args, **kwargs):
        await record(*args, **kwargs)
        raise OSError("the log's disk is full")

    monkeypatch.setattr(audit_log, "record", record_and_fail)
    with pytest.raises(OSError, match="disk is full"):
        await update_toc_with_transaction(book_id, {"chapters": []}, OWNER)

    assert (await stored_toc(book_id))["version"] == 1
    assert await entries_of(book_id) == []


@pytest.mark.asyncio
async def test_a_write_conflict_is_tried_again_by_the_driver(motor_reinit_db, sample_book_data, monkeypatch):
    await require_transactions()
    book_id = await insert_book(sample_book_data)
    write_toc, others = toc_transactions._write_toc, []

    async def overtaken_in_the_transaction(condition, toc, session=None):
        assert session.in_transaction
        if not others:  # between the transaction's read and its write: a WriteConflict
            others.append(await update_chapter_by_another(book_id))
        return await write_toc(condition, toc, session=session)

    monkeypatch.setattr(toc_transactions, "_write_toc", overtaken_in_the_transaction)
    toc = await update_toc_with_transaction(book_id, {"chapters": []}, OWNER)

    assert toc["version"] == 3
    assert len(await entries_of(book_id)) == 1


async def update_chapter_by_another(book_id):
    return await base.books_collection.update_one(
        {"_id": ObjectId(book_id)}, {"$set": {"table_of_contents.version": 2}}
    )
