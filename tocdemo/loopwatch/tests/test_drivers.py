"""Each library that has the bug, in a small project whose failing test is explained."""

from __future__ import annotations

import re

import pytest

from tocdemo.server import EmbeddedServer

from .projects import Http, Redis, forget, incident, line_server, needs_loop_scope, run

pytest_plugins = ["pytester"]


@pytest.fixture(scope="module")
def uri():
    with EmbeddedServer() as server:
        yield server.uri


@pytest.fixture(params=["motor", "pymongo"])
def mongo(request, uri):
    if request.param == "motor":
        return incident("from motor.motor_asyncio import AsyncIOMotorClient", f"AsyncIOMotorClient({uri!r})")
    return incident("from pymongo import AsyncMongoClient", f"AsyncMongoClient({uri!r})")


def test_the_incident_is_explained_with_both_copies_and_where_the_new_client_is_made(pytester, mongo):
    outcome = run(pytester, mongo)
    assert (outcome.passed, outcome.failed) == (2, 3)
    text = outcome.explanation("test_two")
    head, *rest = text.splitlines()
    assert head == (
        "loopwatch: books_collection belongs to loop #1, closed at the teardown of test_one; "
        "this test runs on loop #3"
    )
    assert "at its first use, app/db/toc.py:6, in test_one (call)" in rest[0]
    assert (
        "app.db.toc.books_collection, _client, copied from app.db.base by "
        "`from .base import _client, books_collection` (line 2)" in text
    )
    assert "base.books_collection is another object now, made in reinit, not bound yet" in text
    assert (
        "app/db/toc.py:2: write `from . import base` there, and base.books_collection, base._client wherever"
        in text
    )
    assert "tests/test_toc.py:4: write `from app.db import base` there, and base.books_collection" in text
    assert text in outcome.text


def test_one_cause_has_one_full_explanation_and_the_others_refer_to_it(pytester, mongo):
    outcome = run(pytester, mongo)
    for name, runs_on in (("test_three", 4), ("test_own", 5)):
        head, reference = outcome.explanation(name).splitlines()
        assert head.endswith(f"this test runs on loop #{runs_on}")
        assert (
            reference == "  the same cause as in tests/test_toc.py::test_two, which has the full explanation"
        )


def test_who_follows_the_change_lines_alone_ends_green(pytester, mongo):
    """Apply mechanically what the change lines say: the import, and new names instead of the bare ones."""
    text = run(pytester, mongo).explanation("test_two")
    changes = re.findall(r"(\S+):(\d+): write `(.+?)` there, and (.+?) wherever", text)
    assert {change[0] for change in changes} == {"app/db/toc.py", "tests/test_toc.py"}
    fixed = dict(mongo)
    for file, line, statement, names in changes:
        lines = (pytester.path / file).read_text().splitlines()
        lines[int(line) - 1] = statement
        body = "\n".join(lines)
        for name in names.split(", "):
            bare = name.rpartition(".")[2]
            body = re.sub(rf"(?<![\w.]){bare}\b", name, body)
        fixed[file] = body
    forget("app", "tests")
    outcome = run(pytester, fixed)
    assert (outcome.passed, outcome.failed) == (5, 0)
    assert outcome.recording.explanations == {}


def test_a_lock_made_at_import_is_explained(pytester):
    outcome = run(
        pytester,
        {
            "test_lock.py": """
                import asyncio
                import pytest

                lock = asyncio.Lock()


                async def hold():
                    async with lock:
                        await asyncio.sleep(0)


                @pytest.mark.asyncio
                @pytest.mark.parametrize("n", [1, 2])
                async def test_contended(n):
                    await asyncio.gather(hold(), hold())
                """
        },
    )
    assert (outcome.passed, outcome.failed) == (1, 1)
    text = outcome.explanation("test_contended[2]")
    assert text.startswith(
        "loopwatch: lock belongs to loop #1, closed at the teardown of test_contended[1]; this test"
    )
    assert "at its first use, test_lock.py:9, in test_contended[1] (call)" in text
    assert "test_lock.lock, made there (line 5)" in text


@needs_loop_scope
def test_a_future_of_another_open_loop_is_explained(pytester):
    outcome = run(
        pytester,
        {
            "test_future.py": """
                import asyncio
                import pytest
                import pytest_asyncio


                @pytest_asyncio.fixture(scope="module", loop_scope="module")
                async def answer():
                    return asyncio.get_running_loop().create_future()


                @pytest.mark.asyncio
                async def test_wait(answer):
                    await answer
                """
        },
    )
    text = outcome.explanation("test_wait")
    assert "loopwatch: answer belongs to loop #1, which is open but not the one that runs" in text
    assert "while loop #1 ran, in answer of test_wait" in text


