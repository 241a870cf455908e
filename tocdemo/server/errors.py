"""MongoDB's error replies: a code, its name, a message, and the labels that drivers act on.

It must not know what fails. Everything else raises `CommandError`, which becomes a reply in one place, or
`CloseConnection`, after which there is none. Codes and names are those of MongoDB's `error_codes.yml`; labels
follow the transactions and the retryable writes specifications.
"""

from __future__ import annotations

from typing import Any

_CODE_NAMES = {
    1: "InternalError", 2: "BadValue", 6: "HostUnreachable", 7: "HostNotFound", 8: "UnknownError",
    9: "FailedToParse", 11: "UserNotFound", 13: "Unauthorized", 14: "TypeMismatch", 15: "Overflow",
    16: "InvalidLength", 20: "IllegalOperation", 22: "InvalidBSON", 26: "NamespaceNotFound",
    27: "IndexNotFound", 28: "PathNotViable", 40: "ConflictingUpdateOperators", 43: "CursorNotFound",
    48: "NamespaceExists", 50: "MaxTimeMSExpired", 52: "DollarPrefixedFieldName", 53: "InvalidIdField",
    54: "NotSingleValueField", 55: "NotExactValueField",
    56: "EmptyFieldName", 59: "CommandNotFound", 61: "ShardKeyNotFound", 64: "WriteConcernFailed",
    66: "ImmutableField", 67: "CannotCreateIndex", 72: "InvalidOptions", 73: "InvalidNamespace",
    79: "UnknownReplWriteConcern", 85: "IndexOptionsConflict", 86: "IndexKeySpecsConflict",
    89: "NetworkTimeout", 91: "ShutdownInProgress", 100: "UnsatisfiableWriteConcern", 112: "WriteConflict",
    115: "CommandNotSupported", 117: "ConflictingOperationInProgress", 123: "NotAReplicaSet",
    125: "CommandFailed", 146: "ExceededMemoryLimit", 166: "CommandNotSupportedOnView",
    168: "InvalidPipelineOperator", 171: "CannotIndexParallelArrays", 189: "PrimarySteppedDown",
    197: "InvalidIndexSpecificationOption", 206: "NoSuchSession", 224: "QueryFeatureNotAllowed",
    225: "TransactionTooOld", 238: "NotImplemented", 239: "SnapshotTooOld", 241: "ConversionFailure",
    246: "SnapshotUnavailable", 251: "NoSuchTransaction",
    256: "TransactionCommitted", 261: "TooManyLogicalSessions", 262: "ExceededTimeLimit",
    263: "OperationNotSupportedInTransaction", 322: "APIVersionError", 323: "APIStrictError",
    352: "UnsupportedOpQueryCommand", 9001: "SocketException", 10107: "NotWritablePrimary",
    10334: "BSONObjectTooLarge", 11000: "DuplicateKey", 11600: "InterruptedAtShutdown",
    11601: "Interrupted", 11602: "InterruptedDueToReplStateChange", 13435: "NotPrimaryNoSecondaryOk",
    13436: "NotPrimaryOrSecondary", 31082: "SearchNotEnabled", 40324: "Location40324",
    40415: "IDLUnknownField",
}  # fmt: skip

_RETRYABLE_WRITE_CODES = frozenset({6, 7, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436})
_TRANSIENT_CODES = frozenset({24, 112, 239, 246, 251, 267})


class CloseConnection(Exception):
    """A fail point, the gate or a shutdown wants the connection closed without a reply."""


class CommandError(Exception):
    """What a command answers when it fails: MongoDB's error code, the reply's `errmsg`, and further fields of
    the reply, for example `keyPattern`.
    """

    def __init__(self, code: int, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.extra = extra

    def as_write_error(self, index: int) -> dict[str, Any]:
        """The entry of `writeErrors` for the statement at this index."""
        return {"index": index, "code": self.code, "errmsg": self.message, **self.extra}

    def as_reply(self) -> dict[str, Any]:
        """The reply of a command that failed as a whole."""
        return error_reply(self.code, self.message, **self.extra)


def error_reply(code: int, message: str, **extra: Any) -> dict[str, Any]:
    """A reply that says `ok: 0`."""
    name = _CODE_NAMES.get(code, f"Location{code}")
    return {"ok": 0.0, "errmsg": message, "code": code, "codeName": name, **extra}


def expect(condition: bool, code: int, message: str) -> None:
    """Raise the error unless the condition holds."""
    if not condition:
        raise CommandError(code, message)


def not_implemented(what: str) -> CommandError:
    """The error for what MongoDB can do and this server cannot."""
    return CommandError(
        238, f"{what} is not implemented by this embedded test server; use a real MongoDB for it"
    )


def labels_for(
    code: int | None,
    write_concern_code: int | None = None,
    *,
    name: str,
    in_transaction: bool,
    retryable_write: bool,
) -> list[str]:
    """The error labels, often none, that a server of MongoDB 4.4 or later adds by itself.

    `code` is the error's, None when the command itself succeeded; `write_concern_code` that of its
    `writeConcernError`, or None. `name` is the command's name in lower case, `in_transaction` says whether it
    carried `autocommit: false`, `retryable_write` whether it carried a `txnNumber` outside a transaction.
    """
    ending = name in ("committransaction", "aborttransaction")
    if in_transaction and code in _TRANSIENT_CODES:
        return ["TransientTransactionError"]
    if in_transaction and not ending and code in _RETRYABLE_WRITE_CODES:
        return ["TransientTransactionError"]
    if (retryable_write or ending) and {code, write_concern_code} & _RETRYABLE_WRITE_CODES:
        return ["RetryableWriteError"]
    return []
