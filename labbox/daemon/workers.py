"""The workers: for each person a few processes with their ids, kept for the next request and ended when idle.

A worker does one request at a time (`labbox.files.worker`). A call that is given up closes its worker's
socket, which ends the work and the worker.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final, Protocol

import msgspec

from labbox.daemon.people.accounts import Account
from labbox.daemon.processes import Processes
from labbox.errors import LabboxError
from labbox.files import work
from labbox.files.work import Ask, Done, Failed, Report, Request, Result, Steer
from labbox.model import GIB, Progress, Scope
from labbox.protocol import TransferSummary
from labbox.spawning import Mount
from labbox.text import visible_line

IDLE_SECONDS: Final = 30.0  # a worker lives on so long without work
PER_PERSON: Final = 4  # workers at once: a long copy leaves room for looks at folders
SILENT_SECONDS: Final = (
    600.0  # without a word while it works; flushing gigabytes to a slow disk takes minutes
)
WAIT_SECONDS: Final = 1800.0  # for one of the person's workers to become free
_STEER_SECONDS: Final = 30.0  # for a worker to hear that it is to pause
_END_SECONDS: Final = 5.0  # for a worker to end once its socket is closed; then it is killed
_MEMORY: Final = 2 * GIB
_PROCESSES: Final = 32


class WorkerProcess(Protocol):
    """A forked worker."""

    async def wait(self) -> int:
        """Wait for its end."""

    async def kill(self) -> None:
        """End it."""


class Start(Protocol):
    """Starts a worker."""

    async def __call__(self, account: Account, descriptors: Sequence[int]) -> WorkerProcess:
        """Fork it with the person's ids and these descriptors as 0, 1, 2 and 3; 3 is its socket."""


def start_through(processes: Processes) -> Start:
    """Start workers through the spawner."""

    async def start(account: Account, descriptors: Sequence[int]) -> WorkerProcess:
        return await processes.spawn(
            kind="worker", name=account.name, uid=account.uid, gid=account.gid, groups=account.groups,
            home=str(account.home), results=str(account.results),
            env={"LANG": "C.UTF-8"}, cwd="/", fds=descriptors,
            mounts=tuple(Mount(source=folder, target=folder, read_only=False) for folder in account.apart),
            memory=_MEMORY, processes=_PROCESSES, sealed=account.bound is Scope.READ,
            storage=account.limits.storage,
        )  # fmt: skip

    return start


class _Worker:
    """A worker and the daemon's end of its socket."""

    def __init__(self, sock: socket.socket, process: WorkerProcess) -> None:
        self._sock = sock
        self._process = process
        self._asked = 0
        self._steering = asyncio.Lock()
        self.idle: asyncio.TimerHandle | None = None

    async def ask(
        self,
        home: str,
        request: Request,
        descriptors: Sequence[int],
        progress: Callable[[Progress], None] | None,
    ) -> Result:
        """One request and its answer; ConnectionError where the worker has ended."""

        def told(report: Report) -> None:
            if progress is not None:
                progress(report.progress)

        await self.begin(home, request, descriptors)
        return await self.answer(told)

    async def begin(self, home: str, request: Request, descriptors: Sequence[int]) -> None:
        """Ask, and leave the answer for `answer`."""
        loop = asyncio.get_running_loop()
        self._asked += 1
        message = work.frame(Ask(id=self._asked, home=home, request=request))
        head = work.HEADER.size
        async with asyncio.timeout(SILENT_SECONDS):
            socket.send_fds(
                self._sock, [message[:head]], list(descriptors)
            )  # an idle socket has room for 4 bytes
            await loop.sock_sendall(self._sock, message[head:])

    async def answer(self, told: Callable[[Report], None]) -> Result:
        """Its reports, and then its answer."""
        while True:
            async with asyncio.timeout(SILENT_SECONDS):
                answer = await self._receive()
            match answer:
                case Report():
                    told(answer)
                case Done():
                    return answer.result
                case Failed():
                    raise LabboxError(answer.code, answer.message, answer.hint)

    async def steer(self, wish: Steer) -> None:
        """Say something to a worker that transfers."""
        async with self._steering:
            await asyncio.get_running_loop().sock_sendall(self._sock, work.frame(wish))

    async def _receive(self) -> Report | Done | Failed:
        (length,) = work.HEADER.unpack(await self._exactly(work.HEADER.size))
        if length > work.MAX_FRAME:
            raise ConnectionError("the answer is too large")
        try:
            answer: Report | Done | Failed = work.decode_from_worker(await self._exactly(length))
        except msgspec.MsgspecError as error:
            raise ConnectionError("the answer cannot be read") from error
        return answer

    async def _exactly(self, count: int) -> bytes:
        loop = asyncio.get_running_loop()
        parts = []
        while count > 0:
            part = await loop.sock_recv(self._sock, min(count, 1 << 20))
            if not part:
                raise ConnectionError("the worker has ended")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Tell it to end."""
        if self.idle is not None:
            self.idle.cancel()
        self._sock.close()

    async def end(self) -> None:
        """See to it that it ends."""
        self.close()
        try:
            async with asyncio.timeout(_END_SECONDS):
                await self._process.wait()
        except TimeoutError:
            await self._process.kill()


class Dedicated:
    """A worker that does one transfer and ends with it; made by `Workers.dedicated`."""

    def __init__(self, worker: _Worker, home: str) -> None:
        """It has not been asked for anything yet."""
        self._worker = worker
        self._home = home
        self._begun = asyncio.Event()

    async def transfer(
        self,
        request: work.Transfer,
        descriptors: Sequence[int],
        told: Callable[[Progress, TransferSummary | None], None],
    ) -> TransferSummary | None:
        """Have it done; None where it was cancelled. The caller keeps `descriptors`.

        LabboxError in the worker's words where nothing can be done; ConnectionError where the worker ends,
        TimeoutError where it is silent for long.
        """
        await self._worker.begin(self._home, request, descriptors)
        self._begun.set()
        result = await self._worker.answer(lambda report: told(report.progress, report.summary))
        if not isinstance(result, work.Transferred):
            raise ConnectionError(f"the worker answers with {type(result).__name__}")
        return result.summary

    async def pause(self, *, paused: bool) -> None:
        """Have it wait at the next block, or go on."""
        try:
            await self._steer(Steer(paused=paused))
        except OSError as error:
            raise LabboxError("conflict", "cannot steer the transfer: it is just ending") from error

    async def cancel(self) -> None:
        """Have it remove what is unfinished and end; nothing happens where it has ended."""
        with suppress(OSError, TimeoutError):
            await self._steer(Steer(cancel=True))

    async def _steer(self, wish: Steer) -> None:
        async with asyncio.timeout(_STEER_SECONDS):
            await self._begun.wait()  # what comes before the request would be taken for one
            await self._worker.steer(wish)


_Key = tuple[str, int, tuple[int, ...], Scope | None]  # no worker serves two scopes, or keeps a group


def _key(account: Account) -> _Key:
    return account.name, account.uid, account.groups, account.bound


class _Crew:
    """One person's workers."""

    def __init__(self) -> None:
        self.idle: list[_Worker] = []
        self.places = asyncio.Semaphore(PER_PERSON)
        self.callers = 0


