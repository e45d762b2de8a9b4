"""Conda channels that lie, and channels that lead back into the box."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from made_packages import add_package
from rattler.index import index_fs

from labbox.custom import IndexSettings, Settings
from labbox.daemon.containers.guard import Guard
from labbox.errors import LabboxError


async def make_channel(
    folder: Path, words: str, *, lie: Callable[[dict[str, Any]], object] | None = None
) -> str:
    """A channel with one package `words` that holds `words`; `lie` edits what the channel says of it."""
    add_package(folder, "words", "1.0", {"share/words": words})
    (folder / "linux-64").mkdir()
    await index_fs(folder, write_zst=False, write_shards=False)
    index = folder / "noarch/repodata.json"
    if lie is not None:
        document = json.loads(index.read_text())
        record = next(iter(document["packages"].values()))
        lie(record)
        index.write_text(json.dumps(document))
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    folder.chmod(0o755)
    return folder.as_uri()


def asks(*channels: str, spec: str = "words") -> tuple[str, str]:
    named = "".join(f"  - {json.dumps(each)}\n" for each in channels)
    return "conda", f"channels:\n{named}dependencies:\n  - {json.dumps(spec)}\n"


def opens(*channels: str) -> Settings:
    return Settings(index=IndexSettings(channels=channels))


async def held(prepared: Any) -> str:
    return str((prepared.environment / "share/words").read_text())


@pytest.mark.attack("S2")
async def test_no_channels_package_is_served_as_anothers(
    open_box: Callable[..., Any], links: Path, tried: Callable[..., None]
) -> None:
    """Same name, version and build: without a hash, with another's hash, with a right hash of other bytes."""
    honest = await make_channel(links / "honest", "honest\n")
    archive = next((links / "honest/noarch").glob("*.tar.bz2")).read_bytes()
    known = {"sha256": hashlib.sha256(archive).hexdigest(), "size": len(archive)}
    bare = await make_channel(links / "bare", "evil\n", lie=lambda record: record.pop("sha256"))
    claims = await make_channel(links / "claims", "evil\n", lie=lambda record: record.update(known))
    weak = await make_channel(links / "weak", "evil\n", lie=lambda record: record.update(sha256="abc"))
    other = await make_channel(links / "other", "other\n")
    box = await open_box(settings=opens(honest, bare, claims, weak, other))
    for channel, says in ((bare, "gives no sha256"), (claims, "has the sha256"), (weak, "sha256|digest")):
        tried()
        with pytest.raises(LabboxError, match=says) as caught:
            await box.prepare(asks(channel))
        assert caught.value.code in ("forbidden", "invalid", "unavailable")
    tried(2)
    assert await held(await box.prepare(asks(other))) == "other\n"
    assert await held(await box.prepare(asks(honest))) == "honest\n"
    # an archive in the cache that changed is not used either
    tried()
    for path in (box.state / "environments-cache/conda/archives").glob("*/*/*.tar.bz2"):
        path.write_bytes(next((links / "claims/noarch").glob("*.tar.bz2")).read_bytes())
    again = await open_box(settings=opens(honest, other))
    assert await held(await again.prepare(asks(honest, other))) == "honest\n"


