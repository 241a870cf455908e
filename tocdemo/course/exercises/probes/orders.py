"""The question of two writers: which orders of their commands lose a change, and what a single one does.

It asks about single changes first, then runs two at once in every order. The explorer knows the orders.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from tocdemo.errors import CannotExplore
from tocdemo.explorer import engine
from tocdemo.explorer.orders import COMMIT, DONE, Order, Orders
from tocdemo.runner import databases

from .changes import OPERATIONS, Backend
from .notes import Notes

MOST_TRIES = 3  # writes after one read: more make too many orders to try them all


def look(
    folder: Path,
    notes: Notes,
    *,
    pairs: list[list[str]],
    replica_set: bool = False,
    attempts: int | None = None,
    also: list[str],
) -> None:
    """Look at single changes as `also` says (such as "alone"), then at the `pairs` in every order."""
    with databases.open_database("replica-set" if replica_set else "embedded") as own:
        os.environ.update(own.environment())
        sys.path.insert(0, str(folder))
        with MongoClient[dict[str, Any]](own.uri) as client:
            backend = Backend(notes, client[own.name])
            for name in also:
                asyncio.run(getattr(backend, name)())
        # The explorer loads it afresh.
        sys.path.remove(str(folder))
    if backend.most_tries > MOST_TRIES:
        return
    in_processes = not replica_set
    for pair in pairs:
        if _explore(folder, notes, pair, replica_set, attempts) and in_processes:
            in_processes = False  # once is enough: it takes long
            _explore_processes(folder, notes, pair)


def _explore(folder: Path, notes: Notes, pair: list[str], replica_set: bool, attempts: int | None) -> bool:
    """Note the orders of a pair. Returns whether they lose nothing, and are fewer than two free changes have.

    Then one change waits for the other, perhaps in this process only.
    """
    try:
        operations = [OPERATIONS[name] for name in pair]
        orders = engine.explore(folder, operations, replica_set=replica_set, attempts=attempts)
    except CannotExplore as error:
        notes.add("orders", pair=pair, error=str(error))
        return False
    _note_orders(notes, pair, orders, processes=False)
    return len(orders.orders) < 6 and not _losing(orders)


def _explore_processes(folder: Path, notes: Notes, pair: list[str]) -> None:
    try:
        orders = engine.explore(folder, [OPERATIONS[name] for name in pair], processes=True)
        _note_orders(notes, pair, orders, processes=True)
    except CannotExplore as error:
        notes.add("orders", pair=pair, error=str(error))


def _note_orders(notes: Notes, pair: list[str], orders: Orders, *, processes: bool) -> None:
    losing = _losing(orders)
    notes.add(
        "orders",
        pair=pair,
        processes=processes,
        count=len(orders.orders),
        losing=len(losing),
        failing=len(orders.failing),
        lost=_words(losing[0], pair) if losing else "",
        failed=_words(orders.failing[0], pair) if orders.failing else "",
        loser=_loser(losing[0], pair) if losing else "",
        refused=_refused(orders.failing[0], pair) if orders.failing else ("", ""),
    )


def _losing(orders: Orders) -> list[Order]:
    """Return the orders that lose a change: by the version, or since one after the other gives other titles.

    The version counts the changes that are stored, if each was made to what the one before it had stored.
    """
    serial = {order.titles for order in orders.orders if _is_serial(order.schedule)}
    return [
        order
        for order in orders.orders
        if order.loses or (set(order.results) == {DONE} and order.titles not in serial)
    ]


def _is_serial(schedule: str) -> bool:
    return list(schedule) in (sorted(schedule), sorted(schedule, reverse=True))


def _loser(order: Order, pair: list[str]) -> str:
    """Return the operation that did not store what it said; else the last writer, over the other's."""
    writes = [step for step in order.steps if step.command not in ("find", COMMIT)]
    for name, letter, told in zip(pair, "AB", order.results, strict=True):
        own = [step for step in writes if step.letter == letter]
        if told == DONE and own and own[-1].effect:
            return name
    stored = [step.letter for step in writes if not step.effect]
    return pair["AB".index(stored[-1])] if stored else pair[0]


def _refused(order: Order, pair: list[str]) -> tuple[str, str]:
    """Return the operation whose caller got an error, and the error."""
    told = dict(zip(pair, order.results, strict=True))
    return next(
        (name, told[name]) for name in pair if told[name] != "done" and not told[name].startswith("used up")
    )


def _words(order: Order, pair: list[str]) -> str:
    """Return an order in words: what each step sends, and for which operation."""
    names = dict(zip("AB", pair if pair[0] != pair[1] else ["one", "two"], strict=True))
    return ", ".join(f"{names[step.letter]}: {step.command}" for step in order.steps)
