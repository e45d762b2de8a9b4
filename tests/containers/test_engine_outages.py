"""The engine is stopped, killed, away: containers and what they write live on, and nothing is missed."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from labbox.daemon.containers.engine import Engine
from labbox.daemon.containers.run import RunSpec
from labbox.daemon.containers.states import parse_state
from labbox.errors import LabboxError

pytestmark = [pytest.mark.engine, pytest.mark.root]

COUNT = "i=0; while [ $i -lt {} ]; do i=$((i+1)); echo line $i; echo err $i >&2; sleep 0.01; done; exit 5"


def numbered(path: Path, word: str) -> list[int]:
    lines = path.read_text().splitlines()
    assert all(line.startswith(f"{word} ") for line in lines)
    return [int(line.split()[1]) for line in lines]


async def started(follow: Callable[..., Any], url: str, box: str | None = None) -> Any:
    following = follow(url, box)
    async with asyncio.timeout(20):
        await following.engine.wait_available()
    return following


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
async def test_a_run_lives_through_the_engines_death(
    own_engine: Any,
    follow: Callable[..., Any],
    make_run: Callable[..., RunSpec],
    wait_for: Callable[..., Any],
    number: int,
) -> None:
    following = await started(follow, own_engine.url)
    engine = following.engine
    run = make_run("sh", "-c", COUNT.format(150))
    await engine.create_and_start(run)
    await wait_for(run.spool / "stdout", b"line 20\n")
    await asyncio.to_thread(own_engine.kill, number)
    await following.until(lambda: not engine.available)
    assert "container engine" in engine.reason
    await wait_for(run.spool / "stdout", b"line 80\n")  # it writes on without an engine
    await asyncio.to_thread(own_engine.start)
    await following.until(lambda: engine.available)
    async with asyncio.timeout(20):
        state = await engine.wait(run.name)
    assert (state.status, state.exit_code, state.oom) == ("exited", 5, False)
    assert numbered(run.spool / "stdout", "line") == list(range(1, 151))
    assert numbered(run.spool / "stderr", "err") == list(range(1, 151))
    assert [change for change, _ in itertools.groupby(following.changes)] == [True, False, True]


async def test_an_end_while_the_engine_is_away_is_told_afterwards(
    own_engine: Any,
    follow: Callable[..., Any],
    make_run: Callable[..., RunSpec],
    wait_for: Callable[..., Any],
) -> None:
    following = await started(follow, own_engine.url)
    engine = following.engine
    run = make_run("sh", "-c", "echo up; sleep 0.5; echo down; exit 9")
    await engine.create_and_start(run)
    await wait_for(run.spool / "stdout", b"up")
    await asyncio.to_thread(own_engine.kill)
    await following.until(lambda: not engine.available)
    with pytest.raises(LabboxError, match="cannot reach the container engine") as caught:
        await engine.inspect(run.name)
    assert caught.value.code == "unavailable"
    assert caught.value.hint
    await wait_for(run.spool / "stdout", b"down")
    await asyncio.to_thread(own_engine.start)
    await following.until(
        lambda: any(name == run.name and s.status == "exited" for name, s in following.told)
    )
    state = await engine.inspect(run.name)
    assert state is not None
    assert state.exit_code == 9


async def test_a_new_daemon_finds_the_runs_of_the_old_one(
    own_engine: Any,
    follow: Callable[..., Any],
    make_run: Callable[..., RunSpec],
    wait_for: Callable[..., Any],
) -> None:
    old = await started(follow, own_engine.url, "kept")
    run = make_run("sh", "-c", "read -r line; echo got $line; exit 4", stdin=True)
    await old.engine.create_and_start(run)
    new = await started(follow, own_engine.url, "kept")
    assert [name for name, _ in new.told] == [run.name]
    await new.engine.create_and_start(run)  # the same attempt: nothing starts twice
    await new.engine.write_input(run.spool, b"hello\n")
    async with asyncio.timeout(10):
        assert (await new.engine.wait(run.name)).exit_code == 4
    assert (run.spool / "stdout").read_text() == "got hello\n"


async def test_no_engine_at_all(
    follow: Callable[..., Any], make_run: Callable[..., RunSpec], tmp_path: Path
) -> None:
    following = follow(f"unix://{tmp_path}/none.sock")
    engine = following.engine
    changed = asyncio.Event()
    engine.on_change(changed.set)
    async with asyncio.timeout(10):
        await changed.wait()
    assert not engine.available
    assert (
        engine.reason
        == f"cannot reach the container engine at {tmp_path}/none.sock: No such file or directory"
    )
    with pytest.raises(LabboxError) as caught:
        await engine.create_and_start(make_run("true"))
    assert caught.value.code == "unavailable"


async def test_an_engine_that_takes_calls_and_never_answers(
    follow: Callable[..., Any], tmp_path: Path
) -> None:
    held: list[asyncio.StreamWriter] = []

    async def silence(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    server = await asyncio.start_unix_server(silence, tmp_path / "mute.sock")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("labbox.daemon.containers.connection.GREET_SECONDS", 0.3)
        following = follow(f"unix://{tmp_path}/mute.sock")
        changed = asyncio.Event()
        following.engine.on_change(changed.set)
        async with asyncio.timeout(10):
            await changed.wait()
    assert "no answer in" in following.engine.reason
    for writer in held:
        writer.close()
    server.close()


async def test_an_address_that_is_not_on_this_machine() -> None:
    with pytest.raises(LabboxError, match="labbox needs one on this machine"):
        Engine("tcp://10.0.0.1:2375", box="x")


async def test_the_last_words_of_a_container_are_not_those_of_the_next_of_its_name(
    engine: Engine, make_run: Callable[..., RunSpec], wait_for: Callable[..., Any]
) -> None:
    """Its removal is told late: what runs under its name by then has not ended."""
    told: list[tuple[str, int | None]] = []
    run = make_run("sh", "-c", "echo begun; sleep 30")
    engine.on_event(
        lambda name, state: told.append((state.status, state.exit_code)) if name == run.name else None
    )
    await engine.create_and_start(run)
    await wait_for(run.spool / "stdout", b"begun")
    first = (await engine.connection.call(lambda api: api.inspect_container(run.name)))["Id"]
    waiting = asyncio.create_task(engine.wait(run.name))
    await asyncio.sleep(0.05)
    await engine.remove(run.name)
    with pytest.raises(LabboxError, match="no such container"):
        await waiting
    await engine.create_and_start(run)
    second = (await engine.connection.call(lambda api: api.inspect_container(run.name)))["Id"]
    told.clear()

    async def late(number: str, code: str) -> AsyncIterator[dict[str, Any]]:
        attributes = {"name": run.name, "exitCode": code}
        yield {"Action": "die", "Actor": {"ID": number, "Attributes": attributes}}

    for code in ("0", "137"):
        await engine._take(late(first, code))
    assert told == []
    engine._note(run.name, "")
    await engine.create_and_start(run)  # asked for again: it is there
    await engine._take(late(second, "0"))
    assert told == [("exited", 0)]


def test_a_container_that_is_being_removed_has_no_end_to_judge() -> None:
    state = parse_state({"State": {"Status": "removing", "ExitCode": 0, "StartedAt": "0001-01-01T00:00:00Z"}})
    assert (state.status, state.exit_code) == ("removing", None)