@pytest.mark.attack("S2")
async def test_channels_that_the_lab_has_not_opened(
    open_box: Callable[..., Any], links: Path, tried: Callable[..., None]
) -> None:
    local = await make_channel(links / "local", "local\n")
    path = links / "local"
    for settings in (None, opens("*")):  # one after the other: they share a state folder
        box = await open_box(settings=settings)
        for channel in (
            local,
            str(path),
            f"file://localhost{path}",
            f"FILE://{path}",
            "http://127.0.0.1:9/ch",
            "http://localhost:9/ch",
            "http://[::1]:9/ch",
            "http://[::ffff:127.0.0.1]:9/ch",
            "http://2130706433:9/ch",
            "http://0x7f.1:9/ch",
            "http://0.0.0.0:9/ch",
            "http://169.254.169.254/latest",
            "http://[fe80::1]:9/ch",
            "s3://bucket/ch",
            "oci://127.0.0.1:9/ch",
        ):
            tried()
            with pytest.raises(LabboxError, match=r"cannot use environment\.yml|cannot read the conda"):
                await box.prepare(asks(channel))
    for spec in (
        f"{path.as_uri()}/noarch/words-1.0-0.tar.bz2",
        f"{path}/noarch/words-1.0-0.tar.bz2",
        f"words[url={path.as_uri()}/noarch/words-1.0-0.tar.bz2]",
        "http://127.0.0.1:9/words-1.0-0.conda",
        f"{local}::words",
        f"words[channel={local}]",
    ):
        tried()
        with pytest.raises(LabboxError):
            await box.prepare(asks("conda-forge", spec=spec))


@pytest.fixture
async def own_service() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A service on loopback that only this machine should reach, and what it was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(1024))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], asked
    server.close()


async def ask(guard: Guard, request: str) -> bytes:
    """What a proxy answers to a request."""
    server = await asyncio.start_server(guard, "127.0.0.1", 0)
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(request.encode())
        with contextlib.suppress(ConnectionError):
            answer = await reader.read()
    writer.close()
    server.close()
    return answer


@pytest.mark.attack("S2")
@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "0"]
)
async def test_the_guard_leads_to_no_service_of_this_machine(
    host: str, own_service: tuple[int, list[bytes]], tried: Callable[..., None]
) -> None:
    port, asked = own_service
    tried(3)
    for request in (
        f"GET http://{host}:{port}/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
        f"CONNECT {host}:{port} HTTP/1.1\r\n\r\n",
        f"GET http://user@{host}:{port}/ HTTP/1.1\r\n\r\n",
    ):
        assert b"secret" not in await ask(Guard(private=True), request)
    assert asked == []


async def test_the_guard_leads_where_the_lab_named_it(own_service: tuple[int, list[bytes]]) -> None:
    port, asked = own_service
    guard = Guard(named=[("127.0.0.1", port)])
    answer = await ask(guard, f"GET http://127.0.0.1:{port}/x?y HTTP/1.1\r\nHost: a\r\nProxy-X: y\r\n\r\n")
    assert answer.endswith(b"secret")
    assert asked[0].startswith(b"GET /x?y HTTP/1.1\r\n")
    assert b"proxy" not in asked[0].lower()
    assert b"407" in await ask(Guard(token="right"), "CONNECT example.org:443 HTTP/1.1\r\n\r\n")


async def test_the_guard_gives_the_password_of_the_boxs_proxy(own_service: tuple[int, list[bytes]]) -> None:
    port, asked = own_service
    guard = Guard(proxies={"http_proxy": f"http://ada:p%40ss@127.0.0.1:{port}"})
    answer = await ask(guard, "GET http://192.0.2.1/x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"403" in answer  # of no network
    answer = await ask(guard, "GET http://1.1.1.1/x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.endswith(b"secret")
    assert b"Proxy-Authorization: Basic YWRhOnBAc3M=" in asked[0]
    assert b"403" in await ask(guard, "GET http://localhost/x HTTP/1.1\r\n\r\n")


@pytest.mark.attack("S2")
async def test_a_redirect_does_not_lead_back_into_the_box(
    open_box: Callable[..., Any], own_service: tuple[int, list[bytes]], tried: Callable[..., None]
) -> None:
    port, asked = own_service

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        place = f"http://127.0.0.1:{port}/repodata.json"
        writer.write(
            f"HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(redirect, "127.0.0.1", 0)
    channel = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/channel"
    tried()
    box = await open_box(settings=opens(channel))
    with pytest.raises(LabboxError):
        await box.prepare(asks(channel))
    server.close()
    assert asked == []
