"""The states of a job, the arrows between them, and the one function that moves a job along one.

    held ⇄ queued → preparing → running ⇄ paused       each of these → cancelled
            ▲            │          │
            │            └──────────┴→ collecting → succeeded · failed · timed_out · lost
            └── new attempt, if the retry rule or a person says so ── failed · lost · timed_out · cancelled

A waiting job whose dependency failed fails without an attempt. An array's parent has no life of its own: its
state is derived from its elements by `derived`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from labbox.daemon.store import events, jobs
from labbox.errors import LabboxError
from labbox.model import ACTIVE, FINAL, JobKind, JobState, Reason, ReasonCode

if TYPE_CHECKING:
    from sqlite3 import Connection

S = JobState

ARROWS: Final[Mapping[JobState, frozenset[JobState]]] = {
    S.HELD: frozenset({S.QUEUED, S.CANCELLED, S.FAILED}),
    S.QUEUED: frozenset({S.HELD, S.PREPARING, S.CANCELLED, S.FAILED}),
    S.PREPARING: frozenset({S.RUNNING, S.COLLECTING, S.CANCELLED}),
    S.RUNNING: frozenset({S.PAUSED, S.COLLECTING, S.CANCELLED}),
    S.PAUSED: frozenset({S.RUNNING, S.COLLECTING, S.CANCELLED}),
    S.COLLECTING: frozenset({S.SUCCEEDED, S.FAILED, S.TIMED_OUT, S.LOST, S.CANCELLED}),
    S.SUCCEEDED: frozenset(),
    S.FAILED: frozenset({S.QUEUED}),
    S.TIMED_OUT: frozenset({S.QUEUED}),
    S.CANCELLED: frozenset({S.QUEUED}),
    S.LOST: frozenset({S.QUEUED}),
}


def is_legal(old: JobState, new: JobState) -> bool:
    """Whether a container job may go from the one state to the other in one step."""
    return new in ARROWS[old]


def derived(counts: Mapping[JobState, int]) -> JobState:
    """The state of an array's parent, from its elements' states.

    Something runs: running. Nothing runs, something waits: queued, or held where all that waits is held.
    All ended: succeeded if all are; cancelled if any is, else failed, else timed out, else lost.
    """
    if any(counts.get(state) for state in ACTIVE):
        return S.RUNNING
    if counts.get(S.QUEUED):
        return S.QUEUED
    if counts.get(S.HELD):
        return S.HELD
    for state in (S.CANCELLED, S.FAILED, S.TIMED_OUT, S.LOST):
        if counts.get(state):
            return state
    return S.SUCCEEDED


def move(
    connection: Connection,
    job: int,
    new: JobState,
    *,
    at: int,
    reason: Reason | None = None,
    by: str = "",
    attempt: int | None = None,
    exit_code: int | None = None,
) -> jobs.JobRow:
    """Bring a job into a state, with its history and its event, in the caller's transaction.

    `attempt`: the attempt that asks for it; one that is no longer the job's current attempt is refused, so that
    nothing a stale attempt reports is ever accepted. `by`: the person who asked, empty for the box itself.

    Raises:
        LabboxError: "conflict" where no arrow leads there, "not_found" where there is no such job.
    """
    row = jobs.get(connection, job)
    if row.kind is JobKind.ARRAY:
        raise LabboxError("conflict", f"cannot move job {job}: an array follows its elements")
    if attempt is not None and attempt != row.attempt:
        raise LabboxError("conflict", f"cannot accept attempt {attempt} of job {job}: it is at {row.attempt}")
    if not is_legal(row.state, new):
        raise LabboxError("conflict", f"cannot bring job {job} from {row.state} to {new}")
    number = row.attempt + 1 if new is S.PREPARING else row.attempt
    begun = at if row.state is S.PREPARING and new is S.RUNNING else row.started_at
    if new in (S.QUEUED, S.PREPARING):
        begun = None
    jobs.set_state(
        connection,
        job,
        state=new,
        reason=reason,
        attempt=number,
        exit_code=exit_code,
        started_at=begun,
        ended_at=max(at, begun or at) if new in FINAL else None,
    )
    jobs.append_transition(connection, job, at=at, state=new, attempt=number, reason=reason, by=by)
    events.append(connection, at=at, kind="job", owner=row.owner, job=job)
    if row.array is not None:
        _follow_elements(connection, row.array, old=row.state, new=new, at=at, exit_code=exit_code)
    return jobs.get(connection, job)


def _follow_elements(
    connection: Connection, parent: int, *, old: JobState, new: JobState, at: int, exit_code: int | None
) -> None:
    counts = jobs.count_element(connection, parent, old=old, new=new)
    row = jobs.get(connection, parent)
    state = derived(counts)
    first_failure = exit_code if exit_code and not row.exit_code else row.exit_code
    if state is row.state and first_failure == row.exit_code:
        return
    total = sum(counts.values())
    good = counts.get(S.SUCCEEDED, 0)
    reason = None
    if state in FINAL and state is not S.SUCCEEDED:
        code = ReasonCode.CANCELLED if state is S.CANCELLED else ReasonCode.EXIT
        reason = Reason(code=code, text=f"{total - good} of {total} elements did not succeed")
    jobs.set_state(
        connection,
        parent,
        state=state,
        reason=reason,
        attempt=row.attempt,
        exit_code=0 if state is S.SUCCEEDED else first_failure,
        started_at=row.started_at or (at if state is S.RUNNING else None),
        ended_at=at if state in FINAL else None,
    )
    if state is not row.state:
        jobs.append_transition(connection, parent, at=at, state=state, attempt=0, reason=reason, by="")
        events.append(connection, at=at, kind="job", owner=row.owner, job=parent)
