"""The 28 tests of the table of contents: five operations, their errors, and two of them at once."""

import asyncio

import pytest
from bson import ObjectId

from app.db import base
from app.db.toc_transactions import (
    add_chapter_with_transaction,
    delete_chapter_with_transaction,
    reorder_chapters_with_transaction,
    update_chapter_with_transaction,
    update_toc_with_transaction,
)

OWNER = "user_123"
STRANGER = "user_456"


async def insert_book(book):
    result = await base.books_collection.insert_one(book)
    return str(result.inserted_id)


async def stored_toc(book_id):
    book = await base.books_collection.find_one({"_id": ObjectId(book_id)})
    return book["table_of_contents"]


def titles(chapters):
    return [chapter["title"] for chapter in chapters]


def ids(chapters):
    return [chapter["id"] for chapter in chapters]


# --- Updating the whole table of contents


@pytest.mark.asyncio
async def test_update_toc_success(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)
    new_toc = {"chapters": [{"id": "ch1", "title": "Rewritten"}], "expected_version": 1}

    toc = await update_toc_with_transaction(book_id, new_toc, OWNER)

    assert toc["version"] == 2
    assert toc["status"] == "edited"
    assert "updated_at" in toc
    stored = await stored_toc(book_id)
    assert titles(stored["chapters"]) == ["Rewritten"]
    assert stored["version"] == 2


@pytest.mark.asyncio
async def test_update_toc_version_conflict(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)
    await update_toc_with_transaction(book_id, {"chapters": [], "expected_version": 1}, OWNER)

    with pytest.raises(ValueError, match="Version conflict"):
        await update_toc_with_transaction(book_id, {"chapters": [], "expected_version": 1}, OWNER)


@pytest.mark.asyncio
async def test_update_toc_book_not_found(motor_reinit_db):
    with pytest.raises(ValueError, match="Book not found"):
        await update_toc_with_transaction(str(ObjectId()), {"chapters": []}, OWNER)


@pytest.mark.asyncio
async def test_update_toc_unauthorized(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)

    with pytest.raises(ValueError, match="Not authorized"):
        await update_toc_with_transaction(book_id, {"chapters": []}, STRANGER)


@pytest.mark.asyncio
async def test_update_toc_assigns_chapter_ids(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)
    new_toc = {"chapters": [{"title": "One", "subchapters": [{"title": "One, below"}]}, {"title": "Two"}]}

    await update_toc_with_transaction(book_id, new_toc, OWNER)

    one, two = (await stored_toc(book_id))["chapters"]
    given = {one["id"], one["subchapters"][0]["id"], two["id"]}
    assert len(given) == 3
    assert all(given)


@pytest.mark.asyncio
async def test_update_toc_invalid_book_id_format():
    with pytest.raises(ValueError, match="Invalid book ID format"):
        await update_toc_with_transaction("not-a-valid-objectid", {"chapters": []}, OWNER)


# --- Adding chapters


@pytest.mark.asyncio
async def test_add_top_level_chapter(motor_reinit_db, sample_book_data, sample_chapter):
    book_id = await insert_book(sample_book_data)

    chapter = await add_chapter_with_transaction(book_id, sample_chapter, OWNER)

    assert chapter["id"]
    assert {"created_at", "updated_at"} <= chapter.keys()
    toc = await stored_toc(book_id)
    assert titles(toc["chapters"]) == ["Chapter 1", "Chapter 2", "New Chapter"]
    assert toc["version"] == 2


@pytest.mark.asyncio
async def test_add_subchapter(motor_reinit_db, sample_book_data, sample_subchapter):
    book_id = await insert_book(sample_book_data)

    await add_chapter_with_transaction(book_id, sample_subchapter, OWNER, parent_chapter_id="ch2")

    _, ch2 = (await stored_toc(book_id))["chapters"]
    assert titles(ch2["subchapters"]) == ["Section 2.1", "New Section"]


