"""Single hosts that a template opens to runs without network."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from labbox.daemon.containers.engine import Engine
from labbox.daemon.containers.run import RunSpec, openings

pytestmark = [pytest.mark.engine, pytest.mark.root]


@pytest.fixture
async def licence_port() -> AsyncIterator[int]:
    """A server outside that answers each line."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(b"licence for " + line)
        writer.close()

    server = await asyncio.start_server(serve, "0.0.0.0", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_a_run_reaches_the_open_host_by_name_and_nothing_else(
    run_to_end: Callable[..., Any], licence_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **named: resolve(
            "127.0.0.1" if host == "licence.example" else host, *rest, **named
        ),
    )
    with socket.create_server(("127.0.0.1", 0)) as closed:
        other = closed.getsockname()[1]
        script = (
            f"echo matlab | nc licence.example {licence_port}; grep licence /etc/hosts | grep -c 127.0.1.1; "
            f"for host in 127.0.0.1 licence.example; do nc -w 1 $host {other} </dev/null && echo REACHED; "
            "done; "
            "ls /sys/class/net"
        )
        ran = await run_to_end("sh", "-c", script, hosts=(f"licence.example:{licence_port}",))
    assert ran.text.startswith("licence for matlab\n1\n")
    assert "REACHED" not in ran.text
    assert "eth0" not in ran.text


async def test_a_server_on_the_box_itself(run_to_end: Callable[..., Any], licence_port: int) -> None:
    script = f"echo octave | nc localhost {licence_port}"
    ran = await run_to_end("sh", "-c", script, hosts=(f"localhost:{licence_port}",))
    assert ran.text == "licence for octave\n"


async def test_an_address_can_be_opened_too(run_to_end: Callable[..., Any]) -> None:
    """The address is the box's own here; for the run it is on its loopback device alone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: asks for the address of the way out
        address = probe.getsockname()[0]
    answered = asyncio.Event()

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"here\n")
        writer.close()
        answered.set()

    server = await asyncio.start_server(serve, address, 0)
    port = server.sockets[0].getsockname()[1]
    ran = await run_to_end("sh", "-c", f"nc {address} {port} </dev/null", hosts=(f"{address}:{port}",))
    server.close()
    assert ran.text == "here\n"
    assert answered.is_set()


async def test_a_host_that_does_not_answer(run_to_end: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    ran = await run_to_end(
        "sh", "-c", f"nc localhost {port} </dev/null; echo over", hosts=(f"localhost:{port}",)
    )
    assert ran.text == "over\n"


async def test_a_new_daemon_opens_the_hosts_again(
    follow: Callable[..., Any],
    engine_url: str,
    make_run: Callable[..., RunSpec],
    licence_port: int,
    wait_for: Callable[..., Any],
) -> None:
    hosts = (f"licence.example:{licence_port}", f"127.0.0.9:{licence_port}")
    run = make_run(
        "sh",
        "-c",
        f"echo up; while :; do echo hello | nc 127.0.0.9 {licence_port}; sleep 0.05; done",
        hosts=hosts,
    )
    first = Engine(engine_url, box="hosts-again")
    following = asyncio.create_task(first.run())
    await first.wait_available()
    await first.create_and_start(run)
    await wait_for(run.spool / "stdout", b"up")
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    before = (run.spool / "stdout").stat().st_size
    second = follow(engine_url, "hosts-again")
    await second.engine.wait_available()
    assert openings(hosts)[1].literal
    async with asyncio.timeout(10):
        while (run.spool / "stdout").stat().st_size <= before + 40:
            await asyncio.sleep(0.01)
