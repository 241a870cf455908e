"""nest_asyncio: the record is whole, and what it says of the installed versions is measured again."""

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tocdemo.experiments import nested, versions
from tocdemo.runner import databases, inline
from tocdemo.subject import faults, sources

PATCHED = [name for name in nested.CASES if "nest_asyncio" in name]


def test_the_record_has_every_version_with_every_case_and_gives_its_command():
    found = nested.recorded()
    assert [pair.pytest_asyncio for pair in found.pairs] == [plugin for plugin, _ in versions.PLUGINS]
    for pair in found.pairs:
        assert {name: sum(counts) for name, counts in pair.counts.items()} == dict.fromkeys(nested.CASES, 28)
    assert nested.COMMAND in str(found).splitlines()[0]


@pytest.mark.parametrize("name", PATCHED)
def test_the_installed_versions_measured_again_give_the_record(name):
    installed = f"Motor {version('motor')}, nest_asyncio {version('nest-asyncio')}"
    pair = next(
        pair
        for pair in nested.recorded().pairs
        if (pair.driver, pair.pytest_asyncio) == (installed, version("pytest-asyncio"))
    )
    case = nested.CASES[name]
    with databases.open_database("embedded") as server:
        counts = versions.run_with(
            Path(sys.executable), case.faults, "motor", server.uri, starter=case.starter
        )
    assert list(counts) == list(pair.counts[name])


def test_a_copys_28_run_as_the_starter_says(tmp_path):
    names = ["static-app-imports", "static-test-imports", "sync-fixture", "unbound-client"]
    sources.write(faults.with_faults(names), tmp_path)
    starter = tmp_path / "starter.py"
    starter.write_text(nested.IN_A_LOOP.replace("pytest.main(", "await asyncio.to_thread(pytest.main, "))
    run = nested.run(starter)
    assert run.error_lines == {"RuntimeError: Event loop is closed": 26}
    assert run.passed_tests == ["test_update_toc_success", "test_update_toc_invalid_book_id_format"]
    starter.write_text("pytset")
    with pytest.raises(inline.CannotRun, match=r"(?s)No test ran: .*NameError: name 'pytset'"):
        nested.run(starter)


def test_what_cannot_be_measured_is_not_recorded(monkeypatch, tmp_path, capsys):
    broken = versions.Pair("Motor", "3.11", "1.5.0", "9.2.0", {}, "no network")
    monkeypatch.setattr(versions, "measure", lambda *_, **__: versions.Versions("2026-01-01", (broken,)))
    monkeypatch.setattr(nested, "FILE", tmp_path / "nested.json")
    assert nested._main() == 1
    assert "no network" in capsys.readouterr().out
    assert not nested.FILE.exists()
