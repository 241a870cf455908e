"""The tests and fixtures of a project, and on which event loop each of them runs.

It reads decorators, signatures and the configuration. It must not know what makes a finding.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch

from .names import Function, called, constants, last_name, parameters, walk
from .project import Def, File, Project
from .settings import SCOPES, Dialect, Settings, read_settings
from .sources import dotted

LoopKey = tuple[str, ...]
ASYNCIO, ANYIO, UNITTEST, SYNC = "asyncio", "anyio", "unittest", "sync"
_ISOLATED = {"unittest.IsolatedAsyncioTestCase", "unittest.async_case.IsolatedAsyncioTestCase"}
_ISOLATED |= {"aiohttp.test_utils.AioHTTPTestCase"}
_DJANGO = {f"django.test.{name}" for name in ("TestCase", "SimpleTestCase", "TransactionTestCase")}
_PLAIN = {"unittest.TestCase"}


@dataclass(frozen=True, eq=False)
class Fixture:
    """A fixture of the project; `loop` is the loop scope of an async one, None of a sync one."""

    code: Def
    name: str
    scope: str
    loop: str | None
    autouse: bool
    asyncio: bool
    params: bool

    @property
    def file(self) -> File:
        return self.code.file

    @property
    def node(self) -> Function:
        return self.code.node


@dataclass(frozen=True, eq=False)
class Test:
    """A test; `loop` is the loop scope of an async one. `many` says that it runs several times."""

    code: Def
    kind: str
    loop: str
    many: bool

    @property
    def name(self) -> str:
        return self.code.node.name


class Suite:
    """All tests and fixtures of a project."""

    def __init__(self, project: Project, dialect: Dialect) -> None:
        self.project = project
        self.dialect = dialect
        self._settings: dict[str, Settings] = {}
        self._conftests: dict[File, list[File]] = {}
        self._top = read_settings(project.base)
        self.fixtures: dict[str, list[Fixture]] = {}
        for file in project.files:
            for code in file.defs.values():
                if (decorator := fixture_decorator(file, code.node)) is not None:
                    fixture = self._fixture(code, decorator)
                    self.fixtures.setdefault(fixture.name, []).append(fixture)
        self._autouse = [fixture for same in self.fixtures.values() for fixture in same if fixture.autouse]
        self._moved = dict(self._moved_scopes())
        self.tests = [test for file in project.files if self.is_test_file(file) for test in self._tests(file)]
        self._used: dict[int, list[Fixture]] = {}

    def settings(self, file: File) -> Settings:
        """Return the settings that hold for the file: those of the checked folder, or else the nearest."""
        if self._top.inifile is not None:
            return self._top
        folder = str(file.path.parent)
        if folder not in self._settings:
            self._settings[folder] = read_settings(file.path.parent)
        return self._settings[folder]

    def is_test_file(self, file: File) -> bool:
        """Whether pytest collects the file (`python_files`)."""
        patterns = self.settings(file).patterns("python_files", "test_*.py *_test.py")
        return any(fnmatch(file.path.name, p) or fnmatch(file.path.as_posix(), p) for p in patterns)

    def is_test_side(self, file: File) -> bool:
        """Whether the file belongs to the tests: a test file, a conftest, or a file beside or below one."""
        return (
            self.is_test_file(file)
            or file.path.name == "conftest.py"
            or bool(
                {"tests", "test", "testing"}
                & set(file.path.absolute().relative_to(self.project.base).parts[:-1])
            )
        )

    # -- fixtures ------------------------------------------------------------------------------------------

    def _fixture(self, code: Def, decorator: ast.expr) -> Fixture:
        options = constants(decorator)
        full = code.file.full_name(called(decorator)) or ""
        asyncio_fixture = full.startswith("pytest_asyncio")
        settings = self.settings(code.file)
        scope = str(options.get("scope") or "function")
        scope = scope if scope in SCOPES else "function"
        loop = None
        if code.is_async and (asyncio_fixture or settings.auto) and not _computed(decorator):
            found = self.dialect.fixture_loop(settings, scope, options.get("loop_scope"))
            loop = found if found in SCOPES else None
        name = options.get("name")
        params = isinstance(decorator, ast.Call) and any(k.arg == "params" for k in decorator.keywords)
        return Fixture(
            code,
            name if isinstance(name, str) else code.node.name,
            scope,
            loop,
            bool(options.get("autouse")),
            asyncio_fixture,
            params,
        )

    def sees(self, user: Def, fixture: Fixture) -> bool:
        """Whether a test or fixture can ask for this one: of its file or class, a conftest's, or imported."""
        if fixture.code.owner is not None and fixture.code.owner is not user.owner:
            return False
        other = fixture.file
        if user.file is other:
            return True
        if other.path.name == "conftest.py":
            return other in self._above(user.file)
        return any(self._imports(file, fixture) for file in self._above(user.file))

    def _above(self, user: File) -> list[File]:
        """Return the file, and the conftests above it."""
        if user not in self._conftests:
            parents = set(user.path.parents)
            found = [
                f for f in self.project.files if f.path.name == "conftest.py" and f.path.parent in parents
            ]
            self._conftests[user] = [user, *found]
        return self._conftests[user]

    def _imports(self, file: File, fixture: Fixture) -> bool:
        if fixture.node.name in file.aliases:
            target = self.project.resolve(file.aliases[fixture.node.name])
            return target is not None and target.function is not None and target.function.node is fixture.node
        plugins = file.values.get("pytest_plugins", [])
        names = [n.value for value in plugins for n in ast.walk(value) if isinstance(n, ast.Constant)]
        return any(isinstance(n, str) and self.project.by_module.get(n) is fixture.file for n in names)

    def fixture(self, user: Def, name: str) -> Fixture | None:
        """Return the fixture that the parameter `name` means for this test or fixture."""
        visible = [
            f for f in self.fixtures.get(name, ()) if f.code.node is not user.node and self.sees(user, f)
        ]
        if not visible:
            return None
        return max(
            visible, key=lambda f: (f.code.owner is not None, f.file is user.file, len(f.file.path.parts))
        )

    def used(self, test: Test) -> list[Fixture]:
        """Return the fixtures that the test asks for, also through other fixtures, marks and `autouse`."""
        if id(test) in self._used:
            return self._used[id(test)]
        waiting = [(test.code, name) for name in self._asked(test)]
        waiting += [(test.code, f.name) for f in self._autouse if self.sees(test.code, f)]
        found: list[Fixture] = []
        while waiting:
            user, name = waiting.pop()
            fixture = self.fixture(user, name)
            if fixture is not None and fixture not in found:
                found.append(fixture)
                waiting += [(fixture.code, arg.arg) for arg in parameters(fixture.node)]
        self._used[id(test)] = found
        return found

    def _asked(self, test: Test) -> Iterator[str]:
        yield from (arg.arg for arg in parameters(test.code.node))
        marks = [*test.code.node.decorator_list, *(test.code.owner.decorator_list if test.code.owner else [])]
        marks += _module_marks(test.code.file.source.tree)
        if test.code.owner:
            marks += _module_marks(test.code.owner)
        for mark in marks:
            if isinstance(mark, ast.Call) and last_name(mark.func) == "usefixtures":
                yield from (
                    a.value for a in mark.args if isinstance(a, ast.Constant) and isinstance(a.value, str)
                )

    # -- tests ---------------------------------------------------------------------------------------------

    def _tests(self, file: File) -> Iterator[Test]:
        settings = self.settings(file)
        functions = settings.patterns("python_functions", "test")
        classes = settings.patterns("python_classes", "Test")
        for code in file.defs.values():
            if fixture_decorator(file, code.node) is not None:
                continue
            kind = self._case(file, code.owner) if code.owner else None
            matched = _matches(code.node.name, functions if kind is None else ["test"])
            if not matched or (code.owner and kind is None and not _matches(code.owner.name, classes)):
                continue
            yield from self._test(code, kind, settings)

    def _test(self, code: Def, kind: str | None, settings: Settings) -> Iterator[Test]:
        if _mark(code, "skip") is not None:
            return
        many = _parametrized(code)
        if not code.is_async:
            yield Test(code, SYNC, "function", many)
        elif kind == "isolated":
            yield Test(code, UNITTEST, "function", many)
        elif kind is None:
            mark = _mark(code, "asyncio")
            anyio = _mark(code, "anyio") is not None or settings.options.get("anyio_mode") == "auto"
            if mark is not None or settings.auto:
                loop = self._moved_scope(code.file) or self._marked_scope(mark, settings)
                if (
                    loop in SCOPES
                ):  # a scope that is computed cannot be read here: nothing is said of such tests
                    yield Test(code, ASYNCIO, loop, many)
            elif anyio or any(arg.arg == "anyio_backend" for arg in parameters(code.node)):
                yield Test(code, ANYIO, "function", many)

    def _marked_scope(self, mark: ast.expr | None, settings: Settings) -> str:
        asked = self.dialect.mark_scope(constants(mark)) if mark is not None else None
        if mark is not None and asked is None and self.dialect.loop_scope_keyword and _computed(mark):
            return ""
        return str(asked or self.dialect.test_default(settings))

    def _moved_scopes(self) -> Iterator[tuple[File, str]]:
        """A hook of a conftest that gives all tests a mark: pytest-asyncio's documented way to one loop."""
        for file in self.project.files:
            hook = file.defs.get("pytest_collection_modifyitems")
            for node in walk(hook.node) if hook else ():
                if isinstance(node, ast.Call) and last_name(node.func) == "asyncio":
                    scope = self.dialect.mark_scope(constants(node))
                    if scope:
                        yield file, str(scope)

    def _moved_scope(self, file: File) -> str | None:
        found = [(c, s) for c, s in self._moved.items() if c.path.parent in file.path.parents]
        return max(found, key=lambda e: len(e[0].path.parts))[1] if found else None

    def _case(self, file: File, owner: ast.ClassDef | None, depth: int = 0) -> str | None:
        """Return "isolated", "django" or "plain" for a class of unittest, None for another."""
        for base in owner.bases if owner and depth < 6 else ():
            full = file.full_name(base) or ""
            if full in _ISOLATED or full in _DJANGO:
                return "isolated"
            if full in _PLAIN:
                return "plain"
            target = self.project.resolve(full)
            if target and target.class_ and (found := self._case(target.file, target.class_, depth + 1)):
                return found
        return None

    # -- loops ---------------------------------------------------------------------------------------------

    def loop_scope(self, test: Test) -> str:
        """Return the loop scope of the test, with an override of `event_loop` where that still counts."""
        if test.kind == ASYNCIO and test.loop == "function" and (override := self.override(test.code)):
            return override
        if test.kind == ANYIO and any(f.code.is_async and f.scope != "function" for f in self.used(test)):
            return "session"
        return test.loop

    def fixture_loop(self, test: Test, fixture: Fixture) -> str | None:
        """Return the loop scope of the async fixture for this test, None of a sync one."""
        if fixture.loop == "function" and (override := self.override(test.code)):
            return override
        if fixture.loop and self.dialect.version[:2] == (0, 23) and (override := self.override(test.code)):
            return max((override, fixture.loop), key=SCOPES.index)
        return fixture.loop

    def override(self, user: Def) -> str | None:
        """Return the scope of the project's fixture `event_loop`, where pytest-asyncio has one."""
        if not self.dialect.event_loop_fixture:
            return None
        found = self.fixture(user, "event_loop")
        return found.scope if found else None

    def key(self, test: Test, scope: str) -> LoopKey:
        """Return what tells the loop of this scope, seen from the test, from other loops."""
        path = str(test.code.file.path)
        if scope == "session":
            return ("session",)
        if scope == "package":
            return ("package", str(test.code.file.path.parent))
        if scope == "module" or (scope == "class" and test.code.owner is None):
            return ("module", path)
        if scope == "class":
            return ("class", path, test.code.owner.name if test.code.owner else "")
        return ("function", path, test.code.name)


