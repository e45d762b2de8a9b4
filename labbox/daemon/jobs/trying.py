"""What every attempt has in common, whatever the job does: its life from the stored intent to its results.

    preparing    results folder and log
    running      what a subclass does, until it ends, or a person or the time limit ends it
    collecting   the outcome is stored first; then the log's rest, the size of the output, job.json
    final        accounting, notice, the next attempt if there is one; then the leftovers are cleared away

Every step can be done again: whatever the daemon was doing when it was killed, `execute` on the stored
attempt goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from labbox.daemon.containers.states import ContainerState
from labbox.daemon.jobs import collecting, results
from labbox.daemon.jobs import outcome as outcomes
from labbox.daemon.jobs.clock import since
from labbox.daemon.jobs.handed import Handed, decode_handed, decode_spec
from labbox.daemon.jobs.machine import Step, move
from labbox.daemon.jobs.outcome import Outcome
from labbox.daemon.jobs.parts import Parts
from labbox.daemon.jobs.ports import RunLog
from labbox.daemon.people.accounts import Account
from labbox.daemon.store import attempts, jobs
from labbox.errors import LabboxError
from labbox.model import FINAL, JobSpec, JobState, Progress

if TYPE_CHECKING:
    from sqlite3 import Connection

T = TypeVar("T")

_log = logging.getLogger(__name__)

AGAIN: Final = 2.0  # seconds until something the disk or the engine refused is tried again


class Try(ABC):
    """The attempt of one job; `execute` returns when it is over or another attempt is to come."""

    moved: tuple[str, ...] = results.MOVED  # what a new attempt begins without

    def __init__(
        self, parts: Parts, row: jobs.JobRow, attempt: attempts.AttemptRow, *, adopted: bool
    ) -> None:
        """`adopted`: the daemon was restarted over it."""
        self.row = row
        self.attempt = attempt
        self._parts = parts
        self._adopted = adopted
        self._asked: Outcome | None = None
        self._hard = False
        self._stirred = asyncio.Event()  # somebody asked for something, or the engine came back
        self._log: RunLog | None = None

    @property
    def name(self) -> str:
        """The container's name, where there is one."""
        return self.attempt.container

    def stop(self, outcome: Outcome, *, hard: bool) -> None:
        """Bring it to an end; `hard`: without grace. The first outcome that is asked for counts."""
        if self._asked is None:
            self._asked = outcome
        self._hard = self._hard or hard
        self._stirred.set()

    def follow(self, row: jobs.JobRow, attempt: attempts.AttemptRow) -> None:
        """It was paused or goes on."""
        self.row, self.attempt = row, attempt
        self._stirred.set()

    def engine_changed(self) -> None:
        """The engine came or went."""
        self._stirred.set()

    def container_ended(self, state: ContainerState) -> None:
        """The engine says that the container has ended."""
        _log.debug("job %d: a container %s is %s", self.row.id, self.name, state.status)

    @abstractmethod
    async def freeze(self, *, frozen: bool) -> None:
        """Pause what runs, or let it go on; returns when that is so."""

    @abstractmethod
    async def _live(self, account: Account, spec: JobSpec, handed: Handed) -> Outcome:
        """From the preparations to the end."""

    @abstractmethod
    async def _end_now(self) -> None:
        """Labbox gives up: let nothing of it run on."""

    @abstractmethod
    async def _clean_up(self) -> None:
        """The results are safe: let go of the rest."""

    @abstractmethod
    def _lost(self, tries: Sequence[attempts.AttemptRow]) -> int:
        """How many earlier attempts vanished through no fault of the job's."""

    async def _size(self, account: Account, folder: Path) -> int | None:
        """The bytes of the output that count for the owner; None where they are not known."""
        return await collecting.measure(self._parts, self.row, account, folder)

    async def _bring_back(self, account: Account, folder: Path, log: RunLog) -> int:
        """Put aside what was left elsewhere than in the output, and say so; the bytes."""
        return 0

    async def give_up(self, outcome: Outcome) -> None:
        """Labbox itself failed at it: end what runs and say so."""
        await self._end_now()
        self.row = await self._parts.store.read(lambda c: jobs.get(c, self.row.id))
        if self.row.state in FINAL or self.row.attempt != self.attempt.number:
            return
        if self.row.state is not JobState.COLLECTING:
            self.row, self.attempt = await collecting.note_ended(self._parts, self.row, self.attempt, outcome)
        self._parts.dispatcher.release(self.row.id)
        at = self._parts.clock.now()
        step = Step(to=outcome.state, at=at, reason=outcome.reason)
        rows = await self._parts.persist(lambda c: move(c, self.row.id, step, attempt=self.attempt.number))
        await self._parts.apply(rows)

    async def execute(self) -> None:
        """Carry the attempt through to its end."""
        account = await self._parts.people.account(self.row.owner)
        self.row, spec, handed, tries = await self._parts.store.read(self._read_submission)
        if account is not None:
            account = msgspec.structs.replace(account, bound=handed.bound)
        if self.row.stop is not None:
            self.stop(outcomes.cancelled(self.row.stop_by or ""), hard=self.row.stop == "kill")
        if self.row.state is JobState.COLLECTING:
            outcome = collecting.stored_outcome(self.attempt)
        elif account is None:
            outcome = outcomes.cancelled("")
        else:
            outcome = await self._live(account, spec, handed)
        await self._collect(self._judged(outcome, spec, tries), account, self._lost(tries))

    def _judged(self, outcome: Outcome, spec: JobSpec, tries: Sequence[attempts.AttemptRow]) -> Outcome:
        """The outcome in the light of the attempts before."""
        return outcome

    def _read_submission(
        self, connection: Connection
    ) -> tuple[jobs.JobRow, JobSpec, Handed, list[attempts.AttemptRow]]:
        row = jobs.get(connection, self.row.id)  # somebody may have asked for its end since it was begun
        spec, handed = jobs.submission(connection, row.submission)
        return row, decode_spec(spec), decode_handed(handed), attempts.of_job(connection, self.row.id)

    # ── preparing ──

    async def _make_folder(self, account: Account) -> Path:
        return await self._parts.in_thread(
            results.make, self._parts.state, account, self.row.results, self.attempt.number, self.moved
        )

    def _open_log(self, folder: Path, took: Callable[[Progress], None], full: Callable[[], None]) -> RunLog:
        return self._parts.logs.open(
            results=folder, spool=self._spool, limit=self._parts.settings.log, progress=took, full=full
        )

    async def _note_running(self) -> None:
        job, number = self.row.id, self.attempt.number
        at, seconds = self._parts.clock.now(), self._parts.clock.seconds()

        def note(connection: Connection) -> tuple[list[jobs.JobRow], attempts.AttemptRow]:
            rows = move(connection, job, Step(to=JobState.RUNNING, at=at), attempt=number)
            attempts.set_running(connection, job, number, at=at, boot_seconds=seconds)
            return rows, attempts.get(connection, job, number)

        self._parts.feed.prepared(job)
        rows, self.attempt = await self._parts.persist(note)
        self.row = rows[0]
        await self._parts.apply(rows)
        self._parts.dispatcher.set_attempt(self.attempt)

    # ── running ──

    def _time_left(self) -> float | None:
        """Seconds until the time limit; None without one, and while paused."""
        attempt = self.attempt
        if self.row.time_limit is None or attempt.running_at is None or attempt.running_boot is None:
            return None
        if attempt.paused_boot is not None:
            return None
        spent = since(self._parts.clock, attempt.boot, attempt.running_boot, attempt.running_at)
        return max(0.0, self.row.time_limit + attempt.paused - spent)

    # ── collecting ──

    async def _collect(self, outcome: Outcome, account: Account | None, lost: int) -> None:
        """Put the results away; the outcome is stored first, so that nothing that follows can change it."""
        if self.row.state is not JobState.COLLECTING:
            self.row, self.attempt = await collecting.note_ended(self._parts, self.row, self.attempt, outcome)
        self._parts.dispatcher.release(self.row.id)
        self._parts.feed.forget(self.row.id)
        folder = results.place(self._parts.state, self.row.owner, self.row.results)
        size = None
        if account is not None:
            folder = await self._make_folder(account)
            if self._log is None:
                self._log = self._open_log(folder, lambda _: None, lambda: None)
            more = await self._bring_back(account, folder, self._log)
            await self._log.finish()
            size = await self._size(account, folder)
            size = None if size is None else size + more
            self._parts.storage.changed(account)
        rows, used = await collecting.finish(
            self._parts, (self.row, self.attempt), outcome, account, folder, size, lost
        )
        self._parts.dispatcher.set_usage(used)
        await self._parts.apply(rows)
        await self._clean_up()

    # ── helpers ──

    @property
    def _spool(self) -> Path:
        return self._parts.state / "spool" / f"{self.row.id}-{self.attempt.number}"

    def _report(self, progress: Progress) -> None:
        self._parts.feed.report(self.row.id, progress)

    @contextlib.asynccontextmanager
    async def _followed(self, log: RunLog) -> AsyncIterator[None]:
        """The log follows what is written meanwhile."""
        async with asyncio.TaskGroup() as group:
            following = group.create_task(self._follow(log))
            try:
                yield
            finally:
                following.cancel()

    async def _follow(self, log: RunLog) -> None:
        while True:
            try:
                await log.follow()
            except OSError as error:  # a full disk: the spool keeps what the log has not taken
                _log.warning("job %d: its log cannot be written: %s", self.row.id, error)
                await asyncio.sleep(AGAIN)


def no_folder(error: OSError) -> LabboxError:
    """The results folder cannot be made."""
    return LabboxError(
        "unavailable", f"cannot make the results folder: {error.strerror}", "see to the box's disk"
    )
