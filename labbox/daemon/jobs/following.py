"""Following what changes: stored events, and live progress between them, for any number of clients.

A follower keeps nothing but a cursor and the progress it has seen; it reads stored events from the store in
pieces when it is woken. So a slow client costs no memory, and a client that comes back with its cursor misses
nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from labbox.daemon.store import Store, jobs
from labbox.daemon.store import events as stored
from labbox.daemon.store.times import moment, moment_or_none, now
from labbox.model import ACTIVE, Progress
from labbox.protocol import Event, Job

if TYPE_CHECKING:
    from sqlite3 import Connection

_PIECE = 500  # events read at once
OWN_PROGRESS = "running"  # the phase of what a job reports itself
_CALM = 0.05  # seconds between two looks while much happens

ToJobs = Callable[[Sequence[jobs.JobRow]], Awaitable[dict[int, Job]]]


def _as_it_was(job: Job | None, was: stored.Was | None) -> Job | None:
    """A job at the moment of an event; as it is now where nothing of that has changed since."""
    if job is None or was is None or (job.state, job.attempt) == (was.state, was.attempt):
        return job
    return msgspec.structs.replace(
        job,
        state=was.state,
        attempt=was.attempt,
        reason=was.reason,
        exit_code=was.exit_code,
        started_at=moment_or_none(was.started_at),
        ended_at=moment_or_none(was.ended_at),
        progress=None,
        where=job.where if was.state in ACTIVE else "",
    )


class Feed:
    """Wakes followers, and holds the latest progress of each running job."""

    def __init__(self, store: Store) -> None:
        """Begin with nobody following."""
        self._store = store
        self._changed = asyncio.Event()
        self._progress: dict[int, tuple[int, Progress]] = {}
        self._version = 0

    def wake(self) -> None:
        """Say that events were stored."""
        self._changed.set()
        self._changed = asyncio.Event()

    def next_change(self) -> asyncio.Event:
        """Is set when the next events are stored or progress is reported; ask for it before looking."""
        return self._changed

    def progress(self, job: int) -> Progress | None:
        """The latest progress of a job that runs."""
        found = self._progress.get(job)
        return None if found is None else found[1]

    def report(self, job: int, progress: Progress) -> None:
        """Take a job's progress in."""
        self._version += 1
        self._progress[job] = (self._version, progress)
        self.wake()

    def prepared(self, job: int) -> None:
        """The job itself runs now: a bar of what was made for it would stand at its end; its own stays."""
        latest = self.progress(job)
        if latest is not None and latest.phase != OWN_PROGRESS:
            self.forget(job)

    def forget(self, job: int) -> None:
        """The job runs no more."""
        self._progress.pop(job, None)

    async def last(self) -> int:
        """The cursor of the newest event that is stored."""
        return await self._store.read(stored.last)

    async def events(
        self, to_jobs: ToJobs, *, after: int | None, follow: bool, owner: str | None, reader: str
    ) -> AsyncIterator[Event]:
        """Events after the cursor (None: from now on); with `follow` without an end.

        `owner`: only this person's. `reader`: who follows, and hears of
        nobody else's notices. Progress events are not stored and carry the last cursor that was seen.
        """
        cursor = await self.last() if after is None else after
        seen = self._version if after is None else 0
        while True:
            changed = self._changed
            at = cursor

            def piece(connection: Connection, at: int = at) -> list[stored.EventRow]:
                return stored.after(connection, at, limit=_PIECE, owner=owner, reader=reader)

            rows = await self._store.read(piece)
            told = await self._tell(rows, to_jobs)
            for event in told:
                cursor = event.cursor
                yield event
            if len(rows) == _PIECE:
                continue
            for event, version in await self._progressed(seen, cursor, to_jobs, owner):
                seen = max(seen, version)
                yield event
            if not follow:
                return
            await changed.wait()
            await asyncio.sleep(_CALM)

    async def _tell(self, rows: Sequence[stored.EventRow], to_jobs: ToJobs) -> list[Event]:
        found = await self._load(
            {row.job for row in rows if row.kind == "job" and row.job is not None}, to_jobs
        )
        return [
            Event(
                cursor=row.cursor,
                at=moment(row.at),
                kind=row.kind,
                job=_as_it_was(None if row.job is None else found.get(row.job), row.was),
                text=row.text,
            )
            for row in rows
        ]

    async def _progressed(
        self, seen: int, cursor: int, to_jobs: ToJobs, owner: str | None
    ) -> list[tuple[Event, int]]:
        fresh = {job: version for job, (version, _) in self._progress.items() if version > seen}
        found = await self._load(set(fresh), to_jobs) if fresh else {}
        return [
            (Event(cursor=cursor, at=now(), kind="progress", job=job), fresh[number])
            for number, job in found.items()
            if (owner is None or job.owner == owner) and job.state in ACTIVE  # of its end an event tells
        ]

    async def _load(self, numbers: set[int], to_jobs: ToJobs) -> dict[int, Job]:
        if not numbers:
            return {}
        wanted = sorted(numbers)
        rows = await self._store.read(lambda connection: jobs.get_many(connection, wanted))
        return await to_jobs(list(rows.values()))
