"""A real API server on a temporary socket, in a thread of its own, over the real store and people.

The jobs are a stand-in: they keep the rules that the API and the command line rely on (states, cursors,
streams) and run nothing.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from labbox.custom import Configuration
from labbox.daemon.api import callers
from labbox.daemon.api.server import Api
from labbox.daemon.api.services import Services
from labbox.daemon.people import Account, People
from labbox.daemon.store import Store
from labbox.errors import LabboxError
from labbox.model import (
    ACTIVE,
    FINAL,
    WAITING,
    JobKind,
    JobSpec,
    JobState,
    Progress,
    Reason,
    ReasonCode,
    Resources,
    Scope,
    Stream,
)
from labbox.protocol import (
    EngineStatus,
    Event,
    Group,
    Groups,
    HistoryEntry,
    InputBody,
    InspectBody,
    Inspection,
    Job,
    JobCounts,
    JobDetail,
    JobEdit,
    JobHistory,
    JobPage,
    Live,
    LiveJobs,
    LogRecord,
    Notice,
    Notices,
    Status,
    Submitted,
    TemplateInfo,
    Templates,
    TransferSummary,
    Usage,
    UsagePage,
    Why,
)

T = TypeVar("T")
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Terminal:
    """Gives back what is typed, in capitals; ends at ^D."""

    def __init__(self) -> None:
        self._typed: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed = False
        self.size = (0, 0)

    async def read(self) -> bytes:
        data = await self._typed.get()
        return b"" if b"\x04" in data else data.upper()

    async def write(self, data: bytes) -> None:
        await self._typed.put(data)

    async def resize(self, rows: int, columns: int) -> None:
        self.size = (rows, columns)

    async def close(self) -> None:
        self.closed = True


class FakeJobs:
    """Jobs in memory; `finish`, `write` and `move` play the engine's part."""

    def __init__(self) -> None:
        self.jobs: dict[int, Job] = {}
        self.specs: dict[int, JobSpec] = {}
        self.transferred: dict[int, TransferSummary] = {}
        self.logs: dict[int, list[LogRecord]] = {}
        self.stored: list[Event] = []
        self.seen = 0  # the newest notice that was looked at
        self.inputs: list[tuple[int, InputBody]] = []
        self.terminals: list[Terminal] = []
        self.fault: Exception | None = None
        self.limits: dict[tuple[str, str], int | None] = {}
        self._changed = asyncio.Condition()

    def _find(self, account: Account, number: int) -> Job:
        job = self.jobs.get(number)
        if job is None:
            raise LabboxError("not_found", f"cannot find job {number}", "`labbox job list` shows the jobs")
        if job.owner != account.name and not account.admin:
            raise LabboxError("forbidden", f"cannot look into job {number}: it belongs to {job.owner}")
        return job

    async def put(self, job: Job, kind: str = "job") -> Job:
        async with self._changed:
            self.jobs[job.id] = job
            self.stored.append(Event(cursor=len(self.stored) + 1, at=datetime.now(UTC), kind=kind, job=job))
            self._changed.notify_all()
        return job

    async def move(self, number: int, state: JobState, **fields: Any) -> Job:
        return await self.put(msgspec.structs.replace(self.jobs[number], state=state, **fields))

    async def write(self, number: int, text: str, stream: Stream = Stream.OUT) -> None:
        records = self.logs[number]
        cursor = (records[-1].cursor if records else 0) + len(text.encode("utf-8", "surrogateescape"))
        async with self._changed:
            records.append(LogRecord(cursor=cursor, at=datetime.now(UTC), stream=stream, text=text))
            self._changed.notify_all()

    async def submit(self, account: Account, spec: JobSpec, origin: str) -> Submitted:
        if self.fault is not None:
            raise self.fault
        if spec.path == "empty":
            raise LabboxError(
                "invalid", "cannot submit empty: there is nothing to run", "add app.py or run.sh"
            )
        number = len(self.jobs) + 1
        self.specs[number], self.logs[number] = spec, []
        job = await self.put(
            Job(
                id=number,
                kind=JobKind.ARRAY if spec.array or spec.sweep else JobKind.CONTAINER,
                name=spec.name or (spec.path or "command"),
                owner=account.name,
                project=spec.project,
                state=JobState.HELD if spec.hold else JobState.QUEUED,
                reason=Reason(code=ReasonCode.NO_ROOM, text="waits for 2 free CPUs"),
                attempt=0,
                exit_code=None,
                submitted_at=NOW,
                started_at=None,
                ended_at=None,
                progress=None,
                results=f"jobs/2026/11/21/{number}",
                resources=Resources(),
                priority=spec.priority,
                after=spec.after,
                group=spec.group,
            )
        )
        return Submitted(**msgspec.structs.asdict(job))

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
        groups = {"waiting": WAITING, "active": ACTIVE, "final": FINAL}
        states: set[JobState] = set()
        for word in state.split(",") if state else ():
            states |= groups.get(word) or {JobState(word)}
        found = [
            job
            for number, job in sorted(self.jobs.items(), reverse=True)
            if (owner is None or job.owner == owner)
            and (not states or job.state in states)
            and (name is None or name in job.name)
            and (group is None or group == job.group)
            and (kind is None or (kind == "files") == (job.kind is JobKind.TRANSFER))
            and (before is None or number < before)
        ]
        return JobPage(
            jobs=tuple(found[:limit]),
            next=found[limit - 1].id if len(found) > limit else None,
            cursor=len(self.stored),
        )

    async def groups(self, account: Account, owner: str | None) -> Groups:
        if owner != account.name and not account.admin:
            raise LabboxError("forbidden", f"cannot show groups of {owner}: ask an administrator")
        keys = {(job.owner, job.group): None for job in self.jobs.values() if job.group} | self.limits
        return Groups(
            groups=tuple(
                Group(owner=whose, name=name, parallel=limit)
                for (whose, name), limit in sorted(keys.items())
                if owner in (None, whose)
            )
        )

    async def set_group(
        self, account: Account, owner: str, name: str, parallel: int | None, origin: str
    ) -> Group:
        self.limits[owner, name] = parallel
        return Group(owner=owner, name=name, parallel=parallel)

    async def remove_group(self, account: Account, owner: str, name: str, origin: str) -> None:
        if (owner, name) not in self.limits:
            raise LabboxError("not_found", f"cannot remove the group {name}: {owner} has none of that name")
        del self.limits[owner, name]

    async def counts(
        self,
        account: Account,
        owner: str | None = None,
        array: int | None = None,
        kind: str | None = None,
    ) -> JobCounts:
        found: dict[JobState, int] = {}
        for job in self.jobs.values():
            if array == 0 and job.array is not None:
                continue
            if kind is not None and (kind == "files") != (job.kind is JobKind.TRANSFER):
                continue
            found[job.state] = found.get(job.state, 0) + 1
        return JobCounts(by_state=found)

    async def show(self, account: Account, number: int) -> JobDetail:
        job = self._find(account, number)
        return JobDetail(
            job=job,
            spec=self.specs[number],
            command=("python", "app.py"),
            template="python",
            environment=None,
            image="labbox/base",
            network=False,
            time_limit=3600,
            retries=0,
            attempts=(),
        )

    async def live(self, account: Account) -> LiveJobs:
        live = Live(cpus=1.5, memory=7 << 20, cpu_course=(0.5, 1.5))
        return LiveJobs(
            jobs={
                job.id: live
                for job in self.jobs.values()
                if job.state is JobState.RUNNING and (account.admin or job.owner == account.name)
            }
        )

    async def why(self, account: Account, number: int) -> Why:
        job = self._find(account, number)
        position = 3 if job.state in WAITING else None
        return Why(id=number, state=job.state, reasons=(job.reason,) if job.reason else (), position=position)

    async def transfer(self, account: Account, number: int) -> TransferSummary:
        self._find(account, number)
        if number not in self.transferred:
            raise LabboxError("conflict", f"cannot show what job {number} transferred: it is no transfer")
        return self.transferred[number]

    async def history(self, account: Account, number: int) -> JobHistory:
        self._find(account, number)
        return JobHistory(
            entries=tuple(
                HistoryEntry(at=event.at, state=event.job.state, attempt=event.job.attempt)
                for event in self.stored
                if event.job is not None and event.job.id == number
            )
        )

    async def log(
        self,
        account: Account,
        number: int,
        *,
        after: int = 0,
        follow: bool = False,
        attempt: int | None = None,
        tail: int | None = None,
    ) -> AsyncIterator[LogRecord]:
        self._find(account, number)
        while True:
            async with self._changed:
                fresh = [record for record in self.logs[number] if record.cursor > after]
                ended = not follow or self.jobs[number].state in FINAL
                if not fresh and not ended:
                    await self._changed.wait()
                    continue
            for record in fresh:
                after = record.cursor
                yield record
            if ended:
                yield LogRecord(cursor=after, at=datetime.now(UTC), stream=Stream.BOX, end=True)
                return

    async def _act(self, account: Account, number: int, allowed: frozenset[JobState], state: JobState) -> Job:
        job = self._find(account, number)
        if job.state not in allowed:
            raise LabboxError("conflict", f"cannot change job {number}: it is {job.state.value}")
        return await self.move(number, state)

    async def cancel(self, account: Account, number: int, origin: str) -> Job:
        return await self._act(account, number, WAITING | ACTIVE, JobState.CANCELLED)

    kill = cancel

    async def hold(self, account: Account, number: int, origin: str) -> Job:
        return await self._act(account, number, WAITING, JobState.HELD)

    async def release(self, account: Account, number: int, origin: str) -> Job:
        return await self._act(account, number, WAITING, JobState.QUEUED)

    async def pause(self, account: Account, number: int, origin: str) -> Job:
        return await self._act(account, number, ACTIVE, JobState.PAUSED)

    async def resume(self, account: Account, number: int, origin: str) -> Job:
        return await self._act(account, number, ACTIVE, JobState.RUNNING)

    async def retry(self, account: Account, number: int, origin: str) -> Job:
        return await self._act(account, number, FINAL, JobState.QUEUED)

    async def rerun(self, account: Account, number: int, edit: JobEdit, origin: str) -> Submitted:
        self._find(account, number)
        return await self.submit(account, self.specs[number], origin)

    async def edit(self, account: Account, number: int, edit: JobEdit, origin: str) -> Job:
        job = self._find(account, number)
        return await self.put(msgspec.structs.replace(job, priority=edit.priority or job.priority))

    async def input(self, account: Account, number: int, body: InputBody) -> None:
        self._find(account, number)
        self.inputs.append((number, body))

    async def shell(self, account: Account, number: int, rows: int, columns: int) -> Terminal:
        if self._find(account, number).state is not JobState.RUNNING:
            raise LabboxError("conflict", f"cannot open a shell in job {number}: it does not run")
        self.terminals.append(Terminal())
        self.terminals[-1].size = (rows, columns)
        return self.terminals[-1]

    async def inspect(self, account: Account, body: InspectBody) -> Inspection:
        return Inspection(
            path=body.path, name="study", entry="app.py", command=("python", "app.py"), template="python",
            dependencies=(), code_files=1, code_bytes=10, input_files=0, input_bytes=0, resources=Resources(),
            time_limit=None, network=False, findings=(),
        )  # fmt: skip

    def templates(self) -> Templates:
        return Templates(
            templates=(TemplateInfo(name="python", title="Python", entries=("app.py",), image="labbox/base"),)
        )

    async def usage(self, account: Account, owner: str | None = None) -> UsagePage:
        row = Usage(
            owner="ada",
            jobs=3,
            cpu_seconds=7200,
            memory_byte_seconds=1e12,
            recent=10,
            share=0.25,
            running=Resources(),
        )
        return UsagePage(rows=(row,), half_life=86400)

    async def last_event(self) -> int:
        return len(self.stored)

    async def events(
        self, account: Account, *, after: int | None = None, follow: bool = False, mine: bool = False
    ) -> AsyncGenerator[Event, None]:
        cursor = len(self.stored) if after is None else after
        while True:
            async with self._changed:
                if len(self.stored) <= cursor:
                    if not follow:
                        return
                    await self._changed.wait()
            while len(self.stored) > cursor:
                cursor += 1
                event = self.stored[cursor - 1]
                if not mine or (event.job is not None and event.job.owner == account.name):
                    yield event

    async def notices(self, account: Account, everything: bool = False) -> Notices:
        seen = self.seen >= 1
        if seen and not everything:
            return Notices(notices=())
        return Notices(notices=(Notice(id=1, at=NOW, text="job 1 has ended", job=1, seen=seen),))

    async def notices_seen(self, account: Account, up_to: int) -> None:
        self.seen = max(self.seen, up_to)


