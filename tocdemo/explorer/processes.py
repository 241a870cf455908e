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
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tocdemo.errors import CannotExplore
from tocdemo.runner.databases import Database

from . import backend
from .backend import Notes, Operation, Sent, Told


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
        self._children: dict[str, _Child] = {}
        jobs = {letter: _pickled(folder, database, letter, call) for letter, call in operations.items()}
        for letter, job in jobs.items():
            child = self._children[letter] = _started()
            child.tell(job)
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

        def from_its_thread(words: str | None) -> None:
            loop.call_soon_threadsafe(settle, words)

        self._ends[letter] = from_its_thread
        with contextlib.suppress(BrokenPipeError):  # then its end is told
            self._children[letter].tell(f"{book}\n".encode())
        return await end

    def close(self) -> None:
        """End the processes."""
        for child in self._children.values():
            child.process.kill()
        for child in self._children.values():
            child.process.wait()
            with contextlib.suppress(BrokenPipeError):
                child.questions.close()

    def _listen(self, letter: str, child: "_Child") -> None:
        with child.answers:
            for line in child.answers:
                message = json.loads(line)
                if "sends" in message:
                    self._notes.sends(tuple(message["sends"]), letter)
                elif "did_nothing" in message:
                    self._notes.did_nothing(tuple(message["did_nothing"]), message["effect"])
                else:
                    self._ends[letter](message["told"])
        with contextlib.suppress(KeyError, RuntimeError):  # nobody waits, or their loop is closed
            self._ends[letter](None)


@dataclass(frozen=True)
class _Child:
    """A process of this module, and the two pipes to it."""

    process: subprocess.Popen[bytes]
    questions: IO[bytes]
    answers: IO[bytes]

    def tell(self, message: bytes) -> None:
        self.questions.write(message)
        self.questions.flush()


def _started() -> _Child:
    process = subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # a Ctrl-C is for this process, which then ends the others
    )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("A process was started without its pipes")
    return _Child(process, process.stdin, process.stdout)


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
