from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from labbox.daemon.store import Store
from labbox.errors import LabboxError


def put(key: str, value: str = "") -> Callable[[sqlite3.Connection], str]:
    def change(connection: sqlite3.Connection) -> str:
        connection.execute("INSERT INTO meta (key, value) VALUES (?, ?)", (key, value))
        return key

    return change


def keys(connection: sqlite3.Connection) -> list[str]:
    return [row["key"] for row in connection.execute("SELECT key FROM meta ORDER BY key")]


async def test_a_written_value_is_read_back_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "labbox.db"
    store = await Store.open(path)
    assert await store.write(put("a")) == "a"
    assert await store.read(keys) == ["a"]
    await store.close()
    again = await Store.open(path)
    assert await again.read(keys) == ["a"]
    await again.close()


async def test_the_file_is_private_and_durable_by_its_settings(store: Store) -> None:
    assert store.path.stat().st_mode & 0o777 == 0o600
    names = ("journal_mode", "synchronous", "foreign_keys")
    settings = await store.write(lambda db: [db.execute(f"PRAGMA {name}").fetchone()[0] for name in names])
    assert settings == ["wal", 2, 1]


async def test_changes_that_wait_share_one_commit_and_keep_their_order(store: Store) -> None:
    commits: list[str] = []
    began, go_on = threading.Event(), threading.Event()

    def hold(connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
        began.set()
        assert go_on.wait(10)

    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(store.write(hold))
        await asyncio.to_thread(began.wait, 10)
        for number in range(100):
            tasks.create_task(store.write(put(f"{number:03}")))
        await asyncio.sleep(0)  # lets the tasks queue their changes
        go_on.set()
        await first
    assert await store.read(keys) == [f"{number:03}" for number in range(100)]
    order = await store.read(lambda db: [row[0] for row in db.execute("SELECT key FROM meta ORDER BY rowid")])
    assert order == sorted(order)
    assert len(commits) == 2  # the one that held the thread, and all the others together


async def test_a_failing_change_undoes_itself_and_no_neighbour(store: Store) -> None:
    def half(connection: sqlite3.Connection) -> None:
        put("half")(connection)
        raise ValueError("no")

    outcomes = await asyncio.gather(
        store.write(put("before")),
        store.write(half),
        store.write(put("before")),  # the same key again: SQLite refuses it
        store.write(put("after")),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [str, ValueError, sqlite3.IntegrityError, str]
    assert await store.read(keys) == ["after", "before"]


async def test_a_change_may_not_commit_for_the_others(store: Store) -> None:
    def greedy(connection: sqlite3.Connection) -> None:
        put("greedy")(connection)
        connection.execute("COMMIT")

    outcome = await asyncio.gather(store.write(greedy), return_exceptions=True)
    assert isinstance(outcome[0], LabboxError | sqlite3.Error)
    assert await store.write(put("later")) == "later"


async def test_a_reader_cannot_write(store: Store) -> None:
    with pytest.raises(LabboxError, match="readonly"):
        await store.read(put("a"))
    assert await store.read(keys) == []


async def test_a_reader_sees_one_state_while_others_write(store: Store) -> None:
    loop = asyncio.get_running_loop()

    def count_twice(connection: sqlite3.Connection) -> tuple[int, int]:
        first = len(keys(connection))
        asyncio.run_coroutine_threadsafe(store.write(put("meanwhile")), loop).result(10)
        return first, len(keys(connection))

    assert await store.read(count_twice) == (0, 0)
    assert await store.read(keys) == ["meanwhile"]


async def test_a_change_that_was_given_up_while_it_waited_is_not_made(store: Store) -> None:
    began, go_on = threading.Event(), threading.Event()

    def hold(connection: sqlite3.Connection) -> None:
        began.set()
        assert go_on.wait(10)

    first = asyncio.ensure_future(store.write(hold))
    await asyncio.to_thread(began.wait, 10)
    second = asyncio.ensure_future(store.write(put("given up")))
    await asyncio.sleep(0)  # it queues
    second.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await first
    assert await store.read(keys) == []


async def test_closing_finishes_what_is_queued_and_refuses_more(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "labbox.db")
    tasks = [asyncio.ensure_future(store.write(put(f"{number:03}"))) for number in range(300)]
    await asyncio.sleep(0)
    await store.close()
    assert len(await asyncio.gather(*tasks)) == 300
    with pytest.raises(RuntimeError, match="closed"):
        await store.write(put("late"))
    await store.close()  # twice is as good as once
