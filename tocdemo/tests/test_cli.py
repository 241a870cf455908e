"""The dispatcher and its exit codes: 0 as expected, 1 not as expected, 2 could not run."""

import errno
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tocdemo import cli
from tocdemo.cli import laboratory, parsing
from tocdemo.course import jupyter, lessons

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def child(monkeypatch, tmp_path):
    """Note the commands that would be started, and let each end with the code that the test sets.

    The copies of the lessons are made in a folder of the test's own: other tests look at the learner's.
    """
    monkeypatch.setenv("TOCDEMO_WORKSPACE", str(tmp_path / "workspace"))
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


def test_start_opens_the_first_lesson_and_passes_further_arguments_on(child, tmp_path):
    assert cli.main(["start", "--no-browser", "--ServerApp.ip=0.0.0.0", "--debug"]) == 0
    (command,) = child.started
    assert f"--ServerApp.root_dir={tmp_path}" in command
    assert "--LabApp.default_url=/lab/tree/workspace/00_start_here.ipynb" in command
    assert {"--no-browser", "--ServerApp.ip=0.0.0.0", "--debug"} <= set(command)
    assert not any("token" in argument for argument in command)


def test_start_on_a_busy_port_says_so_in_one_line(child, capsys, monkeypatch):
    monkeypatch.setattr(cli, "_is_root", lambda: False)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert cli.main(["start", "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert f"port {port} cannot be used (Address already in use); choose another" in said
    assert said.count("\n") == 1
    assert child.started == []
    assert cli.main(["start", f"--port={port}"]) == 0
    assert {f"--ServerApp.port={port}", "--ServerApp.port_retries=0"} <= set(child.started[0])


def test_start_can_prepare_alone_or_become_a_hubs_server(child, monkeypatch, tmp_path):
    monkeypatch.setenv("JUPYTERHUB_ROOT_DIR", "/the/hub/says")
    monkeypatch.delenv("JUPYTERHUB_DEFAULT_URL", raising=False)
    became = []
    monkeypatch.setattr(jupyter.os, "execvpe", lambda *call: became.append(call))
    monkeypatch.setattr(jupyter.os, "chdir", lambda folder: None)
    assert cli.main(["start", "--prepare"]) == 0
    assert (tmp_path / "workspace" / "01_alone_and_together.ipynb").exists()
    assert (child.started, became) == ([], [])
    cli.main(["start", "--run", "some-server", "--port=1", "--debug"])
    ((program, command, env),) = became
    assert (program, command) == ("some-server", ["some-server", "--port=1", "--debug"])
    assert env["JUPYTERHUB_DEFAULT_URL"] == "/lab/tree/workspace/00_start_here.ipynb"
    assert (env["JUPYTERHUB_ROOT_DIR"], env["JUPYTER_PREFER_ENV_PATH"]) == ("/the/hub/says", "1")


def test_start_says_how_long_it_takes_and_when_jupyterlab_is_there(child, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TOCDEMO_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(cli, "ROOT", tmp_path)

    def listens(command, env=None):
        (tmp_path / "jpserver-1.json").write_text("{}")
        time.sleep(0.5)
        return 0

    monkeypatch.setattr(cli, "_run_child", listens)
    assert cli.main(["start"]) == 0
    said = capsys.readouterr().err
    assert "JupyterLab starts: the first time takes longest" in said
    assert re.search(r"JupyterLab is there after \d+\.\d s", said)
    assert cli.main(["start"]) == 0
    assert re.search(r"JupyterLab starts: about \d+ s, as last time", capsys.readouterr().err)


def test_start_says_which_program_is_not_there(child, capsys):
    assert cli.main(["start", "--run", "no-such-program"]) == 2
    assert "there is no program no-such-program here" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_start_refuses_what_is_no_port(child, capsys, port):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["start", f"--port={port}"])
    assert stopped.value.code == 2
    assert "expected a port number from 1 to 65535" in capsys.readouterr().err


def test_start_in_a_read_only_project_says_so(child, capsys, monkeypatch):
    monkeypatch.setattr(lessons.os, "access", lambda path, mode: False)
    assert cli.main(["start"]) == 2
    assert "is read-only, and lessons write to it; copy the project" in capsys.readouterr().err
    assert child.started == []


def test_build_without_a_manifest_could_not_run(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    assert cli.main(["build"]) == 2
    assert "course.toml: there is no such file" in capsys.readouterr().err


def test_bench_hands_its_arguments_to_the_benchmark(monkeypatch):
    called = []
    monkeypatch.setattr(laboratory, "main_of", lambda module, argv: called.append((module, argv)) or 0)
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


# --- bad days ----------------------------------------------------------------------------------------------

PROGRESS = [sys.executable, str(ROOT / "tocdemo"), "progress"]


def said(command: list[str], **environment: str) -> subprocess.CompletedProcess:
    told = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, env=told, timeout=120)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PYTHONOPTIMIZE", "2"),
        ("PYTHONSAFEPATH", "1"),
        ("PYTHONIOENCODING", "ascii"),
        ("PYTHONIOENCODING", "latin-1"),
        ("PYTHONIOENCODING", "cp1252"),
    ],
)
def test_a_setting_of_python_is_no_obstacle(name, value):
    result = said(PROGRESS, **{name: value})
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"00_start_here" in result.stdout


