"""The 7 tests of the users' routes: requests go to the application itself, with no network between."""

import pytest
import pytest_asyncio
from bson import ObjectId
from httpx import ASGITransport, AsyncClient

from app.api.application import create_app
from app.api.credentials import token_for
from app.db import users

ADA = {"email": "ada@example.org", "name": "Ada"}


@pytest_asyncio.fixture
async def api(motor_reinit_db):
    """A client of the API. ASGITransport does not start the application, so the index is made here."""
    await users.create_indexes()
    async with AsyncClient(transport=ASGITransport(create_app()), base_url="http://test") as client:
        yield client


async def join(api, person=ADA):
    answer = await api.post("/users", json=person)
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['token']}"}


@pytest.mark.asyncio
async def test_me(api):
    as_ada = await join(api)
    await join(api, {"email": "bob@example.org", "name": "Bob"})

    answer = await api.get("/users/me", headers=as_ada)

    assert answer.status_code == 200
    assert answer.json() == {"id": answer.json()["id"], **ADA}


@pytest.mark.asyncio
async def test_update_me(api):
    as_ada = await join(api)

    changed = await api.patch("/users/me", headers=as_ada, json={"name": "Ada L."})
    refused = await api.patch("/users/me", headers=as_ada, json={"name": "Ada", "email": "x@example.org"})

    assert (changed.status_code, refused.status_code) == (200, 422)
    now = (await api.get("/users/me", headers=as_ada)).json()
    assert (now["name"], now["email"]) == ("Ada L.", ADA["email"])


@pytest.mark.asyncio
async def test_missing_credentials(api):
    answer = await api.get("/users/me")

    assert answer.status_code == 401
    assert "Missing credentials" in answer.json()["detail"]
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.asyncio
async def test_invalid_credentials(api):
    right = (await join(api))["Authorization"]

    for wrong in (f"{right}0", "Bearer somebody.é", right.replace("Bearer", "Basic")):
        answer = await api.get("/users/me", headers={"Authorization": wrong.encode()})
        assert answer.status_code == 401, wrong


@pytest.mark.asyncio
async def test_unknown_user(api):
    nobody = {"Authorization": f"Bearer {token_for(str(ObjectId()))}"}

    answers = [
        await api.get("/users/me", headers=nobody),
        await api.patch("/users/me", headers=nobody, json={"name": "Nobody"}),
        await api.delete("/users/me", headers=nobody),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]


@pytest.mark.asyncio
async def test_duplicate_email(api):
    as_ada = await join(api)

    answer = await api.post("/users", json={"email": "ADA@example.org", "name": "Another"})

    assert answer.status_code == 409
    assert "ada@example.org" in answer.json()["detail"]
    assert (await api.get("/users/me", headers=as_ada)).json()["name"] == "Ada"


@pytest.mark.asyncio
async def test_delete_me(api):
    as_ada = await join(api)

    answer = await api.delete("/users/me", headers=as_ada)

    assert answer.status_code == 204
    assert (await api.get("/users/me", headers=as_ada)).status_code == 404
    await join(api)  # the address is free again
