"""The explorer, and by it the backend's concurrency: every order, not many repetitions."""

import asyncio
import json
import os
import re
import subprocess
import sys
from textwrap import dedent

import pytest

from tocdemo import lab
from tocdemo.benchmarks import explorer as benchmark
from tocdemo.errors import CannotExplore
from tocdemo.explorer import stepper
from tocdemo.explorer.engine import explore, replay
from tocdemo.explorer.operations import add, rename, replace_toc
from tocdemo.runner import inline
from tocdemo.subject import faults, sources

TWO = [add("One"), add("Two")]
THREE = [*TWO, add("Three")]


async def exits(toc, book):
    os._exit(3)


@pytest.fixture
def unguarded(tmp_path):
    sources.write(faults.with_faults(["unguarded-write"]), tmp_path)
    return tmp_path


@pytest.mark.parametrize("driver", ["motor", "pymongo"])
def test_four_of_the_six_orders_of_two_unguarded_adds_lose_a_chapter(unguarded, driver):
    found = explore(unguarded, TWO, driver=driver)

    assert {order.schedule for order in found.orders} == {"AABB", "ABAB", "ABBA", "BAAB", "BABA", "BBAA"}
    assert {order.schedule for order in found.losing} == {"ABAB", "ABBA", "BAAB", "BABA"}
    assert all(order.results == ("done", "done") for order in found.orders)  # the loss is silent
    assert all(len(order.titles) == (3 if order.loses else 4) for order in found.orders)


@pytest.mark.parametrize("driver", ["motor", "pymongo"])
def test_no_order_of_two_guarded_adds_loses_a_chapter(driver):
    found = explore(sources.BACKEND, TWO, driver=driver)

    assert (len(found.orders), len(found.losing)) == (6, 0)
    assert {order.titles for order in found.orders} == {("Chapter 1", "Chapter 2", "One", "Two")}
    twice = [order for order in found.orders if len(order.steps) > 4]
    assert len(twice) == 4  # those try a second time
    assert all([step.effect for step in order.steps].count("no match") == 1 for order in twice)


def test_three_unguarded_adds_lose_in_84_of_90_orders(unguarded):
    found = explore(unguarded, THREE)

    assert (len(found.orders), len(found.losing)) == (90, 84)


def test_no_order_of_three_guarded_adds_loses_a_chapter():
    found = explore(sources.BACKEND, THREE)

    assert (len(found.orders), len(found.losing)) == (498, 0)
    assert {order.version for order in found.orders} == {4}
    assert len({order.schedule for order in found.orders}) == 498
    shown = found._repr_mimebundle_()["text/html"]  # of orders that all end alike, a short one and a long one
    assert shown.count("<table") == 2
    assert ">no match</div>" in shown


@pytest.mark.parametrize(("fixed", "losing"), [(False, 4), (True, 0)])
def test_two_updates_of_different_chapters(unguarded, fixed, losing):
    found = explore(sources.BACKEND if fixed else unguarded, [rename("ch1", "X"), rename("ch2", "Y")])

    assert (len(found.orders), len(found.losing)) == (6, losing)
    assert all((order.titles == ("X", "Y")) != order.loses for order in found.orders)


def test_a_schedule_gives_the_same_five_times(unguarded):
    assert len({replay(unguarded, TWO, "ABBA") for _ in range(5)}) == 1
    replayed = replay(unguarded, TWO, "ABBA")
    assert replayed.covers.startswith("Covered: this one order of the data commands on `books`")
    (order,) = replayed.orders
    assert order.titles == ("Chapter 1", "Chapter 2", "One")


@pytest.mark.parametrize(
    ("schedule", "message"), [("AAA", r"only .'B'. can go on"), ("AAB", "ends early"), ("C", "only")]
)
def test_a_schedule_that_does_not_fit_is_refused(unguarded, schedule, message):
    with pytest.raises(CannotExplore, match=message):
        replay(unguarded, TWO, schedule)


def test_an_operation_that_waits_for_a_lock_leaves_the_others_the_choice(unguarded):
    locks = {}

    def locked(operation):
        async def call(toc, book):
            async with locks.setdefault(book, asyncio.Lock()):
                return await operation(toc, book)

        return call

    found = explore(unguarded, [locked(each) for each in TWO])

    assert {order.schedule for order in found.orders} == {"AABB"}  # A takes the lock first, always
    assert not found.losing


