"""What commands of several kinds ask of their fields.

It must not know any command.
"""

from __future__ import annotations

from typing import Any

from ..context import Context
from ..errors import CommandError, not_implemented
from ..query.values import Document, is_number

MAX_BATCH = 100_000


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


# Fields that every command takes: MongoDB's src/mongo/idl/generic_argument.idl.
GENERIC = words(
    """apiVersion apiStrict apiDeprecationErrors $db maxTimeMS readConcern writeConcern lsid txnNumber
    autocommit startTransaction stmtId stmtIds comment $readPreference $clusterTime maxTimeMSOpOnly $client
    clientOperationKey $queryOptions"""
)
# "Stable API Commands" in MongoDB's manual, "MongoDB Stable API", API V1.
_V1_COMMANDS = words(
    """aborttransaction aggregate committransaction count create createindexes delete drop dropdatabase
    dropindexes endsessions explain find findandmodify getmore hello insert killcursors listcollections
    listdatabases listindexes ping refreshsessions update"""
)
_NOT_IN_V1 = {  # fields with `unstable: true` in find_command.idl and aggregate_command.idl, and stages
    "find": frozenset(
        {"min", "max", "returnKey", "showRecordId", "tailable", "awaitData", "noCursorTimeout"}
    ),
    "aggregate": frozenset({"explain"}),
}
_STAGES_NOT_IN_V1 = frozenset({"$currentOp", "$indexStats", "$listLocalSessions", "$listSessions"})
_LEVELS = ("available", "local", "majority", "linearizable", "snapshot")
NUMBER = (int, float)
UNSUPPORTED = frozenset({
    "collation", "min", "max", "returnKey", "showRecordId", "tailable", "viewOn", "timeseries", "validator",
    "capped", "clusteredIndex", "encryptedFields",
})  # fmt: skip


def check_supported(name: str, value: Any) -> None:
    """Refuse (error 238) an option that this server does not have."""
    simple = name == "collation" and isinstance(value, dict) and value.get("locale") == "simple"
    if value and not simple:
        raise not_implemented(f"the option '{name}'")


def check_generic(name: str, command: Document) -> None:
    """Refuse what MongoDB refuses in the fields that every command takes: an API version other than "1"
    (error 322) or what is not in it, with apiStrict (323); a level of readConcern that is none (2). `name` is
    the command's, in lower case. Source: "MongoDB Stable API" in MongoDB's manual, and
    src/mongo/db/initialize_api_parameters.cpp.
    """
    concern = command.get("readConcern")
    if isinstance(concern, dict) and concern.get("level", "local") not in _LEVELS:
        message = (
            f"Enumeration value '{concern['level']}' for field 'readConcern.level' is not a valid value."
        )
        raise CommandError(2, message)
    version, strict = command.get("apiVersion"), command.get("apiStrict")
    if version is None and (strict or command.get("apiDeprecationErrors")):
        message = "Provided apiStrict and/or apiDeprecationErrors without passing apiVersion"
        raise CommandError(4886600, message)
    if version not in (None, "1"):
        raise CommandError(
            322, "Cannot accept API version 2" if version == "2" else 'API version must be "1"'
        )
    if strict:
        _check_strict(name, command)


def _check_strict(name: str, command: Document) -> None:
    shown, stages = next(iter(command)), command.get("pipeline", ())
    where = "is not in API Version 1"
    if name not in _V1_COMMANDS:
        raise CommandError(323, f"Provided apiStrict:true, but the command {shown} {where}")
    for field in _NOT_IN_V1.get(name, frozenset()) & command.keys():
        raise CommandError(323, f"BSON field '{shown}.{field}' is not allowed with apiStrict:true.")
    first = stages[0] if stages and isinstance(stages[0], dict) else {}
    for stage in _STAGES_NOT_IN_V1 & first.keys():
        raise CommandError(323, f"stage {stage} is not allowed with 'apiStrict: true' in API Version 1")


def whole_number(command: Document, field: str, *, default: int = 0) -> int:
    """The whole number, from 0, in a field. CommandError 51024 for anything else."""
    value = command.get(field)
    if value is None:
        return default
    if isinstance(value, bool) or not is_number(value) or not value == value // 1 or value < 0:
        raise CommandError(
            51024, f"BSON field '{field}' value must be a whole number >= 0, actual value {value}"
        )
    return int(value)


def need_admin(context: Context) -> None:
    """Refuse (error 13) a command that was sent to another database than admin."""
    if context.database != "admin":
        name = next(iter(context.command))
        raise CommandError(13, f"{name} may only be run against the admin database.")
