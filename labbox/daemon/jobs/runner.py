"""One attempt at running a job, from the stored intent to its results; goes on after a restart of the daemon.

    preparing    results folder, environment, container; one that is there already is adopted
    running      until the container ends, or a person, the time limit, the log or the disk ends it
    collecting   the outcome is stored first; then the log's rest, the size of the output, job.json
    final        accounting, notice, the next attempt if there is one; then the container is removed

Every step can be done again: whatever the daemon was doing when it was killed, `execute` on the stored
attempt goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from labbox.daemon.containers.states import ContainerState
from labbox.daemon.jobs import collecting, results
from labbox.daemon.jobs import outcome as outcomes
from labbox.daemon.jobs.bringing_up import Software, plan_of, run_spec
from labbox.daemon.jobs.clock import since
from labbox.daemon.jobs.handed import Handed, decode_handed
from labbox.daemon.jobs.machine import Step, move
from labbox.daemon.jobs.outcome import Outcome
from labbox.daemon.jobs.parts import Parts
from labbox.daemon.jobs.ports import RunLog
from labbox.daemon.jobs.watching import watch_output
from labbox.daemon.people.accounts import Account
from labbox.daemon.store import attempts, jobs
from labbox.errors import LabboxError
from labbox.model import FINAL, JobState, Progress, ReasonCode

if TYPE_CHECKING:
    from sqlite3 import Connection

T = TypeVar("T")

_log = logging.getLogger(__name__)

_AGAIN: Final = 2.0  # seconds until something the disk or the engine refused is tried again
_ENGINE: Final = 120.0  # seconds that one answer of the engine may take


class Run:
    """The attempt of one job; `execute` returns when it is over or another attempt is to come."""

    def __init__(
        self, parts: Parts, row: jobs.JobRow, attempt: attempts.AttemptRow, *, adopted: bool
    ) -> None:
        """`adopted`: the daemon was restarted, and the container may be there already."""
        self.row = row
        self.attempt = attempt
        self._parts = parts
        self._adopted = adopted
        self._asked: Outcome | None = None
        self._hard = False
        self._ended: asyncio.Future[ContainerState | None] = asyncio.get_running_loop().create_future()
        self._stirred = asyncio.Event()  # somebody asked for something, or the engine came back
        self._log: RunLog | None = None

    @property
    def name(self) -> str:
        """The container's name."""
        return self.attempt.container

    def stop(self, outcome: Outcome, *, hard: bool) -> None:
        """Bring the run to an end; `hard`: without grace. The first outcome that is asked for counts."""
        if self._asked is None:
            self._asked = outcome
        self._hard = self._hard or hard
        self._stirred.set()

    def container_ended(self, state: ContainerState) -> None:
        """The engine says that the container has ended."""
        if not self._ended.done():
            self._ended.set_result(state)

    def engine_changed(self) -> None:
        """The engine came or went."""
        self._stirred.set()

    def follow(self, row: jobs.JobRow, attempt: attempts.AttemptRow) -> None:
        """The run was paused or goes on."""
        self.row, self.attempt = row, attempt
        self._stirred.set()

    async def give_up(self, outcome: Outcome) -> None:
        """Labbox itself failed at this run: end what runs and say so."""
        try:
            async with asyncio.timeout(_ENGINE):
                await self._parts.engine.remove(self.name)
        except (LabboxError, TimeoutError) as error:
            _log.warning("job %d: its container could not be removed: %s", self.row.id, error)
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
        self.row, handed, lost = await self._parts.store.read(self._read_submission)
        if self.row.stop is not None:
            self.stop(outcomes.cancelled(self.row.stop_by or ""), hard=self.row.stop == "kill")
        if self.row.state is JobState.COLLECTING:
            outcome = collecting.stored_outcome(self.attempt)
        elif account is None:
            outcome = outcomes.cancelled("")
        else:
            outcome = await self._live(account, handed)
        await self._collect(outcome, account, lost)

    def _read_submission(self, connection: Connection) -> tuple[jobs.JobRow, Handed, int]:
        row = jobs.get(connection, self.row.id)  # somebody may have asked for its end since it was begun
        _, handed = jobs.submission(connection, row.submission)
        lost = sum(1 for one in attempts.of_job(connection, self.row.id) if one.state is JobState.LOST)
        return row, decode_handed(handed), lost

    # ── preparing ──

    async def _live(self, account: Account, handed: Handed) -> Outcome:
        try:
            folder = await self._parts.in_thread(
                results.make, self._parts.state, account, self.row.results, self.attempt.number
            )
        except OSError as error:
            return outcomes.refused(_no_folder(error), code=ReasonCode.DISK)
        self._log = self._parts.logs.open(
            results=folder,
            spool=self._spool,
            limit=self._parts.settings.log,
            progress=self._report,
            full=lambda: self.stop(outcomes.over_log(self._parts.settings.log), hard=True),
        )
        found = (
            await self._patiently(lambda: self._parts.engine.inspect(self.name)) if self._adopted else None
        )
        if found is None and self.row.state is not JobState.PREPARING:
            return outcomes.gone()
        async with self._followed(self._log):
            if found is None or found.status == "created":
                if self._asked is not None:
                    return self._asked
                refused = await self._bring_up(account, handed, folder, self._log)
                if refused is not None:
                    return refused
            elif found.status == "exited":
                self.container_ended(found)
            if self.row.state is JobState.PREPARING:
                await self._note_running()
            return await self._watch(account, folder)

    async def _bring_up(self, account: Account, handed: Handed, folder: Path, log: RunLog) -> Outcome | None:
        """Make environment and container; an outcome where that cannot be done or is no longer wanted."""
        code = ReasonCode.ENVIRONMENT
        try:
            plan = plan_of(self._parts.configuration, handed, self._parts.state, self.row.owner)
            prepared = await self._unless_asked(self._parts.environments.prepare(plan, self._report_or_say))
            if prepared is None:
                return self._asked
            await self._note_software(prepared.name or None, prepared.digest or prepared.image)
            code = ReasonCode.START
            spec = run_spec(
                self._parts,
                row=self.row,
                attempt=self.attempt,
                account=account,
                handed=handed,
                software=Software(plan=plan, prepared=prepared),
                folder=folder,
                spool=self._spool,
                count=await self._count(),
            )
            async with asyncio.timeout(_ENGINE):
                await self._parts.engine.create_and_start(spec)
        except LabboxError as error:
            log.say(f"{error.message}{': ' + error.hint if error.hint else ''}")
            return outcomes.refused(error, code=code)
        except TimeoutError:
            return outcomes.refused(_silent_engine(), code=ReasonCode.START)
        return None

    async def _count(self) -> int | None:
        array = self.row.array
        if array is None:
            return None
        return sum((await self._parts.store.read(lambda c: jobs.element_counts(c, array))).values())

    async def _note_software(self, environment: str | None, image: str) -> None:
        job, number = self.row.id, self.attempt.number

        def note(connection: Connection) -> attempts.AttemptRow:
            attempts.set_software(connection, job, number, environment=environment, image=image)
            return attempts.get(connection, job, number)

        self.attempt = await self._parts.persist(note)

    async def _note_running(self) -> None:
        job, number = self.row.id, self.attempt.number
        at, seconds = self._parts.clock.now(), self._parts.clock.seconds()

        def note(connection: Connection) -> tuple[list[jobs.JobRow], attempts.AttemptRow]:
            rows = move(connection, job, Step(to=JobState.RUNNING, at=at), attempt=number)
            attempts.set_running(connection, job, number, at=at, boot_seconds=seconds)
            return rows, attempts.get(connection, job, number)

        rows, self.attempt = await self._parts.persist(note)
        self.row = rows[0]
        await self._parts.apply(rows)
        self._parts.dispatcher.set_attempt(self.attempt)

    # ── running ──

    async def _watch(self, account: Account, folder: Path) -> Outcome:
        """Wait for the container's end, and bring it about where it is asked for or a limit is passed."""
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(
                watch_output(self._parts, self.row, account, folder, self._grown, self._report)
            )
            ending: asyncio.Task[None] | None = None
            hard = False
            while not self._ended.done():
                self._stirred.clear()
                if self._asked is not None and (ending is None or ending.done() or (self._hard and not hard)):
                    hard = self._hard
                    if ending is not None:
                        ending.cancel()
                    ending = group.create_task(self._end_container(hard=hard))
                if await self._pause_until_stirred(ending is not None):
                    self.stop(outcomes.timed_out(self.row.time_limit or 0.0), hard=False)
                elif not self._ended.done():
                    await self._look()
            watching.cancel()
            if ending is not None:
                ending.cancel()
        ended = self._ended.result()
        if ended is None:
            return outcomes.gone() if self._asked is None else self._asked
        return outcomes.judge(ended, self.row.resources.memory, self._asked)

    async def _pause_until_stirred(self, ending: bool) -> bool:
        """Wait for the end or for something to do; True where the time limit has passed."""
        left = self._time_left()
        seconds = _AGAIN if ending else left
        stirred: asyncio.Future[Any] = asyncio.ensure_future(self._stirred.wait())
        ended: asyncio.Future[Any] = self._ended
        try:
            await asyncio.wait({stirred, ended}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stirred.cancel()
        left = self._time_left()  # it may be paused, or go on, by now
        return self._asked is None and left is not None and left <= 0.0

    def _time_left(self) -> float | None:
        """Seconds until the time limit; None without one, and while paused."""
        attempt = self.attempt
        if self.row.time_limit is None or attempt.running_at is None or attempt.running_boot is None:
            return None
        if attempt.paused_boot is not None:
            return None
        spent = since(self._parts.clock, attempt.boot, attempt.running_boot, attempt.running_at)
        return max(0.0, self.row.time_limit + attempt.paused - spent)

    async def _look(self) -> None:
        """The engine came back or something was asked: does the container still run?"""
        if not self._parts.engine.available:
            return
        try:
            async with asyncio.timeout(_ENGINE):
                found = await self._parts.engine.inspect(self.name)
        except (LabboxError, TimeoutError) as error:
            _log.info("job %d: the engine does not say how it is: %s", self.row.id, error)
            return
        if self._ended.done():
            return
        if found is None:
            self._ended.set_result(None)
        elif found.status == "exited":
            self.container_ended(found)

    async def _end_container(self, *, hard: bool) -> None:
        engine, grace = self._parts.engine, self._parts.settings.grace
        try:
            async with asyncio.timeout(grace + _ENGINE):
                if self.attempt.paused_boot is not None and not hard:
                    await engine.resume(self.name)  # a frozen process hears no signal
                if hard:
                    await engine.kill(self.name)
                else:
                    await engine.stop(self.name, grace)
        except (LabboxError, TimeoutError) as error:
            _log.info("job %d: the container does not end yet: %s", self.row.id, error)

    def _grown(self, outcome: Outcome) -> None:
        self.stop(outcome, hard=False)

    # ── collecting ──

    async def _collect(self, outcome: Outcome, account: Account | None, lost: int) -> None:
        """Put the results away; the outcome is stored first, so that it outlives the container."""
        if self.row.state is not JobState.COLLECTING:
            self.row, self.attempt = await collecting.note_ended(self._parts, self.row, self.attempt, outcome)
        self._parts.dispatcher.release(self.row.id)
        self._parts.feed.forget(self.row.id)
        folder = self._parts.state / "results" / self.row.owner / self.row.results
        size = None
        if account is not None:
            folder = await self._parts.in_thread(
                results.make, self._parts.state, account, self.row.results, self.attempt.number
            )
            if self._log is None:
                self._log = self._parts.logs.open(
                    results=folder,
                    spool=self._spool,
                    limit=self._parts.settings.log,
                    progress=lambda _: None,
                    full=lambda: None,
                )
            await self._log.finish()
            size = await collecting.measure(self._parts, self.row, account, folder)
            self._parts.storage.changed(account)
        rows, used = await collecting.finish(
            self._parts, (self.row, self.attempt), outcome, account, folder, size, lost
        )
        self._parts.dispatcher.set_usage(used)
        await self._parts.apply(rows)
        await collecting.clean_up(self._parts, self.row, self.attempt)

    # ── helpers ──

    @property
    def _spool(self) -> Path:
        return self._parts.state / "spool" / f"{self.row.id}-{self.attempt.number}"

    def _report(self, progress: Progress) -> None:
        self._parts.feed.report(self.row.id, progress)

    def _report_or_say(self, said: Progress | str) -> None:
        if isinstance(said, Progress):
            self._report(said)
        elif self._log is not None:
            self._log.say(said)

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
                await asyncio.sleep(_AGAIN)

    async def _unless_asked(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The work's result; None where somebody asks for the end before, and the work is given up then."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done() and self._asked is None:
                self._stirred.clear()
                stirred = asyncio.ensure_future(self._stirred.wait())
                try:
                    await asyncio.wait({task, stirred}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    stirred.cancel()
            return task.result() if task.done() and not task.cancelled() else None
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, LabboxError):
                await task

    async def _patiently(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Ask the engine, and again while it does not answer."""
        while True:
            try:
                async with asyncio.timeout(_ENGINE):
                    return await ask()
            except (LabboxError, TimeoutError) as error:
                if isinstance(error, LabboxError) and error.code != "unavailable":
                    raise
                self._stirred.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_AGAIN * 5):
                        await self._stirred.wait()


def _no_folder(error: OSError) -> LabboxError:
    return LabboxError(
        "unavailable", f"cannot make the results folder: {error.strerror}", "see to the box's disk"
    )


def _silent_engine() -> LabboxError:
    return LabboxError("unavailable", f"cannot start the container: no answer in {_ENGINE:.0f} s")
