"""Attacks on a whole box before and after the login; others are served as ever meanwhile."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from asyncssh.packet import Boolean, String, UInt32
from attacked import PASSWORD, Attacked, attacked, memory

from labbox.daemon.gate import algorithms, shares, wire
from labbox.daemon.gate import channel as gate_channel
from labbox.errors import LabboxError
from labbox.model import JobSpec, TransferSpec, TransferVerb

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]
CUSTOM = """
[jobs]
max_waiting = 50
max_transfers = 3
"""


@pytest.fixture(scope="module")
def box() -> Iterator[Attacked]:
    with attacked(CUSTOM) as running:
        yield running


@asynccontextmanager
async def connected(box: Attacked, **options: Any) -> AsyncIterator[asyncssh.SSHClientConnection]:
    chosen = {"username": "ada", "client_keys": [str(box.key)], "known_hosts": None, "config": None}
    async with asyncssh.connect("127.0.0.1", box.port, **{**chosen, **options}) as connection:
        yield connection


async def login(box: Attacked, **options: Any) -> float:
    """Seconds that a login takes, to the end of its command."""
    before = time.perf_counter()
    async with connected(box, **options) as connection:
        done = await connection.run("whoami")
        assert done.exit_status == 0, done.stderr
    return time.perf_counter() - before


async def silent(box: Attacked, address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", box.port, local_addr=(address, 0))


# Before the login.


@pytest.mark.attack("S6")
async def test_no_exchange_of_keys_keeps_others_waiting(box: Attacked, tried: Callable[..., None]) -> None:
    offered = [*algorithms.KEX, "diffie-hellman-group18-sha512", "diffie-hellman-group16-sha512"]
    hosts = ["ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256"]

    async def exchange(kex: str, host: str, address: str) -> None:
        with suppress(asyncssh.Error, OSError):
            async with connected(
                box, client_keys=None, password="wrong", kex_algs=[kex], server_host_key_algs=[host],
                local_addr=(address, 0), preferred_auth=["none"],
            ):  # fmt: skip
                pytest.fail("nobody comes in without a proof")

    with box.asked_meanwhile() as quick:
        for number, kex in enumerate(offered):
            tried(20)
            host = hosts[number % len(hosts)]
            await asyncio.gather(*(exchange(kex, host, f"127.0.1.{n % 4 + 1}") for n in range(20)))
    quick.assert_quick()


@pytest.mark.attack("S6")
async def test_slow_exchanges_are_not_offered(box: Attacked, tried: Callable[..., None]) -> None:
    for kex in ("diffie-hellman-group18-sha512", "diffie-hellman-group16-sha512"):
        tried()
        # which of the two ends first notices that there is none in common is chance
        with pytest.raises((asyncssh.KeyExchangeFailed, asyncssh.ConnectionLost)):
            await login(box, kex_algs=[kex])


@pytest.mark.attack("S6")
async def test_keys_cannot_be_exchanged_without_end(box: Attacked, tried: Callable[..., None]) -> None:
    with box.asked_meanwhile() as quick:
        async with connected(box, server_host_key_algs=["rsa-sha2-512"]) as connection:
            owner: Any = connection
            async with asyncio.timeout(120):
                while owner._transport is not None:
                    if owner._kex_complete and not owner._kex:
                        tried()
                        owner._send_kexinit()
                        owner._kexinit_sent = True
                    await asyncio.sleep(0.001)
                await connection.wait_closed()
    quick.assert_quick()


@pytest.mark.attack("S6")
@pytest.mark.parametrize("size", [15_000, 200_000])
async def test_long_lists_of_algorithms_are_refused(
    box: Attacked, tried: Callable[..., None], size: int
) -> None:
    names = b",".join(b"a%d" % n for n in range(size // 7))
    payload = b"\x14" + os.urandom(16) + String(names) + 9 * String(b"") + Boolean(False) + UInt32(0)
    padding = 8 - (len(payload) + 5) % 8 + 8
    packet = UInt32(len(payload) + 1 + padding) + bytes((padding,)) + payload + bytes(padding)
    with box.asked_meanwhile() as quick:
        for _ in range(20):
            tried()
            reader, writer = await silent(box, "127.0.1.9")
            writer.write(b"SSH-2.0-x\r\n" + packet)
            with suppress(OSError):
                assert b"SSH-2.0-labbox" in await reader.read()  # and then the end
            writer.close()
    quick.assert_quick()


@pytest.mark.attack("S7")
async def test_silent_connections_lock_nobody_out(box: Attacked, tried: Callable[..., None]) -> None:
    async with AsyncExitStack() as stack:
        with box.asked_meanwhile() as quick:
            for number in range(600):
                tried()
                _reader, writer = await silent(box, f"127.0.2.{number % 5 + 1}")
                stack.callback(writer.close)
            taken = [await login(box, local_addr=("127.0.2.77", 0)) for _ in range(5)]
            taken += [await login(box, local_addr=("127.0.2.1", 0))]  # from one of theirs
        quick.assert_quick()
        assert sorted(taken)[2] < 5, taken


@pytest.mark.attack("S7")
async def test_silent_connections_of_very_many_addresses_lock_nobody_out(
    box: Attacked, tried: Callable[..., None]
) -> None:
    async with AsyncExitStack() as stack:
        for number in range(400):
            tried()
            _reader, writer = await silent(box, f"127.1.{number // 200}.{number % 200 + 1}")
            stack.callback(writer.close)
            if number % 2:  # some say who they are and no more
                writer.write(b"SSH-2.0-x\r\n")
        assert await login(box, local_addr=("127.1.9.1", 0)) < 10


@pytest.mark.attack("S8")
async def test_guesses_from_ninety_addresses_keep_no_login_waiting(
    box: Attacked, tried: Callable[..., None]
) -> None:
    stop = asyncio.Event()

    async def guess(number: int) -> None:
        while not stop.is_set():
            tried()
            with suppress(asyncssh.Error, OSError):
                async with connected(
                    box, username="grace", client_keys=None, password=f"wrong {number}",
                    local_addr=(f"127.2.0.{number + 1}", 0), login_timeout=30,
                ):  # fmt: skip
                    pytest.fail("a wrong password opens")

    alone = [await login(box, client_keys=None, password=PASSWORD) for _ in range(3)]
    with box.asked_meanwhile() as quick:
        guesses = [asyncio.create_task(guess(number)) for number in range(90)]
        try:
            async with asyncio.timeout(60):
                taken = [await login(box, client_keys=None, password=PASSWORD) for _ in range(5)]
        finally:
            stop.set()
            for task in guesses:
                task.cancel()
            await asyncio.gather(*guesses, return_exceptions=True)
    # This test's own ninety clients want the CPUs too: so against what a login takes without them.
    assert sorted(taken)[2] < max(1.0, 12 * min(alone)), (taken, alone)
    quick.assert_quick()


@pytest.mark.attack("S8")
async def test_wrong_old_passwords_are_counted(box: Attacked, tried: Callable[..., None]) -> None:
    said = []
    with box.client("ada") as ada, box.asked_meanwhile() as quick:
        for number in range(12):
            tried()
            with pytest.raises(LabboxError) as caught:
                await asyncio.to_thread(ada.set_password, "ada", f"new password {number}", "wrong")
            said.append(caught.value.code)
        assert "limit" in said
        assert said.index("limit") <= 6
    quick.assert_quick()
    assert await login(box, client_keys=None, password=PASSWORD) < 30


@pytest.mark.attack("S7")
async def test_too_many_from_one_address_are_told_so(box: Attacked, tried: Callable[..., None]) -> None:
    """Whoever is sent away is told why, as SSH has it: 70 silent ones take the places of their address."""
    async with AsyncExitStack() as stack:
        readers = []
        for _ in range(70):
            tried()
            reader, writer = await silent(box, "127.0.3.1")
            stack.callback(writer.close)
            readers.append(reader)
        async with asyncio.timeout(30):
            said = await readers[0].read()
        assert said.startswith(b"SSH-2.0-labbox")
        assert b"cannot wait for you any longer: others want to log in" in said


# After the login.


async def opened(connection: asyncssh.SSHClientConnection) -> Any:
    """A session channel in which nothing has been asked for; None where the box opens no more."""
    owner: Any = connection
    channel = asyncssh.channel.SSHClientChannel(owner, owner._loop, "strict", None, "strict", 2 << 20, 32768)
    try:
        await channel._open(b"session")
    except asyncssh.ChannelOpenError:
        return None
    channel._send_state = "open"
    channel._session = asyncssh.SSHClientSession()
    return channel


def fill(channel: Any) -> None:
    """Send all that the box has room for."""
    left = channel._send_window
    while left > 0:
        size = min(left, 32768)
        channel.send_packet(asyncssh.constants.MSG_CHANNEL_DATA, String(bytes(size)))
        left -= size


def tell(channel: Any) -> None:
    """Send names and values that are as long as a packet may be."""
    for number in range(64):
        value = String(bytes(60_000))
        channel._send_request(b"env", String(b"LC_%d" % number), value)
    channel._send_request(b"pty-req", value, *[UInt32(24)] * 4, String(b""))


def ask(channel: Any) -> None:
    """Ask for what is too long to be read, and do not answer that the channel is closed."""
    channel._send_state = "closed"
    channel._conn.send_packet(
        asyncssh.constants.MSG_CHANNEL_REQUEST,
        UInt32(channel._send_chan), String(b"exec"), Boolean(False), String(b"x" * 200_000),
    )  # fmt: skip


@pytest.mark.attack("S9")
@pytest.mark.parametrize(("sends", "connections"), [(fill, 40), (tell, 8), (ask, 8)])
async def test_channels_of_one_person_are_few_and_small(
    box: Attacked, tried: Callable[..., None], sends: Callable[[Any], None], connections: int
) -> None:
    """What counts is the sum over all connections of one person."""
    count = 0
    async with AsyncExitStack() as stack:
        one_by_one = [await stack.enter_async_context(connected(box)) for _ in range(connections)]
        before = memory(box.process.pid)
        for connection in one_by_one:
            for _ in range(wire.MAX_OPENED + 1):
                tried()
                channel = await opened(connection)
                if channel is not None:
                    count += 1
                    sends(channel)
            assert await connection._make_global_request(b"keepalive@openssh.com")  # all has been read
        grown = memory(box.process.pid) - before
        async with connected(box, username="grace") as grace:
            assert (await grace.run("whoami")).exit_status == 0
    assert count == min(connections * wire.MAX_OPENED, shares.CHANNELS)
    assert grown < 40 << 20, grown
    async with connected(box) as again:  # those of a connection that has gone count no more
        assert (await again.run("whoami")).exit_status == 0


@pytest.mark.attack("S9")
async def test_a_channel_that_asks_for_nothing_is_closed(box: Attacked, tried: Callable[..., None]) -> None:
    async with connected(box) as connection:
        tried()
        channel = await opened(connection)
        async with asyncio.timeout(gate_channel.ASK_SECONDS + 30):
            await channel.wait_closed()
        assert (await connection.run("whoami")).exit_status == 0


@pytest.mark.attack("S9")
async def test_two_hundred_logins_of_one_person_wait_their_turn(
    box: Attacked, tried: Callable[..., None]
) -> None:
    async with connected(box) as connection, AsyncExitStack() as stack:
        for _ in range(6):  # each holds 16 at most, and a person 32
            other = await stack.enter_async_context(connected(box))
            for _ in range(8):
                tried()
                with suppress(asyncssh.Error):
                    await other.create_process("api", encoding=None)
        async with connected(box, username="grace") as grace:
            assert (await grace.run("whoami")).exit_status == 0
        assert connection.get_extra_info("username") == "ada"
    count = sum(1 for _ in Path(f"/proc/{box.process.pid}/fd").iterdir())
    assert count < 1000


@pytest.mark.attack("S9")
def test_transfers_at_once_have_a_limit(box: Attacked, tried: Callable[..., None]) -> None:
    with box.client("ada") as ada:
        for parallel in (4, 100, 1_000_000):
            tried()
            with pytest.raises(LabboxError, match="this box allows 3 of one person"):
                ada.set_group("transfers", parallel)
        ada.set_group("transfers", 3)
        ada.set_group("others", 1_000_000)


@pytest.mark.attack("S19")
def test_waiting_jobs_have_a_limit(box: Attacked, tried: Callable[..., None]) -> None:
    with box.client("grace") as grace:
        tried()
        with pytest.raises(LabboxError, match="cannot submit 51 jobs: 0 of grace wait already"):
            grace.submit_job(JobSpec(command=("true",), array=tuple(range(51)), hold=True))
        grace.submit_job(JobSpec(command=("true",), array=tuple(range(40)), hold=True))
        for _ in range(9):
            grace.submit_job(JobSpec(command=("true",), hold=True))
        for _ in range(5):
            tried()
            with pytest.raises(LabboxError, match="wait already, at most 50 may"):
                grace.submit_job(JobSpec(command=("true",), hold=True))
    with box.client("ada") as ada:
        ada.submit_job(JobSpec(command=("true",), hold=True))


@pytest.mark.attack("S15")
@pytest.mark.parametrize(
    "spec",
    [
        JobSpec(
            transfer=TransferSpec(
                verb=TransferVerb.ERASE, sources=tuple(f"~/a folder/{n}" for n in range(100_000))
            ),
            hold=True,
        ),
        JobSpec(command=("true",), name="x" * 1_000_000),
        JobSpec(command=("true",), name="\x1b" * 1_000_000),
        JobSpec(path="x/" * 1_000_000),
        JobSpec(command=("true",), group="g" * 1_000_000),
        JobSpec(command=("true",), array=tuple(range(1_000_000))),
        JobSpec(command=("true",), env={f"V{n}": "x" for n in range(200_000)}),
        JobSpec(command=("x",) * 500_000),
        JobSpec(transfer=TransferSpec(verb=TransferVerb.ERASE, sources=("~/" + "a\\x1b" * 500_000,))),
        JobSpec(transfer=TransferSpec(verb=TransferVerb.FIND, sources=("~",), text="x" * 5_000_000)),
        JobSpec(transfer=TransferSpec(verb=TransferVerb.ERASE, sources=("~/x",), only=("x/y",) * 100_000)),
    ],
    ids=lambda spec: next(
        name
        for name in ("name", "path", "group", "array", "env", "transfer", "command")
        if getattr(spec, name)
    ),
)
async def test_no_request_is_worked_on_while_others_wait(
    box: Attacked, tried: Callable[..., None], spec: JobSpec
) -> None:
    with box.client("ada") as ada, box.asked_meanwhile() as quick:
        until = time.monotonic() + 1
        while time.monotonic() < until:
            tried()
            with suppress(LabboxError):
                await asyncio.to_thread(ada.submit_job, spec)
    quick.assert_quick()


@pytest.mark.attack("S15")
def test_compressed_requests_are_refused(box: Attacked, tried: Callable[..., None]) -> None:
    bomb = zlib.compress(bytes(200 << 20), 9)
    before = memory(box.process.pid)
    for encoding in ("gzip", "deflate", "br", "GZIP"):
        tried()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(box.state / "api.sock"))
            head = (
                f"POST /v1/jobs HTTP/1.1\r\nHost: box\r\nLabbox-As: ada\r\nContent-Encoding: {encoding}\r\n"
            )
            sock.sendall(f"{head}Content-Length: {len(bomb)}\r\n\r\n".encode() + bomb)
            answer = sock.recv(65536)
            assert answer.startswith(b"HTTP/1.1 4")
            assert b"it is compressed" in answer
    assert memory(box.process.pid) - before < 50 << 20


@pytest.mark.attack("S15")
async def test_compressed_packets_are_inflated_within_bounds(
    box: Attacked, tried: Callable[..., None]
) -> None:
    before = memory(box.process.pid)
    with box.asked_meanwhile() as quick:
        for kind in (asyncssh.constants.MSG_IGNORE, asyncssh.constants.MSG_DEBUG):
            tried()
            async with connected(box, compression_algs=["zlib@openssh.com"]) as connection:
                owner: Any = connection
                with suppress(asyncssh.Error, OSError):
                    owner.send_packet(kind, String(bytes(100 << 20)))
                async with asyncio.timeout(30):
                    await connection.wait_closed()
    quick.assert_quick()
    assert memory(box.process.pid) - before < 50 << 20


@pytest.mark.attack("S15")
@pytest.mark.parametrize("compressed", [False, True])
async def test_a_flood_of_packets_keeps_nobody_waiting(
    box: Attacked, tried: Callable[..., None], compressed: bool
) -> None:
    options = {"compression_algs": ["zlib@openssh.com" if compressed else "none"]}
    async with AsyncExitStack() as stack:
        connections: list[Any] = [
            await stack.enter_async_context(connected(box, **options)) for _ in range(3)
        ]
        with box.asked_meanwhile() as quick:
            until = time.monotonic() + 3
            while time.monotonic() < until:
                for owner in connections:
                    for _ in range(50):
                        tried()
                        owner.send_packet(asyncssh.constants.MSG_IGNORE, String(bytes(60_000 * compressed)))
                await asyncio.sleep(0.005)
        quick.assert_quick()
        for owner in connections:
            owner.abort()


@pytest.mark.attack("S15")
@pytest.mark.parametrize(
    "command",
    [
        "job list " + "x" * 60_000,
        "job list " + "'a b' " * 10_000,
        "\\" * 60_000,
        '"' * 60_001,
        "job " + "\\x " * 15_000,
        "cat >" * 10_000,
        "=.ssh/authorized_keys" * 3000,
        "scp -t " + "~/x " * 15_000,
        "rsync --server " + "-" + "v" * 60_000 + " . x",
    ],
    ids=lambda command: command[:12],
)
async def test_long_commands_keep_nobody_waiting(
    box: Attacked, tried: Callable[..., None], command: str
) -> None:
    async with connected(box) as connection:
        with box.asked_meanwhile() as quick:
            for _ in range(8):
                tried()
                done = await connection.run(command)
                assert done.exit_status == 1
                assert "cannot read a command of more than 32 KiB" in str(done.stderr)
    quick.assert_quick()


@pytest.mark.attack("S15")
async def test_keys_of_the_box_are_proven_once_each(box: Attacked, tried: Callable[..., None]) -> None:
    async with connected(box) as connection:
        owner: Any = connection
        key = connection.get_server_host_key()
        assert key is not None
        with box.asked_meanwhile() as quick:
            until = time.monotonic() + 1
            while time.monotonic() < until:
                tried()
                kind, _packet = await owner._make_global_request(
                    b"hostkeys-prove-00@openssh.com", *[String(key.public_data)] * 2000
                )
                assert kind == asyncssh.constants.MSG_REQUEST_FAILURE
        quick.assert_quick()


# Many at once, who mean well.


def test_a_class_behind_one_address_comes_in(box: Attacked) -> None:
    running = [
        subprocess.Popen(box.ssh("job", "list"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(100)
    ]
    said = [process.communicate(timeout=200)[1] for process in running]
    assert [process.returncode for process in running] == [0] * len(running), said


def test_the_log_tells_of_many_in_one_line(box: Attacked) -> None:
    lines = [
        line
        for line in box.log.read_text().splitlines()
        if "before a login" in line or "begin a login" in line
    ]
    times = [line.split()[0] for line in lines]
    assert lines
    assert len(lines) <= 10, times
    assert all(re.search(r"most of them from \d+\.", line) for line in lines)
