"""Who may import whom is written in pyproject.toml; import-linter finds nothing that breaks it.

Each contract is tried on a copy, too, with a wrong import in it: a rule that cannot fail holds nothing.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
CONTRACTS = [contract["id"] for contract in SETTINGS["contracts"]]
# For each contract: new modules with one wrong import (a circle needs two), and what must be said of it.
WRONG = {
    "downwards": (
        {"display/wrong.py": "import tocdemo.runner.suite"},
        "tocdemo.display.wrong -> tocdemo.runner.suite",
    ),
    "lab": ({"benchmarks/wrong.py": "from tocdemo import lab"}, "tocdemo.benchmarks.wrong -> tocdemo.lab"),
    "cli": ({"lab/wrong.py": "import tocdemo.cli"}, "tocdemo.lab.wrong -> tocdemo.cli"),
    "alone": ({"server/wrong.py": "import tocdemo.display"}, "tocdemo.server.wrong -> tocdemo.display"),
    "tests": ({"runner/wrong.py": "import tocdemo.tests"}, "tocdemo.runner.wrong -> tocdemo.tests"),
    "circles": (
        {"display/wrong.py": "from . import worse", "display/worse.py": "from . import wrong"},
        "No cycles are allowed in tocdemo.display",
    ),
}


def _lint(root: Path, contract: str) -> subprocess.CompletedProcess:
    call = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", call, "--no-cache", "--no-logo", "--contract", contract]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_house_keeps_its_rules(contract):
    result = _lint(ROOT, contract)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_wrong_import_breaks_its_rule(contract, tmp_path):
    modules, said = WRONG[contract]
    only_code = shutil.ignore_patterns("__pycache__", "backend")
    shutil.copytree(ROOT / "tocdemo", tmp_path / "tocdemo", ignore=only_code)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, text in modules.items():
        (tmp_path / "tocdemo" / name).write_text(text + "\n", encoding="utf-8")
    result = _lint(tmp_path, contract)
    assert result.returncode == 1, result.stdout + result.stderr
    assert said in result.stdout


def test_no_module_imports_itself_round_a_circle():
    graph = grimp.build_graph("tocdemo", cache_dir=None)
    circles = {}
    for module in sorted(graph.modules):
        for imported in graph.find_modules_directly_imported_by(module):
            chain = graph.find_shortest_chain(importer=imported, imported=module)
            if chain:
                circles[frozenset(chain)] = " -> ".join((module, *chain))
    assert sorted(circles.values()) == []
