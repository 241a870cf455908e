"""What commands of several kinds ask of their fields.

It must not know any command.
"""

from __future__ import annotations

from typing import Any

from ..context import Context
from ..errors import CommandError, not_implemented
from ..query.values import Document, is_number

MAX_BATCH = 100_000
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
