"""The values that every part of labbox speaks of: jobs, people, resources. Frozen, without I/O."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final, dataclass_transform

import msgspec

MIB: Final = 1 << 20
GIB: Final = 1 << 30


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """Base of the frozen values; a newer version may send fields that this one ignores."""


class JobState(StrEnum):
    """Where a job stands; the arrows between the states are in `labbox.daemon.jobs.machine`."""

    HELD = "held"  # waits until someone releases it
    QUEUED = "queued"  # waits for its turn; `reason` says for what
    PREPARING = "preparing"  # image and environment are being made, the container created
    RUNNING = "running"
    PAUSED = "paused"  # frozen in memory
    COLLECTING = "collecting"  # it ended; results are being put away
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    LOST = "lost"  # the attempt vanished and no retry was left


WAITING: Final = frozenset({JobState.HELD, JobState.QUEUED})
ACTIVE: Final = frozenset({JobState.PREPARING, JobState.RUNNING, JobState.PAUSED, JobState.COLLECTING})
FINAL: Final = frozenset(
    {JobState.SUCCEEDED, JobState.FAILED, JobState.TIMED_OUT, JobState.CANCELLED, JobState.LOST}
)


class JobKind(StrEnum):
    """What a job does."""

    CONTAINER = "container"
    ARRAY = "array"  # the parent of an array's elements; holds no resources itself


class ReasonCode(StrEnum):
    """Why a job is where it is: first the waits, then the ends."""

    HELD = "held"
    DELAYED = "delayed"
    DEPENDENCY = "dependency"
    NO_ROOM = "no_room"
    NO_ENGINE = "no_engine"
    SHARE = "share"  # others, or an earlier job of one's own, go first
    LIMIT = "limit"  # a limit of the user: running jobs, CPUs, memory, GPUs, storage
    CLAIM = "claim"
    DISK = "disk"  # the box has too little free space to start anything
    PREPARING = "preparing"
    RETRY = "retry"  # a new attempt waits for its back-off
    EXIT = "exit"  # the command ended with a code other than 0
    SIGNAL = "signal"
    MEMORY = "memory"  # ended by the memory limit
    TIME_LIMIT = "time_limit"
    DISK_LIMIT = "disk_limit"
    LOG_LIMIT = "log_limit"
    CANCELLED = "cancelled"
    ENVIRONMENT = "environment"  # image or environment could not be made
    DEPENDENCY_FAILED = "dependency_failed"
    GONE = "gone"  # the container vanished
    START = "start"  # the engine refused to start it
    INTERNAL = "internal"


class Reason(Value):
    """Why, for programs (`code`) and as one sentence for people (`text`)."""

    code: ReasonCode
    text: str


class Resources(Value):
    """What one attempt takes from the box while it runs."""

    cpus: float = 1.0
    memory: int = 2 * GIB  # bytes
    gpus: int = 0


class Limits(Value):
    """What one user may take at once; None where the box sets no limit."""

    running_jobs: int | None = None
    cpus: float | None = None
    memory: int | None = None  # bytes
    gpus: int | None = None
    storage: int | None = None  # bytes under the results folder and the home


class Progress(Value):
    """How far something is, in the one form that all progress bars read.

    `done` and `total` are in `unit` ("bytes", "files", "steps"); `total` is None while unknown.
    `rate` is in units per second, `remaining` in seconds; both None while unknown.
    """

    phase: str  # a word or two for people: "image", "environment", "running"
    done: float = 0
    total: float | None = None
    unit: str = "steps"
    rate: float | None = None
    remaining: float | None = None


class Stream(StrEnum):
    """Where a piece of a job's log came from."""

    OUT = "out"
    ERR = "err"
    BOX = "box"  # labbox itself: image and environment being made


class Sweep(Value):
    """One parameter of a sweep and its values, as the person wrote them."""

    name: str
    values: tuple[str, ...]


class JobSpec(Value):
    """What a person asks for; kept whole, so that a job can be run again from it.

    `path` is relative to the owner's home (or absolute below it); None for a command without a folder.
    Empty `command`: what the folder's `job.toml` or its template says.
    None anywhere: what `job.toml` says, else the box's default.
    """

    path: str | None = None
    name: str | None = None
    command: tuple[str, ...] = ()
    image: str | None = None  # run in this image instead of the template's
    template: str | None = None
    cpus: float | None = None
    memory: int | None = None  # bytes
    gpus: int | None = None
    time_limit: float | None = None  # seconds
    priority: int = 0  # higher first, inside the owner's own queue
    after: tuple[int, ...] = ()
    array: tuple[int, ...] = ()
    sweep: tuple[Sweep, ...] = ()
    parallel: int | None = None  # elements of an array that may run at once
    retries: int | None = None
    hold: bool = False
    start_at: datetime | None = None
    network: bool | None = None
    env: dict[str, str] = {}
    stdin: bool = False  # keep standard input open for `job input`
    project: str | None = None
    commit: str | None = None  # set where a push made the job


class Role(StrEnum):
    """What a caller of the API may do beyond their own things."""

    USER = "user"
    ADMIN = "admin"


class Scope(StrEnum):
    """What a token may be used for."""

    READ = "read"
    SUBMIT = "submit"
