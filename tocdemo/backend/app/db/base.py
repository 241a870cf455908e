"""The database: one client, its database and its collections, made when this module is imported.

Other modules write `from . import base` and then `base.books_collection`, so that they meet the collection
that is there *now*. Tests put a fresh client in place of this one.
"""

from ..settings import from_environment
from .driver import make_client

settings = from_environment()

_client = make_client(settings)
_database = _client[settings.database_name]

books_collection = _database["books"]
audit_log_collection = _database["audit_log"]
questions_collection = _database["questions"]
users_collection = _database["users"]
