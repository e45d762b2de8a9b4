"""A shell in a running container, on a terminal of its own, as the job's user."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from labbox.daemon.containers.connection import Connection
from labbox.daemon.containers.stream import open_stream
from labbox.errors import LabboxError

if TYPE_CHECKING:
    import docker

# The image's best shell; busybox has one where the image has none. A job may have removed its HOME.
_SHELL = (
    'cd "$HOME" 2>/dev/null; for shell in /bin/bash /bin/sh; do [ -x "$shell" ] && exec "$shell"; done; '
    "exec /labbox/busybox sh"
)


_WITHOUT_SIZE: Final = "1.41"  # the API of engine 20.10, which starts a terminal without a size
_HANG_UP_SECONDS: Final = 1.0  # for a shell to put its things in order


class Shell:
    """Raw bytes of a terminal in both directions; close it when done."""

    def __init__(
        self, connection: Connection, exec_id: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Made by `open_shell`."""
        self._connection = connection
        self._exec_id = exec_id
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        """What the terminal shows next; empty when the shell has ended."""
        try:
            return await self._reader.read(65536)
        except ConnectionError:
            return b""

    async def write(self, data: bytes) -> None:
        """Type. A shell that has ended hears nothing."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError:
            return

    async def resize(self, rows: int, columns: int) -> None:
        """Tell the terminal its size; one that is not there yet, or no more, keeps the size that it has."""
        try:
            await self._connection.call(
                lambda api: api.exec_resize(self._exec_id, height=rows, width=columns)
            )
        except LabboxError as error:
            if error.code == "unavailable":
                raise

    async def exit_code(self) -> int | None:
        """The code it ended with; None while it runs."""
        answer = await self._connection.call(lambda api: api.exec_inspect(self._exec_id))
        code = answer.get("ExitCode")
        return None if code is None else int(code)

    async def close(self) -> None:
        """Hang up: the shell is told, and what it started on this terminal does not outlive it.

        The engine itself would let it run on without a terminal.
        """
        self._writer.close()
        answer = await self._connection.call(lambda api: api.exec_inspect(self._exec_id))
        leader = int(answer.get("Pid") or 0)
        if answer.get("Running") and leader:
            await _end_session(leader)


async def _end_session(leader: int) -> None:
    """SIGHUP to the first process of a session, and SIGKILL to what is left of it a moment later."""
    try:
        descriptor = os.pidfd_open(leader)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            signal.pidfd_send_signal(descriptor, signal.SIGHUP)
            async with asyncio.timeout(_HANG_UP_SECONDS):
                await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    await asyncio.to_thread(_kill_session, leader)


def _kill_session(leader: int) -> None:
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # ended meanwhile
            # the fields after the name, which may hold anything: state, parent, group, session (proc(5))
            session = int((folder / "stat").read_text().rpartition(")")[2].split()[3])
            if session == leader:
                os.kill(int(folder.name), signal.SIGKILL)


async def open_shell(
    connection: Connection,
    name: str,
    *,
    uid: int,
    gid: int,
    env: dict[str, str],
    command: tuple[str, ...] = (),
    rows: int = 24,
    columns: int = 80,
) -> Shell:
    """Start a shell (or a command) in a running container, with its job's ids and no more rights."""
    words = list(command) or ["/labbox/busybox", "sh", "-c", _SHELL]
    settings = [f"{key}={value}" for key, value in env.items()]

    def create(api: docker.APIClient) -> str:
        answer = api.exec_create(name, words, stdin=True, tty=True, user=f"{uid}:{gid}", environment=settings)
        return str(answer["Id"])

    exec_id = await connection.call(create)
    path = f"/v{connection.api_version}/exec/{exec_id}/start"
    begin = {"Detach": False, "Tty": True, "ConsoleSize": [rows, columns]}
    reader, writer = await open_stream(connection.socket_path, "POST", path, begin, upgrade=True)
    shell = Shell(connection, exec_id, reader, writer)
    if connection.api_version == _WITHOUT_SIZE:
        await shell.resize(rows, columns)
    return shell
