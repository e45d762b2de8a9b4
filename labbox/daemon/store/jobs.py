"""The tables of jobs: submissions, jobs, an array's elements, transitions.

Plain functions over a connection. A job's state is written by `labbox.daemon.jobs.machine.move` alone, which
calls `set_state` and `append_transition` here. Moments are stamps (see times.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from labbox.errors import LabboxError
from labbox.locations import OPERATIONS
from labbox.model import FINAL, JobKind, JobState, Reason, ReasonCode, Resources, Value
from labbox.text import file_name

if TYPE_CHECKING:
    from sqlite3 import Connection, Row

_OPEN: Final = tuple(state.value for state in JobState if state not in FINAL)
_KINDS: Final = {kind.value: kind for kind in JobKind}
_STATES: Final = {state.value: state for state in JobState}
_COLUMNS: Final = (
    "id, kind, submission, name, owner, project, state, reason_code, reason_text, attempt,"
    " exit_code, submitted_at, started_at, ended_at, results, cpus, memory, gpus, priority,"
    " time_limit, retries, not_before, backing_off, stop, stop_by, array_id, array_index, parallel,"
    " job_group, parameters, output_bytes, arrives"
)


class JobRow(Value):
    """One row of jobs."""

    id: int
    kind: JobKind
    submission: int
    name: str
    owner: str
    project: str | None
    state: JobState
    reason: Reason | None
    attempt: int
    exit_code: int | None
    submitted_at: int
    started_at: int | None
    ended_at: int | None
    results: str
    resources: Resources
    priority: int
    time_limit: float | None
    retries: int
    not_before: int | None
    backing_off: bool
    stop: str | None
    stop_by: str | None
    array: int | None
    index: int | None
    parallel: int | None
    group: str | None
    parameters: dict[str, str]
    output_bytes: int | None
    arrives: bool


class TransitionRow(Value):
    """One row of transitions."""

    at: int
    state: JobState
    attempt: int
    reason: Reason | None
    by: str


class NewJob(Value):
    """What a job is made of; `state` is held or queued."""

    kind: JobKind
    name: str
    owner: str
    project: str | None
    state: JobState
    submitted_at: int
    day: str  # YYYY/MM/DD of the submission, the first part of the results' path
    resources: Resources
    priority: int
    time_limit: float | None
    retries: int
    not_before: int | None = None
    array: int | None = None
    index: int | None = None
    parallel: int | None = None
    group: str | None = None
    parameters: dict[str, str] = msgspec.field(default_factory=dict)
    arrives: bool = False  # its folder is fetched first


def add_submission(connection: Connection, *, spec: str, handed: str) -> int:
    """Keep what was handed in and return its id."""
    row = connection.execute("INSERT INTO submissions (spec, handed) VALUES (?, ?)", (spec, handed))
    return _id(row.lastrowid)


def submission(connection: Connection, number: int) -> tuple[str, str]:
    """The spec and what was handed in, both as JSON."""
    row = connection.execute("SELECT spec, handed FROM submissions WHERE id = ?", (number,)).fetchone()
    return row["spec"], row["handed"]


def trees_in_use(connection: Connection, owner: str, since: int) -> list[str]:
    """What was handed in (JSON) by this owner for jobs that have not ended, or not before a stamp."""
    rows = connection.execute(
        "SELECT handed FROM submissions WHERE id IN (SELECT submission FROM jobs"
        " WHERE owner = ? AND (ended_at IS NULL OR ended_at >= ?))",
        (owner, since),
    )
    return [row["handed"] for row in rows]


def add(connection: Connection, new: NewJob, submission: int, after: Iterable[int] = ()) -> int:
    """Add a job with the first line of its history; the caller appends the event."""
    cursor = connection.execute(
        "INSERT INTO jobs (kind, submission, name, owner, project, state, submitted_at, results,"
        " cpus, memory, gpus, priority, time_limit, retries, not_before, array_id, array_index,"
        " parallel, job_group, parameters, folded, arrives)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, '', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(new.kind, submission, new.name, new.owner, new.project, new.state, new.submitted_at),
            *(new.resources.cpus, new.resources.memory, new.resources.gpus),
            *(new.priority, new.time_limit, new.retries, new.not_before),
            *(new.array, new.index, new.parallel, new.group),
            msgspec.json.encode(new.parameters).decode() if new.parameters else "{}",
            new.name.casefold(),
            new.arrives,
        ),
    )
    job = _id(cursor.lastrowid)
    connection.execute("UPDATE jobs SET results = ? WHERE id = ?", (_results(new, job), job))
    for other in after:
        connection.execute("INSERT INTO dependencies (job, other) VALUES (?, ?)", (job, other))
    append_transition(
        connection, job, at=new.submitted_at, state=new.state, attempt=0, reason=None, by=new.owner
    )
    return job


def _results(new: NewJob, job: int) -> str:
    """Where its folder stands: a run's can be found by its name; an operation's nobody looks for."""
    if new.kind is JobKind.TRANSFER:
        return f"{OPERATIONS}/{new.day}/{job}"
    words = [str(job), file_name(new.name), "" if new.index is None else str(new.index)]
    return f"{new.day}/{'-'.join(word for word in words if word)}"


def find(connection: Connection, job: int) -> JobRow | None:
    """A job, or None."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", (job,)).fetchone()  # noqa: S608 - constants
    return None if row is None else _job(row)


