"""What a class on a hub costs: learners who open lesson 01 and run all of it at once, and one learner alone.

The hub is that of `lessons/workshop/`, with the local spawner. It knows the hub's API and Jupyter's, and of a
lesson what its contract says. The ratios are to one learner, in the same sitting, on the same machine.
"""

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from tocdemo.course import contracts, lessons
from tocdemo.errors import CannotRun

CONFIG = lessons.ROOT / "lessons" / "workshop" / "jupyterhub_config.py"
LESSON = "01_alone_and_together"
SECONDS = 900.0  # that a class may take for one step
ASK_AGAIN = 0.5  # seconds between two looks at the hub
MEGABYTE = 2**20
WITH_A_TOKEN = """
load_subconfig({config!r})
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.JupyterHub.services.append({{"name": "measuring", "api_token": {token!r}}})
c.JupyterHub.load_roles.append(
    {{
        "name": "measuring",
        "services": ["measuring"],
        "scopes": ["admin:users", "admin:servers", "access:servers"],
    }}
)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure one learner, then a class. Returns 0 when every lesson showed what it should, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tocdemo bench hub", description=__doc__)
    parser.add_argument("--learners", type=int, nargs="+", default=[20], help="how many at once (default 20)")
    options = parser.parse_args(argv)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the beginning")
    one, right = None, True
    for number in (1, *options.learners):
        measured = measure(number)
        one = one or measured
        right = right and not measured.wrong
        print(_told(measured, one), flush=True)
    return 0 if right else 1


@dataclass(frozen=True)
class Learner:
    """One learner of a class: seconds until the server was ready and for the whole lesson, seconds of work
    that both cost a core, megabytes of the server and of the kernel (of what is shared, a part), what the
    lesson showed wrong, and the ticks it gave."""

    name: str
    ready: float
    lesson: float
    work: float
    server: float
    kernel: float
    wrong: tuple[str, ...]
    ticks: int


@dataclass(frozen=True)
class Measured:
    """A class: its learners."""

    learners: tuple[Learner, ...]

    @property
    def wrong(self) -> list[str]:
        """What showed otherwise than it should, with the learner's name."""
        return [f"{each.name}: {text}" for each in self.learners for text in each.wrong]


def measure(number: int, environment: Mapping[str, str] = {}) -> Measured:
    """Measure a class of that many on a new hub. Raises CannotRun when the hub does not start."""
    with (
        tempfile.TemporaryDirectory(prefix="tocdemo-hub-") as folder,
        served(Path(folder), environment) as hub,
    ):
        return asyncio.run(run_class(hub, [f"learner-{each}" for each in range(1, number + 1)]))


def _told(measured: Measured, one: Measured) -> str:
    def worst(what: str) -> str:
        here, alone = (max(getattr(each, what) for each in one.learners) for one in (measured, one))
        return f"{here:7.1f} ({here / alone:.1f} times one alone)" if alone else "not measured here"

    green = sum(not each.wrong for each in measured.learners)
    lines = [
        f"{len(measured.learners)} learners: {green} with a lesson as it should be",
        f"  seconds until the last server is ready   {worst('ready')}",
        f"  seconds until the last lesson is run     {worst('lesson')}",
        f"  seconds of work for a learner, at most   {worst('work')}",
        f"  MB of a server, at most                  {worst('server')}",
        f"  MB of a kernel, at most                  {worst('kernel')}",
    ]
    return "\n".join([*lines, *(f"  {text}" for text in measured.wrong)])


# --- the hub -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hub:
    """A hub that runs: its address, the token of its service, its process, and the folder of its files."""

    address: str
    token: str
    process: subprocess.Popen
    place: Path

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        """Give a client that is logged in, with a connection for each learner."""
        headers = {"Authorization": f"token {self.token}"}
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=self.address, headers=headers, timeout=SECONDS, limits=limits, trust_env=False
        ) as client:
            yield client


