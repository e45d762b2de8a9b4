"""Runs by name: starting twice, ending, pausing, input, shells, what is written."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

import docker
import pytest

from labbox.daemon.containers.engine import Engine
from labbox.daemon.containers.run import RunSpec
from labbox.errors import LabboxError

pytestmark = [pytest.mark.engine, pytest.mark.root]

MakeRun = Callable[..., RunSpec]
WaitFor = Callable[..., Any]


async def test_both_streams_arrive_as_they_were_written(engine: Engine, make_run: MakeRun) -> None:
    long = 64 << 10
    script = (
        f"head -c {long} /dev/zero | tr '\\0' x; echo; echo no newline | tr -d '\\n'; "
        "printf 'a\\nb' >&2; printf '\\377\\0'"
    )
    run = make_run("sh", "-c", script)
    await engine.create_and_start(run)
    assert (await engine.wait(run.name)).exit_code == 0
    assert (run.spool / "stdout").read_bytes() == b"x" * long + b"\nno newline\xff\x00"
    assert (run.spool / "stderr").read_bytes() == b"a\nb"
    assert (run.spool / "stdout").stat().st_uid == run.uid


async def test_the_same_name_starts_once(engine: Engine, make_run: MakeRun) -> None:
    run = make_run("sh", "-c", "echo started; sleep 0.3")
    await asyncio.gather(*(engine.create_and_start(run) for _ in range(4)))
    await engine.wait(run.name)
    await engine.create_and_start(run)  # ended: stays so
    state = await engine.inspect(run.name)
    assert state is not None
    assert (state.status, state.exit_code) == ("exited", 0)
    assert (run.spool / "stdout").read_text() == "started\n"


async def test_a_container_that_was_made_but_not_started_is_started(
    engine: Engine, engine_url: str, make_run: MakeRun
) -> None:
    run = make_run("echo", "late")
    original = docker.APIClient.start
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(docker.APIClient, "start", lambda *_: None)  # the daemon dies between the two
        await engine.create_and_start(run)
    assert docker.APIClient.start is original
    state = await engine.inspect(run.name)
    assert state is not None
    assert state.status == "created"
    await engine.stop(run.name, 5)  # nothing to stop, and no wait for it
    await engine.create_and_start(run)
    assert (await engine.wait(run.name)).exit_code == 0


async def test_times_and_codes(engine: Engine, make_run: MakeRun) -> None:
    run = make_run("sh", "-c", "exit 41")
    await engine.create_and_start(run)
    state = await engine.wait(run.name)
    assert state.exit_code == 41
    assert state.started_at is not None
    assert state.ended_at is not None
    assert 0 <= (state.ended_at - state.started_at).total_seconds() < 5
    assert abs(state.ended_at.timestamp() - time.time()) < 5
    await engine.remove(run.name)
    assert await engine.inspect(run.name) is None
    await engine.remove(run.name)  # gone is fine
    await engine.kill(run.name)
    await engine.stop(run.name, 1)


async def test_list_has_the_runs_of_this_box_alone(
    engine: Engine, make_run: MakeRun, follow: Callable[..., Any], engine_url: str
) -> None:
    runs = [make_run("sleep", "60"), make_run("true")]
    for run in runs:
        await engine.create_and_start(run)
    await engine.wait(runs[1].name)
    found = await engine.list()
    assert {name: state.status for name, state in found.items()} == {
        runs[0].name: "running",
        runs[1].name: "exited",
    }
    other = follow(engine_url)
    await other.engine.wait_available()
    assert await other.engine.list() == {}


async def test_stop_asks_first_and_then_insists(engine: Engine, make_run: MakeRun, wait_for: WaitFor) -> None:
    polite = make_run("sh", "-c", "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done")
    stubborn = make_run("sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done")
    for run in (polite, stubborn):
        await engine.create_and_start(run)
        await wait_for(run.spool / "stdout", b"up")
    async with asyncio.timeout(10):
        await asyncio.gather(engine.stop(polite.name, 8), engine.stop(stubborn.name, 0.3))
    ended = await engine.list()
    assert (polite.spool / "stdout").read_text() == "up\nbye\n"
    assert ended[polite.name].exit_code == 7
    assert ended[stubborn.name].exit_code == 137
    assert not ended[stubborn.name].oom


async def test_pause_freezes_and_resume_goes_on(engine: Engine, make_run: MakeRun, wait_for: WaitFor) -> None:
    run = make_run("sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done")
    await engine.create_and_start(run)
    out = run.spool / "stdout"
    await wait_for(out, b"3\n")
    await engine.pause(run.name)
    state = await engine.inspect(run.name)
    assert state is not None
    assert state.status == "paused"
    frozen = out.stat().st_size
    with pytest.raises(LabboxError) as caught:
        await engine.pause(run.name)
    assert caught.value.code == "conflict"
    assert out.stat().st_size == frozen
    await engine.resume(run.name)
    async with asyncio.timeout(10):
        while out.stat().st_size == frozen:
            await asyncio.sleep(0.01)
    await engine.pause(run.name)
    async with asyncio.timeout(10):
        await engine.kill(run.name)  # a frozen one too
    state = await engine.inspect(run.name)
    assert state is not None
    assert state.status == "exited"


async def test_events_tell_of_start_pause_and_end(following: Any, make_run: MakeRun) -> None:
    run = make_run("sh", "-c", "sleep 0.2; exit 3")
    await following.engine.create_and_start(run)
    await following.until(lambda: any(state.status == "exited" for _, state in following.told))
    mine = [state for name, state in following.told if name == run.name]
    assert mine[0].status == "running"
    assert mine[-1].exit_code == 3


async def test_input_is_handed_over_and_ended(engine: Engine, make_run: MakeRun, wait_for: WaitFor) -> None:
    run = make_run("sh", "-c", 'while read -r line; do echo "got $line"; done; echo end', stdin=True)
    await engine.create_and_start(run)
    await engine.write_input(run.spool, b"one\n")
    await wait_for(run.spool / "stdout", b"got one\n")
    await engine.write_input(run.spool, b"two\nthr")
    await engine.write_input(run.spool, "eë\n".encode())
    await wait_for(run.spool / "stdout", "got threë\n".encode())
    await engine.close_input(run.spool)
    async with asyncio.timeout(10):
        assert (await engine.wait(run.name)).exit_code == 0
    assert (run.spool / "stdout").read_text().endswith("end\n")
    await engine.close_input(run.spool)  # again is fine


async def test_more_input_than_a_pipe_holds(engine: Engine, make_run: MakeRun) -> None:
    run = make_run("wc", "-c", stdin=True)
    await engine.create_and_start(run)
    await engine.write_input(run.spool, b"x" * 1_000_000)
    await engine.close_input(run.spool)
    assert (await engine.wait(run.name)).exit_code == 0
    assert (run.spool / "stdout").read_text().strip() == "1000000"


async def test_input_that_nobody_takes(engine: Engine, make_run: MakeRun) -> None:
    run = make_run("true", stdin=True)
    await engine.create_and_start(run)
    await engine.wait(run.name)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(LabboxError, match="nobody reads it") as caught:
        patch.setattr("labbox.daemon.containers.feed._OPEN_SECONDS", 0.1)
        await engine.write_input(run.spool, b"x")
    assert caught.value.code == "conflict"
    without = make_run("cat")
    await engine.create_and_start(without)
    assert (await engine.wait(without.name)).exit_code == 0  # its input is empty
    with pytest.raises(LabboxError, match="takes none"):
        await engine.write_input(without.spool, b"x")


async def read_until(shell: Any, wanted: bytes) -> bytes:
    seen = b""
    async with asyncio.timeout(10):
        while wanted not in seen:
            data = await shell.read()
            assert data, seen
            seen += data
    return seen


async def test_a_shell_in_a_run(engine: Engine, make_run: MakeRun, wait_for: WaitFor) -> None:
    run = make_run("sh", "-c", "echo up; sleep 60")
    await engine.create_and_start(run)
    await wait_for(run.spool / "stdout", b"up")
    shell = await engine.exec_pty(
        run.name, uid=run.uid, gid=run.gid, env={"TERM": "xterm"}, rows=30, columns=100
    )
    await shell.write(
        b"stty size; id -u; tty; grep -E 'NoNewPrivs|CapEff' /proc/self/status; pwd; echo en''d\n"
    )
    seen = await read_until(shell, b"end\r\n")
    assert b"30 100" in seen
    assert b"70001" in seen
    assert b"/dev/pts/" in seen
    assert b"NoNewPrivs:\t1" in seen
    assert b"CapEff:\t0000000000000000" in seen
    await shell.resize(50, 132)
    await shell.write(b"stty size\n")
    await read_until(shell, b"50 132")
    await shell.write(b"exit 5\n")
    async with asyncio.timeout(10):
        while await shell.read():
            pass
    assert await shell.exit_code() == 5
    await shell.close()


async def test_a_shell_that_is_hung_up_ends(engine: Engine, make_run: MakeRun, wait_for: WaitFor) -> None:
    run = make_run("sh", "-c", "echo up; sleep 60")
    await engine.create_and_start(run)
    await wait_for(run.spool / "stdout", b"up")
    shell = await engine.exec_pty(run.name, uid=run.uid, gid=run.gid, env={})
    await shell.write(
        b"trap 'echo told >/output/told' HUP; sleep 61 & echo rea''dy; while :; do sleep 0.05; done\n"
    )
    await read_until(shell, b"ready")
    await shell.close()
    await wait_for(run.output / "told", b"told")
    looking = await engine.exec_pty(run.name, uid=run.uid, gid=run.gid, env={}, command=("ps",))
    left = b""
    while data := await looking.read():
        left += data
    await looking.close()
    assert b"sleep 60" in left  # the job itself goes on
    assert b"sleep 61" not in left
    assert left.count(b"busybox sh\r") == 0


async def test_a_shell_needs_a_running_container(engine: Engine, make_run: MakeRun) -> None:
    run = make_run("true")
    await engine.create_and_start(run)
    await engine.wait(run.name)
    with pytest.raises(LabboxError) as caught:
        await engine.exec_pty(run.name, uid=run.uid, gid=run.gid, env={})
    assert caught.value.code == "conflict"


async def test_an_image_that_is_not_there(engine: Engine, make_run: MakeRun) -> None:
    run = make_run("true", image="labbox-test/nowhere:1")
    with pytest.raises(LabboxError, match="the engine has no image labbox-test/nowhere:1") as caught:
        await engine.create_and_start(run)
    assert caught.value.code == "not_found"
    assert await engine.inspect(run.name) is None


async def test_gpus_are_asked_for_one_run_each(
    follow: Callable[..., Any], engine_url: str, make_run: MakeRun
) -> None:
    engine = follow(engine_url, gpu_count=2).engine
    await engine.wait_available()
    asked: list[Any] = []

    def create(_api: object, config: dict[str, Any], name: str) -> dict[str, str]:
        asked.append(config["HostConfig"]["DeviceRequests"])
        return {"Id": name}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(docker.APIClient, "start", lambda *_: None)
        patch.setattr(
            docker.APIClient,
            "create_container_from_config",
            create,
        )
        first, second, third = (make_run("true", gpus=1) for _ in range(3))
        await engine.create_and_start(first)
        await engine.create_and_start(second)
        with pytest.raises(LabboxError, match="asks for 1 GPUs and 0 are free") as caught:
            await engine.create_and_start(third)
        assert caught.value.code == "limit"
        await engine.remove(first.name)
        await engine.create_and_start(third)
    assert [request[0]["DeviceIDs"] for request in asked] == [["0"], ["1"], ["0"]]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"uid": 0}, "no job runs as root"),
        ({"groups": (0,)}, "no job runs as root"),
        ({"command": ()}, "there is no command"),
        ({"command": ("a\0b",)}, "a NUL"),
        ({"command": ("caf\udce9",)}, "not UTF-8"),
        ({"env": {"A=B": "c"}}, "without a proper name"),
        ({"hosts": ("licence",)}, "no host:port"),
        ({"hosts": ("licence:70000",)}, "no host:port"),
        ({"name": "../x"}, "letters, digits"),
    ],
)
async def test_a_run_that_cannot_be(
    engine: Engine, make_run: MakeRun, settings: dict[str, Any], sentence: str
) -> None:
    import msgspec

    run = msgspec.structs.replace(make_run("true"), **settings)
    with pytest.raises(LabboxError, match=sentence) as caught:
        await engine.create_and_start(run)
    assert caught.value.code == "invalid"


async def test_first_output_comes_as_fast_as_from_docker_run(
    engine: Engine, engine_url: str, make_run: MakeRun, small_image: str, wait_for: WaitFor
) -> None:
    """Not a timed test: it prints the ratio of the best of five each, and fails only where it is far off."""

    async def ours() -> float:
        run = make_run("echo", "first")
        begin = time.perf_counter()
        await engine.create_and_start(run)
        await wait_for(run.spool / "stdout", b"first")
        taken = time.perf_counter() - begin
        await engine.wait(run.name)
        await engine.remove(run.name)
        return taken

    async def theirs() -> float:
        begin = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *("docker", "run", "--rm", "--network=none", "--init", small_image, "echo", "first"),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "DOCKER_HOST": engine_url},
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"first\n"
        taken = time.perf_counter() - begin
        await process.wait()
        return taken

    pairs = [(await ours(), await theirs()) for _ in range(5)]
    ratio = min(one for one, _ in pairs) / min(two for _, two in pairs)
    print(f"create + start + first output: {ratio:.2f} of docker run")
    assert ratio < 1.5
