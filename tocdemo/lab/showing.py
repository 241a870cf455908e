"""The verbs that show: a file's text, an installed library's source, an error that belongs to the lesson.

They change nothing.
"""

import contextlib
import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from IPython.display import display

from tocdemo.display.code import preformatted
from tocdemo.errors import BadInput, NothingRaised

from .notebook import NOTEBOOK


@dataclass(frozen=True)
class ExpectedError:
    """An error that belongs to the lesson."""

    type: str
    message: str

    def __str__(self) -> str:
        return f"Expected error: {self.type}: {self.message}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {
            "text/plain": str(self),
            "application/vnd.tocdemo.expected+json": {"type": self.type, "message": self.message},
        }


@contextlib.contextmanager
def expected(kind: type[BaseException], match: str = "") -> Iterator[None]:
    """Show an error of this type, whose message holds `match`, and go on.

    Raises NothingRaised when no error comes; an error of another kind goes through.
    """
    try:
        yield
    except kind as error:
        if match not in str(error):
            raise
        display(ExpectedError(type(error).__name__, str(error)))
        return
    raise NothingRaised(f"Expected {kind.__name__} with {match!r} in its message, but nothing was raised")


@dataclass(frozen=True)
class Listing:
    """A piece of source: where it comes from, and its lines with their numbers."""

    title: str
    first: int
    lines: tuple[str, ...]

    def __str__(self) -> str:
        width = len(str(self.first + len(self.lines)))
        body = (f"{number:>{width}}  {line}" for number, line in enumerate(self.lines, self.first))
        return "\n".join([self.title, *(line.rstrip() for line in body)])

    def _repr_html_(self) -> str:
        return preformatted(str(self))


def show(path: str, name: str | None = None) -> Listing:
    """Show a file of the workspace, or the function `name` in it.

    Raises ValueError when the file is not there, or has no such function.
    """
    folder = NOTEBOOK.workspace.folder
    file = folder / path
    if not file.is_file():
        raise BadInput(f"There is no {path} in {folder}")
    lines = file.read_text(encoding="utf-8").splitlines()
    if name is None:
        return Listing(path, 1, tuple(lines))
    first, last = _function_lines("\n".join(lines), name, path)
    return Listing(f"{path}, {name}", first, tuple(lines[first - 1 : last]))


def _function_lines(text: str, name: str, path: str) -> tuple[int, int]:
    import ast

    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            return min(
                [node.lineno, *(each.lineno for each in node.decorator_list)]
            ), node.end_lineno or node.lineno
    raise BadInput(f"There is no function {name!r} in {path}")


def source(where: str) -> Listing:
    """Show the installed source of an object, such as "motor.core:AgnosticClient.get_io_loop".

    The title says which version is installed. Raises ValueError when there is no such object.
    """
    module_name, _, path = where.partition(":")
    try:
        thing: Any = importlib.import_module(module_name)
        for part in path.split("."):
            thing = inspect.getattr_static(thing, part) if path else thing
    except (ImportError, AttributeError) as error:
        raise BadInput(f"There is no {where!r}: {error}") from error
    thing = thing.fget if isinstance(thing, property) else thing
    lines, first = inspect.getsourcelines(thing)
    package = module_name.partition(".")[0]
    installed = ", ".join(
        f"{name} {version(name)}" for name in dict.fromkeys(packages_distributions().get(package, []))
    )
    file = Path(inspect.getsourcefile(thing) or "")
    _, inside, rest = file.as_posix().rpartition(f"/{package}/")
    place = f"{package}/{rest}, line {first}" if inside else f"{file.name}, line {first}"
    title = f"{installed}: {place}" if installed else place
    return Listing(title, first, tuple(line.rstrip("\n") for line in lines))
