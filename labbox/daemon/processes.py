"""The daemon's side of the spawner: ask for a process, wait for its end, send it signals.

One SEQPACKET socket to `labbox.spawner`. Nobody but the spawner's death ends `Processes.run`, and that is an
error: without it nobody can log in and no file is touched, so the box starts anew.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

from labbox import spawning
from labbox.errors import LabboxError
from labbox.model import Value
from labbox.spawning import ChoreRequest, Ended, Mount, Request, SignalRequest, SpawnRequest, Started

START_SECONDS: Final = 20.0  # a fork takes milliseconds; a machine that swaps, seconds
_SPARE: Final = 1 << 20  # bytes of a file that somebody without room may write: settings, a history
_HIGHEST_ID: Final = 2**31


class Process:
    """A process that the spawner has forked; as root in a pid namespace of its own."""

    def __init__(self, processes: Processes, number: int) -> None:
        """Made by `Processes.spawn`."""
        self._processes = processes
        self._number = number
        loop = asyncio.get_running_loop()
        self._started: asyncio.Future[Started] = loop.create_future()
        self._ended: asyncio.Future[int] = loop.create_future()

    @property
    def pid(self) -> int:
        """Its pid as the daemon sees it; all that it starts are its descendants, or those of `first`."""
        return self._started.result().pid

    @property
    def first(self) -> int | None:
        """The first process of its namespace, whose children orphans become; None where it has none."""
        return self._started.result().first

    @property
    def ended(self) -> bool:
        """Whether it and all that it had started have ended."""
        return self._ended.done()

    async def wait(self) -> int:
        """Wait for the end: the exit code as a shell counts, 128+N for signal N."""
        return await asyncio.shield(self._ended)

    async def signal(self, number: int) -> None:
        """Send a signal; no error where the process has ended meanwhile."""
        if not self._ended.done():
            await self._processes.request(SignalRequest(id=self._number, signal=number))

    async def kill(self) -> None:
        """End it with everything it has started."""
        await self.signal(signal.SIGKILL)

    def _take(self, answer: Started | Ended) -> None:
        if isinstance(answer, Started):
            if not self._started.done():
                self._started.set_result(answer)
            return
        if not self._started.done():
            self._started.set_exception(
                LabboxError("unavailable", f"cannot start a process: {answer.error}", "try again in a moment")
            )
        if not self._ended.done():
            self._ended.set_result(answer.code)

    def _abandon(self) -> None:
        if not self._started.done():
            self._started.set_exception(_gone())
        if not self._ended.done():
            self._ended.set_result(128 + signal.SIGKILL)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _gone() -> LabboxError:
    return LabboxError(
        "unavailable", "cannot start a process: the spawner has ended", "the box starts anew by itself"
    )


class Allowance(Value):
    """What each person's processes may take together; None: what the machine has.

    `memory` in bytes and `processes` are of all logins and workers of a person, `scratch` is the bytes of one
    process's own /tmp, /var/tmp and /dev/shm. `keep`: folders that stay in sight below those.
    """

    memory: int | None = None
    processes: int | None = None
    scratch: int | None = None
    keep: tuple[str, ...] = ()


class Processes:
    """All processes of the box that run as a user."""

    def __init__(self, sock: socket.socket, allowance: Allowance | None = None) -> None:
        """Take the daemon's end of the spawner's socket; `allowance` holds for everybody."""
        sock.setblocking(False)
        self._allowance = allowance or Allowance()
        self.room: Callable[[str, int], int] | None = None  # bytes left of a person's limit
        self._sock = sock
        self._alive: dict[int, Process] = {}
        self._ids = itertools.cycle(range(1, _HIGHEST_ID))
        self._sending = asyncio.Lock()
        self._end: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Take the spawner's answers for as long as it lives; LabboxError("unavailable") when it does not.

        Cancelled, it ends the spawner and with it every process.
        """
        loop = asyncio.get_running_loop()
        self._end = loop.create_future()
        loop.add_reader(self._sock, self._receive)
        try:
            await self._end
        finally:
            loop.remove_reader(self._sock)
            self._sock.close()
            for process in self._alive.values():
                process._abandon()  # noqa: SLF001 - the two are one thing in two classes
            self._alive.clear()

    async def spawn(
        self,
        *,
        kind: Literal["tui", "command", "exec", "worker"],
        name: str,
        uid: int,
        gid: int,
        home: str,
        groups: Sequence[int] = (),
        argv: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        fds: Sequence[int] = (),
        pty: bool = False,
        memory: int | None = None,
        processes: int | None = None,
        mounts: Sequence[Mount] = (),
        results: str = "",
        wildcards: bool = False,
        sealed: bool = False,
        storage: int | None = None,
    ) -> Process:
        """Fork a process; what the arguments mean stands at `spawning.SpawnRequest`.

        `storage`: bytes that the person may store; no file may grow beyond what is left of it.

        The caller keeps `fds` and closes them afterwards. LabboxError("unavailable") where none can be
        forked.
        """
        if self._end is None or self._end.done():
            raise _gone()
        file_bytes = None
        if storage is not None:
            file_bytes = _SPARE + (storage if self.room is None else self.room(name, storage))
        number = next(self._ids)
        request = SpawnRequest(
            id=number, kind=kind, name=name, uid=uid, gid=gid, groups=tuple(groups), home=home,
            argv=tuple(argv), env=dict(env or {}), cwd=cwd, pty=pty, memory=memory, processes=processes,
            mounts=tuple(mounts), results=results, wildcards=wildcards, sealed=sealed, descriptors=len(fds),
            file_bytes=file_bytes, scratch=self._allowance.scratch, keep=self._allowance.keep,
            person_memory=self._allowance.memory, person_processes=self._allowance.processes,
        )  # fmt: skip
        return await self._start(request, tuple(fds))

    async def chore(self, name: str, words: Sequence[str], descriptors: tuple[int, int, int]) -> Process:
        """Have the spawner do one of `labbox.chores`, with this process's environment and these as 0, 1, 2.

        The caller keeps the descriptors. LabboxError("unavailable") where nothing can be forked.
        """
        if self._end is None or self._end.done():
            raise _gone()
        request = ChoreRequest(id=next(self._ids), name=name, words=tuple(words), env=dict(os.environ))
        return await self._start(request, descriptors)

    async def _start(self, request: SpawnRequest | ChoreRequest, fds: tuple[int, ...]) -> Process:
        number = request.id
        process = self._alive[number] = Process(self, number)
        try:
            await self.request(request, fds)
            async with asyncio.timeout(START_SECONDS):
                await asyncio.shield(process._started)  # noqa: SLF001 - the two are one thing in two classes
        except TimeoutError as error:
            await process.kill()
            raise LabboxError(
                "unavailable", "cannot start a process: the box is too busy", "try again later"
            ) from error
        except asyncio.CancelledError:
            await process.kill()
            raise
        except (OSError, ValueError) as error:
            del self._alive[number]
            raise LabboxError(
                "unavailable", f"cannot start a process: {error}", "try again in a moment"
            ) from error
        return process

    async def request(self, message: Request, descriptors: tuple[int, ...] = ()) -> None:
        """Send one message, waiting for room in the socket."""
        async with self._sending:
            while True:
                try:
                    spawning.send(self._sock, message, descriptors)
                except BlockingIOError:
                    await self._room()
                except OSError as error:
                    if not isinstance(message, SignalRequest):
                        raise
                    raise _gone() from error
                else:
                    return

    async def _room(self) -> None:
        loop = asyncio.get_running_loop()
        free: asyncio.Future[None] = loop.create_future()
        loop.add_writer(self._sock, _resolve, free)
        try:
            async with asyncio.timeout(START_SECONDS):
                await free
        finally:
            loop.remove_writer(self._sock)

    def _receive(self) -> None:
        """All answers that are there; an error other than the spawner's end leaves them for the next turn."""
        while self._end is not None and not self._end.done():
            try:
                answer, _descriptors = spawning.receive(self._sock)
            except BlockingIOError:
                return
            except OSError:
                answer = None
            if not isinstance(answer, Started | Ended):
                self._end.set_exception(_gone())
                return
            process = self._alive.get(answer.id)
            if process is not None:
                process._take(answer)  # noqa: SLF001 - the two are one thing in two classes
                if isinstance(answer, Ended):
                    del self._alive[answer.id]