def test_an_aiohttp_session_kept_in_a_module_is_explained(pytester):
    with line_server(Http) as port:
        outcome = run(
            pytester,
            {
                "test_http.py": f"""
                    import aiohttp
                    import pytest

                    session = None


                    @pytest.mark.asyncio
                    @pytest.mark.parametrize("n", [1, 2])
                    async def test_get(n):
                        global session
                        session = session or aiohttp.ClientSession()
                        async with session.get("http://127.0.0.1:{port}/") as response:
                            assert await response.text() == "ok"
                    """
            },
        )
    assert (outcome.passed, outcome.failed) == (1, 1)
    text = outcome.explanation("test_get[2]")
    assert text.startswith("loopwatch: session belongs to loop #1, closed at the teardown of test_get[1]")
    assert "when it was made, test_http.py:12, in test_get[1] (call)" in text


def test_an_httpx_client_fails_once_then_heals_and_is_explained_once(pytester):
    with line_server(Http) as port:
        outcome = run(
            pytester,
            {
                "test_http.py": f"""
                    import httpx
                    import pytest

                    client = httpx.AsyncClient(trust_env=False)


                    @pytest.mark.asyncio
                    @pytest.mark.parametrize("n", [1, 2, 3])
                    async def test_get(n):
                        assert (await client.get("http://127.0.0.1:{port}/")).text == "ok"
                    """
            },
        )
    assert (outcome.passed, outcome.failed) == (2, 1)
    text = outcome.explanation("test_get[2]")
    assert text.startswith("loopwatch: client belongs to loop #1, closed at the teardown of test_get[1]")
    assert "while loop #1 ran, in test_get[1] (the binding itself was not seen)" in text
    assert "test_http.py:5 makes client once" in text


def test_a_redis_client_is_explained(pytester):
    with line_server(Redis) as port:
        outcome = run(
            pytester,
            {
                "store.py": f"""
                    from redis.asyncio import Redis

                    cache = Redis(port={port}, protocol=2)
                    """,
                "test_redis.py": """
                    import pytest
                    import store


                    @pytest.mark.asyncio
                    @pytest.mark.parametrize("n", [1, 2])
                    async def test_ping(n):
                        assert await store.cache.ping()
                    """,
            },
        )
    assert (outcome.passed, outcome.failed) == (1, 1)
    text = outcome.explanation("test_ping[2]")
    assert text.startswith(
        "loopwatch: store.cache belongs to loop #1, closed at the teardown of test_ping[1]"
    )
    assert "store.py:4 makes cache once" in text


def test_an_sqlalchemy_engine_under_contention_is_explained(pytester):
    outcome = run(
        pytester,
        {
            "test_sql.py": """
                import asyncio
                import pytest
                from sqlalchemy import text
                from sqlalchemy.ext.asyncio import create_async_engine
                from sqlalchemy.pool import AsyncAdaptedQueuePool

                engine = create_async_engine(
                    "sqlite+aiosqlite://", poolclass=AsyncAdaptedQueuePool, pool_size=1, max_overflow=0
                )


                async def one():
                    async with engine.connect() as connection:
                        await asyncio.sleep(0)
                        return (await connection.execute(text("select 1"))).scalar()


                @pytest.mark.asyncio
                @pytest.mark.parametrize("n", [1, 2])
                async def test_both(n):
                    assert await asyncio.gather(one(), one()) == [1, 1]
                """
        },
    )
    assert (outcome.passed, outcome.failed) == (1, 1)
    text = outcome.explanation("test_both[2]")
    assert text.startswith("loopwatch: engine belongs to loop #1, closed at the teardown of test_both[1]")


def test_libraries_without_the_bug_are_not_blamed_for_a_failure_of_another_kind(pytester):
    outcome = run(
        pytester,
        {
            "test_controls.py": """
                import aiosqlite
                import anyio
                import pytest

                lock = anyio.Lock()
                kept = []


                async def hold():
                    async with lock:
                        await anyio.sleep(0)


                @pytest.mark.asyncio
                @pytest.mark.parametrize("n", [1, 2])
                async def test_shared(n):
                    if not kept:
                        kept.append(await aiosqlite.connect(":memory:"))
                    async with kept[0].execute("select 1") as cursor:
                        assert await cursor.fetchone() == (1,)
                    async with anyio.create_task_group() as group:
                        group.start_soon(hold)
                        group.start_soon(hold)
                    assert n == 1
                    

                @pytest.mark.asyncio
                async def test_close():
                    await kept[0].close()
                """
        },
    )
    assert (outcome.passed, outcome.failed) == (2, 1)
    assert outcome.recording.explanations == {}
    assert [use for use in outcome.recording.uses if not use.background] == []
    assert "loopwatch" not in outcome.text
