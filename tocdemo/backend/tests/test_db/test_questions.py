"""The 19 tests of the questions: lists, responses with their history, ratings, progress, deletion."""

import asyncio

import pytest
from bson import ObjectId

from app.db import base
from app.db.questions import (
    chapter_progress,
    create_questions,
    delete_questions,
    list_questions,
    rate_question,
    save_response,
)

OWNER = "user_123"
STRANGER = "user_456"
BOOK, CHAPTER = "book_1", "ch1"
FOUR = [
    {"text": "Who tells the story?", "kind": "character", "difficulty": "easy"},
    {"text": "What does she want?", "kind": "character", "difficulty": "hard"},
    {"text": "What stands in her way?", "kind": "plot", "difficulty": "hard"},
    {"text": "Where does it end?", "kind": "setting"},
]


async def create(questions=FOUR, chapter=CHAPTER, user=OWNER):
    """Store the questions and return their ids."""
    stored = await create_questions(BOOK, chapter, questions, user)
    return [str(question["_id"]) for question in stored]


async def listed(chapter=CHAPTER, user=OWNER, **options):
    return texts((await list_questions(BOOK, chapter, user, **options))["questions"])


def texts(questions):
    return [question["text"] for question in questions]


async def stored(question_id):
    return await base.questions_collection.find_one({"_id": ObjectId(question_id)})


# --- Lists, filters and pages


@pytest.mark.asyncio
async def test_questions_keep_their_order(motor_reinit_db):
    await create()

    assert await listed() == texts(FOUR)


@pytest.mark.asyncio
async def test_questions_of_the_chapter_alone(motor_reinit_db):
    await create(FOUR[:2])
    await create(FOUR[2:], chapter="ch2")

    assert await listed() == texts(FOUR[:2])
    assert await listed("ch2") == texts(FOUR[2:])


@pytest.mark.asyncio
async def test_questions_of_the_owner_alone(motor_reinit_db):
    await create(FOUR[:1], user=STRANGER)

    assert await listed() == []


@pytest.mark.asyncio
@pytest.mark.parametrize("wrong", [{"text": " ", "kind": "plot"}, {"text": "Why?", "kind": "weather"}])
async def test_create_refuses_an_invalid_question(wrong):
    with pytest.raises(ValueError, match="Invalid"):
        await create([FOUR[0], wrong])


@pytest.mark.asyncio
async def test_filter_by_kind_and_difficulty(motor_reinit_db):
    await create()

    assert await listed(kind="character") == texts(FOUR[:2])
    assert await listed(difficulty="medium") == texts(FOUR[3:])
    assert await listed(kind="character", difficulty="hard") == texts(FOUR[1:2])


@pytest.mark.asyncio
async def test_filter_by_answered(motor_reinit_db):
    ids = await create()
    await save_response(ids[2], "Her brother", OWNER)

    assert await listed(answered=True) == texts(FOUR[2:3])
    assert await listed(answered=False) == texts([*FOUR[:2], FOUR[3]])


@pytest.mark.asyncio
async def test_pages_cut_the_list(motor_reinit_db):
    await create([{"text": f"Question {number}", "kind": "plot"} for number in range(1, 8)])

    pages = [await list_questions(BOOK, CHAPTER, OWNER, page=page, per_page=3) for page in (1, 2, 3, 4)]

    assert [texts(page["questions"])[:1] for page in pages] == [
        ["Question 1"],
        ["Question 4"],
        ["Question 7"],
        [],
    ]
    assert [len(page["questions"]) for page in pages] == [3, 3, 1, 0]
    assert {(page["total"], page["pages"]) for page in pages} == {(7, 3)}


@pytest.mark.asyncio
async def test_pages_are_counted_from_1():
    with pytest.raises(ValueError, match="Invalid page"):
        await listed(page=0)


# --- Responses


@pytest.mark.asyncio
async def test_response_is_stored_as_a_draft(motor_reinit_db):
    (question_id, *_) = await create()

    returned = await save_response(question_id, "The youngest sister", OWNER)

    response = (await stored(question_id))["response"]
    assert (response["text"], response["status"], response["word_count"]) == (
        "The youngest sister",
        "draft",
        3,
    )
    assert returned["response"] == response


@pytest.mark.asyncio
async def test_response_keeps_its_history(motor_reinit_db):
    (question_id, *_) = await create()

    for text in ("A boy", "A girl", "Her grandmother"):
        await save_response(question_id, text, OWNER, status="completed")

    response = (await stored(question_id))["response"]
    assert response["text"] == "Her grandmother"
    assert texts(response["history"]) == ["A boy", "A girl", "Her grandmother"]
    times = [edit["at"] for edit in response["history"]]
    assert times == sorted(times)


@pytest.mark.asyncio
async def test_concurrent_responses_are_both_in_the_history(motor_reinit_db):
    (question_id, *_) = await create()

    await asyncio.gather(*(save_response(question_id, text, OWNER) for text in ("One", "Two")))

    response = (await stored(question_id))["response"]
    assert sorted(texts(response["history"])) == ["One", "Two"]
    assert response["text"] == response["history"][-1]["text"]


@pytest.mark.asyncio
async def test_response_to_an_unknown_question(motor_reinit_db):
    with pytest.raises(ValueError, match="Question not found"):
        await save_response(str(ObjectId()), "Nobody", OWNER)
    with pytest.raises(ValueError, match="Invalid question ID format"):
        await save_response("not-an-id", "Nobody", OWNER)


@pytest.mark.asyncio
async def test_response_of_a_stranger(motor_reinit_db):
    (question_id, *_) = await create()

    with pytest.raises(ValueError, match="not authorized"):
        await save_response(question_id, "Me", STRANGER)

    assert "response" not in await stored(question_id)


# --- Ratings


@pytest.mark.asyncio
async def test_rating_replaces_the_last_one(motor_reinit_db):
    (question_id, *_) = await create()

    for rating in (2, 5):
        await rate_question(question_id, rating, OWNER)

    assert (await stored(question_id))["rating"] == 5


@pytest.mark.asyncio
async def test_rating_out_of_range():
    for rating in (0, 6):
        with pytest.raises(ValueError, match="Invalid rating"):
            await rate_question(str(ObjectId()), rating, OWNER)


# --- Progress and deletion


@pytest.mark.asyncio
async def test_progress_counts_answered_and_completed(motor_reinit_db):
    ids = await create()
    await save_response(ids[0], "A draft", OWNER)
    await save_response(ids[1], "Done", OWNER, status="completed")

    progress = await chapter_progress(BOOK, CHAPTER, OWNER)

    assert progress == {"total": 4, "answered": 2, "completed": 1, "percent": 25}


@pytest.mark.asyncio
async def test_progress_without_questions(motor_reinit_db):
    progress = await chapter_progress(BOOK, CHAPTER, OWNER)

    assert progress == {"total": 0, "answered": 0, "completed": 0, "percent": 0}


@pytest.mark.asyncio
async def test_deletion_keeps_answered_questions(motor_reinit_db):
    ids = await create()
    await create(chapter="ch2")
    await save_response(ids[1], "To be loved", OWNER)

    assert await delete_questions(BOOK, CHAPTER, OWNER) == {"deleted": 3, "kept": 1}

    assert await listed() == texts(FOUR[1:2])
    assert await listed("ch2") == texts(FOUR)
