"""The set-up: what it makes, what it repairs, what it leaves alone, and what it says when it cannot go on."""

import ast
import contextlib
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import zipfile
from pathlib import Path

import pytest

from tocdemo import bootstrap
from tocdemo.bootstrap import installing, making
from tocdemo.bootstrap.environment import LOG, MARKER, STAMP, VERSION, Environment
from tocdemo.bootstrap.words import last_line, why_pip_failed, why_venv_failed

ROOT = Path(__file__).resolve().parents[2]
BOOTSTRAP = tuple(f"bootstrap/{file.name}" for file in (ROOT / "tocdemo/bootstrap").glob("*.py"))
ENTRY_FILES = ("__init__.py", "__main__.py", "errors.py", *BOOTSTRAP)

# A build backend without requirements (PEP 660), so that `pip install -e .` needs no network. It takes as
# long as the test says.
BACKEND = """
import os, time, zipfile

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    open(os.path.join(os.path.dirname(__file__), "pip-was-here"), "a").write("x")
    time.sleep(float(os.environ.get("BUILD_SECONDS", "0")))
    info = "tocdemo-0.1.dist-info"
    with zipfile.ZipFile(os.path.join(wheel_directory, "tocdemo-0.1-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("tocdemo.pth", os.path.dirname(__file__))
        wheel.writestr(info + "/METADATA", "Metadata-Version: 2.1\\nName: tocdemo\\nVersion: 0.1\\n")
        wheel.writestr(info + "/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "/RECORD", "")
    return "tocdemo-0.1-py3-none-any.whl"
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[dependency-groups]
dev = ["more==1.0"]
"""
COMMANDS = """
import sys
from . import bootstrap

def names_command(argv):
    return bool(argv)

def main(argv):
    if argv == ["test"]:
        bootstrap.add_group("dev")
    print("ran in", sys.prefix)
    return 0
"""