def get(connection: Connection, job: int) -> JobRow:
    """A job; LabboxError "not_found" where there is none."""
    row = find(connection, job)
    if row is None:
        raise LabboxError("not_found", f"cannot find job {job}", "labbox job list shows the jobs there are")
    return row


def get_many(connection: Connection, jobs: Sequence[int]) -> dict[int, JobRow]:
    """Those of these jobs that exist, by id."""
    marks = ",".join("?" * len(jobs))
    rows = connection.execute(f"SELECT {_COLUMNS} FROM jobs WHERE id IN ({marks})", tuple(jobs))  # noqa: S608 - marks only
    return {row["id"]: _job(row) for row in rows}


def all_open(connection: Connection) -> list[JobRow]:
    """Every job that has not ended, oldest first; an array follows its elements and is none."""
    marks = ",".join("?" * len(_OPEN))
    query = f"SELECT {_COLUMNS} FROM jobs WHERE state IN ({marks}) AND kind != 'array' ORDER BY id"  # noqa: S608 - marks only
    return [_job(row) for row in connection.execute(query, _OPEN)]


def count_waiting(connection: Connection, owner: str) -> int:
    """How many jobs of somebody have not started yet; an array counts beside its elements."""
    query = "SELECT count(*) FROM jobs WHERE owner = ? AND state IN ('held', 'queued')"
    return int(connection.execute(query, (owner,)).fetchone()[0])


def element_ids(connection: Connection, array: int) -> list[int]:
    """The elements of an array, in order."""
    rows = connection.execute("SELECT id FROM jobs WHERE array_id = ? ORDER BY id", (array,))
    return [row["id"] for row in rows]


def element_counts(connection: Connection, array: int) -> dict[JobState, int]:
    """How many elements of an array are in each state."""
    rows = connection.execute("SELECT state, count FROM elements WHERE array_id = ?", (array,))
    return {JobState(row["state"]): int(row["count"]) for row in rows if row["count"]}


def set_element_counts(connection: Connection, array: int, counts: Mapping[JobState, int]) -> None:
    """Say how an array begins."""
    connection.executemany(
        "INSERT INTO elements (array_id, state, count) VALUES (?, ?, ?)",
        [(array, state, count) for state, count in counts.items()],
    )


def count_element(connection: Connection, array: int, *, old: JobState, new: JobState) -> dict[JobState, int]:
    """Count an element that went from one state to another; returns the counts."""
    for state, step in ((old, -1), (new, 1)):
        connection.execute(
            "INSERT INTO elements (array_id, state, count) VALUES (?, ?, ?)"
            " ON CONFLICT (array_id, state) DO UPDATE SET count = count + excluded.count",
            (array, state, step),
        )
    return element_counts(connection, array)


def set_state(
    connection: Connection,
    job: int,
    *,
    state: JobState,
    reason: Reason | None,
    attempt: int,
    exit_code: int | None,
    started_at: int | None,
    ended_at: int | None,
) -> None:
    """Write where a job stands; only for `machine.move`."""
    connection.execute(
        "UPDATE jobs SET state = ?, reason_code = ?, reason_text = ?, attempt = ?, exit_code = ?,"
        " started_at = ?, ended_at = ? WHERE id = ?",
        (state, *reason_columns(reason), attempt, exit_code, started_at, ended_at, job),
    )


def append_transition(
    connection: Connection,
    job: int,
    *,
    at: int,
    state: JobState,
    attempt: int,
    reason: Reason | None,
    by: str,
) -> None:
    """Write a line of a job's history; only for `machine.move`."""
    connection.execute(
        "INSERT INTO transitions (job, at, state, attempt, reason_code, reason_text, by)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (job, at, state, attempt, *reason_columns(reason), by),
    )


def transitions(connection: Connection, job: int) -> list[TransitionRow]:
    """A job's history, oldest first."""
    rows = connection.execute("SELECT * FROM transitions WHERE job = ? ORDER BY id", (job,))
    return [
        TransitionRow(
            at=row["at"],
            state=JobState(row["state"]),
            attempt=row["attempt"],
            reason=reason_of(row),
            by=row["by"],
        )
        for row in rows
    ]


