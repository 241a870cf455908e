"""Each check sees what it is for, and says what to do; the report names nobody, its exit code is right."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tocdemo import cli
from tocdemo.bootstrap.words import OLDEST
from tocdemo.doctor import checks, examining, hiding
from tocdemo.doctor.findings import Finding, Findings
from tocdemo.subject import workspace

READY, NOT, UNKNOWN = (Finding("one", "seen", state) for state in ("ready", "not ready", "unknown"))


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("TOCDEMO_WORKSPACE", str(tmp_path / "workspace"))
    for name in ("TOCDEMO_MONGO_URI", "TOCDEMO_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("found", "code"), [([READY], 0), ([READY, NOT], 1), ([READY, UNKNOWN], 2), ([NOT, UNKNOWN], 1)]
)
def test_the_exit_code_says_how_it_came_out(found, code):
    assert Findings(tuple(found), 1.0).exit_code == code


def test_a_report_is_read_as_text_as_json_and_in_a_notebook():
    found = Findings((READY, Finding("two", "a <b>", "not ready", "do this")), 1.0)
    assert str(found).splitlines() == [
        "✓  one  seen",
        "✗  two  a <b>; do this",
        "Not ready: two (2 things looked at in 1 s).",
    ]
    assert "a &lt;b&gt;; do this" in found._repr_html_()
    assert json.loads(json.dumps(found.to_json()))["findings"][1]["remedy"] == "do this"


def test_a_check_that_fails_keeps_none_of_the_others_from_being_made():
    def broken() -> Finding:
        raise OSError(f"nothing at {Path.home()}/course")

    found = examining.examine([broken, checks.python])
    assert [each.state for each in found.all] == ["unknown", "ready"]
    assert found.all[0].seen == "could not be looked at: OSError: nothing at ~/course"


def test_paths_name_no_user(monkeypatch):
    monkeypatch.setattr(hiding, "_home", lambda: Path("/home/ann"))
    monkeypatch.setattr(hiding, "_user", lambda: "ann")
    assert hiding.without_names(f"{workspace.ROOT}/x, /home/ann/y") == "PROJECT/x, ~/y"
    assert hiding.without_names("/srv/ann/z and /home/anna, ann") == "/srv/…/z and /home/anna, ann"


# --- each check, where something is wrong ------------------------------------------------------------------


def test_an_old_python_is_not_ready(monkeypatch):
    assert checks.python().state == "ready"
    monkeypatch.setattr(checks.platform, "python_version", lambda: "3.10.13")
    assert checks.python().state == "not ready"


def test_the_python_that_the_course_needs_is_that_of_the_set_up():
    assert ">={}.{}".format(*OLDEST) == checks.PYTHON_NEEDED


def test_a_package_that_is_not_as_pinned_is_named(monkeypatch):
    assert checks.packages().state == "ready"
    right = checks._installed
    monkeypatch.setattr(checks, "_installed", lambda name: "3.6.0" if name == "motor" else right(name))
    found = checks.packages()
    assert found.state == "not ready"
    assert found.seen.startswith("not as pinned: motor==")
    assert found.seen.endswith("(found 3.6.0)")


def test_a_workspace_that_is_a_file_is_not_ready(place):
    assert checks.files().state == "ready"
    assert list(place.iterdir()) == []
    (place / "workspace").write_text("in the way")
    found = checks.files()
    assert (found.state, found.remedy) == ("not ready", "copy the project to a folder of your own")


@pytest.mark.parametrize("check", ["disk", "memory"])
def test_too_little_room_is_not_ready(check, monkeypatch):
    assert getattr(checks, check)().state == "ready"
    monkeypatch.setattr(checks, f"{check.upper()}_NEEDED", 2.0**60)
    assert getattr(checks, check)().state == "not ready"


def test_a_taken_port_is_passed_over_and_none_is_not_ready(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(checks, "FIRST_PORT", port)
        monkeypatch.setattr(checks, "PORTS", 1)
        assert checks.ports().seen == f"no port from {port} to {port} is free"
        monkeypatch.setattr(checks, "PORTS", 20)
        assert checks.ports().state == "ready"
        assert f"port {port} is free" not in checks.ports().seen


def test_settings_are_named_without_their_values(monkeypatch):
    monkeypatch.setenv("TOCDEMO_SOMETHING", "very-secret")
    found = checks.settings()
    assert "TOCDEMO_SOMETHING" in found.seen
    assert "very-secret" not in found.seen


def test_a_mongodb_that_does_not_answer_is_named_without_its_login(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("TOCDEMO_MONGO_URI", f"mongodb://ann:very-secret@127.0.0.1:{port}/")
    monkeypatch.setattr(checks.databases, "ANSWER_WITHIN_MS", 200)
    found = checks.mongodb()
    assert found.state == "not ready"
    assert f"127.0.0.1:{port}" in found.seen
    assert "very-secret" not in found.told


def test_a_kernel_that_finds_another_copy_of_the_course_is_not_ready(place, monkeypatch):
    package = place / "elsewhere" / "tocdemo" / "lab"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(place / "elsewhere"))
    found = checks.kernel()
    assert found.state == "not ready"
    assert found.seen.startswith("it imports another copy of the course")


def test_a_jupyterlab_that_does_not_start_is_quoted(monkeypatch):
    told = subprocess.CompletedProcess(
        [], 1, "", "Traceback\nModuleNotFoundError: No module named 'jupyterlab'\n"
    )
    monkeypatch.setattr(checks.subprocess, "run", lambda *_, **__: told)
    found = checks.jupyterlab()
    assert found.seen == "does not start: ModuleNotFoundError: No module named 'jupyterlab'"
    assert found.state == "not ready"


def test_tests_that_fail_are_counted(monkeypatch):
    broken = checks.faults.state("incident")
    monkeypatch.setattr(checks.faults, "state", lambda name: broken)
    found = checks.tests()
    assert (found.seen, found.state) == ("2 passed, 26 failed", "not ready")


# --- all of it ---------------------------------------------------------------------------------------------


def test_this_machine_is_ready_and_the_command_says_so(place):
    command = [sys.executable, "-m", "tocdemo", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cli.ROOT, env=dict(os.environ))
    told = json.loads(done.stdout)
    assert [each for each in told["findings"] if each["state"] != "ready"] == []
    assert (done.returncode, told["ready"], done.stderr) == (0, True, "")
    assert [each["name"] for each in told["findings"]][-3:] == ["JupyterLab", "kernel", "the tests"]
    assert str(cli.ROOT) not in done.stdout
