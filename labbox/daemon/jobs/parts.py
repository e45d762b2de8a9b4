"""What every run needs of the daemon, in one hand."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from labbox.custom import Configuration, JobSettings
from labbox.daemon.jobs.clock import Clock
from labbox.daemon.jobs.dispatch import Dispatcher
from labbox.daemon.jobs.following import Feed
from labbox.daemon.jobs.ports import Engine, Environments, Folders, Logs, People, Transfers
from labbox.daemon.jobs.storage import Storage
from labbox.daemon.jobs.writable import Overlays
from labbox.daemon.store import Store, attempts, jobs, usage
from labbox.errors import LabboxError
from labbox.model import JobKind

if TYPE_CHECKING:
    from sqlite3 import Connection

T = TypeVar("T")

_log = logging.getLogger(__name__)

_AGAIN: Final = 2.0  # seconds until a change that the disk refused is tried again


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts and the paths."""

    store: Store
    people: People
    engine: Engine
    environments: Environments
    folders: Folders
    logs: Logs
    transfers: Transfers
    configuration: Configuration
    dispatcher: Dispatcher
    feed: Feed
    storage: Storage
    clock: Clock
    state: Path
    box_id: str
    threads: ThreadPoolExecutor
    when_full: Callable[[], bool] = lambda: False  # makes room on a full disk, and says whether it could
    overlays: Overlays = field(default_factory=Overlays)
    _engine_stirred: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def settings(self) -> JobSettings:
        """What `custom/` says of jobs."""
        return self.configuration.settings.jobs

    async def persist(self, change: Callable[[Connection], T]) -> T:
        """Make a change that must not be given up: while the disk is full, it is tried again."""
        while True:
            try:
                return await self.store.write(change)
            except LabboxError as error:
                if error.code != "unavailable":
                    raise
                _log.warning("a job's change waits for the store: %s", error)
                await asyncio.sleep(_AGAIN)

    async def in_thread(self, work: Callable[..., T], *args: Any) -> T:
        """Something on the disk, off the event loop; once more where it was full and room could be made."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self.threads, work, *args)
        except OSError as error:
            if error.errno != errno.ENOSPC or not await loop.run_in_executor(self.threads, self.when_full):
                raise
        return await loop.run_in_executor(self.threads, work, *args)

    def engine_changed(self) -> None:
        """The engine came or went."""
        self._engine_stirred.set()

    async def engine_answers(self) -> None:
        """Wait until the engine is there."""
        while not self.engine.available:
            self._engine_stirred.clear()
            await self._engine_stirred.wait()

    async def apply(self, rows: Iterable[jobs.JobRow]) -> None:
        """Let memory and followers know of stored changes."""
        await self.dispatcher.apply(rows)
        self.feed.wake()

    def account_for(
        self,
        connection: Connection,
        row: jobs.JobRow,
        attempt: attempts.AttemptRow,
        stored: int,
        *,
        last: bool,
        now: int,
    ) -> usage.UsageRow:
        """Put an ended attempt on its owner's account; `last`: no other attempt follows."""
        seconds = attempt.seconds or 0.0
        charged = self.dispatcher.charge(connection, row, attempt, seconds, now)
        row_now = msgspec.structs.replace(
            charged,
            jobs=charged.jobs + (1 if last and row.kind is not JobKind.TRANSFER else 0),
            cpu_seconds=charged.cpu_seconds + (attempt.cpu_seconds or 0.0),
            memory_byte_seconds=charged.memory_byte_seconds + row.resources.memory * seconds,
            storage=charged.storage + stored,
        )
        usage.put(connection, row_now)
        return row_now
