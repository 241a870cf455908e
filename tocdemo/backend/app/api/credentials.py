"""Who is asking: a token names a user, and a signature shows that this backend has made it.

The key is API_SECRET from the environment. Without one it is random, and tokens end with the process.
"""

import hmac
import os
import secrets

from fastapi import Request

_KEY = os.environ.get("API_SECRET", "").encode() or secrets.token_bytes(32)


class InvalidCredentials(Exception):
    """A request does not show, or not rightly, who sends it."""


def token_for(user_id: str) -> str:
    """Return the token by which a user of this id is known."""
    return f"{user_id}.{_signature(user_id)}"


def current_user_id(request: Request) -> str:
    """Return the id of the user that a request's bearer token names. Raises InvalidCredentials."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise InvalidCredentials("Missing credentials: expected the header 'Authorization: Bearer TOKEN'")
    user_id, _, signature = token.strip().rpartition(".")
    # Bytes: compare_digest refuses text that is not ASCII.
    if not hmac.compare_digest(signature.encode(), _signature(user_id).encode()):
        raise InvalidCredentials("Invalid credentials: this token was not made here")
    return user_id


def _signature(user_id: str) -> str:
    return hmac.new(_KEY, user_id.encode(), "sha256").hexdigest()
