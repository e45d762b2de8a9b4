"""What listens on the box itself is told to nobody: one answer, after one time."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest

from labbox.errors import LabboxError
from labbox.files.places import addresses, sftplogin
from labbox.files.places.credentials import Credential


def _serve(answer: bytes | None) -> Iterator[int]:
    """A port of loopback; `answer` None: it takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept: list[socket.socket] = []

        def work() -> None:
            while True:
                try:
                    one, _ = server.accept()
                except OSError:
                    return
                if answer is None:
                    kept.append(one)
                else:
                    one.sendall(answer)
                    one.close()

        threading.Thread(target=work, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        for one in kept:
            one.close()


@pytest.fixture(params=["closed", "silent", "web", "hangs up", "an SSH server that hangs up"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    answers = {
        "silent": None,
        "web": b"HTTP/1.1 400 Bad Request\r\n\r\n",
        "hangs up": b"",
        "an SSH server that hangs up": b"SSH-2.0-x\r\n",
    }
    if request.param == "closed":
        with socket.create_server(("127.0.0.1", 0)) as taken:
            number = taken.getsockname()[1]
        yield number
    else:
        yield from _serve(answers[request.param])


@pytest.mark.attack("S18")
async def test_ports_of_the_box_cannot_be_told_apart(
    port: int, tried: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sftplogin, "_NEAR_SECONDS", 1.0)

    async def look(ask: Callable[[str, int], Awaitable[None]], host: str) -> None:
        tried()
        began = time.monotonic()
        with pytest.raises(LabboxError) as caught:
            await ask(host, port)
        assert time.monotonic() - began >= 1.0
        name = f"me@{host}:{port}" if ask is _log_in else f"{host}:{port}"
        assert caught.value.message == f"cannot reach {name}: nothing answers on port {port}"
        assert caught.value.hint == "start its SSH server, or give the right port: HOST:PORT"

    hosts = ("127.0.0.1", "127.9.9.9", "localhost", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]")
    await asyncio.gather(*(look(ask, host) for host in hosts for ask in (_log_in, _look)))


async def _log_in(host: str, port: int) -> None:
    await sftplogin.Line(Credential("me", host, port, guarded=True)).open()


async def _look(host: str, port: int) -> None:
    await sftplogin.shown_key(host, port, guarded=True)


@pytest.mark.attack("S18")
async def test_a_name_is_asked_about_once(
    monkeypatch: pytest.MonkeyPatch, tried: Callable[..., None]
) -> None:
    """One that leads elsewhere the second time: what was looked at is what is connected to."""
    asked = 0

    async def turning(host: str, port: int) -> tuple[addresses.Address, ...]:
        nonlocal asked
        asked += 1
        where = "192.0.2.7" if asked == 1 else "127.0.0.1"
        return (addresses.Address(socket.AF_INET, (where, port)),)

    connected: list[object] = []

    async def connect(found: tuple[addresses.Address, ...]) -> socket.socket:
        connected.extend(one.where[0] for one in found)
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(addresses, "addresses_of", turning)
    monkeypatch.setattr(addresses, "connect", connect)
    tried()
    with pytest.raises(LabboxError, match="nothing answers on port 22"):
        await _log_in("rebinding.example", 22)
    assert (asked, connected) == (1, ["192.0.2.7"])
