"""An entry of the table of commands, and how one is made.

It must not know any command.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..context import Context
from ..errors import CommandError
from ..query.values import Document
from .fields import UNSUPPORTED, check_supported

Function = Callable[[Context], Document]


def own_value(command: Document) -> Any:
    """The value of a command's first field, whose name is the command's own."""
    return next(iter(command.values()))


def no_collection(_command: Document) -> Any:
    """Nothing: the command is not about a collection."""
    return None


@dataclass(frozen=True)
class Command:
    """An entry of the table: the function that runs the command, the types that its fields may have, and
    where it names its collection.
    """

    function: Function
    fields: dict[str, Any]
    collection: Callable[[Document], Any]

    def check_types(self, command: Document) -> None:
        """Refuse (error 14) a field of the wrong type, and (238) one that this server does not have. A
        command that declares neither fields nor a collection takes everything.
        """
        if not self.fields and self.collection is no_collection:
            return
        for name, value in command.items():
            wanted = self.fields.get(name)
            if wanted is not None and value is not None and not isinstance(value, wanted):
                message = (
                    f"BSON field '{next(iter(command))}.{name}' is the wrong type '{type(value).__name__}'"
                )
                raise CommandError(14, message)
            if name in UNSUPPORTED:
                check_supported(name, value)


class Table(dict[str, Command]):
    """Commands by their names in lower case."""

    def add(
        self, *names: str, collection: Callable[[Document], Any] = no_collection, **fields: Any
    ) -> Callable[[Function], Function]:
        """Decorate a function that runs the commands of these names; `fields` gives the types of their
        fields.
        """

        def register(function: Function) -> Function:
            self.update({name.lower(): Command(function, fields, collection) for name in names})
            return function

        return register
