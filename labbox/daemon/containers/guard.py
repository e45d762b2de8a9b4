"""A proxy for programs that go where people's files send them: to the world, not back into the box.

A channel, an index or a redirect of theirs may name this machine's own services, which trust whoever asks
from here. The program knows no way out but this proxy, which resolves the name itself, looks at every
address, and connects to those it looked at. It alone knows the box's own proxy and its password.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import re
import socket
from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

from labbox.nearby import is_near, unwrapped

_HEAD_BYTES: Final = 64 * 1024
_HEAD_SECONDS: Final = 30.0
_CONNECT_SECONDS: Final = 30.0
_CHUNK: Final = 64 * 1024

Address = tuple[str, int]


def without_login(address: str) -> str:
    """An address as others may see it: without a name and password, and without a channel's token."""
    place = urlsplit(address)
    path = re.sub(r"^/t/[^/]+(?=/)", "", place.path)
    return place._replace(netloc=place.netloc.rpartition("@")[2], path=path).geturl()


class RefusedError(Exception):
    """The way does not lead out."""


class Guard:
    """An HTTP proxy (CONNECT, and plain requests) on a socket; every connection is one way to one place."""

    def __init__(
        self,
        *,
        named: Collection[Address] = (),
        proxies: Mapping[str, str] | None = None,
        private: bool = False,
        token: str = "",
    ) -> None:
        """`named` are places that whoever runs the box named, so they may be anywhere.

        `proxies`: the box's own, by the names of the usual variables. `private`: addresses of local networks
        are open too (never this machine's, nor its containers'). `token`: the password that its user gives.
        """
        self._named = {(host.lower(), port) for host, port in named}
        self._proxies = dict(proxies or {})
        self._private = private
        self._token = token
        self.refused: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        try:
            await self._serve(reader, writer)
        except RefusedError as error:
            self.refused.append(str(error))
            await _answer(writer, f"403 {error}")
        except TimeoutError:
            await _answer(writer, "504 no answer")
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await _answer(writer, "502 cannot connect")
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_HEAD_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head[:-4].split(b"\r\n")
        method, target, _version = first.decode("latin-1").split(" ")
        if self._token and not hmac.compare_digest(_given(lines), f"guard:{self._token}".encode()):
            await _answer(writer, "407 whose proxy?")
            return
        secure = method == "CONNECT"
        place = urlsplit(f"//{target}" if secure else target)
        if not place.hostname or (not secure and place.scheme != "http"):
            raise RefusedError("not an address")
        port = place.port or (443 if secure else 80)
        addresses, upstream = await self._way(place.hostname, port, "https_proxy" if secure else "http_proxy")
        async with asyncio.timeout(_CONNECT_SECONDS):
            far_reader, far_writer = await _connect(addresses)
        try:
            if secure:
                if upstream:
                    far_writer.write(_request(f"CONNECT {_joined(place.hostname, port)}", (), upstream))
                    answer = await far_reader.readuntil(b"\r\n\r\n")
                    if answer.split(b" ", 2)[1] != b"200":
                        await _answer(writer, "502 the proxy of the box refuses")
                        return
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                path = f"{place.path or '/'}{'?' + place.query if place.query else ''}"
                far_writer.write(_request(f"{method} {target if upstream else path}", lines, upstream))
            await _relay(reader, writer, far_reader, far_writer)
        finally:
            far_writer.close()

    async def _way(self, host: str, port: int, kind: str) -> tuple[list[Address], str]:
        """The addresses to connect to, and the box's own proxy if they are that one's."""
        upstream = self._proxies.get(kind) or self._proxies.get("all_proxy", "")
        if upstream and not _bypassed(host, self._proxies.get("no_proxy", "")):
            if (host.lower(), port) not in self._named:
                with contextlib.suppress(
                    socket.gaierror
                ):  # where only the proxy knows names, it knows no name of ours
                    self._check(host, await _resolve(host, port))
                if _is_ours_by_name(host):
                    raise RefusedError(f"{host} is this machine")
            proxy = urlsplit(upstream)
            return await _resolve(proxy.hostname or "", proxy.port or 3128), upstream
        found = await _resolve(host, port)
        if (host.lower(), port) not in self._named:
            self._check(host, found)
        return found, ""

    def _check(self, host: str, found: list[Address]) -> None:
        for address, _port in found:
            if not may_go_to(address, private=self._private):
                raise RefusedError(f"{host} is {address}, an address of this machine or of its network")


