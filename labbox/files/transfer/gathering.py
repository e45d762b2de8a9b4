"""Tasks of one folder that run beside each other, and going on where something is not there."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from labbox.errors import LabboxError


class Group:
    """Tasks that are waited for; the first error of one ends the others and is raised as it is."""

    def __init__(self) -> None:
        """None yet."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: BaseException | None = None

    async def room(self, slots: asyncio.Semaphore) -> None:
        """Wait until a task more is worth starting."""
        while len(self._tasks) >= 128 or (slots.locked() and len(self._tasks) >= 8):
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        if self._failed is not None:
            raise self._failed

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin one."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and self._failed is None:
            self._failed = error

    async def __aenter__(self) -> Group:
        """Itself."""
        return self

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Wait for all of them."""
        while self._tasks:
            if error is not None or self._failed is not None:
                for task in self._tasks:
                    task.cancel()
            try:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError as cancelled:
                error = cancelled
        if error is None and self._failed is not None:
            raise self._failed
        if isinstance(error, asyncio.CancelledError):
            raise error


class suppress_missing(suppress):  # noqa: N801 - stands beside contextlib.suppress
    """Go on where something is not there; every other LabboxError is raised."""

    def __init__(self) -> None:
        """For one block."""
        super().__init__(LabboxError)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        """Whether it was only missing."""
        return isinstance(error, LabboxError) and error.code == "not_found"
