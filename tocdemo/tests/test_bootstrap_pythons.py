"""The test command on every Python: which are found, what the table says, and how it ends."""

import os
import sys
from pathlib import Path

import pytest

from tocdemo import cli
from tocdemo.bootstrap import pythons

HERE = "{}.{}".format(*sys.version_info[:2])
OTHER = next(version for version in pythons.SUPPORTED if version != HERE)
REPORT = """<testsuites><testsuite tests="7" failures="{failures}" errors="1" skipped="2"/></testsuites>"""
# A program in an interpreter's place: as asked for, it says what it is, or writes a report.
STAND_IN = """#!/bin/sh
if [ "$1" = -c ]; then echo {version} "$0"; exit {found}; fi
for last; do :; done
echo "$@" > "{calls}"
[ -z '{report}' ] || echo '{report}' > "${{last#--junitxml=}}"
exit {code}
"""


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """Let no interpreter be found but the running one and those that the test puts on the path."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))

    def stand_in(path: Path, version: str = OTHER, found: int = 0, report: str = "", code: int = 0) -> str:
        path.parent.mkdir(parents=True, exist_ok=True)
        calls = tmp_path / "calls"
        path.write_text(STAND_IN.format(version=version, found=found, report=report, code=code, calls=calls))
        path.chmod(0o755)
        return str(path)

    return stand_in


def test_the_running_python_is_found_and_one_on_the_path_and_one_that_pyenv_keeps(alone, tmp_path):
    assert pythons.find(HERE) == sys.executable
    kept = alone(tmp_path / f"pyenv/versions/{OTHER}.9/bin/python")
    alone(tmp_path / f"python{OTHER}", found=127)  # a shim that leads nowhere
    assert pythons.find(OTHER) == kept
    on_path = alone(tmp_path / f"python{OTHER}")
    assert pythons.find(OTHER) == on_path


def test_an_interpreter_of_another_version_or_of_another_machine_is_not_taken(alone, tmp_path):
    alone(tmp_path / f"python{OTHER}", version="2.7")
    assert pythons.find(OTHER) is None
    (tmp_path / f"python{OTHER}").write_text("\0no program of this machine\0")
    assert pythons.find(OTHER) is None


@pytest.mark.parametrize(("failures", "code"), [(0, 0), (3, 1)])
def test_a_table_says_what_each_showed_and_which_was_not_found(alone, tmp_path, capsys, failures, code):
    report = REPORT.format(failures=failures)
    python = alone(tmp_path / f"python{OTHER}", report=report, code=code)
    assert pythons.test((OTHER, "3.99"), ["entry", "test", "-x"]) == code
    assert (tmp_path / "calls").read_text().startswith("entry test -x --junitxml=")
    said = capsys.readouterr().out.splitlines()
    assert f"=== Python {OTHER}: {python}" in said
    head, first, second = said[-3:]
    assert head.split() == ["Python", "passed", "failed", "skipped", "seconds"]
    assert first.split()[:4] == [OTHER, str(4 - failures), str(1 + failures), "2"]
    assert second == "3.99     not found on this machine"


def test_a_run_without_a_report_could_not_run_and_none_found_is_not_green(alone, tmp_path, capsys):
    alone(tmp_path / f"python{OTHER}", code=2)
    assert pythons.test((OTHER,), ["entry"]) == 1
    assert f"{OTHER:8} could not run (exit code 2)" in capsys.readouterr().out
    assert pythons.test(("3.99",), ["entry"]) == 1


def test_the_command_hands_the_versions_and_pytests_arguments_on(monkeypatch):
    asked = []
    monkeypatch.setattr(pythons, "test", lambda versions, command: asked.append((versions, command)) or 0)
    entry = [str(cli.ROOT / "tocdemo"), "test"]
    assert cli.main(["test", "--pythons"]) == 0
    assert cli.main(["test", "--python", "3.13", "tocdemo/server", "-x"]) == 0
    assert asked == [
        (pythons.SUPPORTED, [*entry, *cli.ALL_TESTS]),
        (("3.13",), [*entry, "tocdemo/server", "-x"]),
    ]
