"""The five ways: what each loses and refuses, under every order of two, and with several writers at once."""

import pytest

from tocdemo.experiments import ways
from tocdemo.explorer import engine, operations
from tocdemo.runner import databases, inline, suite
from tocdemo.runner.result import Run
from tocdemo.subject import faults, sources
from tocdemo.subject.tests.projects import lay_out

STANDALONE, REPLICA_SET = False, True
NO_TRANSACTIONS = "OperationFailure: Transaction numbers are only allowed on a replica set member or mongos"


@pytest.fixture(scope="module")
def measured():
    return ways.measure()


@pytest.mark.parametrize(
    ("way", "replica_set", "orders", "losing", "failing"),
    [
        ("nothing", STANDALONE, 6, 4, 0),
        ("nothing", REPLICA_SET, 6, 4, 0),
        ("guard", STANDALONE, 6, 0, 4),
        ("guard", REPLICA_SET, 6, 0, 4),
        ("guard and retry", STANDALONE, 6, 0, 0),
        ("guard and retry", REPLICA_SET, 6, 0, 0),
        ("transaction", STANDALONE, 2, 0, 2),
        ("transaction", REPLICA_SET, 14, 0, 12),
    ],
)
def test_what_every_order_of_two_gives(tmp_path, way, replica_set, orders, losing, failing):
    found = engine.explore(lay_out(tmp_path), both(way), replica_set=replica_set)

    assert (len(found.orders), len(found.losing), len(found.failing)) == (orders, losing, failing)


@pytest.mark.parametrize("attempts", [3, 4])
def test_a_transaction_that_is_tried_again_need_not_end_but_loses_nothing(tmp_path, attempts):
    found = engine.explore(
        lay_out(tmp_path), both("transaction and retry"), replica_set=True, attempts=attempts
    )

    assert found.losing == found.failing == ()
    assert 0 < len(found.using_up) < len(found.orders)


def both(way: str) -> list[engine.Operation]:
    return [ways.adding(ways.WAYS[way], title) for title in "AB"]


@pytest.mark.parametrize("replica_set", [STANDALONE, REPLICA_SET])
def test_the_report_s_code_refuses_on_a_replica_set_what_it_loses_on_a_standalone(tmp_path, replica_set):
    folder = lay_out(tmp_path, ("unguarded-write", "transaction-without-retry"))

    found = engine.explore(folder, [operations.add("A"), operations.add("B")], replica_set=replica_set)

    losing, failing = (0, 12) if replica_set else (4, 0)
    assert (len(found.losing), len(found.failing)) == (losing, failing)


def test_a_transaction_without_retry_fails_only_the_three_concurrent_tests(tmp_path):
    folder = lay_out(tmp_path, ("transaction-without-retry",))

    failed: set[str] = set()
    for _ in range(6):  # nearly every run is red, and one is enough
        failed |= {result.name for result in replica_set_run(folder).results if result.outcome != "passed"}
        if failed:
            break
    assert failed
    assert failed <= {
        "test_concurrent_toc_updates_version_conflict",
        "test_concurrent_chapter_adds_different_chapters",
        "test_concurrent_updates_different_chapters",
    }


@pytest.mark.parametrize("names", [(), faults.state("incident")])
def test_on_a_replica_set_the_fixed_28_pass_and_the_incident_is_the_same(tmp_path, names):
    run = replica_set_run(lay_out(tmp_path, names))

    assert (run.passed, run.failed) == ((2, 26) if names else (28, 0)), run


def test_the_further_tests_pass_on_a_replica_set_and_none_is_skipped():
    """On a standalone, where the other tests run, those of transactions skip themselves."""
    further = inline.run(
        sources.BACKEND / "tests/test_db/test_toc_transactions_more.py", backend="replica-set"
    )

    assert further.green, further
    assert (further.passed, further.skipped) == (further.total, 0)


def replica_set_run(folder) -> Run:
    return suite.run(folder.resolve(), suite.arguments_for(folder.resolve()), backend="replica-set")


def test_with_many_writers_only_the_two_retries_satisfy_everybody(measured):
    for row in measured.rows:
        satisfied = row.lost == 0 and not row.errors
        retries = row.way.endswith("and retry")
        possible = row.topology == "replica set" or not row.way.startswith("transaction")
        assert satisfied == (retries and possible), row


def test_a_transaction_on_a_standalone_is_refused_to_every_writer(measured):
    row = measured.row("transaction", "standalone")

    assert row.errors == {NO_TRANSACTIONS: ways.WRITERS * ways.ROUNDS}
    assert (row.commands, row.milliseconds) == (None, None)


def test_a_write_without_a_guard_sends_two_commands_and_what_is_lost_makes_them_dear(measured):
    for topology in ("standalone", "replica set"):
        row = measured.row("nothing", topology)
        there = row.writers - row.lost
        assert row.commands == pytest.approx(2 * row.writers / there)


def test_the_table_shows_every_row_and_every_error(measured):
    shown = (str(measured), measured._repr_html_())

    for text in shown:
        assert all(name in text for name in ways.WAYS)
        assert NO_TRANSACTIONS in text
    assert str(measured).count("standalone") == len(ways.WAYS) * len(ways.DRIVERS)
    with pytest.raises(KeyError, match="hope"):
        measured.row("hope", "standalone")


def test_a_server_that_does_not_answer_is_said_to_the_caller(monkeypatch):
    monkeypatch.setattr(databases, "ANSWER_WITHIN_MS", 50)
    monkeypatch.setenv("TOCDEMO_MONGO_URI", "mongodb://127.0.0.1:9/")
    monkeypatch.delenv("TOCDEMO_BACKEND", raising=False)

    with pytest.raises(databases.NoDatabase, match="No MongoDB answers"):
        ways.measure()