def fixture_decorator(file: File, node: Function) -> ast.expr | None:
    """Return the decorator that makes the function a fixture of pytest or pytest_asyncio."""
    for decorator in node.decorator_list:
        if last_name(called(decorator)) == "fixture" or (
            file.full_name(called(decorator))
            in ("pytest.fixture", "pytest_asyncio.fixture", "pytest.yield_fixture")
        ):
            return decorator
    return None


def _computed(decorator: ast.expr) -> bool:
    """Whether a scope is given that is no constant."""
    known = constants(decorator)
    given = decorator.keywords if isinstance(decorator, ast.Call) else []
    return any(k.arg is None or (k.arg in ("scope", "loop_scope") and k.arg not in known) for k in given)


def _matches(name: str, patterns: list[str]) -> bool:
    return any(name.startswith(p) or fnmatch(name, p) for p in patterns)


def _mark(code: Def, name: str) -> ast.expr | None:
    """Return the mark that is closest to the test: its own, its class's, its module's."""
    levels = [code.node.decorator_list]
    if code.owner:
        levels += [code.owner.decorator_list, _module_marks(code.owner)]
    levels.append(_module_marks(code.file.source.tree))
    for decorators in levels:
        for decorator in decorators:
            if (dotted(called(decorator)) or [])[-2:] == ["mark", name]:
                return decorator
    return None


def _module_marks(node: ast.AST) -> list[ast.expr]:
    """Return the marks of `pytestmark` in a module or a class."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Assign, ast.AnnAssign)) and child.value is not None:
            targets = child.targets if isinstance(child, ast.Assign) else [child.target]
            if any(isinstance(t, ast.Name) and t.id == "pytestmark" for t in targets):
                value = child.value
                return value.elts if isinstance(value, (ast.List, ast.Tuple)) else [value]
    return []


def _parametrized(code: Def) -> bool:
    marks = [*code.node.decorator_list, *(code.owner.decorator_list if code.owner else [])]
    return any(isinstance(m, ast.Call) and last_name(m.func) == "parametrize" for m in marks)
