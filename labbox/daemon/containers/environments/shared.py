"""Work that several callers want at once is done once; it goes on when one of them, or all, go away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from labbox.daemon.containers.environments.plan import Report
from labbox.model import Progress

T = TypeVar("T")


class SharedWork(Generic[T]):
    """Runs work by key in a task group that outlives its callers."""

    def __init__(self) -> None:
        """Work can be asked for once `open` was called."""
        self._tasks: dict[str, _Running[T]] = {}
        self._group: asyncio.TaskGroup | None = None

    def open(self, group: asyncio.TaskGroup) -> None:
        """Work lives in `group` from now on."""
        self._group = group

    async def do(self, key: str, work: Callable[[Report], Awaitable[T]], report: Report) -> T:
        """The result of `work`, or of the same work that already runs; `report` follows either from here."""
        if self._group is None:
            raise AssertionError("Environments.run() is not running")
        running = self._tasks.get(key)
        if running is None:
            running = self._tasks[key] = _Running()
            self._group.create_task(self._run(key, running, work), name=f"environment {key[:12]}")
        elif running.last is not None:
            report(running.last)
        running.reports.append(report)
        try:
            return await asyncio.shield(running.outcome)
        finally:
            running.reports.remove(report)

    async def _run(self, key: str, running: _Running[T], work: Callable[[Report], Awaitable[T]]) -> None:
        try:
            result = await work(running.tell)
        except asyncio.CancelledError:
            running.outcome.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where the work was asked for
            running.outcome.set_exception(error)
            running.outcome.exception()  # nobody may be left to ask: that is no warning
        else:
            running.outcome.set_result(result)
        finally:
            del self._tasks[key]


class _Running(Generic[T]):
    def __init__(self) -> None:
        self.outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.reports: list[Report] = []
        self.last: Progress | None = None

    def tell(self, what: Progress | str) -> None:
        if isinstance(what, Progress):
            self.last = what
        for report in tuple(self.reports):
            report(what)
