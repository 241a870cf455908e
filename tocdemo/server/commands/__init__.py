"""The commands: each a function that takes the running command's context and returns its reply.

They read and write through the context, under storage's lock, and must not know sockets or the way of a
request. `COMMANDS` is the table of all of them, by name in lower case.

Source: "Database Commands" in MongoDB's manual for fields and replies.
"""

from . import admin, aggregating, catalog, indexes, reading, sessions, writing
from .fields import check_generic
from .table import Command

__all__ = ["COMMANDS", "Command", "check_generic"]

COMMANDS: dict[str, Command] = {
    **admin.COMMANDS,
    **sessions.COMMANDS,
    **reading.COMMANDS,
    **aggregating.COMMANDS,
    **writing.COMMANDS,
    **catalog.COMMANDS,
    **indexes.COMMANDS,
}