@dataclass
class Logged:
    """A login as the gate would know it."""

    scope: Scope | None
    origin: str = "ssh 192.0.2.7"
    reached: tuple[str, int] = ("", 0)


class Served:
    """The server, its loop's thread, and ways to reach into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "api.sock"
        self.jobs: FakeJobs
        self.people: People
        self.login: Logged | None = None
        self.ready = True
        self.problems: tuple[str, ...] = ()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="served")
        self._thread.start()
        self.do(self._open())

    def do(self, work: Coroutine[Any, Any, T], timeout: float = 20) -> T:
        """Run something in the server's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    def soon(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Run something in the server's loop without waiting."""
        asyncio.run_coroutine_threadsafe(work(), self._loop)

    async def _open(self) -> None:
        self._store = await Store.open(self.folder / "labbox.db")
        self.people = People(self._store, Configuration(), self.folder)
        await self.people.start()
        self.jobs = FakeJobs()
        await self._serve()

    async def _serve(self) -> None:
        self._api = Api(
            Services(
                people=self.people,
                jobs=self.jobs,
                status=self._status,
                login_of=lambda pid: self.login,
            ),
            self.socket,
        )
        await self._api.start()

    async def _status(self) -> Status:
        return Status(
            version="0.1.0", box="lab", started_at=NOW, ready=self.ready, ssh="127.0.0.1:2222",
            engine=EngineStatus(available=True, version="28"), jobs={}, users=2, total=Resources(cpus=8),
            used=Resources(cpus=0, memory=0), load=(0.1, 0.2, 0.3), memory_total=1 << 34,
            memory_available=1 << 33,
            disk_total=1 << 40, disk_free=1 << 39, problems=self.problems,
        )  # fmt: skip

    def restart(self) -> None:
        """Stop the API and start it anew on the same socket, as a restart of the daemon does."""
        self.do(self._api.stop())
        self.do(self._serve())

    def close(self) -> None:
        self.do(self._api.stop())
        self.do(self.people.close())
        self.do(self._store.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class Peers:
    """Whom the server takes each connection for."""

    def __init__(self) -> None:
        self.uid = os.getuid()

    def of(self, _sock: object) -> callers.Peer:
        return callers.Peer(os.getpid(), self.uid)


def progress(done: float, total: float | None) -> Progress:
    return Progress(phase="running", done=done, total=total, rate=2.0, remaining=30.0)
