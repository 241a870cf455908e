"""Each way to run async tests makes the loops that it is said to make, and one client needs one loop."""

import pytest

from tocdemo.errors import BadInput, CannotRun
from tocdemo.experiments import one_loop


@pytest.mark.parametrize("name", [name for name, setup in one_loop.SETUPS.items() if not setup.needs])
def test_one_client_will_do_where_there_is_one_loop(name):
    run = one_loop.run(name)
    one = "session" in name
    assert one_loop.loops_of(run) == (1 if one else len(one_loop.TESTS))
    assert run.passed == (len(one_loop.TESTS) if one else 1)
    assert run.green == one
    assert all("in different event loop" in error for error in run.error_lines)


def test_uvloop_changes_nothing_of_it():
    pytest.importorskip("uvloop", reason="uvloop is not there for Windows")
    assert [one_loop.loops_of(one_loop.run(name)) for name in ("uvloop", "uvloop, session")] == [3, 1]


def test_a_plain_test_with_a_loop_of_its_own_fails_beside_one_loop():
    run = one_loop.run("anyio, session", plain=True)
    assert (run.passed, run.failed) == (3, 1)
    assert one_loop.loops_of(run) == 1


def test_what_is_not_installed_is_said(monkeypatch):
    monkeypatch.setitem(one_loop.SETUPS, "uvloop", one_loop.Setup(needs="no_such_package"))
    with pytest.raises(CannotRun, match="pip install no_such_package"):
        one_loop.run("uvloop")
    assert "no_such_package is not installed here" in str(one_loop.Ways({"uvloop": None}))


def test_an_unknown_setup_is_refused():
    with pytest.raises(BadInput, match="There is no set-up 'trio'"):
        one_loop.run("trio")
