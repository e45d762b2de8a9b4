"""Every message of the API: documentation, validation and wire format in one.

HTTP/1.1 and JSON on the Unix socket `STATE/api.sock`. An error has the status of its code and the body
`ErrorBody`. Lists are paged: `?limit=&before=` gives the newest first and a `next` to pass as `before`.
Streams (`/v1/events`, a followed log) are lines of JSON, each a whole message. The routes stand in the tables
of `labbox.daemon.api`; docs/api.md and `/v1/openapi.json` are made from those and from what is below.

The caller is the Unix socket's peer uid. uid 0 and the uid that runs the daemon are administrators and may
act for a user with the header `Labbox-As: NAME`. A session that logged in by a token sends nothing: the gate
names the token's scope to the daemon when it makes the session.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from labbox.model import (
    JobKind,
    JobSpec,
    JobState,
    Limits,
    Progress,
    Reason,
    Resources,
    Role,
    Scope,
    Stream,
    Value,
)

API_VERSION = 1


class Empty(Value):
    """Done; nothing to say."""


class ErrorBody(Value):
    """Why a request was refused; `labbox.errors.LabboxError` on the wire."""

    code: str
    message: str
    hint: str = ""


class Caller(Value):
    """Who the box takes the caller for."""

    name: str
    uid: int
    role: Role
    scope: Scope | None = None  # None: no limit
    home: str = ""  # on the box; empty for root itself
    shared: str = ""  # the lab's shared folder, as the caller's processes see it
    projects: dict[str, str] = msgspec.field(default_factory=dict)  # the caller's projects and their folders
    external_editor: bool = False  # whether the screens may start an editor of the caller's own


class EngineStatus(Value):
    """The container engine as the daemon last saw it."""

    available: bool
    version: str = ""
    reason: str = ""  # why not, in a sentence


class Status(Value):
    """The box at a glance."""

    version: str
    box: str  # the box's name
    started_at: datetime
    ready: bool
    ssh: str  # ADDR:PORT where people log in
    engine: EngineStatus
    jobs: dict[JobState, int]
    users: int
    total: Resources  # what jobs may take together
    used: Resources
    load: tuple[float, float, float]
    memory_total: int
    memory_available: int
    disk_total: int
    disk_free: int
    problems: tuple[str, ...] = ()  # sentences; empty on a healthy box


class Event(Value):
    """One change, in the order in which they became durable.

    `cursor` grows without gaps a caller could miss; pass the last one seen as `after`.
    `job` is what it was at that moment.
    `kind`: "job" (something about a job changed), "progress" (not stored, cursor of the last stored event),
    "notice" (one came, or was looked at; only its person hears of it), "user", "project", "group", "host"
    (only its owner hears of it), "alive" (nothing happened; the cursor to go on from).
    """

    cursor: int
    at: datetime
    kind: str
    job: Job | None = None
    text: str = ""


class Job(Value):
    """A job as lists show it. Times are UTC; `results` is relative to the owner's home (of a run)."""

    id: int
    kind: JobKind
    name: str
    owner: str
    project: str | None
    state: JobState
    reason: Reason | None
    attempt: int  # 0 before the first one starts
    exit_code: int | None
    submitted_at: datetime
    started_at: datetime | None  # of the attempt that counts
    ended_at: datetime | None
    progress: Progress | None
    results: str
    resources: Resources
    priority: int
    where: str = ""  # "box" while it runs there
    array: int | None = None  # the parent's id
    index: int | None = None  # its place in the array
    after: tuple[int, ...] = ()
    group: str | None = None  # of the owner's groups


class Attempt(Value):
    """One try at running a job."""

    number: int
    started_at: datetime
    ended_at: datetime | None = None
    exit_code: int | None = None
    state: JobState | None = None  # how it ended
    reason: Reason | None = None
    cpu_seconds: float | None = None
    peak_memory: int | None = None  # bytes


