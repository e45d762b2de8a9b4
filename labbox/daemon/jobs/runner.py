"""One attempt at running a job in a container, from the stored intent to the container's end.

    preparing    environment and container; one that is there already is adopted
    running      until the container ends, or a person, the time limit, the log or the disk ends it

What comes before and after, and how it all goes on after a restart of the daemon, is in `trying`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from labbox.daemon.containers.layers import Layer
from labbox.daemon.containers.run import RunSpec
from labbox.daemon.containers.states import ContainerState
from labbox.daemon.jobs import collecting, preparing, results
from labbox.daemon.jobs import outcome as outcomes
from labbox.daemon.jobs.bringing_up import Software, plan_of, run_spec
from labbox.daemon.jobs.handed import Handed
from labbox.daemon.jobs.offline import with_lack_named, with_network_missed
from labbox.daemon.jobs.outcome import Outcome
from labbox.daemon.jobs.parts import Parts
from labbox.daemon.jobs.ports import RunLog
from labbox.daemon.jobs.trying import AGAIN, Try, no_folder
from labbox.daemon.jobs.watching import watch_output
from labbox.daemon.jobs.writable import bring_back, make_layers, open_written, take_back
from labbox.daemon.people.accounts import Account
from labbox.daemon.store import attempts, jobs
from labbox.errors import LabboxError
from labbox.model import JobSpec, JobState, Progress, ReasonCode

if TYPE_CHECKING:
    from sqlite3 import Connection

T = TypeVar("T")

_log = logging.getLogger(__name__)

_ENGINE: Final = 120.0  # seconds that one answer of the engine may take
_FREEZE: Final = 30.0  # seconds that it may take to freeze or thaw a container


class Run(Try):
    """A container; one that is there already at the start, after a restart of the daemon, is adopted."""

    def __init__(
        self, parts: Parts, row: jobs.JobRow, attempt: attempts.AttemptRow, *, adopted: bool
    ) -> None:
        """As for every attempt."""
        super().__init__(parts, row, attempt, adopted=adopted)
        self._ended: asyncio.Future[ContainerState | None] = asyncio.get_running_loop().create_future()
        self._output_bytes: int | None = None  # counted when the container has ended

    def container_ended(self, state: ContainerState) -> None:
        """The engine says that the container has ended."""
        if not self._ended.done():
            self._ended.set_result(state)

    async def freeze(self, *, frozen: bool) -> None:
        """Freeze all processes in memory, or let them go on."""
        engine = self._parts.engine
        async with asyncio.timeout(_FREEZE):
            await (engine.pause(self.name) if frozen else engine.resume(self.name))

    async def _end_now(self) -> None:
        try:
            async with asyncio.timeout(_ENGINE):
                await self._parts.engine.remove(self.name)
        except (LabboxError, TimeoutError) as error:
            _log.warning("job %d: its container could not be removed: %s", self.row.id, error)

    async def _clean_up(self) -> None:
        await collecting.clean_up(self._parts, self.row, self.attempt)

    def _lost(self, tries: Sequence[attempts.AttemptRow]) -> int:
        return sum(1 for one in tries if one.state is JobState.LOST)

    # ── preparing ──

    async def _live(self, account: Account, spec: JobSpec, handed: Handed) -> Outcome:
        try:
            folder = await self._make_folder(account)
        except OSError as error:
            return outcomes.refused(no_folder(error), code=ReasonCode.DISK)
        await self._point_latest(account)
        self._log = self._open_log(
            folder,
            self._report,
            lambda: self.stop(outcomes.over_log(self._parts.settings.log), hard=True),
        )
        found = (
            await self._patiently(lambda: self._parts.engine.inspect(self.name)) if self._adopted else None
        )
        if found is None and self.row.state is not JobState.PREPARING:
            return outcomes.gone()
        if found is not None and found.status == "created":
            found = None
            if await self._had_begun(folder):
                return outcomes.begun()
        async with self._followed(self._log):
            if found is None:
                if self._asked is not None:
                    return self._asked
                refused = await self._bring_up(account, handed, folder, self._log)
                if refused is not None:
                    return refused
            elif found.status == "exited":
                self.container_ended(found)
            if self.row.state is JobState.PREPARING:
                await self._note_running()
            outcome = await self._within_limit(await self._watch(account, folder), account, folder)
            explained = await self._parts.in_thread(with_lack_named, outcome, self._spool)
            if handed.network or explained is not outcome:
                return explained
            return await self._parts.in_thread(with_network_missed, outcome, self._spool)

    async def _had_begun(self, folder: Path) -> bool:
        """Let go of a container that box or engine was killed over: whether its command left anything.

        It may have begun although the engine says that it was only made. What it wrote to its code goes with
        it; what it printed, and its output, belong to an attempt of their own.
        """
        await self._patiently(lambda: self._parts.engine.remove(self.name))
        if self._ended.done():  # what was told of the one that is gone
            self._ended = asyncio.get_running_loop().create_future()
        return await self._parts.in_thread(take_back, self._spool, folder)

    async def _bring_up(self, account: Account, handed: Handed, folder: Path, log: RunLog) -> Outcome | None:
        """Make environment and container; an outcome where that cannot be done or is no longer wanted."""
        code = ReasonCode.ENVIRONMENT
        try:
            plan = await plan_of(self._parts, handed, account)
            async with self._prudently():
                prepared = await self._unless_asked(
                    self._parts.environments.prepare(plan, self._report_or_say)
                )
            if prepared is None:
                return self._asked
            await self._note_software(prepared.name or None, prepared.digest or prepared.image)
            code = ReasonCode.START
            count = await self._count()

            def spec(layers: tuple[Layer, ...]) -> RunSpec:
                return run_spec(
                    self._parts,
                    row=self.row,
                    attempt=self.attempt,
                    account=account,
                    handed=handed,
                    software=Software(plan=plan, prepared=prepared),
                    folder=folder,
                    spool=self._spool,
                    count=count,
                    layers=layers,
                )

            await self._start(account, handed, log, spec)
            log.begins()
        except LabboxError as error:
            log.say(f"{error.message}{': ' + error.hint if error.hint else ''}")
            return outcomes.refused(error, code=code)
        except TimeoutError:
            return outcomes.refused(_silent_engine(), code=ReasonCode.START)
        return None

    async def _start(
        self, account: Account, handed: Handed, log: RunLog, spec: Callable[[tuple[Layer, ...]], RunSpec]
    ) -> None:
        """Start it over its code, which it may write; where the kernel has no overlays, over a copy of it."""
        parts, refused = self._parts, None
        if parts.overlays.usable(parts.state):
            layers = await make_layers(parts, account, handed, self._spool, overlay=True)
            try:
                await self._create(spec(layers))
            except LabboxError as error:
                if not layers or error.code in ("unavailable", "not_found") or not _of_mounts(error):
                    raise
                refused = error  # of the overlay: it is tried without
            else:
                return
        try:
            layers = await make_layers(parts, account, handed, self._spool, overlay=False)
        except LabboxError as error:
            if error.code != "limit":
                raise
            log.say("/code cannot be written in this run: it is too large to be copied; write to /output")
            layers = ()
        await self._create(spec(layers))
        if refused is not None:
            parts.overlays.refused(refused)

    async def _point_latest(self, account: Account) -> None:
        try:
            await self._parts.in_thread(results.point_latest, self._parts.state, account, self.row.results)
        except OSError as error:
            _log.warning("job %d: the link to the latest run stays: %s", self.row.id, error)

    async def _create(self, spec: RunSpec) -> None:
        async with asyncio.timeout(_ENGINE):
            await self._parts.engine.create_and_start(spec)

    async def _bring_back(self, account: Account, folder: Path, log: RunLog) -> int:
        handed = (await self._parts.store.read(self._read_submission))[2]
        try:
            said, size = await bring_back(self._parts, account, handed, self._spool, folder)
        except (LabboxError, OSError, TimeoutError) as error:
            _log.warning("job %d: what it left in its code was not brought back: %s", self.row.id, error)
            said, size = ["what the run left in /code could not be brought back to its results"], 0
        for one in said:
            log.say(one)
        return size

    @contextlib.asynccontextmanager
    async def _prudently(self) -> AsyncIterator[None]:
        """Note that this prepares; LabboxError where the daemon has died over it too often.

        What brings the daemon down when it prepares a job would do so again after each start.
        """
        deaths = await self._parts.in_thread(preparing.begin, self._spool)
        if deaths >= preparing.MOST_DEATHS:
            await self._parts.in_thread(preparing.end, self._spool)
            raise LabboxError(
                "invalid",
                f"cannot prepare it: the box ended {deaths} times while it was preparing this job",
                "tell an administrator: the journal of the box says how it ended; then submit it again",
            )
        try:
            yield
        finally:
            await asyncio.shield(self._parts.in_thread(preparing.end, self._spool))

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

    # ── running ──

    async def _watch(self, account: Account, folder: Path) -> Outcome:
        """Wait for the container's end, and bring it about where it is asked for or a limit is passed."""
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(
                watch_output(self._parts, self.row, account, folder, self._spool, self._grown, self._report)
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

    async def _within_limit(self, outcome: Outcome, account: Account, folder: Path) -> Outcome:
        """What was written between the last look and the end counts too, before anything is put away."""
        self._output_bytes = await collecting.measure(self._parts, self.row, account, folder)
        limit = self._parts.settings.disk
        size = (self._output_bytes or 0) + await self._beside_bytes(account)
        if outcome.state is not JobState.SUCCEEDED or size <= limit:
            return outcome
        over = outcomes.over_disk(limit)
        return msgspec.structs.replace(outcome, state=over.state, reason=over.reason)

    async def _beside_bytes(self, account: Account) -> int:
        """The bytes that it left in its code; nothing is counted where it left nothing, as most runs do."""
        with open_written(self._spool) as written:
            some = [one for one in written if await self._parts.in_thread(os.listdir, one)]
            if not some:
                return 0
            try:
                async with asyncio.timeout(_ENGINE):
                    return await self._parts.folders.output_bytes(account, *some)
            except (LabboxError, TimeoutError) as error:
                _log.warning("job %d: what it left in its code is not counted: %s", self.row.id, error)
                return 0

    async def _size(self, account: Account, folder: Path) -> int | None:
        """As it was counted when the container had ended."""
        if self._output_bytes is not None:
            return self._output_bytes
        return await super()._size(account, folder)

    async def _pause_until_stirred(self, ending: bool) -> bool:
        """Wait for the end or for something to do; True where the time limit has passed."""
        left = self._time_left()
        seconds = AGAIN if ending else left
        stirred: asyncio.Future[Any] = asyncio.ensure_future(self._stirred.wait())
        ended: asyncio.Future[Any] = self._ended
        try:
            await asyncio.wait({stirred, ended}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stirred.cancel()
        left = self._time_left()  # it may be paused, or go on, by now
        return self._asked is None and left is not None and left <= 0.0

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

    # ── helpers ──

    def _report_or_say(self, said: Progress | str) -> None:
        if isinstance(said, Progress):
            self._report(said)
        elif self._log is not None:
            self._log.say(said)

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
                    async with asyncio.timeout(AGAIN * 5):
                        await self._stirred.wait()


def _silent_engine() -> LabboxError:
    return LabboxError("unavailable", f"cannot start the container: no answer in {_ENGINE:.0f} s")


def _of_mounts(error: LabboxError) -> bool:
    """Whether the engine could not mount something; other errors would be the same over a copy."""
    return "mount" in error.message.lower()
