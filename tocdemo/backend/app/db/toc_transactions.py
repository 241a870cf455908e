"""Changes of a book's table of contents (TOC) that lose nothing when several happen at once.

The API's routes call the five operations below. Each reads the TOC, changes it, and writes it back only if
its version is still the one that was read: a compare-and-swap. Errors for the caller are ValueErrors.
"""

import asyncio
import copy
import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId

from . import audit_log, base
from .driver import start_session, supports_transactions

# A writer can lose the swap once to each other writer, who then has won: N writers need N attempts at most.
MAX_ATTEMPTS = 64


async def update_toc_with_transaction(book_id: str, toc_data: dict, user_id: str) -> dict:
    """Replace the whole TOC, and write an entry to the audit log. Returns the TOC as stored.

    With `expected_version` in `toc_data`, a TOC that has another version by now is left alone. On a replica
    set the two writes are one transaction.
    """
    object_id = _object_id(book_id)

    async def write(session: Any = None) -> dict | None:
        book = await base.books_collection.find_one({"_id": object_id}, session=session)
        toc = _replacement(book, toc_data, user_id)
        if not await _write_toc(_unchanged(book), toc, session=session):
            return None
        details = {"version": toc["version"], "chapters": len(toc["chapters"])}
        await audit_log.record("toc_updated", book_id, user_id, details, session=session)
        return toc

    use_transaction = await supports_transactions(base._client)
    for attempt in range(MAX_ATTEMPTS):
        toc = await (_in_transaction(write) if use_transaction else write())
        if toc is not None:
            return toc
        if toc_data.get("expected_version") is not None:
            raise ValueError("Version conflict: the table of contents was changed by somebody else")
        await _back_off(attempt)
    raise ValueError(_TOO_BUSY)


async def add_chapter_with_transaction(
    book_id: str, chapter_data: dict, user_id: str, parent_chapter_id: str | None = None
) -> dict:
    """Add a chapter at the end, or a subchapter below `parent_chapter_id`. Returns the chapter as stored."""
    now = datetime.now(UTC)
    chapter = {**_with_id(chapter_data), "created_at": now, "updated_at": now}

    def add(chapters: list[dict]) -> dict:
        if parent_chapter_id is None:
            chapters.append(chapter)
            return chapter
        parent = next((each for each in chapters if each.get("id") == parent_chapter_id), None)
        if parent is None:
            raise ValueError("Parent chapter not found")
        parent["subchapters"] = [*(parent.get("subchapters") or []), chapter]
        return chapter

    return await _change_chapters(book_id, user_id, add)


async def update_chapter_with_transaction(
    book_id: str, chapter_id: str, chapter_updates: dict, user_id: str
) -> dict:
    """Change the named fields of a chapter or a subchapter. Returns the chapter as stored."""

    def update(chapters: list[dict]) -> dict:
        siblings, position = _find(chapters, chapter_id)
        chapter = siblings[position]
        chapter.update(chapter_updates, id=chapter_id, updated_at=datetime.now(UTC))
        return chapter

    return await _change_chapters(book_id, user_id, update)


async def delete_chapter_with_transaction(book_id: str, chapter_id: str, user_id: str) -> dict:
    """Delete a chapter with what is below it, or a subchapter. Returns what was deleted."""

    def delete(chapters: list[dict]) -> dict:
        siblings, position = _find(chapters, chapter_id)
        return siblings.pop(position)

    return await _change_chapters(book_id, user_id, delete)


async def reorder_chapters_with_transaction(
    book_id: str, chapter_orders: list[dict], user_id: str
) -> list[dict]:
    """Sort the chapters by `chapter_orders`, a list of `{"id": …, "order": …}`. Returns them as stored.

    The numbers are kept as they are given, gaps and all. Chapters that are not named go to the end.
    """
    orders = _orders(chapter_orders)

    def reorder(chapters: list[dict]) -> list[dict]:
        last = max(orders.values(), default=0)
        for chapter in chapters:
            if chapter.get("id") in orders:
                chapter["order"] = orders[chapter["id"]]
            else:
                last += 1
                chapter["order"] = last
        chapters.sort(key=lambda chapter: chapter["order"])
        return chapters

    return await _change_chapters(book_id, user_id, reorder)


