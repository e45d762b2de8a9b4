"""How a transfer is paused and ended from outside, and how its work in a thread hears of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from labbox.model import Progress

_T = TypeVar("_T")


class Pause(Protocol):
    """A gate that work passes between two blocks."""

    async def passed(self) -> None:
        """Return at once, or when the pause is over."""
        ...


class NoPause:
    """The gate of a transfer that nobody pauses."""

    async def passed(self) -> None:
        """Return at once."""


class Unwanted(BaseException):
    """Nobody wants the transfer any more; not an Exception, so that nothing takes it for a file's failure."""


class Control:
    """The line between the event loop, where pauses and cancellations arrive, and a thread that works."""

    def __init__(self, report: Callable[[Progress], None], gate: Pause) -> None:
        """To be made on the event loop."""
        self._report, self._gate = report, gate
        self._loop = asyncio.get_running_loop()
        self._unwanted = threading.Event()

    async def breathe(self, progress: Progress) -> None:
        """On the loop: wait while there is a pause, and report."""
        await self._gate.passed()
        self._report(progress)

    def breathe_in_thread(self, progress: Progress) -> None:
        """In a thread: the same; `Unwanted` where the transfer was cancelled."""
        if self._unwanted.is_set():
            raise Unwanted
        future = asyncio.run_coroutine_threadsafe(self.breathe(progress), self._loop)
        while True:
            try:
                return future.result(0.5)
            except TimeoutError:
                if self._unwanted.is_set():
                    future.cancel()
                    raise Unwanted from None

    async def in_thread(self, work: Callable[[], _T]) -> _T:
        """Do blocking work; a cancelled caller waits until the thread has cleaned up."""
        task = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._unwanted.set()
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()
            raise