def test_without_docstrings_there_is_help_all_the_same():
    assert said([*PROGRESS[:1], "-OO", *PROGRESS[1:], "--help"]).stdout == said([*PROGRESS, "--help"]).stdout
    parsing.parser_of("any", lambda argv: 0)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is Linux's")
def test_a_full_disk_behind_the_output_is_a_sentence():
    result = said(["sh", "-c", '"$@" > /dev/full', "sh", *PROGRESS])
    assert result.returncode == 2
    assert result.stderr.startswith(b"tocdemo progress: there is no room left to write to")
    assert result.stderr.count(b"\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="a shell of POSIX closes the output")
@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_a_closed_output_is_no_error(closed):
    result = said(["sh", "-c", f'"$@" {closed}', "sh", *PROGRESS])
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/full/it"),
            r"no room left to write to \(/full/it\)",
        ),
        (FileNotFoundError(errno.ENOENT, "No usable temporary directory found in []"), "no room left"),
        (PermissionError(errno.EACCES, "Permission denied", "/root/it"), "/root/it cannot be used"),
    ],
)
def test_what_the_machine_refuses_is_a_sentence(monkeypatch, capfd, error, sentence):
    def fail(argv: list[str]) -> int:
        raise error

    monkeypatch.setitem(cli.COMMANDS, "serve", fail)
    monkeypatch.setattr(cli.streams, "discard", lambda: None)
    assert cli.main(["serve"]) == 2
    assert re.fullmatch(f"tocdemo serve: .*{sentence}.*\n", capfd.readouterr().err)


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch):
    def fail(argv: list[str]) -> int:
        raise FileNotFoundError(errno.ENOENT, "No such file", "it")

    monkeypatch.setitem(cli.COMMANDS, "serve", fail)
    with pytest.raises(FileNotFoundError):
        cli.main(["serve"])


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals that wait")
def test_ctrl_c_between_two_interpreters_waits_for_the_sentence():
    """As in a hand-over: the signal comes before the other interpreter has run a line."""
    script = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}); "
        "os.kill(os.getpid(), signal.SIGINT); os.execv(sys.argv[1], sys.argv[1:])"
    )
    result = said([sys.executable, "-c", script, *PROGRESS])
    assert (result.returncode, result.stdout) == (130, b"")
    assert result.stderr == b"\ntocdemo: interrupted\n"


def test_a_home_that_cannot_be_written_to_is_replaced(child, monkeypatch, tmp_path, capsys):
    told = []
    monkeypatch.setattr(cli, "_run_child", lambda command, env: told.append(env) or 0)
    access = os.access
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.setattr(
        lessons.os, "access", lambda path, mode: Path(path) != tmp_path / "home" and access(path, mode)
    )
    monkeypatch.delenv("JUPYTER_RUNTIME_DIR", raising=False)
    assert cli.main(["start"]) == 0
    assert told[0]["JUPYTER_RUNTIME_DIR"] == str(ROOT / ".tocdemo/jupyter/runtime")
    assert told[0]["IPYTHONDIR"] == str(ROOT / ".tocdemo/jupyter/ipython")
    assert "cannot be written to: Jupyter keeps its files in .tocdemo here" in capsys.readouterr().out