@contextlib.contextmanager
def served(place: Path, environment: Mapping[str, str], python: str = sys.executable) -> Iterator[Hub]:
    """Run the workshop's hub in a folder, by a Python that has JupyterHub.

    Raises CannotRun, with the log's last words, when the hub or a learner's server does not start.
    """
    port, hub_port, proxy_port = _free_ports(3)
    token = secrets.token_hex(16)
    config, log = place / "config.py", place / "hub.log"
    config.write_text(
        WITH_A_TOKEN.format(
            config=str(CONFIG), port=port, hub_port=hub_port, proxy_port=proxy_port, token=token
        )
    )
    own = {"TOCDEMO_HUB_PLACE": str(place), "TOCDEMO_HUB_PASSWORD": secrets.token_hex(8), **environment}
    command = [python, "-m", "jupyterhub", "-f", str(config)]
    with log.open("w") as file:
        process = subprocess.Popen(command, cwd=place, env={**os.environ, **own}, stdout=file, stderr=file)
    hub = Hub(f"http://127.0.0.1:{port}", token, process, place)
    try:
        _wait_for(hub)
        yield hub
    except CannotRun as error:
        raise CannotRun(f"{error}:\n{log.read_text(encoding='utf-8', errors='replace')[-4000:]}") from None
    finally:
        process.terminate()  # the hub ends its proxy and the learners' servers
        process.wait(60)


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [each.getsockname()[1] for each in taken]


def _wait_for(hub: Hub) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and hub.process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{hub.address}/hub/api/", trust_env=False).status_code == 200:
                return
        time.sleep(0.2)
    raise CannotRun("The hub did not start")


# --- its learners ------------------------------------------------------------------------------------------


async def run_class(hub: Hub, names: Sequence[str]) -> Measured:
    """Let learners of these names start, and then run the lesson, all at the same moment."""
    async with hub.client() as client:
        for name in names:
            (await client.post(f"/hub/api/users/{name}")).raise_for_status()
        ready = await start(client, *names)
        shown = await asyncio.gather(*(run_lesson(hub, client, name) for name in names))
        used = _used(hub)
    learners = [
        Learner(name, one, seconds, *used.get(name, (0.0, 0.0, 0.0)), tuple(wrong), _ticks(hub, name))
        for name, one, (seconds, wrong) in zip(names, ready, shown, strict=True)
    ]
    return Measured(tuple(learners))


async def start(client: httpx.AsyncClient, *names: str) -> list[float]:
    """Start the learners' servers at the same moment; return after how many seconds each was ready."""
    begin, ready = time.monotonic(), dict[str, float]()
    asked = [client.post(f"/hub/api/users/{name}/server") for name in names]
    for answer in await asyncio.gather(*asked):
        answer.raise_for_status()
    while set(ready) != set(names):
        # One question for all: the hub has one thread, and others wait for it, too.
        servers = await _servers(client)
        for name in set(names) - set(ready):
            if servers[name] is None:
                raise CannotRun(f"The server of {name} did not start")
            if servers[name]:
                ready[name] = time.monotonic() - begin
        if time.monotonic() - begin > SECONDS:
            raise CannotRun(f"No server after {SECONDS:.0f} s: {', '.join(sorted(set(names) - set(ready)))}")
        await asyncio.sleep(ASK_AGAIN)
    return [ready[name] for name in names]


async def _servers(client: httpx.AsyncClient) -> dict[str, bool | None]:
    """Return for each learner whether the server is ready; None where there is none."""
    users = (await client.get("/hub/api/users")).raise_for_status().json()
    servers = {user["name"]: user["servers"].get("") for user in users}
    return {name: server and server["ready"] for name, server in servers.items()}


async def stop(client: httpx.AsyncClient, name: str) -> None:
    """End a learner's server, and wait until it has ended."""
    (await client.delete(f"/hub/api/users/{name}/server")).raise_for_status()
    begin = time.monotonic()
    while (await _servers(client))[name] is not None:
        if time.monotonic() - begin > SECONDS:
            raise CannotRun(f"The server of {name} did not end within {SECONDS:.0f} s")
        await asyncio.sleep(ASK_AGAIN)


