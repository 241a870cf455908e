"""The routes of users: to join, and to see, change and delete oneself."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from ...db import users
from ..credentials import current_user_id, token_for

router = APIRouter(prefix="/users", tags=["users"])

Me = Annotated[str, Depends(current_user_id)]
Name = Annotated[str, Field(min_length=1, max_length=100)]


class NewUser(BaseModel):
    """What somebody sends to join."""

    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)]
    name: Name


class Changes(BaseModel):
    """What a user may change: the name, and nothing else."""

    model_config = ConfigDict(extra="forbid")

    name: Name


class User(BaseModel):
    """A user as others see it."""

    id: str
    email: str
    name: str


class Joined(User):
    """A new user, with the token to be known by."""

    token: str


@router.post("", status_code=201)
async def join(new: NewUser) -> Joined:
    user = await users.create_user(new.email, new.name)
    return Joined(**user, token=token_for(user["id"]))


@router.get("/me")
async def me(user_id: Me) -> User:
    return User(**await users.get_user(user_id))


@router.patch("/me")
async def update_me(user_id: Me, changes: Changes) -> User:
    return User(**await users.update_user(user_id, changes.model_dump()))


@router.delete("/me", status_code=204)
async def delete_me(user_id: Me) -> None:
    await users.delete_user(user_id)
