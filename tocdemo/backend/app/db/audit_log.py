"""Who changed what, and when: one document for each change of a book."""

from datetime import UTC, datetime
from typing import Any

from . import base


async def record(action: str, book_id: str, user_id: str, details: dict, session: Any = None) -> None:
    """Write one entry, inside the transaction of `session` when there is one."""
    entry = {
        "action": action,
        "book_id": book_id,
        "user_id": user_id,
        "details": details,
        "at": datetime.now(UTC),
    }
    await base.audit_log_collection.insert_one(entry, session=session)
