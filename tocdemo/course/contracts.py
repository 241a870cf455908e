"""Holding a lesson to its contract: what each run in it must show, as the manifest says.

It knows the shape of a notebook's outputs, and neither how they came about nor how notebooks are built.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from .manifest import OUTCOMES, ExpectedContract, Lesson, OrdersContract, RunContract

RUN_TYPE = "application/vnd.tocdemo.run+json"
EXPECTED_TYPE = "application/vnd.tocdemo.expected+json"
ORDERS_TYPE = "application/vnd.tocdemo.orders+json"
MAY_RAISE = "raises-exception"  # the tag that Jupyter itself knows
Bundle = Mapping  # an output's data: a value for each MIME type


def violations(lesson: Lesson, cells: Iterable[Mapping]) -> list[str]:
    """Return what the executed `cells` (nbformat 4) show against the lesson's contract, if anything.

    Runs, expected errors and unexpected errors are looked for in every cell, explorations where there is a
    contract for one. Several contracts for one cell are met by its outputs in order.
    """
    cells = [cell for cell in cells if cell["cell_type"] == "code"]
    present = {cell["id"] for cell in cells}
    found = [
        f"cell {cell}: in the contract, and not in the notebook"
        for cell in sorted(lesson.contract_cells - present)
    ]
    for cell in cells:
        found += [f"cell {cell['id']}: {text}" for text in _cell_violations(lesson, cell)]
    return found


def shown_otherwise(lesson: Lesson, cell: str, bundles: Sequence[Bundle]) -> list[str]:
    """Return what the outputs of a cell show against the contracts for it; `cell` is its id."""
    runs = [contract for contract in lesson.runs if contract.cell == cell]
    expected = [contract for contract in lesson.expected if contract.cell == cell]
    orders = [contract for contract in lesson.orders if contract.cell == cell]
    shown = _of_type(bundles, ORDERS_TYPE) if orders else []  # a lesson may show more than it is held to
    return [
        *_pair("exploration", orders, shown, _orders_violations),
        *_pair("run", runs, _of_type(bundles, RUN_TYPE), _run_violations),
        *_pair("expected error", expected, _of_type(bundles, EXPECTED_TYPE), _expected_violations),
    ]


def _cell_violations(lesson: Lesson, cell: Mapping) -> list[str]:
    bundles = [output.get("data", {}) for output in cell["outputs"]]
    return [*_error_violations(cell), *shown_otherwise(lesson, cell["id"], bundles)]


def _error_violations(cell: Mapping) -> list[str]:
    errors = [output for output in cell["outputs"] if output["output_type"] == "error"]
    may_raise = MAY_RAISE in cell["metadata"].get("tags", [])
    if may_raise and not errors:
        return [f"tagged {MAY_RAISE}, and raised nothing"]
    return [] if may_raise else [f"raised {error['ename']}: {error['evalue']}" for error in errors]


def _of_type(bundles: Sequence[Bundle], mime_type: str) -> list[Mapping]:
    return [bundle[mime_type] for bundle in bundles if mime_type in bundle]


def _pair(what: str, contracts: list, shown: list[Mapping], compare) -> list[str]:
    if len(contracts) != len(shown):
        return [f"the contract has {len(contracts)} {what}(s), the cell showed {len(shown)}"]
    return [
        text for contract, bundle in zip(contracts, shown, strict=True) for text in compare(contract, bundle)
    ]


def _run_violations(contract: RunContract, run: Mapping) -> list[str]:
    found = [
        f"{outcome} must be {getattr(contract, outcome)}, was {run.get(outcome, 0)}"
        for outcome in OUTCOMES
        if run.get(outcome, 0) not in getattr(contract, outcome)
    ]
    if run.get("unfinished", 0):
        found.append(f"every test must end, {run['unfinished']} did not")
    lines = run.get("error_lines", {})
    for error in contract.error:
        count = sum(times for line, times in lines.items() if error.text in line)
        if count == 0 and (error.count is None or 0 not in error.count):
            found.append(f"no error line contains {error.text!r}; the lines were {list(lines)}")
        elif error.count is not None and count not in error.count:
            found.append(f"{error.text!r} must be in the error lines of {error.count} tests, was in {count}")
    found += [
        f"every error line must contain {contract.every_error!r}; one was {line!r}"
        for line in lines
        if contract.every_error not in line
    ]
    names = tuple(name.rpartition("::")[2] for name in run.get("passed_tests", []))
    if contract.passed_tests is not None and sorted(contract.passed_tests) != sorted(names):
        found.append(f"the tests that pass must be {list(contract.passed_tests)}, were {list(names)}")
    return found


def _orders_violations(contract: OrdersContract, shown: Mapping) -> list[str]:
    return [
        f"{what} must be {getattr(contract, what)}, was {shown[what]}"
        for what in ("orders", "losing")
        if shown[what] not in getattr(contract, what)
    ]


def _expected_violations(contract: ExpectedContract, error: Mapping) -> list[str]:
    if error["type"] == contract.type and re.search(contract.match, error["message"]):
        return []
    return [
        f"must show {contract.type} matching {contract.match!r}, showed {error['type']}: {error['message']}"
    ]