@pytest.mark.asyncio
async def test_add_subchapter_parent_not_found(motor_reinit_db, sample_book_data, sample_subchapter):
    book_id = await insert_book(sample_book_data)

    with pytest.raises(ValueError, match="Parent chapter not found"):
        await add_chapter_with_transaction(book_id, sample_subchapter, OWNER, parent_chapter_id="ch9")


@pytest.mark.asyncio
async def test_add_chapter_book_not_found(motor_reinit_db, sample_chapter):
    with pytest.raises(ValueError, match="Book not found or not authorized"):
        await add_chapter_with_transaction(str(ObjectId()), sample_chapter, OWNER)


@pytest.mark.asyncio
async def test_add_chapter_to_parent_without_subchapters(
    motor_reinit_db, sample_book_data, sample_subchapter
):
    book_id = await insert_book(sample_book_data)

    await add_chapter_with_transaction(book_id, sample_subchapter, OWNER, parent_chapter_id="ch1")

    ch1, _ = (await stored_toc(book_id))["chapters"]
    assert titles(ch1["subchapters"]) == ["New Section"]


# --- Updating chapters


@pytest.mark.asyncio
async def test_update_chapter_success(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)
    updates = {"title": "Better", "description": "Much better"}

    chapter = await update_chapter_with_transaction(book_id, "ch1", updates, OWNER)

    assert chapter["title"] == "Better"
    toc = await stored_toc(book_id)
    assert toc["chapters"][0]["title"] == "Better"
    assert toc["chapters"][0]["description"] == "Much better"
    assert toc["version"] == 2


@pytest.mark.asyncio
async def test_update_subchapter_success(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)

    await update_chapter_with_transaction(book_id, "ch2-1", {"title": "Better"}, OWNER)

    _, ch2 = (await stored_toc(book_id))["chapters"]
    assert titles(ch2["subchapters"]) == ["Better"]


@pytest.mark.asyncio
async def test_update_chapter_not_found(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)

    with pytest.raises(ValueError, match="Chapter not found"):
        await update_chapter_with_transaction(book_id, "ch9", {"title": "Better"}, OWNER)


@pytest.mark.asyncio
async def test_update_chapter_unauthorized(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)

    with pytest.raises(ValueError, match="Book not found or not authorized"):
        await update_chapter_with_transaction(book_id, "ch1", {"title": "Better"}, STRANGER)


# --- Deleting chapters


@pytest.mark.asyncio
async def test_delete_top_level_chapter(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)

    await delete_chapter_with_transaction(book_id, "ch1", OWNER)

    toc = await stored_toc(book_id)
    assert ids(toc["chapters"]) == ["ch2"]
    assert toc["version"] == 2


@pytest.mark.asyncio
async def test_delete_subchapter(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)

    await delete_chapter_with_transaction(book_id, "ch2-1", OWNER)

    ch1, ch2 = (await stored_toc(book_id))["chapters"]
    assert (ch1["id"], ch2["id"]) == ("ch1", "ch2")
    assert ch2["subchapters"] == []


@pytest.mark.asyncio
async def test_delete_chapter_cascade_subchapters(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)

    await delete_chapter_with_transaction(book_id, "ch2", OWNER)

    toc = await stored_toc(book_id)
    assert ids(toc["chapters"]) == ["ch1"]
    assert "ch2-1" not in str(toc)


@pytest.mark.asyncio
async def test_delete_chapter_not_found(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)

    with pytest.raises(ValueError, match="Chapter not found"):
        await delete_chapter_with_transaction(book_id, "ch9", OWNER)


# --- Reordering chapters


@pytest.mark.asyncio
async def test_reorder_chapters_success(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)
    orders = [{"id": "ch2", "order": 1}, {"id": "ch1", "order": 2}]

    await reorder_chapters_with_transaction(book_id, orders, OWNER)

    toc = await stored_toc(book_id)
    assert ids(toc["chapters"]) == ["ch2", "ch1"]
    assert [chapter["order"] for chapter in toc["chapters"]] == [1, 2]
    assert toc["version"] == 2


