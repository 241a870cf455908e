"""The explorer, and by it the backend's concurrency: every order, not many repetitions."""

import asyncio

import pytest

from tocdemo.lab import faults, sources
from tocdemo.lab.explorer import CannotExplore, add, explore, rename, replay

TWO = [add("One"), add("Two")]
THREE = [*TWO, add("Three")]


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
    assert sum(len(order.steps) > 4 for order in found.orders) == 4  # those try a second time


def test_three_unguarded_adds_lose_in_84_of_90_orders(unguarded):
    found = explore(unguarded, THREE)

    assert (len(found.orders), len(found.losing)) == (90, 84)


def test_no_order_of_three_guarded_adds_loses_a_chapter():
    found = explore(sources.BACKEND, THREE)

    assert (len(found.orders), len(found.losing)) == (498, 0)
    assert {order.version for order in found.orders} == {4}
    assert len({order.schedule for order in found.orders}) == 498


@pytest.mark.parametrize(("mended", "losing"), [(False, 4), (True, 0)])
def test_two_updates_of_different_chapters(unguarded, mended, losing):
    found = explore(sources.BACKEND if mended else unguarded, [rename("ch1", "X"), rename("ch2", "Y")])

    assert (len(found.orders), len(found.losing)) == (6, losing)
    assert all((order.titles == ("X", "Y")) != order.loses for order in found.orders)


def test_a_schedule_gives_the_same_five_times(unguarded):
    assert len({replay(unguarded, TWO, "ABBA") for _ in range(5)}) == 1
    (order,) = replay(unguarded, TWO, "ABBA").orders
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


def test_equal_outcomes_are_grouped_and_shown(unguarded):
    found = explore(unguarded, TWO)

    assert sorted(len(orders) for orders in found.outcomes().values()) == [2, 2, 2]
    assert str(found).startswith("6 orders of the data commands on `books`, one command at a time; 4 lose")
    assert str(found).count("LOST") == 2


@pytest.mark.parametrize("count", [0, 1, 5])
def test_it_takes_two_to_four_operations(count):
    with pytest.raises(CannotExplore, match=f"two to four operations, found {count}"):
        explore(sources.BACKEND, [add("One")] * count)


def test_a_folder_without_a_backend_is_refused(tmp_path):
    with pytest.raises(CannotExplore, match="expected a folder `app`"):
        explore(tmp_path, TWO)