class Workers:
    """Everybody's workers; `run` must be running for calls to be answered."""

    def __init__(self, start: Start) -> None:
        """`start` forks one; see `start_through`."""
        self._start = start
        self._crews: dict[_Key, _Crew] = {}
        self._ending: asyncio.Queue[_Worker] = asyncio.Queue()

    async def run(self) -> None:
        """End workers that have been idle or failed; cancelled, end them all."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    worker = await self._ending.get()
                    group.create_task(worker.end())
        finally:
            for crew in self._crews.values():
                for worker in crew.idle:
                    worker.close()
            self._crews.clear()
            while not self._ending.empty():
                self._ending.get_nowait().close()

    async def call(
        self,
        account: Account,
        request: Request,
        descriptors: tuple[int, ...] = (),
        progress: Callable[[Progress], None] | None = None,
    ) -> Result:
        """Have a worker of the person do something; LabboxError in its words, or "unavailable" without it.

        The caller keeps `descriptors`. Cancelling the call ends the work.
        """
        with self._crew(account) as crew:
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await crew.places.acquire()
            except TimeoutError as error:
                raise LabboxError(
                    "unavailable",
                    "cannot work on your files: other tasks of yours take long",
                    "try again later",
                ) from error
            try:
                return await self._call(account, crew, request, descriptors, progress)
            finally:
                crew.places.release()

    @asynccontextmanager
    async def dedicated(self, account: Account) -> AsyncIterator[Dedicated]:
        """A worker for one transfer, beside the others of the person; it ends with the context."""
        worker = await self._fork(account)
        try:
            yield Dedicated(worker, str(account.home))
        finally:
            worker.close()
            self._ending.put_nowait(worker)

    def dismiss(self, name: str) -> None:
        """End the workers of a person that have nothing to do."""
        for key, crew in list(self._crews.items()):
            if key[0] == name:
                for worker in list(crew.idle):
                    if worker.idle is not None:
                        worker.idle.cancel()
                    self._retire(key, crew, worker)

    @contextmanager
    def _crew(self, account: Account) -> Iterator[_Crew]:
        key = _key(account)
        crew = self._crews.setdefault(key, _Crew())
        crew.callers += 1
        try:
            yield crew
        finally:
            crew.callers -= 1
            self._forget(key, crew)

    def _forget(self, key: _Key, crew: _Crew) -> None:
        if not crew.callers and not crew.idle:
            self._crews.pop(key, None)

    async def _call(
        self,
        account: Account,
        crew: _Crew,
        request: Request,
        descriptors: tuple[int, ...],
        progress: Callable[[Progress], None] | None,
    ) -> Result:
        while True:
            fresh = not crew.idle
            worker = await self._fork(account) if fresh else crew.idle.pop()
            if worker.idle is not None:
                worker.idle.cancel()
            good = False
            try:
                result = await worker.ask(str(account.home), request, descriptors, progress)
                good = True
            except LabboxError:
                good = True
                raise
            except ConnectionError as error:
                if fresh:
                    raise LabboxError(
                        "unavailable",
                        f"cannot work on the files of {visible_line(account.name)}: the worker ended",
                        "try again; if it goes on, tell an administrator",
                    ) from error
                continue  # it had ended while it was idle
            except TimeoutError as error:
                raise LabboxError(
                    "unavailable",
                    f"cannot work on the files of {visible_line(account.name)}: the worker does not answer",
                    "a disk or network folder may be stuck: tell an administrator",
                ) from error
            finally:
                if good:
                    self._keep(account, crew, worker)
                else:
                    worker.close()
                    self._ending.put_nowait(worker)
            return result

    def _keep(self, account: Account, crew: _Crew, worker: _Worker) -> None:
        crew.idle.append(worker)
        loop = asyncio.get_running_loop()
        worker.idle = loop.call_later(IDLE_SECONDS, self._retire, _key(account), crew, worker)

    def _retire(self, key: _Key, crew: _Crew, worker: _Worker) -> None:
        crew.idle.remove(worker)
        worker.close()
        self._ending.put_nowait(worker)
        self._forget(key, crew)

    async def _fork(self, account: Account) -> _Worker:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setblocking(False)
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            process = await self._start(account, (nothing, nothing, 2, theirs.fileno()))
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(nothing)
        return _Worker(ours, process)
