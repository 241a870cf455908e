"""The plugin as others use it: off until asked for, its options and its setting, and what it writes."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from xml.etree import ElementTree

import pytest

from .projects import write
from .test_plugin import TWO, pytest_process

pytest_plugins = ["pytester"]

LINE = "loopwatch: store belongs to loop #1, closed at the teardown of test_get[1] (1 test; explained in"


@pytest.fixture
def installed():
    """Skip where an old installation of the project does not tell of the plugin yet."""
    found = [point.value for point in entry_points(group="pytest11") if point.name == "loopwatch"]
    if found != ["tocdemo.loopwatch.entry"]:
        pytest.skip("this installation of the project is older than its entry point: install it again")


@pytest.fixture
def project(pytester):
    write(pytester, TWO)
    return pytester.path


def test_it_is_off_until_it_is_asked_for_and_imports_nothing(project, installed):
    (project / "conftest.py").write_text(
        "import sys\n\n\ndef pytest_unconfigure():\n"
        "    print('LOADED', *sorted(n for n in sys.modules if n.startswith('tocdemo')))\n"
    )
    done = pytest_process(project)
    assert "1 failed, 1 passed" in done.stdout
    assert "loopwatch:" not in done.stdout
    assert done.stdout.splitlines()[-1] == "LOADED tocdemo tocdemo.loopwatch tocdemo.loopwatch.entry"


@pytest.mark.parametrize(
    "args", [["--loopwatch"], ["-o", "loopwatch=true"], ["-p", "tocdemo.loopwatch"], ["--loopwatch", "-n1"]]
)
def test_an_option_or_the_setting_switches_it_on_and_each_cause_has_its_line(project, installed, args):
    done = pytest_process(project, *args, "--tb=no")
    assert LINE in done.stdout, done.stdout + done.stderr


def test_the_cause_is_in_the_junit_xml(project):
    pytest_process(project, "-p", "tocdemo.loopwatch", "--junitxml=junit.xml")
    properties = ElementTree.parse(project / "junit.xml").findall(".//property[@name='loopwatch']")
    assert [found.attrib["value"].partition(" belongs")[0] for found in properties] == ["loopwatch: store"]


@pytest.mark.parametrize("style", ["long", "native"])
def test_its_frames_are_in_no_traceback(project, style):
    done = pytest_process(project, "-p", "tocdemo.loopwatch", "--full-trace", f"--tb={style}")
    assert "Event loop is closed" in done.stdout
    assert "hooks.py" not in done.stdout


def test_the_report_is_one_page_that_loads_nothing(project):
    pytest_process(project, "-p", "tocdemo.loopwatch", "--loopwatch-report=report.html")
    page = (project / "report.html").read_text(encoding="utf-8")
    assert "2 tests, 1 of them failed" in page
    assert "store belongs to loop #1" in page
    assert page.count("<svg") >= 1
    assert "<script" not in page
    assert "src=" not in page


def test_a_report_in_a_folder_that_is_not_there_is_refused(project):
    done = pytest_process(project, "-p", "tocdemo.loopwatch", "--loopwatch-report=no/report.html")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--loopwatch-report: there is no folder" in done.stderr


def test_watch_and_recording_are_imported_when_they_are_asked_for():
    code = (
        "import sys, tocdemo.loopwatch as l; assert 'tocdemo.loopwatch.plugin' not in sys.modules; "
        "print(l.Watch.__name__, l.Recording.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "Watch Recording\n"