_TOO_BUSY = f"The table of contents changed {MAX_ATTEMPTS} times while it was being written: try again later"


async def _change_chapters(book_id: str, user_id: str, change: Callable[[list[dict]], Any]) -> Any:
    """Apply `change` to a book's chapters, in place, and store them. Returns what `change` returns."""
    object_id = _object_id(book_id)
    for attempt in range(MAX_ATTEMPTS):
        book = await base.books_collection.find_one({"_id": object_id, "owner_id": user_id})
        if book is None:
            raise ValueError("Book not found or not authorized")
        toc = _next_version(book)
        result = change(toc["chapters"])
        if await _write_toc(_unchanged(book), toc):
            return result
        await _back_off(attempt)
    raise ValueError(_TOO_BUSY)


async def _write_toc(condition: dict, toc: dict, session: Any = None) -> bool:
    """Store `toc` in the book that meets `condition`. Returns False when there is none."""
    update = {"$set": {"table_of_contents": toc, "updated_at": datetime.now(UTC)}}
    result = await base.books_collection.update_one(condition, update, session=session)
    return result.matched_count == 1


def _unchanged(book: dict) -> dict:
    """Return the guard: this book, with the version that was read. (None matches a TOC without one.)"""
    version = (book.get("table_of_contents") or {}).get("version")
    return {"_id": book["_id"], "table_of_contents.version": version}


async def _back_off(attempt: int) -> None:
    """Wait a little, by chance and longer each time, so that writers at once do not stay in step."""
    await asyncio.sleep(random.uniform(0, min(0.05, 0.001 * 2**attempt)))


async def _in_transaction(write: Callable) -> Any:
    """Run `write(session)` in a transaction, with the driver's retry. Returns what it returns."""
    async with await start_session(base._client) as session:
        return await session.with_transaction(write)


def _object_id(book_id: str) -> ObjectId:
    if not ObjectId.is_valid(book_id):  # ObjectId(None) would make a new id
        raise ValueError(f"Invalid book ID format: {book_id!r}")
    return ObjectId(book_id)


def _replacement(book: dict | None, toc_data: dict, user_id: str) -> dict:
    """Check that `user_id` may replace the TOC of `book`, and return the new one."""
    if book is None:
        raise ValueError("Book not found")
    if book.get("owner_id") != user_id:
        raise ValueError("Not authorized to change this book")
    toc = _next_version(book)
    expected = toc_data.get("expected_version")
    if expected is not None and expected != toc["version"] - 1:
        raise ValueError(f"Version conflict: expected {expected}, found {toc['version'] - 1}")
    toc["chapters"] = [_with_id(chapter) for chapter in toc_data.get("chapters", [])]
    toc["status"] = "edited"
    toc["updated_at"] = datetime.now(UTC)
    return toc


def _next_version(book: dict) -> dict:
    """Return a copy of the book's TOC with its version raised by one. A book without a TOC gets its first."""
    toc = copy.deepcopy(book.get("table_of_contents") or {})
    toc.setdefault("chapters", [])
    toc["version"] = (toc.get("version") or 0) + 1
    return toc


def _with_id(chapter: dict) -> dict:
    """Return a copy of the chapter in which it and its subchapters each have an id."""
    chapter = {**chapter, "id": chapter.get("id") or str(uuid.uuid4())}
    if "subchapters" in chapter:
        chapter["subchapters"] = [_with_id(each) for each in chapter["subchapters"] or []]
    return chapter


def _orders(chapter_orders: list[dict]) -> dict[str, float]:
    """Return the order of each id that is named. Raises ValueError for anything but ids and numbers."""
    try:
        return {each["id"]: each["order"] + 0 for each in chapter_orders}
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"Invalid chapter order: expected an id and a number as order for each, found {chapter_orders!r}"
        ) from error


def _find(chapters: list[dict], chapter_id: str) -> tuple[list[dict], int]:
    """Return the list that holds the chapter, at any depth, and the chapter's place in it."""
    for position, chapter in enumerate(chapters):
        if chapter.get("id") == chapter_id:
            return chapters, position
    for chapter in chapters:
        try:
            return _find(chapter.get("subchapters") or [], chapter_id)
        except ValueError:
            continue
    raise ValueError("Chapter not found")
