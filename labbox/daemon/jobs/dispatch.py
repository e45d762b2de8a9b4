"""The box's present: what waits, what holds resources, who used how much; and the loop that starts jobs.

The queue and the running jobs live in memory and are rebuilt from the store at start. Every change of a job's
state is stored first and then told to `apply`, so memory follows the store and never leads it. A pass is made
only when something changed or a delayed job's time has come, and never more often than it costs.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from labbox.custom import JobSettings
from labbox.daemon.jobs import shares
from labbox.daemon.jobs.clock import Clock, since
from labbox.daemon.jobs.machine import Step, move
from labbox.daemon.jobs.queue import Queue, Waiting
from labbox.daemon.jobs.scheduler import Box, Plan, Running, Share, cost_rate, schedule
from labbox.daemon.store import Store, attempts, dependencies, groups, jobs, usage
from labbox.errors import LabboxError
from labbox.model import ACTIVE, FINAL, WAITING, JobKind, JobState, Limits, Resources
from labbox.text import format_bytes

if TYPE_CHECKING:
    from sqlite3 import Connection

_log = logging.getLogger(__name__)

_CALM: Final = 0.002  # seconds between two passes at least
_TROUBLE: Final = 5.0  # seconds until what the store or the disk refused is tried again
LONGEST_BACK_OFF: Final = 600.0  # seconds

Begun = tuple[jobs.JobRow, attempts.AttemptRow]


async def _nobody_barred(_owner: str) -> str:
    return ""


class Dispatcher:
    """Holds the queue and starts jobs; `start` is called with each attempt whose intent is stored."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        settings: JobSettings,
        total: Resources,
        state: Path,
        container_name: Callable[[int, int], str],
        limits: Callable[[str], Awaitable[Limits]],
        engine_trouble: Callable[[], str],
        start: Callable[[jobs.JobRow, attempts.AttemptRow], None],
        arrived: Callable[[int], None] = lambda _job: None,
        barred: Callable[[str], Awaitable[str]] = _nobody_barred,
    ) -> None:
        """`engine_trouble`: why the engine cannot start anything now, or an empty string.

        `barred`: why nothing of somebody's starts, in a sentence, or an empty string.
        `arrived` is called when the folder of a waiting job is there and not handed in yet.
        """
        self.total = total
        self.queue = Queue()
        self._store = store
        self._clock = clock
        self._settings = settings
        self._state = state
        self._container_name = container_name
        self._limits = limits
        self._barred = barred
        self._engine_trouble = engine_trouble
        self._start = start
        self._arrived = arrived
        self._half_life = settings.half_life_hours * 3600.0
        self._running: dict[int, tuple[jobs.JobRow, attempts.AttemptRow]] = {}
        self._usage: dict[str, usage.UsageRow] = {}
        self._groups: dict[tuple[str, str], int | None] = {}  # limits that were set, by owner and name
        self._dirty = asyncio.Event()
        self._retry_at: float | None = None
        self._last: tuple[Box, Plan] | None = None

    async def load(self) -> list[Begun]:
        """Read what is open from the store; returns the attempts that were under way."""

        def read(
            connection: Connection,
        ) -> tuple[list[jobs.JobRow], dict[int, dict[int, JobState]], dict[str, usage.UsageRow], list[Begun]]:
            rows = jobs.all_open(connection)
            begun = [
                (row, attempts.get(connection, row.id, row.attempt)) for row in rows if row.state in ACTIVE
            ]
            return rows, dependencies.all_after(connection), usage.all_rows(connection), begun

        self._groups = await self._store.read(groups.limits)
        rows, after, self._usage, begun = await self._store.read(read)
        for row in rows:
            if row.state in WAITING:
                self._wait_for_turn(row, after.get(row.id, {}))
        for row, attempt in begun:
            if row.state is not JobState.COLLECTING:
                self._running[row.id] = (row, attempt)
        return begun

    async def run(self) -> None:
        """Make passes for as long as the daemon lives."""
        loop = asyncio.get_running_loop()
        while True:
            await self._until_something_changes()
            self._dirty.clear()
            began = loop.time()
            await self._pass()
            await asyncio.sleep(max(_CALM, loop.time() - began))

    def wake(self) -> None:
        """Something changed that a pass should look at."""
        self._dirty.set()

    async def apply(self, rows: Iterable[jobs.JobRow]) -> None:
        """Let memory follow jobs that the store has changed."""
        changed = list(rows)
        unknown = [row.id for row in changed if row.state in WAITING and self.queue.get(row.id) is None]
        after = (
            await self._store.read(lambda c: {job: dependencies.after(c, job) for job in unknown})
            if unknown
            else {}
        )
        for row in changed:
            if row.state in WAITING and row.kind is not JobKind.ARRAY:
                self._wait_for_turn(row, after.get(row.id))
                continue
            self.queue.remove(row.id)
            if row.state is JobState.SUCCEEDED:
                for waiting in self.queue.dependants(row.id):
                    self._add(msgspec.structs.replace(waiting, after=waiting.after - {row.id}))
            if row.state in FINAL:
                self._running.pop(row.id, None)
            elif row.id in self._running:
                self._running[row.id] = (row, self._running[row.id][1])
        self.wake()

    def release(self, job: int) -> None:
        """The job's container has ended: what it held is free."""
        if self._running.pop(job, None) is not None:
            self.wake()

    def charge(
        self, connection: Connection, row: jobs.JobRow, attempt: attempts.AttemptRow, seconds: float, now: int
    ) -> usage.UsageRow:
        """Add an ended attempt to its owner's use, in the caller's transaction."""
        old = usage.get(connection, row.owner)
        account = shares.charged(
            shares.Account(recent=old.recent, at=old.recent_at / 1e6),
            attempt.rate,
            seconds,
            now / 1e6,
            self._half_life,
        )
        new = msgspec.structs.replace(old, recent=account.recent, recent_at=round(account.at * 1e6))
        usage.put(connection, new)
        return new

    def set_usage(self, row: usage.UsageRow) -> None:
        """Let memory follow a stored use."""
        self._usage[row.owner] = row

    def relabel(self, owner: str, to: str) -> None:
        """Let memory follow a stored change of whose a use is."""
        row = self._usage.pop(owner, None)
        if row is not None:
            self._usage[to] = msgspec.structs.replace(row, owner=to)
        self._groups = {key: limit for key, limit in self._groups.items() if key[0] != owner}

    def limit_group(self, owner: str, name: str, parallel: int | None) -> None:
        """Let memory follow a stored limit of a group; None: it is said to have none."""
        self._groups[owner, name] = parallel
        self.wake()

    def forget_group(self, owner: str, name: str) -> None:
        """Let memory follow a removed group: nothing is said of it any more."""
        self._groups.pop((owner, name), None)
        self.wake()

    def recent(self, owner: str) -> float:
        """A user's recent use now, in CPU-seconds, with what their running jobs have cost so far."""
        now = self._clock.now()
        row = self._usage.get(owner)
        use = 0.0 if row is None else shares.decay(row.recent, (now - row.recent_at) / 1e6, self._half_life)
        for job, attempt in self._running.values():
            if job.owner == owner:
                held = since(self._clock, attempt.boot, attempt.begun_boot, attempt.begun_at)
                use += shares.accrued(attempt.rate, held, self._half_life)
        return use

    def owners(self) -> set[str]:
        """Everybody who has used, runs or waits for anything."""
        running = {row.owner for row, _ in self._running.values()}
        return {*self._usage, *running, *(waiting.owner for waiting in self.queue)}

    def held(self, owner: str | None = None) -> Resources:
        """What running jobs hold together, all or one owner's."""
        needs = [row.resources for row, _ in self._running.values() if owner is None or row.owner == owner]
        return Resources(
            cpus=round(sum(need.cpus for need in needs), 3),
            memory=sum(need.memory for need in needs),
            gpus=sum(need.gpus for need in needs),
        )

    def last_pass(self) -> tuple[Box, Plan] | None:
        """The box as the last pass saw it, and what it decided."""
        return self._last

    async def look(self) -> tuple[Box, Plan]:
        """The box as it is now, and what a pass would decide; nothing is started."""
        box = await self._box()
        return box, schedule(box, self.queue)

    def _wait_for_turn(self, row: jobs.JobRow, after: dict[int, JobState] | None) -> None:
        old = self.queue.get(row.id)
        pending = old.after if old is not None else frozenset()
        if after is not None:
            pending = frozenset(job for job, state in after.items() if state is not JobState.SUCCEEDED)
        not_before = None if row.not_before is None else row.not_before / 1e6
        if (
            not_before is not None and row.backing_off
        ):  # set by us, so a clock that was set back cannot stretch it
            not_before = min(not_before, self._clock.now() / 1e6 + LONGEST_BACK_OFF)
        self._add(
            Waiting(
                id=row.id,
                owner=row.owner,
                need=row.resources,
                priority=row.priority,
                time_limit=row.time_limit,
                held=row.state is JobState.HELD,
                not_before=not_before,
                retry=row.backing_off,
                after=pending,
                array=row.array,
                parallel=row.parallel,
                group=row.group,
                transfer=row.kind is JobKind.TRANSFER,
                arriving=row.arrives,
                because=_because(row),
            )
        )

    def _add(self, waiting: Waiting) -> None:
        self.queue.add(waiting)
        if waiting.arriving and not waiting.after:
            self._arrived(waiting.id)

    async def _until_something_changes(self) -> None:
        due = self.queue.next_due()
        seconds = None if due is None else max(0.0, due - self._clock.now() / 1e6)
        if self._retry_at is not None:
            left = max(0.0, self._retry_at - asyncio.get_running_loop().time())
            seconds = left if seconds is None else min(seconds, left)
        if seconds is not None:
            seconds = min(seconds, 60.0)  # the wall clock may be set meanwhile
        try:
            async with asyncio.timeout(seconds):
                await self._dirty.wait()
        except TimeoutError:
            return

    async def _pass(self) -> None:
        self._retry_at = None
        box = await self._box()
        plan = schedule(box, self.queue)
        self._last = (box, plan)
        if box.disk and len(self.queue):
            self._retry_later()
        if plan.starts:
            await self._begin(plan.starts)

    async def _box(self) -> Box:
        now = self._clock.now() / 1e6
        self.queue.advance(now)
        owners = {*self.queue.groups(), *(row.owner for row, _ in self._running.values())}
        return Box(
            now=now,
            total=self.total,
            running=tuple(self._holding(row, attempt, now) for row, attempt in self._running.values()),
            shares={owner: await self._share(owner) for owner in owners},
            groups=dict(self._groups),
            transfers=self._settings.max_transfers,
            engine=self._engine_trouble(),
            disk=self._disk_trouble(),
        )

    def _holding(self, row: jobs.JobRow, attempt: attempts.AttemptRow, now: float) -> Running:
        ends_at = None
        if row.time_limit is not None and attempt.paused_boot is None:
            spent = 0.0
            if attempt.running_at is not None and attempt.running_boot is not None:
                spent = since(self._clock, attempt.boot, attempt.running_boot, attempt.running_at)
            ends_at = now + max(0.0, row.time_limit + attempt.paused - spent)
        return Running(
            job=row.id,
            owner=row.owner,
            need=row.resources,
            ends_at=ends_at,
            array=row.array,
            group=row.group,
            transfer=row.kind is JobKind.TRANSFER,
        )

    def set_attempt(self, attempt: attempts.AttemptRow) -> None:
        """Let memory follow an attempt that began to run, was paused or went on."""
        if attempt.job in self._running:
            self._running[attempt.job] = (self._running[attempt.job][0], attempt)

    async def _share(self, owner: str) -> Share:
        return Share(
            recent=self.recent(owner),
            weight=self._settings.weights.get(owner, 1.0),
            limits=await self._limits(owner),
            barred=await self._barred(owner),
        )

    def _disk_trouble(self) -> str:
        disk = os.statvfs(self._state)
        free = disk.f_bavail * disk.f_frsize
        floor = self._settings.free_floor
        if free >= floor:
            return ""
        return f"the box has {format_bytes(free)} of disk left, nothing starts below {format_bytes(floor)}"

    def _retry_later(self) -> None:
        self._retry_at = asyncio.get_running_loop().time() + _TROUBLE

    async def _begin(self, starts: Sequence[int]) -> None:
        """Store the intent to start these jobs, then start them."""
        taken = [waiting for job in starts if (waiting := self.queue.remove(job)) is not None]
        now, seconds, boot = self._clock.now(), self._clock.seconds(), self._clock.boot

        def begin(connection: Connection) -> list[Begun]:
            begun: list[Begun] = []
            for waiting in taken:
                row = jobs.find(connection, waiting.id)
                if row is None or row.state is not JobState.QUEUED:
                    continue  # somebody was faster: held or cancelled
                row = move(connection, row.id, Step(to=JobState.PREPARING, at=now))[0]
                attempts.add(
                    connection,
                    job=row.id,
                    number=row.attempt,
                    container=self._container_name(row.id, row.attempt),
                    at=now,
                    boot_seconds=seconds,
                    boot=boot,
                    rate=cost_rate(row.resources, self.total),
                )
                begun.append((row, attempts.get(connection, row.id, row.attempt)))
            return begun

        try:
            begun = await self._store.write(begin)
        except LabboxError as error:
            _log.warning("jobs cannot start: %s", error)
            for waiting in taken:
                self.queue.add(waiting)
            self._retry_later()
            return
        for row, attempt in begun:
            self._running[row.id] = (row, attempt)
            self._start(row, attempt)


def _because(row: jobs.JobRow) -> str:
    """Why a transfer tries again: its host does not answer."""
    return (
        row.reason.text if row.kind is JobKind.TRANSFER and row.backing_off and row.reason is not None else ""
    )
