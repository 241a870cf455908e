"""The nine combinations of a fixture's scope and the tests' loop scope, on real Motor."""

import pytest

from tocdemo.experiments import loop_scopes

WIDTH = {scope: width for width, scope in enumerate(loop_scopes.SCOPES)}


def test_a_client_that_the_tests_use_first_fails_where_its_fixture_outlives_their_loop():
    square = loop_scopes.measure()
    red = [pair for pair, run in square.runs.items() if not run.green]
    assert red == [pair for pair in square.runs if WIDTH[pair[0]] > WIDTH[pair[1]]]
    lines = {line for pair in red for line in square.run(*pair).error_lines}
    assert lines == {"RuntimeError: Event loop is closed"}
    assert square.run("session", "function").passed_tests == ["test_first"]


def test_a_client_that_its_fixture_uses_first_fails_where_the_two_scopes_differ():
    square = loop_scopes.measure(uses=True)
    assert [pair for pair, run in square.runs.items() if run.green] == [(each, each) for each in WIDTH]
    lines = {line for run in square.runs.values() for line in run.error_lines}
    assert lines == {"RuntimeError: Task <…> got Future <…> attached to a different loop"}
    assert str(square).count("4 failed") == square._repr_html_().count("4 failed") == 6


def test_with_the_loops_told_apart_from_the_scopes_only_the_loops_count():
    table = loop_scopes.measure(uses=True, loop="session")
    green = [pair for pair, run in table.runs.items() if run.green]
    assert green == [(scope, "session") for scope in loop_scopes.FIXTURE_SCOPES]
    assert len(table.runs) == 15
    assert 'scope="function", loop_scope="session"' in loop_scopes.conftest("function", loop="session")


def test_a_scope_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="no scope 'class' here; there are function, module, session"):
        loop_scopes.run("class", "function")
