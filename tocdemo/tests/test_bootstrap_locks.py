"""The lock has all that the pins pull in, with hashes and without an address, and agrees with the pins."""

import importlib.metadata
import json
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
from packaging import tags
from packaging.requirements import Requirement

from tocdemo import bootstrap
from tocdemo.bootstrap import locking, locks, pythons, wheels

ROOT = Path(__file__).resolve().parents[2]
GROUPS = ("", *locking.GROUPS)


def pins(group: str) -> dict[str, str | None]:
    """What a lock is made from: the pins, by name."""
    if group:
        return bootstrap.read_group(str(ROOT / "pyproject.toml"), group)
    return bootstrap.read_pins(str(ROOT / "requirements.txt"))


def text(group: str) -> str:
    return Path(locks.path(str(ROOT), group)).read_text(encoding="utf-8")


@pytest.mark.parametrize("group", GROUPS)
def test_the_lock_has_every_pin(group):
    assert locks.beyond(locks.path(str(ROOT), group), pins(group)) == [], "run: python3 -m tocdemo lock"


@pytest.mark.parametrize("group", GROUPS)
def test_the_lock_has_hashes_and_no_address(group):
    packages = re.split(r"\n(?=[\w.-]+==)", text(group))[1:]
    assert len(packages) == len(re.findall("==.* \\\\$", text(group), re.MULTILINE))
    assert [each for each in packages if not re.search(r"--hash=sha256:[0-9a-f]{64}\b", each)] == []
    assert "://" not in text(group)
    assert not re.search(r"^-", text(group), re.MULTILINE)


def test_what_two_locks_share_has_one_version():
    course = locks.read(locks.path(str(ROOT)))
    for group in locking.GROUPS:
        other = locks.read(locks.path(str(ROOT), group))
        assert {name: other[name] for name in course.keys() & other.keys()} == {
            name: course[name] for name in course.keys() & other.keys()
        }


def test_what_builds_the_project_is_locked_too():
    required = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"][
        "requires"
    ]
    locked = locks.read(locks.path(str(ROOT)))
    for each in map(Requirement, required):
        assert any(each.specifier.contains(version) for version in locked[locks.normalized(each.name)])


def required(names: set[str]) -> dict[str, Requirement]:
    """All that these packages require here, step by step, as their metadata say."""
    found: dict[str, Requirement] = {}
    to_do = [Requirement(name) for name in names]
    while to_do:
        each = to_do.pop()
        if str(each) in found:
            continue
        found[str(each)] = each
        for further in map(Requirement, importlib.metadata.requires(each.name) or []):
            extras = each.extras or {""}
            if not further.marker or any(further.marker.evaluate({"extra": extra}) for extra in extras):
                to_do.append(further)
    return found


@pytest.mark.parametrize("group", GROUPS)
def test_the_lock_has_all_that_the_pins_require_on_this_python(group):
    locked = locks.read(locks.path(str(ROOT), group))
    wanted = required({name for name, version in pins(group).items() if version})
    missing = {
        each
        for each, requirement in wanted.items()
        if not any(map(requirement.specifier.contains, locked.get(locks.normalized(requirement.name), ())))
    }
    assert missing == set()


def test_a_lock_that_is_not_there_has_nothing(tmp_path):
    assert locks.read(str(tmp_path / "none.txt")) == {}
    assert locks.beyond(str(tmp_path / "none.txt"), {"a": "1", "tocdemo": None}) == ["a==1"]


# --- making it ---------------------------------------------------------------------------------------------


def test_without_uv_the_lock_cannot_be_made_and_a_sentence_says_so(tmp_path, monkeypatch):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    with pytest.raises(bootstrap.SetupError, match="there is no uv"):
        locking.make(str(tmp_path))


UV = """#!/bin/sh
echo "$@" >> calls
input=$(cat)
while [ $# -gt 0 ]; do
    if [ "$1" = --output-file ]; then output=$2; fi
    shift
done
case $output in
    *pylock.toml) cat > "$output" <<'TOML'
[[packages]]
name = "pure"
version = "1.0"
wheels = [{url = "https://nowhere/pure-1.0-py3-none-any.whl"}]
[[packages]]
name = "built"
version = "2.0"
wheels = [
    {name = "built-2.0-1-cp311-abi3-win_amd64.whl"},
    {url = "x/built-2.0-cp311-cp311-musllinux_1_2_x86_64.whl"},
]
TOML
    ;;
    *) echo "$input" > "$output" ;;
esac
"""