class Live(Value):
    """What a running job takes now, and took in the last two minutes; None where the kernel does not tell."""

    cpus: float | None = None  # in use, of one CPU each
    memory: int | None = None  # bytes
    peak_memory: int | None = None  # bytes
    cpu_course: tuple[float, ...] = ()  # oldest first, two seconds apart
    memory_course: tuple[int, ...] = ()
    gpus: float | None = None  # in use, of one GPU each
    gpu_memory: int | None = None  # bytes, of all its GPUs
    peak_gpu_memory: int | None = None  # bytes
    gpu_course: tuple[float, ...] = ()


class LiveJobs(Value):
    """What each of the caller's running jobs takes now, with the last few looks; administrators see all."""

    jobs: dict[int, Live]


class JobDetail(Value):
    """All that is known about one job."""

    job: Job
    spec: JobSpec
    command: tuple[str, ...]
    template: str | None
    environment: str | None  # the environment's name (a hash), once known
    image: str | None  # with its digest, once known
    network: bool
    time_limit: float | None  # seconds
    retries: int
    attempts: tuple[Attempt, ...]
    output_bytes: int | None = None
    elements: JobCounts | None = None  # of an array
    code_hash: str = ""
    input_hash: str = ""
    live: Live | None = None  # while it runs
    before: tuple[int, ...] = ()  # the jobs that wait, or waited, for this one: a delivery of its output, say


class JobCounts(Value):
    """Jobs by state."""

    by_state: dict[JobState, int]


class JobPage(Value):
    """Jobs, newest first unless asked otherwise; `next` is the `before` of the next page, None at the end."""

    jobs: tuple[Job, ...]
    next: int | None
    cursor: int  # follow events from here and miss nothing


class Group(Value):
    """A group of somebody's jobs: how many may run at once (None: no limit), how many wait and run."""

    owner: str
    name: str
    parallel: int | None = None
    waiting: int = 0
    active: int = 0


class Groups(Value):
    """Groups, by owner and name."""

    groups: tuple[Group, ...]


class GroupBody(Value, forbid_unknown_fields=True):
    """How many jobs of a group may run at once; None: no limit."""

    parallel: int | None = None


class Why(Value):
    """Why a job waits (or ended as it did): every reason that holds now, the first one decisive."""

    id: int
    state: JobState
    reasons: tuple[Reason, ...]
    position: int | None = None  # place in the whole queue, from 1
    expected_start: datetime | None = None


class HistoryEntry(Value):
    """One change of a job's state."""

    at: datetime
    state: JobState
    attempt: int
    reason: Reason | None = None
    by: str = ""  # who asked for it; empty for the box itself
    elements: int = 0  # of an array: so many of its elements had come to this state by then; 0: it is its own


class JobHistory(Value):
    """A job's changes, oldest first."""

    entries: tuple[HistoryEntry, ...]


class LogRecord(Value):
    """A piece of a job's log, in order. `text` may hold several lines or a part of one.

    `cursor` is the byte offset after this piece: pass it as `after` to go on from here. The last record
    of a stream has `end` and no text; one without both is a sign of life.
    """

    cursor: int
    at: datetime
    stream: Stream
    text: str = ""
    attempt: int = 1
    end: bool = False
    raw: bytes | None = None  # (base64) the bytes themselves where they are not UTF-8; `text` then shows them


class Failure(Value):
    """Something that a transfer could not do: with which file, and why, in a sentence."""

    path: str
    code: str
    text: str


class TransferSummary(Value):
    """What a transfer did and what it did not, also before its end; `failures` are the first ones.

    `differences` and `found` hold the first results of compare, find and checksum, a line each; all of them
    stand in the job's output (`output/report.jsonl`).
    """

    folders: int = 0
    files: int = 0
    links: int = 0
    size: int = 0  # bytes
    skipped: int = 0
    failed: int = 0
    failures: tuple[Failure, ...] = ()
    not_kept: tuple[str, ...] = ()  # sentences: what the target could not keep (owners, links, …)
    lines: tuple[str, ...] = ()  # the first results of compare, find, checksum
    line_count: int = 0
    undoable: bool = False


class JobEdit(Value, forbid_unknown_fields=True):
    """What to change; None leaves a thing as it was."""

    name: str | None = None
    command: tuple[str, ...] | None = None
    cpus: float | None = None
    memory: int | None = None
    gpus: int | None = None
    time_limit: float | None = None
    priority: int | None = None
    retries: int | None = None
    env: dict[str, str] | None = None
    network: bool | None = None
    group: str | None = None  # an empty text takes the job out of its group
    fresh: bool = False  # rerun: take a new snapshot of the folder instead of the one handed in then


