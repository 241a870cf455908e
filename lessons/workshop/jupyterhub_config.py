"""The configuration of a JupyterHub for a class: `jupyterhub -f lessons/workshop/jupyterhub_config.py`.

README.md beside this file says what the variables are. Each learner has a home and, on one machine, a copy of
the course of their own; nothing that a learner wrote is touched when a server starts, ends or is culled.
"""

import asyncio
import os
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

c = get_config()  # noqa: F821  (JupyterHub gives it)

HERE = Path(__file__).resolve().parent
COURSE = os.environ.get("TOCDEMO_HUB_COURSE") or str(HERE.parents[1])  # an address, or a folder, with git
PLACE = Path(os.environ.get("TOCDEMO_HUB_PLACE") or "hub").resolve()  # of the hub's own files, and of homes
SPAWNER = os.environ.get("TOCDEMO_HUB_SPAWNER") or "simple"  # or "system", or "docker"
IMAGE = os.environ.get("TOCDEMO_HUB_IMAGE") or "tocdemo"
IDLE_SECONDS = int(os.environ.get("TOCDEMO_HUB_IDLE_SECONDS") or 3600)
GROUP = "tocdemo-learners"  # of the system's users that this hub made
NAME = r"[a-z][a-z0-9-]{0,30}"
PYTHON = sys.executable
HANDED_DOWN = ("TOCDEMO_MONGO_URI", "LANG", "TZ")  # to the learners' servers

for folder in (PLACE, PLACE / "homes"):
    folder.mkdir(parents=True, exist_ok=True)

# --- who may come in ---------------------------------------------------------------------------------------

# One password for the class: whoever has it may log in by any name. For a class, and not for longer.
PASSWORD = os.environ.get("TOCDEMO_HUB_PASSWORD") or secrets.token_urlsafe(9)
if not os.environ.get("TOCDEMO_HUB_PASSWORD"):
    print(f"The password of this class: {PASSWORD}", file=sys.stderr)
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = PASSWORD
c.Authenticator.allow_all = True
c.Authenticator.username_pattern = rf"^{NAME}$"

# --- the hub and its proxy ---------------------------------------------------------------------------------

c.JupyterHub.bind_url = os.environ.get("TOCDEMO_HUB_ADDRESS") or "http://127.0.0.1:8000"
c.JupyterHub.db_url = f"sqlite:///{PLACE / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(PLACE / "cookie_secret")
c.ConfigurableHTTPProxy.pid_file = str(PLACE / "proxy.pid")
beside = HERE / "node_modules" / ".bin" / "configurable-http-proxy"
c.ConfigurableHTTPProxy.command = [str(beside) if beside.exists() else "configurable-http-proxy"]

# A whole class comes at the same moment: each server waits for the others.
c.JupyterHub.concurrent_spawn_limit = 0
c.Spawner.start_timeout = 300
c.Spawner.http_timeout = 300

# Work is on disk at all times, so an idle server can go: the next click on it starts it again.
c.JupyterHub.services = [
    {
        "name": "idle-culler",
        "command": [PYTHON, "-m", "jupyterhub_idle_culler", f"--timeout={IDLE_SECONDS}"],
    }
]
c.JupyterHub.load_roles = [
    {
        "name": "idle-culler",
        "services": ["idle-culler"],
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
    }
]

# --- what is started for a learner -------------------------------------------------------------------------

SERVER = ["-m", "tocdemo.course.jupyter", "jupyterhub.singleuser"]
c.Spawner.args = [
    f"--MappingKernelManager.cull_idle_timeout={IDLE_SECONDS}",  # of kernels without a page that shows them
    f"--MappingKernelManager.cull_interval={max(1, min(300, IDLE_SECONDS // 4))}",
]
c.Spawner.env_keep = ["PATH", "VIRTUAL_ENV", *HANDED_DOWN]

if SPAWNER == "docker":
    c.JupyterHub.spawner_class = "dockerspawner.DockerSpawner"
    c.DockerSpawner.image = IMAGE
    c.DockerSpawner.cmd = ["python", "-m", "tocdemo", "start", "--run", "python", *SERVER]
    c.DockerSpawner.volumes = {"tocdemo-{username}": "/home/learner"}  # the course is in the image
    c.DockerSpawner.remove = True
    c.DockerSpawner.mem_limit = "1G"
    c.DockerSpawner.network_name = os.environ.get("TOCDEMO_HUB_NETWORK") or "tocdemo"
    c.JupyterHub.hub_ip = "0.0.0.0"
