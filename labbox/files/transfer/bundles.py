"""Small files of many folders that go together: one turn of a thread and two of the host for all of them.

A file on its own costs a task, a thread's turn and some futures, which is more than its bytes do. What cannot
go so is told, and goes on its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from labbox.files.places.base import Entry
from labbox.files.transfer.asked import Spot

_FILES: Final = 32  # in one bundle
_BYTES: Final = 1 << 20


class Small(NamedTuple):
    """One small file on its way, and what reports call it."""

    entry: Entry
    source: Spot
    out: Spot
    path: str


Copy = Callable[[list[Small]], Awaitable[list[bool]]]


class _Asked(NamedTuple):
    files: list[Small]
    size: int
    future: asyncio.Future[list[bool]]


class Bundles:
    """Gathers what is asked for while others are under way."""

    def __init__(self, copy: Copy, parallel: int) -> None:
        """`copy` says of each whether it is there; `parallel`: files that are worth having under way."""
        self._copy = copy
        self._size = max(1, min(_FILES, parallel // 2))
        self._most = max(1, parallel * 2 // self._size - 1)
        self._waiting: deque[_Asked] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._begin_soon = False

    @property
    def size(self) -> int:
        """Files that are worth handing over at once."""
        return self._size

    async def do(self, files: list[Small]) -> list[bool]:
        """Copy up to `size` files; False for each that has to go on its own, of which nothing is there."""
        future: asyncio.Future[list[bool]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Asked(files, sum(file.entry.size for file in files), future))
        if not self._begin_soon:
            self._begin_soon = True
            asyncio.get_running_loop().call_soon(self._begin)
        return await future

    async def close(self) -> None:
        """End what is under way."""
        self._waiting.clear()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _begin(self) -> None:
        self._begin_soon = False
        while self._waiting and len(self._tasks) < self._most:
            taken: list[_Asked] = []
            count = size = 0
            while self._waiting:
                asked = self._waiting[0]
                if taken and (count + len(asked.files) > self._size or size + asked.size > _BYTES):
                    break
                self._waiting.popleft()
                if asked.future.cancelled():
                    continue
                taken.append(asked)
                count, size = count + len(asked.files), size + asked.size
            if taken:
                task = asyncio.create_task(self._bring(taken))
                self._tasks.add(task)
                task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._begin()

    async def _bring(self, taken: list[_Asked]) -> None:
        try:
            made = await self._copy([file for asked in taken for file in asked.files])
        except asyncio.CancelledError:
            for asked in taken:
                asked.future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - it is raised where each was asked for
            for asked in taken:
                if not asked.future.done():
                    asked.future.set_exception(error)
            return
        at = 0
        for asked in taken:
            if not asked.future.done():
                asked.future.set_result(made[at : at + len(asked.files)])
            at += len(asked.files)
