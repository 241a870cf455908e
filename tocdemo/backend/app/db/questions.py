"""The questions that an author answers on the way to a chapter's first draft.

A question lives in one document, together with its rating and its response, so that each change is a single
update, and two at once lose nothing. Errors for the caller are ValueErrors.
"""

from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from pymongo import ReturnDocument

from . import base

KINDS = ("character", "plot", "setting", "theme", "research")
DIFFICULTIES = ("easy", "medium", "hard")
STATUSES = ("draft", "completed")
RATINGS = range(1, 6)


async def create_questions(book_id: str, chapter_id: str, questions: list[dict], user_id: str) -> list[dict]:
    """Store questions of a chapter, in this order, and return them as stored.

    Each has a `text`, a `kind` (of KINDS) and a `difficulty` (of DIFFICULTIES, "medium" if none is given).
    """
    now = datetime.now(UTC)
    documents = [
        {
            "book_id": book_id,
            "chapter_id": chapter_id,
            "owner_id": user_id,
            "order": order,
            "created_at": now,
            **_checked(question),
        }
        for order, question in enumerate(questions, 1)
    ]
    if documents:
        await base.questions_collection.insert_many(documents)
    return documents


async def list_questions(
    book_id: str,
    chapter_id: str,
    user_id: str,
    *,
    kind: str | None = None,
    difficulty: str | None = None,
    answered: bool | None = None,
    page: int = 1,
    per_page: int = 10,
) -> dict:
    """Return a page of a chapter's questions, in their order, with the numbers of questions and of pages.

    The filters narrow the questions down together; None does not filter. Pages are counted from 1, and a page
    after the last is empty.
    """
    if page < 1 or per_page < 1:
        raise ValueError(f"Invalid page: expected numbers from 1, found page {page} of {per_page} each")
    wanted = _of_chapter(book_id, chapter_id, user_id)
    if kind is not None:
        wanted["kind"] = _one_of(KINDS, kind, "kind")
    if difficulty is not None:
        wanted["difficulty"] = _one_of(DIFFICULTIES, difficulty, "difficulty")
    if answered is not None:
        wanted["response"] = {"$ne": None} if answered else None
    total = await base.questions_collection.count_documents(wanted)
    found = base.questions_collection.find(wanted).sort("order", 1)
    questions = [question async for question in found.skip((page - 1) * per_page).limit(per_page)]
    return {"questions": questions, "page": page, "pages": -(-total // per_page), "total": total}


async def save_response(question_id: str, text: str, user_id: str, status: str = "draft") -> dict:
    """Store the author's response to a question and return the question as stored.

    The response's `history` keeps every text that was saved, with its time: the oldest first, the present
    one last. `status` is one of STATUSES.
    """
    now = datetime.now(UTC)
    change = {
        "$set": {
            "response.text": text,
            "response.status": _one_of(STATUSES, status, "status"),
            "response.word_count": len(text.split()),
            "response.updated_at": now,
        },
        "$push": {"response.history": {"text": text, "at": now}},
    }
    return await _change(question_id, user_id, change)


async def rate_question(question_id: str, rating: int, user_id: str) -> dict:
    """Store how useful the author finds a question, from 1 to 5, and return the question as stored."""
    if rating not in RATINGS:
        raise ValueError(f"Invalid rating: expected {RATINGS[0]} to {RATINGS[-1]}, found {rating!r}")
    return await _change(question_id, user_id, {"$set": {"rating": rating}})


async def chapter_progress(book_id: str, chapter_id: str, user_id: str) -> dict:
    """Return how many of a chapter's questions there are, are answered and are completed, and the percentage.

    The percentage, rounded to a whole number, is of the completed ones; without questions it is 0.
    """
    chapter = _of_chapter(book_id, chapter_id, user_id)
    count = base.questions_collection.count_documents
    total = await count(chapter)
    answered = await count(chapter | {"response": {"$ne": None}})
    completed = await count(chapter | {"response.status": "completed"})
    percent = round(100 * completed / total) if total else 0
    return {"total": total, "answered": answered, "completed": completed, "percent": percent}


async def delete_questions(book_id: str, chapter_id: str, user_id: str) -> dict:
    """Delete a chapter's questions, but keep the answered ones: an author's words are never thrown away.

    Returns the numbers of those `deleted` and `kept`.
    """
    chapter = _of_chapter(book_id, chapter_id, user_id)
    result = await base.questions_collection.delete_many(chapter | {"response": None})
    kept = await base.questions_collection.count_documents(chapter)
    return {"deleted": result.deleted_count, "kept": kept}


async def _change(question_id: str, user_id: str, change: dict) -> dict:
    question = await base.questions_collection.find_one_and_update(
        _own(question_id, user_id), change, return_document=ReturnDocument.AFTER
    )
    if question is None:
        raise ValueError("Question not found or not authorized")
    return question


def _own(question_id: str, user_id: str) -> dict:
    if not ObjectId.is_valid(question_id):  # ObjectId(None) would make a new id
        raise ValueError(f"Invalid question ID format: {question_id!r}")
    return {"_id": ObjectId(question_id), "owner_id": user_id}


def _of_chapter(book_id: str, chapter_id: str, user_id: str) -> dict[str, Any]:
    return {"book_id": book_id, "chapter_id": chapter_id, "owner_id": user_id}


def _checked(question: dict) -> dict:
    text = str(question.get("text") or "").strip()
    if not text:
        raise ValueError(f"Invalid question: expected a text, found {question!r}")
    return {
        "text": text,
        "kind": _one_of(KINDS, question.get("kind"), "kind"),
        "difficulty": _one_of(DIFFICULTIES, question.get("difficulty", "medium"), "difficulty"),
    }


def _one_of(choices: tuple[str, ...], value: Any, what: str) -> str:
    if value not in choices:
        raise ValueError(f"Invalid {what}: expected one of {', '.join(choices)}, found {value!r}")
    return value
