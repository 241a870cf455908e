"""`python -m tocdemo run`: what it prints, and the exit codes that scripts rely on."""

import json
import os
import re
import subprocess
import sys
import time

import pytest

from tocdemo.runner.result import Counts, Run, TestResult
from tocdemo.subject.tests.projects import ROOT


def tocdemo(*arguments, **environment):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TOCDEMO_")}
    return subprocess.run(
        [sys.executable, "-m", "tocdemo", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=inherited | environment,
        timeout=60,
        check=False,
    )


def test_json_is_all_that_stands_on_standard_output():
    done = tocdemo("run", "--state", "incident", "--json", "--expect", "2 passed, 26 failed")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert (data["passed"], data["failed"], data["errors"]) == (2, 26, 0)
    assert data["tests"][0].keys() >= {"name", "outcome", "seconds", "error"}


def test_a_red_run_that_nobody_expected_exits_with_1():
    done = tocdemo("run", "--state", "incident")
    assert done.returncode == 1
    assert "together: 2 passed, 26 failed" in done.stdout
    assert "26 × RuntimeError: Event loop is closed" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--state", "nonsense"), "The states: fixed, incident, as-fixed"),
        (("--fault", "nonsense"), "There is no fault 'nonsense'"),
        (("--expect", "all of them"), "Expected counts such as"),
        (("--backend", "nonsense"), "There is no backend 'nonsense'"),
    ],
)
def test_what_cannot_run_exits_with_2_and_one_line(arguments, words):
    done = tocdemo("run", "--json", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_does_not_answer_ends_the_run_soon():
    begin = time.monotonic()
    done = tocdemo("run", "--json", "--backend", "mongodb://127.0.0.1:9/")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "No MongoDB answers at mongodb://127.0.0.1:9/" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert time.monotonic() - begin < 20  # 3 s, and the start of a process on a busy machine


def test_the_workspace_is_made_told_and_reset(tmp_path):
    folder = tmp_path / "workspace"
    made = tocdemo("workspace", "03_the_async_fixture", TOCDEMO_WORKSPACE=str(folder))
    assert made.returncode == 0
    assert "Made " in made.stdout
    (folder / "03_the_async_fixture/tests/conftest.py").write_text("# mine\n")
    told = tocdemo("workspace", TOCDEMO_WORKSPACE=str(folder))
    assert re.search(r"03_the_async_fixture +edited: tests/conftest\.py", told.stdout)
    reset = tocdemo("workspace", "03", "--reset", TOCDEMO_WORKSPACE=str(folder))
    assert "What was there is kept: " in reset.stdout
    kept = (tmp_path / "workspace-backups/03_the_async_fixture/tests/conftest.py").iterdir()
    assert [path.read_text() for path in kept] == ["# mine\n"]


def test_progress_is_printed_as_lines_and_as_json(tmp_path):
    folder = str(tmp_path / "workspace")
    told = tocdemo("progress", TOCDEMO_WORKSPACE=folder)
    assert told.stdout.rstrip().endswith("Next: 00_start_here")
    as_json = json.loads(tocdemo("progress", "--json", TOCDEMO_WORKSPACE=folder).stdout)
    assert as_json["next"] == "00_start_here"
    assert not any(each["is_done"] for each in as_json["lessons"])


def test_counts_are_read_as_pytest_writes_them():
    assert Counts.parse("2 passed, 26 failed") == Counts(2, 26)
    assert Counts.parse("1 error,1 skipped") == Counts(errors=1, skipped=1)
    for bad in ("", "passed", "2 passed 3 failed", "-1 passed"):
        with pytest.raises(ValueError, match="Expected counts"):
            Counts.parse(bad)


def test_what_is_not_named_is_expected_to_be_0():
    run = Run((TestResult("t::a", "passed"), TestResult("t::b", "failed")), 0.1)
    assert run.is_as(Counts(1, 1))
    assert not run.is_as(Counts(1))
    assert not run.is_as(None)
