"""The commands about sessions, and the two endings of a transaction.

They must not know what a transaction wrote.
"""

from __future__ import annotations

import os
from typing import Any

from bson import Binary

from ..context import Context
from ..errors import CommandError
from ..query.values import Document
from ..sessions import SESSION_MINUTES, session_key
from .table import Table

COMMANDS = Table()


@COMMANDS.add("endSessions", endSessions=list)
def end_sessions(context: Context) -> Document:
    """Forget sessions; their transactions are aborted."""
    _end(context, context.command["endSessions"])
    return {}


def _end(context: Context, named: list[Any]) -> None:
    for session_id in map(session_key, named):
        if session_id is not None:
            context.sessions.end(session_id)


@COMMANDS.add("refreshSessions")
def refresh_sessions(context: Context) -> Document:
    """Sessions here end by being pushed out, not by time."""
    return {}


@COMMANDS.add("startSession")
def start_session(context: Context) -> Document:
    """A session's id, made by the server."""
    lsid = Binary(os.urandom(16), 4)
    context.sessions.get(bytes(lsid))
    return {"id": {"id": lsid}, "timeoutMinutes": SESSION_MINUTES}


@COMMANDS.add("killAllSessions", "killSessions", "killAllSessionsByPattern")
def kill_all_sessions(context: Context) -> Document:
    """Forget sessions: the ones that are named, or all."""
    named = context.command.get("killSessions") or []
    _end(context, named)
    if not named:
        context.sessions.end_all()
    return {}


@COMMANDS.add("commitTransaction")
def commit_transaction(context: Context) -> Document:
    """Publish a transaction; again is allowed."""
    if "autocommit" not in context.command or context.session is None:
        raise CommandError(125, "commitTransaction must be run within a transaction")
    if context.transaction is not None:
        context.sessions.commit(context.session)
    return {}


@COMMANDS.add("abortTransaction")
def abort_transaction(context: Context) -> Document:
    """Forget what a transaction wrote."""
    if "autocommit" not in context.command or context.session is None:
        raise CommandError(125, "abortTransaction must be run within a transaction")
    context.sessions.abort(context.session)
    return {}