@pytest.mark.asyncio
async def test_reorder_chapters_partial_list(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)

    await reorder_chapters_with_transaction(book_id, [{"id": "ch2", "order": 1}], OWNER)

    assert ids((await stored_toc(book_id))["chapters"]) == ["ch2", "ch1"]


@pytest.mark.asyncio
async def test_reorder_chapters_gaps_in_ordering(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)
    orders = [{"id": "ch1", "order": 10}, {"id": "ch2", "order": 5}]

    await reorder_chapters_with_transaction(book_id, orders, OWNER)

    chapters = (await stored_toc(book_id))["chapters"]
    assert [(chapter["id"], chapter["order"]) for chapter in chapters] == [("ch2", 5), ("ch1", 10)]


# --- Two at once


@pytest.mark.asyncio
async def test_concurrent_toc_updates_version_conflict(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)

    results = await asyncio.gather(
        update_toc_with_transaction(book_id, {"chapters": [], "expected_version": 1}, OWNER),
        update_toc_with_transaction(book_id, {"chapters": [], "expected_version": 1}, OWNER),
        return_exceptions=True,
    )

    errors = [result for result in results if isinstance(result, Exception)]
    assert len(errors) == 1, results
    assert isinstance(errors[0], ValueError)
    assert "Version conflict" in str(errors[0])
    assert (await stored_toc(book_id))["version"] == 2


@pytest.mark.asyncio
async def test_concurrent_chapter_adds_different_chapters(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)

    await asyncio.gather(
        add_chapter_with_transaction(book_id, {"title": "Chapter A", "level": 1, "order": 3}, OWNER),
        add_chapter_with_transaction(book_id, {"title": "Chapter B", "level": 1, "order": 4}, OWNER),
    )

    chapters = (await stored_toc(book_id))["chapters"]
    assert {"Chapter A", "Chapter B"} <= set(titles(chapters))
    assert len(chapters) == 4


@pytest.mark.asyncio
async def test_concurrent_updates_different_chapters(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)

    one, two = await asyncio.gather(
        update_chapter_with_transaction(book_id, "ch1", {"title": "Updated 1"}, OWNER),
        update_chapter_with_transaction(book_id, "ch2", {"title": "Updated 2"}, OWNER),
    )

    assert (one["title"], two["title"]) == ("Updated 1", "Updated 2")
    stored = await stored_toc(book_id)
    assert titles(stored["chapters"]) == ["Updated 1", "Updated 2"]
    assert stored["version"] == 3


# --- Edges


@pytest.mark.asyncio
async def test_update_toc_empty_chapters(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)

    toc = await update_toc_with_transaction(book_id, {"chapters": []}, OWNER)

    assert toc["chapters"] == []
    assert (await stored_toc(book_id))["chapters"] == []


@pytest.mark.asyncio
async def test_add_chapter_with_preset_id(motor_reinit_db, sample_book_data, sample_chapter):
    book_id = await insert_book(sample_book_data)

    chapter = await add_chapter_with_transaction(book_id, {**sample_chapter, "id": "my-own-id"}, OWNER)

    assert chapter["id"] == "my-own-id"
    assert ids((await stored_toc(book_id))["chapters"]) == ["ch1", "ch2", "my-own-id"]


@pytest.mark.asyncio
async def test_update_chapter_preserves_other_fields(motor_reinit_db, sample_book_data):
    book_id = await insert_book(sample_book_data)
    before = dict(sample_book_data["table_of_contents"]["chapters"][0])

    await update_chapter_with_transaction(book_id, "ch1", {"title": "Only the title"}, OWNER)

    after = (await stored_toc(book_id))["chapters"][0]
    assert after["title"] == "Only the title"
    assert {key: after[key] for key in before if key != "title"} == {
        key: value for key, value in before.items() if key != "title"
    }
