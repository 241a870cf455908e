"""The plugin among others: what it leaves behind, what it keeps, and other ways to run async tests."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from asyncio.base_events import BaseEventLoop
from asyncio.mixins import _LoopBoundMixin
from dataclasses import fields

import pytest
from motor.motor_asyncio import AsyncIOMotorClient

from tocdemo.loopwatch import Watch
from tocdemo.loopwatch.pictures import who_holds_what
from tocdemo.loopwatch.recording import Place

from .projects import QUICKLY, needs_loop_scope, run, write
from .test_explain import STORE

pytest_plugins = ["pytester"]

TWO = {
    "store.py": STORE,
    "test_store.py": """
        import pytest
        from store import store


        @pytest.mark.asyncio
        @pytest.mark.parametrize("n", [1, 2])
        async def test_get(n):
            assert await store.get("name") == "name"
        """,
}
PASSING = {
    "test_pass.py": """
        import asyncio
        import pytest


        @pytest.mark.asyncio
        @pytest.mark.parametrize("n", range(5))
        async def test_pass(n):
            await asyncio.sleep(0)
        """
}


def phase(place: Place | None) -> str | None:
    """Return the phase of a place that was seen."""
    return place.phase if place else None


def patched_things() -> list:
    """Everything that the ledger replaces, as it is now."""
    owners = (BaseEventLoop, _LoopBoundMixin, AsyncIOMotorClient)
    return [*(dict(vars(owner)) for owner in owners), list(sys.meta_path)]


@pytest.mark.parametrize("args", [(), ("--no-such-option",), ("--co",), ("no_such_file.py",)])
def test_everything_is_put_back_however_the_run_ends(pytester, args):
    before = patched_things()
    write(pytester, {**TWO, "conftest.py": "import store\n"})
    watch = Watch()
    pytester.runpytest_inprocess(*QUICKLY, *args, plugins=[watch])
    assert patched_things() == before


def test_everything_is_put_back_when_a_conftest_raises(pytester):
    before = patched_things()
    write(pytester, {**PASSING, "conftest.py": "1 / 0\n"})
    pytester.runpytest_inprocess(*QUICKLY, plugins=[Watch()])
    assert patched_things() == before


def test_a_closed_loop_is_as_asyncio_made_it_after_the_run(pytester):
    kept = []
    watch = Watch()
    write(
        pytester,
        {"test_keep.py": "def test_keep():\n    import asyncio\n    keep(asyncio.new_event_loop())\n"},
    )

    class Keeper:
        def pytest_runtest_setup(self, item):
            item.obj.__globals__["keep"] = self.keep

        def keep(self, loop):
            kept.append(loop)
            loop.close()

    pytester.runpytest_inprocess(*QUICKLY, plugins=[watch, Keeper()])
    (loop,) = kept
    assert watch.recording is not None
    assert phase(watch.recording.loops[0].closed) == "call"
    assert "_check_closed" not in vars(loop)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.call_soon(print)


KEEP_NOTHING = """
    import gc, sys, weakref
    import pytest
    from tocdemo.loopwatch import Watch

    refs = []


    class Keeper:
        def pytest_runtest_setup(self, item):
            item.obj.__globals__["keep"] = lambda *things: refs.extend(map(weakref.ref, things))


    watch = Watch()
    pytest.main(["-q", "test_keep.py"], plugins=[watch, Keeper()])
    for name in ("last_exc", "last_value", "last_traceback", "last_type"):  # pytest itself keeps these
        vars(sys).pop(name, None)
    gc.collect()
    alive = [ref() for ref in refs if ref() is not None]
    print("ALIVE", len(refs), alive, watch.recording.client(1).closed.phase)
    """


def test_no_loop_and_no_client_is_kept_alive(pytester):
    """In a process of its own: pytester keeps every report of a run in this one."""
    write(
        pytester,
        {
            "main.py": KEEP_NOTHING,
            "test_keep.py": """
                import asyncio
                import pytest
                from motor.motor_asyncio import AsyncIOMotorClient


                @pytest.mark.asyncio
                async def test_make():
                    client = AsyncIOMotorClient("mongodb://127.0.0.1:9")
                    keep(client, client.io_loop)
                    client.close()


                @pytest.mark.asyncio
                async def test_fail():
                    loop = asyncio.new_event_loop()
                    loop.close()
                    keep(loop)
                    loop.call_soon(print)
                """,
        },
    )
    done = subprocess.run(
        [sys.executable, "main.py"], cwd=pytester.path, capture_output=True, text=True, timeout=60, check=True
    )
    assert "1 failed, 1 passed" in done.stdout
    assert done.stdout.splitlines()[-1] == "ALIVE 3 [] call"


def test_the_output_of_a_passing_suite_is_unchanged(pytester):
    write(pytester, PASSING)

    def printed(*plugins):
        lines = pytester.runpytest_inprocess(*QUICKLY, "-v", plugins=plugins).stdout.str()
        return re.sub(r"in [\d.]+s", "in a moment", lines)

    assert printed(Watch()) == printed()


def test_the_record_has_loops_tests_and_fixtures_and_its_json_too(pytester):
    outcome = run(pytester, TWO)
    recording = outcome.recording
    assert [loop.number for loop in recording.loops][:2] == [1, 2]
    assert [phase(loop.closed) for loop in recording.loops[:2]] == ["teardown", "teardown"]
    assert [(test.number, test.outcome, test.loop) for test in recording.tests] == [
        (1, "passed", 1),
        (2, "failed", 2),
    ]
    assert recording.tests[1].error == "RuntimeError: Event loop is closed"
    assert set(recording.tests[0].phases) == {"setup", "call", "teardown"}
    assert {fixture.name for fixture in recording.fixtures} >= {"event_loop_policy"}
    (use,) = recording.uses
    assert (use.loop, use.running, use.place.file) == (1, 2, "store.py")
    written = json.loads(recording.to_json())
    assert written.pop("loopwatch") == 1
    assert set(written) == {field.name for field in fields(recording)}
    assert len(written["loops"]) == len(recording.loops)
    assert (written["uses"][0]["loop"], written["uses"][0]["place"]["file"]) == (1, "store.py")


def test_memory_grows_with_loops_and_clients_not_with_calls(pytester):
    calls = {
        "store.py": STORE,
        "test_calls.py": """
            import asyncio
            import contextlib
            import pytest
            from store import store


            @pytest.mark.asyncio
            @pytest.mark.parametrize("n", [1, 2])
            async def test_calls(n):
                for call in range(200):
                    with contextlib.suppress(RuntimeError):
                        await store.get(call)
                assert n == 1
            """,
    }
    recording = run(pytester, calls).recording
    assert [(use.count, use.test) for use in recording.uses] == [(200, "test_calls.py::test_calls[2]")]
    assert len(recording.ran) < 20


@needs_loop_scope
def test_auto_mode_and_a_module_wide_loop(pytester):
    outcome = run(
        pytester,
        {
            "pytest.ini": """
                [pytest]
                asyncio_mode = auto
                asyncio_default_fixture_loop_scope = module
                asyncio_default_test_loop_scope = module
                """,
            **TWO,
        },
    )
    assert (outcome.passed, outcome.failed) == (2, 0)
    assert [test.loop for test in outcome.recording.tests] == [1, 1]
    closed = outcome.recording.loop(1).closed
    assert closed is not None
    assert closed.test == "test_store.py::test_get[2]"


def test_anyios_plugin(pytester):
    files = {
        **TWO,
        "conftest.py": "import pytest\n\n\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n",
    }
    files["test_store.py"] = files["test_store.py"].replace("mark.asyncio", "mark.anyio")
    outcome = run(pytester, files, "-p", "anyio")
    assert (outcome.passed, outcome.failed) == (1, 1)
    assert "belongs to loop #1" in outcome.explanation("test_get[2]")


def test_uvloop(pytester):
    pytest.importorskip("uvloop", reason="uvloop is not installed on Windows")
    policy = "import pytest\nimport uvloop\n\n\n@pytest.fixture(scope='session')\ndef event_loop_policy():\n"
    files = {**TWO, "conftest.py": policy + "    return uvloop.EventLoopPolicy()\n"}
    outcome = run(pytester, files, "-W", "ignore::DeprecationWarning")
    assert (outcome.passed, outcome.failed) == (1, 1)
    numbers = {test.loop for test in outcome.recording.tests}
    assert {loop.kind for loop in outcome.recording.loops if loop.number in numbers} == {"uvloop.Loop"}
    head = "belongs to loop #1, closed at the teardown of test_get[1]; this test runs on loop #2"
    assert head in outcome.explanation("test_get[2]")


def pytest_process(folder, *args) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *QUICKLY[:4], *args],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_dash_p_and_the_json_file_and_drivers_imported_later(pytester):
    """In a process of its own, where nothing has imported Motor before the run."""
    files = {
        **TWO,
        "test_client.py": """
            from motor.motor_asyncio import AsyncIOMotorClient

            client = AsyncIOMotorClient("mongodb://127.0.0.1:9")


            def test_client():
                pass
            """,
    }
    write(pytester, files)
    done = pytest_process(pytester.path, "-p", "tocdemo.loopwatch", "--loopwatch-json", "run.json")
    assert "1 failed, 2 passed" in done.stdout
    assert "belongs to loop #1" in done.stdout
    recording = json.loads((pytester.path / "run.json").read_text())
    kinds = [client["kind"] for client in recording["clients"]]
    assert kinds == ["motor.motor_asyncio.AsyncIOMotorClient", "store.Store"]
    assert {(holder["module"], holder["name"]) for holder in recording["holders"]} == {
        ("test_client", "client"),
        ("store", "store"),
        ("test_store", "store"),
    }


def test_a_json_file_in_a_folder_that_is_not_there_is_refused_before_the_run(pytester):
    write(pytester, PASSING)
    done = pytest_process(pytester.path, "-p", "tocdemo.loopwatch", "--loopwatch-json", "no/run.json")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--loopwatch-json: there is no folder" in done.stderr


def test_with_xdist_each_worker_writes_its_record(pytester):
    write(pytester, TWO)
    done = pytest_process(pytester.path, "-p", "tocdemo.loopwatch", "--loopwatch-json", "run.json", "-n", "1")
    assert "1 failed, 1 passed" in done.stdout
    assert "belongs to loop #1, closed at the teardown of test_get[1]" in done.stdout
    assert not (pytester.path / "run.json").exists()
    recording = json.loads((pytester.path / "run.gw0.json").read_text())
    assert recording["worker"] == "gw0"
    assert len(recording["tests"]) == 2


def test_a_loop_of_before_the_run_is_told_as_such(pytester, monkeypatch):
    """As in a kernel, where a client outlives the session that made its loop."""
    loop = asyncio.new_event_loop()
    loop.close()
    monkeypatch.setattr(pytest, "the_old_loop", loop, raising=False)
    outcome = run(
        pytester,
        {
            "test_old.py": """
                import pytest


                @pytest.mark.asyncio
                async def test_old():
                    old = pytest.the_old_loop
                    await old.run_in_executor(None, print)
                """
        },
    )
    assert (
        "belongs to loop #2, closed before the record began; this test runs on loop #1"
        in outcome.explanation("test_old")
    )


def test_of_a_green_run_the_names_are_those_at_the_end_of_its_last_test(pytester):
    """Later, every loop is closed: a picture of that moment would tell a sound run like a broken one."""
    recording = run(
        pytester,
        {
            "base.py": "client = None\n",
            "test_green.py": """
                import base
                import pytest
                from motor.motor_asyncio import AsyncIOMotorClient


                @pytest.mark.asyncio
                @pytest.mark.parametrize("n", [1, 2])
                async def test_green(n):
                    base.client = AsyncIOMotorClient("mongodb://127.0.0.1:9")
                    assert base.client.io_loop is not None
                """,
        },
    ).recording
    assert [(holder.module, holder.name, holder.loop) for holder in recording.holders] == [
        ("base", "client", 2)
    ]
    assert recording.holders_at == "test_green.py::test_green[2]"
    assert "#2, open" in repr(who_holds_what(recording))


def test_a_dead_weak_proxy_in_a_module_does_no_harm(pytester):
    outcome = run(
        pytester,
        {
            **TWO,
            "proxies.py": "import weakref\n\n\nclass Thing:\n    pass\n\n\ndead = weakref.proxy(Thing())\n",
            "conftest.py": "import proxies\n",
        },
    )
    assert "could not explain" not in outcome.text
    assert "belongs to loop #1" in outcome.explanation("test_get[2]")


def test_a_watch_is_for_one_run_and_says_so(pytester):
    write(pytester, PASSING)
    watch = Watch()
    assert pytester.runpytest_inprocess(*QUICKLY, plugins=[watch]).ret == pytest.ExitCode.OK
    again = pytester.runpytest_inprocess(*QUICKLY, plugins=[watch])
    assert again.ret == pytest.ExitCode.USAGE_ERROR
    assert "make a new one for each run" in again.stderr.str()


def test_a_conftest_can_name_the_plugin(pytester):
    """It comes later then: loops and the clients of fixtures are seen, what the conftest imports is not."""
    write(pytester, {**TWO, "conftest.py": "pytest_plugins = ['tocdemo.loopwatch']\n"})
    done = pytest_process(pytester.path)
    assert (
        "belongs to loop #1, closed at the teardown of test_get[1]; this test runs on loop #2" in done.stdout
    )
