"""What a run can see and do, asked from inside of it."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest

from labbox.daemon.containers.engine import Engine
from labbox.daemon.containers.run import RunSpec
from labbox.errors import LabboxError

pytestmark = [pytest.mark.engine, pytest.mark.root]

RunToEnd = Callable[..., Any]


def fields(text: str) -> dict[str, str]:
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


@pytest.mark.attack("S10")
async def test_what_an_image_declares_as_volumes_is_small_and_goes_with_the_run(
    engine_url: str, small_image: str, run_to_end: RunToEnd, tried: Callable[..., None], tmp_path: Path
) -> None:
    api = docker.APIClient(base_url=engine_url)
    name = f"labbox-test/volumes-{uuid.uuid4().hex[:8]}"
    (tmp_path / "empty").write_bytes(b"")
    declared = ("/data", "/deep/er/", "/var/../srv", "/tmp", "/output")
    recipe = f"FROM {small_image}\nVOLUME {json.dumps(declared)}\n"
    (tmp_path / "Dockerfile").write_text(recipe)
    list(api.build(path=str(tmp_path), tag=name, rm=True))
    try:
        script = (
            "for d in /data /deep/er /srv; do "
            "  dd if=/dev/zero of=$d/full bs=1M count=64 2>/dev/null; stat -c %s $d/full; "
            "  fallocate -l 64M $d/more 2>/dev/null && echo GROWN; done; echo kept >/output/it"
        )
        ran = await run_to_end("sh", "-c", script, image=name, tmp_bytes=8 << 20)
        sizes = [int(word) for word in ran.text.split() if word.isdigit()]
        assert len(sizes) == 3
        for size in sizes:
            tried()
            assert 0 < size <= 8 << 20
        assert "GROWN" not in ran.text
        assert ran.state.exit_code == 0
        anonymous = api.volumes(filters={"dangling": "true"}).get("Volumes") or ()
        assert not [one for one in anonymous if (Path(one["Mountpoint"]) / "full").exists()]
    finally:
        api.remove_image(name, force=True)
        api.close()


@pytest.mark.attack("S10")
async def test_a_volume_that_nothing_can_be_put_over_is_refused(
    engine_url: str, small_image: str, run_to_end: RunToEnd, tried: Callable[..., None]
) -> None:
    api = docker.APIClient(base_url=engine_url)
    name = f"labbox-test/volumes-{uuid.uuid4().hex[:8]}"
    made = api.create_container(small_image, ["true"])
    try:
        for declared in ("data", "./data", "../data"):
            tried()
            api.commit(made["Id"], repository=name, changes=[f'VOLUME ["{declared}"]'])
            with pytest.raises(LabboxError, match="no absolute path"):
                await run_to_end("true", image=name)
    finally:
        api.remove_container(made["Id"], v=True)
        api.remove_image(name, force=True)
        api.close()


async def test_ids_capabilities_and_privileges(run_to_end: RunToEnd) -> None:
    ran = await run_to_end("cat", "/proc/self/status", groups=(70500,))
    status = fields(ran.text)
    assert status["Uid"].split() == ["70001"] * 4
    assert status["Gid"].split() == ["70001"] * 4
    assert set(status["Groups"].split()) == {"70001", "70500"}
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[capabilities], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


async def test_a_setuid_program_gives_nothing(run_to_end: RunToEnd) -> None:
    ran = await run_to_end("/bin/setuid-init", "--", "cat", "/proc/self/status")
    assert fields(ran.text)["Uid"].split() == ["70001"] * 4


async def test_the_user_has_a_name_and_a_home_that_can_be_written(run_to_end: RunToEnd) -> None:
    ran = await run_to_end(
        "sh", "-c", 'id -un; id -gn; echo "$HOME $USER $TMPDIR"; touch ~/x /tmp/y && stat -c %a ~/x'
    )
    assert ran.text.split("\n")[:3] == ["ada", "ada", "/tmp/home ada /tmp"]
    assert ran.state.exit_code == 0


async def test_only_output_and_tmp_can_be_written(run_to_end: RunToEnd, tmp_path: Path) -> None:
    for name in ("code", "input", "environment"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
        (tmp_path / name).chmod(0o777)
    script = (
        f"cat /code/file /input/file {tmp_path}/environment/file; "
        f"for d in / /code /input {tmp_path}/environment /etc /usr /var /bin /labbox /root /dev; do "
        "  touch $d/x 2>/dev/null && echo WRITTEN $d; done; "
        "for f in /etc/passwd /etc/hosts /etc/resolv.conf /labbox/busybox /code/file; do "
        "  (echo >>$f) 2>/dev/null && echo WRITTEN $f; done; touch /output/x /tmp/x && echo fine"
    )
    ran = await run_to_end(
        "sh",
        "-c",
        script,
        code=tmp_path / "code",
        input=tmp_path / "input",
        environment=tmp_path / "environment",
        cwd="/code",
    )
    assert ran.text == "codeinputenvironmentfine\n"
    assert (ran.run.output / "x").stat().st_uid == 70001


async def test_no_engine_socket_no_host_no_devices(run_to_end: RunToEnd) -> None:
    script = (
        "ls /run/docker.sock /var/run/docker.sock 2>/dev/null; ls /dev; ls -d /proc/[0-9]* | wc -l; "
        "cat /proc/1/root/etc/shadow 2>/dev/null; mount -t tmpfs none /mnt 2>/dev/null && echo MOUNTED; "
        "unshare -Ur true 2>/dev/null && echo NAMESPACE; mknod /output/sda b 8 0 2>/dev/null && echo DEVICE; "
        "kill -9 1 2>/dev/null; echo end"
    )
    ran = await run_to_end("sh", "-c", script)
    devices = set(ran.text.split()) - {"end"}
    assert not devices & {"MOUNTED", "NAMESPACE", "DEVICE", "sda", "vda", "kmsg", "mem", "/run/docker.sock"}
    assert ran.text.endswith("end\n")
    processes = int(next(line for line in ran.text.splitlines() if line.isdigit()))
    assert processes < 8


async def test_the_mounts_of_others_are_not_there(
    engine: Engine, make_run: Callable[..., RunSpec], run_to_end: RunToEnd, wait_for: Callable[..., Any]
) -> None:
    other = make_run("sh", "-c", "echo secret >/tmp/secret; echo up; sleep 60")
    await engine.create_and_start(other)
    await wait_for(other.spool / "stdout", b"up")
    ran = await run_to_end(
        "sh", "-c", f"cat /tmp/secret {other.output} {other.spool}/stdout; cat /proc/mounts"
    )
    assert "secret\n" not in ran.text
    assert other.name not in ran.text


async def test_no_network_unless_asked_for(run_to_end: RunToEnd) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        script = (
            "ls /sys/class/net; for a in 127.0.0.1 172.17.0.1; do "
            f"nc -w 1 $a {port} </dev/null && echo REACHED; done"
        )
        ran = await run_to_end("sh", "-c", script)
    assert "REACHED" not in ran.text
    assert "eth0" not in ran.text.split()


async def test_the_network_when_asked_for_and_no_neighbours_on_it(
    engine: Engine, make_run: Callable[..., RunSpec], run_to_end: RunToEnd, wait_for: Callable[..., Any]
) -> None:
    serving = make_run(
        "sh", "-c", "ip -4 addr show eth0; echo up; nc -l -p 9000 -e echo REACHED", network=True
    )
    await engine.create_and_start(serving)
    said = await wait_for(serving.spool / "stdout", b"up")
    address = re.search(rb"inet ([0-9.]+)", said)
    assert address is not None
    ran = await run_to_end(
        "sh", "-c", f"ip route; nc -w 1 {address[1].decode()} 9000 </dev/null", network=True
    )
    assert "default via" in ran.text
    assert "REACHED" not in ran.text


async def test_a_fork_bomb_leaves_its_neighbour_alone(
    engine: Engine, make_run: Callable[..., RunSpec], wait_for: Callable[..., Any]
) -> None:
    bomb = make_run("sh", "-c", "echo go; f() { f | f & }; f; sleep 60", pids=40)
    await engine.create_and_start(bomb)
    await wait_for(bomb.spool / "stdout", b"go")
    neighbour = make_run("sh", "-c", "i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i+1)); done; echo done")
    async with asyncio.timeout(20):
        await engine.create_and_start(neighbour)
        assert (await engine.wait(neighbour.name)).exit_code == 0
        await engine.kill(bomb.name)
    assert (neighbour.spool / "stdout").read_text() == "done\n"
    bombed = await engine.inspect(bomb.name)
    assert bombed is not None
    assert bombed.status == "exited"


async def test_too_much_memory_is_told_from_a_kill(run_to_end: RunToEnd) -> None:
    hog = await run_to_end("sh", "-c", "exec tail /dev/zero", memory=16 << 20)
    assert hog.state.exit_code == 137
    assert hog.state.oom
    assert hog.state.peak_memory is not None
    assert (12 << 20) < hog.state.peak_memory < (18 << 20)
    killed = await run_to_end("sh", "-c", "kill -9 $$")
    assert killed.state.exit_code == 137
    assert not killed.state.oom


async def test_files_have_a_largest_size_and_tmp_a_room(run_to_end: RunToEnd) -> None:
    ran = await run_to_end(
        "sh",
        "-c",
        "head -c 3000000 /dev/zero >/output/big; cat /dev/zero >/tmp/big; ulimit -c",
        file_bytes=2_000_000,
        tmp_bytes=1 << 20,
    )
    assert (ran.run.output / "big").stat().st_size == 2_000_000
    assert b"No space left" in ran.err
    assert ran.text.strip() == "0"


async def test_cpu_seconds_are_counted(run_to_end: RunToEnd) -> None:
    """Against what the shell itself has counted, so that a busy machine changes nothing."""
    work = "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done"
    script = f"read a b < /proc/uptime; {work}; read c d < /proc/uptime; times; echo $a $c"
    ran = await run_to_end("sh", "-c", script, cpus=0.5)
    own, _, uptimes = ran.text.splitlines()
    used = sum(int(word.split("m")[0]) * 60 + float(word.split("m")[1][:-1]) for word in own.split())
    began, ended = map(float, uptimes.split())
    assert used > 0.2
    assert ran.state.cpu_seconds is not None
    assert used - 0.05 < ran.state.cpu_seconds < used + 0.5  # and the start
    assert ended - began > used / 0.5 - 0.25  # half a CPU: for at least twice the time, less a first slice


async def test_the_command_arrives_byte_for_byte(run_to_end: RunToEnd) -> None:
    words = [
        "a b",
        "",
        "$HOME",
        "`id`",
        "'\"",
        "\\n\\",
        "ünï\n\tcode",
        "--",
        "-n",
        "*",
        "\x1b[31m",
        "x" * 60000,
    ]
    ran = await run_to_end("sh", "-c", 'for w; do printf "%s|" "$w"; done', "name", *words)
    assert ran.text == "|".join(words) + "|"


async def test_the_environment_and_the_path(run_to_end: RunToEnd, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sort").write_text('#!/bin/sh\necho "ours $*"; echo "$WEIRD"; env | grep -c labbox_\n')
    (tmp_path / "bin/sort").chmod(0o755)
    environment = tmp_path / "bin"
    weird = {"WEIRD": "a=b\n$x", "labbox": "1"}
    ran = await run_to_end("sort", "-r", environment=environment, path=(str(environment),), env=weird)
    assert ran.text == "ours -r\na=b\n$x\n0\n"
    ran = await run_to_end("sort", "--version")  # the image's
    assert b"BusyBox" in ran.out + ran.err


async def test_a_program_that_the_image_lacks(run_to_end: RunToEnd) -> None:
    ran = await run_to_end("julia", "app.jl")
    assert ran.state.exit_code == 127
    assert ran.err == b"cannot run julia: there is no such program in the image\n"


async def test_a_mounted_path_cannot_be_made_by_the_engine(
    engine: Engine, make_run: Callable[..., RunSpec]
) -> None:
    run = make_run("true", input=Path("/nonexistent/labbox-input"))
    with pytest.raises(Exception, match=r"cannot start .*: /nonexistent/labbox-input is not there"):
        await engine.create_and_start(run)
    assert not Path("/nonexistent").exists()
    assert await engine.inspect(run.name) is None


@pytest.mark.attack("S7")
async def test_a_job_with_a_network_reaches_nothing_that_answers_on_the_link_alone(
    run_to_end: RunToEnd, on_the_link: tuple[str, int], tried: Callable[..., None]
) -> None:
    address, port = on_the_link
    tried()
    ran = await run_to_end("sh", "-c", f"nc -w 2 {address} {port} </dev/null; echo done", network=True)
    assert "done" in ran.text
    assert "REACHED" not in ran.text


@pytest.mark.attack("S7")
async def test_a_job_with_a_network_reaches_no_port_of_the_box(
    run_to_end: RunToEnd, engine: Engine, tried: Callable[..., None]
) -> None:
    """Not by the bridge's address, not by any other that the box has; names are looked up all the same."""
    with socket.create_server(("0.0.0.0", 0)) as listening:
        listening.settimeout(0.1)
        port = listening.getsockname()[1]
        ran = await run_to_end("sh", "-c", "ip route; ip -4 addr show eth0", network=True)
        gateway = re.search(r"default via ([0-9.]+)", ran.text)
        own = re.search(r"inet ([0-9.]+)/", ran.text)
        assert gateway is not None and own is not None
        assert engine.outside.has(own[1])
        assert not engine.outside.has("127.0.0.1")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((own[1], 9))  # sends nothing: it tells which address faces the bridge
            facing = probe.getsockname()[0]
        others = {facing, gateway[1], *(one[4][0] for one in socket.getaddrinfo(socket.gethostname(), port))}
        for address in sorted(str(one) for one in others if ":" not in str(one)):
            if address.startswith("127."):
                continue
            tried()
            ran = await run_to_end(
                "sh", "-c", f"nc -w 2 {address} {port} </dev/null && echo REACHED; echo done", network=True
            )
            assert "done" in ran.text
            assert "REACHED" not in ran.text
            with pytest.raises(TimeoutError):
                listening.accept()
        with socket.create_connection((facing, port), timeout=5):  # the box itself reaches it
            listening.accept()[0].close()
