"""What nobody gets, with stock clients and with unusual ones."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from labbox.daemon.gate import algorithms

pytestmark = pytest.mark.root


async def actions(box: Any) -> list[tuple[str, str]]:
    page = await box.people.audit_page()
    return [(entry.action, entry.detail) for entry in page.entries]


@pytest.mark.parametrize("command", ["bash -i", "/bin/sh -c id", "rsync --daemon", "../../bin/ls"])
async def test_everything_else_is_a_sentence_and_a_row(box: Any, command: str) -> None:
    done = await box.run(box.ssh(command))
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: cannot ")
    assert done.stdout == b""
    assert ("refused", command) in await actions(box)


async def test_unknown_subsystem(box: Any) -> None:
    done = await box.run(box.ssh("-s", "netconf"))
    assert done.returncode == 1
    assert "cannot start the subsystem “netconf”" in done.stderr.decode()


async def test_no_forwarding_in_any_direction(box: Any, tmp_path: Path) -> None:
    async with asyncssh.connect(
        "127.0.0.1", box.port, username="ada", client_keys=[str(box.key)], known_hosts=None, config=None
    ) as client:
        with pytest.raises(asyncssh.ChannelOpenError, match="cannot forward ports"):
            await client.open_connection("127.0.0.1", box.port)
        with pytest.raises(asyncssh.ChannelOpenError, match="cannot forward sockets"):
            await client.open_unix_connection(str(box.state / "api.sock"))
        with pytest.raises(asyncssh.ChannelListenError):
            await client.forward_remote_port("127.0.0.1", 0, "127.0.0.1", 1)
        with pytest.raises(asyncssh.ChannelListenError):
            await client.forward_remote_path(str(tmp_path / "s"), str(tmp_path / "t"))
        with pytest.raises(asyncssh.ChannelOpenError):
            await client.create_tun(lambda: None, 0)  # type: ignore[arg-type, return-value]  # never gets that far
        process = await client.create_process("echo still here")
        assert (await process.wait()).stdout == "still here\n"
    noted = [detail for action, detail in await actions(box) if action == "refused"]
    assert {"port forwarding", "socket forwarding", "remote port forwarding"} <= set(noted)


async def test_remote_forward_of_openssh_fails(box: Any) -> None:
    done = await box.run(box.ssh("echo", "x", options=["-R0:127.0.0.1:1", "-oExitOnForwardFailure=yes"]))
    assert done.returncode == 255


async def test_agent_and_x11_are_not_forwarded(box: Any) -> None:
    async with asyncssh.connect(
        "127.0.0.1", box.port, username="ada", client_keys=[str(box.key)], known_hosts=None, config=None,
        agent_forwarding=True,
    ) as client:  # fmt: skip
        result = await client.run("environment")
        assert "SSH_AUTH_SOCK" not in str(result.stdout)
        with pytest.raises(asyncssh.ChannelOpenError):
            await client.create_process("echo x", x11_forwarding=True, x11_display="localhost:0")


async def test_only_modern_algorithms_are_offered(box: Any) -> None:
    """The server's KEXINIT as it stands on the wire, and strict key exchange (Terrapin) in it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", box.port)
    writer.write(b"SSH-2.0-probe\r\n")
    assert (await reader.readline()).startswith(b"SSH-2.0-labbox_")
    size = int.from_bytes(await reader.readexactly(4), "big")
    payload = (await reader.readexactly(size))[1:]
    writer.close()
    await writer.wait_closed()
    at, lists = 17, []
    for _ in range(10):
        length = int.from_bytes(payload[at : at + 4], "big")
        lists.append(payload[at + 4 : at + 4 + length].decode().split(","))
        at += 4 + length
    kex, hostkeys, ciphers, _ciphers, macs, _macs, compression = lists[:7]
    assert "kex-strict-s-v00@openssh.com" in kex
    assert kex[0] == "mlkem768x25519-sha256"
    assert ciphers[0] == "aes256-gcm@openssh.com"
    assert set(hostkeys) == {"ssh-ed25519", "rsa-sha2-256", "rsa-sha2-512"}
    assert compression == list(algorithms.COMPRESSION)
    offered = " ".join([*kex, *ciphers, *macs])
    for old in (
        "sha1",
        "cbc",
        "arcfour",
        "3des",
        "group14",
        "group1-",
        "nistp",
        "ecdh-sha2",
        "md5",
        "umac-64",
    ):
        assert old not in offered
    assert all("etm@" in mac for mac in macs[:3])  # the others are for clients that know nothing newer
    assert macs[3:] == ["hmac-sha2-512", "hmac-sha2-256"]
    assert not [name for name in kex if "diffie-hellman" in name]  # slow, and before the login


@pytest.mark.parametrize(
    "option", ["-oKexAlgorithms=diffie-hellman-group14-sha256", "-caes256-cbc", "-omacs=hmac-sha1"]
)
async def test_old_algorithms_are_refused(box: Any, option: str) -> None:
    more = ["-caes256-ctr"] if "macs" in option else []
    done = await box.run(box.ssh("echo", "x", options=[option, *more]))
    assert done.returncode == 255


@pytest.mark.parametrize(
    "noise",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0\n\0",
        b"SSH-1.5-old\r\n",
        b"SSH-2.0-x\r\n" + b"\xff" * 70000,
        b"A" * 300_000,
    ],
)
async def test_noise_is_hung_up_on_and_others_get_in(box: Any, noise: bytes) -> None:
    with socket.create_connection(("127.0.0.1", box.port)) as rude:
        rude.sendall(noise)
        done = await box.run(box.ssh("echo", "here"))
        assert done.stdout == b"here\n"
        rude.settimeout(5)
        with pytest.raises((ConnectionError, EOFError)):
            while True:
                if not await asyncio.to_thread(rude.recv, 65536):
                    raise EOFError


async def test_second_request_on_a_channel_is_refused(box: Any) -> None:
    async with asyncssh.connect(
        "127.0.0.1", box.port, username="ada", client_keys=[str(box.key)], known_hosts=None, config=None
    ) as client:
        process = await client.create_process("cat", encoding=None)
        channel: Any = process.channel
        assert await channel._make_request(b"exec", asyncssh.packet.String("echo again")) is False
        assert await channel._make_request(b"nonsense@example.org") is False
        assert (
            await channel._make_request(b"env", asyncssh.packet.String("A"), asyncssh.packet.String("b"))
            is True
        )
        process.stdin.write_eof()
        assert (await process.wait()).stdout == b"end of input"


async def test_hundred_channels_are_too_many(box: Any) -> None:
    async with asyncssh.connect(
        "127.0.0.1", box.port, username="ada", client_keys=[str(box.key)], known_hosts=None, config=None
    ) as client:
        open_ones = []
        with pytest.raises(asyncssh.ChannelOpenError, match="cannot open more than"):
            for _ in range(100):
                open_ones.append(await client.create_process("cat", encoding=None))  # noqa: PERF401 - it is to fail
        assert len(open_ones) == 16
