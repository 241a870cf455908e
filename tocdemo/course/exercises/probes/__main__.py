"""The process that runs a learner's code: it loads what all questions need, then answers one after the other.

A question is a line of JSON on its standard input; a line on its standard output says that it has ended, and
how. What was seen is in files, so that it is there, too, when the learner's code ends the process.
"""

import faulthandler
import gc
import importlib
import json
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from types import AsyncGeneratorType, CoroutineType
from typing import Any

from _pytest.config import default_plugins

from .notes import Notes

# Loaded before the first question: this is most of what a check would wait for.
_LOADED = (
    "pytest_asyncio.plugin",
    "motor.motor_asyncio",
    "tocdemo.runner.database_plugin",
    "tocdemo.explorer.engine",
)


def _main() -> None:
    questions, answers = os.fdopen(os.dup(0), "rb"), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(null, stream)
    for name in (*_LOADED, *_plugins()):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is loaded stays: a fork need not look through it, and so copy it
    os.write(answers, b"ready\n")
    for line in questions:
        question = json.loads(line)
        if question["fork"]:
            os.write(answers, f"{_in_a_fork(question)}\n".encode())
        else:
            _answer(question)
            os.write(answers, b"status 0\n")
            os._exit(0)  # what the learner's code has changed in this process ends with it


def _plugins() -> list[str]:
    """Return the modules of pytest's own plugins, which it imports when a run begins."""
    return [f"_pytest.{name}" for name in default_plugins]


def _in_a_fork(question: dict[str, Any]) -> str:
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return f"status {os.waitstatus_to_exitcode(status)}"
    signal.alarm(int(question["limit"]) + 10)  # should this process's parent be gone by then
    try:
        _answer(question)
    finally:
        os._exit(0)


def _answer(question: dict[str, Any]) -> None:
    own, folder = Path(question["own"]), Path(question["folder"])
    with (own / "stack").open("w", encoding="utf-8") as stack:
        # A second before the end, if Python still runs then: a coroutine that waits is on no stack.
        notes = Notes(own / "notes", folder, question["meant"])
        watch = threading.Timer(question["limit"] - 1, _note_waiting, [notes])
        watch.daemon = True
        watch.start()
        faulthandler.dump_traceback_later(question["limit"], exit=True, file=stack)
        sys.dont_write_bytecode = True
        try:
            probe = importlib.import_module(f"{__package__}.{question['kind']}")
            os.chdir(folder)
            probe.look(folder, notes, **question["more"])
        except BaseException as error:
            notes.raised("trouble", error, trace=traceback.format_exc()[-4000:])
        watch.cancel()
        notes.add("end")
        faulthandler.cancel_dump_traceback_later()


def _note_waiting(notes: Notes) -> None:
    """Note where the learner's coroutines and asynchronous generators wait for what is not the learner's."""
    waiting = [each for each in gc.get_objects() if isinstance(each, CoroutineType | AsyncGeneratorType)]
    places = {id(each): notes.place_above(_part(each, "frame")) for each in waiting}
    for each in waiting:
        awaited = _part(each, "await")
        if places[id(each)] and awaited is not None and not places.get(id(awaited)):
            notes.add("waits", place=places[id(each)])


def _part(each: CoroutineType | AsyncGeneratorType, name: str) -> Any:
    return getattr(each, f"{'cr' if isinstance(each, CoroutineType) else 'ag'}_{name}")


if __name__ == "__main__":
    _main()
