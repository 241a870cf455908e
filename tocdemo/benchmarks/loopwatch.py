"""What loopwatch costs, as ratios to the same run without it, measured in the same process.

Each round runs the suite bare, watched and bare again; the
median of the rounds' ratios counts. The ratio of the two bare runs (the null ratio) says how much is noise.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from tocdemo.loopwatch import Watch
from tocdemo.server import EmbeddedServer

BACKEND = Path(__file__).resolve().parents[1] / "backend"
THE_28 = "tests/test_db/test_toc_transactions.py"
INI = "[pytest]\nasyncio_mode = strict\nasyncio_default_fixture_loop_scope = function\n"
QUIET = ("-q", "-p", "no:cacheprovider", "-o", "addopts=", "--no-header", "--no-summary")
TRIVIAL = """
    import pytest


    @pytest.mark.asyncio
    @pytest.mark.parametrize("n", range({count}))
    async def test_trivial(n):
        pass
    """
RED = """
    import pytest
    import base
    from base import books_collection
    from motor.motor_asyncio import AsyncIOMotorClient


    @pytest.fixture
    def fresh():
        base.books_collection = AsyncIOMotorClient("mongodb://127.0.0.1:9")["db"]["books"]


    @pytest.mark.asyncio
    async def test_first(fresh):
        assert books_collection.database.client.io_loop is not None


    @pytest.mark.asyncio
    @pytest.mark.parametrize("n", range(40))
    async def test_red(fresh, n):
        await books_collection.find_one({"_id": n})
    """
BASE = """
    from motor.motor_asyncio import AsyncIOMotorClient

    books_collection = AsyncIOMotorClient("mongodb://127.0.0.1:9")["db"]["books"]
    """


class TimedWatch(Watch):
    """A `Watch` that notes what each failing test costs: seeing its uses and explaining it, in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.spent: list[float] = []
        self._seeing = 0.0

    def _start(self, config: pytest.Config) -> None:
        fresh = self._live is None
        super()._start(config)
        if fresh and self._live is not None:
            uses = self._live.uses
            note = uses.note

            def timed_note(*args) -> None:
                began = time.perf_counter()
                note(*args)
                self._seeing += time.perf_counter() - began

            setattr(uses, "note", timed_note)  # noqa: B010 (mypy takes it for a method)

    def _explain(self, *args) -> None:
        began = time.perf_counter()
        super()._explain(*args)
        self.spent.append(self._seeing + time.perf_counter() - began)
        self._seeing = 0.0


@dataclass(frozen=True)
class Ratio:
    """The medians over all rounds: processor seconds of a bare run, watched ÷ bare, and bare ÷ bare."""

    bare: float
    watched: float
    null: float


def run_once(
    folder: Path, watch: Watch | None, expected: pytest.ExitCode = pytest.ExitCode.OK, only: str = "."
) -> float:
    """Run the suite here on freshly imported modules; return the processor seconds of this process.

    Not the wall's: other processes must not count, and the plugin waits for nothing.
    """
    modules, path = set(sys.modules), list(sys.path)
    gc.collect()
    began = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        code = pytest.main(
            [*QUIET, f"--rootdir={folder}", str(folder / only)], plugins=[watch] if watch else []
        )
    spent = time.process_time() - began
    for name in set(sys.modules) - modules:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(folder)):
            del sys.modules[name]
    sys.path[:] = path
    if code != expected:
        raise RuntimeError(
            f"the suite in {folder} ended with {code!r}, not {expected!r}:\n{printed.getvalue()}"
        )
    return spent


def ratio(folder: Path, rounds: int, only: str = ".") -> Ratio:
    """Measure one suite: `rounds` times bare, watched, bare, with the two bare ones in turn in front."""
    run_once(folder, None, only=only)
    bare, watched, null = [], [], []
    for number in range(rounds):
        first = run_once(folder, None, only=only)
        middle = run_once(folder, Watch(), only=only)
        last = run_once(folder, None, only=only)
        bare += [first, last]
        watched.append(middle / ((first + last) / 2))
        null.append(first / last if number % 2 else last / first)
    return Ratio(statistics.median(bare), statistics.median(watched), statistics.median(null))


@contextlib.contextmanager
def _project(**files: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (folder / "pytest.ini").write_text(INI)
        for file, text in files.items():
            (folder / f"{file}.py").write_text(dedent(text))
        yield folder


def _green_28(rounds: int) -> Ratio:
    with tempfile.TemporaryDirectory() as name, EmbeddedServer() as server:
        folder = Path(name).resolve() / "backend"
        shutil.copytree(BACKEND, folder, ignore=shutil.ignore_patterns("__pycache__"))
        os.environ.update(DATABASE_URI=server.uri, DATABASE_NAME="toctest_bench", DATABASE_DRIVER="motor")
        return ratio(folder, rounds, only=THE_28)


def _trivial(rounds: int, count: int = 2000) -> Ratio:
    with _project(test_trivial=TRIVIAL.format(count=count)) as folder:
        return ratio(folder, rounds)


def _red() -> tuple[float, float]:
    """Return the seconds that the full explanation took, and the median of those that refer to it."""
    full, repeats = [], []
    for _ in range(5):
        with _project(base=BASE, test_red=RED) as folder:
            watch = TimedWatch()
            run_once(folder, watch, pytest.ExitCode.TESTS_FAILED)
            full.append(watch.spent[0])
            repeats += watch.spent[1:]
    return statistics.median(full), statistics.median(repeats)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return 0 if every goal is met, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m tocdemo bench loopwatch", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="rounds for each ratio (default: 30)")
    rounds = parser.parse_args(argv).rounds
    if rounds < 1:
        parser.error("--rounds: expected at least 1")
    met = True
    for what, measure, goal in (("green 28", _green_28, 1.05), ("2,000 trivial async tests", _trivial, 1.08)):
        found = measure(rounds)
        met &= found.watched <= goal
        print(
            f"{what}: watched ÷ bare {found.watched:.3f} (goal {goal}; null ratio {found.null:.3f}; "
            f"bare {found.bare:.3f} s; median of {rounds} rounds)",
            flush=True,
        )
    full, repeat = _red()
    met &= full <= 0.1 and repeat <= 0.001
    print(f"red: a distinct cause {full * 1000:.1f} ms (goal 100), a repeat {repeat * 1000:.2f} ms (goal 1)")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
