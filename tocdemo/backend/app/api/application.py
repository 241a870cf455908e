"""The web application: which routes there are, and what answer each of the backend's errors becomes."""

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from ..db import users
from .credentials import InvalidCredentials
from .routes import users as user_routes

_STATUS = {InvalidCredentials: 401, users.UserNotFound: 404, users.EmailTaken: 409}


def create_app() -> FastAPI:
    """Make the application."""
    app = FastAPI(title="A small writing tool", lifespan=_lifespan)
    app.include_router(user_routes.router)
    for error in _STATUS:
        app.add_exception_handler(error, _answer)
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    await users.create_indexes()
    yield


async def _answer(request: Request, error: Exception) -> JSONResponse:
    status = _STATUS[type(error)]
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse({"detail": str(error)}, status_code=status, headers=headers)