async def run_lesson(hub: Hub, client: httpx.AsyncClient, name: str) -> tuple[float, list[str]]:
    """Open the learner's copy of the lesson and run all of it; return the seconds, and what is wrong."""
    begin = time.monotonic()
    path = f"workspace/{LESSON}.ipynb"
    opened = (await client.get(f"/user/{name}/api/contents/{path}")).raise_for_status().json()["content"]
    kernel = {"path": path, "name": LESSON, "type": "notebook", "kernel": {"name": "python3"}}
    session = (await client.post(f"/user/{name}/api/sessions", json=kernel)).raise_for_status().json()
    address = (
        f"{hub.address.replace('http', 'ws', 1)}/user/{name}/api/kernels/{session['kernel']['id']}/channels"
    )
    request = HTTPRequest(address, headers={"Authorization": f"token {hub.token}"}, request_timeout=SECONDS)
    socket_ = await websocket_connect(request, max_message_size=2**28)
    try:
        for cell in opened["cells"]:
            if cell["cell_type"] == "code":
                cell["outputs"] = await _execute(socket_, cell)
    finally:
        socket_.close()
    return time.monotonic() - begin, contracts.violations(lessons.get(LESSON), opened["cells"])


async def _execute(socket_: Any, cell: Mapping) -> list[dict]:
    number = uuid.uuid4().hex
    content = {
        "code": "".join(cell["source"]),
        "silent": False,
        "store_history": True,
        "stop_on_error": False,
    }
    header = {
        "msg_id": number,
        "username": "",
        "session": number,
        "msg_type": "execute_request",
        "version": "5.3",
    }
    message = {"channel": "shell", "header": header, "parent_header": {}, "content": content}
    message["metadata"] = {"cellId": cell["id"]}
    await socket_.write_message(json.dumps(message))
    outputs: list[dict] = []
    while True:
        heard = json.loads(await asyncio.wait_for(socket_.read_message(), SECONDS))
        if heard.get("parent_header", {}).get("msg_id") != number:
            continue
        kind, said = heard["msg_type"], heard["content"]
        if kind in ("display_data", "execute_result", "stream", "error"):
            outputs.append({"output_type": kind, **said})
        elif kind == "update_display_data":
            _replace(outputs, said)
        elif kind == "clear_output":
            outputs.clear()
        elif kind == "status" and said["execution_state"] == "idle":
            return outputs


def _replace(outputs: list[dict], said: Mapping) -> None:
    for output in outputs:
        if output.get("transient") and output["transient"] == said.get("transient"):
            output["data"] = said["data"]


def _ticks(hub: Hub, name: str) -> int:
    kept = hub.place / "homes" / name / "tocdemo" / "workspace-progress.json"
    return len(json.loads(kept.read_text(encoding="utf-8")).get(LESSON, {})) if kept.exists() else 0


def _used(hub: Hub) -> dict[str, tuple[float, float, float]]:
    """Return for each learner the seconds of work of all processes, and the memory of the server and of the
    kernel, as Linux accounts it (PSS)."""
    found: dict[str, tuple[float, float, float]] = {}
    for process in psutil.Process(hub.process.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            name = process.environ().get("JUPYTERHUB_USER")
            if name:
                size = getattr(process.memory_full_info(), "pss", 0) / MEGABYTE
                work, server, kernel = found.get(name, (0.0, 0.0, 0.0))
                work += sum(process.cpu_times()[:4])  # user and system, and those of ended children
                is_kernel = "ipykernel_launcher" in process.cmdline()
                sizes = (server, kernel + size) if is_kernel else (server + size, kernel)
                found[name] = (work, *sizes)
    return found


if __name__ == "__main__":
    sys.exit(main())
