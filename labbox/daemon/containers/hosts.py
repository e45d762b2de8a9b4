"""Single `host:port` pairs for runs without a network: a licence server, and nothing else.

A listener stands on the loopback device inside the container's network namespace; the daemon, outside,
forwards each connection to the one host and port. The container's `/etc/hosts` has the host's name at that
address.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from labbox.daemon.containers.run import Opening
from labbox.errors import LabboxError

T = TypeVar("T")

_CLONE_NEWNET: Final = 0x40000000
_SIOCSIFADDR: Final = 0x8916
_CONNECT_SECONDS: Final = 10.0
_CONNECTIONS: Final = 64  # of one run at once
_CHUNK: Final = 65536


class Openings:
    """The listeners of all runs; a run's are closed with it."""

    def __init__(self) -> None:
        """No listener yet."""
        self._servers: dict[str, list[asyncio.Server]] = {}

    async def open(self, name: str, pid: int, opened: tuple[Opening, ...], gate: Path) -> None:
        """Listen in the namespace of the process `pid`, then let the run go on by the file `open` in `gate`.

        Does nothing where the run has its listeners. LabboxError where they cannot be made.
        """
        if name in self._servers:
            return
        try:
            sockets = await asyncio.to_thread(_in_namespace, pid, lambda: _listen_all(opened))
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


def _listen_all(opened: tuple[Opening, ...]) -> list[socket.socket]:
    with contextlib.ExitStack() as undo:
        sockets = [undo.enter_context(_listen(one)) for one in opened]
        undo.pop_all()
    return sockets


def _listen(one: Opening) -> socket.socket:
    if one.literal and not one.address.startswith("127."):
        _add_address(one.address)
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((one.address, one.port))
        listening.listen(16)
    except OSError:
        listening.close()
        raise
    return listening


def _add_address(address: str) -> None:
    """Give the loopback device an address more, as `ifconfig lo:N ADDRESS` does (netdevice(7))."""
    alias = f"lo:{socket.inet_aton(address).hex()}".encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH2x4s8x", alias, socket.AF_INET, socket.inet_aton(address))
        fcntl.ioctl(control, _SIOCSIFADDR, request)


def _in_namespace(pid: int, work: Callable[[], T]) -> T:
    """Run `work` in the network namespace of a process: in a thread of its own, which ends with it."""
    results: list[T] = []
    errors: list[OSError] = []

    def run() -> None:
        try:
            namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(namespace, _CLONE_NEWNET) != 0:
                    code = ctypes.get_errno()
                    raise OSError(code, os.strerror(code))
            finally:
                os.close(namespace)
            results.append(work())
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="engine-namespace")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