def element_transitions(connection: Connection, array: int) -> list[tuple[JobState, int, int, int]]:
    """For each state that elements of an array came to: how many did, the first time, and the last."""
    rows = connection.execute(
        "SELECT t.state, count(DISTINCT t.job), min(t.at), max(t.at) FROM transitions t"
        " JOIN jobs j ON j.id = t.job WHERE j.array_id = ? GROUP BY t.state",
        (array,),
    )
    return [(JobState(state), count, first, last) for state, count, first, last in rows]


def set_stop(connection: Connection, job: int, stop: str | None, by: str | None) -> None:
    """Remember that somebody asked for the job's end, so that a restart does not forget it."""
    connection.execute("UPDATE jobs SET stop = ?, stop_by = ? WHERE id = ?", (stop, by, job))


def set_back_off(connection: Connection, job: int, *, not_before: int | None, retries: int) -> None:
    """Let a new attempt wait, and say how many more the rule allows."""
    connection.execute(
        "UPDATE jobs SET not_before = ?, backing_off = 1, retries = ? WHERE id = ?",
        (not_before, retries, job),
    )


def clear_back_off(connection: Connection, job: int) -> None:
    """Let a job that a person retries stand in line at once."""
    connection.execute("UPDATE jobs SET not_before = NULL, backing_off = 0 WHERE id = ?", (job,))


def set_submission(connection: Connection, job: int, submission: int) -> None:
    """Let a job's next attempt be of another submission."""
    connection.execute("UPDATE jobs SET submission = ? WHERE id = ?", (submission, job))


def set_arrived(connection: Connection, job: int) -> None:
    """A job's folder has been handed in."""
    connection.execute("UPDATE jobs SET arrives = 0 WHERE id = ?", (job,))


def set_output_bytes(connection: Connection, job: int, count: int) -> None:
    """Note the size of a job's output."""
    connection.execute("UPDATE jobs SET output_bytes = ? WHERE id = ?", (count, job))


def change(
    connection: Connection,
    job: int,
    *,
    submission: int,
    name: str,
    resources: Resources,
    priority: int,
    time_limit: float | None,
    retries: int,
    group: str | None,
) -> None:
    """Write what `job edit` changed of a waiting job."""
    connection.execute(
        "UPDATE jobs SET submission = ?, name = ?, folded = ?, cpus = ?, memory = ?, gpus = ?, priority = ?,"
        " time_limit = ?, retries = ?, job_group = ? WHERE id = ?",
        (
            *(submission, name, name.casefold(), resources.cpus, resources.memory, resources.gpus),
            *(priority, time_limit, retries, group, job),
        ),
    )


def _job(row: Row) -> JobRow:
    """From a row of `_COLUMNS`, by their order: looking each up by its name took most of a page's time."""
    number, kind, submission, name, owner, project, state, code, text, attempt, *rest = row
    exit_code, submitted_at, started_at, ended_at, results, cpus, memory, gpus, priority, *rest = rest
    time_limit, retries, not_before, backing_off, stop, stop_by, array, index, parallel, *rest = rest
    group, parameters, output_bytes, arrives = rest
    return JobRow(
        id=number,
        kind=_KINDS[kind],
        submission=submission,
        name=name,
        owner=owner,
        project=project,
        state=_STATES[state],
        reason=None if code is None else Reason(code=ReasonCode(code), text=text),
        attempt=attempt,
        exit_code=exit_code,
        submitted_at=submitted_at,
        started_at=started_at,
        ended_at=ended_at,
        results=results,
        resources=_resources(cpus, memory, gpus),
        priority=priority,
        time_limit=time_limit,
        retries=retries,
        not_before=not_before,
        backing_off=bool(backing_off),
        stop=stop,
        stop_by=stop_by,
        array=array,
        index=index,
        parallel=parallel,
        group=group,
        parameters=_parameters(parameters),
        output_bytes=output_bytes,
        arrives=bool(arrives),
    )


@lru_cache(maxsize=256)
def _resources(cpus: float, memory: int, gpus: int) -> Resources:
    """Most jobs ask for the same."""
    return Resources(cpus=cpus, memory=memory, gpus=gpus)


def _parameters(text: str) -> dict[str, str]:
    return {} if text == "{}" else msgspec.json.decode(text, type=dict[str, str])


def reason_of(row: Row) -> Reason | None:
    """The reason in a row's two columns."""
    code: Any = row["reason_code"]
    return None if code is None else Reason(code=ReasonCode(code), text=row["reason_text"])


def reason_columns(reason: Reason | None) -> tuple[str | None, str | None]:
    """A reason for a row's two columns."""
    return (None, None) if reason is None else (reason.code.value, reason.text)


def _id(value: int | None) -> int:
    if value is None:
        raise AssertionError("an insert gives a row id")
    return value
