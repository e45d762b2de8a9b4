"""The jobs of the box, as the rest of the daemon sees them; every call checks the caller's rights itself.

Everybody sees the queue (ids, owners, states, room: see discretion.py); what a job was given and wrote, and
why it failed, is for its owner and for administrators alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from labbox.custom import Configuration
from labbox.daemon.containers.states import ContainerState
from labbox.daemon.jobs import outcome as outcomes
from labbox.daemon.jobs import reading
from labbox.daemon.jobs.capacity import box_total
from labbox.daemon.jobs.chaining import Arrivals, look_elsewhere
from labbox.daemon.jobs.clock import Clock
from labbox.daemon.jobs.control import Control, allowed, cannot
from labbox.daemon.jobs.discretion import may_know, told_to
from labbox.daemon.jobs.dispatch import Dispatcher
from labbox.daemon.jobs.following import Feed
from labbox.daemon.jobs.groups import GroupLimits
from labbox.daemon.jobs.handed import decode_handed
from labbox.daemon.jobs.housekeeping import Housekeeping
from labbox.daemon.jobs.intake import Intake, Taken, submission
from labbox.daemon.jobs.measuring import FEW, Measuring
from labbox.daemon.jobs.parts import Parts
from labbox.daemon.jobs.ports import Engine, Environments, Folders, Logs, People, Terminal, Transfers
from labbox.daemon.jobs.runner import Run
from labbox.daemon.jobs.storage import Storage
from labbox.daemon.jobs.transfers import TransferRun
from labbox.daemon.jobs.trying import Try
from labbox.daemon.jobs.views import Views
from labbox.daemon.people.accounts import Account
from labbox.daemon.store import Store, attempts, jobs, pages
from labbox.daemon.store.times import now
from labbox.errors import LabboxError
from labbox.locations import elsewhere
from labbox.model import ACTIVE, JobKind, JobSpec, JobState, Limits, Resources, Value
from labbox.protocol import (
    Event,
    Group,
    Groups,
    InputBody,
    InspectBody,
    Inspection,
    Job,
    JobCounts,
    JobDetail,
    JobEdit,
    JobHistory,
    JobPage,
    LiveJobs,
    LogRecord,
    Notices,
    Submitted,
    Templates,
    TransferSummary,
    UsagePage,
    Why,
)

_log = logging.getLogger(__name__)

_THREADS: Final = 4  # for folders and small files
_INPUT: Final = 60.0  # seconds in which a job must read what it is sent


class Numbers(Value):
    """The jobs' part of the box's status."""

    jobs: dict[JobState, int]
    total: Resources
    used: Resources
    problems: tuple[str, ...]


class Jobs:
    """Queue, runs and results."""

    def __init__(
        self,
        store: Store,
        people: People,
        engine: Engine,
        environments: Environments,
        folders: Folders,
        logs: Logs,
        transfers: Transfers,
        configuration: Configuration,
        state: Path,
        box_id: str,
        *,
        clock: Clock | None = None,
        total: Resources | None = None,
        when_full: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take the parts; nothing is read or started before `run`.

        `when_full` is called in a thread where the disk is full, and says whether it could make room.
        """
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="jobs")
        self._runs: dict[int, Try] = {}
        self._measuring = Measuring(
            self._in_containers, lambda: not self._runs, engine.consumed, self._threads, engine.gpus_of
        )
        self._group: asyncio.TaskGroup | None = None
        self._loaded = asyncio.Event()
        feed = Feed(store)
        clock = clock or Clock()
        settings = configuration.settings.jobs
        dispatcher = Dispatcher(
            store=store,
            clock=clock,
            settings=settings,
            total=total or box_total(settings),
            state=state,
            container_name=lambda job, attempt: f"labbox-{box_id}-{job}-{attempt}",
            limits=self._limits,
            barred=self._barred,
            engine_trouble=self._engine_trouble,
            start=lambda row, attempt: self._start(row, attempt, adopted=False),
            arrived=self._arrived,
        )
        self._parts = Parts(
            store=store,
            people=people,
            engine=engine,
            environments=environments,
            folders=folders,
            logs=logs,
            transfers=transfers,
            configuration=configuration,
            dispatcher=dispatcher,
            feed=feed,
            storage=Storage(store, folders, state, configuration.settings.jobs.free_floor),
            clock=clock,
            state=state,
            box_id=box_id,
            threads=self._threads,
            when_full=when_full,
        )
        self._views = Views(self._parts)
        self._control = Control(self._parts, self._runs)
        self._intake = Intake(self._parts)
        self._arrivals = Arrivals(self._parts)
        self._groups = GroupLimits(self._parts)
        self._housekeeping = Housekeeping(
            store=store,
            people=people,
            environments=environments,
            storage=self._parts.storage,
            state=state,
            keep_inputs=settings.keep_inputs,
            threads=self._threads,
        )
        engine.on_change(self._engine_changed)
        engine.on_event(self._container_event)

    # ── life ──

    async def run(self) -> None:
        """Take up what was under way, start what may start; when cancelled, running jobs go on without us."""
        try:
            begun = await self._parts.dispatcher.load()
            under_way = {f"{row.id}-{attempt.number}" for row, attempt in begun}
            left = self._housekeeping.left_spools(under_way)
            async with asyncio.TaskGroup() as group:
                self._group = group
                for row, attempt in begun:
                    self._start(row, attempt, adopted=True)
                for waiting in list(self._parts.dispatcher.queue):
                    if waiting.arriving and not waiting.after:
                        self._arrived(waiting.id)
                self._loaded.set()
                group.create_task(self._sweep())
                group.create_task(self._housekeeping.run(left))
                group.create_task(self._measuring.run())
                group.create_task(self._parts.dispatcher.run())
                self._parts.dispatcher.wake()
        finally:
            self._group = None
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _in_containers(self) -> dict[int, str]:
        going = (JobState.RUNNING, JobState.PAUSED)
        return {
            job: run.name
            for job, run in self._runs.items()
            if run.row.kind is JobKind.CONTAINER and run.row.state in going
        }

    async def ready(self) -> None:
        """Wait until what was under way is taken up."""
        await self._loaded.wait()

    def _start(self, row: jobs.JobRow, attempt: attempts.AttemptRow, *, adopted: bool) -> None:
        if self._group is None:
            return  # the daemon is ending: the attempt is taken up at the next start
        kind = TransferRun if row.kind is JobKind.TRANSFER else Run
        run = kind(self._parts, row, attempt, adopted=adopted)
        self._runs[row.id] = run
        self._measuring.wake()
        self._group.create_task(self._guard(run), name=f"job {row.id}")
        self._parts.feed.wake()

    @property
    def storage(self) -> Storage:
        """What people store, and may."""
        return self._parts.storage

    def people_changed(self) -> None:
        """Something about people is stored: there are events, and somebody's jobs may start now, or not."""
        self._parts.feed.wake()
        self._parts.dispatcher.wake()

    def _arrived(self, job: int) -> None:
        if self._group is not None:  # else it is looked for when the daemon has begun
            self._group.create_task(self._arrivals.take(job), name=f"arrival of job {job}")

    async def _guard(self, run: Try) -> None:
        """A fault in one run must not end the others."""
        try:
            await run.execute()
        except Exception as error:  # noqa: BLE001 - the boundary: it is logged and fails this job alone
            _log.exception("job %d: attempt %d broke down", run.row.id, run.attempt.number)
            await run.give_up(outcomes.internal(error))
        finally:
            if self._runs.get(run.row.id) is run:
                del self._runs[run.row.id]

    async def _sweep(self) -> None:
        """Once the engine answers: remove containers that belong to no attempt under way."""
        await self._parts.engine_answers()
        wanted = {run.name for run in self._runs.values()}
        prefix = f"labbox-{self._parts.box_id}-"
        try:
            found = await self._parts.engine.list()
            for name in sorted(name for name in found if name.startswith(prefix) and name not in wanted):
                if name not in {run.name for run in self._runs.values()}:
                    _log.info("the container %s belongs to no job under way and is removed", name)
                    await self._parts.engine.remove(name)
        except LabboxError as error:
            _log.warning("containers of ended jobs could not be removed: %s", error)

    def _engine_changed(self) -> None:
        self._parts.engine_changed()
        self._parts.dispatcher.wake()
        for run in self._runs.values():
            run.engine_changed()

    def _container_event(self, name: str, state: ContainerState) -> None:
        if state.status != "exited":
            return
        for run in self._runs.values():
            if run.name == name:
                run.container_ended(state)
                return

    def _engine_trouble(self) -> str:
        engine = self._parts.engine
        return "" if engine.available else engine.reason or "it does not answer"

    async def _barred(self, owner: str) -> str:
        account = await self._parts.people.account(owner)
        return "" if account is None else account.barred(now())

    async def _limits(self, owner: str) -> Limits:
        account = await self._parts.people.account(owner)
        return Limits() if account is None else account.limits

    # ── taking in ──

    async def submit(self, account: Account, spec: JobSpec, origin: str) -> Submitted:
        """Take a job in: what is returned is on disk, with a snapshot of its folder."""
        return await self._submitted(await self._intake.submit(account, spec, origin))

    async def rerun(self, account: Account, id: int, edit: JobEdit, origin: str) -> Submitted:  # noqa: A002 - the API's word
        """A new job, for the same person, of what an earlier one was given or of its folder as it is now."""
        return await self._submitted(await self._intake.rerun(account, id, edit, origin))

    async def _submitted(self, taken: Taken) -> Submitted:
        job = await self._views.job(taken.row)
        return Submitted(**msgspec.structs.asdict(job), warnings=taken.warnings)

    async def inspect(self, account: Account, body: InspectBody) -> Inspection:
        """Look at a project folder without submitting it."""
        spec = body.spec or JobSpec()
        if elsewhere(body.path) is not None:
            return look_elsewhere(self._parts, account, msgspec.structs.replace(spec, path=body.path))
        return await self._parts.folders.inspect(
            account, body.path, msgspec.structs.replace(spec, path=body.path)
        )

    def templates(self) -> Templates:
        """The languages of this box."""
        return self._intake.templates()

    # ── changing ──

    async def cancel(self, account: Account, id: int, origin: str) -> Job:  # noqa: A002 - the API's word
        """End a job, with time to clean up."""
        return await self._views.job(await self._control.stop(account, id, origin, hard=False))

    async def kill(self, account: Account, id: int, origin: str) -> Job:  # noqa: A002 - the API's word
        """End a job at once."""
        return await self._views.job(await self._control.stop(account, id, origin, hard=True))

    async def hold(self, account: Account, id: int, origin: str) -> Job:  # noqa: A002 - the API's word
        """Keep a waiting job from starting."""
        return await self._views.job(await self._control.hold(account, id, origin))

    async def release(self, account: Account, id: int, origin: str) -> Job:  # noqa: A002 - the API's word
        """Let a held job stand in line."""
        return await self._views.job(await self._control.release(account, id, origin))

    async def pause(self, account: Account, id: int, origin: str) -> Job:  # noqa: A002 - the API's word
        """Freeze a running job."""
        return await self._views.job(await self._control.pause(account, id, origin))

    async def resume(self, account: Account, id: int, origin: str) -> Job:  # noqa: A002 - the API's word
        """Let a frozen job go on."""
        return await self._views.job(await self._control.resume(account, id, origin))

    async def retry(self, account: Account, id: int, origin: str) -> Job:  # noqa: A002 - the API's word
        """A new attempt of a job that did not succeed."""
        return await self._views.job(await self._control.retry(account, id, origin))

    async def edit(self, account: Account, id: int, edit: JobEdit, origin: str) -> Job:  # noqa: A002 - the API's word
        """Change what a waiting job asks for."""
        return await self._views.job(await self._control.edit(account, id, edit, origin))

    async def forget(self, owner: str, origin: str) -> None:
        """End all jobs of somebody who is being removed."""
        account = Account(
            name="box", uid=0, gid=0, groups=(), admin=True, home=self._parts.state, limits=Limits()
        )
        open_rows = await self._parts.store.read(jobs.all_open)
        for row in open_rows:
            if row.owner == owner:
                try:
                    await self._control.stop(account, row.id, origin, hard=True)
                except LabboxError as error:
                    if error.code != "conflict":  # it has just ended
                        raise
        await self._groups.forget(owner)

    async def cancel_running(self, owner: str, origin: str) -> None:
        """Cancel what runs of somebody's, with time to clean up; what waits goes on waiting."""
        account = Account(
            name="box", uid=0, gid=0, groups=(), admin=True, home=self._parts.state, limits=Limits()
        )
        for row in await self._parts.store.read(jobs.all_open):
            if row.owner == owner and row.state in ACTIVE:
                try:
                    await self._control.stop(account, row.id, origin, hard=False)
                except LabboxError as error:
                    if error.code != "conflict":  # it has just ended
                        raise

    def relabel(self, owner: str, to: str) -> None:
        """Somebody has gone; what was theirs stands under a label now."""
        self._parts.dispatcher.relabel(owner, to)
        self._parts.storage.forget(owner)

    async def set_group(
        self, account: Account, owner: str, name: str, parallel: int | None, origin: str
    ) -> Group:
        """Say how many jobs of a group may run at once."""
        return await self._groups.set(account, owner, name, parallel, origin)

    async def remove_group(self, account: Account, owner: str, name: str, origin: str) -> None:
        """Forget a group and its limit; its jobs go on."""
        await self._groups.remove(account, owner, name, origin)

    async def input(self, account: Account, id: int, body: InputBody) -> None:  # noqa: A002 - the API's word
        """Write to the standard input of a job that was submitted with `stdin`."""
        row, _, handed = await submission(self._parts, account, id, "write to")
        if not decode_handed(handed).stdin:
            raise LabboxError(
                "conflict", f"cannot write to job {id}: it has no open input", "submit it with --stdin"
            )
        if row.state is not JobState.RUNNING:
            raise LabboxError("conflict", f"cannot write to job {id}: it does not run")
        spool = self._parts.state / "spool" / f"{row.id}-{row.attempt}"
        try:
            async with asyncio.timeout(_INPUT):
                if body.text:
                    await self._parts.engine.write_input(spool, body.text.encode("utf-8", "surrogateescape"))
                if body.close:
                    await self._parts.engine.close_input(spool)
        except TimeoutError as error:
            raise LabboxError("conflict", f"cannot write to job {id}: it reads nothing") from error

    async def shell(self, account: Account, id: int, rows: int, columns: int) -> Terminal:  # noqa: A002 - the API's word
        """A shell inside a running job, with its ids."""
        row = await self._row(account, id, "open a shell in")
        run, owner = self._runs.get(id), await self._parts.people.account(row.owner)
        if row.state is not JobState.RUNNING or run is None or owner is None:
            raise cannot("open a shell in", row)
        env = {"TERM": "xterm-256color"}
        try:
            return await self._parts.engine.exec_pty(
                run.name, uid=owner.uid, gid=owner.gid, env=env, rows=rows, columns=columns
            )
        except LabboxError as error:
            if error.code != "conflict":
                raise
            raise LabboxError(
                "conflict",
                f"cannot open a shell in job {id}: it is ending",
                f"labbox job show {id} says what becomes of it",
            ) from error

    # ── looking ──

    async def page(
        self,
        account: Account,
        *,
        owner: str | None = None,
        state: str | None = None,
        name: str | None = None,
        array: int | None = None,
        group: str | None = None,
        kind: str | None = None,
        limit: int = 100,
        before: int | None = None,
        order: str | None = None,
    ) -> JobPage:
        """A page of everybody's jobs, newest first unless `order` is "oldest"; `array` 0: no elements."""
        return await reading.page(
            self._parts,
            self._views,
            account,
            owner=owner,
            state=state,
            name=name,
            array=array,
            group=group,
            kind=kind,
            limit=limit,
            before=before,
            order=order,
        )

    async def groups(self, account: Account, owner: str | None = None) -> Groups:
        """Somebody's groups of jobs; None: everybody's."""
        return await self._groups.page(account, owner)

    async def counts(
        self,
        account: Account,
        owner: str | None = None,
        array: int | None = None,
        kind: str | None = None,
    ) -> JobCounts:
        """Jobs by state; `array` 0: an array is one, in its own state."""
        files = reading.only_files(kind)
        if array not in (None, 0):
            raise LabboxError(
                "invalid", "cannot count the jobs of one array", "its own page has their number"
            )
        found = await self._parts.store.read(
            lambda c: pages.count_by_state(c, owner, array=array, files=files)
        )
        return JobCounts(by_state=found)

    async def show(self, account: Account, id: int) -> JobDetail:  # noqa: A002 - the API's word
        """All that is known about a job."""
        row = await self._row(account, id, "show")
        shown = await reading.show(self._parts, self._views, row)
        return msgspec.structs.replace(shown, live=self._measuring.of(id))

    async def live(self, account: Account) -> LiveJobs:
        """What each running job takes that this person may know all of."""
        mine = [job for job, run in self._runs.items() if may_know(account, run.row.owner)]
        found = {job: self._measuring.of(job, looks=FEW) for job in mine}
        return LiveJobs(jobs={job: live for job, live in found.items() if live is not None})

    async def why(self, account: Account, id: int) -> Why:  # noqa: A002 - the API's word
        """Every reason that keeps a job where it is."""
        return await reading.why(self._parts, self._views, await self._row(account, id, "show"))

    async def history(self, account: Account, id: int) -> JobHistory:  # noqa: A002 - the API's word
        """A job's changes."""
        row = await self._row(account, id, "show")
        return await reading.history(self._parts, row)

    async def log(
        self,
        account: Account,
        id: int,  # noqa: A002 - the API's word
        *,
        after: int = 0,
        follow: bool = False,
        attempt: int | None = None,
        tail: int | None = None,
    ) -> AsyncIterator[LogRecord]:
        """A job's log; with `follow` until the job has ended, through all its attempts to come."""
        row = await self._row(account, id, "show the log of")
        async for record in reading.log(
            self._parts, row, after=after, follow=follow, attempt=attempt, tail=tail
        ):
            yield record

    async def transfer(self, account: Account, id: int) -> TransferSummary:  # noqa: A002 - the API's word
        """What a transfer did, or did so far."""
        row = await self._row(account, id, "show")
        run = self._runs.get(id)
        return await reading.transfer(self._parts, row, run.summary if isinstance(run, TransferRun) else None)

    async def usage(self, account: Account, owner: str | None = None) -> UsagePage:
        """What people took; of others, only administrators see it."""
        if not account.admin:
            if owner not in (None, account.name):
                raise LabboxError("forbidden", f"cannot show what {owner} used: ask an administrator")
            owner = account.name
        return await reading.usage_page(self._parts, owner)

    async def last_event(self) -> int:
        """The cursor of the newest event: what comes after it is yet to happen."""
        return await self._parts.feed.last()

    async def events(
        self, account: Account, *, after: int | None = None, follow: bool = False, mine: bool = False
    ) -> AsyncGenerator[Event, None]:
        """What changes: all that was stored after the cursor, then, with `follow`, all that comes."""
        owner = account.name if mine else None
        feed, reader = self._parts.feed, account.name
        async for event in feed.events(
            self._views.jobs, after=after, follow=follow, owner=owner, reader=reader
        ):
            if event.job is not None:
                event = msgspec.structs.replace(event, job=told_to(account, event.job))
            yield event

    async def notices(self, account: Account, everything: bool = False) -> Notices:
        """What the person has not looked at yet; `everything`: what they have, too."""
        return await reading.notices_of(self._parts, account.name, everything=everything)

    async def notices_seen(self, account: Account, up_to: int) -> None:
        """The person has looked at all notices up to this one."""
        await reading.notices_seen(self._parts, account.name, up_to)

    async def status_numbers(self) -> Numbers:
        """The jobs' part of the box's status."""
        dispatcher = self._parts.dispatcher
        last = dispatcher.last_pass()
        return Numbers(
            jobs=await self._parts.store.read(pages.count_by_state),
            total=dispatcher.total,
            used=dispatcher.held(),
            problems=(last[0].disk,) if last is not None and last[0].disk else (),
        )

    async def _row(self, account: Account, job: int, doing: str) -> jobs.JobRow:
        row = await self._parts.store.read(lambda connection: jobs.get(connection, job))
        allowed(account, row, doing)
        return row
