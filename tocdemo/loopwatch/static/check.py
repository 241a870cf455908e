"""The static checker: finds in a project's source what makes cross-loop failures possible.

It runs nothing of the project, so it cannot know whether a finding makes a given run fail.
"""

from __future__ import annotations

import ast
import configparser
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .project import File, Function, Project
from .sources import Origin, dotted, is_fixture, module_import

SCOPES = ("function", "class", "module", "package", "session")
LOOP_CALLS = {"asyncio.get_running_loop", "asyncio.get_event_loop"}


@dataclass(frozen=True)
class Finding:
    """One thing to change: `rule` is its kind, `file` relative to the checked folder."""

    rule: str
    file: str
    line: int
    why: str
    change: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.why}\n    change: {self.change}"


def check(path: str | Path, installed: Mapping[str, str] | None = None) -> list[Finding]:
    """Return what is found in the Python files below `path` (a folder or a file), by file and line.

    `installed` has the versions of the drivers by package name; by default they are those that are installed
    here. FileNotFoundError is raised if there is nothing at `path`.
    """
    root = Path(path)
    if not root.exists():
        raise FileNotFoundError(f"there is no file or folder {root}; give the folder of the project to check")
    project = Project(root)
    checker = _Checker(project, _installed() if installed is None else installed)
    return sorted(checker.findings(), key=lambda f: (f.file, f.line, f.rule))


class _Checker:
    def __init__(self, project: Project, installed: Mapping[str, str]) -> None:
        self.project = project
        self.installed = installed

    def findings(self) -> Iterator[Finding]:
        for file in self.project.files:
            yield from self._copies(file)
            for function in file.functions:
                if is_fixture(function):
                    yield from self._fixture(file, function)
        yield from _LoopScopes(self.project).findings()

    def _copies(self, file: File) -> Iterator[Finding]:
        """A client, session or lock made at import, copied here by name, and rebound somewhere."""
        grouped: dict[tuple[int, str], list[tuple[str, Origin, str]]] = {}
        for name, origin in file.copies.items():
            root = self.project.root_of(origin)
            if root in self.project.made and root in self.project.rebound:
                module = root.rpartition(".")[0]
                grouped.setdefault((origin.line, module), []).append((name, origin, root))
        for (line, module), copies in grouped.items():
            other, at = self.project.rebound[copies[0][2]]
            made = self.project.made[copies[0][2]]
            names = ", ".join(name for name, _, _ in copies)
            statement, short = module_import(copies[0][1], module)
            wanted = ", ".join(f"{short}.{root.rpartition('.')[2]}" for _, _, root in copies)
            yield Finding(
                "copied-name",
                self.project.shown(file),
                line,
                f"copies {names} from {module}, where line {made.line} makes {made.name} at import; "
                f"{self.project.shown(other)}:{at} puts another object there, and the copy stays the old one",
                f"write `{statement}` there, and {wanted} wherever the bare name is used",
            )

    def _fixture(self, file: File, function: Function) -> Iterator[Finding]:
        shown = self.project.shown(file)
        if function.name == "event_loop":
            yield Finding(
                "event-loop-override",
                shown,
                function.lineno,
                "overrides the fixture `event_loop`, which pytest-asyncio has removed in 1.0",
                'delete it; tests that must share a loop get `@pytest.mark.asyncio(loop_scope="session")`',
            )
        if isinstance(function, ast.AsyncFunctionDef):
            return
        change = f"make it async: `@pytest_asyncio.fixture` and `async def {function.name}`"
        for node in ast.walk(function):
            if not isinstance(node, ast.Call):
                continue
            name = file.full_name(node.func) or ""
            if name in LOOP_CALLS:
                yield Finding(
                    "loop-in-sync-fixture",
                    shown,
                    node.lineno,
                    f"the sync fixture {function.name} asks for {name}(), and no loop runs in a sync fixture",
                    change,
                )
            library = self.project.makers.get(name)
            if library and self._binds_at_creation(library):
                have = self.installed.get(library, "")
                yield Finding(
                    "client-in-sync-fixture",
                    shown,
                    node.lineno,
                    f"the sync fixture {function.name} makes a client of {library} {have}, which binds to a "
                    "loop when it is made; in a sync fixture that is not the test's loop",
                    change,
                )

    def _binds_at_creation(self, library: str) -> bool:
        """Motor did until 2.5; aiohttp's session always does. Nothing is said of what is not installed."""
        have = self.installed.get(library)
        if have is None:
            return False
        return library == "aiohttp" or (library == "motor" and int(have.split(".")[0]) < 3)


