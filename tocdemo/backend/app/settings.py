"""Where the database is. Read from the environment once, when `app.db.base` is imported."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """What the backend needs to know to reach its database.

    `uri` is a MongoDB connection string, `database_name` the database to use, and `driver` one of
    "motor", "pymongo" (PyMongo's own asynchronous client) and "mongomock" (no server at all).
    """

    uri: str
    database_name: str
    driver: str


def from_environment() -> Settings:
    """Read DATABASE_URI, DATABASE_NAME and DATABASE_DRIVER, each with a default for a developer's machine."""
    return Settings(
        uri=os.environ.get("DATABASE_URI", "mongodb://127.0.0.1:27017/"),
        database_name=os.environ.get("DATABASE_NAME", "books"),
        driver=os.environ.get("DATABASE_DRIVER", "motor"),
    )
