"""What the faults do to a file: each transform takes a module's syntax tree and gives one with a fault in it.

They find what they change by its shape (libcst's matchers), and know neither paths nor the faults' names.
"""

import re
from collections.abc import Sequence
from typing import TypeVar

import libcst as cst
import libcst.matchers as m


def copy_names(module: cst.Module) -> cst.Module:
    """`from . import base` and `base.x` become `from .base import x` and `x`."""
    used = _UsedOfBase()
    module.visit(used)
    return module.visit(_CopyNames(sorted(used.names))) if used.names else module


_BASE_ATTRIBUTE = m.Attribute(value=m.Name("base"))


class _UsedOfBase(cst.CSTVisitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def visit_Attribute(self, node: cst.Attribute) -> None:
        if m.matches(node, _BASE_ATTRIBUTE):
            self.names.add(node.attr.value)


class _CopyNames(cst.CSTTransformer):
    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.names = names

    def leave_Attribute(self, original: cst.Attribute, updated: cst.Attribute) -> cst.BaseExpression:
        return updated.attr if m.matches(updated, _BASE_ATTRIBUTE) else updated

    def leave_SimpleStatementLine(
        self, original: cst.SimpleStatementLine, updated: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.FlattenSentinel:
        line = updated.body[0]
        if not m.matches(line, m.ImportFrom(names=[m.ZeroOrMore(), _BASE_ALIAS, m.ZeroOrMore()])):
            return updated
        line = cst.ensure_type(line, cst.ImportFrom)
        others = [alias for alias in _aliases(line) if not m.matches(alias, _BASE_ALIAS)]
        base = cst.Attribute(line.module, cst.Name("base")) if line.module else cst.Name("base")
        aliases = [cst.ImportAlias(cst.Name(name)) for name in self.names]
        copies = line.with_changes(module=base, names=aliases)
        if not others:
            return updated.with_changes(body=[copies])
        others[-1] = others[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
        rest = updated.with_changes(body=[line.with_changes(names=others)])
        return cst.FlattenSentinel([rest, cst.SimpleStatementLine(body=[copies])])


_BASE_ALIAS = m.ImportAlias(name=m.Name("base"))


def make_fixture_sync(module: cst.Module) -> cst.Module:
    """The async fixture becomes a plain one, which cannot await the client's `close`."""
    return _in_function(module, "motor_reinit_db", _MakeSync())


class _MakeSync(cst.CSTTransformer):
    def leave_Decorator(self, original: cst.Decorator, updated: cst.Decorator) -> cst.Decorator:
        return updated.with_deep_changes(updated.decorator, value=cst.Name("pytest"))

    def leave_FunctionDef(self, original: cst.FunctionDef, updated: cst.FunctionDef) -> cst.FunctionDef:
        return updated.with_changes(asynchronous=None)

    def leave_Await(self, original: cst.Await, updated: cst.Await) -> cst.BaseExpression:
        if not m.matches(updated, m.Await(expression=m.Call(func=m.Name("close_client")))):
            return updated
        client = cst.ensure_type(updated.expression, cst.Call).args[0].value
        return cst.Call(cst.Attribute(client, cst.Name("close")))


def drop_io_loop(module: cst.Module) -> cst.Module:
    """The client is made without `io_loop`."""
    return _in_function(module, "motor_reinit_db", _DropIoLoop())


class _DropIoLoop(cst.CSTTransformer):
    def leave_Call(self, original: cst.Call, updated: cst.Call) -> cst.Call:
        kept = [arg for arg in updated.args if not m.matches(arg, m.Arg(keyword=m.Name("io_loop")))]
        if kept and len(kept) < len(updated.args):
            kept[-1] = kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
        return updated.with_changes(args=kept)


def drop_guard(module: cst.Module) -> cst.Module:
    """Read, change, write: without asking whether the TOC is still the one that was read."""
    return _in_function(module, "_change_chapters", _DropGuard())


class _DropGuard(cst.CSTTransformer):
    def leave_For(self, original: cst.For, updated: cst.For) -> cst.FlattenSentinel:
        return cst.FlattenSentinel(updated.body.body)

    def leave_If(self, original: cst.If, updated: cst.If) -> cst.If | cst.FlattenSentinel:
        if not m.matches(updated.test, m.Await(expression=m.Call(func=m.Name("_write_toc")))):
            return updated
        write = cst.SimpleStatementLine(body=[cst.Expr(updated.test)])
        return cst.FlattenSentinel([write, *updated.body.body])

    def leave_Call(self, original: cst.Call, updated: cst.Call) -> cst.BaseExpression:
        guard = m.matches(updated, m.Call(func=m.Name("_unchanged")))
        return cst.parse_expression('{"_id": object_id}') if guard else updated

    def leave_SimpleStatementLine(
        self, original: cst.SimpleStatementLine, updated: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.RemovalSentinel:
        retries = m.findall(updated, m.Name("_back_off") | m.Name("_TOO_BUSY"))
        return cst.RemoveFromParent() if retries else updated


def swallow_probe(module: cst.Module) -> cst.Module:
    """The question for the topology is asked under `except Exception`, and any error counts as "no"."""
    return _in_function(module, "update_toc_with_transaction", _SwallowProbe())


class _SwallowProbe(cst.CSTTransformer):
    def leave_SimpleStatementLine(
        self, original: cst.SimpleStatementLine, updated: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.Try:
        if not m.matches(updated, m.SimpleStatementLine(body=[m.Assign(value=_PROBE)])):
            return updated
        assigned = cst.ensure_type(updated.body[0], cst.Assign).targets[0].target
        target = cst.ensure_type(assigned, cst.Name)
        return cst.Try(
            leading_lines=updated.leading_lines,
            body=cst.IndentedBlock([updated.with_changes(leading_lines=[])]),
            handlers=[
                cst.ExceptHandler(
                    type=cst.Name("Exception"),
                    body=cst.IndentedBlock([cst.parse_statement(f"{target.value} = False")]),
                )
            ],
        )

    def visit_Try(self, node: cst.Try) -> bool:
        return False  # swallowed already


_PROBE = m.Await(expression=m.Call(func=m.Name("supports_transactions")))


def drop_read_back(module: cst.Module) -> cst.Module:
    """Test 25 looks at what the two updates returned, and not at what was stored."""
    return _in_function(module, "test_concurrent_updates_different_chapters", _DropReadBack())


class _DropReadBack(cst.CSTTransformer):
    def leave_SimpleStatementLine(
        self, original: cst.SimpleStatementLine, updated: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.RemovalSentinel:
        return cst.RemoveFromParent() if m.findall(updated, m.Name("stored")) else updated


def transact_once(module: cst.Module) -> cst.Module:
    """Each change of chapters is a transaction where there are any, and no transaction is tried again."""
    client = "base._client" if m.findall(module, m.Attribute(attr=m.Name("_client"))) else "_client"
    module = _in_function(module, "_change_chapters", _TransactChanges(client))
    module = _in_function(module, "_in_transaction", _TransactOnce())
    return module.visit(_ImportStartTransaction())


class _TransactChanges(cst.CSTTransformer):
    def __init__(self, client: str) -> None:
        super().__init__()
        self.client = client

    def visit_FunctionDef(self, node: cst.FunctionDef) -> bool:
        return node.name.value != "write"  # a transaction already

    def leave_Call(self, original: cst.Call, updated: cst.Call) -> cst.Call:
        writes = m.Call(func=m.Name("_write_toc") | m.Attribute(attr=m.Name("find_one")))
        if not m.matches(updated, writes) or m.findall(updated, m.Arg(keyword=m.Name("session"))):
            return updated
        session = cst.ensure_type(cst.parse_expression("f(session=session)"), cst.Call).args
        return updated.with_changes(args=[*updated.args, *session])

    def leave_FunctionDef(self, original: cst.FunctionDef, updated: cst.FunctionDef) -> cst.FunctionDef:
        docstring, *body = cst.ensure_type(updated.body, cst.IndentedBlock).body
        if updated.name.value == "write" or m.findall(updated, _PROBE):
            return updated
        write = cst.parse_statement("async def write(session: Any = None) -> Any:\n    pass")
        frame = cst.parse_module(
            f"use_transaction = await supports_transactions({self.client})\n"
            "return await (_in_transaction(write) if use_transaction else write())\n"
        )
        parts = [
            docstring,
            write.with_changes(body=cst.IndentedBlock(body), leading_lines=[cst.EmptyLine(indent=False)]),
            frame.body[0].with_changes(leading_lines=[cst.EmptyLine(indent=False)]),
            frame.body[1],
        ]
        return updated.with_changes(body=updated.body.with_changes(body=parts))


class _TransactOnce(cst.CSTTransformer):
    def leave_SimpleStatementLine(
        self, original: cst.SimpleStatementLine, updated: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.With:
        if not m.findall(updated, m.Attribute(attr=m.Name("with_transaction"))):
            return updated
        once = "async with await start_transaction(session):\n    return await write(session)"
        return cst.ensure_type(cst.parse_statement(once), cst.With)

    def leave_SimpleString(self, original: cst.SimpleString, updated: cst.SimpleString) -> cst.SimpleString:
        return updated.with_changes(value=updated.value.replace(", with the driver's retry", ", once"))


class _ImportStartTransaction(cst.CSTTransformer):
    def leave_ImportFrom(self, original: cst.ImportFrom, updated: cst.ImportFrom) -> cst.ImportFrom:
        if not m.matches(updated, m.ImportFrom(module=m.Name("driver"))):
            return updated
        names = {alias.evaluated_name for alias in _aliases(updated)} | {"start_transaction"}
        return updated.with_changes(names=_import_of(sorted(names)))


def _import_of(names: list[str]) -> Sequence[cst.ImportAlias]:
    """Return the names of an import, with commas between them."""
    line = cst.ensure_type(cst.parse_statement(f"import {', '.join(names)}"), cst.SimpleStatementLine)
    return cst.ensure_type(line.body[0], cst.Import).names


def _aliases(line: cst.Import | cst.ImportFrom) -> Sequence[cst.ImportAlias]:
    """Return what a line imports, by name; nothing for `*`."""
    return () if isinstance(line.names, cst.ImportStar) else line.names


def _in_function(module: cst.Module, name: str, transformer: cst.CSTTransformer) -> cst.Module:
    """Apply `transformer` inside the module's function `name`, and nowhere else."""
    body = [
        node.visit(transformer) if m.matches(node, m.FunctionDef(name=m.Name(name))) else node
        for node in module.body
    ]
    return module.with_changes(body=body)


# What a fault can leave without a use. Named, so that a learner's own unused import stays.
_IMPORTS = ("asyncio", "pytest_asyncio", "close_client")


def without_unused_imports(module: cst.Module) -> cst.Module:
    unused = [name for name in _IMPORTS if len(re.findall(rf"\b{name}\b", module.code)) == 1]
    return module.visit(_DropImports(unused)) if unused else module


Line = TypeVar("Line", cst.Import, cst.ImportFrom)


class _DropImports(cst.CSTTransformer):
    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.names = names

    def visit_FunctionDef(self, node: cst.FunctionDef) -> bool:
        return False

    def leave_Import(self, original: cst.Import, updated: cst.Import) -> cst.Import | cst.RemovalSentinel:
        return self._kept(updated)

    def leave_ImportFrom(
        self, original: cst.ImportFrom, updated: cst.ImportFrom
    ) -> cst.ImportFrom | cst.RemovalSentinel:
        return self._kept(updated)

    def _kept(self, line: Line) -> Line | cst.RemovalSentinel:
        names = [alias for alias in _aliases(line) if alias.evaluated_name not in self.names]
        if not names:
            return cst.RemoveFromParent()
        names[-1] = names[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
        return line.with_changes(names=names) if len(names) < len(_aliases(line)) else line