def may_go_to(address: str, *, private: bool = False) -> bool:
    """Whether an address is another machine's: of the public network, or (`private`) of a local one too."""
    found = unwrapped(address)
    if is_near(found) or (found.is_reserved and not found.is_global):
        return False
    return found.is_global or (private and found.is_private)


def plain_origin(address: str) -> str:
    """Scheme, host and port of an address: `https://host:8443`."""
    place = urlsplit(address)
    host = f"[{place.hostname}]" if ":" in (place.hostname or "") else place.hostname
    usual = {"http": 80, "https": 443}.get(place.scheme)
    return f"{place.scheme}://{host}" + (f":{place.port}" if place.port not in (None, usual) else "")


def _is_ours_by_name(host: str) -> bool:
    name = host.lower().rstrip(".")
    return name == "localhost" or name.endswith((".localhost", ".localdomain", ".local"))


async def _resolve(host: str, port: int) -> list[Address]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(str(entry[4][0]), port) for entry in found]


async def _connect(addresses: list[Address]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    failed: OSError = OSError("no address")
    for address, port in addresses:
        try:
            return await asyncio.open_connection(address, port, limit=_HEAD_BYTES)
        except OSError as error:
            failed = error
    raise failed


def _request(line: str, headers: Collection[bytes], upstream: str) -> bytes:
    """Their request in our words: on a connection of its own, with the password of the box's proxy."""
    kept = [one for one in headers if not one.lower().startswith((b"proxy-", b"connection:", b"keep-alive:"))]
    proxy = urlsplit(upstream)
    if proxy.username is not None:
        pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        kept.append(b"Proxy-Authorization: Basic " + base64.b64encode(pair.encode()))
    if not line.startswith("CONNECT "):
        kept.append(b"Connection: close")
    else:
        kept.append(b"Host: " + line.split(" ")[1].encode())
    return b"\r\n".join([f"{line} HTTP/1.1".encode(), *kept, b"", b""])


async def _relay(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    far_reader: asyncio.StreamReader,
    far_writer: asyncio.StreamWriter,
) -> None:
    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(_CHUNK):
                target.write(data)
                await target.drain()
            if target.can_write_eof():
                target.write_eof()

    up = asyncio.create_task(copy(reader, far_writer))
    try:
        await copy(far_reader, writer)
    finally:
        up.cancel()
        await asyncio.gather(up, return_exceptions=True)


async def _answer(writer: asyncio.StreamWriter, status: str) -> None:
    line = "".join(letter if " " <= letter <= "~" else "?" for letter in status)
    text = f"HTTP/1.1 {line}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with contextlib.suppress(ConnectionError):
        writer.write(text.encode())
        await writer.drain()


def _given(lines: Collection[bytes]) -> bytes:
    for line in lines:
        name, _, value = line.partition(b":")
        if name.lower() == b"proxy-authorization":
            with contextlib.suppress(ValueError):
                return base64.b64decode(value.strip().removeprefix(b"Basic ").strip(), validate=True)
    return b""


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _bypassed(host: str, no_proxy: str) -> bool:
    """Whether the box itself would go there without its proxy, as curl reads `no_proxy`."""
    for word in no_proxy.replace(",", " ").split():
        name = word.lower().lstrip("*").lstrip(".")
        if word == "*" or host.lower() == name or host.lower().endswith(f".{name}"):
            return True
    return False