elif SPAWNER in ("simple", "system"):
    IS_SIMPLE = SPAWNER == "simple"
    c.JupyterHub.spawner_class = "simple" if IS_SIMPLE else "localprocess"
    if IS_SIMPLE and os.geteuid() == 0:  # as in a container: all learners are this user
        c.Spawner.args.append("--allow-root")
    c.SimpleLocalProcessSpawner.home_dir_template = str(PLACE / "homes" / "{username}")
    c.Spawner.pre_spawn_hook = lambda spawner: _make_ready(spawner)
else:
    raise ValueError(f"TOCDEMO_HUB_SPAWNER: expected simple, system or docker, found {SPAWNER!r}")


async def _make_ready(spawner):
    """Give a learner a home with a copy of the course, or bring the copy that is there up to date."""
    name = spawner.user.name
    if not re.fullmatch(NAME, name):  # it becomes a folder, and perhaps a user of the system
        raise ValueError(f"{name!r} is no name for a learner")
    user = None if IS_SIMPLE else await _system_user(name)
    home = PLACE / "homes" / name if user is None else Path(user.pw_dir)
    copy = home / "tocdemo"
    if copy.exists():
        await _bring_up_to_date(spawner, copy, user)
    else:
        await asyncio.to_thread(_copy, copy, user)
    spawner.cmd = [PYTHON, str(copy / "tocdemo"), "start", "--run", PYTHON, *SERVER]
    spawner.environment = {**spawner.environment, "TOCDEMO_HUB_USER": name}


def _master():
    """Return the copy that the learners' ones are made from: fetched once, and compiled, for all of them."""
    master = PLACE / "course"
    if not master.exists():
        draft = PLACE / f"course.{os.getpid()}"
        address = Path(COURSE).resolve().as_uri() if Path(COURSE).exists() else COURSE
        subprocess.run(["git", "clone", "--quiet", "--depth", "1", address, draft], check=True)
        subprocess.run([PYTHON, "-m", "compileall", "-q", "-x", "/tests/", draft / "tocdemo"], check=True)
        draft.rename(master)
    return master


MASTER = None if SPAWNER == "docker" else _master()


def _copy(place, user):
    draft = place.with_name(f".{place.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(MASTER, draft, symlinks=True)
    if user is not None:
        for path in (draft, *draft.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    draft.rename(place)


async def _bring_up_to_date(spawner, copy, user):
    """Let nbgitpuller merge what is new in the course. Without a network the copy stays as it is."""
    who = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    puller = await asyncio.create_subprocess_exec(
        *(PYTHON, "-c", PULL, str(copy)),
        cwd=copy,
        env={"PATH": os.environ["PATH"], "HOME": str(copy.parent), "GIT_TERMINAL_PROMPT": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        **who,
    )
    try:
        _, said = await asyncio.wait_for(puller.communicate(), 60)
    except TimeoutError:
        puller.kill()
        said = b"no answer within 60 s"
    if puller.returncode != 0:
        spawner.log.warning("The course of %s is as it was: %s", spawner.user.name, said.decode()[-300:])


PULL = """
import subprocess, sys
from nbgitpuller.pull import GitPuller
address = subprocess.check_output(["git", "remote", "get-url", "origin"], text=True).strip()
for line in GitPuller(address, sys.argv[1]).pull():
    print(line)
"""


async def _system_user(name):
    """Return the system's user of that name, made now if need be; one that no hub made is refused."""
    import grp
    import pwd

    def make():
        subprocess.run(["groupadd", "--force", GROUP], check=True)
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            options = ["--create-home", "--groups", GROUP, "--shell", "/bin/bash"]
            subprocess.run(["useradd", *options, name], check=True)
            user = pwd.getpwnam(name)
            os.chmod(user.pw_dir, 0o700)
        if name not in grp.getgrnam(GROUP).gr_mem:
            raise ValueError(f"{name} is a user of this machine: log in by another name")
        return user

    return await asyncio.to_thread(make)