def quiet_environment(**more: str) -> dict[str, str]:
    """The environment without what this machine says to pip and uv, without a registry, and without uv."""
    told = ("PIP_", "PYTHON", "UV_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(told)}
    folders = kept["PATH"].split(os.pathsep)
    return {
        **kept,
        "PATH": os.pathsep.join(folder for folder in folders if not shutil.which("uv", path=folder)),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **more,
    }


def command(project: Path, python: str = sys.executable, name: str = "start") -> list[str]:
    return [python, str(project / "tocdemo"), name]


def run(
    project: Path, name: str = "start", *, python: str = sys.executable, **environment: str
) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(project, python, name),
        cwd="/",
        env=quiet_environment(**environment),
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A clone with the real entry files, a command that says where it ran, and a build without a network."""
    folder = tmp_path / "a clone"
    (folder / "tocdemo").mkdir(parents=True)
    (folder / "tocdemo/bootstrap").mkdir()
    for name in ENTRY_FILES:
        shutil.copy(ROOT / "tocdemo" / name, folder / "tocdemo" / name)
    (folder / "tocdemo/cli.py").write_text(COMMANDS)
    (folder / "requirements.txt").write_text("# nothing else\n-e .\n")
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "backend.py").write_text(BACKEND)
    return folder


def installs(project: Path) -> int:
    """How often pip built the project."""
    with contextlib.suppress(FileNotFoundError):
        return len((project / "pip-was-here").read_text())
    return 0


# --- with a real environment and a real pip ----------------------------------------------------------------


def test_first_use_makes_the_environment_and_the_next_finds_it_ready(project):
    first = run(project)
    assert first.stdout == f"ran in {project / '.venv'}\n", first.stderr
    assert "making the environment" in first.stderr
    assert "installed in" in first.stderr
    names = {path.name for path in project.iterdir()} - {"pip-was-here"}
    assert names == {".venv", "tocdemo", "requirements.txt", "pyproject.toml", "backend.py"}
    second = run(project)
    assert (second.stdout, second.stderr) == (first.stdout, "")
    assert installs(project) == 1


def test_a_killed_setup_is_waited_for_and_repaired_by_the_next(project):
    half_way = subprocess.Popen(
        command(project), env=quiet_environment(BUILD_SECONDS="2"), stderr=subprocess.PIPE
    )
    wait_for_pip(project)
    half_way.kill()  # its pip lives on for a while
    half_way.communicate()
    again = run(project)
    assert again.returncode == 0, again.stderr
    assert "waiting for it" in again.stderr
    assert "from scratch" in again.stderr
    assert installs(project) == 2


def test_ctrl_c_stops_the_setup_and_its_pip(project):
    half_way = subprocess.Popen(
        command(project), env=quiet_environment(BUILD_SECONDS="30"), stderr=subprocess.PIPE, text=True
    )
    wait_for_pip(project)
    half_way.send_signal(signal.SIGINT)
    _, said = half_way.communicate(timeout=20)
    assert half_way.returncode == 130
    assert said.rstrip().endswith("tocdemo: interrupted")
    assert "Traceback" not in said
    assert not (project / ".venv" / STAMP).exists()


def wait_for_pip(project: Path) -> None:
    until = time.monotonic() + 60
    while installs(project) == 0 and time.monotonic() < until:
        time.sleep(0.05)


def test_without_a_network_one_line_says_so(project):
    (project / "requirements.txt").write_text("nowhere-to-be-found==1.0\n-e .\n")
    # Port 9 of this machine, where nothing listens, stands for a registry that cannot be reached.
    result = run(project, PIP_NO_INDEX="0", PIP_INDEX_URL="http://127.0.0.1:9/", PIP_RETRIES="1")
    assert result.returncode == 2
    assert "pip cannot reach its package index; check the network" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_without_a_network_the_old_environment_serves_even_where_the_project_was_moved(project, wheels):
    (project / "requirements.txt").write_text("more==1.0\n-e .\n")
    assert run(project, PIP_FIND_LINKS=wheels).returncode == 0
    (project / "requirements.txt").write_text("more==1.1\n-e .\n")
    moved = project.rename(project.with_name("another place"))
    scripts = [path for path in (moved / ".venv/bin").iterdir() if not path.is_symlink()]
    assert not any(b".vnew" in path.read_bytes() for path in scripts)
    for _ in range(2):
        result = run(moved)
        assert result.stdout == f"ran in {moved / '.venv'}\n", result.stderr
        assert "pip could not install the requirements" in result.stderr
        assert result.stderr.endswith("going on in the environment as it is (not as pinned: more, tocdemo)\n")


def test_another_failure_of_pip_is_quoted(tmp_path):
    log = tmp_path / "log"
    log.write_text(
        "Collecting a\nERROR: Could not find a version that satisfies the requirement a==1\nERROR: b\n"
    )
    said = why_pip_failed(str(log))
    assert said.startswith("pip could not install the requirements: Could not find a version")
    assert str(log) in said


def test_a_full_disk_is_named_and_not_the_command_that_met_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", "/small")
    text = "Error: [Errno 28] No space left on device: '/small/x'\nCalledProcessError: pip, status 1"
    (tmp_path / "log").write_text(f"ERROR: {text}")
    for said in (why_venv_failed("python -m venv x", text), why_pip_failed(str(tmp_path / "log"))):
        assert said.startswith("there is no room left, here or in /small; make 1 GB free, or set TMPDIR")
    assert why_venv_failed("python -m venv x", "bad\n") == "`python -m venv x` failed: bad"


# --- a group of pyproject.toml, with a real pip ------------------------------------------------------------


@pytest.fixture
def wheels(tmp_path: Path) -> str:
    """A folder with the wheel that the group names."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / "more-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("more-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: more\nVersion: 1.0\n")
        wheel.writestr(
            "more-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("more-1.0.dist-info/RECORD", "")
    return str(folder)


def test_a_group_comes_when_it_is_asked_for_and_until_then_a_learner_goes_on(project, wheels):
    first = run(project, "start", PIP_FIND_LINKS=wheels)
    assert first.returncode == 0, first.stderr
    assert "of the group" not in first.stderr

    in_vain = run(project, "test")
    assert in_vain.returncode == 2
    assert "pip could not install the requirements: Could not find a version" in in_vain.stderr
    assert not (project / ".venv" / STAMP).exists()
    meanwhile = run(project, "start")
    assert (meanwhile.returncode, meanwhile.stderr) == (0, "")

    asked = run(project, "test", PIP_FIND_LINKS=wheels)
    assert asked.stdout == f"ran in {project / '.venv'}\n", asked.stderr
    assert "installing 1 package of the group `dev` and what they need, with pip" in asked.stderr
    for name in ("test", "start"):
        again = run(project, name)
        assert (again.returncode, again.stderr) == (0, "")
    assert installs(project) == 1


def test_on_windows_ctrl_c_is_the_affair_of_the_python_that_was_handed_over_to(monkeypatch):
    before, during = signal.getsignal(signal.SIGINT), []

    def call(command: list[str]) -> int:
        during.append(signal.getsignal(signal.SIGINT))
        return 3

    with monkeypatch.context() as patched:
        patched.setattr(os, "name", "nt")
        patched.setattr(subprocess, "call", call)
        assert bootstrap.hand_over("python", ["start"]) == 3
    assert during[0] not in (before, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGINT) is before


def test_an_environment_that_is_in_use_on_windows_is_named(tmp_path):
    error = PermissionError(13, "Access is denied")
    error.winerror = 5
    with (
        pytest.raises(bootstrap.SetupError, match=r"\.venv cannot be replaced while something runs in it"),
        making._writing(venv(tmp_path)),
    ):
        raise error


# --- with a lock, with a real pip --------------------------------------------------------------------------


def lock(project: Path, wheels: str, digest: str | None = None) -> None:
    """Pin the one wheel of that folder, and lock it with its hash, or with another."""
    (project / "requirements.txt").write_text("more==1.0\n-e .\n")
    digest = digest or hashlib.sha256(next(Path(wheels).iterdir()).read_bytes()).hexdigest()
    (project / "locks").mkdir()
    (project / "locks/course.txt").write_text(f"more==1.0 \\\n    --hash=sha256:{digest}\n")
    (project / "locks/wheels.json").write_text("{}")


def test_what_is_locked_is_installed_by_its_hash_and_the_project_after_it(project, wheels):
    lock(project, wheels)
    result = run(project, PIP_FIND_LINKS=wheels)
    assert result.stdout == f"ran in {project / '.venv'}\n", result.stderr
    assert "no hash" not in result.stderr
    assert result.stderr.count("installed in") == installs(project) == 1
    log = (project / ".venv" / LOG).read_text()
    assert "locks/course.txt (line 1)" in log
    assert "Successfully installed tocdemo" in log
    assert run(project).stderr == ""


def test_a_file_with_another_hash_is_not_installed_and_a_sentence_says_which(project, wheels):
    lock(project, wheels, "0" * 64)
    (project / "locks/wheels.json").write_text('{"more==1.0": ["cp311-cp311-win_nowhere"]}')
    result = run(project, PIP_FIND_LINKS=wheels)
    assert result.returncode == 2
    said = result.stderr.splitlines()[-1]
    assert "the package index gave another file for more==1.0 than those whose hashes locks has" in said
    assert (installs(project), (project / ".venv").exists()) == (0, False)
    no_wheel = (
        "no ready-made package (wheel) for this system of more==1.0: pip has to build it, which may need"
    )
    assert f"tocdemo: there is {no_wheel}" in result.stderr


def test_what_had_to_be_built_is_named_when_pip_fails(tmp_path):
    (tmp_path / "log").write_text("ERROR: Failed to build more\n")
    said = why_pip_failed(str(tmp_path / "log"), ["more==1.0"])
    assert "Failed to build more; there is no ready-made package (wheel) for this system of more==1.0" in said


def test_a_pin_that_the_lock_does_not_have_is_installed_without_a_hash_and_a_sentence_says_so(
    tmp_path, capsys
):
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks/course.txt").write_text("more==0.9 --hash=sha256:00\n")
    environment = venv(tmp_path)
    pins = {"more": "1.0", "tocdemo": None}
    steps, no_wheel = installing._steps(environment, pins, str(tmp_path / "locks/course.txt"))
    assert (steps, no_wheel) == ([["more==1.0", "-e", "."]], [])
    said = capsys.readouterr().err
    assert (
        said
        == f"tocdemo: {os.path.join('locks', 'course.txt')} does not have more==1.0: no hash is compared\n"
    )


# --- with a uv on the path ---------------------------------------------------------------------------------

# Does what it is asked to do by the pip of the environment that it is told to install into.
WORKING_UV = '#!/bin/sh\nshift 3\npython=$1\nshift\nexec "$python" -m pip install --no-input "$@"\n'
OLD_UV = "#!/bin/sh\necho \"error: unexpected argument '--python' found\" >&2\necho Usage >&2\nexit 2\n"
HALF_WAY_UV = """#!/bin/sh
site=$("$4" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
mkdir "$site/half-1.0.dist-info"
printf 'Name: half\\nVersion: 1.0\\n' > "$site/half-1.0.dist-info/METADATA"
exit 1
"""


def path_with_uv(tmp_path: Path, text: str) -> str:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/uv").write_text(text)
    (tmp_path / "bin/uv").chmod(0o755)
    return os.pathsep.join([str(tmp_path / "bin"), quiet_environment()["PATH"]])


def test_uv_installs_where_there_is_one_unless_pip_alone_is_told_of_a_mirror(project, wheels, tmp_path):
    path = path_with_uv(tmp_path, WORKING_UV)
    result = run(project, PATH=path)
    assert result.stdout == f"ran in {project / '.venv'}\n", result.stderr
    assert "and what they need, with uv" in result.stderr
    assert installs(project) == 1
    mirror = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_FIND_LINKS": wheels}
    result = run(project, "test", PATH=path, **mirror)
    assert result.returncode == 0, result.stderr
    assert "and what they need, with pip" in result.stderr


def test_pip_takes_over_from_a_uv_that_fails(project, tmp_path):
    result = run(project, PATH=path_with_uv(tmp_path, OLD_UV))
    assert result.stdout == f"ran in {project / '.venv'}\n", result.stderr
    assert "uv failed (error: unexpected argument '--python' found); going on with pip\n" in result.stderr
    assert installs(project) == 1
    assert run(project).stderr == ""


def test_a_uv_of_another_machine_fails_like_any_other(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", path_with_uv(tmp_path, "\0no program of this machine\0"))
    environment = Environment(str(tmp_path), str(tmp_path))
    assert not installing.end_well([["uv", "pip", "install"]], environment, ())
    assert last_line(str(tmp_path / LOG)) == "uv: Exec format error"


def test_what_a_failed_uv_left_half_done_is_not_taken_for_installed(project, tmp_path):
    (project / "requirements.txt").write_text("half==1.0\n-e .\n")
    result = run(project, PATH=path_with_uv(tmp_path, HALF_WAY_UV))
    assert result.returncode == 2
    assert "uv failed (no output); going on with pip" in result.stderr
    assert "pip could not install the requirements: Could not find a version" in result.stderr


@pytest.mark.parametrize(
    ("words", "told", "taken"),
    [
        ("", {}, True),
        ("global.index-url='http://mirror/'", {}, False),
        ("global.extra-index-url='http://more/'\nglobal.cert='/file'", {}, True),
        ("global.index-url='http://mirror/'", {"UV_DEFAULT_INDEX": "http://mirror/"}, True),
    ],
)
def test_uv_is_taken_when_it_knows_no_less_than_pip(tmp_path, monkeypatch, words, told, taken):
    monkeypatch.setenv("PATH", path_with_uv(tmp_path, WORKING_UV))
    for key in [key for key in os.environ if key.startswith("UV_")]:
        monkeypatch.delenv(key)
    for key, value in told.items():
        monkeypatch.setenv(key, value)
    environment = Environment(str(tmp_path), str(tmp_path))
    python = Path(environment.python)
    python.parent.mkdir(exist_ok=True)
    python.write_text(f'#!/bin/sh\necho "{words}"\n')
    python.chmod(0o755)
    assert installing._uv(environment) == (str(tmp_path / "bin/uv") if taken else None)


# --- what it refuses ---------------------------------------------------------------------------------------


def test_an_environment_of_the_users_is_left_alone(project):
    (project / ".venv/bin").mkdir(parents=True)
    (project / ".venv/pyvenv.cfg").write_text("home = /usr/bin\n")
    before = sorted((project / ".venv").rglob("*"))
    result = run(project)
    assert result.returncode == 2
    assert "was not made by this project and is left alone; move it away" in result.stderr
    assert result.stderr.count("\n") == 1
    assert sorted((project / ".venv").rglob("*")) == before


def test_a_python_without_ensurepip_says_what_to_install(project, tmp_path):
    (tmp_path / "debian").mkdir()
    (tmp_path / "debian/ensurepip.py").write_text(
        "raise ModuleNotFoundError('No module', name='ensurepip')\n"
    )
    result = run(project, PYTHONPATH=str(tmp_path / "debian"))
    assert result.returncode == 2
    assert "its module ensurepip is missing; on Debian or Ubuntu run `apt install python3." in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (project / ".venv").exists()


def test_a_read_only_folder_says_so(project):
    setpriv = shutil.which("setpriv")
    if os.geteuid() == 0 and not setpriv:
        pytest.skip("running as root, which may write anywhere, and setpriv (util-linux) is not installed")
    ordinary = (
        [setpriv, "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.geteuid() == 0 else []
    )
    project.chmod(0o555)
    try:
        result = subprocess.run(
            [*ordinary, *command(project)],
            env=quiet_environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        project.chmod(0o755)
    assert result.returncode == 2
    assert "Permission denied; make it writable" in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_entry_files_parse_on_python_3_6():
    for name in ENTRY_FILES:
        ast.parse((ROOT / "tocdemo" / name).read_text(), feature_version=(3, 6))


def test_an_old_python_is_told_which_one_to_take():
    with pytest.raises(
        bootstrap.SetupError, match=r"^Python 3.11 to 3.14 is needed, and this is Python 3.10.2 \("
    ):
        bootstrap.require_python((3, 10, 2))
    bootstrap.require_python((3, 11, 0))
    bootstrap.require_python((3, 15, 0))


def an_old_python() -> str | None:
    found = [shutil.which(f"python3.{minor}") for minor in range(6, 11)]
    found += map(str, sorted(Path.home().glob(".pyenv/versions/3.[6-9].*/bin/python")))
    works = (
        path for path in found if path and subprocess.call([path, "-c", ""], stderr=subprocess.DEVNULL) == 0
    )
    return next(works, None)


def test_a_real_old_python_gets_the_same_sentence(project):
    python = an_old_python()
    if python is None:
        pytest.skip("no Python from 3.6 to 3.10 is installed here")
    result = run(project, python=python)
    assert result.returncode == 2
    assert "tocdemo: Python 3.11 to 3.14 is needed, and this is Python 3." in result.stderr
    assert result.stderr.count("\n") == 1


# --- what is compared, without pip -------------------------------------------------------------------------


def put(site: Path, name: str, version: str, origin: str | None = None) -> None:
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if origin:
        (info / "direct_url.json").write_text(
            f'{{"url": "file://{origin}", "dir_info": {{"editable": true}}}}'
        )


def venv(project: Path, name: str = ".venv") -> Environment:
    return Environment(str(project / name), str(project))


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A project whose environments are made of metadata alone; what was done to them is noted."""
    done = []
    monkeypatch.setattr(bootstrap, "ROOT", str(tmp_path))
    for name in (bootstrap.AS_IT_IS, "PYTHONPATH"):  # the set-up may set them: put back after the test
        monkeypatch.setenv(name, "")
    (tmp_path / "requirements.txt").write_text("some-thing==1.0\n-e .\n")

    def create(environment: Environment, name: str) -> None:
        done.append("create")
        python = Path(environment.python)
        python.parent.mkdir()
        python.write_text("")
        Path(environment.path("pyvenv.cfg")).write_text(f"command = venv {environment.folder}")

    def install(environment: Environment, pins: dict, keep_open: tuple, *, group: str = "", **_) -> None:
        done.append(f"install {group}".rstrip())
        site = Path(environment.site_packages)
        shutil.rmtree(site, ignore_errors=True)
        for name, version in pins.items():
            put(site, name, version or "0.1", None if version else str(tmp_path))

    monkeypatch.setattr(installing, "create", create)
    monkeypatch.setattr(installing, "install", install)

    def ready() -> list[str]:
        done.clear()
        assert bootstrap.ready_python() == venv(tmp_path).python
        return list(done)

    ready.done = done
    return ready


def test_a_ready_environment_is_not_touched(fake):
    assert fake() == ["create", "install"]
    assert fake() == []


def test_for_changed_requirements_a_new_one_is_made_in_the_place_of_the_old(fake, tmp_path):
    fake()
    (tmp_path / "requirements.txt").write_text("some-thing==1.1\n-e .\n")
    assert fake() == ["create", "install"]
    assert fake() == []


def test_a_pin_that_the_learner_changed_by_hand_is_put_back(fake, tmp_path):
    fake()
    site = Path(venv(tmp_path).site_packages)
    (site / "some_thing-1.0.dist-info/METADATA").write_text("Name: some-thing\nVersion: 2.0\n")
    assert fake() == ["create", "install"]


def test_another_place_means_from_scratch(fake, tmp_path):
    fake()
    stray = tmp_path / ".venv/bin/stray"
    stray.write_text("")
    restamp(tmp_path, project="another")
    assert fake() == ["create", "install"]
    assert not stray.exists()


def restamp(folder: Path, /, **changed: str) -> None:
    stamp = folder / ".venv" / STAMP
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), **changed}))


def test_another_version_of_python_has_its_own_beside(fake, tmp_path):
    fake()
    restamp(tmp_path, python="/usr/bin/python3.10 3.10")
    before = sorted((tmp_path / ".venv").rglob("*"))
    own = venv(tmp_path, f".venv-{VERSION}")
    fake.done.clear()
    assert bootstrap.ready_python() == bootstrap.ready_python() == own.python
    assert fake.done == ["create", "install"]
    assert sorted((tmp_path / ".venv").rglob("*")) == before


def test_another_build_of_the_same_version_is_the_same(fake, tmp_path):
    fake()
    restamp(tmp_path, python=f"/opt/python {VERSION}")
    assert fake() == []


def test_an_environment_without_its_python_is_made_anew(fake, tmp_path):
    fake()
    Path(venv(tmp_path).python).unlink()
    assert fake() == ["create", "install"]


def test_the_scripts_name_the_place_where_they_are_in_the_end(fake, tmp_path):
    fake()
    assert (tmp_path / ".venv/pyvenv.cfg").read_text() == f"command = venv {tmp_path / '.venv'}"
    assert len(making.beside(venv(tmp_path)).folder) == len(venv(tmp_path).folder)


def test_a_swap_that_is_cut_short_is_brought_to_its_end(fake, tmp_path, monkeypatch):
    fake()
    (tmp_path / "requirements.txt").write_text("some-thing==1.1\n-e .\n")
    rename = os.rename

    def once(source: str, target: str) -> None:
        rename(source, target)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(making.os, "rename", once)
        with pytest.raises(KeyboardInterrupt):
            bootstrap.ready_python()
    assert not (tmp_path / ".venv").exists()
    assert fake() == []
    assert not (tmp_path / ".venv/replaced").exists()
    assert not (tmp_path / ".vnew").exists()


@pytest.fixture
def failing(fake, tmp_path, monkeypatch):
    """Let the next installation fail, after the environment was made; give the files of the one that is."""
    fake()

    def install(*_: object, **__: object) -> None:
        raise bootstrap.SetupError("no network")

    monkeypatch.setattr(installing, "install", install)
    return lambda: sorted((tmp_path / ".venv").rglob("*"))


def test_an_update_that_fails_leaves_the_old_one_and_says_so(failing, tmp_path, monkeypatch, capsys):
    (tmp_path / "requirements.txt").write_text("some-thing==1.1\n-e .\n")
    before = failing()
    for _ in range(2):
        assert bootstrap.ready_python() == venv(tmp_path).python
        assert failing() == before
        said = capsys.readouterr().err
        assert "tocdemo: no network\ntocdemo: going on in the environment as it is" in said
        assert "as it is (not as pinned: some-thing)" in said
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    assert bootstrap.ready_python() is None  # handed over to: it has been said
    assert capsys.readouterr().err == ""


def test_an_update_that_fails_for_a_new_package_cannot_go_on(failing, tmp_path):
    (tmp_path / "requirements.txt").write_text("some-thing==1.0\nanother==1.0\n-e .\n")
    before = failing()
    with pytest.raises(bootstrap.SetupError, match="no network"):
        bootstrap.ready_python()
    assert failing() == before


def test_where_the_project_was_moved_and_nothing_can_be_installed_the_old_one_finds_it(failing, tmp_path):
    restamp(tmp_path, project="another")
    before = failing()
    assert bootstrap.ready_python() == venv(tmp_path).python
    assert failing() == before
    assert os.environ["PYTHONPATH"].split(os.pathsep)[0] == str(tmp_path)


def test_without_a_stamp_it_starts_from_scratch(fake, tmp_path):
    fake()
    (tmp_path / ".venv" / STAMP).unlink()
    assert fake() == ["create", "install"]


def test_an_empty_environment_folder_is_nobodys(fake, tmp_path):
    (tmp_path / ".venv").mkdir()
    assert fake() == ["create", "install"]


def test_the_ownership_marker_goes_in_before_anything_else(fake, tmp_path, monkeypatch):
    def create(environment: Environment, name: str) -> None:
        assert os.listdir(environment.folder) == [MARKER]
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(installing, "create", create)
        with pytest.raises(KeyboardInterrupt):
            bootstrap.ready_python()
    assert fake() == ["create", "install"]


def test_a_running_python_that_satisfies_the_pins_is_used_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "ROOT", str(tmp_path))
    (tmp_path / "requirements.txt").write_text("some-thing==1.0\n-e .\n")
    put(tmp_path / "site", "some-thing", "1.0")
    put(tmp_path / "site", "tocdemo", "0.1", str(tmp_path))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    assert bootstrap.ready_python() is None
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("origin", [None, "elsewhere"])
def test_where_only_the_project_is_missing_or_another_copy_this_one_goes_first(tmp_path, monkeypatch, origin):
    monkeypatch.setattr(bootstrap, "ROOT", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["more", str(tmp_path)]))
    (tmp_path / "requirements.txt").write_text("some-thing==1.0\n-e .\n")
    put(tmp_path / "site", "some-thing", "1.0")
    if origin:
        put(tmp_path / "site", "tocdemo", "0.1", origin)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
    assert bootstrap.ready_python() is None
    assert os.environ["PYTHONPATH"] == os.pathsep.join([str(tmp_path), "more"])
    assert not (tmp_path / ".venv").exists()


def test_another_clone_in_the_running_python_does_not_count(tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "ROOT", str(tmp_path / "this"))
    put(tmp_path / "site", "tocdemo", "0.1", str(tmp_path / "other"))
    assert bootstrap.lacking({"tocdemo": None}, [str(tmp_path / "site")]) == ["tocdemo"]


@pytest.mark.parametrize(
    "line", ["thing>=1.0", "thing", "-r other.txt", 'thing==1.0; python_version < "3.12"']
)
def test_a_requirement_of_another_form_is_refused(tmp_path, line):
    (tmp_path / "requirements.txt").write_text(line + "\n")
    with pytest.raises(bootstrap.SetupError, match=r"requirements.txt: (expected|only)"):
        bootstrap.read_pins(str(tmp_path / "requirements.txt"))


def test_a_requirement_of_another_system_is_left_out(tmp_path):
    (tmp_path / "requirements.txt").write_text(
        'a==1; sys_platform == "none"\nb==2 ; sys_platform != "none"  # why\n'
    )
    assert bootstrap.read_pins(str(tmp_path / "requirements.txt")) == {"b": "2"}


# --- a group, without pip ----------------------------------------------------------------------------------


@pytest.fixture
def add(fake, tmp_path, monkeypatch):
    """Add a group that the finished environment of that project lacks, running in it; say what was done."""
    (tmp_path / "pyproject.toml").write_text('[dependency-groups]\ndev = ["more==1.0"]\n')
    fake()
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))

    def add() -> list[str]:
        fake.done.clear()
        bootstrap.add_group("dev")
        return list(fake.done)

    return add


def test_a_group_is_installed_once_and_again_when_its_pins_change(add, tmp_path):
    assert add() == ["install dev"]
    assert add() == []
    (tmp_path / "pyproject.toml").write_text('[dependency-groups]\ndev = ["more==1.1"]\n')
    assert add() == ["install dev"]


def cut_short(monkeypatch, change: Path | None) -> None:
    """Interrupt the installing of the group, before its first change or after it."""

    def install(*_: object, **__: object) -> None:
        if change:
            change.mkdir()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(installing, "install", install)
        with pytest.raises(KeyboardInterrupt):
            bootstrap.add_group("dev")


def test_a_group_that_is_cut_short_before_its_first_change_costs_nothing(add, fake, monkeypatch):
    cut_short(monkeypatch, None)
    fake.done.clear()
    assert bootstrap.ready_python() is None
    assert fake.done == []
    assert add() == ["install dev"]


def test_a_group_that_is_cut_short_later_means_from_scratch(add, fake, tmp_path, monkeypatch):
    cut_short(monkeypatch, Path(venv(tmp_path).site_packages) / "half")
    fake.done.clear()
    assert bootstrap.ready_python() == venv(tmp_path).python  # another than the one that runs
    assert fake.done == ["create", "install"]
    assert add() == ["install dev"]


def test_a_group_is_not_put_into_an_environment_of_the_users(tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "ROOT", str(tmp_path))
    (tmp_path / "pyproject.toml").write_text('[dependency-groups]\ndev = ["more==1.0", "some-thing==1.0"]\n')
    put(tmp_path / "site", "some-thing", "1.0")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
    with pytest.raises(bootstrap.SetupError, match=r"is yours.* alone; run `pip install more==1\.0` in it"):
        bootstrap.add_group("dev")
    assert not (tmp_path / ".venv").exists()
    put(tmp_path / "site", "more", "1.0")
    bootstrap.add_group("dev")


def test_a_group_may_include_another_and_has_to_be_there(tmp_path):
    file = tmp_path / "pyproject.toml"
    file.write_text('[dependency-groups]\na = ["b==1", {include-group = "c"}]\nc = ["d==2"]\n')
    assert bootstrap.read_group(str(file), "a") == {"b": "1", "d": "2"}
    with pytest.raises(bootstrap.SetupError, match="there is no dependency group `e`"):
        bootstrap.read_group(str(file), "e")


# --- what this project says --------------------------------------------------------------------------------


def test_requirements_describe_the_python_that_runs_the_tests():
    pins = bootstrap.read_pins(str(ROOT / "requirements.txt"))
    assert bootstrap.lacking(pins, sys.path) == []
    assert list(pins)[-1] == "tocdemo"


def test_the_group_of_the_tests_describes_the_python_that_runs_them():
    assert bootstrap.lacking(bootstrap.read_group(str(ROOT / "pyproject.toml"), "dev"), sys.path) == []


def test_the_extra_of_the_wheel_names_what_requirements_txt_names():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = bootstrap.read_pins(str(ROOT / "requirements.txt"))
    assert project["optional-dependencies"]["course"] == [name for name in pins if name != "tocdemo"]


def test_no_package_is_pinned_twice():
    learners = bootstrap.read_pins(str(ROOT / "requirements.txt"))
    assert learners.keys().isdisjoint(bootstrap.read_group(str(ROOT / "pyproject.toml"), "dev"))


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A folder with what an installed wheel of this project brings: the package, and pytest."""
    site = tmp_path / "site"
    shutil.copytree(ROOT / "tocdemo", site / "tocdemo", ignore=shutil.ignore_patterns("tests", "__pycache__"))
    for name in closure("pytest"):
        for file in importlib.metadata.files(name):
            if ".." not in file.parts and "__pycache__" not in file.parts:
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.locate(), site / file)
    return site


def closure(name: str) -> set[str]:
    """The names of a distribution and of all that it requires here."""
    found, to_do = set(), [name]
    while to_do:
        name = to_do.pop()
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # required elsewhere
            required = importlib.metadata.requires(name) or []
            found.add(name)
            plain = [each for each in required if "extra ==" not in each]
            to_do += {re.match(r"[\w.-]+", each)[0] for each in plain} - found
    return found


def from_wheel(site: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    """Run the base Python with that folder and nothing else of what is installed."""
    return subprocess.run(
        [sys.executable, "-S", "-m", *arguments],
        cwd=cwd,
        env=quiet_environment(PYTHONPATH=str(site)),
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("arguments", [[], ["start"], ["run"], ["no-such-command"]])
def test_a_wheel_without_lessons_says_what_to_do(wheel, tmp_path, arguments):
    result = from_wheel(wheel, "tocdemo", *arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert "the package without the lessons: clone the project and run" in result.stderr
    assert (result.stderr.count("\n"), result.stdout) == (1, "")


TWO_LOOPS = """
import asyncio, contextlib

KEPT = []

async def wait():
    KEPT.append(asyncio.get_running_loop().create_future())
    await asyncio.wait_for(KEPT[0], 0.01)

def test_first():
    with contextlib.suppress(TimeoutError):
        asyncio.run(wait())

def test_second():
    asyncio.run(wait())
"""


def test_loopwatch_needs_pytest_alone(wheel, tmp_path):
    folder = tmp_path / "suite"
    folder.mkdir()
    (folder / "test_one.py").write_text(TWO_LOOPS)
    checked = from_wheel(wheel, "tocdemo.loopwatch", "check", ".", cwd=folder)
    assert (checked.stdout, checked.stderr) == ("loopwatch: found nothing\n", "")
    explained = from_wheel(wheel, "pytest", "-p", "tocdemo.loopwatch", "-p", "no:cacheprovider", cwd=folder)
    assert "1 failed, 1 passed" in explained.stdout, explained.stdout + explained.stderr
    assert "loopwatch: KEPT[0] belongs to loop #1, closed in test_first" in explained.stdout