class InputBody(Value):
    """Text for the standard input of a job submitted with `stdin`; `close` ends the input."""

    text: str = ""
    close: bool = False


class SizeBody(Value):
    """The size of a terminal's window in characters, each from 1 to 1000."""

    rows: int
    columns: int


class InspectBody(Value):
    """Which folder to look at, relative to the caller's home; a spec to check with it."""

    path: str
    spec: JobSpec | None = None


class Finding(Value):
    """A thing found in a project folder: `level` is "ok", "warning" or "error"; `line` from 1 where known."""

    level: str
    text: str
    hint: str = ""
    file: str = ""
    line: int | None = None


class Submitted(Job):
    """A job that was just taken in, and what its folder's owner should know."""

    warnings: tuple[Finding, ...] = ()


class Inspection(Value):
    """What a project folder holds and what would run; it can be submitted where no finding is an error."""

    path: str
    name: str
    entry: str | None  # the file that runs, relative to the folder
    command: tuple[str, ...]
    template: str | None
    dependencies: tuple[str, ...]  # the files that describe the environment, relative to the folder
    code_files: int
    code_bytes: int
    input_files: int
    input_bytes: int
    resources: Resources
    time_limit: float | None
    network: bool
    findings: tuple[Finding, ...]
    array: tuple[int, ...] = ()
    submit_on_push: bool = False


class TemplateInfo(Value):
    """A language that the box can run, from `custom/templates/`."""

    name: str
    title: str
    entries: tuple[str, ...]  # file names that select it, in order: "app.py"
    image: str


class Templates(Value):
    """The templates of this box."""

    templates: tuple[TemplateInfo, ...]


class Usage(Value):
    """What one user took: all time, and as the fair share counts it now."""

    owner: str
    jobs: int
    cpu_seconds: float
    memory_byte_seconds: float
    recent: float  # decayed share units, in CPU-seconds
    share: float  # of all recent use, 0 to 1
    running: Resources
    storage: int | None = None  # bytes


class UsagePage(Value):
    """One row per user."""

    rows: tuple[Usage, ...]
    half_life: float  # seconds


class Notice(Value):
    """A thing a person should hear of at their next look: a job ended, a limit was reached."""

    id: int
    at: datetime
    text: str
    job: int | None = None
    seen: bool = False  # its person has looked at it


class Seen(Value):
    """The newest notice that its person has looked at."""

    up_to: int


class Notices(Value):
    """Notices not yet seen, newest first."""

    notices: tuple[Notice, ...]


class User(Value):
    """A person."""

    name: str
    uid: int
    gid: int
    admin: bool
    limits: Limits
    created_at: datetime
    last_login: datetime | None = None
    has_password: bool = False
    keys: int = 0
    storage: int | None = None  # bytes in use, where known
    full_name: str = ""
    suspended_at: datetime | None = None  # None: not suspended
    expires_at: datetime | None = None  # from then on the account is as a suspended one
    invited_until: datetime | None = None  # a one-time code waits for its use

    def standing(self, at: datetime) -> str:
        """In a word how the account stands: active, suspended, expired, or invited and not come yet."""
        if self.suspended_at is not None:
            return "suspended"
        if self.expires_at is not None and self.expires_at <= at:
            return "expired"
        return "invited" if self.invited_until is not None and self.invited_until > at else "active"


class UserPage(Value):
    """All users, by name."""

    users: tuple[User, ...]


class UserAdd(Value, forbid_unknown_fields=True):
    """A new person; `keys` in OpenSSH's format."""

    name: str
    admin: bool = False
    password: str | None = None
    keys: tuple[str, ...] = ()
    limits: Limits = Limits()
    full_name: str = ""
    expires_at: datetime | None = None  # None: never


class UserEdit(Value, forbid_unknown_fields=True):
    """What is to change about a person; None leaves it. `forever`: the account has no end any more."""

    full_name: str | None = None
    expires_at: datetime | None = None
    forever: bool = False


