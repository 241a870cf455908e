"""The people who write: an e-mail address, which is theirs alone, and a name.

The API's routes call these. An id is handed out as text; a user who is not there is a UserNotFound.
"""

from datetime import UTC, datetime

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from . import base


class UserNotFound(LookupError):
    """There is no user with this id."""


class EmailTaken(ValueError):
    """Another user has this e-mail address."""


async def create_indexes() -> None:
    """Let the database itself refuse a second user with the same address. Called when the API starts."""
    await base.users_collection.create_index("email", unique=True)


async def create_user(email: str, name: str) -> dict:
    """Store a user and return it. Addresses are compared in lower case. Raises EmailTaken."""
    user = {"email": email.lower(), "name": name, "created_at": datetime.now(UTC)}
    try:
        await base.users_collection.insert_one(user)
    except DuplicateKeyError:
        raise EmailTaken(f"There is a user with the address {user['email']} already") from None
    return _shown(user)


async def get_user(user_id: str) -> dict:
    """Return a user. Raises UserNotFound."""
    return _shown(await base.users_collection.find_one(_wanted(user_id)))


async def update_user(user_id: str, changes: dict) -> dict:
    """Change the named fields of a user and return it as stored. Raises UserNotFound."""
    user = await base.users_collection.find_one_and_update(
        _wanted(user_id),
        {"$set": {**changes, "updated_at": datetime.now(UTC)}},
        return_document=ReturnDocument.AFTER,
    )
    return _shown(user)


async def delete_user(user_id: str) -> None:
    """Delete a user. Raises UserNotFound."""
    result = await base.users_collection.delete_one(_wanted(user_id))
    if not result.deleted_count:
        raise UserNotFound("User not found")


def _wanted(user_id: str) -> dict:
    if not ObjectId.is_valid(user_id):
        raise UserNotFound("User not found")
    return {"_id": ObjectId(user_id)}


def _shown(user: dict | None) -> dict:
    if user is None:
        raise UserNotFound("User not found")
    return {"id": str(user["_id"]), "email": user["email"], "name": user["name"]}
