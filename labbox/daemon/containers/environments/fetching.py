"""What fetches for builds, as a program of its own: it knows the passwords of indexes, builds do not.

``python -I fetching.py UID GID`` (ids -1 to stay as is): gives up its ids, reads one request as JSON on
standard input, makes its sockets in the folder that it names, says ``ready`` and serves until its input ends.
``proxy.sock`` leads out (`Guard`); each other socket is one origin of the lab's: whatever is asked of it is
asked of that origin with its credentials. Addresses of origins in its pages lead to the sockets again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import ssl
import sys
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import aiohttp
from yarl import URL

from labbox.daemon.containers.guard import Guard, plain_origin

_HEAD_BYTES: Final = 64 * 1024
_HEAD_SECONDS: Final = 30.0
_SILENT_SECONDS: Final = 120.0
_PAGE_BYTES: Final = 128 << 20  # of a page whose addresses are looked through
_CHUNK: Final = 1 << 18
_ASKED: Final = frozenset({"accept", "range", "if-none-match", "if-modified-since", "user-agent"})
_TOLD: Final = ("Content-Type", "Content-Range", "Accept-Ranges", "ETag", "Last-Modified", "Cache-Control")


class Origin:
    """One origin: scheme, host and port of places that whoever runs the box named, with their credentials."""

    def __init__(self, session: aiohttp.ClientSession, request: Mapping[str, Any], number: int) -> None:
        """`number` among the request's origins."""
        place = urlsplit(request["origins"][number])
        self._session = session
        self._top = plain_origin(request["origins"][number])
        self._auth = None
        if place.username is not None:
            self._auth = aiohttp.BasicAuth(unquote(place.username), unquote(place.password or ""), "utf-8")
        self._ssl = _context(request, place.hostname or "")
        self._proxy = _proxy_for(request["proxies"], place.scheme, place.hostname or "")
        # as pages may write it, with whatever credentials; the longest first, so that a port is not cut off
        self._written = [
            (re.compile(rb"(?i)" + _pattern(plain_origin(one))), f"http://127.0.0.1:{port}".encode())
            for one, port in zip(request["origins"], request["ports"], strict=True)
        ]

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            first, *lines = head[:-4].decode("latin-1").split("\r\n")
            method, target, _version = first.split(" ")
            if method not in ("GET", "HEAD") or not target.startswith("/"):
                raise ValueError(method)
            pairs = (line.partition(":") for line in lines)
            headers = {name: value.strip() for name, _, value in pairs if name.lower() in _ASKED}
            await self._fetch(method, target, headers, writer)
        except (OSError, ValueError, TimeoutError, aiohttp.ClientError, asyncio.IncompleteReadError) as error:
            why = type(error).__name__
            with contextlib.suppress(ConnectionError):
                writer.write(f"HTTP/1.1 502 {why}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
                await writer.drain()
        finally:
            writer.close()

    async def _fetch(
        self, method: str, target: str, headers: dict[str, str], writer: asyncio.StreamWriter
    ) -> None:
        async with self._session.request(
            method,
            URL(self._top + target, encoded=True),
            headers={**headers, "Accept-Encoding": "identity"},
            auth=self._auth,
            ssl=self._ssl,
            proxy=self._proxy,
        ) as answer:
            told = [f"{name}: {answer.headers[name]}" for name in _TOLD if name in answer.headers]
            kind = answer.headers.get("Content-Type", "")
            page = await self._page(answer) if "html" in kind or "json" in kind else None
            length = str(len(page)) if page is not None else answer.headers.get("Content-Length")
            if length is not None and (page is not None or "Content-Encoding" not in answer.headers):
                told.append(f"Content-Length: {length}")
            begin = [f"HTTP/1.1 {answer.status} {answer.reason or ''}", *told, "Connection: close", "", ""]
            writer.write("\r\n".join(begin).encode("latin-1", "replace"))
            if method == "HEAD":
                return
            if page is not None:
                writer.write(page)
            else:
                async for data in answer.content.iter_chunked(_CHUNK):
                    writer.write(data)
                    await writer.drain()
            await writer.drain()

    async def _page(self, answer: aiohttp.ClientResponse) -> bytes:
        page = await answer.content.read(_PAGE_BYTES)
        while more := await answer.content.read(_PAGE_BYTES - len(page)):
            page += more
        for written, address in self._written:
            page = written.sub(address, page)
        return page


def _pattern(origin: str) -> bytes:
    scheme, _, rest = origin.partition("://")
    usual = {"http": "80", "https": "443"}.get(scheme, "")
    port = "" if re.search(r":\d+$", rest) else f"(?::{usual})?"
    return f"{scheme}://(?:[^/@\\s\"'<>]*@)?{re.escape(rest)}{port}(?=[/\"'?#])".encode()


def _context(request: Mapping[str, Any], host: str) -> ssl.SSLContext | bool:
    if host in {each.partition(":")[0] for each in request["trusted_hosts"]}:
        return False
    context = ssl.create_default_context(cafile=request["certificates"])
    if request["client_certificate"]:
        context.load_cert_chain(request["client_certificate"])
    return context


def _proxy_for(proxies: Mapping[str, str], scheme: str, host: str) -> str | None:
    for word in proxies.get("no_proxy", "").replace(",", " ").split():
        name = word.lower().lstrip("*").lstrip(".")
        if word == "*" or host == name or host.endswith(f".{name}"):
            return None
    return proxies.get(f"{scheme}_proxy") or proxies.get("all_proxy") or None


async def serve(request: dict[str, Any]) -> None:
    """Serve until standard input ends."""
    os.chdir(request["folder"])  # paths of sockets must be short
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_HEAD_SECONDS, sock_read=_SILENT_SECONDS)
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(timeout=timeout, auto_decompress=True)
        )
        handlers: dict[str, Any] = {"proxy.sock": Guard(proxies=request["proxies"], private=True)}
        for number in range(len(request["origins"])):
            handlers[f"{number}.sock"] = Origin(session, request, number)
        for name, handler in handlers.items():
            server = await asyncio.start_unix_server(handler, name, limit=_HEAD_BYTES)
            stack.callback(server.close)
            os.chmod(name, 0o666)  # noqa: PTH101, S103 - whoever sees the folder is a build of this box
        os.write(1, b"ready\n")
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(0, lambda: None if os.read(0, 4096) else ended.set())
        await ended.wait()


def main() -> None:
    """Drop the ids, read the request, serve."""
    uid, gid = int(sys.argv[1]), int(sys.argv[2])
    if uid >= 0:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    asyncio.run(serve(json.loads(sys.stdin.buffer.readline())))


if __name__ == "__main__":
    main()
