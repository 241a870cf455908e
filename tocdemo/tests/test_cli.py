"""The dispatcher and its exit codes: 0 as expected, 1 not as expected, 2 could not run."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tocdemo import cli

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def child(monkeypatch):
    """Note the commands that would be started, and let each end with the code that the test sets."""
    started = []

    def run_child(command: list[str], env: dict | None = None) -> int:
        started.append(command)
        return run_child.code

    run_child.code, run_child.started = 0, started
    monkeypatch.setattr(cli, "_run_child", run_child)
    return run_child


def test_help_names_every_command_and_needs_no_setup(capsys):
    assert cli.main([]) == 0
    said = capsys.readouterr().out
    assert all(re.search(rf"^  {name} +\w", said, re.MULTILINE) for name in cli.COMMANDS)
    assert not cli.names_command([])
    assert not cli.names_command(["--help"])
    assert cli.names_command(["test", "-x"])


def test_an_unknown_command_is_a_usage_error_that_names_the_known(capsys):
    assert not cli.names_command(["tset"])
    with pytest.raises(SystemExit) as stopped:
        cli.main(["tset"])
    assert stopped.value.code == 2
    assert "invalid choice: 'tset' (choose from" in capsys.readouterr().err


@pytest.mark.parametrize(("pytests", "ours"), [(0, 0), (1, 1), (2, 2), (3, 2), (4, 2), (5, 2), (-9, 2)])
def test_test_passes_its_arguments_on_and_says_how_it_ended(child, pytests, ours):
    child.code = pytests
    assert cli.main(["test", "-k", "one", "--lf"]) == ours
    assert child.started == [[sys.executable, "-m", "pytest", "-k", "one", "--lf"]]


def test_test_without_arguments_runs_all_on_several_cores(child):
    assert cli.main(["test"]) == 0
    assert child.started == [[sys.executable, "-m", "pytest", *cli.ALL_TESTS]]


def test_start_opens_the_first_lesson_and_passes_further_arguments_on(child):
    assert cli.main(["start", "--no-browser", "--ServerApp.ip=0.0.0.0", "--debug"]) == 0
    (command,) = child.started
    assert f"--ServerApp.root_dir={ROOT}" in command
    assert "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb" in command
    assert {"--no-browser", "--ServerApp.ip=0.0.0.0", "--debug"} <= set(command)
    assert not any("token" in argument for argument in command)


def test_start_on_a_busy_port_says_so_in_one_line(child, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert cli.main(["start", "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert f"port {port} cannot be used (Address already in use); choose another" in said
    assert said.count("\n") == 1
    assert child.started == []
    assert cli.main(["start", f"--port={port}"]) == 0
    assert {f"--ServerApp.port={port}", "--ServerApp.port_retries=0"} <= set(child.started[0])


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_start_refuses_what_is_no_port(child, capsys, port):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["start", f"--port={port}"])
    assert stopped.value.code == 2
    assert "expected a port number from 1 to 65535" in capsys.readouterr().err


def test_start_in_a_read_only_project_says_so(child, capsys, monkeypatch):
    monkeypatch.setattr(cli.os, "access", lambda path, mode: False)
    assert cli.main(["start"]) == 2
    assert "is read-only, and the lessons write to it; copy the project" in capsys.readouterr().err
    assert child.started == []


def test_build_without_a_manifest_could_not_run(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    assert cli.main(["build"]) == 2
    assert "course.toml: there is no such file" in capsys.readouterr().err


def test_bench_hands_its_arguments_to_the_benchmark(monkeypatch):
    called = []
    monkeypatch.setattr(cli, "_main_of", lambda module, argv: called.append((module, argv)) or 0)
    assert cli.main(["bench", "server", "--quick", "-h"]) == 0
    assert called == [("tocdemo.benchmarks.server", ["--quick", "-h"])]


def test_a_child_that_is_interrupted_ends_in_its_own_way():
    inner = """if True:
        import os, signal, time
        try:
            os.kill(os.getppid(), signal.SIGINT)
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(9)
        except KeyboardInterrupt:
            raise SystemExit(7)"""
    call = f"_run_child([sys.executable, '-c', {inner!r}])"
    script = f"import sys; from tocdemo.cli import _run_child; print({call})"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, cwd=ROOT
    )
    assert (result.stdout, result.stderr) == ("7\n", "")
