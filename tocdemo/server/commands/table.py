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
from .fields import GENERIC, UNSUPPORTED, check_supported, words

Function = Callable[[Context], Document]


def own_value(command: Document) -> Any:
    """The value of a command's first field, whose name is the command's own."""
    return next(iter(command.values()))


def no_collection(_command: Document) -> Any:
    """Nothing: the command is not about a collection."""
    return None


@dataclass(frozen=True)
class Command:
    """An entry of the table: the function that runs the command, the types that its fields may have, where
    it names its collection, and all the fields that it takes (None: any).
    """

    function: Function
    fields: dict[str, Any]
    collection: Callable[[Document], Any]
    taken: frozenset[str] | None

    def check_types(self, command: Document) -> None:
        """Refuse (error 40415) a field that the command does not have, (14) one of the wrong type, and (238)
        one that this server does not have. A command that declares neither fields nor a collection takes
        everything.
        """
        if not self.fields and self.collection is no_collection:
            return
        own = next(iter(command))
        if self.taken is not None and not command.keys() <= self.taken:
            for name in command.keys() - self.taken - {own}:
                raise CommandError(40415, f"BSON field '{own}.{name}' is an unknown field.")
        for name, wanted in self.fields.items():
            value = command.get(name)
            if value is not None and not isinstance(value, wanted):
                kind = type(value).__name__
                raise CommandError(14, f"BSON field '{own}.{name}' is the wrong type '{kind}'")
        for name in () if UNSUPPORTED.isdisjoint(command) else UNSUPPORTED & command.keys():
            check_supported(name, command[name])


class Table(dict[str, Command]):
    """Commands by their names in lower case."""

    def add(
        self,
        *names: str,
        collection: Callable[[Document], Any] = no_collection,
        also: str | None = None,
        **fields: Any,
    ) -> Callable[[Function], Function]:
        """Decorate a function that runs the commands of these names; `fields` gives the types of their
        fields, `also` names those of any type, as `strict: true` in MongoDB's IDL files asks for; without it
        the command takes every field.
        """
        taken = None if also is None else GENERIC.union(names, fields, words(also))

        def register(function: Function) -> Function:
            self.update({name.lower(): Command(function, fields, collection, taken) for name in names})
            return function

        return register
