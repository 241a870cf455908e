"""What the tests share: a fresh client on an empty database, and sample books and chapters."""

import asyncio

import pymongo
import pytest
import pytest_asyncio

from app.db import audit_log, base
from app.db.driver import SERVER_SELECTION_TIMEOUT_MS, close_client, make_client

# Tests empty their database. They touch none but those named like this: a run's own, to be thrown away.
TEST_DATABASE_PREFIX = "toctest_"


@pytest.fixture(scope="session")
def sync_client():
    """A synchronous client, which has no event loop, to empty the database with. None without a server."""
    if base.settings.driver == "mongomock":
        yield None
        return
    with pymongo.MongoClient(
        base.settings.uri, serverSelectionTimeoutMS=SERVER_SELECTION_TIMEOUT_MS
    ) as client:
        yield client


@pytest.fixture
def empty_database(sync_client):
    """Drop what the last test left behind."""
    name = base.settings.database_name
    if not name.startswith(TEST_DATABASE_PREFIX):
        pytest.exit(
            f"DATABASE_NAME is {name!r}: tests drop their database, so it must start with "
            f"{TEST_DATABASE_PREFIX!r}",
            returncode=2,
        )
    if sync_client is not None:
        sync_client.drop_database(name)


@pytest_asyncio.fixture
async def motor_reinit_db(empty_database):
    """Put a fresh client in the place of the one that `base` holds, and close it after the test."""
    base._client = make_client(base.settings, io_loop=asyncio.get_running_loop())
    base._database = base._client[base.settings.database_name]
    base.books_collection = base._database["books"]
    base.audit_log_collection = base._database["audit_log"]
    base.questions_collection = base._database["questions"]
    base.users_collection = base._database["users"]
    yield base._client
    await close_client(base._client)


@pytest.fixture(autouse=True)
def audit_entries(monkeypatch):
    """Replace the audit log by a list, so that a test of the TOC is a test of the TOC."""
    entries = []

    async def record(action, book_id, user_id, details, session=None):
        entries.append((action, book_id, user_id, details))

    monkeypatch.setattr(audit_log, "record", record)
    return entries


@pytest.fixture
def sample_book_data():
    """A book at version 1: chapter ch1 without subchapters, chapter ch2 with one."""
    return {
        "title": "A Test Book",
        "owner_id": "user_123",
        "table_of_contents": {
            "chapters": [
                {"id": "ch1", "title": "Chapter 1", "level": 1, "order": 1, "description": "The first"},
                {
                    "id": "ch2",
                    "title": "Chapter 2",
                    "level": 1,
                    "order": 2,
                    "description": "The second",
                    "subchapters": [
                        {
                            "id": "ch2-1",
                            "title": "Section 2.1",
                            "level": 2,
                            "order": 1,
                            "description": "Below",
                        }
                    ],
                },
            ],
            "version": 1,
            "generated_at": "2025-12-01T10:00:00Z",
            "status": "generated",
        },
    }


@pytest.fixture
def sample_chapter():
    """A chapter to add, without an id."""
    return {"title": "New Chapter", "level": 1, "order": 3, "description": "Added by a test"}


@pytest.fixture
def sample_subchapter():
    """A subchapter to add, without an id."""
    return {"title": "New Section", "level": 2, "order": 1, "description": "Added below a chapter"}
