"""Terminals over the API: the raw bytes of a connection, and which shells are open."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from aiohttp import web

from labbox.daemon.api.streams import STALL

_Key = tuple[str, int, str]


class Terminal(Protocol):
    """Raw bytes to and from a pty inside a container."""

    async def read(self) -> bytes:
        """Some bytes; none at the end."""

    async def write(self, data: bytes) -> None:
        """Hand bytes to the pty."""

    async def resize(self, rows: int, columns: int) -> None:
        """Tell it the size of its window."""

    async def close(self) -> None:
        """Let go; the shell gets a hang-up."""


class OpenShells:
    """The shells that are open now, by who opened them, their job, and the name given."""

    def __init__(self) -> None:
        """None is open."""
        self._open: dict[_Key, Terminal] = {}

    @contextmanager
    def known(self, account: str, job: int, name: str, terminal: Terminal) -> Iterator[None]:
        """Have it found while it is open; one without a name keeps its first size."""
        key = (account, job, name)
        if name:
            self._open[key] = terminal
        try:
            yield
        finally:
            if self._open.get(key) is terminal:
                del self._open[key]

    def find(self, account: str, job: int, name: str) -> Terminal | None:
        """The account's own shell of that name."""
        return self._open.get((account, job, name))


async def upgrade(request: web.Request, protocol: str, terminal: Terminal) -> web.StreamResponse:
    """Answer 101 and carry the terminal's bytes over the connection until either side has ended."""
    response = _Upgraded(status=101, headers={"Connection": "Upgrade", "Upgrade": protocol})
    transport = request.transport
    if transport is None:
        return response
    http = transport.get_protocol()
    reader = asyncio.StreamReader()
    raw = asyncio.StreamReaderProtocol(reader)
    await response.prepare(request)
    # From here on the bytes are not HTTP: another protocol reads them, until the connection is closed.
    transport.set_protocol(raw)
    raw.connection_made(transport)
    writer = asyncio.StreamWriter(transport, raw, reader, asyncio.get_running_loop())
    try:
        async with asyncio.TaskGroup() as tasks:
            inward = tasks.create_task(_inward(reader, terminal))
            await _outward(terminal, writer)
            inward.cancel()
    except* (ConnectionError, TimeoutError):
        pass  # the person has gone
    finally:
        transport.set_protocol(http)
        transport.close()
    return response


class _Upgraded(web.StreamResponse):
    """A response whose body is whatever the upgraded protocol says."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Send nothing more: the terminal has said all."""


async def _outward(terminal: Terminal, writer: asyncio.StreamWriter) -> None:
    while data := await terminal.read():
        writer.write(data)
        async with asyncio.timeout(STALL):
            await writer.drain()


async def _inward(reader: asyncio.StreamReader, terminal: Terminal) -> None:
    while data := await reader.read(1 << 16):
        await terminal.write(data)
    await terminal.write(b"\x04")  # the end of the input, as a terminal knows it
    await asyncio.sleep(STALL)
    raise TimeoutError("the other side has closed and the shell does not end")
