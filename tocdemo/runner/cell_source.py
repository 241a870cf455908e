"""The text of a notebook's cell as a test file: compiled with pytest's assertions, named, and executed.

A cell has a file name, such as `/a/folder/Cell In[5]`, at which there is never a file: `linecache` knows its
lines, so that a traceback shows them. This module knows Python's source and pytest's assertions; it must not
know of runs.
"""

import ast
import contextlib
import inspect
import linecache
import re
import symtable
import types
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _pytest.assertion.rewrite import rewrite_asserts

AWAIT_HINT = "a cell of tests is read like a test file: `await` stands in an async test or an async fixture"
_NAME = re.compile(r"Cell In\[\d+\](?: \(\d+\))?")
_MISSING = object()


@dataclass(frozen=True)
class Cell:
    """A cell of tests: its Python text, and its number in the notebook.

    The lines of `text` are those of the cell as its reader counts them.
    """

    text: str
    number: int

    @property
    def name(self) -> str:
        """How its reader knows it."""
        return f"Cell In[{self.number}]"


@dataclass(frozen=True)
class Compiled:
    """A cell that can be executed: its file name, its text, its code, and the names that its text binds.

    `warnings` are those that Python and pytest gave when they compiled it.
    """

    file: str
    text: str
    code: types.CodeType
    bound: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    def execute(self, namespace: dict[str, Any]) -> dict[str, Any]:
        """Run the code in `namespace`, and return the names that it bound, in their order."""
        before = dict(namespace)
        exec(self.code, namespace)
        named = {name: namespace[name] for name in self.bound if name in namespace}
        changed = {  # also what no statement of the text names: `globals()[...] = ...`, `from x import *`
            name: value for name, value in namespace.items() if before.get(name, _MISSING) is not value
        }
        return {name: value for name, value in (named | changed).items() if not name.startswith("@")}


def is_cell(file: str) -> bool:
    """Whether this is the file name of a cell of tests."""
    return _NAME.fullmatch(Path(file).name) is not None


def keep(text: str, file: str) -> str:
    """Let `linecache` know a cell's text under the name `file`, or one like it, and return that name."""
    name, number = file, 1
    # A kernel that does not count its cells gives a number twice; functions of both must keep their lines.
    while name in linecache.cache and text_of(name) != _with_end(text):
        number += 1
        name = f"{file} ({number})"
    lines = _with_end(text).splitlines(keepends=True)
    linecache.cache[name] = (len(text), None, lines, name)  # None: it is never compared with a file
    return name


def text_of(file: str) -> str:
    """Return the text that `linecache` has of a cell; nothing when it has none."""
    return "".join(linecache.getlines(file))


def compiled(text: str, file: str) -> Compiled:
    """Compile a cell's text, its assertions rewritten by pytest. Raises SyntaxError."""
    try:
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("default")
            code = compile(_rewritten(text, file), file, "exec", dont_inherit=True)
    except SyntaxError as error:
        if "outside function" in (error.msg or "") and "return" not in error.msg:
            error.msg = f"{error.msg} ({AWAIT_HINT})"
        raise
    symbols = symtable.symtable(text, file, "exec").get_symbols()
    bound = (each for each in symbols if each.is_assigned() or each.is_imported() or each.is_namespace())
    said = tuple(f"{each.filename}:{each.lineno}: {each.message}" for each in given)
    return Compiled(file, text, code, tuple(each.get_name() for each in bound), said)


def defined_twice(text: str) -> dict[str, list[int]]:
    """Return the tests that a cell defines more than once at its top level, each with its lines."""
    definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    found = [
        each
        for each in ast.parse(text).body
        if isinstance(each, definitions) and each.name.lower().startswith("test")
    ]
    twice = {name for name, times in Counter(each.name for each in found).items() if times > 1}
    return {name: [each.lineno for each in found if each.name == name] for name in sorted(twice)}


def rewrite(function: types.FunctionType, file: str) -> None:
    """Give a function of a plain cell pytest's assertions, and its cell the name `file`.

    Where the cell's text is not known any more, or does not hold this function, it stays as it is.
    """
    text = text_of(function.__code__.co_filename)
    if not text or function.__code__.co_filename == file:
        return
    with contextlib.suppress(SyntaxError):  # IPython lets a cell await, which no file may
        file = keep(text, file)
        module = compile(_rewritten(text, file), file, "exec", dont_inherit=True)
        for code in _codes(module):
            if _same(code, function.__code__):
                exec(_helpers(file), function.__globals__)
                function.__code__ = code
                return


def functions_of(thing: Any) -> Iterator[types.FunctionType]:
    """Yield the plain functions that a test function, or the methods of a test class, are made of."""
    if inspect.isclass(thing):
        for value in vars(thing).values():
            if inspect.isfunction(inspect.unwrap(getattr(value, "__func__", value))):
                yield from functions_of(getattr(value, "__func__", value))
        return
    plain = inspect.unwrap(thing)
    if inspect.isfunction(plain):
        yield plain


def in_cells(files: Callable[[str], str | None]) -> dict[str, str]:
    """Return every file name that stands for a cell, and how its reader knows it.

    `files` gives the reader's name for the file name of a plain cell, and None for any other.
    """
    named = {file: Path(file).name if is_cell(file) else files(file) for file in list(linecache.cache)}
    return {file: name for file, name in named.items() if name}


def _rewritten(text: str, file: str) -> ast.Module:
    tree = ast.parse(text, file)
    rewrite_asserts(tree, text.encode(), file)
    return tree


def _helpers(file: str) -> types.CodeType:
    """Return code that binds the names which rewritten assertions use."""
    return compile(_rewritten("assert True", file), file, "exec")


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from _codes(constant)


def _same(one: types.CodeType, other: types.CodeType) -> bool:
    what = ("co_qualname", "co_firstlineno", "co_freevars")
    return all(getattr(one, name) == getattr(other, name) for name in what)


def _with_end(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"
