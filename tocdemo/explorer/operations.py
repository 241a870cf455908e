"""Operations to explore: each adds, renames or replaces chapters of a book, by a function of the backend.

An operation is called with the module `toc_transactions` and a book's id, and can be pickled: another process
may have to do it.
"""

import functools
from typing import Any

from .backend import Operation

OWNER = "user_1"


def add(title: str) -> Operation:
    """Return the operation that adds a chapter of this title."""
    return functools.partial(_call, "add_chapter_with_transaction", {"title": title, "level": 1})


def rename(chapter: str, title: str) -> Operation:
    """Return the operation that gives the chapter with this id another title. The book has ch1 and ch2."""
    return functools.partial(_call, "update_chapter_with_transaction", chapter, {"title": title})


def replace_toc(*titles: str, expected_version: int | None = None) -> Operation:
    """Return the operation that replaces the whole table of contents. The book's version is 1."""
    chapters = [{"title": title, "level": 1} for title in titles]
    toc_data = {"chapters": chapters, "expected_version": expected_version}
    return functools.partial(_call, "update_toc_with_transaction", toc_data)


async def _call(name: str, *arguments: Any) -> Any:
    """Call a function of the backend."""
    *given, toc, book = arguments
    return await getattr(toc, name)(book, *given, OWNER)


def new_book() -> dict[str, Any]:
    """Return the book, without its id, that each order begins with."""
    chapters = [{"id": f"ch{n}", "title": f"Chapter {n}", "level": 1, "order": n} for n in (1, 2)]
    return {"owner_id": OWNER, "table_of_contents": {"version": 1, "chapters": chapters}}
