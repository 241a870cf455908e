"""Operations that each run in a Python process of their own, as two workers of a web server do.

Each process runs this module, and is told by a line on its standard input to run its operation once on a
book. It answers with a line for each command that it is about to send or that did nothing, and a line with
the end. It knows nothing of schedules and gates.
"""

import asyncio
import contextlib
import json
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tocdemo.runner.databases import Database
from tocdemo.runner.worker import pipes

from . import backend
from .backend import CannotExplore, Notes, Operation, Sent, Told


class Processes:
    """A process for each operation, until `close`.

    `notes` is told what the processes tell, on threads of this one. Raises CannotExplore for an operation
    that cannot be sent to another process.
    """

    def __init__(
        self, folder: Path, database: Database, operations: Mapping[str, Operation], notes: Notes
    ) -> None:
        self._notes = notes
        self._ends: dict[str, Callable[[str | None], None]] = {}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        jobs = {letter: _pickled(folder, database, letter, each) for letter, each in operations.items()}
        for letter, job in jobs.items():
            child = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # a Ctrl-C is for this process, which then ends the others
            )
            self._children[letter] = child
            questions, _ = pipes(child)
            questions.write(job)
            questions.flush()
            threading.Thread(target=self._listen, args=(letter, child), daemon=True).start()

    async def run(self, letter: str, book: str) -> Told:
        """Run an operation on a book, and return what its caller was told."""
        loop = asyncio.get_running_loop()
        end = loop.create_future()

        def settle(words: str | None) -> None:
            if end.done():
                return
            if words is None:
                end.set_exception(CannotExplore(f"The process of {letter} ended; see its error above"))
            else:
                end.set_result(Told(words))

        def told(words: str | None) -> None:
            loop.call_soon_threadsafe(settle, words)

        self._ends[letter] = told
        child = self._children[letter]
        questions, _ = pipes(child)
        with contextlib.suppress(BrokenPipeError):  # then its end is told
            questions.write(f"{book}\n".encode())
            questions.flush()
        return await end

    def close(self) -> None:
        """End the processes."""
        for child in self._children.values():
            child.kill()
        for child in self._children.values():
            child.wait()
            with contextlib.suppress(BrokenPipeError):
                pipes(child)[0].close()

    def _listen(self, letter: str, child: subprocess.Popen[bytes]) -> None:
        _, answers = pipes(child)
        with answers:
            for line in answers:
                message = json.loads(line)
                if "sends" in message:
                    self._notes.sends(tuple(message["sends"]), letter)
                elif "did_nothing" in message:
                    self._notes.did_nothing(tuple(message["did_nothing"]), message["effect"])
                else:
                    self._ends[letter](message["told"])
        with contextlib.suppress(KeyError, RuntimeError):  # nobody waits, or their loop is closed
            self._ends[letter](None)


def _pickled(folder: Path, database: Database, letter: str, operation: Operation) -> bytes:
    try:
        return pickle.dumps((folder, database, letter, operation))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise CannotExplore(
            f"The operation {letter} cannot be sent to another process ({error}). Those of add, rename and "
            f"replace_toc can."
        ) from error


# --- in the other process ----------------------------------------------------------------------------------


class _Messages(Notes):
    """Notes that go to the process of the explorer, a line each."""

    def __init__(self) -> None:
        super().__init__()
        self._out = sys.stdout
        sys.stdout = sys.stderr  # what the backend prints is no message

    def say(self, **message: Any) -> None:
        """Write a line."""
        self._out.write(f"{json.dumps(message)}\n")
        self._out.flush()

    def sends(self, sent: Sent, letter: str) -> None:
        self.say(sends=sent)

    def did_nothing(self, sent: Sent, effect: str) -> None:
        self.say(did_nothing=sent, effect=effect)


def _main() -> None:
    folder, database, letter, operation = pickle.load(sys.stdin.buffer)
    messages = _Messages()

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
            coroutine = _once(operation, opened, line.decode().strip())
            context = backend.context_of(letter)
            messages.say(told=await loop.create_task(coroutine, context=context))

    with backend.opened(folder, database, messages) as opened:
        asyncio.run(serve())


async def _once(operation: Operation, opened: backend.Backend, book: str) -> str:
    try:
        return backend.told(await operation(opened.toc, book))
    except Exception as error:
        return backend.told(error)


if __name__ == "__main__":
    _main()
