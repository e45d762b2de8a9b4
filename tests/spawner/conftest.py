from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from passable import passable

from labbox.daemon.processes import Process, Processes
from labbox.errors import LabboxError

# What the spawner under test runs as kind "command": a few lines of Python, given as the words' first.
RUNNERS = """
import os, socket, sys
from labbox import spawner
def run(request):
    scope = {"argv": request.argv[1:]}
    exec(request.argv[0], scope)
    return scope.get("code", 0)
sock = socket.socket(fileno=int(sys.argv[1]))
spawner.serve(sock, {**spawner.RUNNERS, "command": run, "worker": run}, ["json", "logging:getLogger"])
"""


@pytest.fixture
def spawner(request: pytest.FixtureRequest) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    """It, and our end of its socket; a parameter is Python that it runs first."""
    first = getattr(request, "param", "")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        program = subprocess.Popen(
            [sys.executable, "-c", first + RUNNERS, str(theirs.fileno())], pass_fds=[theirs.fileno()], cwd="/"
        )
    try:
        yield program, ours
    finally:
        ours.close()
        assert program.wait(10) is not None


@pytest.fixture
async def processes(
    spawner: tuple[subprocess.Popen[bytes], socket.socket], request: pytest.FixtureRequest
) -> AsyncIterator[Processes]:
    """The daemon's side; a parameter is what each person may take."""
    service = Processes(spawner[1], getattr(request, "param", None))
    task = asyncio.create_task(service.run())
    await asyncio.sleep(0)
    yield service
    task.cancel()
    with suppress(asyncio.CancelledError, LabboxError):
        await task


@dataclass(frozen=True)
class Person:
    name: str
    uid: int
    home: Path


@pytest.fixture
def ada(tmp_path: Path) -> Person:
    """A user with a home that the real ids own; the folders above can be passed."""
    uid = 70000 if os.geteuid() == 0 else os.geteuid()
    passable(tmp_path)
    home = tmp_path / "ada"
    home.mkdir(mode=0o700)
    os.chown(home, uid, uid if os.geteuid() == 0 else -1)
    return Person("ada", uid, home)


Run = Callable[..., Awaitable[tuple[Process, str]]]


@pytest.fixture
def run(processes: Processes, ada: Person) -> Run:
    """Fork code or a program and give the process and what it has written, once it closes its output."""

    async def run(
        code: str = "", *, argv: Sequence[str] = (), kind: Any = "command", **rest: Any
    ) -> tuple[Process, str]:
        read, write = os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        try:
            process = await processes.spawn(
                kind=kind, name=ada.name, uid=ada.uid, gid=ada.uid, home=str(ada.home),
                argv=argv or (code,), fds=(nothing, write, write), **rest,
            )  # fmt: skip
        except LabboxError:
            os.close(read)
            raise
        finally:
            os.close(nothing)
            os.close(write)
        with os.fdopen(read, "rb") as stream:
            async with asyncio.timeout(20):
                data = await asyncio.to_thread(stream.read)
        return process, data.decode()

    return run