LOCK = """

import asyncio

_one_at_a_time = asyncio.Lock()
_unlocked = _change_chapters


async def _change_chapters(*arguments):
    async with _one_at_a_time:
        return await _unlocked(*arguments)
"""


def test_a_lock_of_asyncios_keeps_all_in_one_process_and_nothing_in_two(unguarded):
    with (unguarded / sources.APP).open("a") as file:
        file.write(LOCK)

    assert [order.schedule for order in explore(unguarded, TWO).orders] == ["AABB"]
    found = explore(unguarded, TWO, processes=True)
    assert (len(found.orders), len(found.losing)) == (6, 4)
    assert "each operation in a process of its own" in found.covers


def test_two_processes_find_what_one_finds(tmp_path):
    two = [replace_toc("X"), rename("ch9", "Y")]
    bound = {"replica_set": True, "attempts": 2, "driver": "pymongo"}

    found = explore(sources.BACKEND, two, processes=True, **bound)
    assert found.orders == explore(sources.BACKEND, two, **bound).orders
    assert found.failing


def test_what_cannot_go_to_another_process_is_refused():
    async def own(toc, book):
        return None

    with pytest.raises(CannotExplore, match="The operation B cannot be sent to another process"):
        explore(sources.BACKEND, [add("One"), own], processes=True)


def test_a_process_that_ends_by_itself_ends_the_exploration(unguarded):
    with pytest.raises(CannotExplore, match="The process of A ended"):
        explore(unguarded, [exits, add("One")], processes=True)


def test_operations_that_wait_for_each_other_are_stuck(unguarded):
    async def waits(toc, book):
        await asyncio.Event().wait()

    with pytest.raises(CannotExplore, match=r"Stuck: .'A', 'B'. wait for each other"):
        explore(unguarded, [waits, waits])


def test_a_sleep_is_no_mend(unguarded):
    def slow(operation, seconds):
        async def call(toc, book):
            await asyncio.sleep(seconds)
            return await operation(toc, book)

        return call

    found = explore(unguarded, [TWO[0], slow(TWO[1], 0.05)])

    assert (len(found.orders), len(found.losing)) == (6, 4)


def test_an_error_of_an_operation_is_a_result_and_no_loss(unguarded):
    found = explore(unguarded, [add("One"), rename("ch9", "X")])

    assert {order.results for order in found.orders} == {("done", "ValueError: Chapter not found")}
    assert not found.losing


@pytest.mark.parametrize("driver", ["motor", "pymongo"])
def test_transactions_that_retry_lose_nothing_and_are_ended_when_their_attempts_are_used_up(driver):
    two = [replace_toc("X"), replace_toc("Y")]
    found = explore(sources.BACKEND, two, driver=driver, replica_set=True, attempts=2)

    assert (len(found.orders), len(found.losing), len(found.using_up), len(found.failing)) == (26, 0, 12, 0)
    assert {result for order in found.using_up for result in order.results} == {"done", "used up 2 attempts"}
    assert {step.effect for order in found.orders for step in order.steps} == {"", "WriteConflict"}
    assert all(order.version == 1 + order.results.count("done") for order in found.orders)
    assert found == explore(sources.BACKEND, two, driver=driver, replica_set=True, attempts=2)


def test_the_commit_is_a_step_at_which_others_see_the_write():
    two = [replace_toc("X"), rename("ch1", "Y")]
    before, after = (
        replay(sources.BACKEND, two, schedule, replica_set=True).orders[0] for schedule in ("AABABB", "AAAB")
    )

    assert [step.command for step in before.steps[:4]] == ["find", "update", "find", "commitTransaction"]
    assert after.results == ("done", "ValueError: Chapter not found")  # B saw the new TOC, without ch1
    assert before.results == after.results


def test_a_write_that_waits_for_a_transaction_is_shown_and_goes_on_as_a_step():
    found = explore(sources.BACKEND, [replace_toc("X"), add("One")], replica_set=True, attempts=3)

    waiting = [order for order in found.orders if any(step.waits for step in order.steps)]
    assert {order.schedule for order in waiting} == {"AABBABBB", "ABABABBB", "BAABABBB"}
    assert not found.losing
    assert "B update (waits)  A commit  B update (no match)" in str(found)