def test_the_lock_is_made_for_every_system_from_the_pins_and_from_what_builds_the_project(
    tmp_path, monkeypatch
):
    (tmp_path / "pyproject.toml").write_text('[build-system]\nrequires = ["builder>=1"]\n')
    (tmp_path / "requirements.txt").write_text("pure==1.0\n-e .\n")
    uv = tmp_path / "uv"
    uv.write_text(UV)
    uv.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name, path=None: str(uv))
    made = locking.make(str(tmp_path))
    names = ["course.txt", "dev.txt", "site.txt", "versions.txt", "wheels.json"]
    assert [Path(path).name for path in made] == names
    assert (tmp_path / "locks/course.txt").read_text() == "pure==1.0\nbuilder>=1\n"
    calls = (tmp_path / "calls").read_text().splitlines()
    assert all("--universal --python-version 3.11" in call for call in calls)
    assert all("--generate-hashes" in call and "--no-emit-index-url" in call for call in calls[:-1])
    assert "--group pyproject.toml:dev --constraint" in calls[1]
    found = json.loads((tmp_path / "locks/wheels.json").read_text())
    assert found == {"built==2.0": ["cp311-abi3-win_amd64", "cp311-cp311-musllinux_1_2_x86_64"]}


# --- wheels ------------------------------------------------------------------------------------------------

LOCK = """# a comment
pure==1.0 \\
    --hash=sha256:00
    # via built
built==2.0 \\
    --hash=sha256:00
elsewhere==3.0 ; sys_platform == 'win32' \\
    --hash=sha256:00
newer==4.0 ; python_full_version >= '3.12' \\
    --hash=sha256:00
"""
BUILT = {
    "built==2.0": ["cp311-abi3-win_amd64", "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64"],
    "elsewhere==3.0": ["cp311-abi3-win32"],
    "newer==4.0": ["cp311-abi3-win_amd64"],
}


def supported(python: tuple[int, int], *platforms: str) -> set[str]:
    """What `sys_tags` would give for CPython of that version on a system with these platform tags."""
    known = tags.cpython_tags(python, platforms=platforms)
    return set(map(str, [*known, *tags.compatible_tags(python, f"cp{python[0]}{python[1]}", platforms)]))


@pytest.mark.parametrize(
    ("python", "platform", "system", "lacking"),
    [
        ((3, 11), "manylinux2014_x86_64", "linux", []),
        ((3, 11), "musllinux_1_2_x86_64", "linux", ["built==2.0"]),
        ((3, 14), "manylinux2014_x86_64", "linux", ["built==2.0", "newer==4.0"]),
        ((3, 14), "win_amd64", "win32", ["elsewhere==3.0"]),
    ],
)
def test_what_has_no_wheel_is_told_by_tags_and_markers(python, platform, system, lacking):
    version = "{}.{}.0".format(*python)
    markers = {"sys_platform": system, "python_full_version": version}
    assert wheels.lacking(LOCK, BUILT, supported(python, platform), **markers) == lacking


def test_an_interpreter_tells_of_itself_what_its_tags_tell():
    known = json.loads((ROOT / "locks/wheels.json").read_text(encoding="utf-8"))
    for group in GROUPS:
        here = wheels.lacking(text(group), known, set(map(str, tags.sys_tags())))
        assert locks.without_wheel(sys.executable, locks.path(str(ROOT), group)) == here


def supported_by(system: str, machine: str, python: tuple[int, int]) -> set[str]:
    linux = [f"manylinux_2_{minor}_{machine}" for minor in range(28, 4, -1)]
    platforms = {
        "glibc": [*linux, f"manylinux2014_{machine}", f"manylinux1_{machine}"],
        "Alpine": [f"musllinux_1_2_{machine}", f"musllinux_1_1_{machine}"],
        "macOS": tags.mac_platforms((14, 0), machine),
        "Windows": [f"win_{machine.lower()}"],
    }
    return supported(python, *platforms[system])


# A system, its processor, and what markers call the two.
SYSTEMS = [
    ("glibc", "x86_64", "linux", "x86_64"),
    ("glibc", "aarch64", "linux", "aarch64"),
    ("Alpine", "x86_64", "linux", "x86_64"),
    ("Alpine", "aarch64", "linux", "aarch64"),
    ("macOS", "arm64", "darwin", "arm64"),
    ("macOS", "x86_64", "darwin", "x86_64"),
    ("Windows", "amd64", "win32", "AMD64"),
]


@pytest.mark.parametrize(("system", "processor", "platform", "machine"), SYSTEMS)
def test_the_readme_says_for_which_systems_something_has_to_be_built(system, processor, platform, machine):
    known = json.loads((ROOT / "locks/wheels.json").read_text(encoding="utf-8"))
    lacking = set()
    for version in pythons.SUPPORTED:
        markers = {
            "os_name": "nt" if platform == "win32" else "posix",
            "platform_machine": machine,
            "python_full_version": f"{version}.9",
            "python_version": version,
            "sys_platform": platform,
        }
        fit = supported_by(system, processor, tuple(map(int, version.split("."))))
        lacking.update(each.split("==")[0] for each in wheels.lacking(text(""), known, fit, **markers))
    row = f"| {system} | {processor} | {', '.join(sorted(lacking)) or 'nothing'} |"
    assert row in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()


def test_where_it_cannot_be_told_nothing_is_said(tmp_path):
    assert locks.without_wheel(sys.executable, str(tmp_path / "none.txt")) == []
