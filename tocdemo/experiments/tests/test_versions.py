"""Other versions: the recorded table is whole, its current pair is measured again, and bad luck is told."""

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tocdemo import cli
from tocdemo.experiments import versions
from tocdemo.runner import databases

JUNIT = """<testsuites><testsuite>
<testcase classname="t" name="a"/>
<testcase classname="t" name="b"><failure message="x"/></testcase>
<testcase classname="t" name="c">
<error message="failed on setup with &quot;RuntimeError: no running event loop&quot;"/></testcase>
<testcase classname="t" name="d"><failure message="x"/></testcase>
<testcase classname="t" name="d"><error message="in teardown"/></testcase>
<testcase classname="t" name="e"><skipped/></testcase>
</testsuite></testsuites>"""


def test_the_record_has_every_pair_with_every_state():
    found = versions.recorded()
    assert [(pair.driver, pair.pytest_asyncio) for pair in found.pairs] == [
        (driver.title, plugin) for driver in versions.DRIVERS for plugin, _ in versions.PLUGINS
    ]
    for pair in found.pairs:
        assert pair.why == ""
        assert {state: sum(counts) for state, counts in pair.counts.items()} == dict.fromkeys(
            versions.STATES, 28
        )


@pytest.mark.parametrize("state", versions.STATES)
def test_the_current_pair_measured_again_gives_the_record(state):
    installed = (f"Motor {version('motor')}", version("pytest-asyncio"))
    pair = next(p for p in versions.recorded().pairs if (p.driver, p.pytest_asyncio) == installed)
    with databases.open_database("embedded") as server:
        counts = versions.run_with(Path(sys.executable), versions.STATES[state], "motor", server.uri)
    assert list(counts) == list(pair.counts[state])


def test_a_test_counts_once_also_when_it_fails_and_its_teardown_too(tmp_path):
    (tmp_path / "report.xml").write_text(JUNIT)
    assert versions.read_junit(tmp_path / "report.xml") == (1, 2, 1)
    found = versions.junit_results(tmp_path / "report.xml")
    assert [(each.name, each.outcome, each.error) for each in found[1:4]] == [
        ("b", "failed", "x"),
        ("c", "error", "RuntimeError: no running event loop"),
        ("d", "failed", "x"),
    ]


def test_a_pair_that_cannot_be_built_stays_in_the_table_and_says_why(monkeypatch, tmp_path):
    broken = versions.Driver("Motor on Python 2.9", "motor", ("motor==3.7.1",), "2.9")
    monkeypatch.setattr(versions, "DRIVERS", (broken,))
    monkeypatch.setattr(versions, "CACHE", tmp_path)
    monkeypatch.setattr(versions, "_uv", lambda: "uv")
    monkeypatch.setattr(versions, "FILE", tmp_path / "versions.json")
    seen = []
    found = versions.measure(lambda *numbers: seen.append(numbers[:2]))
    assert len(found.pairs) == len(versions.PLUGINS)
    assert "There is no Python 2.9" in str(found)
    assert str(found).count("not measured") == 3 * len(versions.PLUGINS)
    assert seen[-1] == (5, 5)
    assert cli.main(["matrix", "--versions", "--json"]) == 1
    assert not versions.FILE.exists()


def test_a_suite_that_does_not_start_says_why(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no pytest here >&2\nexit 4\n")
    python.chmod(0o755)
    with pytest.raises(versions.CannotBuild, match="no pytest here"):
        versions.run_with(python, [], "motor", "mongodb://mock.invalid/")


def test_interpreters_that_pyenv_keeps_are_found(monkeypatch, tmp_path):
    kept = tmp_path / "versions" / "3.4.2" / "bin" / "python"
    kept.parent.mkdir(parents=True)
    kept.touch()
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert versions.interpreter("3.4") == kept


def test_an_interpreter_that_the_launcher_of_windows_knows_is_found(monkeypatch, tmp_path):
    launcher = tmp_path / "py"
    launcher.write_text('#!/bin/sh\n[ "$1" = -3.4 ] && echo /pythons/3.4\n')
    launcher.chmod(0o755)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert versions.interpreter("3.4") == Path("/pythons/3.4")
    with pytest.raises(versions.CannotBuild, match=r"There is no Python 3\.5"):
        versions.interpreter("3.5")


def test_a_record_is_read_as_it_was_written(monkeypatch, tmp_path):
    monkeypatch.setattr(versions, "FILE", tmp_path / "versions.json")
    pair = versions.Pair("Motor", "3.11", "1.5.0", "9.2.0", {"incident": [2, 26, 0]})
    versions.record(versions.Versions("2026-01-02", (pair,)))
    assert versions.recorded() == versions.Versions("2026-01-02", (pair,))
    assert "Recorded on 2026-01-02" in str(versions.recorded())
    assert "2 P, 26 F" in versions.recorded()._repr_html_()


def test_the_table_names_each_driver_once_beside_its_rows():
    html = versions.recorded()._repr_html_()
    assert html.count("<tr>") == 1 + len(versions.recorded().pairs)
    assert [html.count(f">{driver.title}<") for driver in versions.DRIVERS] == [1] * len(versions.DRIVERS)