def test_operations_that_wait_for_the_same_transaction_go_on_in_every_order():
    three = [replace_toc("X"), add("One"), add("Two")]
    orders = [
        replay(sources.BACKEND, three, schedule, replica_set=True).orders[0]
        for schedule in ("BCAABCABCBBCC", "BCAABCACBBBCC")
    ]

    assert all(sum(step.waits for step in order.steps) == 2 for order in orders)
    assert all((order.titles, order.version) == (("One", "Two", "X"), 4) for order in orders)


def test_without_a_bound_an_order_that_has_no_end_is_refused(monkeypatch):
    monkeypatch.setattr(stepper, "MOST_STEPS", 20)
    with pytest.raises(CannotExplore, match="no end after 20 steps: give `attempts`"):
        explore(sources.BACKEND, [replace_toc("X"), replace_toc("Y")], replica_set=True)


def test_a_few_orders_are_shown_each_with_its_outcome(unguarded):
    found = explore(unguarded, TWO)
    shown = found._repr_mimebundle_()

    assert str(found).startswith("6 orders, one command at a time: 4 lost a change")
    assert str(found).count("✗ LOST") == shown["text/html"].count("✗ LOST</span>") == 4
    assert "✓ kept  A find  A update  B find  B update  ->  Chapter 1, Chapter 2, One, Two" in str(found)
    assert found.covers.startswith("Covered: every order of the data commands on `books`, one at a time")
    assert found.covers in shown["text/plain"]
    assert shown["text/html"].count("<table") == 6
    assert (shown["application/vnd.tocdemo.orders+json"]["orders"], len(found.losing)) == (6, 4)


def test_many_orders_are_grouped_by_their_outcomes(unguarded):
    found = explore(unguarded, THREE)

    assert sorted(len(orders) for orders in found.outcomes().values()) == [6, 12, 12, 12, 16, 16, 16]
    assert found._repr_mimebundle_()["text/html"].count("<table") == 7
    assert "    6 × ✓ kept  Chapter 1, Chapter 2, One, Three, Two, such as AABBCC" in str(found)


def test_the_verb_explores_the_workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("TOCDEMO_WORKSPACE", str(tmp_path / "workspace"))
    with pytest.raises(inline.CannotRun, match="no workspace yet"):
        lab.interleavings(*TWO)
    lab.workspace("as-fixed")
    assert len(lab.interleavings(*TWO).losing) == 4
    assert len(lab.interleavings(*TWO, schedule="ABBA").losing) == 1
    lab.workspace("fixed")
    assert len(lab.interleavings(*TWO, driver="pymongo").losing) == 0


@pytest.mark.parametrize("count", [0, 1, 5])
def test_it_takes_two_to_four_operations(count):
    with pytest.raises(CannotExplore, match=f"two to four operations, found {count}"):
        explore(sources.BACKEND, [add("One")] * count)


def test_a_folder_without_a_backend_is_refused(tmp_path):
    with pytest.raises(CannotExplore, match="expected a folder `app`"):
        explore(tmp_path, TWO)


def test_the_benchmark_compares_with_the_same_commands_alone(monkeypatch, capsys):
    monkeypatch.setattr(
        benchmark.engine, "explore", lambda folder, three, **other: explore(folder, three[:2], **other)
    )

    assert benchmark.main(["--rounds", "1"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("6 orders of three adds, 32 commands, motor")
    assert re.search(r"ratio +\d+\.\d\d\n", said)


INTERRUPTED = """
    import _thread, json, sys, threading, time
    from pathlib import Path
    from tocdemo.explorer.engine import explore
    from tocdemo.explorer.operations import add

    def interrupt_when_it_runs():
        while "tocdemo-explorer" not in {thread.name for thread in threading.enumerate()}:
            pass
        time.sleep(float(sys.argv[2]))
        _thread.interrupt_main()

    threading.Thread(target=interrupt_when_it_runs, daemon=True).start()
    try:
        explore(Path(sys.argv[1]), [add("A"), add("B"), add("C")])
        ended = "by itself"
    except KeyboardInterrupt:
        ended = "by the interrupt"
    time.sleep(0.2)  # for a thread that has nothing left to do
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("tocdemo")]
    print(json.dumps([ended, left, len(explore(Path(sys.argv[1]), [add("A"), add("B")]).orders)]))
    """


@pytest.mark.parametrize("after", ["0", "0.7"])
def test_an_interrupt_ends_an_exploration_and_the_next_is_whole(after):
    done = subprocess.run(
        [sys.executable, "-c", dedent(INTERRUPTED), str(sources.BACKEND), after],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["by the interrupt", [], 6]
