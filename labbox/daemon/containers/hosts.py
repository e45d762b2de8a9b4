"""Single `host:port` pairs for runs without a network: a licence server, and nothing else.

A listener stands on the loopback device inside the container's network namespace; the daemon, outside,
forwards each connection to the one host and port. The container's `/etc/hosts` has the host's name at that
address.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from pathlib import Path
from typing import Final

import msgspec

from labbox.chores import MAX_LISTENERS
from labbox.daemon.containers.chores import Chores, by_ourselves
from labbox.daemon.containers.run import Opening
from labbox.errors import LabboxError

_CONNECT_SECONDS: Final = 10.0
_CONNECTIONS: Final = 64  # of one run at once
_CHUNK: Final = 65536


class Openings:
    """The listeners of all runs; a run's are closed with it."""

    def __init__(self, chores: Chores = by_ourselves) -> None:
        """No listener yet; `chores` does what enters a namespace."""
        self._chores = chores
        self._servers: dict[str, list[asyncio.Server]] = {}

    async def open(self, name: str, pid: int, opened: tuple[Opening, ...], gate: Path) -> None:
        """Listen in the namespace of the process `pid`, then let the run go on by the file `open` in `gate`.

        Does nothing where the run has its listeners. LabboxError where they cannot be made.
        """
        if name in self._servers:
            return
        try:
            sockets = await _listeners(self._chores, pid, opened)
        except OSError as error:
            raise LabboxError(
                "unavailable",
                f"cannot open {opened[0].host}:{opened[0].port} to {name}: {error.strerror}",
                "labbox needs root on the box for templates that open hosts" if os.geteuid() else "",
            ) from error
        servers = self._servers.setdefault(name, [])
        for listening, one in zip(sockets, opened, strict=True):
            servers.append(await asyncio.start_server(_Forward(one), sock=listening))
        await asyncio.to_thread((gate / "open").touch)

    def close(self, name: str) -> None:
        """End the listeners of a run, where it has some."""
        for server in self._servers.pop(name, []):
            server.close()

    def close_all(self) -> None:
        """End all listeners."""
        for name in tuple(self._servers):
            self.close(name)


class _Forward:
    """What happens to a connection that a run makes."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._free = asyncio.Semaphore(_CONNECTIONS)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._free.locked():
            writer.close()
            return
        async with self._free:
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    far_reader, far_writer = await asyncio.open_connection(
                        self._opening.host, self._opening.port
                    )
            except (OSError, TimeoutError):
                writer.close()  # the program sees that nobody is there
                return
            try:
                await asyncio.gather(_pour(reader, far_writer), _pour(far_reader, writer))
            finally:
                writer.close()
                far_writer.close()


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def _listeners(chores: Chores, pid: int, opened: tuple[Opening, ...]) -> list[socket.socket]:
    """Sockets that listen in the namespace of a process; OSError where they cannot be made."""
    wanted = [(one.address, one.port, one.literal and not one.address.startswith("127.")) for one in opened]
    words = (str(pid), msgspec.json.encode(wanted).decode())
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            nothing = os.open(os.devnull, os.O_RDWR)
            try:
                chore = await chores("listen", words, (theirs.fileno(), nothing, nothing))
            finally:
                os.close(nothing)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await chore.wait()
        finally:
            await chore.kill()
        ours.setblocking(False)
        said, made, _flags, _address = socket.recv_fds(ours, 16, MAX_LISTENERS)
    sockets = [socket.socket(fileno=descriptor) for descriptor in made]
    if said != b"0" or len(sockets) != len(opened):
        for one in sockets:
            one.close()
        number = int(said) if said.isdigit() else errno.EIO
        raise OSError(number, os.strerror(number))
    return sockets
