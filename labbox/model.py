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
CANCELLED_EXIT: Final = 130  # the exit code of what was cancelled, whatever it ended with: as a shell says it
_ENDED: Final = {
    JobState.SUCCEEDED: "has succeeded",
    JobState.FAILED: "has failed",
    JobState.TIMED_OUT: "has timed out",
    JobState.CANCELLED: "was cancelled",
}


def state_clause(state: JobState) -> str:
    """What follows "job 17" in a sentence: "is queued", "has failed"."""
    return _ENDED.get(state, f"is {state.value}")


class JobKind(StrEnum):
    """What a job does."""

    CONTAINER = "container"
    ARRAY = "array"  # the parent of an array's elements; holds no resources itself
    TRANSFER = "transfer"  # files copied, moved, deleted, compared; done by a process of the owner's


def state_word(state: JobState, kind: JobKind = JobKind.CONTAINER) -> str:
    """A state as people read it: ``timed out``; what a copy has left to do at its end is *finishing*."""
    if kind is JobKind.TRANSFER and state is JobState.COLLECTING:
        return FINISHING
    return state.value.replace("_", " ")


FINISHING: Final = "finishing"  # the phase of a transfer whose bytes are all there, while its rest is done
RUNS: Final = "runs"  # what people came for
FILES: Final = "files"  # operations on files: copies, deletions, checksums


class ReasonCode(StrEnum):
    """Why a job is where it is: first the waits, then the ends."""

    HELD = "held"
    DELAYED = "delayed"
    DEPENDENCY = "dependency"
    NO_ROOM = "no_room"
    NO_ENGINE = "no_engine"
    SHARE = "share"  # others, or an earlier job of one's own, go first
    LIMIT = "limit"  # of the user (running jobs, CPUs, memory, GPUs, storage), of its array or its group
    CLAIM = "claim"
    SUSPENDED = "suspended"  # its owner's account is suspended, or has expired
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
    FILES = "files"  # a transfer could not do all that it was to do
    HOST = "host"  # another machine does not answer
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
    files: int | None = None  # of a transfer: how many are done, beside the bytes in `done`
    files_total: int | None = None
    current: str = ""  # what is being worked on


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
    group: str | None = None  # of the owner's groups, which may limit how many of its jobs run at once
    retries: int | None = None
    hold: bool = False
    start_at: datetime | None = None
    network: bool | None = None
    env: dict[str, str] = {}
    stdin: bool = False  # keep standard input open for `job input`
    project: str | None = None
    commit: str | None = None  # set where a push made the job
    transfer: TransferSpec | None = None  # a transfer in place of a run
    deliver: str | None = None  # a location: the output is copied there once the job has succeeded


class TransferVerb(StrEnum):
    """What a transfer does with files."""

    COPY = "copy"
    MOVE = "move"
    TRASH = "trash"  # delete, with a way back for as long as the trash keeps it
    ERASE = "erase"  # delete for good
    RESTORE = "restore"  # out of the trash, to where it was
    SYNC = "sync"  # make the target like the source
    COMPARE = "compare"
    PACK = "pack"  # into an archive: the target's ending says which kind
    UNPACK = "unpack"
    CHECKSUM = "checksum"
    FIND = "find"
    UNDO = "undo"  # take back what an earlier transfer did


class Conflict(StrEnum):
    """What happens where the target has a file of that name already. Folders are merged."""

    FAIL = "fail"  # leave it, and count it as not done
    LEAVE = "leave"  # leave it, and tell: what was asked for is done
    SKIP = "skip"  # leave it, and be content
    OVERWRITE = "overwrite"
    NEWER = "newer"  # overwrite what is older than the source
    RENAME = "rename"  # put the new one beside it: "data (2).csv"
    RESUME = "resume"  # what is there is the beginning of the source: go on behind it


class Decision(Value):
    """What one person decided about one file that is in the way; `path` as `TransferSpec.only` has it."""

    path: str
    conflict: Conflict


class TransferSpec(Value):
    """What a transfer is asked to do; locations in the text of `labbox.locations`.

    Paths (`only`, `decisions`) are relative: the source's own name first, then what is below it, with the
    escapes of `labbox.locations.path_text`.
    """

    verb: TransferVerb
    sources: tuple[str, ...]
    target: str | None = None  # a folder, or with `exact` the new name itself; of a pack, the archive
    exact: bool = False  # one source becomes `target` itself, not something in it
    conflict: Conflict = Conflict.FAIL
    decisions: tuple[Decision, ...] = ()
    only: tuple[str, ...] = ()  # nothing but these: what failed the last time
    exclude: tuple[str, ...] = ()  # patterns as in .gitignore
    verify: bool = False  # read the copies again and compare BLAKE3 sums
    mirror: bool = False  # sync: what the source lacks goes to the trash at the target
    content: bool = False  # compare, sync: by content, not by size and time
    name: str | None = None  # find: a pattern for names
    text: str | None = None  # find: what a file must hold
    match_case: bool = False  # find: capitals as they are written
    algorithm: str = "blake3"  # of checksums: blake3, sha256, md5…
    called: tuple[str, ...] = ()  # checksums: what each source is called in the lines, as it was typed
    undo: int | None = None  # the job whose transfer is to be taken back
    wait: float = 0.0  # seconds for which a host that does not answer is tried again


class Role(StrEnum):
    """What a caller of the API may do beyond their own things."""

    USER = "user"
    ADMIN = "admin"


class Scope(StrEnum):
    """What a token may be used for."""

    READ = "read"
    SUBMIT = "submit"


def narrower(one: Scope | None, other: Scope | None) -> Scope | None:
    """What both allow; None where nothing limits it."""
    if Scope.READ in (one, other):
        return Scope.READ
    return one or other
