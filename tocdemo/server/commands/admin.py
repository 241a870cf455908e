"""The commands about the server itself: discovery, version, parameters, fail points.

They must not know collections. `VERSION` is MongoDB's version that this server speaks for.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

from bson import Int64

from ..context import Context
from ..errors import CommandError, not_implemented
from ..framing import MAX_DOCUMENT_BYTES, MAX_MESSAGE_BYTES
from ..query.values import Document, is_number
from ..sessions import SESSION_MINUTES
from .fields import MAX_BATCH, need_admin
from .table import Table

VERSION = (7, 0, 0)
VERSION_TEXT = ".".join(map(str, VERSION))
_WIRE_VERSION = 21

COMMANDS = Table()


@COMMANDS.add("hello", "isMaster")
def hello(context: Context) -> Document:
    """Server discovery (specification: server-discovery-and-monitoring). The topology never changes."""
    command = context.command
    reply: Document = {"helloOk": True} if command.get("helloOk") else {}
    writable = "isWritablePrimary" if next(iter(command)) == "hello" else "ismaster"
    reply |= {writable: True}
    if context.identity.replica_set is not None:
        reply |= _replica_set_fields(context)
    if context.identity.process_id is not None:
        reply["topologyVersion"] = {"processId": context.identity.process_id, "counter": Int64(0)}
    return reply | {
        "maxBsonObjectSize": MAX_DOCUMENT_BYTES,
        "maxMessageSizeBytes": MAX_MESSAGE_BYTES,
        "maxWriteBatchSize": MAX_BATCH,
        "localTime": datetime.now(UTC),
        "logicalSessionTimeoutMinutes": SESSION_MINUTES,
        "connectionId": context.connection.connection_id,
        "minWireVersion": 0,
        "maxWireVersion": _WIRE_VERSION,
        "readOnly": False,
    }


def _replica_set_fields(context: Context) -> Document:
    address, clock = context.identity.address, context.storage.clock
    written = datetime.fromtimestamp(clock.time, UTC)
    position = {"ts": clock, "t": Int64(1)}
    return {
        "hosts": [address],
        "setName": context.identity.replica_set,
        "setVersion": 1,
        "secondary": False,
        "primary": address,
        "me": address,
        "lastWrite": {
            "opTime": position,
            "lastWriteDate": written,
            "majorityOpTime": position,
            "majorityWriteDate": written,
        },
    }


@COMMANDS.add("ping")
def ping(context: Context) -> Document:
    """Answer."""
    return {}


@COMMANDS.add("buildInfo")
def build_info(context: Context) -> Document:
    """The version that this server speaks for."""
    return {
        "version": VERSION_TEXT,
        "gitVersion": "tocdemo",
        "modules": [],
        "versionArray": [*VERSION, 0],
        "bits": 64,
        "debug": False,
        "maxBsonObjectSize": MAX_DOCUMENT_BYTES,
        "storageEngines": ["tocdemo"],
    }


@COMMANDS.add("serverStatus")
def server_status(context: Context) -> Document:
    """A small part of MongoDB's."""
    return {
        "host": context.identity.address,
        "version": VERSION_TEXT,
        "process": "tocdemo",
        "pid": Int64(os.getpid()),
        "uptime": time.monotonic() - context.identity.started,
        "localTime": datetime.now(UTC),
        "storageEngine": {"name": "tocdemo", "persistent": False},
    }


@COMMANDS.add("connectionStatus")
def connection_status(context: Context) -> Document:
    """Nobody is logged in: there are no users."""
    info: Document = {"authenticatedUsers": [], "authenticatedUserRoles": []}
    if context.command.get("showPrivileges"):
        info["authenticatedUserPrivileges"] = []
    return {"authInfo": info}


@COMMANDS.add("usersInfo")
def users_info(context: Context) -> Document:
    """There are no users."""
    return {"users": []}


@COMMANDS.add("getCmdLineOpts")
def command_line_options(context: Context) -> Document:
    """Says that test commands (fail points) are enabled, where drivers' suites look for it."""
    need_admin(context)
    return {"argv": ["tocdemo", "--setParameter", "enableTestCommands=1"], "parsed": {}}


@COMMANDS.add("getParameter")
def get_parameter(context: Context) -> Document:
    """Three parameters."""
    need_admin(context)
    known = {
        "enableTestCommands": True,
        "requireApiVersion": False,
        "transactionLifetimeLimitSeconds": context.sessions.lifetime,
    }
    wanted = context.command.get("getParameter")
    names = known if wanted == "*" else [name for name in known if name in context.command]
    if not names:
        raise CommandError(72, "no option found to get")
    return {name: known[name] for name in names}


@COMMANDS.add("setParameter")
def set_parameter(context: Context) -> Document:
    """How long the transactions that start from now on may live."""
    need_admin(context)
    seconds = context.command.get("transactionLifetimeLimitSeconds")
    if seconds is None:
        raise not_implemented(f"setting the parameter '{list(context.command)[1]}'")
    if not is_number(seconds) or seconds < 1:
        raise CommandError(2, f"transactionLifetimeLimitSeconds must be at least 1 second, not {seconds!r}")
    was, context.sessions.lifetime = context.sessions.lifetime, float(seconds)
    return {"was": was}


@COMMANDS.add("configureFailPoint")
def configure_fail_point(context: Context) -> Document:
    """Make a fail point (see `failpoints`)."""
    need_admin(context)
    context.fail_points.configure(context.command)
    return {"count": 0}