# -- loop scopes -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Fixture:
    """A fixture of the project; `loop` is the loop scope of an async one, None of a sync one."""

    file: File
    node: Function
    scope: str
    loop: str | None
    autouse: bool

    @property
    def gives_value(self) -> bool:
        found = [n.value for n in ast.walk(self.node) if isinstance(n, ast.Return | ast.Yield)]
        return any(v is not None and not (isinstance(v, ast.Constant) and v.value is None) for v in found)


class _LoopScopes:
    """Compares the loop scope of each async fixture with that of the async tests that use it."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.options = _asyncio_options(project.root)
        self.auto = self.options.get("asyncio_mode") == "auto"
        self.fixtures: dict[str, list[_Fixture]] = {}
        for file in project.files:
            for node in file.functions:
                if is_fixture(node):
                    self.fixtures.setdefault(_fixture_name(node), []).append(self._fixture(file, node))

    def findings(self) -> Iterator[Finding]:
        clashes: dict[int, list[tuple[str, str]]] = {}
        found: dict[int, _Fixture] = {}
        for file in self.project.files:
            for test, loop in self._tests(file):
                for fixture in self._used(file, test):
                    if fixture.loop and fixture.loop != loop and fixture.gives_value:
                        found[id(fixture)] = fixture
                        clashes.setdefault(id(fixture), []).append((test.name, loop))
        for key, fixture in found.items():
            yield self._clash(fixture, clashes[key])
        for fixtures in self.fixtures.values():
            for fixture in fixtures:
                if fixture.loop and SCOPES.index(fixture.scope) > SCOPES.index(fixture.loop):
                    yield self._outlives(fixture)

    def _clash(self, fixture: _Fixture, tests: list[tuple[str, str]]) -> Finding:
        name, loop = tests[0]
        more = f" and {len(tests) - 1} more" if len(tests) > 1 else ""
        return Finding(
            "loop-scopes-differ",
            self.project.shown(fixture.file),
            fixture.node.lineno,
            f"the fixture {fixture.node.name} runs on the {fixture.loop}'s loop, {name}{more} on the {loop}'s"
            ": what it gives to the test belongs to another loop",
            f'give the tests `@pytest.mark.asyncio(loop_scope="{fixture.loop}")`, or the fixture '
            f'`loop_scope="{loop}"` and `scope="{loop}"`',
        )

    def _outlives(self, fixture: _Fixture) -> Finding:
        return Finding(
            "fixture-outlives-loop",
            self.project.shown(fixture.file),
            fixture.node.lineno,
            f"the fixture {fixture.node.name} is kept for the {fixture.scope}, "
            f"but its loop only for the {fixture.loop}",
            f'give it `loop_scope="{fixture.scope}"`, and its tests the same, or `scope="{fixture.loop}"`',
        )

    def _fixture(self, file: File, node: Function) -> _Fixture:
        options: dict[str, object] = {}
        asyncio_fixture = False
        for decorator in node.decorator_list:
            target = decorator.func if isinstance(decorator, ast.Call) else decorator
            chain = dotted(target) or [""]
            if chain[-1] != "fixture":
                continue
            asyncio_fixture = (file.full_name(target) or "").startswith("pytest_asyncio")
            options = _constants(decorator)
        scope = str(options.get("scope") or "function")
        scope = scope if scope in SCOPES else "function"
        loop = None
        if _is_async(node) and (asyncio_fixture or self.auto):
            default = self.options.get("asyncio_default_fixture_loop_scope") or scope
            loop = str(options.get("loop_scope") or default)
        return _Fixture(file, node, scope, loop if loop in SCOPES else None, bool(options.get("autouse")))

    def _tests(self, file: File) -> Iterator[tuple[Function, str]]:
        """Yield the async tests of the file, each with its loop scope."""
        module_mark = _marked(file.source.tree)
        for parent in ast.walk(file.source.tree):
            class_mark = _marked(parent) if isinstance(parent, ast.ClassDef) else None
            for node in ast.iter_child_nodes(parent):
                if not isinstance(node, ast.AsyncFunctionDef) or not node.name.startswith("test"):
                    continue
                mark = _mark_of(node.decorator_list) or class_mark or module_mark
                if mark is None and not self.auto:
                    continue
                options = _constants(mark) if mark is not None else {}
                default = self.options.get("asyncio_default_test_loop_scope") or "function"
                scope = str(options.get("loop_scope") or options.get("scope") or default)
                yield node, scope if scope in SCOPES else "function"

    def _used(self, file: File, test: Function) -> list[_Fixture]:
        """Return the fixtures that the test asks for, also through other fixtures."""
        waiting = [arg.arg for arg in test.args.args]
        waiting += [n for n, fs in self.fixtures.items() for f in fs if f.autouse and _sees(file, f.file)]
        found: list[_Fixture] = []
        seen: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            visible = [f for f in self.fixtures.get(name, ()) if _sees(file, f.file)]
            if visible:
                nearest = max(visible, key=lambda f: (f.file is file, len(f.file.path.parts)))
                found.append(nearest)
                waiting += [arg.arg for arg in nearest.node.args.args]
        return found


def _sees(file: File, other: File) -> bool:
    """Whether a test in `file` sees the fixtures of `other`: its own, or those of a conftest above."""
    return file is other or (other.path.name == "conftest.py" and other.path.parent in file.path.parents)


def _is_async(node: Function) -> bool:
    return isinstance(node, ast.AsyncFunctionDef)


def _fixture_name(node: Function) -> str:
    for decorator in node.decorator_list:
        name = _constants(decorator).get("name")
        if isinstance(name, str):
            return name
    return node.name


def _constants(node: ast.expr) -> dict[str, object]:
    if not isinstance(node, ast.Call):
        return {}
    return {k.arg: k.value.value for k in node.keywords if k.arg and isinstance(k.value, ast.Constant)}


def _mark_of(decorators: list[ast.expr]) -> ast.expr | None:
    for decorator in decorators:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        if (dotted(target) or [])[-2:] == ["mark", "asyncio"]:
            return decorator
    return None


def _marked(node: ast.AST) -> ast.expr | None:
    """Return the asyncio mark of a module (`pytestmark`) or of a class."""
    if isinstance(node, ast.ClassDef) and (mark := _mark_of(node.decorator_list)) is not None:
        return mark
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == "pytestmark" for t in child.targets
        ):
            value = child.value
            return _mark_of(value.elts if isinstance(value, ast.List | ast.Tuple) else [value])
    return None


def _asyncio_options(root: Path) -> dict[str, str]:
    """Return pytest-asyncio's settings from the first configuration file at the root or below."""
    folder = root if root.is_dir() else root.parent
    for base in [folder, *sorted({p.parent for p in folder.rglob("pytest.ini")})]:
        for name, section in (("pytest.ini", "pytest"), ("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")):
            parser = configparser.ConfigParser(interpolation=None)
            try:
                parser.read(base / name, encoding="utf-8")
            except configparser.Error:
                continue
            if parser.has_section(section):
                return {key: value.strip() for key, value in parser[section].items()}
        try:
            tool = tomllib.loads((base / "pyproject.toml").read_text(encoding="utf-8")).get("tool", {})
        except (OSError, tomllib.TOMLDecodeError):
            continue
        if options := tool.get("pytest", {}).get("ini_options"):
            return {key: str(value) for key, value in options.items()}
    return {}


def _installed() -> dict[str, str]:
    found = {}
    for name in ("motor", "pymongo", "aiohttp"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
