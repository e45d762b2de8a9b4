"""A transfer in a worker: run on an event loop of its own, steered and told of over the worker's socket.

The daemon may end at any moment, and be there again a moment later with another worker on the same journal.
So a worker whose socket closes ends at once and leaves everything as it is, and a transfer begins only once
nobody else holds its folder.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from labbox.errors import LabboxError
from labbox.files import work
from labbox.files.places.credentials import Credential, credential_of
from labbox.files.places.opening import Places, Roots
from labbox.files.transfer import run
from labbox.files.work import Ask, Report, Steer, Transfer, Transferred
from labbox.model import Progress
from labbox.protocol import HostSecret, TransferSummary

REPORT_EVERY: Final = 0.2  # seconds between two reports at least …
ALIVE_EVERY: Final = 5.0  # … and at most: nothing need have happened, but the process lives
_OTHER_SECONDS: Final = 20.0  # for another worker on the same folder to end


def transfer(sock: socket.socket, ask: Ask, request: Transfer, descriptors: Sequence[int]) -> Transferred:
    """Do it with the ids of this process; LabboxError where nothing of it can be done."""
    sock.setblocking(False)
    try:
        return asyncio.run(_Steered(sock, ask, request, descriptors).run())
    finally:
        sock.setblocking(True)


class _Steered:
    """One transfer with its line to the daemon."""

    def __init__(self, sock: socket.socket, ask: Ask, request: Transfer, descriptors: Sequence[int]) -> None:
        self._sock = sock
        self._ask = ask
        self._request = request
        self._descriptors = descriptors
        self._going = asyncio.Event()
        if not request.paused:
            self._going.set()
        self._told: Progress | None = None
        self._so_far: TransferSummary | None = None
        self._news = asyncio.Event()
        self._over = asyncio.Event()

    async def passed(self) -> None:
        """The gate of the transfer: open unless it is paused."""
        await self._going.wait()

    async def run(self) -> Transferred:
        working = asyncio.ensure_future(self._work())
        listening = asyncio.ensure_future(self._listen(working))
        telling = asyncio.ensure_future(self._tell())
        try:
            await asyncio.wait({working})
        finally:
            listening.cancel()
            self._over.set()
            self._news.set()
            await telling  # not cancelled: half a message must not stand before the answer
        if working.cancelled():
            return Transferred(summary=None)
        return Transferred(summary=working.result())

    async def _work(self) -> TransferSummary:
        folder, *others = self._descriptors
        own = await _hold(folder)
        try:
            request = self._request
            roots = Roots(
                home=self._ask.home, shared=request.shared, projects=request.projects, jobs=request.jobs
            )
            await self.passed()
            async with Places(roots, credentials=_Logins(request.logins)) as places:
                return await run(
                    request.spec,
                    places,
                    own,
                    report=self._take,
                    gate=self,
                    undo_of=others[0] if others else None,
                    so_far=self._count,
                )
        finally:
            os.close(own)

    def _take(self, progress: Progress) -> None:
        self._told = progress
        self._news.set()

    def _count(self, summary: TransferSummary) -> None:
        self._so_far = summary  # from any thread: told with the next report

    async def _tell(self) -> None:
        """Send the latest news, not every piece of it."""
        latest = Progress(phase="starting")
        while not self._over.is_set():
            await _wait(self._news, ALIVE_EVERY)
            self._news.clear()
            latest = self._told or latest
            await self._send(latest)
            await _wait(self._over, REPORT_EVERY)
        await self._send(self._told or latest)

    async def _send(self, progress: Progress) -> None:
        summary, self._so_far = self._so_far, None
        message = Report(id=self._ask.id, progress=progress, summary=summary)
        await asyncio.get_running_loop().sock_sendall(self._sock, work.frame(message))

    async def _listen(self, working: asyncio.Future[TransferSummary]) -> None:
        while True:
            (length,) = work.HEADER.unpack(await self._exactly(work.HEADER.size))
            self._steer(work.decode_steer(await self._exactly(min(length, work.MAX_FRAME))), working)

    def _steer(self, wish: Steer, working: asyncio.Future[TransferSummary]) -> None:
        if wish.cancel:
            working.cancel()
        elif wish.paused:
            self._going.clear()
        else:
            self._going.set()

    async def _exactly(self, count: int) -> bytes:
        loop = asyncio.get_running_loop()
        data = b""
        while len(data) < count:
            try:
                part = await loop.sock_recv(self._sock, count - len(data))
            except OSError:
                part = b""
            if not part:
                os._exit(1)  # the daemon has gone: its next one goes on from what is on the disk now
            data += part
        return data


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def _hold(folder: int) -> int:
    """The folder, opened anew and locked, so that one worker at a time writes its journal."""
    own = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    until = time.monotonic() + _OTHER_SECONDS
    while True:
        try:
            fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                os.close(own)
                raise LabboxError(
                    "conflict",
                    "cannot go on with this transfer: another process works on it",
                    "see which one holds its results folder, then try again",
                ) from None
            await asyncio.sleep(0.05)
        else:
            return own


class _Logins:
    """The logins that came with the request, as places ask for them."""

    def __init__(self, logins: Sequence[HostSecret]) -> None:
        self._logins = {one.name: one for one in logins}

    async def credential(self, host: str) -> Credential:
        """How to reach a host."""
        found = self._logins.get(host)
        if found is None:
            raise LabboxError(
                "not_found",
                f"cannot log in to {host}: no key or password of yours is kept for it",
                "labbox host add keeps one",
            )
        return credential_of(found)
