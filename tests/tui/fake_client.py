"""A box in memory that answers as `labbox.client.Client` does: jobs, a log, people, notices.

Run as a program it shows the interface on this terminal: `python tests/tui/fake_client.py [JOBS]`.
"""

# ruff: noqa: A002 - the client calls a job's id so

from __future__ import annotations

import math
import socket
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec

from labbox.errors import LabboxError
from labbox.model import (
    ACTIVE,
    FINAL,
    GIB,
    WAITING,
    JobKind,
    JobSpec,
    JobState,
    Limits,
    Progress,
    Reason,
    ReasonCode,
    Resources,
    Role,
    Scope,
    Stream,
    Sweep,
)
from labbox.protocol import (
    Attempt,
    AuditEntry,
    AuditPage,
    Caller,
    EngineStatus,
    Event,
    Finding,
    Group,
    Groups,
    HistoryEntry,
    Host,
    HostKey,
    Hosts,
    HostSecret,
    InspectBody,
    Inspection,
    Invite,
    Job,
    JobCounts,
    JobDetail,
    JobEdit,
    JobHistory,
    JobPage,
    Key,
    Keys,
    Live,
    LiveJobs,
    LogRecord,
    NewToken,
    Notice,
    Notices,
    Project,
    ProjectPage,
    Status,
    Templates,
    Token,
    Tokens,
    Usage,
    UsagePage,
    User,
    UserAdd,
    UserEdit,
    UserPage,
    Why,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

STUDIES = (
    "reaction-time",
    "gaze-fixations",
    "eeg-alpha",
    "word-count",
    "pendulum",
    "spike-sort",
    "dot-motion",
    "survey-2026",
    "segment-mri",
    "protein-fold",
    "weather-era5",
    "sleep-stages",
)
OWNERS = ("ada", "grace", "emmy", "katherine", "mary")
MIX = (
    JobState.RUNNING,
    JobState.RUNNING,
    JobState.PREPARING,
    JobState.QUEUED,
    JobState.QUEUED,
    JobState.HELD,
    JobState.PAUSED,
    JobState.COLLECTING,
    JobState.SUCCEEDED,
    JobState.FAILED,
    JobState.SUCCEEDED,
    JobState.TIMED_OUT,
    JobState.CANCELLED,
    JobState.SUCCEEDED,
    JobState.LOST,
)


def make_job(number: int, place: int, now: datetime = NOW) -> Job:
    """A job whose looks depend on its place from the newest, so that the first rows show every state."""
    state = (
        MIX[place % len(MIX)]
        if place < 2 * len(MIX)
        else (JobState.SUCCEEDED, JobState.FAILED)[place % 7 == 3]
    )
    started = None if state in WAITING else now - timedelta(minutes=3 + place * 7, seconds=place * 13 % 60)
    ended = started + timedelta(seconds=95 + place * 61 % 5000) if started and state in FINAL else None
    reason: Reason | None = None
    progress: Progress | None = None
    match state:
        case JobState.RUNNING:
            progress = Progress(
                phase="running", done=40 + place * 21, total=100, rate=0.2, remaining=(60 - place * 21) / 0.2
            )
        case JobState.PREPARING:
            progress = Progress(
                phase="environment",
                done=61 << 20,
                total=180 << 20,
                unit="bytes",
                rate=9.5 * (1 << 20),
                remaining=13,
            )
        case JobState.COLLECTING:
            progress = Progress(phase="collecting", done=12, unit="files")
        case JobState.QUEUED:
            reason = Reason(
                code=ReasonCode.NO_ROOM,
                text="needs 8 CPUs, 2 are free; expected to start in about 12 minutes",
            )
        case JobState.HELD:
            reason = Reason(code=ReasonCode.HELD, text="held by ada")
        case JobState.PAUSED:
            reason = Reason(code=ReasonCode.HELD, text="paused by grace at 11:42")
        case JobState.FAILED:
            reason = Reason(code=ReasonCode.EXIT, text="the command ended with exit code 1")
        case JobState.TIMED_OUT:
            reason = Reason(code=ReasonCode.TIME_LIMIT, text="ran longer than its limit of 1h00m")
        case JobState.CANCELLED:
            reason = Reason(code=ReasonCode.CANCELLED, text="cancelled by ada")
        case JobState.LOST:
            reason = Reason(code=ReasonCode.GONE, text="its container vanished and no retry was left")
        case _:
            pass
    codes = {JobState.SUCCEEDED: 0, JobState.FAILED: 1, JobState.TIMED_OUT: 124, JobState.CANCELLED: 130}
    owner = OWNERS[place * 3 % len(OWNERS)] if place % 4 else "ada"
    return Job(
        id=number,
        kind=JobKind.ARRAY if place == 4 else JobKind.CONTAINER,
        name=STUDIES[place % len(STUDIES)],
        owner=owner,
        project=None,
        state=state,
        reason=reason,
        attempt=0 if state in WAITING else 1,
        exit_code=codes.get(state),
        submitted_at=now - timedelta(minutes=5 + place * 7),
        started_at=started,
        ended_at=ended,
        progress=progress,
        results=f"jobs/2026/11/21/{number}",
        resources=Resources(cpus=2, memory=4 * GIB, gpus=0),
        priority=0,
        where="box" if state in ACTIVE else "",
        after=(number - 1, number - 2) if place == 3 else (),
        group="sims" if place % 16 == 5 else None,
    )


@dataclass
class FakeClient:
    """The same methods as the real client; everything is at hand for a test to look at and to change."""

    jobs: dict[int, Job] = field(default_factory=dict)
    role: Role = Role.ADMIN
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    log: list[LogRecord] = field(default_factory=list)
    log_open: bool = False
    away: str = ""
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.changed = threading.Condition()
        self.happened: list[Event] = []
        self.told: list[Notice] = []
        self.specs: dict[int, JobSpec] = {}
        self.closed = False
        self.lives: dict[int, Live] = {}
        self.limits: dict[tuple[str, str], int | None] = {}
        self.broken: dict[str, LabboxError] = {}
        self.findings: tuple[Finding, ...] | None = None
        self.hosts: dict[str, HostSecret] = {}
        self.public_lines: dict[str, str] = {}
        self.projects = {
            name: Project(name=name, gid=70500 + place, created_at=NOW - timedelta(days=9), members=members)
            for place, (name, members) in enumerate((("atlas", ("ada", "grace")), ("tides", ("emmy",))))
        }
        self.users = {
            name: User(
                name=name,
                uid=70000 + place,
                gid=70000 + place,
                admin=name == "ada",
                limits=Limits(cpus=8, running_jobs=4) if place % 2 else Limits(),
                created_at=NOW - timedelta(days=40 - place),
                last_login=NOW - timedelta(hours=place * 5),
                has_password=place != 2,
                keys=place % 3,
                storage=(place * 7 + 3) << 28,
            )
            for place, name in enumerate(OWNERS)
        }
        self.keys = [
            Key(
                fingerprint="SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8",
                kind="ssh-ed25519",
                comment="ada@laptop",
                added_at=NOW - timedelta(days=30),
                last_used=NOW - timedelta(hours=2),
            ),
        ]
        self.tokens = [
            Token(
                id=1,
                label="nightly",
                scope=Scope.SUBMIT,
                created_at=NOW - timedelta(days=3),
                expires_at=NOW + timedelta(days=87),
            ),
        ]

    # What a test does to the box.

    def add_transfer(self, state: JobState = JobState.RUNNING, name: str = "Copy raw") -> Job:
        """A transfer of ada's, half done."""
        running = state is JobState.RUNNING
        progress = Progress(
            phase="copying",
            done=3 << 29,
            total=3 << 30,
            unit="bytes",
            rate=float(120 << 20),
            remaining=12.0,
            files=412,
            files_total=1000,
            current="raw/sub-07/eeg.bin",
        )
        number = max(self.jobs, default=0) + 1
        job = msgspec.structs.replace(
            make_job(number, 8, self.now),
            kind=JobKind.TRANSFER,
            owner="ada",
            group="transfers",
            name=name,
            state=state,
            started_at=self.now if running else None,
            ended_at=None,
            exit_code=None,
            progress=progress if running else None,
            after=(),
        )
        self.put(job)
        return job

    def change(self, job_id: int, kind: str = "job", **fields: Any) -> Job:
        job = msgspec.structs.replace(self.jobs[job_id], **fields)
        self.put(job, kind)
        return job

    def put(self, job: Job, kind: str = "job") -> None:
        with self.changed:
            self.jobs[job.id] = job
            self.happened.append(Event(cursor=len(self.happened) + 1, at=self.now, kind=kind, job=job))
            self.changed.notify_all()

    def array_moves(self, parent: int) -> Job:
        """What the box says of an array when one of its elements has moved."""
        counts = [job.state for job in self.jobs.values() if job.array == parent]
        active = any(state in ACTIVE for state in counts)
        ended = sum(state in FINAL for state in counts)
        state = JobState.RUNNING if active else JobState.QUEUED
        return self.change(
            parent,
            state=JobState.SUCCEEDED if ended == len(counts) else state,
            progress=Progress(phase="elements", done=ended, total=len(counts), unit="elements"),
        )

    def note(self, text: str, job: int | None = None) -> None:
        with self.changed:
            number = len(self.happened) + 1
            self.told.append(Notice(id=number, at=self.now, text=text, job=job))
            self.happened.append(Event(cursor=number, at=self.now, kind="notice", text=text))
            self.changed.notify_all()

    def write(self, text: str, stream: Stream = Stream.OUT, end: bool = False) -> None:
        with self.changed:
            cursor = (self.log[-1].cursor if self.log else 0) + len(text.encode("utf-8", "surrogateescape"))
            at = self.now + timedelta(seconds=len(self.log))
            self.log.append(LogRecord(cursor=cursor, at=at, stream=stream, text=text, end=end))
            self.changed.notify_all()

    def go_away(self, why: str = "") -> None:
        with self.changed:
            self.away = why
            self.changed.notify_all()

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def _call(self, *what: Any) -> None:
        self.calls.append(what)
        if self.away:
            raise LabboxError("unavailable", f"cannot reach the box: {self.away}")
        if what[0] in self.broken:
            raise self.broken[what[0]]

    # The client's own methods.

    def status(self) -> Status:
        self._call("status")
        return Status(
            version="0.1",
            box="lab",
            started_at=NOW - timedelta(days=3, hours=4),
            ready=True,
            ssh="0.0.0.0:2222",
            engine=EngineStatus(available=True, version="27.1"),
            jobs=self._counts(None),
            users=len(self.users),
            total=Resources(cpus=16, memory=64 * GIB, gpus=2),
            used=Resources(cpus=6, memory=14 * GIB, gpus=1),
            load=(3.2, 2.9, 2.4),
            memory_total=64 * GIB,
            memory_available=41 * GIB,
            disk_total=900 * GIB,
            disk_free=412 * GIB,
        )

    def whoami(self) -> Caller:
        self._call("whoami")
        return Caller(name="ada", uid=70000, role=self.role)

    def events(
        self,
        after: int | None = None,
        follow: bool = False,
        mine: bool = False,
        patience: float = 20,
        until: float | None = None,
    ) -> Iterator[Event]:
        self._call("events", after)
        at = after if after is not None else len(self.happened)
        if after is None and follow:
            yield Event(cursor=at, at=datetime.now(UTC), kind="alive")
        while True:
            with self.changed:
                while follow and at >= len(self.happened) and not self.away and not self.closed:
                    self.changed.wait(5)
                if self.away:
                    raise LabboxError("unavailable", f"cannot reach the box: {self.away}")
                if self.closed:
                    return
                batch = self.happened[at:]
            yield from batch
            at += len(batch)
            if not follow:
                return

    def notices(self, everything: bool = False) -> Notices:
        self._call("notices", everything)
        return Notices(notices=tuple(n for n in reversed(self.told) if everything or not n.seen))

    def see_notices(self, up_to: int) -> None:
        self._call("see_notices", up_to)
        with self.changed:
            self.told = [
                msgspec.structs.replace(notice, seen=notice.seen or notice.id <= up_to)
                for notice in self.told
            ]
            number = len(self.happened) + 1
            self.happened.append(Event(cursor=number, at=self.now, kind="notice"))
            self.changed.notify_all()

    def tell(self, kind: str) -> None:
        """An event of another kind: a user, a host, a project, a group changed."""
        with self.changed:
            self.happened.append(Event(cursor=len(self.happened) + 1, at=self.now, kind=kind))
            self.changed.notify_all()

    def list_jobs(
        self,
        owner: str | None = None,
        state: str | None = None,
        name: str | None = None,
        array: int | None = None,
        limit: int = 100,
        before: int | None = None,
        order: str | None = None,
        group: str | None = None,
        kind: str | None = None,
    ) -> JobPage:
        self._call("list_jobs", owner, state, before)
        groups = {"waiting": WAITING, "active": ACTIVE, "final": FINAL}
        states = groups.get(state or "", frozenset(JobState))
        found: list[Job] = []
        ids: Sequence[int] = sorted(self.jobs, reverse=True)
        if before is not None:
            ids = (
                [number for number in ids if number < before] if len(ids) < 5000 else range(before - 1, 0, -1)
            )
        more = False
        for number in ids:
            job = self.jobs[number]
            if kind is not None and (kind == "files") != (job.kind is JobKind.TRANSFER):
                continue
            if group is not None and job.group != group:
                continue
            if array is not None and job.array != (array or None):
                continue
            if (owner is None or job.owner == owner) and job.state in states:
                if len(found) == limit:
                    more = True
                    break
                found.append(job)
        return JobPage(jobs=tuple(found), next=found[-1].id if more else None, cursor=len(self.happened))

    def list_groups(self, owner: str | None = None) -> Groups:
        self._call("list_groups", owner)
        return Groups(
            groups=tuple(
                Group(owner=whose, name=name, parallel=limit)
                for (whose, name), limit in sorted(self.limits.items())
                if owner in (None, whose)
            )
        )

    def set_group(self, name: str, parallel: int | None = None, owner: str | None = None) -> Group:
        self._call("set_group", name, parallel, owner)
        self.limits[owner or "ada", name] = parallel
        return Group(owner=owner or "ada", name=name, parallel=parallel)

    def _counts(self, owner: str | None, array: int | None = None) -> dict[JobState, int]:
        counts: dict[JobState, int] = {}
        for job in list(self.jobs.values()):
            counted = job.array is None if array == 0 else job.kind is not JobKind.ARRAY
            if (owner is None or job.owner == owner) and counted:
                counts[job.state] = counts.get(job.state, 0) + 1
        return counts

    def live_jobs(self) -> LiveJobs:
        self._call("live_jobs")
        return LiveJobs(jobs=dict(self.lives))

    def count_jobs(
        self, owner: str | None = None, array: int | None = None, kind: str | None = None
    ) -> JobCounts:
        self._call("count_jobs", owner)
        files = self._files(owner)
        if kind == "files":
            return JobCounts(by_state=files)
        counts = self._counts(owner, array)
        less = files if kind == "runs" else {}
        return JobCounts(by_state={state: n - less.get(state, 0) for state, n in counts.items()})

    def _files(self, owner: str | None) -> dict[JobState, int]:
        found: dict[JobState, int] = {}
        for job in self.jobs.values() if len(self.jobs) < 5000 else ():
            if job.kind is JobKind.TRANSFER and owner in (None, job.owner):
                found[job.state] = found.get(job.state, 0) + 1
        return found

    def _job(self, number: int) -> Job:
        try:
            return self.jobs[number]
        except KeyError:
            raise LabboxError(
                "not_found", f"cannot find job {number}", "`job list` shows what there is."
            ) from None

    def show_job(self, id: int) -> JobDetail:
        self._call("show_job", id)
        job = self._job(id)
        attempts: tuple[Attempt, ...] = ()
        if job.started_at:
            attempts = (
                Attempt(
                    number=1,
                    started_at=job.started_at,
                    ended_at=job.ended_at,
                    exit_code=job.exit_code,
                    state=job.state if job.state in FINAL else None,
                    reason=job.reason,
                    cpu_seconds=1234.5,
                    peak_memory=1800 << 20,
                ),
            )
        return JobDetail(
            job=job,
            spec=self.specs.get(id, JobSpec(path=f"studies/{job.name}", cpus=2, env={"SEED": "7"})),
            command=("python", "-u", "app.py"),
            template="python",
            environment="b3:9f2c44d1e07a",
            image="labbox/base@sha256:4be429a5fbb2",
            network=False,
            time_limit=3600,
            retries=1,
            attempts=attempts,
            live=self.lives.get(id),
            output_bytes=48 << 20,
            elements=JobCounts(by_state=self._element_counts(id)) if job.kind is JobKind.ARRAY else None,
            code_hash="9f2c44d1e07a",
            input_hash="1c7be25f90aa",
        )

    def _element_counts(self, number: int) -> dict[JobState, int]:
        counts: dict[JobState, int] = {}
        for job in self.jobs.values():
            if job.array == number:
                counts[job.state] = counts.get(job.state, 0) + 1
        return counts

    def why_job(self, id: int) -> Why:
        self._call("why_job", id)
        job = self._job(id)
        reasons = (
            Reason(code=ReasonCode.NO_ROOM, text="needs 8 CPUs, 2 are free"),
            Reason(code=ReasonCode.SHARE, text="grace used less of the box lately, so her jobs go first"),
        )
        return Why(
            id=id,
            state=job.state,
            reasons=reasons if job.state in WAITING else (job.reason,) if job.reason else (),
            position=3 if job.state in WAITING else None,
            expected_start=NOW + timedelta(minutes=12) if job.state in WAITING else None,
        )

    def job_history(self, id: int) -> JobHistory:
        self._call("job_history", id)
        job = self._job(id)
        start = job.submitted_at
        entries = [HistoryEntry(at=start, state=JobState.QUEUED, attempt=0, by=job.owner)]
        if job.started_at:
            entries.append(HistoryEntry(at=start + timedelta(seconds=4), state=JobState.PREPARING, attempt=1))
            entries.append(HistoryEntry(at=job.started_at, state=JobState.RUNNING, attempt=1))
        if job.ended_at:
            entries.append(HistoryEntry(at=job.ended_at, state=job.state, attempt=1, reason=job.reason))
        return JobHistory(entries=tuple(entries))

    def job_log(
        self,
        id: int,
        after: int = 0,
        follow: bool = False,
        attempt: int | None = None,
        tail: int | None = None,
    ) -> Iterator[LogRecord]:
        self._call("job_log", id, after, tail)
        with self.changed:
            at = next((n for n, record in enumerate(self.log) if record.cursor > after), len(self.log))
            if tail is not None:
                at = max(at, len(self.log) - tail)
        while True:
            with self.changed:
                while follow and self.log_open and at >= len(self.log) and not self.closed:
                    self.changed.wait(5)
                batch = self.log[at:]
                done = self.closed or not self.log_open
            yield from batch
            at += len(batch)
            if any(record.end for record in batch) or not follow:
                return
            if done and at >= len(self.log):
                last = self.log[-1].cursor if self.log else 0
                yield LogRecord(cursor=last, at=self.now, stream=Stream.BOX, end=True)
                return

    def submit_job(self, spec: JobSpec | None = None, **words: Any) -> Job:
        spec = spec or JobSpec(**words)
        self._call("submit_job", spec)
        number = max(self.jobs, default=0) + 1
        job = msgspec.structs.replace(
            make_job(number, 3, self.now),
            name=spec.name or (spec.path or "job").rsplit("/", 1)[-1],
            owner="ada",
            kind=JobKind.TRANSFER if spec.transfer else JobKind.CONTAINER,
            after=(),
        )
        self.specs[number] = spec
        elements = max(1, len(spec.array)) * math.prod(len(sweep.values) for sweep in spec.sweep)
        if spec.array or spec.sweep:
            array, _ = add_array(self, elements, job.name)
            return self.jobs[array]
        self.put(job)
        return job

    def _deed(self, verb: str, number: int, state: JobState, allowed: frozenset[JobState]) -> Job:
        self._call(verb, number)
        job = self._job(number)
        if job.state not in allowed:
            raise LabboxError(
                "conflict",
                f"cannot {verb.partition('_')[0]} job {number}: it is {job.state.value}",
                "`job why` tells more.",
            )
        return self.change(number, state=state, progress=None)

    def cancel_job(self, id: int) -> Job:
        return self._deed("cancel_job", id, JobState.CANCELLED, WAITING | ACTIVE)

    def kill_job(self, id: int) -> Job:
        return self._deed("kill_job", id, JobState.CANCELLED, WAITING | ACTIVE)

    def hold_job(self, id: int) -> Job:
        return self._deed("hold_job", id, JobState.HELD, WAITING)

    def release_job(self, id: int) -> Job:
        return self._deed("release_job", id, JobState.QUEUED, frozenset({JobState.HELD}))

    def pause_job(self, id: int) -> Job:
        return self._deed("pause_job", id, JobState.PAUSED, frozenset({JobState.RUNNING}))

    def resume_job(self, id: int) -> Job:
        return self._deed("resume_job", id, JobState.RUNNING, frozenset({JobState.PAUSED}))

    def retry_job(self, id: int) -> Job:
        return self._deed("retry_job", id, JobState.QUEUED, FINAL)

    def rerun_job(self, id: int, edit: JobEdit | None = None) -> Job:
        self._call("rerun_job", id, edit)
        number = max(self.jobs) + 1
        job = msgspec.structs.replace(
            make_job(number, 3, self.now), name=self._job(id).name, owner="ada", after=()
        )
        self.put(job)
        return job

    def edit_job(self, id: int, edit: JobEdit) -> Job:
        self._call("edit_job", id, edit)
        job = self._job(id)
        return self.change(id, priority=job.priority if edit.priority is None else edit.priority)

    def job_input(self, id: int, text: str = "", close: bool = False) -> None:
        self._call("job_input", id, text, close)

    def open_shell(self, id: int, rows: int = 24, columns: int = 80, name: str = "") -> socket.socket:
        self._call("open_shell", id, rows, columns)
        ours, theirs = socket.socketpair()
        theirs.sendall(b"labbox shell\r\n")
        theirs.close()
        return ours

    def resize_shell(self, id: int, name: str, rows: int, columns: int) -> None:
        self._call("resize_shell", id, rows, columns)

    def inspect(self, body: InspectBody | str) -> Inspection:
        path = body if isinstance(body, str) else body.path
        self._call("inspect", path)
        findings = self.findings or (
            Finding(level="ok", text="app.py is what runs", file="code/app.py"),
            Finding(level="ok", text="requirements.txt: 5 packages, all pinned", file="requirements.txt"),
            Finding(
                level="warning",
                text="input/trials/sub-07.csv is empty",
                file="input/trials/sub-07.csv",
                hint="If that is not meant, copy it again.",
            ),
        )
        return Inspection(
            path=path,
            name=path.rsplit("/", 1)[-1],
            entry="code/app.py",
            command=("python", "-u", "app.py"),
            template="python",
            dependencies=("requirements.txt",),
            code_files=3,
            code_bytes=18_400,
            input_files=23,
            input_bytes=4_300_000,
            resources=Resources(cpus=2, memory=4 * GIB),
            time_limit=3600,
            network=False,
            findings=findings,
        )

    def templates(self) -> Templates:
        self._call("templates")
        return Templates(templates=())

    def usage(self, owner: str | None = None) -> UsagePage:
        self._call("usage", owner)
        return UsagePage(
            half_life=86400,
            rows=tuple(
                Usage(
                    owner=name,
                    jobs=431 - place * 67,
                    cpu_seconds=(912 - place * 151) * 3600.0,
                    memory_byte_seconds=(place + 1) * 3.1e15,
                    recent=(60 - place * 11) * 3600.0,
                    share=(60 - place * 11) / 190,
                    running=Resources(cpus=4 - place % 3, memory=(6 - place) * GIB),
                    storage=(place * 7 + 3) << 30,
                )
                for place, name in enumerate(OWNERS)
            ),
        )

    def list_users(self) -> UserPage:
        self._call("list_users")
        return UserPage(users=tuple(self.users[name] for name in sorted(self.users)))

    def show_user(self, name: str) -> User:
        self._call("show_user", name)
        return self.users[name]

    def add_user(self, user: UserAdd) -> User:
        self._call("add_user", user)
        if user.name in self.users:
            raise LabboxError(
                "conflict", f"cannot add {user.name}: the name is taken", "Choose another name."
            )
        self.users[user.name] = User(
            name=user.name, uid=70100, gid=70100, admin=user.admin, limits=user.limits, created_at=NOW
        )
        return self.users[user.name]

    def remove_user(self, name: str, files: str = "keep") -> None:
        self._call("remove_user", name, files)
        del self.users[name]

    def set_password(self, name: str, new: str, old: str | None = None) -> None:
        self._call("set_password", name, old is not None)

    def list_keys(self, name: str) -> Keys:
        self._call("list_keys", name)
        return Keys(keys=tuple(self.keys))

    def add_key(self, name: str, key: str) -> Key:
        self._call("add_key", name, key)
        added = Key(fingerprint="SHA256:new", kind="ssh-ed25519", comment=key.split()[-1], added_at=NOW)
        self.keys.append(added)
        return added

    def remove_key(self, name: str, fingerprint: str) -> None:
        self._call("remove_key", name, fingerprint)
        self.keys = [key for key in self.keys if key.fingerprint != fingerprint]

    def set_limits(self, name: str, limits: Limits) -> User:
        self._call("set_limits", name, limits)
        self.users[name] = msgspec.structs.replace(self.users[name], limits=limits)
        return self.users[name]

    def set_admin(self, name: str, admin: bool) -> User:
        self._call("set_admin", name, admin)
        self.users[name] = msgspec.structs.replace(self.users[name], admin=admin)
        return self.users[name]

    def invite_user(
        self, name: str, admin: bool = False, valid: float = 7 * 86400.0, full_name: str = ""
    ) -> Invite:
        self._call("invite_user", name, admin)
        until = NOW + timedelta(seconds=valid)
        line = f"ssh -p 2222 {name}@lab.example.org"
        return Invite(name=name, code="K7QM-4XZP-R2TD", expires_at=until, ssh=line)

    def withdraw_invitation(self, name: str) -> User:
        self._call("withdraw_invitation", name)
        return self._change_user(name, invited_until=None)

    def suspend_user(self, name: str, cancel_running: bool = False) -> User:
        self._call("suspend_user", name, cancel_running)
        return self._change_user(name, suspended_at=NOW)

    def unsuspend_user(self, name: str) -> User:
        self._call("unsuspend_user", name)
        return self._change_user(name, suspended_at=None)

    def edit_user(self, name: str, edit: UserEdit) -> User:
        self._call("edit_user", name, edit)
        full_name = self.users[name].full_name if edit.full_name is None else edit.full_name
        return self._change_user(name, full_name=full_name, expires_at=edit.expires_at)

    def _change_user(self, name: str, **changes: Any) -> User:
        self.users[name] = msgspec.structs.replace(self.users[name], **changes)
        return self.users[name]

    def list_tokens(self, name: str) -> Tokens:
        self._call("list_tokens", name)
        return Tokens(tokens=tuple(self.tokens))

    def add_token(self, name: str, label: str, scope: Scope, valid: float = 90 * 86400.0) -> NewToken:
        self._call("add_token", name, label, scope)
        token = Token(id=len(self.tokens) + 1, label=label, scope=scope, created_at=NOW, expires_at=NOW)
        self.tokens.append(token)
        return NewToken(token=token, secret="lbx_s3cret0nce")

    def revoke_token(self, name: str, id: int) -> None:
        self._call("revoke_token", name, id)
        self.tokens = [token for token in self.tokens if token.id != id]

    # Projects.

    def list_projects(self) -> ProjectPage:
        self._call("list_projects")
        return ProjectPage(projects=tuple(self.projects[name] for name in sorted(self.projects)))

    def add_project(self, name: str, members: tuple[str, ...] = ()) -> Project:
        self._call("add_project", name, members)
        if name in self.projects:
            raise LabboxError("conflict", f"cannot add the project {name}: there is one", "Choose another.")
        gid = 70500 + len(self.projects)
        self.projects[name] = Project(name=name, gid=gid, created_at=NOW, members=members)
        return self.projects[name]

    def remove_project(self, name: str, delete_files: bool = False) -> None:
        self._call("remove_project", name, delete_files)
        del self.projects[name]

    def join_project(self, name: str, member: str) -> Project:
        self._call("join_project", name, member)
        if member not in self.users:
            raise LabboxError("not_found", f"cannot find a user {member}", "labbox user list shows all")
        return self._with_members(name, sorted({*self.projects[name].members, member}))

    def leave_project(self, name: str, member: str) -> Project:
        self._call("leave_project", name, member)
        return self._with_members(name, [one for one in self.projects[name].members if one != member])

    def _with_members(self, name: str, members: list[str]) -> Project:
        self.projects[name] = msgspec.structs.replace(self.projects[name], members=tuple(members))
        return self.projects[name]

    # Other machines.

    def list_hosts(self) -> Hosts:
        self._call("list_hosts")
        return Hosts(hosts=tuple(self._host(name) for name in sorted(self.hosts)))

    def _host(self, name: str) -> Host:
        kept = self.hosts[name]
        return Host(
            name=name,
            user=kept.user,
            host=kept.host,
            port=kept.port,
            kind="key" if kept.password is None else "password",
            public_key=self.public_lines.get(name),
            created_at=NOW - timedelta(days=6),
            trusted=tuple(
                HostKey(kind=key.split()[0], fingerprint=fingerprint(key)) for key in kept.host_keys
            ),
        )

    def host_secret(self, name: str) -> HostSecret:
        self._call("host_secret", name)
        try:
            return self.hosts[name]
        except KeyError:
            hint = f"labbox host add sftp://{name} keeps one"
            raise LabboxError(
                "not_found", f"cannot log in to {name}: no key or password of yours is kept for it", hint
            ) from None

    def add_host(self, name: str, private_key: str | None = None, password: str | None = None) -> Host:
        self._call("add_host", name, private_key is not None, password is not None)
        user, _, rest = name.rpartition("@")
        host, _, port = rest.partition(":")
        before = self.hosts[name].host_keys if name in self.hosts else ()
        if password is None and private_key is None:
            if name in self.hosts:
                raise LabboxError("conflict", f"cannot make a key for {name}: one is kept already")
            private_key, self.public_lines[name] = self.make_pair()
        else:
            self.public_lines.pop(name, None)
        self.hosts[name] = HostSecret(
            name=name,
            user=user or "ada",
            host=host,
            port=int(port or 22),
            private_key=private_key,
            password=password,
            host_keys=before,
        )
        return self._host(name)

    def make_pair(self) -> tuple[str, str]:
        """A private key and the public line; the same ones each time."""
        return "PRIVATE", f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{'B7qX2m' * 7}W ada@labbox"

    def trust_host(self, name: str, key: str) -> Host:
        self._call("trust_host", name, key)
        self.hosts[name] = msgspec.structs.replace(self.host_secret(name), host_keys=(key,))
        return self._host(name)

    def remove_host(self, name: str) -> None:
        self._call("remove_host", name)
        self.host_secret(name)
        del self.hosts[name]

    def audit(self, limit: int = 100, before: int | None = None) -> AuditPage:
        self._call("audit")
        return AuditPage(
            entries=(
                AuditEntry(
                    id=2, at=NOW, who="ada", action="job cancel", target="993", origin="ssh 192.0.2.7"
                ),
                AuditEntry(
                    id=1, at=NOW - timedelta(hours=2), who="box", action="start", target="lab", origin="box"
                ),
            ),
            next=None,
        )


def fingerprint(key: str) -> str:
    """As OpenSSH writes it, of "TYPE BASE64"."""
    return "SHA256:" + b64encode(sha256(b64decode(key.split()[1])).digest()).decode().rstrip("=")


def add_array(box: FakeClient, count: int, name: str = "slow") -> tuple[int, list[int]]:
    """An array of ada's with so many queued elements: the parent's id and theirs."""
    first = max(box.jobs, default=0) + 1
    whole = msgspec.structs.replace(
        make_job(first, 4),
        kind=JobKind.ARRAY,
        name=name,
        owner="ada",
        state=JobState.QUEUED,
        reason=None,
        started_at=None,
        progress=Progress(phase="elements", done=0, total=count, unit="elements"),
    )
    box.put(whole)
    for index in range(1, count + 1):
        element = msgspec.structs.replace(
            make_job(first + index, 3), kind=JobKind.CONTAINER, name=name, owner="ada", array=first, after=(),
            index=index,
        )  # fmt: skip
        box.put(element)
    return first, list(range(first + 1, first + count + 1))


def full_box(count: int = 60, now: datetime = NOW) -> FakeClient:
    """A box with this many jobs and an array of 40 elements."""
    first = 1000 if count < 900 else count
    jobs = {first - place: make_job(first - place, place, now) for place in range(count)}
    box = FakeClient(jobs=jobs, now=now)
    parent = first - 4
    if parent in jobs:
        box.specs[parent] = JobSpec(path="studies/pendulum", sweep=(Sweep(name="seed", values=("1", "2")),))
        states = (
            (JobState.SUCCEEDED,) * 17
            + (JobState.FAILED,) * 2
            + (JobState.RUNNING,) * 4
            + (JobState.QUEUED,) * 17
        )
        for index, state in enumerate(states, 1):
            job = make_job(first * 10 + index, MIX.index(state), now)
            box.jobs[job.id] = msgspec.structs.replace(
                job, name="pendulum", array=parent, index=index, kind=JobKind.CONTAINER, after=(), state=state
            )
    box.write("labbox: image labbox/base is here\nlabbox: environment b3:9f2c44d1 is ready\n", Stream.BOX)
    for trial in range(1, 61):
        box.write(f"trial {trial:3d}  rt = {0.312 + trial * 0.0071:.4f} s\n")
        if trial % 17 == 0:
            box.write(f"UserWarning: trial {trial} has no response, left out\n", Stream.ERR)
    box.write("labbox:progress 40/100\n")
    return box


def _show() -> int:
    import sys

    now = datetime.now(UTC)
    box = full_box(int(sys.argv[1]) if len(sys.argv) > 1 else 60, now)
    box.log_open = True
    newest = max(number for number, job in box.jobs.items() if job.array is None)

    def live() -> None:
        step = 40
        while not box.closed:
            time.sleep(1)
            step = (step + 1) % 100
            progress = Progress(phase="running", done=step, total=100, rate=1.0, remaining=100 - step)
            box.change(newest, "progress", progress=progress)
            box.write(f"step {step}\n")

    if "--still" not in sys.argv:
        threading.Thread(target=live, daemon=True).start()
    from labbox.tui.app import main

    return main(box)  # type: ignore[arg-type]


if __name__ == "__main__":
    raise SystemExit(_show())