class SuspendBody(Value, forbid_unknown_fields=True):
    """Shut a person out; with `cancel_running` their running jobs are cancelled, else those go on."""

    cancel_running: bool = False


class PasswordBody(Value):
    """A new password; `old` is needed from people who have one and are not administrators."""

    new: str
    old: str | None = None


class KeyBody(Value):
    """A public key in OpenSSH's format."""

    key: str


class Key(Value):
    """A deposited public key."""

    fingerprint: str
    kind: str
    comment: str
    added_at: datetime
    last_used: datetime | None = None


class Keys(Value):
    """A person's keys."""

    keys: tuple[Key, ...]


class AdminBody(Value):
    """Whether the person administers the box."""

    admin: bool


class InviteBody(Value):
    """Whom to invite, and for how many seconds the code is good."""

    name: str
    admin: bool = False
    valid: float = 7 * 86400.0
    full_name: str = ""  # of somebody new


class Invite(Value):
    """A one-time code: it is the password of the first login, which deposits a key or sets a password.

    `ssh` is the line that the invited person types to reach the box, as the one who invites reached it.
    """

    name: str
    code: str
    expires_at: datetime
    ssh: str = ""


class TokenBody(Value):
    """A token for scripts."""

    label: str
    scope: Scope
    valid: float = 90 * 86400.0  # seconds


class Token(Value):
    """A token as lists show it, without its secret."""

    id: int
    label: str
    scope: Scope
    created_at: datetime
    expires_at: datetime
    last_used: datetime | None = None
    revoked: bool = False


class NewToken(Value):
    """A token with its secret, shown this once: it is given as the password at login."""

    token: Token
    secret: str


class Tokens(Value):
    """A person's tokens."""

    tokens: tuple[Token, ...]


class Project(Value):
    """People who share a folder."""

    name: str
    gid: int
    created_at: datetime
    members: tuple[str, ...] = ()


class ProjectPage(Value):
    """Projects, by name."""

    projects: tuple[Project, ...]


class ProjectAdd(Value, forbid_unknown_fields=True):
    """A new project."""

    name: str
    members: tuple[str, ...] = ()


class AuditEntry(Value):
    """Who did what, when, from where."""

    id: int
    at: datetime
    who: str
    action: str
    target: str
    origin: str  # "ssh 192.0.2.7", "local", "box"
    detail: str = ""


class AuditPage(Value):
    """The trail, newest first; `intact` is False where an entry was edited or removed, `trouble` says what.

    Entries up to `unchecked` were written under a key that was lost: whether they were edited cannot be told.
    """

    entries: tuple[AuditEntry, ...]
    next: int | None
    intact: bool = True
    trouble: str = ""
    unchecked: int = 0


def encode(message: msgspec.Struct) -> bytes:
    """A message as JSON bytes."""
    return msgspec.json.encode(message)


class HostAdd(Value):
    """A machine to reach by SFTP; with neither key nor password, the box makes a key."""

    name: str  # [user@]host[:port]
    private_key: str | None = None  # as its file has it, without a passphrase
    password: str | None = None

    def __repr__(self) -> str:
        """Without the secrets."""
        return f"HostAdd({self.name!r}, …)"


class HostTrust(Value):
    """The key that a machine shows, confirmed by a person."""

    key: str  # TYPE BASE64


class HostKey(Value):
    """A pinned key."""

    kind: str
    fingerprint: str


class Host(Value):
    """A machine that something is kept for, without the secret."""

    name: str
    user: str
    host: str
    port: int
    kind: str  # key, password
    public_key: str | None  # the line for ~/.ssh/authorized_keys over there
    created_at: datetime
    trusted: tuple[HostKey, ...] = ()  # empty: nobody has confirmed its key yet


class Hosts(Value):
    """A person's machines, by name."""

    hosts: tuple[Host, ...]


class HostSecret(Value):
    """How to log in to a machine, for its owner's own processes."""

    name: str
    user: str
    host: str
    port: int
    private_key: str | None = None
    password: str | None = None
    host_keys: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Without the secrets."""
        return f"HostSecret({self.name!r}, …)"
